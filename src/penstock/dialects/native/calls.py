"""One node as a call of its task."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from penstock.authoring.placing import SPREAD
from penstock.dialects.code.arguments import arguments
from penstock.dialects.code.formatting import call, keywords, number, quoted
from penstock.dialects.code.naming import identifier
from penstock.dialects.code.scopes import Scope
from penstock.dialects.native.drafts import taken
from penstock.dialects.native.programs import question
from penstock.dialects.native.refs import Refs
from penstock.errors import DefinitionError
from penstock.model.action import ApprovalAction, OpaqueAction
from penstock.model.expression import Choose, Expression, Item, Output, leaves, parts
from penstock.model.graph import Each, Node, PipelineAction, Task

if TYPE_CHECKING:
    from penstock.dialects.native.writing import Writer

#: what built-in waits ask -> the name of the wait, and its inputs
_WAITS = {
    "time_reached": ("wait_for_time", ("when",)),
    "file_there": ("wait_for_file", ("path",)),
    "url_answers": ("wait_for_url", ("url", "status")),
    "artifact_there": ("wait_for_artifact", ("pipeline", "name", "since")),
    "asset_there": ("wait_for_asset", ("asset", "partition", "since")),
}


class Calls:
    """The calls of the nodes of one body."""

    def __init__(self, writer: Writer, refs: Refs, key: str, nodes: Mapping[str, Node]) -> None:
        self._writer = writer
        self._refs = refs
        self._key = key
        self._nodes = nodes
        self._scopes: list[Scope] = []
        self._names: dict[str, set[str]] = {}
        #: nodes that are a part of another's call
        self.hidden = frozenset(node.id for node in nodes.values() if self._begins_wait(node))

    def begin(self) -> None:
        """Begin anew, as if no node had been written."""
        self._names.clear()

    @contextmanager
    def within(self, scope: Scope) -> Generator[None]:
        """What is written in the block waits for what the scope sets up without saying so."""
        self._scopes.append(scope)
        try:
            yield
        finally:
            self._scopes.pop()

    def lines(self, node: Node) -> list[str]:
        """The statements of a node."""
        self._refs.node = node.id
        before, text = self._called(node)
        if node.id in self._refs.used:
            text = f"{self._refs.variables[node.id]} = {text}"
        return [*before, text]

    def _called(self, node: Node) -> tuple[list[str], str]:
        """The call of a node; where it cannot be written, that of a task which a person has to finish."""
        names = {group: set(each) for group, each in self._names.items()}
        try:
            return self._call(node)
        except DefinitionError as problem:
            self._names = names
            given = taken(node)
            inputs = [self._refs.text(each) for each in given]
            called = self._writer.drafted(node, self._key, problem, list(map(identifier, inputs)))
            return [], call(f"{called}{self._ordered(node, called)}", inputs)

    def _ordered(self, node: Node, called: str) -> str:
        """The options of what is called in place of a node: what it waits for."""
        options = {"name": quoted(_last(node.id))} if not self._is_automatic(node.id, _last(node.id)) else {}
        options |= self._order(node)
        return f".options({', '.join(keywords(options))})" if options else ""

    def _call(self, node: Node) -> tuple[list[str], str]:
        task = self._writer.graph.task_of(node)
        if isinstance(task.action, OpaqueAction):
            raise DefinitionError(
                f"{node.id!r} is {task.action.kind} of {task.action.dialect}, which penstock does not run",
                where=str(node.location),
                remedy="Write what it does as a task of your own.",
            )
        if isinstance(task.action, ApprovalAction):
            options = self._order(node)
            asked = question(task.action, _last(node.id), options, self._writer.imports)
            return [], call(asked, keywords({name: self._refs.text(each) for name, each in node.bindings.items()}))
        if isinstance(task.action, PipelineAction):
            return self._writer.nested(node, task, self._refs, self._node_options(node, task))
        wait = self._wait(node)
        if wait is not None:
            return [], wait
        name = self._writer.task_name(node.task)
        options = {**self._node_options(node, task), **self._writer.call_options(node, self._key)}
        called = f"{name}.options({', '.join(keywords(options))})" if options else name
        function = self._writer.definition.functions.get(node.task)
        shape = None if function is None else function.shape.parameters
        return [], applied(called, node, task, shape, self._refs)

    # Options of the node.

    def _node_options(self, node: Node, task: Task) -> dict[str, str]:
        options: dict[str, str] = {}
        if not self._is_automatic(node.id, task.name):
            options["name"] = quoted(_last(node.id))
        options |= self._order(node)
        if not node.decides and not self._in_teardown(node):
            options["decides"] = "False"
        if node.each is not None:
            if node.each.max_parallel is not None:
                options["max_parallel"] = repr(node.each.max_parallel)
            if node.each.failure_threshold:
                options["failure_threshold"] = repr(node.each.failure_threshold)
            if node.each.key is not None:
                options["key"] = self._key_text(node.each)
        return options

    def _is_automatic(self, node: str, task: str) -> bool:
        """Whether a node is called so by itself: after its task, or that with a number."""
        group = node.rpartition("/")[0]
        taken = self._names.setdefault(group, set())
        wanted, count = task, 1
        while wanted in taken:
            count += 1
            wanted = f"{task}-{count}"
        taken.add(_last(node))
        return wanted == _last(node)

    def _order(self, node: Node) -> dict[str, str]:
        options: dict[str, str] = {}
        given = set(_given(node))
        after = [
            self._refs.variable(name) for name in node.after if name not in given and not self._implied(node, name)
        ]
        if after:
            options["after"] = after[0] if len(after) == 1 else f"[{', '.join(after)}]"
        if node.join != "all_success" and not self._in_teardown(node):
            options["join"] = quoted(node.join) if isinstance(node.join, str) else self._refs.text(node.join)
        return options

    def _implied(self, node: Node, name: str) -> bool:
        """Whether a node waits for another because of the scope that it is in, or by a wait for so long."""
        return any(name in scope.setup and node.id in scope.body for scope in self._scopes)

    def _in_teardown(self, node: Node) -> bool:
        return any(node.id in scope.teardown for scope in self._scopes)

    def _key_text(self, each: Each) -> str:
        assert each.key is not None
        names = list(dict.fromkeys(leaf.name for leaf in leaves(each.key) if isinstance(leaf, Item)))
        taken = ["item" if name == SPREAD else name for name in names]
        return f"lambda {', '.join(taken)}: {self._refs.text(each.key)}"

    # Waits and exit handlers.

    def _begins_wait(self, node: Node) -> bool:
        function = self._writer.definition.functions.get(node.task)
        return _function_name(function) == "moment_after"

    def _wait(self, node: Node) -> str | None:
        """The call of a built-in wait; None for any other node."""
        function = _function_name(self._writer.definition.functions.get(node.task))
        if function not in _WAITS or node.wait is None:
            return None
        wait, inputs = _WAITS[function]
        given = {name: self._refs.text(node.bindings[name]) for name in inputs if name in node.bindings}
        begin = node.bindings.get("when")
        first = self._nodes.get(begin.node) if isinstance(begin, Output) else None
        order = self._order(node)
        if first is not None and first.id in self.hidden:
            wait = "wait_for_duration"
            given = {"seconds": self._refs.text(first.bindings["seconds"])}
            order = self._order(first)
        options = dict(order)
        if not self._is_automatic(node.id, wait):
            options["node_name" if wait == "wait_for_artifact" else "name"] = quoted(_last(node.id))
        options |= self._writer.wait_options(node)
        main, *others = given
        rest = {name: given[name] for name in others if given[name] not in ("None", '""')}
        return call(self._writer.imports.name("penstock", wait), [given[main], *keywords({**rest, **options})])

    def handler(self, node: Node) -> str:
        """An exit handler as it is given to `on_exit`."""
        self._refs.node = node.id
        task = self._writer.graph.task_of(node)
        options = self._writer.call_options(node, self._key)
        if not self._is_automatic(node.id, task.name):
            options["name"] = quoted(_last(node.id))
        name = self._writer.task_name(node.task)
        return f"{name}.options({', '.join(keywords(options))})" if options else name


def applied(called: str, node: Node, task: Task, shape: Any, refs: Refs) -> str:
    """A call with the arguments of a node; of a fan-out, of `map`, `product` or `map_kwargs`."""
    each = node.each
    if each is None:
        return call(called, arguments(node.bindings, task, shape, refs))
    fixed = {name: each_ for name, each_ in node.bindings.items() if each_ != Item(name) or name not in each.over}
    odd = next((name for name, found in fixed.items() if any(isinstance(leaf, Item) for leaf in leaves(found))), None)
    if odd is not None:
        raise DefinitionError(
            f"{node.id!r} takes a part of each item for {odd!r}, and mapped tasks take items whole",
            where=str(node.location),
            remedy="Take the part inside the task.",
        )
    if fixed:
        called = call(f"{called}.partial", keywords({name: refs.text(found) for name, found in fixed.items()}))
    over = {name: refs.text(found) for name, found in each.over.items()}
    if each.spread is not None:
        return call(f"{called}.map_kwargs", [over[each.spread]])
    if each.mode == "product":
        return call(f"{called}.product", keywords(over))
    first = next((port.name for port in task.inputs if port.name not in fixed), None)
    if len(over) == 1 and next(iter(over)) == first:
        return call(f"{called}.map", over.values())
    return call(f"{called}.map", keywords(over))


def wait_text(node: Node) -> dict[str, str]:
    """How a node asks again and again, as options."""
    from penstock.model.graph import Wait

    wait, usual = node.wait, Wait()
    if wait is None:
        return {}
    found: dict[str, str] = {}
    for option, field in (("poll", "poll"), ("backoff", "factor"), ("timeout", "timeout")):
        value = getattr(wait, field)
        if value != getattr(usual, field):
            found[option] = number(value)
    if wait.longest != max(usual.longest, wait.poll):
        found["longest"] = number(wait.longest)
    if wait.on_timeout != "fail":
        found["on_timeout"] = quoted(wait.on_timeout)
    return found


def _function_name(task: Any) -> str:
    function: Callable[..., Any] | None = getattr(task, "function", None)
    if function is None or getattr(function, "__module__", "") != "penstock.waiting":
        return ""
    return function.__name__


def _given(node: Node) -> Iterable[str]:
    """The nodes whose results a node takes, so that it waits for them anyway."""
    taken = [*node.bindings.values(), *(() if node.each is None else node.each.over.values())]
    return (leaf.node for each in taken for leaf in _certain(each) if isinstance(leaf, Output))


def _certain(expression: Expression) -> Iterable[Expression]:
    """What an expression is made of, without what it may do without."""
    if isinstance(expression, Choose):
        return
    inside = parts(expression)
    if not inside:
        yield expression
    for part in inside:
        yield from _certain(part)


def _last(node: str) -> str:
    return node.rpartition("/")[2]


__all__ = ["Calls", "applied", "wait_text"]
