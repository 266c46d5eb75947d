"""What can happen in a run. The journal is a list of these; the state of a run follows from them alone.

`item` is the position in a fan-out, or -1 for a node that is not mapped. Attempts count from 1.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from penstock.model.expression import Constant, Expression
from penstock.model.graph import Node, Task
from penstock.model.value import Argument


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
    #: what ended the attempt: its own error, its timeout, or want of memory
    cause: Literal["error", "timeout", "memory"] = "error"
    #: the exception's class and those it inherits from, by `module.qualname`
    kinds: tuple[str, ...] = ()
    #: whether the task itself, or its predicate, has settled that it is to be repeated, or that it is not
    retry: bool | None = None
    #: seconds to wait before a repeated attempt, where the task has said so
    retry_after: float | None = None


class Event(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The root of all events."""


class RunStarted(Event, frozen=True, tag="run-started"):
    """The run begins.

    `version` is of the rules by which states follow from events, so that a journal always tells what it told when it
    was written. By version 1, how the upstream of a node ended decides before its condition is looked at; since
    version 2, a condition that does not hold comes first.
    """

    version: int = 1


class Expanded(Event, frozen=True, tag="expanded"):
    """The condition of a node holds; `count` is how many items it is mapped over, None if it is not mapped.

    `keys` are what the items are called, where they do not go by number. `more` says that the items are those of a
    generator that is still at it: `count` is how many there are so far.
    """

    node: str
    count: int | None
    keys: tuple[str, ...] | None = None
    more: bool = False


class Skipped(Event, frozen=True, tag="skipped"):
    """The condition of a node does not hold (item -1, attempt 0), or an attempt asked to be skipped, or a wait is over
    that ends in skipping, or an approval was refused."""

    node: str
    reason: str
    item: int = -1
    attempt: int = 0


class Hit(Event, frozen=True, tag="hit"):
    """A recorded result with the same fingerprint takes the place of an attempt; it may come while that is queued.

    A result that is kept from an earlier generation of the run has the fingerprint under which it was made, if any.
    """

    node: str
    item: int
    fingerprint: bytes | None
    outputs: tuple[Argument, ...]


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
    outputs: tuple[Argument, ...]


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


class Yielded(Event, frozen=True, tag="yielded"):
    """A generator has yielded another value; `count` is how many there are now, this one included."""

    node: str
    item: int
    attempt: int
    count: int
    output: Argument


class Deferred(Event, frozen=True, tag="deferred"):
    """What an attempt waits for is not there; it is to ask again after `seconds`. It does not count as a failure."""

    node: str
    item: int
    attempt: int
    seconds: float
    #: what is missing, where the task has said so
    why: str = ""


class Expired(Event, frozen=True, tag="expired"):
    """A node, or an item, that is not running was given up: it waited too long for a worker, an answer, or in all."""

    node: str
    item: int
    fault: Fault


class Asked(Event, frozen=True, tag="asked"):
    """The question of an approval was put; nothing is to be done until it is answered."""

    node: str
    item: int


class Answered(Event, frozen=True, tag="answered"):
    """A person, or the passing of the deadline, has answered."""

    node: str
    item: int
    outputs: tuple[Argument, ...]


class Concluded(Event, frozen=True, tag="concluded"):
    """The result of a body is known. In a loop, `again` says that another turn is due."""

    node: str
    item: int
    outputs: tuple[Argument, ...]
    again: bool = False


class Substituted(Event, frozen=True, tag="substituted"):
    """The fallback value of a node, or an item, that has failed for good."""

    node: str
    item: int
    outputs: tuple[Argument, ...]


class Grown(Event, frozen=True, tag="grown"):
    """A dynamic body has called more tasks. `frame` is where: empty for the run itself, else the id of the item or node
    whose body it is. When the body has `ended`, `result` is what it returns, `fault` what it raised."""

    frame: str
    nodes: tuple[Node, ...] = ()
    #: tasks that were not called before, by key
    tasks: dict[str, Task] = {}
    ended: bool = False
    result: Expression = Constant(None)
    fault: Fault | None = None


class Handled(Event, frozen=True, tag="handled"):
    """A dynamic body was given the failure of a node as an exception: whether it matters is for the body to say."""

    node: str


class Lost(Event, frozen=True, tag="lost"):
    """The driver that had an attempt under way is gone, and the attempt with it."""

    node: str
    item: int
    attempt: int


class CancelRequested(Event, frozen=True, tag="cancel-requested"):
    """Somebody asked for the end of the run; attempts under way go on unless `stop` is true. Nodes that are `final`
    still run, unless `final` is false."""

    reason: str
    stop: bool = False
    final: bool = True


class RunExpired(Event, frozen=True, tag="run-expired"):
    """The run has taken longer than it may, or what drives it has broken down; it ends as failed."""

    reason: str


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
    | Yielded
    | Deferred
    | Expired
    | Asked
    | Answered
    | Concluded
    | Substituted
    | Grown
    | Handled
    | Lost
    | CancelRequested
    | RunExpired
)
