"""How an asset is divided into partitions, and which partitions of one asset another is made from.

A partition goes by its key. Of several dimensions, the key is that of each, in the order of their names, joined by `|`.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from penstock.model.schedule import Cron

#: between the keys of several dimensions
JOINT = "|"


class TimePartitions(msgspec.Struct, frozen=True, tag="time"):
    """Stretches of time without gaps, each known by its start: `2026-03-01` for a day, `2026-03-01T14:00` for an hour (in
    the time of the zone, with its offset where the hour comes twice). The last is the last that is over, plus `ahead`."""

    unit: Literal["hour", "day", "week", "month", "cron"]
    #: ISO 8601 without a zone: the start of the first
    start: str
    #: nothing begins from then on
    end: str | None = None
    zone: str = "UTC"
    #: minutes after the start of the unit that a partition begins at
    offset: int = 0
    #: for the unit `cron`
    cron: Cron | None = None
    #: how many partitions exist that are not over yet
    ahead: int = 0
    #: `strftime` of the keys, if not the usual one of the unit
    format: str | None = None


class StaticPartitions(msgspec.Struct, frozen=True, tag="static"):
    """A fixed list of keys."""

    keys: tuple[str, ...]


class DynamicPartitions(msgspec.Struct, frozen=True, tag="dynamic"):
    """Keys that are added and removed while the project lives, kept in the store under a name."""

    name: str


class ManyDimensions(msgspec.Struct, frozen=True, tag="dimensions"):
    """Every combination of the partitions of several dimensions."""

    dimensions: dict[str, TimePartitions | StaticPartitions | DynamicPartitions]


Partitions = TimePartitions | StaticPartitions | DynamicPartitions | ManyDimensions


class Same(msgspec.Struct, frozen=True, tag="same"):
    """The partition with the same key (of the dimensions that both have)."""


class Last(msgspec.Struct, frozen=True, tag="last"):
    """The partition with the same key and those before it, `count` in all; with `offset` 1, all of them one earlier."""

    count: int
    offset: int = 0


class Everything(msgspec.Struct, frozen=True, tag="all"):
    """All partitions that there are."""


class ByTime(msgspec.Struct, frozen=True, tag="by-time"):
    """The partitions whose time lies within, or else around, that of the partition: the hours of a day, the month of a week."""


class Chosen(msgspec.Struct, frozen=True, tag="chosen"):
    """The partitions that a function of the author's names for a key: `module:qualname`."""

    function: str


Mapping = Same | Last | Everything | ByTime | Chosen
