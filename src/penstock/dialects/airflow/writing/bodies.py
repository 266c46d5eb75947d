"""Bodies: task groups, mapped where they are, and loops, whose turns run in one task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from penstock.dialects.airflow.writing.steps import Steps
from penstock.dialects.airflow.writing.terms import Terms, task_id
from penstock.dialects.code.arguments import arguments
from penstock.dialects.code.formatting import block, call, keywords, quoted
from penstock.dialects.code.naming import identifier
from penstock.errors import DefinitionError
from penstock.model.action import PythonAction
from penstock.model.expression import Constant, Expression, Input, Item, Output, Parameter, leaves, references
from penstock.model.graph import Node, PipelineAction, Task

if TYPE_CHECKING:
    from penstock.dialects.airflow.writing.dags import Writer


class Bodies:
    """The bodies that stand in a DAG, or in a task group."""

    def __init__(self, writer: Writer, terms: Terms, steps: Steps) -> None:
        self._writer = writer
        self._terms = terms
        self._steps = steps

    def lines(self, node: Node, task: Task, action: PipelineAction, order: Sequence[str], *, nested: bool) -> list[str]:
        """The statements that make a body. `order` are variables of what it waits for; `nested` says that it stands in
        one that is mapped."""
        if node.loop is not None:
            return self._loop(node, task, action, order)
        if node.join != "all_success" or node.guard is not None or order:
            raise DefinitionError(
                f"{node.id!r} is a pipeline within others that waits for, or depends on, more than what it is given, which a "
                "task group of Airflow does not say",
                where=str(node.location),
                remedy="Put the condition, or the order, inside it.",
            )
        if node.each is not None and nested:
            raise DefinitionError(
                f"{node.id!r} is mapped inside a body that is mapped, which Airflow does not do",
                where=str(node.location),
                remedy="Map over the combinations at once.",
            )
        name = self._writer.body_name(node.task)
        inputs, passed = self._inputs(node, action)
        self._group(name, node, task, action, inputs)
        called = name if task_id(node.id) == name else f"{name}.override(group_id={quoted(task_id(node.id))})"
        variable = self._terms.variables[node.id]
        if node.each is None:
            return [f"{variable} = {call(called, keywords(passed))}"]
        fixed = {key: text for key, text in passed.items() if key not in node.each.over}
        return [f"{variable} = {self._steps.mapped(called, node, node.each, fixed)}"]

    def _inputs(self, node: Node, action: PipelineAction) -> tuple[dict[str, str], dict[str, str]]:
        """The inputs of a body, as its parameters, and what these are given."""
        found: dict[str, str] = {}
        passed: dict[str, str] = {}
        listed = [each for inner in action.nodes for each in inner.expressions()] + [action.result]
        for leaf in (leaf for each in listed for leaf in leaves(each)):
            if isinstance(leaf, Input) and leaf.name not in found:
                name = self._writer.parameter(leaf.name)
                found[leaf.name] = name
                binding = node.bindings.get(leaf.name)
                if binding is not None and binding != Item(leaf.name):
                    passed[name] = self._handed(node, name, binding)
            elif isinstance(leaf, Parameter) and leaf.name not in found:
                found[leaf.name] = passed[leaf.name] = leaf.name
        return found, passed

    def _handed(self, node: Node, name: str, binding: Expression) -> str:
        if self._terms.is_direct(binding):
            return self._terms.argument(binding)
        own = f"{identifier(node.id)}_{name}"
        return self._steps.computed(own, own, binding, "")

    def _group(self, name: str, node: Node, task: Task, action: PipelineAction, inputs: Mapping[str, str]) -> None:
        from penstock.dialects.airflow.writing.groups import Emitter

        terms = self._writer.terms(action.nodes, action.result, set(inputs.values()), inputs)
        mapped = node.each is not None
        lines = Emitter(self._writer, action.nodes, terms, mapped=mapped).lines(action.result)
        head = f"@{self._writer.sdk('task_group')}"
        self._writer.step(name, [head, f"def {name}({', '.join(inputs.values())}):", *block(lines)])

    # Loops.

    def _loop(self, node: Node, task: Task, action: PipelineAction, order: Sequence[str]) -> list[str]:
        loop = node.loop
        assert loop is not None
        if loop.until is not None and next(references(loop.until), None) is not None:
            raise DefinitionError(
                f"the loop {node.id!r} ends by what is inside its body",
                where=str(node.location),
                remedy="Let the body return what the condition needs.",
            )
        turn, names = self._turn(node, task, action)
        reads: dict[str, str] = {}
        for expression in node.bindings.values():
            reads |= self._terms.read(expression)
        reads |= {
            name: name for name in names if name not in node.bindings and names[name] == name and name not in reads
        }
        state = {name: f"next_{names[name]}" for name in loop.carry if name in names}
        lines = [f"{state[name]} = {self._terms.text(node.bindings[name])}" for name in state]
        given = {names[name]: state[name] if name in state else self._given(node, name) for name in names}
        inside = [f"result = {call(turn, keywords(given))}"]
        if loop.until is not None:
            inner = Terms({}, {}, {"result": "result", **state}, lambda _: None, self._writer.imports)
            inside += [f"if {inner.text(loop.until)}:", *block(["break"])]
        for name, key in loop.carry.items():
            if name in state:
                taken = "result" if not key else f"result.{key}" if loop.attributes else f"result[{quoted(key)}]"
                inside.append(f"{state[name]} = {taken}")
        lines += [f"for _ in range({loop.maximum}):", *block(inside)]
        if loop.strict and loop.until is not None:
            message = f"the condition of the loop did not hold in {loop.maximum} turns"
            lines += ["else:", *block([f"raise RuntimeError({quoted(message)})"])]
        lines.append("return result")
        own = self._writer.sources.reserve(f"{identifier(node.id.rpartition('/')[2])}_step")
        decorator = self._writer.sdk("task")
        last = quoted(task_id(node.id.rpartition("/")[2]))
        self._writer.step(own, [f"@{decorator}(task_id={last})", f"def {own}({', '.join(reads)}):", *block(lines)])
        variable = self._terms.variables[node.id]
        return [f"{variable} = {call(own, keywords(reads))}", *(f"{each} >> {variable}" for each in order)]

    def _given(self, node: Node, name: str) -> str:
        binding = node.bindings.get(name)
        return name if binding is None else self._terms.text(binding)

    def _turn(self, node: Node, task: Task, action: PipelineAction) -> tuple[str, dict[str, str]]:
        """The plain function of a turn, and its inputs as its parameters."""
        for inner in action.nodes:
            plain = inner.each is None and inner.guard is None and inner.loop is None and inner.fallback is None
            action_ = self._writer.graph.task_of(inner).action
            if not plain or inner.wait is not None or not isinstance(action_, PythonAction):
                raise DefinitionError(
                    f"the loop {node.id!r} has {inner.id!r} in its body, which is more than a call of a function; Airflow has no "
                    "loops, so that all turns have to run in one task",
                    where=str(inner.location),
                    remedy="Let the body be a single task, or several in a row.",
                )
        inputs, _ = self._inputs(node, action)
        first = action.nodes[0] if len(action.nodes) == 1 else None
        plain = first is not None and all(each == Input(name) for name, each in first.bindings.items())
        if first is not None and plain and action.result == Output(first.id):
            return self._writer.function(first.task), {name: name for name in inputs}
        name = self._writer.body_name(node.task)
        terms = self._writer.terms(action.nodes, action.result, set(inputs.values()), inputs)
        lines: list[str] = []
        for inner in action.nodes:
            terms.node = inner.id
            own = self._writer.graph.task_of(inner)
            shape = self._writer.definition.functions[inner.task].shape.parameters
            text = call(self._writer.function(inner.task), arguments(inner.bindings, own, shape, terms))
            lines.append(f"{terms.variables[inner.id]} = {text}")
        if action.result != Constant(None):
            lines.append(f"return {terms.text(action.result)}")
        self._writer.step(name, [f"def {name}({', '.join(inputs.values())}):", *block(lines)])
        return name, inputs


__all__ = ["Bodies"]
