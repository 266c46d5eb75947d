"""What is to be started: firings of triggers, and backfills."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

import msgspec

from penstock.model.trigger import Cause


class FiringState(StrEnum):
    """Where a firing is. Once it is `started` it has a run, or a process that is about to make one."""

    QUEUED = "queued"
    STARTED = "started"
    #: no run was made of it, on purpose; `Firing.reason` says why
    SKIPPED = "skipped"
    #: no run could be made of it
    FAILED = "failed"
    CANCELLED = "cancelled"


class Firing(msgspec.Struct, frozen=True, kw_only=True):
    """One time that a trigger fired, or one run of a backfill. `trigger` and `key` together tell it from all others, so that
    one tick, or one event, makes one run.

    The id of its run is settled when it is made, so that however often it is started, one run comes of it.
    """

    run_id: str
    #: name of the trigger; of a backfill `backfill:ID`; for what is materialised by itself `asset:NAME`
    trigger: str
    key: str
    #: name of the registered pipeline; empty for assets
    pipeline: str = ""
    #: the selection of assets; empty for a pipeline
    assets: str = ""
    #: JSON-able
    parameters: dict[str, Any] = {}
    cause: Cause
    priority: int = 0
    tags: tuple[str, ...] = ()
    created_at: float
    #: not to be started before
    due: float = 0.0
    state: FiringState = FiringState.QUEUED
    #: why it waits, was skipped, or failed
    reason: str = ""
    #: how many times somebody tried to start it
    tries: int = 0
    #: the process that is to make its run
    starter: str = ""
    started_at: float | None = None


#: what the name of a standing, or of the trigger of a firing, begins with where it is no trigger of the user's: of an
#: external asset, which is observed again and again; of an asset that is materialised by itself; of a backfill
OBSERVING, AUTOMATING, BACKFILLING = "observe:", "asset:", "backfill:"


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Where a trigger, or a sensor, stands. Changed only together with the firings that come of it."""

    trigger: str
    #: counts the changes; one who changes it says which he has seen
    revision: int = 0
    enabled: bool = True
    #: what it goes on from: JSON-able. Of a timetable, the last tick in seconds since the epoch
    cursor: Any = None
    #: when it is to be looked at again; None: when something happens
    next_at: float | None = None
    #: when it was last looked at, and when it last fired
    looked_at: float | None = None
    fired_at: float | None = None
    #: what was found the last time: why it did not fire, or what went wrong
    note: str = ""
    #: how many times in a row it failed
    failures: int = 0
    #: the process that asks it now, of a sensor or a watch; empty if none does
    asker: str = ""


class Advance(msgspec.Struct, frozen=True, kw_only=True):
    """A change of a standing, with the firings that come of it: recorded together, or not at all."""

    #: as it is to be; its `revision` is the one that was seen
    standing: Standing
    firings: tuple[Firing, ...] = ()


class BackfillState(StrEnum):
    """Where a backfill is."""

    RUNNING = "running"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    #: all its runs have ended; some may have failed
    FINISHED = "finished"


class Backfill(msgspec.Struct, frozen=True, kw_only=True):
    """Runs over partitions, logical times or parameters, a limited number at once."""

    backfill_id: str
    #: name of the registered pipeline; empty for assets
    pipeline: str = ""
    assets: str = ""
    #: what each run is about, in the order in which they are started: its key, parameters and cause
    total: int
    #: how many runs may be under way at once
    at_most: int = 1
    #: what was asked for, for people: JSON-able
    request: dict[str, Any] = {}
    priority: int = 0
    tags: tuple[str, ...] = ()
    state: BackfillState = BackfillState.RUNNING
    #: what to do when a run fails
    on_failure: Literal["continue", "pause"] = "continue"
    created_at: float
    created_by: str = ""
    finished_at: float | None = None
