"""Deployments as triggers of penstock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any

from msgspec.structs import replace

from penstock.authoring.pipeline import Composition
from penstock.authoring.triggers.trigger import Trigger, trigger
from penstock.dialects.prefect.automations import EventTrigger
from penstock.dialects.prefect.deployments import Deployment
from penstock.dialects.prefect.options import node_name


def triggers_of(
    module: ModuleType,
    deployments: Iterable[Deployment],
    pipelines: Mapping[int, Composition[..., Any]],
    taken: Iterable[str] = (),
) -> dict[str, Trigger]:
    """A trigger for every schedule and every event of deployments, by name; names that are `taken` get a number."""
    found: dict[str, Trigger] = {}
    for deployment in deployments:
        pipeline = pipelines.get(id(deployment.flow))
        if pipeline is None:
            continue
        for source, parameters, active in _sources(deployment):
            name = _free(node_name(deployment.name), {*found, *taken})
            made = trigger(
                pipeline,
                source,
                name=name,
                parameters={**deployment.parameters, **parameters},
                tags=deployment.tags,
                description=deployment.description,
                enabled=deployment.enabled and active,
                at_most=deployment.at_most,
            )
            made.noun = replace(made.noun, location=deployment.location)
            made.module = module.__name__
            found[name] = made
    return found


def _sources(deployment: Deployment) -> Iterable[tuple[Any, Mapping[str, Any], bool]]:
    for each in deployment.schedules:
        yield each.schedule, each.parameters, each.active
    for event in deployment.triggers:
        found = EventTrigger.of(event)
        yield found.condition(), found.parameters, found.enabled


def _free(name: str, taken: set[str]) -> str:
    count, found = 1, name
    while found in taken:
        count += 1
        found = f"{name}-{count}"
    return found


__all__ = ["triggers_of"]
