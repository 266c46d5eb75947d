"""Time zones, as stretches of a constant distance from UTC.

Moments are whole seconds since the epoch. The *wall* is the time that a clock in the zone shows, as the seconds from 1970 to
that time, so that its day is `wall // DAY` and its time of the day `wall % DAY`.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from penstock.errors import DefinitionError

DAY: Final = 86_400
#: moments that schedules are worked out between: the years 1800 and 9900
EARLIEST: Final = -5_364_662_400
LATEST: Final = 250_245_417_600

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: seconds of a zone's time that are looked through at once
_CHUNK: Final = 1 << 25
#: seconds between two looks: no zone changes its clocks twice within them
_LOOK: Final = DAY // 2


class Stretch(NamedTuple):
    """A time in which a zone keeps to one distance from UTC; not always all of it."""

    #: moments: from `start` up to `end`, without it
    start: int
    end: int
    #: seconds that the wall is ahead of UTC
    offset: int
    #: the wall up to which, without it, the clocks had come before. Before the wall of the start, there is a gap between
    #: them; behind it, what lies between them comes again
    seen: int

    @property
    def edge(self) -> int:
        """The wall at the start."""
        return self.start + self.offset


@lru_cache(maxsize=1024)
def zone_of(name: str) -> ZoneInfo:
    """A zone by its IANA name. Raises DefinitionError for a name that is none, with those that are like it."""
    try:
        return ZoneInfo(name)
    except Exception:  # what it raises depends on the name and on the system: KeyError, ValueError, OSError
        raise _unknown(name) from None


def _unknown(name: str) -> DefinitionError:
    from difflib import get_close_matches
    from zoneinfo import available_timezones

    known = {zone.lower(): zone for zone in available_timezones()}
    places = {zone.rpartition("/")[2]: zone for zone in sorted(known, reverse=True)}
    wanted = name.lower().replace(" ", "_")
    near = [known[zone] for zone in get_close_matches(wanted, known, n=3, cutoff=0.75)]
    near += [known[places[place]] for place in get_close_matches(wanted.rpartition("/")[2], places, n=2, cutoff=0.8)]
    remedy = 'Zones have the names of the IANA database, such as "Europe/Berlin" or "UTC".'
    if near:
        remedy = f"Did you mean {' or '.join(dict.fromkeys(near))}?"
    elif not known:
        remedy = "This system has no time zones: install the package tzdata."
    return DefinitionError(f"there is no time zone {name!r}", remedy=remedy)


def stretch_at(name: str, moment: int) -> Stretch:
    """The stretch of a zone that a moment lies in."""
    starts, stretches = _stretches(name, moment // _CHUNK)
    return stretches[bisect_right(starts, moment) - 1]


def wall_at(name: str, moment: int) -> int:
    """What the clocks of a zone show at a moment."""
    return moment + stretch_at(name, moment).offset


def moment_of(name: str, wall: int) -> int:
    """When the clocks of a zone show a time first; for a time that they never show, the first moment after the gap."""
    stretch = stretch_at(name, wall - DAY)
    while wall >= stretch.end + stretch.offset:
        stretch = stretch_at(name, stretch.end)
    return max(wall - stretch.offset, stretch.start)


@lru_cache(maxsize=4096)
def _stretches(name: str, chunk: int) -> tuple[list[int], list[Stretch]]:
    """The stretches of one chunk of a zone's time, with their starts."""
    zone = zone_of(name)
    begin, end = chunk * _CHUNK, (chunk + 1) * _CHUNK
    # what was seen in the two days before counts
    moment = begin - 2 * DAY
    offset = _offset(zone, moment)
    start, seen = moment, moment + offset
    found: list[Stretch] = []
    while moment < end:
        ahead = min(moment + _LOOK, end)
        after = _offset(zone, ahead)
        if after != offset:
            ahead = _change(zone, moment, ahead, offset)
            found.append(Stretch(start, ahead, offset, seen))
            start, seen, offset = ahead, max(seen, ahead + offset), _offset(zone, ahead)
        moment = ahead
    if start < end:
        found.append(Stretch(start, end, offset, seen))
    clipped = [_from(stretch, begin) for stretch in found if stretch.end > begin]
    return [stretch.start for stretch in clipped], clipped


def _from(stretch: Stretch, begin: int) -> Stretch:
    """What is left of a stretch from a moment on."""
    if stretch.start >= begin:
        return stretch
    return stretch._replace(start=begin, seen=max(stretch.seen, begin + stretch.offset))


def _offset(zone: ZoneInfo, moment: int) -> int:
    offset = (EPOCH + timedelta(seconds=moment)).astimezone(zone).utcoffset()
    assert offset is not None
    return round(offset.total_seconds())


def _change(zone: ZoneInfo, before: int, after: int, offset: int) -> int:
    """The first moment between two at which the distance from UTC is no longer what it was."""
    while after - before > 1:
        middle = (before + after) // 2
        if _offset(zone, middle) == offset:
            before = middle
        else:
            after = middle
    return after


__all__ = ["DAY", "EARLIEST", "EPOCH", "LATEST", "Stretch", "moment_of", "stretch_at", "wall_at", "zone_of"]
