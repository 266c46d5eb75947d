"""Timetables of the user's own: a sensor that asks one for the runs that are due, and what a run is about that a person
starts."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from copy import copy
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from penstock.authoring.kinds.causes import FromCause, interval_end, interval_start
from penstock.authoring.source import location_of
from penstock.authoring.triggers.sensors import RunRequest, Sensor, SensorResult
from penstock.dialects.airflow.moments import instance
from penstock.dialects.airflow.timetable import DagRunInfo, DataInterval, TimeRestriction, Timetable
from penstock.errors import DefinitionError, NotCoveredError
from penstock.model.place import Location
from penstock.model.trigger import Cause, ClockSource, Limits
from penstock.model.trigger import Trigger as TriggerNoun

if TYPE_CHECKING:
    from penstock.authoring.kinds.conversion import Kind
    from penstock.authoring.pipeline import Composition
    from penstock.dialects.airflow.dag import DAG

#: by which a timetable decides when runs are due and what they are about
_DECISIONS: Final = frozenset(
    {
        "next_dagrun_info",
        "next_dagrun_info_v2",
        "infer_manual_data_interval",
        "_get_next",
        "_get_prev",
        "_align_to_next",
        "_align_to_prev",
        "_skip_to_latest",
        "_calc_first_run",
        "_round",
    }
)
_SHOWN: Final = "it only changes what Airflow's own pages show"
#: what else one may say -> why it has no effect here
_WITHOUT_EFFECT: Final = {
    "generate_run_id": "penstock names its runs itself",
    "serialize": "the file itself is loaded wherever the timetable is asked",
    "deserialize": "the file itself is loaded wherever the timetable is asked",
    "summary": _SHOWN,
    "run_ordering": _SHOWN,
    "type_name": _SHOWN,
    "periodic": "any DAG may be backfilled",
}
#: seconds between two times that one is asked, unless something is due before: it may have changed its mind
_EVERY: Final = 120.0
#: runs that are asked for at one time, and seconds that this may take
_MOST, _PATIENCE = 1000, 20.0


def is_own(timetable: Timetable) -> bool:
    """Whether it is the user's code that says when a timetable is due, rather than one of Airflow's by another name."""
    kinds = [kind for kind in type(timetable).__mro__ if not _is_ours(kind)]
    if any(_DECISIONS & vars(kind).keys() for kind in kinds):
        return True
    return next(kind for kind in type(timetable).__mro__ if _is_ours(kind)) is Timetable


def _is_ours(kind: type) -> bool:
    return kind is object or kind.__module__.startswith("penstock.dialects.")


def said_by(timetable: Timetable, names: frozenset[str]) -> dict[str, Any]:
    """What the user's classes say of a timetable by some names: as `Class.name`, what is nearest first."""
    found: dict[str, Any] = {}
    for kind in type(timetable).__mro__:
        if not _is_ours(kind):
            found |= {f"{kind.__name__}.{name}": vars(kind)[name] for name in sorted(names & vars(kind).keys())}
    return found


def check_own(dag: DAG, timetable: Timetable) -> None:
    """Raise NotCoveredError for a timetable of the user's own by which runs are about partitions, and DefinitionError for one
    that says nothing of when it is due, or that finds itself not valid."""
    from penstock.dialects.airflow.exceptions import AirflowTimetableInvalid

    name = type(timetable).__name__
    if timetable.partitioned or timetable.partitioned_at_runtime:
        raise NotCoveredError(
            f"the timetable {name}, which is written by hand and partitioned, is not covered by penstock's reader of Apache "
            "Airflow",
            where=str(dag.location),
            remedy="Use CronPartitionTimetable or PartitionedAssetTimetable, or give its runs data intervals.",
        )
    kind = type(timetable)
    unsaid = kind.next_dagrun_info is Timetable.next_dagrun_info
    if unsaid and kind.next_dagrun_info_v2 is Timetable.next_dagrun_info_v2 and can_be_scheduled(timetable):
        raise DefinitionError(
            f"the timetable {name} of the DAG {dag.dag_id!r} does not say when it is due",
            where=str(dag.location),
            remedy="Write its next_dagrun_info(self, *, last_automated_data_interval, restriction), or say "
            "can_be_scheduled = False.",
        )
    try:
        timetable.validate()
    except AirflowTimetableInvalid as error:
        raise DefinitionError(
            f"the timetable {name} of the DAG {dag.dag_id!r} is not valid: {error}", where=str(dag.location)
        ) from None


def can_be_scheduled(timetable: Timetable) -> bool:
    """Whether the clock starts anything by a timetable; `can_run` is the name of it before Airflow 2.6."""
    return bool(timetable.can_be_scheduled and getattr(timetable, "can_run", True))


def note_of(dag: DAG, timetable: Timetable) -> None:
    """Note what a timetable of the user's own says that has no effect."""
    for place in said_by(timetable, frozenset(_WITHOUT_EFFECT)):
        kind, _, name = place.rpartition(".")
        dag.ignore(f"the timetable {kind}: {name}", _WITHOUT_EFFECT[name])


# When it is due.


class Run(NamedTuple):
    """A run that a timetable has told of: when it begins, and what it is about, in seconds since the epoch."""

    at: float
    start: float
    end: float


class Cursor(msgspec.Struct):
    """What a timetable goes on from."""

    #: what is due up to then does not fire
    since: float
    #: the last run that was due
    last: Run | None = None
    #: the one after it, as it was told of when it was still to come
    coming: Run | None = None
    next_at: float | None = None


def clock_of(dag: DAG, pipeline: Composition[..., Any], timetable: Timetable, name: str, options: Any) -> Clock:
    """What starts a DAG by a timetable of the user's own: its trigger, under a name. `options` are those of triggers."""
    from penstock.dialects.airflow.schedules import restriction_of, zone_of

    kind = type(timetable).__name__
    zone = zone_of(dag)
    noun = TriggerNoun(
        name=name,
        source=ClockSource(kind, every=_EVERY, zone=zone),
        pipeline=pipeline.name,
        limits=Limits(at_most=options["at_most"]),
        tags=tuple(options["tags"]),
        enabled=options["enabled"],
        description=options["description"] or str(timetable.description or ""),
        location=dag.location,
    )
    clock = Clock(Asking(timetable, restriction_of(dag), zone, dag.location), noun, pipeline)
    clock.module = pipeline.function.__module__
    return clock


class Asking:
    """Asks a timetable of the user's own for one run after another."""

    def __init__(self, timetable: Timetable, restriction: TimeRestriction, zone: str, location: Location) -> None:
        self.timetable = timetable
        self.restriction = restriction
        self._zone = _zone(zone)
        self.location = location
        self.__name__ = self.__qualname__ = type(timetable).__name__
        self.__module__ = type(timetable).__module__

    def __call__(self, cursor: Any) -> SensorResult:
        """The runs that are due by now, and when the next one is."""
        now = time.time()
        at = self.read(cursor, now)
        requests: list[RunRequest] = []
        until = time.monotonic() + _PATIENCE
        while len(requests) < _MOST and time.monotonic() < until:
            run, kept, at.coming = self.after(at.last), at.coming, None
            if kept is not None and kept.at <= now and (run is None or run.at > now):
                # since then it has come to be too late to be told of, by the timetable's own clock
                run = kept
            if run is None or run.at > now:
                at.coming, at.next_at = run, None if run is None else run.at
                break
            if run.at > at.since:
                requests.append(self.request(run, at.last))
            at.last = run
        else:
            # there is more, which is asked for at once
            at.next_at = now
        again = None if at.next_at is None else datetime.fromtimestamp(at.next_at, UTC)
        return SensorResult(requests, msgspec.json.decode(msgspec.json.encode(at)), again=again)

    def coming(self, cursor: Any, moment: float) -> Iterator[RunRequest]:
        """The runs that are due after a moment."""
        last = self.read(cursor, moment).last
        while (run := self.after(last)) is not None:
            if run.at > moment:
                yield self.request(run, last)
            last = run

    def between(self, begin: float, end: float) -> Iterator[RunRequest]:
        """The runs that were due from a moment up to another, all missed ones included."""
        asking = copy(self)
        asking.restriction = self.restriction._replace(catchup=True)
        for each in asking.coming(None, math.nextafter(begin, -math.inf)):
            if datetime.fromisoformat(each.key.partition(" ")[0]).timestamp() > end:
                return
            yield each

    @staticmethod
    def read(cursor: Any, now: float) -> Cursor:
        """A cursor; one that another kind of trigger has left counts from where that was."""
        try:
            return msgspec.convert(cursor, Cursor)
        except msgspec.ValidationError:
            return Cursor(cursor if isinstance(cursor, float) else now)

    def after(self, last: Run | None) -> Run | None:
        """The run after another one. Raises DefinitionError for an answer that is none."""
        before = None if last is None else DagRunInfo(_moment(last.at), _interval(last.start, last.end))
        info = cast(Any, self.timetable.next_dagrun_info_v2(last_dagrun_info=before, restriction=self.restriction))
        if info is None:
            return None
        try:
            about = info.data_interval
            run = Run(*(_seconds(each) for each in (info.run_after, about.start, about.end)))
        except (AttributeError, TypeError, ValueError) as error:
            raise self._wrong(f"gave {info!r}, which is no DagRunInfo with aware moments: {error}") from None
        if last is not None and run[1:] == last[1:]:
            raise self._wrong(f"does not go on: after the run about {before and before.data_interval} comes the same")
        return run

    def request(self, run: Run, last: Run | None) -> RunRequest:
        """A run as it is asked for."""
        key = _text(run.at)
        if last is not None and last.at == run.at:
            # two that begin at the same time
            key = f"{key} {_text(run.start)}"
        start, end = (datetime.fromtimestamp(each, self._zone) for each in run[1:])
        return RunRequest(key, logical_time=start, interval=(start, end))

    def _wrong(self, what: str) -> DefinitionError:
        return DefinitionError(f"the timetable {self.__name__} {what}", where=str(self.location))


class Clock(Sensor[Any, Any]):
    """The trigger of a DAG with a timetable of the user's own."""

    role = "trigger"

    def __init__(self, asking: Asking, noun: TriggerNoun, pipeline: Composition[..., Any]) -> None:
        found = said_by(asking.timetable, _DECISIONS)
        code = {name: cast("Callable[..., Any]", each) for name, each in found.items() if callable(each)}
        super().__init__(asking, noun, pipeline, code)
        self._asking = asking

    def coming(self, cursor: Any, after: datetime) -> Iterator[RunRequest]:
        """The runs that are due after a moment. Raises what the timetable raises, and DefinitionError for what is no answer."""
        return self._asking.coming(cursor, after.timestamp())

    def between(self, begin: datetime, end: datetime) -> Iterator[RunRequest]:
        """The runs that were due from a moment up to another and with it. Raises as `coming` does."""
        return self._asking.between(begin.timestamp(), end.timestamp())


def _moment(seconds: float) -> Any:
    return instance(datetime.fromtimestamp(seconds, UTC))


def _interval(start: float, end: float) -> DataInterval:
    return DataInterval(_moment(start), _moment(end))


def _seconds(moment: Any) -> float:
    if moment.utcoffset() is None:
        raise ValueError(f"{moment} names no zone")
    return moment.timestamp()


def _text(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        # an offset without a name
        return ZoneInfo("UTC")


# What a run is about that a person starts.


class Inferred(FromCause):
    """A part of the data interval of a run, which the timetable infers where the clock has not started it."""

    dag: DAG

    def value(self, kind: Kind, cause: Cause) -> Any:
        if cause.interval is None and cause.logical_time is not None:
            cause = msgspec.structs.replace(cause, interval=about(self.dag, cause.logical_time))
        return super().value(kind, cause)


def interval_defaults(dag: DAG) -> tuple[Any, Any]:
    """The defaults of the parameters for the data interval of a run."""
    found = (interval_start(), interval_end())
    if own_timetable(dag) is None:
        return found
    for part in (made := (Inferred("interval_start"), Inferred("interval_end"))):
        part.dag = dag
    return made


def own_timetable(dag: DAG) -> Timetable | None:
    """The timetable of the user's own that a DAG has; None for none."""
    from penstock.dialects.airflow.schedules import by_clock

    timetable = by_clock(dag)
    return timetable if is_own(timetable) else None


def inferred(dag: DAG, run_after: datetime) -> DataInterval:
    """What a run of a DAG with a timetable of the user's own is about that a person starts at a moment. Raises DefinitionError
    where the timetable does not say."""
    timetable = own_timetable(dag)
    assert timetable is not None
    name = type(timetable).__name__
    try:
        found = timetable.infer_manual_data_interval(run_after=instance(run_after.astimezone(UTC)))
        return DataInterval(*(instance(datetime.fromtimestamp(_seconds(each), UTC)) for each in found))
    except Exception as error:
        # whatever the user's code raises, the run has no data interval
        told = "it has no infer_manual_data_interval" if isinstance(error, NotImplementedError) else repr(error)
        raise DefinitionError(
            f"the timetable {name} of the DAG {dag.dag_id!r} cannot tell what a run is about that is started by hand: {told}",
            where=str(location_of(type(timetable).infer_manual_data_interval)),
            remedy="Write its infer_manual_data_interval(self, *, run_after), which returns a DataInterval.",
        ) from error


def about(dag: DAG, at: float) -> tuple[float, float]:
    """What a run of a DAG is about that a person started at a moment, in seconds since the epoch: that moment, unless it has a
    timetable of the user's own, which says."""
    if own_timetable(dag) is None:
        return at, at
    start, end = inferred(dag, datetime.fromtimestamp(at, UTC))
    return start.timestamp(), end.timestamp()


__all__ = [
    "Clock",
    "about",
    "can_be_scheduled",
    "check_own",
    "clock_of",
    "inferred",
    "interval_defaults",
    "is_own",
    "note_of",
    "own_timetable",
]
