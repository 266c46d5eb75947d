"""Loops as templates that call themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from penstock.dialects.argo.conditions import Conditions
from penstock.dialects.argo.scripts import arguments_of, inputs_of
from penstock.dialects.argo.values import Value
from penstock.model.expression import Expression, Input
from penstock.model.graph import Node

if TYPE_CHECKING:
    from penstock.dialects.argo.dags import Dag

_RESULT = "tasks['body'].outputs.parameters['result']"


def looped(dag: Dag, node: Node, body: str, given: Mapping[str, Value]) -> str:
    """The template of a loop over a body: a turn, and itself again until it is done. Returns its name."""
    loop = node.loop
    assert loop is not None
    if loop.strict:
        raise dag.refuse(
            node.id, "is a loop that fails where its condition does not come to hold", "Let a task check it."
        )

    def value(expression: Expression) -> Value:
        if expression == Input("result"):
            return Value(_RESULT, "json")
        if isinstance(expression, Input) and expression.name in given:
            return inner[expression.name]
        raise dag.refuse(
            node.id, "is a loop that is ended by more than its result", "Return it: until takes the result."
        )

    inner = {
        name: each._replace(path=f"inputs.parameters['{name}']", unless=None, computed=False)
        for name, each in given.items()
    }
    manifest = dag.manifest
    name = manifest.name(f"{node.id} loop")
    goes_on = f"asInt(inputs.parameters.turn) < {loop.maximum}"
    if loop.until is not None:
        goes_on = f"{goes_on} && !({Conditions(value, lambda each: each).truth(loop.until)})"
    turn: dict[str, Any] = {"name": "body", "template": body, **arguments_of(inner)}
    further = dict(inner)
    for key, field in loop.carry.items():
        if given[key].mode != "json":
            # from the second turn on it is JSON
            raise dag.refuse(node.id, f"is a loop that carries {key!r}, which is text at first", "Let a task give it.")
        path = f"toJson(jsonpath({_RESULT}, '$.{field}'))" if field else _RESULT
        further[key] = Value(path, "json", computed=bool(field))
    again = arguments_of(further)
    parameters = again.setdefault("arguments", {}).setdefault("parameters", [])
    parameters.append({"name": "turn", "value": "{{=string(asInt(inputs.parameters.turn) + 1)}}"})
    following = {"name": "next", "template": name, **again, "depends": "body.Succeeded", "when": f"{{{{={goes_on}}}}}"}
    result = f"tasks['next'].status == 'Succeeded' ? tasks['next'].outputs.parameters['result'] : {_RESULT}"
    inputs = inputs_of(inner)
    inputs.setdefault("inputs", {}).setdefault("parameters", []).append({"name": "turn"})
    outputs = {"parameters": [{"name": "result", "valueFrom": {"expression": result}}]}
    manifest.templates.append({"name": name, **inputs, "dag": {"tasks": [turn, following]}, "outputs": outputs})
    return name


__all__ = ["looped"]
