"""How timetables reckon: by cron expressions, and by lengths of time. The methods go by Airflow's names, since timetables that
people write call them, and write them anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cached_property
from typing import Any, Final

from penstock.authoring.triggers.schedules import Schedule, cron
from penstock.dialects.airflow.exceptions import AirflowTimetableInvalid
from penstock.dialects.airflow.moments import convert_to_utc, make_aware, make_naive, parse_timezone, zone_name
from penstock.errors import DefinitionError

#: Airflow's names for cron expressions
PRESETS: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@quarterly": "0 0 1 */3 *",
    "@yearly": "0 0 1 1 *",
}
#: what says of the hours that it is any
_EVERY_HOUR: Final = frozenset({"*", "*/1", "0-23", "0-23/1"})


def rearranged(expression: str) -> str:
    """A cron expression of Airflow's as one of penstock's: of six fields, the last is the second there, and the first here."""
    fields = expression.split()
    return expression if len(fields) != 6 else " ".join((fields[-1], *fields[:-1]))


class CronMixin:
    """Reckons by a cron expression, in the time of a zone.

    As in Airflow, a time that the clocks skip is moved on by as much as they skip, and of one that they show twice, the second
    counts; what comes every hour comes at the same distance throughout.
    """

    def __init__(self, cron: str, timezone: str | tzinfo) -> None:
        self._expression = PRESETS.get(cron, cron)
        self.zone = timezone if isinstance(timezone, str) else zone_name(timezone)

    @cached_property
    def _timezone(self) -> tzinfo:
        return parse_timezone(self.zone)

    @property
    def expressions(self) -> tuple[str, ...]:
        return (self._expression,)

    @property
    def summary(self) -> str:
        return self._expression

    def validate(self) -> None:
        try:
            cron(rearranged(self._expression))
        except DefinitionError as error:
            raise AirflowTimetableInvalid(error.what) from None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and (self.expressions, self.zone) == (other.expressions, other.zone)

    def __hash__(self) -> int:
        return hash((self.expressions, self.zone))

    def _get_next(self, current: Any) -> Any:
        """The first time after a moment."""
        return self._beside(current, self._walls.after)

    def _get_prev(self, current: Any) -> Any:
        """The last time before a moment."""
        return self._beside(current, self._walls.before)

    def _beside(self, current: Any, walls: Callable[[datetime], Iterator[datetime]]) -> Any:
        wall = make_naive(current, self._timezone)
        there = next(walls(wall.replace(tzinfo=UTC)), None)
        if there is None:
            raise AirflowTimetableInvalid(f"the cron expression {self._expression!r} has no time beside {current}")
        there = there.replace(tzinfo=None)
        if self._expression.split()[1] not in _EVERY_HOUR:
            return convert_to_utc(make_aware(there, self._timezone))
        return convert_to_utc(current) + (there - wall)

    @cached_property
    def _walls(self) -> Schedule:
        """The times on a clock that is never changed."""
        return cron(rearranged(self._expression))

    def _align_to_next(self, current: Any) -> Any:
        """A moment, if it is a time, and otherwise the first time after it."""
        later = self._get_next(current)
        return current if self._get_prev(later) == current else later

    def _align_to_prev(self, current: Any) -> Any:
        """A moment, if it is a time, and otherwise the last time before it."""
        earlier = self._get_prev(current)
        return current if self._get_next(earlier) == current else earlier


class DeltaMixin:
    """Reckons by a length of time: a timedelta or a relativedelta."""

    def __init__(self, delta: Any) -> None:
        self._delta = delta

    @property
    def length(self) -> Any:
        return self._delta

    @property
    def summary(self) -> str:
        return str(self._delta)

    def validate(self) -> None:
        now = datetime.now()
        if now + self._delta <= now:
            raise AirflowTimetableInvalid(f"schedule interval must be positive, not {self._delta!r}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and self._delta == other._delta

    def __hash__(self) -> int:
        return hash(self._delta)

    def _get_next(self, current: Any) -> Any:
        return convert_to_utc(current + self._delta)

    def _get_prev(self, current: Any) -> Any:
        return convert_to_utc(current - self._delta)

    def _align_to_next(self, current: Any) -> Any:
        return current

    def _align_to_prev(self, current: Any) -> Any:
        return current

    def _round(self, dt: Any, anchor: Any) -> Any:
        """The last time at a moment or before it: of months and years as counted from an anchor, of others from 1970."""
        from penstock.dialects.airflow.moments import instance

        if getattr(self._delta, "months", 0) or getattr(self._delta, "years", 0):
            at = anchor
            while (after := self._get_next(at)) <= dt:
                at = after
            return at
        epoch = datetime(1970, 1, 1, tzinfo=UTC)
        length = self._delta if isinstance(self._delta, timedelta) else (epoch + self._delta) - epoch
        return instance(dt - (dt - epoch) % length)


__all__ = ["PRESETS", "CronMixin", "DeltaMixin", "rearranged"]
