"""What is asked of the user's own functions, and of the world, away from the daemon: the nouns and the seam.

Whatever answers may hang, raise, print, end its process or take all memory; to the daemon that is an answer as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

import msgspec

from penstock.model.occurrence import Occurrence
from penstock.model.trigger import Cause, WatchSource

#: finds what is new in a place since a cursor (None the first time), at a moment: what is new, in order, and the next cursor.
#: The id of each is the key of its run. Raises PenstockError, or anything else that makes clear what is wrong.
Poll = Callable[[WatchSource, Any, float], tuple[Sequence[Occurrence], Any]]


class Inquiry(msgspec.Struct, frozen=True, kw_only=True):
    """A question."""

    #: tells it from all others that are open
    id: str
    kind: Literal["sensor", "coming", "condition", "watch"]
    #: what loads the file or the module with the function
    target: str = ""
    #: the name of the function there
    function: str = ""
    #: of a sensor or a watch
    cursor: Any = None
    #: of a run about which a condition is asked
    cause: Cause | None = None
    #: of what is coming: after which moment, and how much of it
    after: float = 0.0
    count: int = 0
    watch: WatchSource | None = None
    #: seconds that an answer may take
    timeout: float = 60.0


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A run that a sensor asks for."""

    key: str
    #: JSON-able
    parameters: dict[str, Any] = {}
    tags: tuple[str, ...] = ()
    partition: str | None = None
    #: the time that it is about, in seconds since the epoch, its data interval, and the zone of both
    logical_time: float | None = None
    interval: tuple[float, float] | None = None
    zone: str = "UTC"

    def cause(self, trigger: str) -> Cause:
        """Why the run is started that a trigger asks for."""
        return Cause(
            trigger=trigger,
            key=self.key,
            logical_time=self.logical_time,
            interval=self.interval,
            zone=self.zone,
            partitions=() if self.partition is None else (self.partition,),
        )


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer. One with an `error` has nothing else."""

    id: str
    #: what went wrong, for people
    error: str = ""
    #: of a sensor
    requests: tuple[Request, ...] = ()
    #: of a watch
    occurrences: tuple[Occurrence, ...] = ()
    #: what to go on from; None with `moved` is a cursor as well
    cursor: Any = None
    moved: bool = False
    #: of a sensor: when it wants to be asked again, if that is sooner than it would be
    again: float | None = None
    #: of a condition: whether the run may start; of a sensor, whether there was anything
    holds: bool = True
    #: why not
    why: str = ""
    #: the last lines that the user's function printed
    printed: str = ""


class Inquirer(Protocol):
    """Asks."""

    def room(self) -> int:
        """How many more questions it takes now."""
        ...

    def ask(self, inquiry: Inquiry) -> None:
        """Ask a question. It is answered once, in its time at the latest, whatever happens."""
        ...

    def answers(self) -> list[Answer]:
        """What has been answered since the last time, without waiting."""
        ...

    def wait(self, seconds: float) -> None:
        """Wait so long, or until there is an answer."""
        ...

    def close(self) -> None:
        """Break off what is open."""
        ...


__all__ = ["Answer", "Inquirer", "Inquiry", "Poll", "Request"]
