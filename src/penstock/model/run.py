"""A run and its attempts as they are recorded, and the run document, which is the face of both (`run --json`)."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import msgspec

from penstock.model.event import Fault
from penstock.model.graph import Ignored
from penstock.model.trigger import Cause
from penstock.model.value import Argument


class RunState(StrEnum):
    """Where a run is."""

    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class NodeState(StrEnum):
    """Where a node, or one item of a mapped node, is."""

    #: its upstream has not ended
    PENDING = "pending"
    #: it could start, and waits for room, a delay or a look-up
    WAITING = "waiting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    CACHED = "cached"
    FAILED = "failed"
    SKIPPED = "skipped"
    UPSTREAM_FAILED = "upstream_failed"
    CANCELLED = "cancelled"


#: states in which a node has outputs
FRUITFUL = frozenset({NodeState.SUCCEEDED, NodeState.CACHED})
#: states that nothing follows
ENDED = FRUITFUL | {NodeState.FAILED, NodeState.SKIPPED, NodeState.UPSTREAM_FAILED, NodeState.CANCELLED}


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """What a run depended on besides its parameters, for reproducing it."""

    penstock: str
    python: str
    platform: str
    machine: dict[str, Any]
    packages: dict[str, str]
    #: the resolved options of the run
    configuration: dict[str, Any]
    command: tuple[str, ...] = ()
    git_commit: str | None = None
    #: whether tracked files differed from the commit, or untracked ones were there; None outside a repository
    git_dirty: bool | None = None
    #: file -> text of the file that defines the pipeline, as it ran
    source: dict[str, str] = {}
    #: parameters whose name says that they seed randomness
    seeds: dict[str, Any] = {}
    environment: dict[str, str] = {}
    #: what the file says, where it is written for another system, and what had no effect
    ignored: tuple[Ignored, ...] = ()


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A run, as the store knows it. Times are seconds since the epoch."""

    run_id: str
    pipeline: str
    state: RunState
    #: JSON-able
    parameters: dict[str, Any]
    started_at: float
    finished_at: float | None = None
    #: what `penstock run` was given, or the file of the pipeline
    target: str = ""
    #: the process that drives it
    driver: str = ""
    #: how many drivers it has had; what an earlier one still writes is refused
    token: int = 1
    #: how many times it was begun, counting from 1; an earlier generation goes by the name `RUN.1`
    generation: int = 1
    #: what the pipeline returned, by name, once it has succeeded
    outputs: dict[str, Argument] = {}
    #: what started it, and the time that it is about; None for a person who said nothing of the kind
    cause: Cause | None = None
    #: the version of the registered pipeline that it is a run of; None where it was not started by a name
    version: int | None = None


class AttemptRecord(msgspec.Struct, frozen=True, kw_only=True):
    """How a node, or an item of one, ended: one row for every attempt, and one for every end without an attempt."""

    node: str
    item: int
    #: counts from 1; 0 where the node ended without an attempt (cached, skipped, upstream_failed, cancelled)
    attempt: int
    state: NodeState
    started_at: float = 0.0
    duration: float = 0.0
    cpu: float = 0.0
    peak_memory: int = 0
    worker: int = 0
    fingerprint: bytes | None = None
    outputs: tuple[Argument, ...] = ()
    fault: Fault | None = None
    #: why it was skipped or cancelled
    reason: str = ""
    #: what the item is called; None where items go by number
    key: str | None = None


def shown_driver(driver: str) -> str:
    """The driver of a run as people see it: `host:pid`."""
    return driver.partition("@")[0] or "another process"


def timestamp(seconds: float) -> str:
    """RFC 3339, in UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def item_id(node: str, item: int, key: str | None = None) -> str:
    """How a node or an item of it is called: `train`, `fit[3]`, `fit[rf]`."""
    if item < 0:
        return node
    return f"{node}[{item if key is None else key}]"
