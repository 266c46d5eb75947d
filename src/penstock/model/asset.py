"""Assets: named, versioned data products, and what is recorded of them."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

import msgspec

from penstock.model.partition import Mapping, Partitions
from penstock.model.place import Location
from penstock.model.schedule import Timetable
from penstock.model.value import Argument


class AssetInput(msgspec.Struct, frozen=True):
    """An asset that another is made from. `parameter` is the input of the function that takes its value; None for one that
    it does not take (it reads it by itself)."""

    asset: str
    parameter: str | None = None
    mapping: Mapping | None = None


class Check(msgspec.Struct, frozen=True):
    """A check of an asset: the name of the task that looks at its value. A `blocking` one that fails with the severity
    `error` keeps what depends on the asset from being made in the same run."""

    name: str
    blocking: bool = False
    severity: Literal["warn", "error"] = "error"
    description: str = ""


class Freshness(msgspec.Struct, frozen=True):
    """How old the latest version may be: late is what was not made within so many seconds, or, with a timetable, not since
    its last tick plus so many seconds."""

    within: float
    timetable: Timetable | None = None


class Automation(msgspec.Struct, frozen=True):
    """When an asset is materialised by itself: any of the `rules` that holds starts it.

    `eager`: an input has a new version; `ready`: all inputs have one since the last time; `missing`: it (or a partition of
    it, the latest `backlog` of them) was never made; `schedule`: at a tick of the timetable; `code`: its code has changed.
    """

    rules: tuple[Literal["eager", "ready", "missing", "schedule", "code"], ...] = ()
    timetable: Timetable | None = None
    backlog: int = 1


class AssetSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What an asset is, apart from the code that makes it. An `external` one is made elsewhere, and only observed."""

    name: str
    inputs: tuple[AssetInput, ...] = ()
    description: str = ""
    group: str = ""
    owners: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    #: JSON-able
    metadata: dict[str, Any] = {}
    partitions: Partitions | None = None
    checks: tuple[Check, ...] = ()
    freshness: Freshness | None = None
    automation: Automation | None = None
    external: bool = False
    #: seconds between two observations of an external one by the daemon; None for those that people ask for alone
    observe_every: float | None = None
    location: Location | None = None


class Upstream(msgspec.Struct, frozen=True):
    """A version of an asset that another version was made from."""

    asset: str
    version: int
    digest: bytes
    partition: str = ""


class Materialization(msgspec.Struct, frozen=True, kw_only=True):
    """A version of an asset, or of one partition of it."""

    asset: str
    #: empty for an asset without partitions
    partition: str = ""
    #: counts from 1 for each partition; 0 where the store has yet to give one
    version: int = 0
    at: float
    run_id: str
    node: str
    item: int = -1
    #: of the computation; None for what was observed, and what could not be hashed
    fingerprint: bytes | None = None
    #: of the content
    digest: bytes
    #: None for what was observed
    value: Argument | None = None
    upstream: tuple[Upstream, ...] = ()
    #: JSON-able
    metadata: dict[str, Any] = {}
    #: its value was taken from the cache
    cached: bool = False


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """How a check of a version of an asset ended."""

    asset: str
    check: str
    partition: str = ""
    passed: bool
    severity: str
    blocking: bool
    at: float
    run_id: str
    message: str = ""
    #: JSON-able
    metadata: dict[str, Any] = {}


class PartitionState(StrEnum):
    """Where a partition of an asset is; an asset without partitions is one partition."""

    MISSING = "missing"
    RUNNING = "running"
    MATERIALIZED = "materialized"
    FAILED = "failed"


class PartitionChange(msgspec.Struct, frozen=True):
    """A partition that is being made, or could not be."""

    asset: str
    partition: str
    state: PartitionState
    run_id: str
    at: float
