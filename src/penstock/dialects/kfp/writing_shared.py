"""What is the same for all graphs of one pipeline that is written."""

from __future__ import annotations

import re
from typing import Any

from penstock.authoring.pipeline import Definition
from penstock.dialects import Account
from penstock.dialects.code.sources import Rules
from penstock.dialects.kfp import structures as kfp
from penstock.dialects.kfp.writing_programs import METRICS
from penstock.dialects.portable.programs import Writing


class Shared:
    """What is the same for all graphs of one pipeline: its names, its components, and its accounts."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.writing = Writing(definition, Rules("Kubeflow Pipelines", frozenset({"kfp"}), metrics=METRICS))
        self.accounts: list[Account] = []
        self._names: set[str] = set()
        self._components: dict[Any, kfp.Component] = {}
        self.groups = 0

    def name(self, wanted: str) -> str:
        """The name of a task, which no other has."""
        base = re.sub(r"[^a-z0-9]+", "-", wanted.lower()).strip("-") or "task"
        name, count = base, 1
        while name in self._names:
            count += 1
            name = f"{base}-{count}"
        self._names.add(name)
        return name

    def group(self, kind: str) -> str:
        self.groups += 1
        return f"{kind}-{self.groups}"

    def component(self, made: kfp.Component) -> kfp.Component:
        """The same component, or one that is like it and was made before."""
        what = made.implementation
        source = what.source if isinstance(what, kfp.Python) else repr(what)
        return self._components.setdefault((source, made.inputs, made.outputs), made)


__all__ = ["Shared"]
