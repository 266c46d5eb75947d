"""Approvals: the flow is paused until a person has answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.dialects.code.annotations import annotation
from penstock.dialects.code.formatting import block, call, keywords, literal, number, quoted
from penstock.dialects.code.naming import identifier
from penstock.dialects.prefect.writing.values import Values
from penstock.model.action import ApprovalAction
from penstock.model.graph import Node, Task

if TYPE_CHECKING:
    from penstock.dialects.prefect.writing.flows import Writer


def asked(writer: Writer, node: Node, task: Task, values: Values) -> list[str]:
    """The lines that pause the flow, and take up the answer: None where it is skipped by a rejection."""
    action = task.action
    assert isinstance(action, ApprovalAction)
    imports, variable = writer.imports, values.variables[node.id]
    pause = imports.name("prefect.flow_runs", "pause_flow_run")
    inputs = imports.name("prefect.input", "RunInput")
    name = "".join(part.capitalize() for part in identifier(node.id).split("_"))
    fields = ["approved: bool = True"]
    for field in action.fields:
        kind = annotation(field.type, imports) or "str"
        fields.append(f"{field.name}: {kind}" + ("" if field.required else f" = {literal(field.default, imports)}"))
    shown = "".join(f"\n{each}: {{{values.plain(found)}}}" for each, found in node.bindings.items())
    about = f"f{quoted(action.question + shown)}" if shown else quoted(action.question)
    given = {"wait_for_input": call(f"{name}.with_initial_data", [f"description={about}"])}
    if action.deadline is not None:
        given["timeout"] = number(action.deadline)
    lines = [f"class {name}({inputs}):", *block(fields), "", f"{variable} = {call(pause, keywords(given))}"]
    if action.on_reject == "fail":
        lines += [f"if not {variable}.approved:", *block([f'raise RuntimeError("{node.id} was rejected")'])]
    elif action.on_reject == "skip":
        lines += [f"if not {variable}.approved:", *block([f"{variable} = None"])]
    return lines


__all__ = ["asked"]
