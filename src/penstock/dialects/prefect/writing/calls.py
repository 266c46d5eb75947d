"""The body of a flow: tasks as they are submitted, in `if`s, loops and `try`s."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from penstock.authoring.placing import SPREAD
from penstock.dialects.code.arguments import arguments
from penstock.dialects.code.formatting import block, call, keywords, quoted
from penstock.dialects.code.guards import Branch, branched
from penstock.dialects.code.naming import identifier
from penstock.dialects.code.nesting import Nest, nested
from penstock.dialects.code.scopes import Scope
from penstock.dialects.prefect.writing.conditions import Ran, conditions_of, within
from penstock.dialects.prefect.writing.questions import asked
from penstock.dialects.prefect.writing.tasks import task_options
from penstock.dialects.prefect.writing.values import Kind, Values
from penstock.errors import DefinitionError
from penstock.model.action import ApprovalAction
from penstock.model.expression import (
    Constant,
    Expression,
    Input,
    Item,
    Outcome,
    Output,
    Parameter,
    leaves,
    references,
)
from penstock.model.expression import Mapping as MappingExpression
from penstock.model.graph import Node, PipelineAction, Task

if TYPE_CHECKING:
    from penstock.dialects.prefect.writing.flows import Writer


class Flow:
    """The lines of one flow."""

    def __init__(self, writer: Writer, nodes: Sequence[Node], values: Values) -> None:
        self._writer = writer
        self._nodes = list(nodes)
        self._values = values
        optional = {node.id: "" for node in nodes if self._is_asked(node)}
        self._conditions = conditions_of(nodes, optional)
        tree = nested(self._nodes, groups=False)
        if tree is None:
            raise DefinitionError(
                "what is set up and taken down in this pipeline does not stand in one piece, as a `try` has to",
                remedy="Let what is set up first be taken down last.",
            )
        self._tree = tree
        self._direct = self._direct_nodes(tree)
        kinds: dict[str, Kind] = {node.id: self._kind(node) for node in nodes}
        values.kinds = kinds
        #: nodes whose variables may be None
        self._maybe = {node.id for node in nodes if self._conditions[node.id] or node.id in optional}

    def lines(self, result: Expression) -> list[str]:
        """All statements of the flow."""
        values = self._values
        values.maybe = frozenset(self._maybe)
        values.node = "the result"
        returned = [] if result == Constant(None) else [f"return {values.plain(result)}"]
        self._inside(self._tree)
        lines = self._inside(self._tree)
        # what may not be called is there all the same
        wanted = [values.variables[name] for name in self._outside() if name in values.used]
        ending = self._ending(returned)
        self._writer.helpers |= values.helpers
        return [*(f"{name} = None" for name in wanted), *lines, *ending, *returned] or ["pass"]

    def _outside(self) -> list[str]:
        """Nodes that are read where it is not known whether they were called."""
        found: set[str] = set()
        for node in self._nodes:
            own = self._conditions[node.id]
            for name in self._read(node):
                if not within(self._conditions.get(name, ()), own) or any(isinstance(each, Ran) for each in own):
                    found.add(name)
        found |= {name for name in self._maybe if name in self._values.used}
        return [node.id for node in self._nodes if node.id in found & self._maybe and self._conditions[node.id]]

    def _read(self, node: Node) -> set[str]:
        names = set(node.upstream())
        for each in self._conditions[node.id]:
            names |= set(each.nodes) if isinstance(each, Ran) else set()
        return names

    # What ends a flow.

    def _ending(self, returned: list[str]) -> list[str]:
        """The lines that wait for what nothing else waits for, and fail where one of these has."""
        read = {name for node in self._nodes for name in node.upstream()}
        last = [
            node
            for node in self._nodes
            if node.id not in read and not self._conditions[node.id] and self._values.kinds[node.id] != "value"
        ]
        names = [self._values.variables[node.id] for node in last]
        lines: list[str] = []
        text = " ".join(returned)
        if len(last) > 1:
            waiting = [
                f"*{name}" if self._values.kinds[node.id] != "future" else name
                for name, node in zip(names, last, strict=True)
            ]
            waiting = [
                f"{name}.values()" if self._values.kinds[node.id] == "dict" else name
                for name, node in zip(waiting, last, strict=True)
            ]
            lines.append(f"{self._writer.imports.name('prefect.futures', 'wait')}([{', '.join(waiting)}])")
        for name, node in zip(names, last, strict=True):
            self._values.used.add(node.id)
            if re.search(rf"\b{name}\b", text) is None:
                lines.append(self._values.result(node.id))
        return lines

    # Blocks.

    def _inside(self, nest: Nest) -> list[str]:
        children: list[Any] = list(nest.children)
        if isinstance(nest.step, Scope):
            around = {*nest.step.setup, *nest.step.teardown}
            children = [each for each in children if isinstance(each, Nest) or each.id not in around]
        return self._branches(branched(children, self._guard))

    def _guard(self, child: Nest | Node) -> tuple[Any, ...]:
        return self._conditions[child.id] if isinstance(child, Node) else ()

    def _branches(self, items: Sequence[Any]) -> list[str]:
        lines: list[str] = []
        for item in items:
            if not isinstance(item, Branch):
                lines += self._child(item)
                continue
            if item.kind == "otherwise":
                lines.append("else:")
            else:
                word = "if" if item.kind == "if" else "elif"
                self._values.node = "a condition"
                lines.append(f"{word} {self._values.plain(cast(Any, item.condition))}:")
            lines += block(self._branches(item.inside) or ["pass"])
        return lines

    def _child(self, child: Nest | Node) -> list[str]:
        if isinstance(child, Node):
            return self._node(child)
        scope = cast(Scope, child.step)
        own = [each for each in child.children if isinstance(each, Node)]
        setup = self._branches(branched([each for each in own if each.id in scope.setup], self._guard))
        teardown = [line for each in own if each.id in scope.teardown for line in self._node(each)]
        body = [*self._inside(child), *self._waiting(child, scope)]
        return [*setup, "try:", *block(body or ["pass"]), "finally:", *block(teardown)]

    def _waiting(self, nest: Nest, scope: Scope) -> list[str]:
        """The line that waits for all that was submitted in a block before it is left."""
        futures = [
            node
            for node in nest.nodes()
            if node.id in scope.body and self._values.kinds[node.id] == "future" and not self._conditions[node.id]
        ]
        if not futures:
            return []
        self._values.used |= {node.id for node in futures}
        names = ", ".join(self._values.variables[node.id] for node in futures)
        return [f"{self._writer.imports.name('prefect.futures', 'wait')}([{names}])"]

    def _direct_nodes(self, tree: Nest) -> set[str]:
        """Nodes that are called, and not submitted: they set up or take down, or end a branch."""
        found: set[str] = set()

        def look(nest: Nest) -> None:
            if isinstance(nest.step, Scope):
                found.update(nest.step.setup, nest.step.teardown)
            for child in nest.children:
                if isinstance(child, Nest):
                    look(child)

        look(tree)
        read = {name for node in self._nodes for name in node.upstream()}
        found |= {node.id for node in self._nodes if self._conditions[node.id] and node.id not in read}
        return found

    # Nodes.

    def _is_asked(self, node: Node) -> bool:
        return isinstance(self._writer.graph.task_of(node).action, ApprovalAction)

    def _kind(self, node: Node) -> Kind:
        task = self._writer.graph.task_of(node)
        if isinstance(task.action, (PipelineAction, ApprovalAction)) or node.fallback is not None:
            return "value"
        each = node.each
        if each is None:
            return "value" if node.id in self._direct else "future"
        if _keys(each.over) is not None:
            return "dict"
        return "list" if each.mode == "product" or each.spread is not None or _takes_part_of_item(node) else "futures"

    def _node(self, node: Node) -> list[str]:
        values = self._values
        values.node = node.id
        values.tolerant = node.join not in ("all_success",) and not (node.final and not node.decides)
        values.maybe = frozenset(self._maybe - self._certain(node))
        if any(isinstance(leaf, Outcome) for each in node.bindings.values() for leaf in leaves(each)):
            raise DefinitionError(
                f"{node.id!r} takes penstock's Outcome of other tasks, which Prefect does not have",
                where=str(node.location),
                remedy="Let it take nothing.",
            )
        if node.each is not None and node.each.failure_threshold:
            raise DefinitionError(
                f"{node.id!r} goes on though some of its items have failed, which Prefect does not do",
                where=str(node.location),
                remedy="Leave out failure_threshold, and catch what may be raised inside the task.",
            )
        lines = self._statements(node)
        values.tolerant = False
        return lines

    def _certain(self, node: Node) -> set[str]:
        """Nodes that were called where this one is."""
        own = self._conditions[node.id]
        return {name for name, each in self._conditions.items() if within(each, own)}

    def _statements(self, node: Node) -> list[str]:
        task = self._writer.graph.task_of(node)
        if isinstance(task.action, ApprovalAction):
            return asked(self._writer, node, task, self._values)
        if isinstance(task.action, PipelineAction):
            return self._waits(node) + self._body(node, task, task.action)
        if node.fallback is not None:
            return self._with_fallback(node, task)
        text = self._called(node, task)
        return [f"{self._values.variables[node.id]} = {text}" if self._is_read(node) else text]

    def _is_read(self, node: Node) -> bool:
        read = any(node.id in other.upstream() for other in self._nodes)
        return read or node.id in self._values.used or self._values.kinds[node.id] != "value"

    def _waits(self, node: Node) -> list[str]:
        """What a node that is called at once waits for besides."""
        names = [name for name in node.after if self._values.kinds[name] == "future"]
        if not names:
            return []
        wait = self._writer.imports.name("prefect.futures", "wait")
        return [f"{wait}([{', '.join(self._values._name(name) for name in names)}])"]  # pyright: ignore[reportPrivateUsage]

    def _called(self, node: Node, task: Task, *, direct: bool = False) -> str:
        name = self._configured(node, task)
        function = self._writer.definition.functions.get(node.task)
        shape = None if function is None else function.shape.parameters
        if node.each is not None:
            return self._mapped(name, node)
        given = arguments(node.bindings, task, shape, self._values)
        given += self._wait_for(node)
        if node.final and not node.decides:
            # whether it works decides nothing
            return call(name, [*given, "return_state=True"])
        submitted = self._values.kinds[node.id] == "future" and not direct
        return call(f"{name}.submit" if submitted else name, given)

    def _wait_for(self, node: Node) -> list[str]:
        names = [name for name in node.after if self._values.kinds[name] != "value"]
        if node.join != "all_success" or (node.final and not node.decides) or not names:
            return []
        self._values.used |= set(names)
        return [f"wait_for=[{', '.join(self._values.variables[name] for name in names)}]"]

    def _configured(self, node: Node, task: Task) -> str:
        """The task, with what the node wants otherwise."""
        name = self._writer.task_name(node.task)
        options = task_options(node.policy, self._writer.first(node.task).policy, self._writer.imports)
        called = node.id.rpartition("/")[2]
        if called.partition("-")[0] != task.name.partition("-")[0]:
            options = {"name": quoted(called), **options}
        return f"{name}.with_options({', '.join(keywords(options))})" if options else name

    def _mapped(self, name: str, node: Node) -> str:
        each = node.each
        assert each is not None
        values = self._values
        fixed = {key: found for key, found in node.bindings.items() if found != Item(key)}
        keys = _keys(each.over)
        if keys is not None or each.spread is not None or each.mode == "product" or _takes_part_of_item(node):
            return self._comprehension(f"{name}.submit", node, self._wait_for(node))
        given = {key: values.text(found) for key, found in each.over.items()}
        unmapped = self._writer.imports.name("prefect", "unmapped") if fixed else ""
        given |= {key: call(unmapped, [values.text(found)]) for key, found in fixed.items()}
        return call(f"{name}.map", [*keywords(given), *self._wait_for(node)])

    def _comprehension(self, called: str, node: Node, more: Sequence[str] = ()) -> str:
        """A fan-out as a comprehension of calls."""
        each = node.each
        assert each is not None
        values = self._values
        values.items = self._item_names(each.over)
        fixed = {name: values.text(found) for name, found in node.bindings.items() if found != Item(name)}
        values.items = {}
        over = {name: values.plain(found) for name, found in each.over.items()}
        keys = _keys(each.over)
        if each.spread is not None:
            rows = over[SPREAD]
            given = [*keywords(fixed), "**row", *more]
            if keys is not None:
                return f"{{key: {call(called, given)} for key, row in {rows}.items()}}"
            return f"[{call(called, given)} for row in {rows}]"
        names = self._item_names(over)
        whole = {name: names[name] for name in over if node.bindings.get(name, Item(name)) == Item(name)}
        given = [*keywords({**whole, **fixed}), *more]
        if keys is not None:
            (first, rows), *others = over.items()
            if others:
                rows = f"zip({rows}, {', '.join(f'{text}.values()' for _, text in others)})"
                raise DefinitionError(
                    f"{node.id!r} is mapped over several dicts in step", remedy="Map over one dict, or over lists."
                )
            return f"{{key: {call(called, given)} for key, {names[first]} in {rows}.items()}}"
        if each.mode == "product":
            loops = " ".join(f"for {names[name]} in {text}" for name, text in over.items())
            return f"[{call(called, given)} {loops}]"
        if len(over) == 1:
            return f"[{call(called, given)} for {names[next(iter(over))]} in {next(iter(over.values()))}]"
        return (
            f"[{call(called, given)} for {', '.join(names.values())} in zip({', '.join(over.values())}, strict=True)]"
        )

    def _item_names(self, over: Iterable[str]) -> dict[str, str]:
        """The variables of a comprehension, none of which is a function of the file."""
        return {name: f"one_{name}" if self._writer.is_taken(f"each_{name}") else f"each_{name}" for name in over}

    def _with_fallback(self, node: Node, task: Task) -> list[str]:
        """A call, and what takes its place where it fails."""
        fallback, variable = node.fallback, self._values.variables[node.id]
        assert fallback is not None
        if node.each is not None:
            raise DefinitionError(
                f"{node.id!r} is mapped and has a fallback for each item, which Prefect does not do",
                where=str(node.location),
                remedy="Catch what may be raised inside the task.",
            )
        if fallback.task is not None:
            other = self._writer.graph.tasks[fallback.task]
            given = keywords({name: self._values.plain(each) for name, each in node.bindings.items()})
            instead = call(self._writer.task_name(fallback.task), given)
            assert other is not None
        else:
            instead = self._values.plain(fallback.value)
        called = self._called(node, task, direct=True)
        return ["try:", *block([f"{variable} = {called}"]), "except Exception:", *block([f"{variable} = {instead}"])]

    # Bodies.

    def _body(self, node: Node, task: Task, action: PipelineAction) -> list[str]:
        values = self._values
        rows = node.each is not None and node.each.spread is not None
        inputs, passed = self._inputs(node, action)
        variable = values.variables[node.id]
        if node.loop is not None:
            return self._loop(node, task, action, inputs, passed)
        name = self._writer.subflow(node.task, task, inputs)
        if node.each is None:
            return [f"{variable} = {call(name, keywords(passed))}"]
        over = {inputs.get(key, key): found for key, found in node.each.over.items()}
        import msgspec

        bindings: dict[str, Expression] = (
            {} if rows else {inputs[key]: Item(inputs[key]) for key in node.each.over if key in inputs}
        )
        each = msgspec.structs.replace(node.each, over=over if not rows else dict(node.each.over))
        shown = msgspec.structs.replace(node, bindings=bindings, each=each)
        fixed = [f"{key}={text}" for key, text in passed.items() if key not in bindings]
        return [f"{variable} = {self._comprehension(name, shown, fixed)}"]

    def _inputs(self, node: Node, action: PipelineAction) -> tuple[dict[str, str], dict[str, str]]:
        """The inputs of a body, as its parameters; and what each of these is given, where that is the same for all."""
        found: dict[str, str] = {}
        passed: dict[str, str] = {}
        listed = [each for inner in action.nodes for each in inner.expressions()] + [action.result]
        for leaf in (leaf for each in listed for leaf in leaves(each)):
            if isinstance(leaf, Input) and leaf.name not in found:
                name = identifier(leaf.name)
                name = f"{name}_result" if self._writer.is_taken(name) else name
                while name in found.values():
                    name += "_"
                found[leaf.name] = name
                binding = node.bindings.get(leaf.name)
                if binding is not None and binding != Item(leaf.name):
                    passed[name] = self._values.plain(binding)
            elif isinstance(leaf, Parameter) and leaf.name not in found:
                found[leaf.name] = passed[leaf.name] = leaf.name
        return found, passed

    def _loop(
        self, node: Node, task: Task, action: PipelineAction, inputs: dict[str, str], passed: dict[str, str]
    ) -> list[str]:
        """A loop as a `for` that is left where its condition holds."""
        loop, variable = node.loop, self._values.variables[node.id]
        assert loop is not None
        single = action.nodes[0] if len(action.nodes) == 1 and action.result == Output(action.nodes[0].id) else None
        plain = single is not None and all(each == Input(name) for name, each in single.bindings.items())
        if single is not None and plain and single.each is None and single.loop is None and single.fallback is None:
            called = self._writer.task_name(single.task)
        else:
            called = self._writer.subflow(node.task, task, inputs)
        state = {name: f"{variable}_{inputs[name]}" for name in loop.carry if name in inputs}
        lines = [f"{state[name]} = {passed[inputs[name]]}" for name in state]
        given = {inputs[name]: state.get(name, passed.get(inputs[name], "")) for name in inputs}
        inside = [f"{variable} = {call(called, keywords(given))}"]
        if loop.until is not None:
            inside += [f"if {self._until(node, variable, state, passed)}:", *block(["break"])]
        for name, key in loop.carry.items():
            if name in state:
                taken = (
                    variable if not key else f"{variable}.{key}" if loop.attributes else f"{variable}[{quoted(key)}]"
                )
                inside.append(f"{state[name]} = {taken}")
        lines += [f"for _ in range({loop.maximum}):", *block(inside)]
        if loop.strict and loop.until is not None:
            message = f"the condition of the loop did not hold in {loop.maximum} turns"
            lines += ["else:", *block([f"raise RuntimeError({quoted(message)})"])]
        return lines

    def _until(self, node: Node, variable: str, state: Mapping[str, str], passed: Mapping[str, str]) -> str:
        loop = node.loop
        assert loop is not None and loop.until is not None
        if next(references(loop.until), None) is not None:
            raise DefinitionError(
                f"the loop {node.id!r} ends by what is inside its body",
                where=str(node.location),
                remedy="Let the body return what the condition needs.",
            )
        inner = Values(
            {},
            {},
            lambda name: variable if name == "result" else state.get(name, passed.get(name, name)),
            lambda _: None,
            self._writer.imports,
        )
        return inner.plain(loop.until)


def _takes_part_of_item(node: Node) -> bool:
    """Whether an argument is made of an item that the node is mapped over, rather than being one."""
    return any(
        isinstance(leaf, Item) and found != Item(name)
        for name, found in node.bindings.items()
        for leaf in leaves(found)
    )


def _keys(over: Mapping[str, Expression]) -> bool | None:
    """Whether what is mapped over is a dict that is known; None for none."""
    for each in over.values():
        if isinstance(each, MappingExpression) or (isinstance(each, Constant) and isinstance(each.value, dict)):
            return True
    return None


__all__ = ["Flow"]
