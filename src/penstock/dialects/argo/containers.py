"""Containers of the user's as templates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.dialects.argo.scripts import RESULT, inputs_of
from penstock.dialects.argo.values import Value, text
from penstock.dialects.portable.programs import is_simple
from penstock.model.action import ContainerAction
from penstock.model.graph import Node, Task
from penstock.model.template import pieces

if TYPE_CHECKING:
    from penstock.dialects.argo.dags import Dag


def container(dag: Dag, node: Node, action: ContainerAction) -> tuple[dict[str, Any], dict[str, Value]]:
    """The template of a container task, and what it is given. Raises DefinitionError, naming the node."""
    command = action.command
    if command.files or command.reads or command.success not in ((0,), ()):
        raise dag.refuse(
            node.id,
            "is a container that reads files of the user's, or has exit codes of its own",
            "Put them into the image.",
        )
    given: dict[str, Value] = {}
    for name, expression in node.bindings.items():
        if not is_simple(expression):
            program = dag.manifest.writing.computation(node.id, expression, dag.nodes, node)
            made = dag.helper(f"{node.id} {name}", node, program)
            given[name] = _plain(Value(f"tasks['{made}'].outputs.parameters['result']", "json"))
        elif (value := getattr(expression, "value", None)) is not None:
            given[name] = Value(text(str(value)), "text", computed=True)
        else:
            given[name] = _plain(dag.value(expression))
    body: dict[str, Any] = {"image": action.image}
    shown = {name: f"{{{{inputs.parameters.{name}}}}}" for name in given}
    if command.shell:
        body["command"] = ["sh", "-ec"]
        body["args"] = [_filled(command.shell, {name: f'"$input_{name}"' for name in given})]
        body["env"] = [{"name": f"input_{name}", "value": shown_as} for name, shown_as in shown.items()]
    elif command.argv:
        body["args"] = [_filled(word, shown) for word in command.argv]
    env = [{"name": name, "value": _filled(each, shown)} for name, each in command.environment.items()]
    if env:
        body["env"] = [*body.get("env", []), *env]
    if command.folder:
        body["workingDir"] = command.folder
    template: dict[str, Any] = {"name": node.task.rstrip("'"), **inputs_of(given), "container": body}
    outputs = _outputs(dag, node, action, body)
    if outputs:
        template["outputs"] = outputs
    return template, given


def is_text(task: Task, output: str) -> bool:
    """Whether an output is text as a container leaves it, and not JSON."""
    if not isinstance(task.action, ContainerAction):
        return False
    catch = task.action.command.catches.get(output)
    return catch is not None and catch.read == "text"


def _plain(value: Value) -> Value:
    """A value as text: what is JSON is read first."""
    if value.mode != "json" or value.form in ("int", "float", "bool"):
        return value
    return Value(f"string(jsonpath({value.path}, '$'))", "text", "str", computed=True)


def _filled(template: str, values: dict[str, str]) -> str:
    return "".join(piece.text + ("" if piece.name is None else values[piece.name]) for piece in pieces(template))


def _outputs(dag: Dag, node: Node, action: ContainerAction, body: dict[str, Any]) -> dict[str, Any]:
    catches = action.command.catches if node.id in dag.read else {}
    parameters: list[dict[str, Any]] = []
    for name, catch in catches.items():
        if catch.read == "text" and node.each is not None:
            raise dag.refuse(
                node.id,
                f"is a container that is fanned out, and whose output {name!r} is read as text",
                'Let it write JSON: outputs=dict, or file("metrics.json", "json").',
            )
        if catch.read not in ("json", "int", "float", "text") or catch.source == "exit_code":
            raise dag.refuse(
                node.id,
                f"is a container whose output {name!r} is read as {catch.read}",
                'Let it write JSON: outputs=dict, or file("metrics.json", "json").',
            )
        path = catch.path
        if catch.source == "stdout":
            if not action.command.shell:
                raise dag.refuse(
                    node.id, "is a container whose stdout is an output", "Give its command as a line of shell."
                )
            body["args"] = [f"( {body['args'][0]}\n) | tee {RESULT}"]
            path = RESULT
        elif not path.startswith("/"):
            path = f"{action.command.folder or action.mount}/{path}"
            body.setdefault("workingDir", action.mount)
        parameters.append({"name": name, "valueFrom": {"path": path}})
    return {"parameters": parameters} if parameters else {}


__all__ = ["container", "is_text"]
