"""What a DAG hands on: its result, as text in a parameter or as a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from penstock.dialects.argo.values import text
from penstock.dialects.portable.forms import FILES
from penstock.dialects.portable.programs import is_simple
from penstock.model.expression import (
    Apply,
    Choose,
    Constant,
    Expression,
    Get,
    Input,
    Mapping,
    Output,
    Parameter,
    parts,
    references,
)

if TYPE_CHECKING:
    from penstock.dialects.argo.dags import Dag


def results(dag: Dag, *, whole: bool = False) -> dict[str, Any]:
    """The outputs of a DAG of which the template has been written. Those of a `whole` workflow may be a file. Raises
    DefinitionError, naming the node."""
    for leaf in _as_they_are(dag.outcome):
        if isinstance(leaf, (Output, Input)) and dag.form(leaf) in FILES:
            value = dag.value(leaf)
            if whole and leaf == dag.outcome:
                missing = {"optional": True} if any(map(dag.may_be_skipped, references(leaf))) else {}
                return {"artifacts": [{"name": "result", "from": value.argument, **missing}]}
            raise dag.refuse(
                leaf.node if isinstance(leaf, Output) else "",
                "gives the result of a pipeline what is no plain value",
                "Give it JSON-able values; a file alone may be the result of a whole workflow.",
            )
    return {"parameters": [{"name": "result", "valueFrom": _source(dag)}]}


def _source(dag: Dag) -> dict[str, Any]:
    """Where the parameter with the result comes from."""
    result = dag.outcome
    if isinstance(result, Constant):
        return {"expression": text(json.dumps(result.value))}
    missing = {"default": "null"} if any(map(dag.may_be_skipped, references(result))) else {}
    plain = isinstance(result, Choose) and all(map(is_simple, result.options))
    if plain or isinstance(result, (Output, Input, Parameter)):
        value = dag.value(result)
        if value.mode == "json":
            told = value.argument
            return {"parameter": told, **missing} if told[2] != "=" else {"expression": told[3:-2], **missing}
    program = dag.manifest.writing.computation("result", result, dag.nodes)
    lenient = _is_listed(result)
    name = dag.helper("result", None, program, lenient=lenient)
    dag.decide_together(lenient=lenient and bool(missing))
    return {"parameter": f"{{{{tasks.{name}.outputs.parameters.result}}}}", **missing}


def _is_listed(result: Expression) -> bool:
    """Whether a result holds values as they are, which may be missing."""
    items = result.items.values() if isinstance(result, Mapping) else getattr(result, "items", ())
    return bool(items) and all(isinstance(each, Choose) or is_simple(each) for each in items)


def _as_they_are(result: Expression) -> Iterator[Expression]:
    """The values that are in a result as they are."""
    if is_simple(result):
        yield result
    elif not isinstance(result, (Apply, Get)):
        for part in parts(result):
            yield from _as_they_are(part)


__all__ = ["results"]
