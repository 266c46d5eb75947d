"""How things went, for exit handlers, approvals and checks: values that tasks take, or return, like any other."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Failure:
    """A node, or an item of a fan-out, that failed."""

    #: `train`, `fit[rf]`
    task: str
    #: key or number of the item; empty where there is none
    key: str
    #: the exception's class: `ValueError`
    type: str
    message: str


@dataclass(frozen=True)
class Outcome:
    """How some nodes ended: all of a pipeline, of a scope, or those that were named."""

    #: `succeeded`, `failed`, `cancelled` or `skipped` (where nothing ran)
    state: str
    #: how many nodes and items succeeded, from the cache or not
    succeeded: int
    failures: tuple[Failure, ...]
    #: ids of what was skipped, or not reached
    skipped: tuple[str, ...]
    run_id: str = ""

    def __bool__(self) -> bool:
        return self.state == "succeeded"


@dataclass(frozen=True)
class Approval:
    """The answer to an approval, with who gave it and when."""

    approved: bool
    #: the person; `deadline` where nobody answered in time and there is a default
    by: str
    at: datetime
    why: str = ""
    #: what was filled in, by field, of the types that were asked for
    values: dict[str, Any] = field(default_factory=dict[str, Any])

    def __bool__(self) -> bool:
        return self.approved


@dataclass(frozen=True)
class CheckOutcome:
    """What a check has found out of an asset."""

    passed: bool
    #: for people: what is wrong, or what was looked at
    message: str = ""
    #: JSON-able
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])

    def __bool__(self) -> bool:
        return self.passed
