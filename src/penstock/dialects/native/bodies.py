"""The body of a pipeline: calls of tasks in their groups, scopes and branches."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from penstock.dialects.code.formatting import block, quoted
from penstock.dialects.code.guards import Branch, alternatives, branched, either, levels
from penstock.dialects.code.naming import identifier
from penstock.dialects.code.nesting import Nest, nested
from penstock.dialects.code.scopes import Scope
from penstock.dialects.native.calls import Calls
from penstock.dialects.native.refs import Refs
from penstock.errors import DefinitionError
from penstock.model.expression import Apply, Constant, Expression
from penstock.model.graph import Node

if TYPE_CHECKING:
    from penstock.dialects.native.writing import Writer


class Switch(NamedTuple):
    """A switch whose cases are being written."""

    choice: Expression
    variable: str
    #: the conditions of the cases so far
    taken: tuple[Expression, ...] = ()


class Body:
    """The lines of one body."""

    def __init__(self, writer: Writer, nodes: Sequence[Node], refs: Refs, key: str) -> None:
        self._writer = writer
        self._nodes = {node.id: node for node in nodes}
        self._refs = refs
        self._calls = Calls(writer, refs, key, self._nodes)
        self._switches = 0

    def lines(self, result: Expression, skipped: frozenset[str]) -> list[str]:
        """All statements of the body; `skipped` are exit handlers that belong to the pipeline as a whole."""
        hidden = skipped | self._calls.hidden
        tree = nested(list(self._nodes.values()), hidden)
        if tree is None:
            raise DefinitionError(
                "the groups of this pipeline stand in each other's way: what is between two tasks of a group depends on one "
                "and is needed by the other",
                remedy="Take one of the tasks out of the group.",
            )
        # what is used is known only once all is written: first without effect
        self._refs.node = "the result"
        returned = [] if result == Constant(None) else [f"return {self._refs.text(result)}"]
        self._inside(tree)
        self._switches = 0
        self._calls.begin()
        return _ended(self._inside(tree), returned) or ["pass"]

    def handler(self, node: Node) -> str:
        """An exit handler as an option of the pipeline."""
        return self._calls.handler(node)

    def _inside(self, nest: Nest) -> list[str]:
        children: list[Nest | Node] = nest.children
        if isinstance(nest.step, Scope):
            around = {*nest.step.setup, *nest.step.teardown}
            children = [child for child in children if isinstance(child, Nest) or child.id not in around]
        return self._branches(branched(children, self._guard))

    def _guard(self, child: Nest | Node) -> tuple[Expression, ...]:
        """The conditions of a node; of a group, those that all in it have in common are written inside."""
        return levels(child.guard) if isinstance(child, Node) else ()

    def _branches(self, items: Sequence[Any]) -> list[str]:
        lines: list[str] = []
        switch: Switch | None = None
        for item in items:
            if not isinstance(item, Branch):
                lines += self._child(item)
                switch = None
                continue
            opened, switch = self._opened(item, switch)
            lines += [*opened, *block(self._branches(item.inside) or ["pass"])]
        return lines

    def _opened(self, branch: Branch, switch: Switch | None) -> tuple[list[str], Switch | None]:
        """The lines that open a branch, and the switch that it belongs to."""
        self._refs.node = "a condition"
        condition = branch.whole if branch.condition is None else branch.condition
        negated = isinstance(condition, Apply) and condition.operator == "not"
        inner = condition.arguments[0] if isinstance(condition, Apply) and negated else condition
        cases = [case for each in _flat(inner) if (case := _case(each)) is not None]
        if len(cases) == len(_flat(inner)) and branch.kind != "elif":
            return self._case(cases, inner, negated, switch)
        if branch.kind == "otherwise":
            return [f"with {self._name('otherwise')}():"], None
        word = "when" if branch.kind == "if" else "elif_"
        return [f"with {self._name(word)}({self._refs.text(condition)}):"], None

    def _case(
        self, cases: Sequence[tuple[Expression, Any]], whole: Expression, default: bool, switch: Switch | None
    ) -> tuple[list[str], Switch | None]:
        choice = cases[0][0]
        lines: list[str] = []
        if switch is None or not _goes_on(switch, choice, cases, whole, default):
            self._switches += 1
            switch = Switch(choice, "choice" if self._switches == 1 else f"choice_{self._switches}")
            lines.append(f"{switch.variable} = {self._name('switch')}({self._refs.text(choice)})")
            for _, each in cases if default else ():
                lines += [f"with {switch.variable}.case({self._refs.value(each)}):", *block(["pass"])]
        if default:
            return [*lines, f"with {switch.variable}.default():"], None
        names = ", ".join(self._refs.value(name) for _, name in cases)
        return [*lines, f"with {switch.variable}.case({names}):"], switch._replace(taken=(*switch.taken, whole))

    def _child(self, child: Nest | Node) -> list[str]:
        if isinstance(child, Node):
            return self._calls.lines(child)
        if isinstance(child.step, str):
            return [f"with {self._name('group')}({quoted(child.step)}):", *block(self._inside(child))]
        return self._scope(child, child.step) if isinstance(child.step, Scope) else []

    def _scope(self, nest: Nest, scope: Scope) -> list[str]:
        if not scope.setup:
            handlers = [self._calls.handler(self._nodes[name]) for name in scope.teardown]
            return [f"with {self._name('on_exit')}({', '.join(handlers)}):", *block(self._inside(nest))]
        around = [child for child in nest.children if isinstance(child, Node)]
        setup = [node for node in around if node.id in scope.setup]
        teardown = [node for node in around if node.id in scope.teardown]
        with self._calls.within(scope):
            body = self._inside(nest)
            before = self._branches(branched(setup, self._guard))
            after = self._branches(branched(teardown, self._guard))
        handles = [self._refs.variables[node.id] for node in setup if node.id in self._refs.used]
        name = f"{identifier(scope.setup[0].rpartition('/')[2])}_scope"
        iterator = self._writer.imports.name("collections.abc", "Iterator")
        value = self._writer.imports.name("typing", "Any")
        handle = handles[0] if len(handles) == 1 else f"({', '.join(handles)})" if handles else ""
        yielded = f"yield {handle}".rstrip()
        return [
            f"@{self._name('scope')}",
            f"def {name}() -> {iterator}[{value}]:",
            *block([*before, yielded, *after]),
            "",
            f"with {name}(){f' as {handle}' if handle else ''}:",
            *block(body or ["pass"]),
        ]

    def _name(self, name: str) -> str:
        return self._writer.imports.name("penstock", name)


def _ended(lines: list[str], returned: list[str]) -> list[str]:
    """The lines of a body; what the last of them assigns only to return it is returned at once."""
    if returned and lines:
        name = returned[0].removeprefix("return ")
        uses = sum(len(re.findall(rf"\b{re.escape(name)}\b", line)) for line in lines) if name.isidentifier() else 0
        if uses == 1 and lines[-1].startswith(f"{name} = "):
            return [*lines[:-1], f"return {lines[-1].removeprefix(f'{name} = ')}"]
    return [*lines, *returned]


def _case(condition: Expression) -> tuple[Expression, Any] | None:
    match condition:
        case Apply("selects", (choice, Constant(name))):
            return choice, name
        case _:
            return None


def _names(condition: Expression) -> list[Any]:
    return [case[1] for each in _flat(condition) if (case := _case(each)) is not None]


def _goes_on(
    switch: Switch, choice: Expression, cases: Sequence[tuple[Expression, Any]], whole: Expression, default: bool
) -> bool:
    """Whether a case, or the default, belongs to a switch that is there already."""
    if switch.choice != choice or not switch.taken:
        return False
    if default:
        return either(switch.taken) == whole
    taken = [name for each in switch.taken for name in _names(each)]
    return all(name not in taken for _, name in cases)


def _flat(condition: Expression) -> list[Expression]:
    """All conditions of which one has to hold."""
    listed = alternatives(condition)
    return listed if len(listed) == 1 else [part for each in listed for part in _flat(each)]


__all__ = ["Body"]
