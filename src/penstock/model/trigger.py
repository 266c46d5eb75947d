"""What starts runs: triggers, what they start, and the cause that a run remembers."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from penstock.model.occurrence import Condition, Pattern
from penstock.model.place import Location
from penstock.model.schedule import Timetable


class EventSource(msgspec.Struct, frozen=True, tag="events"):
    """Events that meet a condition."""

    condition: Condition


class SensorSource(msgspec.Struct, frozen=True, tag="sensor"):
    """A function of the user's that is asked again and again: the name of it in the file or module of the trigger."""

    function: str
    #: seconds between two times
    every: float = 30.0
    #: seconds that one time may take
    timeout: float = 60.0
    #: seconds between two times that failed, at most; they double from `every` on
    longest: float = 3600.0


class ClockSource(SensorSource, frozen=True, tag="clock"):
    """A sensor that follows the clock: it knows when it will ask for runs, and tells what each of them is about.

    Its cursor is an object. `since` is the moment after which what is due fires, in seconds since the epoch; `next_at`, once it
    was asked, when it is due next, or None.
    """

    #: of the times that it tells
    zone: str = "UTC"


class ListenerSource(SensorSource, frozen=True, tag="listener"):
    """A sensor that looks through some events by itself: it is asked as soon as there are new ones, and every so often
    besides.

    Its cursor is an object. The first one, and the first after it was switched on, has `since`: the moment from which on events
    count, in seconds since the epoch.
    """

    patterns: tuple[Pattern, ...] = ()
    #: tells by which rules it looks through them: by others, it is another version of the trigger
    rules: str = ""


class WatchSource(msgspec.Struct, frozen=True, tag="watch"):
    """What is looked at again and again by penstock itself: files in a folder, objects in a bucket, rows of a table."""

    kind: Literal["files", "objects", "rows"]
    #: a glob pattern, a URL with one, or the address of a database
    place: str
    every: float = 5.0
    #: seconds for which a file has to stay as it is before it counts
    settle: float = 2.0
    #: for rows: the query, with `:cursor` for where the last time ended, and the column that the cursor is of
    query: str = ""
    column: str = ""
    #: all that is found in one time starts one run, with the list of it, rather than one each
    together: bool = False
    #: whether what is there already the first time counts as well
    existing: bool = False


Source = Timetable | EventSource | SensorSource | ClockSource | ListenerSource | WatchSource


class Limits(msgspec.Struct, frozen=True):
    """How the runs of a trigger stand to each other."""

    #: which ticks are made up for that nobody was there for
    missed: Literal["all", "latest", "none"] = "latest"
    #: how many of its runs may be under way at once; None for any number
    at_most: int | None = None
    #: what becomes of a further one then: it waits, it is dropped, or the oldest one is cancelled
    overlap: Literal["queue", "skip", "cancel"] = "queue"
    #: a run only starts if the one before it has succeeded; until then it waits
    after_success: bool = False


class Trigger(msgspec.Struct, frozen=True, kw_only=True):
    """Something that starts runs of a pipeline, or materialises a selection of assets.

    The texts in `parameters` are templates: see `penstock.triggers.templates`.
    """

    name: str
    source: Source
    #: the name of the pipeline; empty for assets
    pipeline: str = ""
    #: the selection of assets; empty for a pipeline
    assets: str = ""
    parameters: dict[str, Any] = {}
    limits: Limits = Limits()
    #: the name of a function of the user's, in the same file, that is asked before each run whether to start it
    condition: str = ""
    priority: int = 0
    tags: tuple[str, ...] = ()
    #: as registered; people may switch it off and on afterwards
    enabled: bool = True
    description: str = ""
    location: Location | None = None


class Follows(msgspec.Struct, frozen=True):
    """What has to be made before a run of a backfill begins: some assets, by other runs of the same backfill."""

    #: ids of runs, from one up to another and with it
    runs: tuple[tuple[str, str], ...]
    assets: tuple[str, ...]


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """Why a run was started, and the time that it is about. A run that a person starts may have a time and a partition."""

    #: name of the trigger; empty for a person
    trigger: str = ""
    #: what tells this firing from the others of the trigger: the tick, the id of the event, the key of the request
    key: str = ""
    #: seconds since the epoch
    logical_time: float | None = None
    interval: tuple[float, float] | None = None
    #: of the times
    zone: str = "UTC"
    partitions: tuple[str, ...] = ()
    #: the backfill that it is a part of
    backfill: str = ""
    #: the runs of it that come first
    follows: Follows | None = None
    #: what happened, by the name of the pattern; JSON-able
    events: dict[str, Any] = {}


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """What is settled of a run before it begins."""

    #: empty for one that is made up
    run_id: str = ""
    cause: Cause | None = None
    #: of the registered pipeline that it is a run of
    version: int | None = None
