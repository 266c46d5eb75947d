"""The places where something can be made to go wrong, by name. Each is a method of an adapter or of a process's loop,
and has two points: `NAME:before` and `NAME:after` the method has done its work."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any, NamedTuple

BEFORE, AFTER = "before", "after"


class Place(NamedTuple):
    """A place, and the methods that stand for it: one for each adapter, as `module:qualified.name`."""

    name: str
    #: where it is reached: `driver`, `server` (which forks workers), `worker`, `any`
    process: str
    methods: tuple[str, ...]
    about: str
    #: whatever goes wrong there reaches its callers as a StoreError
    records: bool = False


_STORES = ("penstock.stores.sqlite:SqliteStore", "penstock.stores.postgres:PostgresStore")
_EXECUTORS = (
    "penstock.executors.processes:ProcessExecutor",
    "penstock.executors.concurrent:ConcurrentExecutor",
    "penstock.executors.inline:InlineExecutor",
)
_BLOBS = ("penstock.blobs.local:LocalBlobs", "penstock.blobs.cached:CachedBlobs")
_WRITERS = ("penstock.blobs.local:LocalWriter", "penstock.blobs.cached:CachedWriter")


def _of(classes: tuple[str, ...], method: str) -> tuple[str, ...]:
    return tuple(f"{each}.{method}" for each in classes)


def _stored(method: str, about: str, process: str = "driver") -> Place:
    return Place(f"store.{method}", process, _of(_STORES, method), about, records=True)


#: all there are
PLACES: tuple[Place, ...] = (
    _stored("create", "a new run is recorded"),
    _stored("commit", "a turn is recorded"),
    Place(
        "store.transaction",
        "driver",
        ("penstock.stores.transactions:Transaction.__exit__",),
        "before: within a transaction, all written and nothing committed",
        records=True,
    ),
    _stored("reopen", "a run is taken over"),
    _stored("regenerate", "a run begins anew"),
    _stored("keep", "the identity of code is kept"),
    _stored("beat", "the driver says that it lives"),
    _stored("ask", "a request is left for a driver"),
    _stored("tag", "tags are put on a run"),
    _stored("remove", "runs are forgotten"),
    _stored("forget", "entries of the cache are dropped"),
    _stored("compact", "the journal of a run that has ended is made smaller"),
    _stored("sweep", "what nothing recorded refers to is dropped"),
    Place(
        "migration",
        "driver",
        ("penstock.stores.schema:migrate", "penstock.stores.postgres_schema:migrate"),
        "the store is brought to the schema of today",
    ),
    Place("blobs.collect", "driver", _of(_BLOBS, "collect"), "a blob that nobody needs is removed", records=True),
    Place(
        "blob.write",
        "any",
        _of(_WRITERS, "write"),
        "bytes go into an unfinished blob",
        records=True,
    ),
    Place(
        "blob.commit",
        "any",
        _of(_WRITERS, "commit"),
        "before: all is written and nothing visible; after: the blob is in its place",
        records=True,
    ),
    Place("executor.submit", "driver", _of(_EXECUTORS, "submit"), "attempts are handed out"),
    Place("executor.poll", "driver", _of(_EXECUTORS, "poll"), "reports are gathered"),
    Place(
        "server.start", "driver", ("penstock.executors.workers.server:Server.start",), "the server of workers starts"
    ),
    Place("server.request", "driver", ("penstock.executors.workers.server:Server.fork",), "a worker is asked for"),
    Place("server.fork", "server", ("penstock.executors.workers.forkserver:ForkServer._fork",), "a worker is forked"),
    Place("server.process", "server", ("os:fork",), "the operating system is asked for a process"),
    Place("server.bury", "server", ("penstock.executors.workers.forkserver:ForkServer._bury",), "a worker is gone"),
    Place(
        "worker.start",
        "worker",
        ("penstock.executors.workers.worker:Worker.serve", "penstock.executors.workers.loop:LoopWorker.serve"),
        "a worker begins to serve; after: it leaves",
    ),
    Place(
        "worker.attempt",
        "worker",
        ("penstock.executors.attempts.attempt:Attempts.make",),
        "before: an attempt is to be made; after: its outputs are stored and nothing is reported",
    ),
    Place("worker.store-output", "worker", ("penstock.values.store:Values.store",), "an output is put away"),
    Place(
        "worker.report",
        "worker",
        ("penstock.executors.workers.worker:Worker._send", "penstock.executors.workers.loop:LoopWorker._send"),
        "what has ended is reported",
    ),
    Place(
        "observer",
        "driver",
        (
            "penstock.observe.notices:LoggedNotices.turn",
            "penstock.observe.progress:PlainProgress.turn",
            "penstock.observe.progress:LiveProgress.turn",
        ),
        "a turn that is recorded is shown",
    ),
    Place(
        "gc.collect",
        "driver",
        ("penstock.runtime.collecting.collection:Collector.collect",),
        "what is not needed is removed",
    ),
)


class Method(NamedTuple):
    """A function, and what has it as an attribute."""

    owner: Any
    name: str


def place_of(point: str) -> Place | None:
    """The place of a point; None for a name that there is none for."""
    name, _, moment = point.partition(":")
    return next((place for place in PLACES if place.name == name and moment in (BEFORE, AFTER)), None)


def points() -> list[str]:
    """The names of all points."""
    return [f"{place.name}:{moment}" for place in PLACES for moment in (BEFORE, AFTER)]


def methods(place: Place) -> Iterator[Method]:
    """The methods of a place that are installed here; an adapter that needs an extra may not be."""
    for text in place.methods:
        module, _, qualname = text.partition(":")
        try:
            owner: Any = importlib.import_module(module)
        except ModuleNotFoundError:
            continue
        *outer, name = qualname.split(".")
        for each in outer:
            owner = getattr(owner, each)
        if hasattr(owner, name):
            yield Method(owner, name)


__all__ = ["AFTER", "BEFORE", "PLACES", "Method", "Place", "methods", "place_of", "points"]
