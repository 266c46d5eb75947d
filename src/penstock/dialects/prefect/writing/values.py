"""What stands for the results of nodes in a flow: futures where they are handed on, values where Python needs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from penstock.dialects.code.expressions import python
from penstock.dialects.code.formatting import Imports, Unwritable, literal, quoted
from penstock.dialects.code.parts import keyed, port_text
from penstock.dialects.prefect.writing.conditions import Ran, Rule
from penstock.errors import DefinitionError
from penstock.model.expression import Choose, Constant, Ended, Expression, Input, Item, Output, Parameter, references
from penstock.model.graph import Task
from penstock.model.run import ENDED, FRUITFUL

#: a future; futures of a fan-out, as Prefect's own list or a plain list or dict; or the value itself
Kind = Literal["future", "futures", "list", "dict", "value"]

_WORDS = {
    "succeeded": frozenset(state.value for state in FRUITFUL),
    "failed": frozenset({"failed", "upstream_failed"}),
    "skipped": frozenset({"skipped"}),
}
_DONE = frozenset(state.value for state in ENDED)
_RULES: Mapping[str, str] = {
    "all_success": 'all(each == "succeeded" for each in {states})',
    "all_failed": 'all(each == "failed" for each in {states})',
    "all_done": "all({states})",
    "all_skipped": 'all(each == "skipped" for each in {states})',
    "one_success": '"succeeded" in {states}',
    "one_failed": '"failed" in {states}',
    "one_done": 'any(each != "skipped" for each in {states})',
    "none_failed": '"failed" not in {states}',
    "none_skipped": '"skipped" not in {states}',
    "none_failed_min_one_success": '"failed" not in {states} and "succeeded" in {states}',
}


class Values:
    """The names of a flow."""

    def __init__(
        self,
        variables: Mapping[str, str],
        kinds: Mapping[str, Kind],
        inputs: Callable[[str], str],
        task_of: Callable[[str], Task | None],
        imports: Imports,
    ) -> None:
        self.variables = variables
        self.kinds = kinds
        self._inputs = inputs
        self._task_of = task_of
        self.imports = imports
        #: nodes that may be None where they are used now
        self.maybe: frozenset[str] = frozenset()
        #: what failed is handed on as None
        self.tolerant = False
        #: helpers that the file needs
        self.helpers: set[str] = set()
        self.node = ""
        #: the variables of what is mapped over, in a comprehension
        self.items: Mapping[str, str] = {}
        self.used: set[str] = set()

    def text(self, expression: Expression) -> str:
        """An expression as the argument of a task, which may have futures in it."""
        if isinstance(expression, Output) and expression.port is None:
            name = self._name(expression.node)
            if self.tolerant and self.kinds[expression.node] != "value":
                return self._helper("result_of", name)
            return name
        if isinstance(expression, Choose):
            return self._chosen(expression, self.text)
        if type(expression).__name__ in ("Sequence", "Mapping"):
            return self._python(expression, futures=True)
        return self.plain(expression)

    def plain(self, expression: Expression) -> str:
        """An expression over values; what is not there yet is waited for."""
        return self._python(expression, futures=False)

    def value(self, value: object) -> str:
        """A plain value. Raises DefinitionError."""
        try:
            return literal(value, self.imports)
        except Unwritable as problem:
            raise DefinitionError(f"{self.node!r} is given {problem}, which cannot be written as Python") from None

    def _python(self, expression: Expression, *, futures: bool) -> str:
        leaf = self._future_leaf if futures else self._leaf
        try:
            return python(keyed(expression, self._task_of), leaf, self.imports)
        except Unwritable as problem:
            raise DefinitionError(
                f"{self.node!r} is given {problem}, which cannot be written as Python",
                remedy="Make it in a task, and pass on its result.",
            ) from None

    def _future_leaf(self, expression: Expression) -> str:
        return self.text(expression) if isinstance(expression, (Output, Choose)) else self._leaf(expression)

    def _leaf(self, expression: Any) -> str:
        match expression:
            case Parameter(name):
                return name
            case Input(name):
                return self._inputs(name)
            case Item(name):
                return self.items.get(name, "item" if name == "kwargs" else name)
            case Output(node, port):
                return f"{self.result(node)}{self._port(node, port)}"
            case Ended(node, states):
                return self._ended(node, frozenset(states))
            case Choose():
                return self._chosen(expression, self.plain)
            case Ran(nodes):
                return " or ".join(f"{self._name(each)} is not None" for each in nodes)
            case Rule(name, nodes):
                states = ", ".join(self._helper("state_of", self._name(each)) for each in nodes)
                inside = f"({states},)" if len(nodes) == 1 else f"({states})"
                return _RULES[name].replace("{states}", inside)
            case _:
                raise DefinitionError(
                    f"{self.node!r} takes {type(expression).__name__.lower()}, which Prefect has not",
                    remedy="Let an exit handler take nothing, and pass values as parameters.",
                )

    def result(self, node: str) -> str:
        """The value of a node."""
        name, kind = self._name(node), self.kinds[node]
        if kind == "value":
            return name
        if self.tolerant or node in self.maybe:
            return self._helper("result_of", name)
        if kind == "list":
            return f"[each.result() for each in {name}]"
        if kind == "dict":
            return f"{{key: each.result() for key, each in {name}.items()}}"
        return f"{name}.result()"

    def _port(self, node: str, port: str | None) -> str:
        return port_text(self._task_of(node), port)

    def _chosen(self, choice: Choose, write: Callable[[Expression], str]) -> str:
        found = ""
        for option in choice.options:
            names = list(dict.fromkeys(references(option)))
            if isinstance(option, Constant) or not names:
                return f"{found}{write(option)}"
            if option is choice.options[-1]:
                return f"{found}{write(option)}"
            before, self.maybe = self.maybe, self.maybe - set(names)
            test = " and ".join(f"{self._name(name)} is not None" for name in names)
            found += f"{write(option)} if {test} else "
            self.maybe = before
        return found

    def _ended(self, node: str, states: frozenset[str]) -> str:
        state = self._helper("state_of", self._name(node))
        if states == _DONE:
            return f'{state} != ""'
        words = [word for word, known in _WORDS.items() if known & states]
        return f"{state} == {quoted(words[0])}" if len(words) == 1 else f"{state} in {tuple(words)}".replace("'", '"')

    def _name(self, node: str) -> str:
        self.used.add(node)
        return self.variables[node]

    def _helper(self, name: str, argument: str) -> str:
        self.helpers.add("result_of" if name == "result_of" else "state_of")
        if name == "result_of":
            self.helpers.add("state_of")
        return f"{name}({argument})"


__all__ = ["Kind", "Values"]
