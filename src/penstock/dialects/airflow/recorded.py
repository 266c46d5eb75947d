"""What the project's store says of runs, for what Airflow's files ask its database."""

from __future__ import annotations

import importlib
import re
from collections.abc import Container, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, cast

from penstock.dialects.airflow.assets import OUTLET_EVENTS

#: what tells the item of a mapped task, or group, in the id of a node: `load[3]`
_ITEM: Final = re.compile(r"\[(\d+)\]")


class Recorded(NamedTuple):
    """A run that is recorded. Times are seconds since the epoch."""

    run_id: str
    pipeline: str
    state: str
    started_at: float
    finished_at: float | None = None
    logical_time: float | None = None
    interval: tuple[float, float] | None = None

    @property
    def logical(self) -> float:
        """What the run is about: its logical time, or else when it began."""
        return self.started_at if self.logical_time is None else self.logical_time


def attempt() -> Any:
    """The attempt that runs here and now: `penstock.current()`."""
    # by the public face, as a user's own code has it
    return importlib.import_module("penstock").current()


def runs_of(pipeline: str, state: str | None = None, limit: int = 200) -> Iterator[Recorded]:
    """The runs of a pipeline, the newest first."""
    services = importlib.import_module("penstock.app").Services()
    if not services.has_store:
        return
    with services.existing_store() as store:
        found = list(store.runs(pipeline=pipeline, state=state, limit=limit))
    for run in found:
        cause = run.cause
        yield Recorded(
            run.run_id,
            run.pipeline,
            str(getattr(run.state, "value", run.state)),
            run.started_at,
            run.finished_at,
            None if cause is None else cause.logical_time,
            None if cause is None else cause.interval,
        )


class Happened(NamedTuple):
    """An event that is recorded."""

    number: int
    #: seconds since the epoch
    at: float
    data: Mapping[str, Any]


def happened(*kinds: str) -> Iterator[tuple[float, Mapping[str, Any]]]:
    """When events of some types happened, in seconds since the epoch, and their data, in order."""
    for each in sorted((event for kind in kinds for event in occurred(kind)), key=lambda event: event.number):
        yield each.at, each.data


def occurred(kind: str, after: int = 0) -> Iterator[Happened]:
    """The events of a type with numbers beyond one, in order."""
    services = importlib.import_module("penstock.app").Services()
    if not services.has_store:
        return
    with services.existing_store() as store:
        number = after
        while found := store.agenda.occurrences(number, type=kind):
            number = found[-1][0]
            for count, each in found:
                if isinstance(each.data, Mapping):
                    yield Happened(count, each.at, cast("Mapping[str, Any]", each.data))


def tell(events: Iterable[Mapping[str, Any]]) -> None:
    """Record events, all at once: nobody sees some of them without the others. Of each, the arguments of `penstock.emit`."""
    services = importlib.import_module("penstock.app").Services()
    made = importlib.import_module("penstock.emitting").occurrence_of
    found = [made(**each) for each in events]
    if found:
        with services.store() as store:
            store.agenda.emit(found)


def tasks_of(run_id: str) -> dict[str, str]:
    """The states of the nodes of a run, by their ids."""
    run = importlib.import_module("penstock").find_run(run_id)
    return {each.id: str(each.state) for each in run.tasks}


class Stood(NamedTuple):
    """How a task of a run is: its id in the DAG, which item of a mapped one it is (-1 for none), and its state here."""

    task_id: str
    map_index: int
    state: str


def stood(run_id: str, known: Container[str]) -> Iterator[Stood]:
    """How the tasks of a run are right now, of those with known ids: nodes besides are what penstock has added."""
    for node, state in tasks_of(run_id).items():
        task_id, index = place_of(node)
        if task_id in known:
            yield Stood(task_id, index, state)


def place_of(node: str) -> tuple[str, int]:
    """The id of the task that a node is of, and which item of a mapped one it is; -1 for none."""
    items = _ITEM.findall(node)
    return _ITEM.sub("", node).replace("/", "."), int(items[-1]) if items else -1


def pushed_by(run_id: str, identity: str) -> Mapping[str, Any]:
    """What an operator, or an item of a mapped one, has pushed in a run, by key; empty for one that is no more than a
    function."""
    run = importlib.import_module("penstock").find_run(run_id)
    found = next((each for each in run.tasks if each.id == identity), None)
    for value in () if found is None else found.outputs.values():
        if isinstance(value, Mapping) and OUTLET_EVENTS in value:
            return cast("Mapping[str, Any]", value)
    return {}


def moment(seconds: float | None) -> datetime | None:
    """A moment in UTC; None for None."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


__all__ = [
    "Happened",
    "Recorded",
    "Stood",
    "attempt",
    "happened",
    "moment",
    "occurred",
    "place_of",
    "pushed_by",
    "runs_of",
    "stood",
    "tasks_of",
    "tell",
]
