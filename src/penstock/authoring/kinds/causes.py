"""Parameters of a pipeline whose value comes from the cause of the run: the time that it is about, or its partition."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any, Literal, NamedTuple, cast

import msgspec

from penstock.authoring.kinds.conversion import Form, Kind, Mismatch, Problem
from penstock.authoring.options.reading import moment, option
from penstock.authoring.source import caller
from penstock.errors import DefinitionError
from penstock.model.trigger import Cause

_NONE: Any = object()
_NO_PARTITION = (
    "the run is about no partition; give it one with --partition or at(partition=...), or say partition(default=...)"
)


class FromCause(NamedTuple):
    """The default of a parameter that stands for a part of the cause of the run."""

    part: Literal["logical_time", "interval_start", "interval_end", "partition"]
    default: Any = None
    has_default: bool = False

    def __repr__(self) -> str:
        return f"{self.part}()" if not self.has_default else f"{self.part}(default={self.default!r})"

    @property
    def required(self) -> bool:
        """Whether a run that is about nothing of the kind has no value for it."""
        return self.part == "partition" and not self.has_default

    def value(self, kind: Kind, cause: Cause) -> Any:
        """The value for a parameter of a kind, from a cause as `settled` gives it. Raises Mismatch."""
        return self._partition(kind, cause) if self.part == "partition" else read_moment(kind, self._moment(cause))

    def fits(self, kind: Kind) -> bool:
        """Whether a parameter of a kind can have such a value."""
        try:
            if self.part != "partition":
                read_moment(kind, datetime(2026, 1, 1, tzinfo=UTC))
        except Mismatch:
            return False
        return True

    def _moment(self, cause: Cause) -> datetime:
        at = cause.logical_time
        if self.part != "logical_time" and cause.interval is not None:
            at = cause.interval[0 if self.part == "interval_start" else 1]
        from zoneinfo import ZoneInfo

        zone = ZoneInfo(cause.zone)
        assert at is not None
        return datetime.fromtimestamp(at, zone)

    def _partition(self, kind: Kind, cause: Cause) -> Any:
        keys = cause.partitions
        if len(keys) == 1:
            return kind.read(keys[0], Form.DATA)
        if keys:
            return kind.read(list(keys), Form.DATA)
        if not self.has_default:
            raise Mismatch(Problem("", _NO_PARTITION))
        return kind.read(self.default, Form.OBJECT)


def settled(cause: Cause | None) -> Cause:
    """A cause with a logical time: its own, that of its last event, or now."""
    if cause is None:
        return Cause(logical_time=time.time())
    if cause.logical_time is not None:
        return cause
    from penstock.triggers.templates import logical_time_of

    at = logical_time_of(cause)
    return msgspec.structs.replace(cause, logical_time=time.time() if at is None else at)


def check_settled(pipeline: str, name: str, value: Any) -> None:
    """Raise DefinitionError for a parameter that is left to the cause of a run, where there is none: within another
    pipeline."""
    if isinstance(value, FromCause):
        raise DefinitionError(
            f"{name} of {pipeline}() comes from the cause of a run ({value!r}), and as a part of another pipeline it is no run",
            where=str(caller()),
            remedy=f"Let the outer pipeline have such a parameter, and hand it on: {pipeline}({name}={name}).",
        )


def read_moment(kind: Kind, at: datetime) -> Any:
    """A moment as a value of a kind: a datetime, or else its date, or else its ISO 8601 text. Raises Mismatch."""
    forms: tuple[Any, ...] = (at, at.date(), at.isoformat())
    for value in forms[:-1]:
        try:
            return kind.read(value, Form.OBJECT)
        except Mismatch:
            continue
    return kind.read(forms[-1], Form.OBJECT)


def logical_time() -> Any:
    """As the default of a parameter of a pipeline: the time that the run is about, an aware datetime in the zone of the
    trigger. Of a tick of a schedule, its logical time; of a run that a person starts, `--logical-time`,
    `pipeline.at(logical_time=...)`, or the moment at which it starts.

    For a parameter of the type `date`, the date; for `str`, the ISO 8601 text.
    """
    return FromCause("logical_time")


def interval_start() -> Any:
    """As the default of a parameter of a pipeline: the start of the data interval of the run, which for a tick of a schedule
    is the tick before; without an interval, what `logical_time()` is."""
    return FromCause("interval_start")


def interval_end() -> Any:
    """As the default of a parameter of a pipeline: the end of the data interval of the run, which for a tick of a schedule is
    the tick itself; without an interval, what `logical_time()` is."""
    return FromCause("interval_end")


def partition(*, default: Any = _NONE) -> Any:
    """As the default of a parameter of a pipeline: the key of the partition that the run is about (for several, a list of
    them). A run that is about none has the `default`, and without one it is refused with a ParameterError."""
    return FromCause("partition") if default is _NONE else FromCause("partition", default, True)


def person_cause(logical_time: datetime | date | str | None = None, partition: Any = None) -> Cause | None:
    """The cause of a run that a person starts, with the time and the partition that it is to be about; None for neither.

    A time without a zone is in UTC; one with a zone of the IANA database keeps it. Raises DefinitionError for what is no
    moment, and no key.
    """
    given = () if partition is None else (partition,) if isinstance(partition, str) else partition
    keys: tuple[Any, ...] = tuple(cast("Sequence[Any]", given)) if isinstance(given, (list, tuple)) else (None,)
    if not all(isinstance(key, str) and key for key in keys):
        raise DefinitionError(f"partition must be a key, or several, not {partition!r}", where=str(caller()))
    if logical_time is None:
        return Cause(partitions=keys) if keys else None
    from zoneinfo import ZoneInfo

    at = option("logical_time", moment, logical_time)
    zone = at.tzinfo.key if isinstance(at.tzinfo, ZoneInfo) else "UTC"
    return Cause(logical_time=at.timestamp(), zone=zone, partitions=keys)
