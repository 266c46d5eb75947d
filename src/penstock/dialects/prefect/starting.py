"""Deployments as triggers of penstock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any

from msgspec.structs import replace

from penstock.authoring.pipeline import Composition
from penstock.authoring.triggers.schedules import Schedule
from penstock.authoring.triggers.trigger import Trigger, trigger
from penstock.dialects.prefect.deployments import Deployment
from penstock.dialects.prefect.event_patterns import is_of_runs
from penstock.dialects.prefect.event_templates import placed
from penstock.dialects.prefect.event_triggers import EventTrigger
from penstock.dialects.prefect.event_triggers import Trigger as EventsTrigger
from penstock.dialects.prefect.options import node_name


def triggers_of(
    module: ModuleType,
    deployments: Iterable[Deployment],
    pipelines: Mapping[int, Composition[..., Any]],
    taken: Iterable[str] = (),
    known: Iterable[Deployment] | None = None,
) -> dict[str, Trigger]:
    """A trigger for every schedule and every event of deployments, by name; names that are `taken` get a number.
    Events of runs may name the deployments that are `known`: by default, these."""
    found: dict[str, Trigger] = {}
    deployments = tuple(deployments)
    others = deployments if known is None else tuple(known)
    for deployment in deployments:
        pipeline = pipelines.get(id(deployment.flow))
        deployment.started_by, deployment.scheduled_by = [], []
        if pipeline is None:
            continue
        for source, parameters, active in _sources(deployment, others):
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
            deployment.started_by.append(name)
            if isinstance(source, Schedule):
                deployment.scheduled_by.append(name)
    return found


def _sources(
    deployment: Deployment, deployments: tuple[Deployment, ...]
) -> Iterable[tuple[Any, Mapping[str, Any], bool]]:
    for each in deployment.schedules:
        yield each.schedule, each.parameters, each.active
    for event in deployment.triggers:
        given = placed(dict(getattr(event, "parameters", None) or {}), event.location, of_runs=is_about_runs(event))
        yield event.condition(deployments), given, getattr(event, "enabled", True) is not False


def is_about_runs(trigger: EventsTrigger) -> bool:
    """Whether all events that a trigger waits for are ends of runs."""
    if isinstance(trigger, EventTrigger):
        return bool(trigger.expect) and all(map(is_of_runs, trigger.expect))
    return all(map(is_about_runs, trigger.triggers))


def _free(name: str, taken: set[str]) -> str:
    count, found = 1, name
    while found in taken:
        count += 1
        found = f"{name}-{count}"
    return found


__all__ = ["is_about_runs", "triggers_of"]
