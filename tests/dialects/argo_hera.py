"""Checks manifests against the models of hera: `python argo_hera.py < manifests.json`. Prints what is wrong as JSON: [name,
problems]."""

from __future__ import annotations

import json
import sys
from typing import Any

from hera.workflows.models import CronWorkflow, Workflow  # pyright: ignore
from pydantic import BaseModel  # pyright: ignore

#: how deep models are in models
_DEPTH = 12


def strict(kind: Any, seen: set[Any]) -> None:
    """Let a model, and all in it, refuse fields that are not known."""
    if not isinstance(kind, type) or not issubclass(kind, BaseModel):
        for each in getattr(kind, "__args__", ()):
            strict(each, seen)
    elif kind not in seen:
        seen.add(kind)
        kind.model_config["extra"] = "forbid"
        for field in kind.model_fields.values():
            strict(field.annotation, seen)


def main() -> None:
    kinds: dict[str, Any] = {"Workflow": Workflow, "CronWorkflow": CronWorkflow}
    known: set[Any] = set()
    for kind in kinds.values():
        strict(kind, known)
    for _ in range(_DEPTH):
        for each in known:
            each.model_rebuild(force=True)
    found: list[Any] = []
    for name, document in json.load(sys.stdin):
        try:
            kinds[document["kind"]].model_validate(document)
        except ValueError as problem:
            found.append([name, [str(problem)]])
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
