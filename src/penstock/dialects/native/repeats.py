"""Loops as calls of `repeat`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from penstock.dialects.code.formatting import call, keywords, quoted
from penstock.dialects.native.refs import Refs
from penstock.errors import DefinitionError
from penstock.model.expression import Input, Output, references
from penstock.model.graph import Node, PipelineAction, Task

if TYPE_CHECKING:
    from penstock.dialects.native.writing import Writer


def repeated(writer: Writer, node: Node, task: Task, outer: Refs, options: Mapping[str, str]) -> str | None:
    """The call of a loop over a single task as it stands; None where the body is more than that."""
    action = cast(PipelineAction, task.action)
    if len(action.nodes) != 1:
        return None
    step = action.nodes[0]
    plain = all(each == Input(name) for name, each in step.bindings.items()) and set(step.bindings) == set(
        node.bindings
    )
    alone = step.each is None and step.guard is None and step.loop is None and step.fallback is None
    own = writer.graph.tasks[step.task]
    if not plain or not alone or action.result != Output(step.id) or step.id != own.name or own.name != task.name:
        return None
    if isinstance(own.action, PipelineAction) or (node.task, step.id) in writer.definition.attached:
        return None
    text = loop_text(writer, writer.task_name(step.task), node, outer, options)
    return call(text, keywords({name: outer.text(each) for name, each in node.bindings.items()}))


def loop_text(writer: Writer, body: str, node: Node, outer: Refs, options: Mapping[str, str]) -> str:
    """The call of `repeat`, without that of what it returns. Raises DefinitionError for a condition over more than the
    result of a turn."""
    loop = node.loop
    assert loop is not None
    given: dict[str, str] = {}
    if loop.until is not None:
        if next(references(loop.until), None) is not None:
            raise DefinitionError(
                f"the loop {node.id!r} ends by what is inside its body",
                where=str(node.location),
                remedy="Let the body return what the condition needs.",
            )
        inner = Refs({}, lambda name: name, lambda _: None, writer.imports)
        inner.node = node.id
        given["until"] = f"lambda result: {inner.text(loop.until)}"
    given["maximum"] = repr(loop.maximum)
    if loop.strict:
        given["strict"] = "True"
    if any(loop.carry.values()):
        given["carry"] = f"[{', '.join(map(quoted, loop.carry))}]"
    elif loop.carry:
        given["carry"] = quoted(next(iter(loop.carry)))
    else:
        given["carry"] = "()"
    repeat = writer.imports.name("penstock", "repeat")
    return call(repeat, [body, *keywords({**given, **options})])


__all__ = ["loop_text", "repeated"]
