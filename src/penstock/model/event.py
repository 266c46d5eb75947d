"""What can happen in a run. The journal is a list of these; the state of a run follows from them alone.

`item` is the position in a fan-out, or -1 for a node that is not mapped. Attempts count from 1.
"""

from __future__ import annotations

import msgspec

from penstock.model.value import Artifact


class Fault(msgspec.Struct, frozen=True, array_like=True):
    """Why an attempt failed, in a form that survives the process it happened in."""

    #: the exception's class: `ValueError`, `sklearn.exceptions.NotFittedError`
    type: str
    message: str
    #: the traceback as text, the user's frames only
    traceback: str = ""
    #: the exception itself, by cloudpickle, when it could be pickled
    pickled: bytes | None = None
    #: the infrastructure's fault (a worker died), not the user's code's
    infrastructure: bool = False


class Event(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The root of all events."""


class RunStarted(Event, frozen=True, tag="run-started"):
    """The run begins."""


class Expanded(Event, frozen=True, tag="expanded"):
    """The condition of a node holds; `count` is how many items it is mapped over, None if it is not mapped."""

    node: str
    count: int | None


class Skipped(Event, frozen=True, tag="skipped"):
    """The condition of a node does not hold."""

    node: str
    reason: str


class Hit(Event, frozen=True, tag="hit"):
    """A recorded result with the same fingerprint takes the place of an attempt."""

    node: str
    item: int
    fingerprint: bytes
    outputs: tuple[Artifact, ...]


class Missed(Event, frozen=True, tag="missed"):
    """There is no recorded result to use; `fingerprint` is None when the node may not be cached."""

    node: str
    item: int
    fingerprint: bytes | None


class Broken(Event, frozen=True, tag="broken"):
    """The inputs, the condition or the iterable of a node could not be computed."""

    node: str
    item: int
    fault: Fault


class Started(Event, frozen=True, tag="started"):
    """An attempt is handed to the executor."""

    node: str
    item: int
    attempt: int


class Succeeded(Event, frozen=True, tag="succeeded"):
    """An attempt returned."""

    node: str
    item: int
    attempt: int
    outputs: tuple[Artifact, ...]


class Failed(Event, frozen=True, tag="failed"):
    """An attempt raised, or its process died."""

    node: str
    item: int
    attempt: int
    fault: Fault


class Returned(Event, frozen=True, tag="returned"):
    """An attempt came back from the executor unstarted, through no fault of its own; it goes back in the queue."""

    node: str
    item: int
    attempt: int


class Woke(Event, frozen=True, tag="woke"):
    """The delay before a repeated attempt is over."""

    node: str
    item: int
    attempt: int


class CancelRequested(Event, frozen=True, tag="cancel-requested"):
    """Somebody asked for the end of the run; attempts under way go on unless `stop` is true."""

    reason: str
    stop: bool = False


AnyEvent = (
    RunStarted
    | Expanded
    | Skipped
    | Hit
    | Missed
    | Broken
    | Started
    | Succeeded
    | Failed
    | Returned
    | Woke
    | CancelRequested
)
