"""Tasks in Python environments of their own, to which Airflow sends the source of one function, and nothing else."""

from __future__ import annotations

import ast
import copy
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from penstock.dialects.airflow.writing.terms import Terms
from penstock.dialects.code.formatting import INDENT, Imports
from penstock.dialects.code.naming import identifier
from penstock.dialects.code.sources import Rules
from penstock.dialects.portable.carried import Carried
from penstock.errors import DefinitionError
from penstock.model.action import PythonAction
from penstock.model.graph import Node, Task

if TYPE_CHECKING:
    from penstock.dialects.airflow.writing.dags import Writer

_RULES = Rules("a Python environment of its own in Apache Airflow", frozenset({"airflow"}))


def sent(tasks: Mapping[str, Task], nodes: Collection[tuple[str, Node]]) -> frozenset[str]:
    """The keys of the tasks of which only the source of a step is where they run; `nodes` are those of a file, each with
    the key of the body that it is in."""
    loops = {node.task for _, node in nodes if node.loop is not None}
    near = {node.task for body, node in nodes if body in loops or node.wait is not None}
    near |= {
        node.fallback.task
        for _, node in nodes
        if node.fallback is not None and node.fallback.task is not None and tasks[node.task].environment is None
    }
    own = {key for key, task in tasks.items() if task.environment is not None}
    return frozenset(key for key in own - near if isinstance(tasks[key].action, PythonAction))


class Sent:
    """What the function of one step has to hold, with `parameters` of its own."""

    def __init__(self, writer: Writer, terms: Terms, node: Node, parameters: Collection[str]) -> None:
        self._writer, self._node = writer, node
        self._parameters = frozenset(parameters)
        self._imports = Imports()
        self._sources = Carried(self._imports, _RULES, reserved=(*parameters, "found"))
        #: the names of the step, which imports what it needs by itself
        self.terms = copy.copy(terms)
        self.terms.imports = self._imports

    def function(self, key: str) -> str:
        """What the function of a task is called in the step. Raises DefinitionError."""
        function = self._writer.definition.functions[key].function
        return self._sources.add(function, self._node.id, identifier(self._writer.graph.tasks[key].name))

    def lines(self) -> list[str]:
        """The imports and definitions, as the first lines of the step. Raises DefinitionError for what cannot be known
        there."""
        node = self._node
        if self._imports.helpers or (node.fallback is not None and node.policy.retries.count):
            asks = "how other tasks ended" if self._imports.helpers else "which attempt it is, for its fallback"
            raise self._error(f"asks {asks}", "Let it be done by a task that runs where the others do.")
        if both := self._parameters & self._imports.bound:
            raise self._error(
                f"imports something as {min(both)}, which it is given as well", "Give one of them another name."
            )
        definitions = self._sources.parts()
        lines = [f"global {', '.join(names)}"] if (names := _global(definitions)) else []
        lines += self._imports.text().splitlines()
        found = [f"{INDENT}{line}" if line else "" for line in lines]
        for each in definitions:
            found += [*([""] if found else []), *_deeper(each)]
        return [*found, ""]

    def _error(self, what: str, remedy: str) -> DefinitionError:
        return DefinitionError(
            f"{self._node.id!r} cannot be written for {_RULES.title}: it {what}",
            where=str(self._node.location),
            remedy=remedy,
        )


def _global(definitions: Collection[str]) -> list[str]:
    """The variables that functions set at the top level of their file."""
    nodes = (each for text in definitions for each in ast.walk(ast.parse(text)))
    return sorted({name for each in nodes if isinstance(each, ast.Global) for name in each.names})


def _deeper(text: str) -> Iterator[str]:
    """The lines of a definition, one level deeper; texts over several lines in it stay as they are."""
    kept = {
        number
        for each in ast.walk(ast.parse(text))
        if isinstance(each, (ast.Constant, ast.JoinedStr))
        for number in range(each.lineno + 1, (each.end_lineno or each.lineno) + 1)
    }
    for number, line in enumerate(text.splitlines(), 1):
        yield line if number in kept or not line else f"{INDENT}{line}"


__all__ = ["Sent", "sent"]
