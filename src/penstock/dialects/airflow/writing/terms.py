"""What stands for values in a DAG, and in the small functions that compute with them while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from penstock.dialects.code.expressions import python
from penstock.dialects.code.formatting import Imports, Unwritable, literal, mapping, quoted
from penstock.dialects.code.parts import keyed, port_text
from penstock.errors import DefinitionError
from penstock.model.expression import (
    Choose,
    Constant,
    Ended,
    Expression,
    Input,
    Item,
    Output,
    Parameter,
    Sequence,
    parts,
)
from penstock.model.expression import Mapping as MappingExpression
from penstock.model.graph import Node, Task

_STATES = {"succeeded": "success", "cached": "success", "failed": "failed", "upstream_failed": "upstream_failed"}


class Terms:
    """The names of a DAG, or of a task group that is a body."""

    def __init__(
        self,
        variables: Mapping[str, str],
        nodes: Mapping[str, Node],
        inputs: Mapping[str, str],
        task_of: Callable[[str], Task | None],
        imports: Imports,
    ) -> None:
        self.variables = variables
        self.nodes = nodes
        self.inputs = inputs
        self._task_of = task_of
        self.imports = imports
        self.node = ""
        #: whether the records that a task (by its key) returns are taken apart
        self.in_parts: Callable[[str], bool] = lambda key: False
        #: a choice -> the variable of the task that makes it
        self.choices: list[tuple[Choose, str]] = []

    def is_direct(self, expression: Expression) -> bool:
        """Whether an argument can be handed on as it stands: a result, a parameter, a plain value, lists and dicts of
        these."""
        match expression:
            case Output(node, None):
                return self._is_single(node)
            case Parameter() | Input() | Choose():
                return True
            case Constant(value):
                return not _templated(value)
            case Sequence(items):
                return all(map(self.is_direct, items))
            case MappingExpression(items):
                return all(map(self.is_direct, items.values()))
            case _:
                return False

    def _is_single(self, node: str) -> bool:
        return self.nodes[node].each is None

    def text(self, expression: Expression) -> str:
        """An expression over values, in a function that runs as a task."""
        try:
            return python(keyed(expression, self._task_of), self._leaf, self.imports)
        except Unwritable as problem:
            raise DefinitionError(
                f"{self.node!r} is given {problem}, which cannot be written as Python",
                remedy="Make it in a task, and pass on its result.",
            ) from None

    def value(self, value: object) -> str:
        """A plain value. Raises DefinitionError."""
        return self.text(Constant(value))

    def argument(self, expression: Expression) -> str:
        """An argument that is handed on as it stands (see `is_direct`)."""
        match expression:
            case Output(node, _):
                return self.variables[node]
            case Sequence(items, kind):
                inside = ", ".join(map(self.argument, items))
                return f"[{inside}]" if kind == "list" else f"({inside},)" if len(items) == 1 else f"({inside})"
            case MappingExpression(items):
                return mapping((quoted(name), self.argument(each)) for name, each in items.items())
            case _:
                return self.text(expression)

    def read(self, expression: Expression) -> dict[str, str]:
        """What a function that computes an expression has to be given: parameter -> what is handed on in the DAG."""
        found: dict[str, str] = {}
        match expression:
            case Choose():
                name = self.choice(expression)
                found[name] = name
            case Output(node, _):
                found[self.variables[node]] = self.variables[node]
            case Parameter(name):
                found[name] = name
            case Input(name):
                found[self.inputs[name]] = self.inputs[name]
            case _:
                for part in parts(expression):
                    found |= self.read(part)
        return found

    def choice(self, choice: Choose) -> str:
        """The variable of the task that makes a choice."""
        return next(name for known, name in self.choices if known == choice)

    def _leaf(self, expression: Expression) -> str:
        match expression:
            case Parameter(name):
                return name
            case Input(name):
                return self.inputs[name]
            case Item(name):
                return "item" if name == "kwargs" else name
            case Output(node, port):
                return f"{self._whole(node)}{self._port(node, port)}"
            case Ended(node, states):
                wanted = dict.fromkeys(_STATES.get(state, state) for state in states if state != "cancelled")
                self.imports.helpers.add("ended")
                return f"ended({', '.join(quoted(each) for each in (task_id(node), *wanted))})"
            case Choose():
                return self.choice(expression)
            case _:
                raise DefinitionError(
                    f"{self.node!r} takes penstock's {type(expression).__name__}, which Airflow does not have",
                    remedy="Let an exit handler take nothing, and pass values as parameters.",
                )

    def _whole(self, node: str) -> str:
        name, each = self.variables[node], self.nodes[node].each
        if each is None:
            return name
        keys = keys_of(each.over)
        return f"list({name})" if keys is None else f"dict(zip({literal(keys, self.imports)}, {name}))"

    def _port(self, node: str, port: str | None) -> str:
        if port is None:
            return ""
        task = self._task_of(node)
        if task is not None and task.record in ("named", "dataclass") and not self._is_read_whole(node):
            return f"[{quoted(port)}]"
        return port_text(task, port)

    def _is_read_whole(self, node: str) -> bool:
        """Whether a record goes through XCom as it is, and not as a dict (see `Writer.in_parts`)."""
        return not self.in_parts(self.nodes[node].task)


def keys_of(over: Mapping[str, Expression]) -> list[str] | None:
    """The keys of a dict that is mapped over, where it is known; None for lists."""
    for each in over.values():
        if isinstance(each, MappingExpression):
            return list(each.items)
        if isinstance(each, Constant) and isinstance(each.value, dict):
            return list(cast("dict[str, Any]", each.value))
    return None


def task_id(node: str) -> str:
    """The id of the task of a node."""
    import re

    return re.sub(r"[^\w.-]", "_", node.replace("/", "."))


def choices_in(expression: Expression) -> list[Choose]:
    """The choices in an expression, the innermost first."""
    found = [choice for part in parts(expression) for choice in choices_in(part)]
    return [*found, expression] if isinstance(expression, Choose) else found


def _templated(value: object) -> bool:
    """Whether Airflow would fill in what a text says."""
    if isinstance(value, str):
        return "{{" in value or "{%" in value or "{#" in value
    if isinstance(value, dict):
        return any(map(_templated, cast("dict[Any, Any]", value).values()))
    return isinstance(value, (list, tuple, set)) and any(map(_templated, cast(Iterable[Any], value)))


__all__ = ["Terms", "choices_in", "keys_of", "task_id"]
