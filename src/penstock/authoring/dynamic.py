"""A body that uses the value of something that has yet to run.

What it wants to know is a `Question`, put to the listener of its `Building`. Where nothing runs (for a picture, a plan)
the listener is `Unanswered`, and the body ends at its first question. In a run it is a `Body`: the function runs in a
thread of its own, in turns with the driver, which hears its words and answers them.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from penstock.authoring.source import caller, composed
from penstock.errors import DefinitionError
from penstock.model.expression import Expression, describe
from penstock.model.graph import Node
from penstock.model.place import Location

if TYPE_CHECKING:
    import threading
    from queue import SimpleQueue

    from penstock.authoring.building import Building

__all__ = ["Body", "BodyEnded", "Ended", "Listener", "Question", "Unanswered", "Word", "composed", "heard"]

#: seconds that a body has for its `finally` blocks when it is ended
_GRACE = 2.0


class Question(NamedTuple):
    """What a body waits for."""

    expression: Expression
    #: what is wanted of it: its value, its elements (scalars as they are, the others as expressions), how many elements
    #: it has, or only that its nodes have ended
    use: Literal["value", "elements", "length", "end"]
    location: Location


class Ended(NamedTuple):
    """A body has come to its end: what it returned, or what it raised."""

    returned: Any = None
    error: BaseException | None = None


Word = Question | Ended


class BodyEnded(BaseException):
    """Raised in a body that is not to go on, so that its `finally` blocks run; not an error."""

    def __init__(self, location: Location | None = None) -> None:
        super().__init__("the body of a pipeline is not to go on")
        self.location = location


class Listener(Protocol):
    """Who answers a body."""

    #: set once the body is not to go on
    ended: BodyEnded | None

    def ask(self, question: Question) -> Any:
        """The answer. Raises what the task in question raised, and BodyEnded."""
        ...

    def check_open(self, node: str) -> None:
        """Raise DefinitionError if a node can no longer be changed, because it may have run."""
        ...


def _too_late(question: Question) -> DefinitionError:
    return DefinitionError(
        f"the value of {describe(question.expression)} is used outside its pipeline",
        where=str(question.location),
        remedy="Return it from the pipeline, or use it in the body.",
    )


class Unanswered:
    """Ends the body at its first question."""

    def __init__(self) -> None:
        self.ended: BodyEnded | None = None
        #: whether the body has returned
        self.over = False

    def ask(self, question: Question) -> Any:
        if self.over:
            raise _too_late(question)
        if self.ended is None:
            self.ended = BodyEnded(question.location)
        raise self.ended

    def check_open(self, node: str) -> None:
        """Nothing runs."""


class Body:
    """A body in a thread of its own, which `call`s its function. Bodies that share a `baton` compute one at a time.

    `words` is where it is heard; other bodies may be heard there too.
    """

    def __init__(
        self,
        build: Building,
        call: Callable[[], Any],
        words: SimpleQueue[tuple[Body, Word]],
        baton: threading.Lock,
    ) -> None:
        import threading
        from queue import SimpleQueue

        self.build = build
        self.words = words
        self.baton = baton
        self.ended: BodyEnded | None = None
        #: what it waits for
        self.question: Question | None = None
        #: how it ended, once it has
        self.end: Ended | None = None
        #: where it asked first
        self.dynamic_at: Location | None = None
        #: how many of its nodes have been taken over by whoever runs them
        self.taken = 0
        self._known: set[str] = set()
        self._answers: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
        context = contextvars.copy_context()
        self._thread = threading.Thread(
            target=context.run, args=(self._live, call), name=f"body of {build.pipeline}", daemon=True
        )
        build.listener = self

    # In the thread of the driver.

    def start(self) -> None:
        """Let the function begin."""
        self._thread.start()

    def first_word(self) -> Word:
        """Wait for the first question, or the end. A body that is broken off here is ended."""
        try:
            return self.words.get()[1]
        except BaseException:
            self.stop()
            raise

    def take(self) -> list[Node]:
        """The nodes that were added since this was last asked, while the body waits or has ended."""
        # from their end, so that those which were taken before are not gone through
        nodes = list(islice(reversed(self.build.nodes.values()), len(self.build.nodes) - self.taken))[::-1]
        self.taken += len(nodes)
        self._known.update(node.id for node in nodes)
        return nodes

    def answer(self, value: Any) -> None:
        """Let the body go on with the answer to its question."""
        self.question = None
        self._answers.put((value, None))

    def refuse(self, error: BaseException) -> None:
        """Let the body go on with an exception in the place of an answer."""
        self.question = None
        self._answers.put((None, error))

    def stop(self, grace: float = _GRACE) -> None:
        """End the body. Where it waits, its `finally` blocks run now, for up to `grace` seconds; where it computes, it
        ends at its next question or call."""
        if self.end is not None or self.ended is not None:
            return
        self.ended = BodyEnded()
        if self.question is not None:
            self.refuse(self.ended)
            self._thread.join(grace)

    # In the thread of the body.

    def ask(self, question: Question) -> Any:
        if self.end is not None:
            raise _too_late(question)
        import threading

        if threading.current_thread() is not self._thread:
            raise DefinitionError(
                "the value of a task is used in another thread than the body of its pipeline",
                where=str(question.location),
                remedy="Take it in the body first: value(ref).",
            )
        if self.ended is not None:
            raise self.ended
        self.dynamic_at = self.dynamic_at or question.location
        self.question = question
        self.baton.release()
        self.words.put((self, question))
        value, error = self._answers.get()
        self.baton.acquire()
        if error is not None:
            raise error
        return value

    def check_open(self, node: str) -> None:
        if node in self._known:
            raise DefinitionError(
                f"{node} cannot be made to wait any more: it may have run by now, for a value that this body has used",
                where=str(caller()),
                remedy="Say what it waits for where it is called: task.options(after=...)(...).",
            )

    def _live(self, call: Callable[[], Any]) -> None:
        from penstock.authoring.building import building

        with self.baton:
            try:
                with building(self.build):
                    self.end = Ended(call())
            except BaseException as error:
                self.end = Ended(error=error)
        self.words.put((self, self.end))


def heard(words: SimpleQueue[tuple[Body, Word]], patience: float) -> tuple[Body, Word] | None:
    """The next word of any body; None if there is none within `patience` seconds."""
    from queue import Empty

    try:
        return words.get(timeout=patience) if patience > 0 else words.get_nowait()
    except Empty:
        return None
