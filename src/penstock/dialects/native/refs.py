"""Expressions over refs: what stands for what in the body of a pipeline that is written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from penstock.dialects.code.expressions import OVER_REFS, python
from penstock.dialects.code.formatting import Imports, Unwritable, call, literal
from penstock.dialects.code.parts import port_text, rewritten
from penstock.errors import DefinitionError
from penstock.model.expression import (
    Apply,
    Choose,
    Constant,
    Ended,
    Expression,
    Input,
    Item,
    Outcome,
    Output,
    Parameter,
    Sequence,
)
from penstock.model.graph import Task
from penstock.model.run import ENDED, FRUITFUL

_WORDS = {
    frozenset(state.value for state in FRUITFUL): "succeeded",
    frozenset({"failed", "upstream_failed"}): "failed",
    frozenset({"skipped"}): "skipped",
    frozenset(state.value for state in ENDED): "done",
}


class Refs:
    """The names of a body, and of what is around it."""

    def __init__(
        self,
        variables: Mapping[str, str],
        inputs: Callable[[str], str],
        task_of: Callable[[str], Task | None],
        imports: Imports,
    ) -> None:
        #: node -> variable
        self.variables = variables
        self.inputs = inputs
        self._task_of = task_of
        self._imports = imports
        #: the variables that were asked for
        self.used: set[str] = set()
        #: the node that something is written for now
        self.node = ""

    def variable(self, node: str) -> str:
        """The variable of a node, which is then used."""
        self.used.add(node)
        return self.variables[node]

    def text(self, expression: Expression) -> str:
        """An expression as text. Raises DefinitionError for one that refs do not have."""
        try:
            return python(_rewritten(rewritten(expression, self._joined)), self._leaf, self._imports, OVER_REFS)
        except Unwritable as problem:
            raise DefinitionError(
                f"{self.node!r} is given {problem}, which cannot be written as Python",
                remedy="Make it in a task, and pass on its result.",
            ) from None

    def _joined(self, expression: Expression) -> Expression | None:
        """Text with texts in it, put together: refs do not go into a text before there is a value."""
        match expression:
            case Apply("mod", (Constant(form), Sequence(items))) if isinstance(form, str):
                pieces = [each.replace("%%", "%") for each in form.split("%s")]
                if len(pieces) != len(items) + 1 or not all(map(self._is_text, items)):
                    return None
                pairs = zip(items, map(Constant, pieces[1:]), strict=True)
                listed = [Constant(pieces[0]), *(each for pair in pairs for each in pair)]
                kept = [each for each in listed if each != Constant("")]
                whole = kept[0]
                for each in kept[1:]:
                    whole = Apply("add", (whole, each))
                return whole
            case _:
                return None

    def _is_text(self, expression: Expression) -> bool:
        if not isinstance(expression, Output):
            return False
        task = self._task_of(expression.node)
        types = [each.type for each in task.outputs if expression.port in (None, each.name)] if task is not None else []
        return types == ["str"]

    def _leaf(self, expression: Expression) -> str:
        match expression:
            case Parameter(name):
                return name
            case Input(name):
                return self.inputs(name)
            case Output(node, port):
                return f"{self.variable(node)}{self._port(node, port)}"
            case Ended(node, states):
                return self._ended(node, frozenset(states))
            case Outcome(nodes):
                return call(self._imports.name("penstock", "outcome"), map(self.variable, nodes))
            case Choose(options):
                return call(self._imports.name("penstock", "choose"), map(self.text, options))
            case Item(name):
                return "item" if name == "kwargs" else name
            case _:
                raise DefinitionError(
                    f"{self.node!r} takes a stored value, which is not in the file",
                    remedy="Give it the value as a parameter.",
                )

    def _port(self, node: str, port: str | None) -> str:
        task = self._task_of(node)
        # of what a person is to write, the result is what it returns
        return "" if task is None and port == "result" else port_text(task, port)

    def _ended(self, node: str, states: frozenset[str]) -> str:
        word = _WORDS.get(states)
        if word is not None:
            return call(self._imports.name("penstock", word), [self.variable(node)])
        parts = [name for known, name in _WORDS.items() if known <= states]
        covered = frozenset[str]().union(*(known for known, name in _WORDS.items() if name in parts))
        if covered != states:
            raise DefinitionError(
                f"{self.node!r} asks whether {node!r} is {' or '.join(sorted(states))}",
                remedy="Ask whether it succeeded, failed, was skipped, or is done.",
            )
        return f"({' | '.join(call(self._imports.name('penstock', part), [self.variable(node)]) for part in parts)})"

    def value(self, value: object) -> str:
        """A plain value as text. Raises DefinitionError."""
        try:
            return literal(value, self._imports)
        except Unwritable as problem:
            raise DefinitionError(f"{self.node!r} is given {problem}, which cannot be written as Python") from None


def _rewritten(expression: Expression) -> Expression:
    """The same without `in`, which refs do not have, over a list that is known."""
    match expression:
        case Apply("in", (element, Constant(value))) if isinstance(value, (list, tuple, set, frozenset)):
            listed = list(cast(Iterable[Any], value))
            tests = [Apply("eq", (element, Constant(each))) for each in listed]
            found: Expression = Constant(False)
            for number, test in enumerate(tests):
                found = test if number == 0 else Apply("or", (found, test))
            return found
        case Apply("in" | "selects", _):
            raise Unwritable("a condition that asks whether something is in a result")
        case Apply(name, arguments):
            return Apply(name, tuple(map(_rewritten, arguments)))
        case _:
            return expression


__all__ = ["Refs"]
