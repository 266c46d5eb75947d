"""Inputs that a stage does not name, filled by the names of what its function takes.

A parameter is filled by the stage of its name that it depends on, an output of that name of one that it depends on, or the
pipeline's parameter of that name; where none fits, by an output of that name of a stage further up. If then one parameter is
left that must have a value, and one stage that it depends on has not been used, that is it. Two that fit are an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from penstock.dialects.yaml.code import identifier
from penstock.dialects.yaml.names import Known, Names, attribute_of
from penstock.dialects.yaml.source import Part
from penstock.model.expression import Expression, references
from penstock.model.graph import Port


class Need(NamedTuple):
    """What is to be filled for a stage."""

    stage: str
    ports: tuple[Port, ...]
    given: Mapping[str, Expression]
    depends_on: tuple[str, ...]
    #: those that the stages that it depends on depend on
    further: tuple[str, ...]
    #: fill in as well what has a default
    optional: bool


def filled(need: Need, names: Names, part: Part) -> dict[str, Expression]:
    """The inputs of a stage, with those that are filled by name. What is missing or could be several is noted."""
    found = dict(need.given)
    left: list[str] = []
    for port in need.ports:
        if port.name in found or port.kind not in ("keyword", "positional"):
            continue
        if not port.required and not need.optional:
            continue
        fits = _fits(port.name, need.depends_on, names, parameters=True)
        fits = fits or _fits(port.name, need.further, names, parameters=False)
        if len(fits) > 1:
            part.refuse(
                f"the parameter {port.name!r} of {need.stage} may be {' or '.join(fits)}",
                f"Say which: inputs: {{{port.name}: {next(iter(fits))}}}.",
            )
        elif fits:
            found[port.name] = next(iter(fits.values()))
        elif port.required:
            left.append(port.name)
    return found | _last(need, left, found, names, part)


def _last(
    need: Need, left: list[str], found: Mapping[str, Expression], names: Names, part: Part
) -> dict[str, Expression]:
    """What is left for the stage that has not been used; what cannot be filled is noted."""
    used = {name for expression in found.values() for name in references(expression)}
    unused = [name for name in need.depends_on if name not in used and name in names.stages]
    if len(left) == 1 and len(unused) == 1:
        return {left[0]: names.value("stage", unused[0]).expression}
    if left:
        advice = ", ".join(f"{name}: {unused[0] if len(unused) == 1 else '...'}" for name in left)
        also = [name for name in left if name in {identifier(each) for each in names.stages}]
        remedy = f"Say what it takes: inputs: {{{advice}}}."
        if also and not need.depends_on:
            remedy += f" If it is the result of {also[0]}, write depends_on: [{also[0]}]."
        several = "s" if len(left) > 1 else ""
        part.refuse(
            f"nothing says what the stage {need.stage} takes for the parameter{several} {', '.join(left)}", remedy
        )
    return {}


def _fits(name: str, stages: Iterable[str], names: Names, *, parameters: bool) -> dict[str, Expression]:
    """What fits a parameter of a name: how it is written -> what it is."""
    found: dict[str, Expression] = {}
    for stage in stages:
        known = names.stages.get(stage)
        if known is None:
            continue
        if identifier(stage) == name and parameters:
            found[stage] = names.value("stage", stage).expression
        elif name in _outputs(known):
            found[f"{stage}.{name}"] = attribute_of(names.value("stage", stage), name).expression
    if parameters and name in names.parameters:
        found[name if len(names.meanings(name)) == 1 else f"${{parameters.{name}}}"] = names.value(
            "parameter", name
        ).expression
    if parameters and name in names.inputs:
        found[name] = names.value("input", name).expression
    return found


def _outputs(known: Known) -> set[str]:
    """The names of outputs that say more than `result`."""
    ports = {port.name for port in known.task.outputs} if known.task.record is not None else set[str]()
    return (ports | set(known.aliases)) - {"result"}


__all__ = ["Need", "filled"]
