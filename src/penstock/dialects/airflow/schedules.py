"""What starts a DAG: its schedule, as triggers of penstock, and the times that its runs are about, as Airflow has them."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from msgspec.structs import replace

from penstock.authoring.triggers.events import run_ends
from penstock.authoring.triggers.schedules import Schedule, cron, every, once, recurring, together
from penstock.authoring.triggers.trigger import Trigger, trigger
from penstock.dialects.airflow.assets import BaseAsset, condition_of, patterns_in
from penstock.dialects.airflow.clocks import PRESETS, rearranged
from penstock.dialects.airflow.clockwork import can_be_scheduled, check_own, clock_of, is_own, note_of
from penstock.dialects.airflow.moments import convert_to_utc, zone_name
from penstock.dialects.airflow.timetable import TimeRestriction, Timetable
from penstock.dialects.airflow.timetables import (
    AssetOrTimeSchedule,
    AssetTriggeredTimetable,
    ContinuousTimetable,
    CronDataIntervalTimetable,
    CronTriggerTimetable,
    DeltaDataIntervalTimetable,
    DeltaTriggerTimetable,
    EventsTimetable,
    NullTimetable,
    OnceTimetable,
)
from penstock.dialects.airflow.watching import watchers_of
from penstock.dialects.foreign import imported_roots
from penstock.errors import DefinitionError

if TYPE_CHECKING:
    from penstock.authoring.pipeline import Composition
    from penstock.dialects.airflow.dag import DAG

_MOMENT: Final = timedelta(microseconds=1)
_SECOND: Final = timedelta(seconds=1)
#: how often a DAG of Airflow 2 runs that says nothing of it
_DAY: Final = timedelta(days=1)
#: a moment before which nothing is due
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def generation(dag: DAG) -> Literal[2, 3]:
    """The major version of Airflow that a DAG is written for: 3 where its file imports `airflow.sdk`, else 2. It decides what a
    run of a cron expression or a timedelta is about, and whether missed ticks are made up for where nobody has said.

    `AIRFLOW__SCHEDULER__CREATE_CRON_DATA_INTERVALS` says it of all files.
    """
    from penstock.dialects.airflow.configuration import conf

    if os.environ.get("AIRFLOW__SCHEDULER__CREATE_CRON_DATA_INTERVALS"):
        return 2 if conf.getboolean("scheduler", "create_cron_data_intervals") else 3
    return 3 if _imports_sdk(Path(dag.location.file)) else 2


def _imports_sdk(file: Path) -> bool:
    try:
        return _mentions_sdk(str(file.absolute()), file.stat().st_mtime_ns)
    except OSError:
        return False


@functools.lru_cache(maxsize=256)
def _mentions_sdk(file: str, changed: int) -> bool:
    source = Path(file).read_text("utf-8", "replace")
    return "airflow" in imported_roots(source) and "airflow.sdk" in source


def has_assets(schedule: Any) -> bool:
    """Whether a schedule follows assets."""
    if isinstance(schedule, (list, tuple, set)):
        return bool(cast("list[Any]", schedule))
    return isinstance(schedule, (BaseAsset, AssetTriggeredTimetable))


def timetable_of(dag: DAG) -> Timetable:
    """The timetable that the schedule of a DAG amounts to. Raises DefinitionError."""
    from dateutil.relativedelta import relativedelta

    given = dag.schedule
    zone = zone_of(dag)
    if dag.schedule_omitted and dag.start_date is not None and generation(dag) == 2:
        return DeltaDataIntervalTimetable(_DAY)
    if given is None or given == "None":
        return NullTimetable()
    if isinstance(given, Timetable):
        return given
    if has_assets(given):
        return AssetTriggeredTimetable(given)
    if isinstance(given, (list, tuple, set)):
        return NullTimetable()
    old = generation(dag) == 2
    if isinstance(given, (timedelta, relativedelta)):
        return DeltaDataIntervalTimetable(given) if old else DeltaTriggerTimetable(given)
    named: dict[str, Timetable] = {"@once": OnceTimetable(), "@continuous": ContinuousTimetable()}
    if isinstance(given, str):
        expression = PRESETS.get(given, given)
        default = (
            CronDataIntervalTimetable(expression, zone) if old else CronTriggerTimetable(expression, timezone=zone)
        )
        return named.get(given, default)
    raise DefinitionError(
        f"the DAG {dag.dag_id!r} has the schedule {given!r}, which is none",
        where=str(dag.location),
        remedy='It is a cron expression, "@daily" and the like, a timedelta, a timetable, assets, or None.',
    )


def by_clock(dag: DAG) -> Timetable:
    """The timetable by which the clock starts a DAG, beside what its assets do. Raises DefinitionError."""
    timetable = timetable_of(dag)
    return timetable.timetable if isinstance(timetable, AssetOrTimeSchedule) else timetable


def restriction_of(dag: DAG) -> TimeRestriction:
    """When there may be runs of a DAG, as timetables are told."""
    start, end = (convert_to_utc(_aware(dag, each)) for each in (dag.start_date, dag.end_date))
    return TimeRestriction(start, end, catches_up(dag))


def zone_of(dag: DAG) -> str:
    """The zone of a DAG: that of its start, or else the one of the configuration."""
    start = dag.start_date
    if start is not None and start.tzinfo is not None:
        return zone_name(start.tzinfo)
    from penstock.dialects.airflow.configuration import conf

    default = str(conf.get("core", "default_timezone"))
    return "UTC" if default.lower() in ("utc", "system") else default


def _aware(dag: DAG, moment: datetime | None) -> datetime | None:
    from zoneinfo import ZoneInfo

    return moment if moment is None or moment.tzinfo is not None else moment.replace(tzinfo=ZoneInfo(zone_of(dag)))


def catches_up(dag: DAG) -> bool:
    """Whether ticks that were missed are made up for."""
    return generation(dag) == 2 if dag.catchup is None else bool(dag.catchup)


# Triggers.


def triggers_of(dag: DAG, pipeline: Composition[..., Any]) -> dict[str, Trigger]:
    """What starts a DAG, by name: one trigger, or two where assets and the clock both do. Raises DefinitionError."""
    from penstock.dialects.airflow.partitions.following import sensor_of
    from penstock.dialects.airflow.partitions.timetables import PartitionedAssetTimetable

    timetable = timetable_of(dag)
    if isinstance(timetable, NullTimetable):
        return {}
    found: dict[str, Trigger] = {}
    if isinstance(timetable, PartitionedAssetTimetable):
        return {dag.dag_id: sensor_of(dag, pipeline, timetable, _options(dag))}
    if isinstance(timetable, AssetTriggeredTimetable):
        found[dag.dag_id] = _by_assets(dag, pipeline, timetable)
        found |= watchers_of(dag, pipeline, timetable.assets)
    timetable = by_clock(dag)
    if is_own(timetable) or not _has_rule(dag, timetable):
        name = dag.dag_id if dag.dag_id not in found else f"{dag.dag_id}-clock"
        found |= _by_own(dag, pipeline, timetable, name)
    elif isinstance(timetable, ContinuousTimetable):
        dag.ignore(
            f"the DAG {dag.dag_id!r}: the first run of @continuous",
            "each run starts the next one; start the first with `penstock run`, or the trigger by hand",
        )
        options = _options(dag) | {"at_most": 1}
        found[dag.dag_id] = _made(dag, pipeline, run_ends(dag.dag_id, "any"), options, dag.dag_id)
    elif not isinstance(timetable, AssetTriggeredTimetable):
        name = dag.dag_id if dag.dag_id not in found else f"{dag.dag_id}-clock"
        schedule = schedule_of(dag, timetable)
        if schedule is not None:
            missed = {"missed": "all" if catches_up(dag) else "latest"}
            found[name] = _made(dag, pipeline, schedule, _options(dag) | missed, name)
    return found


def _by_own(dag: DAG, pipeline: Composition[..., Any], timetable: Timetable, name: str) -> dict[str, Trigger]:
    """What starts a DAG by a timetable that has to be asked; nothing for one that the clock does not follow."""
    check_own(dag, timetable)
    note_of(dag, timetable)
    return {name: clock_of(dag, pipeline, timetable, name, _options(dag))} if can_be_scheduled(timetable) else {}


def _options(dag: DAG) -> dict[str, Any]:
    # not: priority, condition
    counts = [each for each in (dag.max_active_runs, by_clock(dag).active_runs_limit) if each]
    return {
        "at_most": min(counts, default=None),
        "tags": list(dag.tags),
        "enabled": dag.is_paused_upon_creation is not True,
        "description": dag.description or "",
    }


def _made(dag: DAG, pipeline: Composition[..., Any], source: Any, options: dict[str, Any], name: str) -> Trigger:
    made = trigger(pipeline, source, name=name, **options)
    made.noun = replace(made.noun, location=dag.location)
    made.module = pipeline.function.__module__
    return made


def _by_assets(dag: DAG, pipeline: Composition[..., Any], timetable: AssetTriggeredTimetable) -> Trigger:
    from penstock.dialects.airflow.params import ASSET_EVENTS

    condition = condition_of(timetable.assets)
    names = dict.fromkeys(each.name for each in patterns_in(condition))
    # of one of several, the others are not there to be filled in
    parameters = {ASSET_EVENTS: {name: f"{{{name}.data}}" for name in names}} if _is_sure(condition) else {}
    return _made(dag, pipeline, condition, _options(dag) | {"parameters": parameters}, dag.dag_id)


def _is_sure(condition: Any) -> bool:
    """Whether all events of a condition are there when it holds."""
    from penstock.model.occurrence import AllOf, AnyOf, Pattern

    if isinstance(condition, AllOf):
        return all(_is_sure(each) for each in condition.conditions)
    if isinstance(condition, AnyOf):
        return len({each.name for each in patterns_in(condition)}) == 1
    return isinstance(condition, Pattern)


def schedule_of(dag: DAG, timetable: Timetable) -> Schedule | None:
    """When a DAG is due by the clock. Raises DefinitionError for what cannot be said of it."""
    start, end = _aware(dag, dag.start_date), _aware(dag, dag.end_date)
    if isinstance(timetable, OnceTimetable):
        return once(start or datetime.now(UTC).replace(microsecond=0) + _SECOND, zone=zone_of(dag))
    if isinstance(timetable, EventsTimetable):
        moments = [
            each
            for each in (cast(datetime, _aware(dag, each)) for each in timetable.event_dates)
            if (start is None or each >= start) and (end is None or each <= end)
        ]
        return once(*moments, zone=zone_of(dag)) if moments else None
    logical: Literal["tick", "start"] = "start" if timetable.of_intervals else "tick"
    bare = _bare(dag, timetable, start)
    begins, ends = _bounds(bare, start, end, timetable.of_intervals)
    return _bare(dag, timetable, start, start=begins, end=ends, logical=logical)


def _bounds(
    bare: Schedule, start: datetime | None, end: datetime | None, of_intervals: bool
) -> tuple[datetime | None, datetime | None]:
    """From when on, and until when, something is due: where runs are about stretches, the first one begins with the start of
    the DAG or after it, and the last one begins with its end or before."""
    if not of_intervals:
        return start, None if end is None else end + _MOMENT
    first = None if start is None else next(_ticks(bare, start), None)
    last = None if end is None else next(_ticks(bare, end + _MOMENT), None)
    return None if first is None else first + _MOMENT, None if last is None else last + _MOMENT


def _bare(dag: DAG, timetable: Timetable, begins: datetime | None, **narrowing: Any) -> Schedule:
    """The rule of a timetable alone."""
    if isinstance(timetable, (CronTriggerTimetable, CronDataIntervalTimetable)):
        rules = [_cron(dag, each, zone=timetable.zone) for each in timetable.expressions]
        if len(rules) > 1:
            return together(*rules, **narrowing)
        return _cron(dag, timetable.expressions[0], zone=timetable.zone, **narrowing)
    assert isinstance(timetable, (DeltaTriggerTimetable, DeltaDataIntervalTimetable))
    anchor = begins or _EPOCH
    if timetable.of_intervals and not catches_up(dag):
        # Airflow counts from 1970 then
        anchor = _EPOCH
    if isinstance(timetable.length, timedelta):
        return every(timetable.length, anchor=anchor, **narrowing)
    return _calendar(dag, timetable.length, begins or _EPOCH, narrowing)


def _cron(dag: DAG, expression: str, **options: Any) -> Schedule:
    """The rule of a cron expression. Raises DefinitionError for what is none."""
    # in UTC, no clock is changed
    late = options.get("zone", "UTC") != "UTC"
    try:
        return cron(rearranged(expression), late=late, **options)
    except DefinitionError as error:
        raise DefinitionError(error.what, where=str(dag.location), remedy=error.remedy) from None


#: parts of a relativedelta -> the frequency that they are
_FREQUENCIES: Final = {
    "years": "YEARLY",
    "months": "MONTHLY",
    "days": "DAILY",
    "hours": "HOURLY",
    "minutes": "MINUTELY",
    "seconds": "SECONDLY",
}


#: those that are always of the same length
_FIXED: Final = frozenset({"days", "hours", "minutes", "seconds"})


def _parts(delta: Any) -> dict[str, int]:
    return {name: getattr(delta, name) for name in _FREQUENCIES if getattr(delta, name)}


def _has_rule(dag: DAG, timetable: Timetable) -> bool:
    """Whether a rule of penstock's says when one of Airflow's timetables is due. It does not where it is a relativedelta of
    several units, or one that begins on a day that some months do not have: that depends on the ticks before."""
    if not isinstance(timetable, (DeltaTriggerTimetable, DeltaDataIntervalTimetable)):
        return True
    if isinstance(timetable.length, timedelta):
        return True
    parts, begins = _parts(timetable.length), _aware(dag, dag.start_date) or _EPOCH
    if parts.keys() <= _FIXED:
        return True
    return len(parts) == 1 and min(parts.values()) > 0 and begins.astimezone(UTC).day <= 28


def _calendar(dag: DAG, delta: Any, begins: datetime, narrowing: dict[str, Any]) -> Schedule:
    """The rule of a relativedelta that has one."""
    parts = _parts(delta)
    if parts.keys() <= _FIXED:
        length = timedelta(**parts)
        return every(length, anchor=begins, **narrowing)
    ((name, count),) = parts.items()
    first = narrowing.pop("start", None)
    rule = recurring(f"FREQ={_FREQUENCIES[name]};INTERVAL={count}", start=begins.astimezone(UTC), **narrowing)
    # the rule counts from its start, which need not be its first tick
    return rule if first is None else Schedule(replace(rule.timetable, start=first.timestamp()))


# Times.


def _ticks(schedule: Schedule, after: datetime) -> Iterator[datetime]:
    """The ticks of a schedule from a moment on."""
    return schedule.after(after - _MOMENT)


def neighbour(dag: DAG, logical: datetime, *, forward: bool) -> datetime | None:
    """The logical date before one, or after it, by the schedule of a DAG; None for one that the clock does not start."""
    timetable = by_clock(dag)
    if is_own(timetable) or not isinstance(timetable, _CLOCKS) or not _has_rule(dag, timetable):
        return None
    bare = _bare(dag, timetable, _aware(dag, dag.start_date))
    if not forward:
        return next(bare.before(logical), None)
    return next(_ticks(bare, logical + _SECOND), None)


_CLOCKS: Final = (
    CronTriggerTimetable,
    CronDataIntervalTimetable,
    DeltaTriggerTimetable,
    DeltaDataIntervalTimetable,
)

_Times = tuple[datetime | None, datetime | None, datetime | None]


def seen_times(dag: DAG, logical: datetime | None, start: datetime | None, end: datetime | None) -> _Times:
    """The logical date and the data interval of a run as Airflow gives them, from the times of penstock."""
    if logical is None or start is None or end is None:
        return logical, start, end
    timetable = by_clock(dag)
    if is_own(timetable):
        return logical, start, end
    if not isinstance(timetable, _CLOCKS):
        # a moment, and no stretch
        return logical, logical, logical
    if start != end:
        return _of_tick(timetable, logical, start, end)
    return _of_person(dag, timetable, logical)


def _of_tick(timetable: Timetable, logical: datetime, start: datetime, end: datetime) -> _Times:
    if timetable.of_intervals:
        return start, start, end
    begins = (end.astimezone(UTC) - timetable.reach).astimezone(end.tzinfo)
    return begins, begins, end


def _of_person(dag: DAG, timetable: Timetable, at: datetime) -> _Times:
    """The times of a run that a person starts: the last whole stretch before its logical date."""
    if not timetable.of_intervals:
        return at, (at.astimezone(UTC) - timetable.reach).astimezone(at.tzinfo), at
    if isinstance(timetable, DeltaDataIntervalTimetable):
        return at, (at.astimezone(UTC) - timetable.length).astimezone(at.tzinfo), at
    bare = _bare(dag, timetable, None)
    end = next(bare.before(at + timedelta(milliseconds=2)), None)
    start = None if end is None else next(bare.before(end), None)
    return at, start or at, end or at


__all__ = [
    "by_clock",
    "catches_up",
    "generation",
    "has_assets",
    "neighbour",
    "restriction_of",
    "schedule_of",
    "seen_times",
    "timetable_of",
    "triggers_of",
    "zone_of",
]
