"""From a rehearsed run to its plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from penstock.kernel.state import NodeProgress
from penstock.model.identity import TaskIdentity
from penstock.model.options import RunOptions
from penstock.model.run import RunRecord
from penstock.ports import Store
from penstock.runtime.driving.nodes import Cell
from penstock.runtime.explaining.code import TextOf, Version
from penstock.runtime.generations.keeping import Keeping
from penstock.runtime.generations.shape import Differences, check_choice, differences
from penstock.runtime.planning.forecast import Forecast, Needed
from penstock.runtime.planning.plan import Plan, PlannedTask
from penstock.runtime.planning.reasons import Reasons
from penstock.runtime.planning.rehearsal import Rehearsed
from penstock.runtime.planning.states import States
from penstock.values import Values


def planned(
    rehearsed: Rehearsed,
    run: RunRecord,
    *,
    store: Store | None,
    values: Values,
    identities: Mapping[str, TaskIdentity],
    classes: Mapping[str, TaskIdentity],
    text_of: TextOf,
    options: RunOptions,
    workers: int,
    keeping: Keeping | None = None,
) -> Plan:
    """The plan of a run that was rehearsed; with `keeping`, of one that is begun anew. `identities` are the code of its tasks, by key, `classes` that of classes in
    inputs, by name, `text_of` finds the texts of their files.

    Raises DefinitionError for a choice of what is to be kept that is about nothing but what is no longer in the pipeline.
    """
    apart = _apart(rehearsed, keeping)
    states = States(rehearsed)
    tasks = states.tasks()
    at, waits_for = states.waiting("")
    total, forecast = Needed(), None
    if any(task.counts.get("would_run") or task.counts.get("unknown") for task in tasks):
        timings = [] if store is None else store.timings(run.pipeline)
        forecast = Forecast(timings, tasks, states.frames, workers)
        total = forecast.of_frame(rehearsed.progress.root)
        versions = {key: Version(identity, text_of) for key, identity in identities.items()}
        held = {name: Version(identity, text_of) for name, identity in classes.items()}
        reasons = Reasons(rehearsed, run, store, values, versions, held, options, keeping)
        limits = _limits(identities, store)
        tasks = [_explained(task, rehearsed, reasons, forecast, limits) for task in tasks]
    fault = rehearsed.progress.root.fault
    nodes = rehearsed.progress.nodes
    return Plan(
        run.pipeline,
        run.parameters,
        tuple(tasks),
        dynamic_at=at,
        waits_for=waits_for,
        failure="" if fault is None else f"{fault.type}: {fault.message}",
        expected=total.span if total.work else None,
        unmeasured=total.unmeasured,
        generation=None if keeping is None else keeping.earlier.past.run.generation + 1,
        kept=tuple(nodes[node].cell_id(item) for node, item in sorted(rehearsed.kept, key=_places(nodes))),
        dropped=apart.dropped,
        new=apart.new,
    )


def _apart(rehearsed: Rehearsed, keeping: Keeping | None) -> Differences:
    """How the pipeline differs from that of the generation before."""
    if keeping is None:
        return Differences()
    past = keeping.earlier.past
    found = differences(past, rehearsed.progress)
    check_choice(past, keeping.choice, found, rehearsed.progress)
    return found


def _places(nodes: Mapping[str, NodeProgress]) -> Callable[[Cell], tuple[int, int]]:
    """By which cells come in the order of their nodes."""
    numbers = {name: number for number, name in enumerate(nodes)}
    return lambda cell: (numbers[cell[0]], cell[1])


def _limits(identities: Mapping[str, TaskIdentity], store: Store | None) -> dict[str, tuple[str, ...]]:
    """What cannot be seen of the code of tasks that has never run, by their keys."""
    limited = {key: identity for key, identity in identities.items() if identity.limits}
    digests = {identity.digest for identity in limited.values()}
    known = {} if store is None or not digests else store.identities(digests)
    return {key: identity.limits for key, identity in limited.items() if identity.digest not in known}


def _explained(
    task: PlannedTask,
    rehearsed: Rehearsed,
    reasons: Reasons,
    forecast: Forecast,
    limits: Mapping[str, tuple[str, ...]],
) -> PlannedTask:
    """A task with why it would run, and what it then takes. `limits` are those of code that has never run."""
    needed = forecast.needed.get(task.id)
    if needed is None:
        return task
    usual = forecast.usual(task)
    progress = rehearsed.progress.nodes[task.id]
    node = progress.node
    return msgspec.structs.replace(
        task,
        reasons=() if task.body else reasons.of(progress),
        limits=limits.get(node.task, ()) if node.policy.cache and node.wait is None else (),
        expected_s=needed.span if needed.work else None,
        expected_memory=None if usual is None or not usual.peak_memory else usual.peak_memory,
    )


__all__ = ["planned"]
