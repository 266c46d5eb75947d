"""The bodies of dynamic pipelines in a run: what they ask, what they call, and what they call again on resuming."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import islice
from queue import SimpleQueue
from typing import NamedTuple

from penstock.authoring.bodies import Source, result_of
from penstock.authoring.dynamic import Body, Ended, Question, Word, composed, heard
from penstock.authoring.pipeline import returned_by
from penstock.errors import NondeterministicError
from penstock.kernel.state import Frame, NodeProgress, RunProgress
from penstock.model.event import AnyEvent, Fault, Grown, Handled
from penstock.model.expression import Expression, describe, references
from penstock.model.fault import fault_of
from penstock.model.graph import Node
from penstock.runtime.dynamic.answers import Answers, Faults, Refusal
from penstock.runtime.dynamic.calls import Calls, counterparts, difference
from penstock.runtime.inputs.resolve import Resolver
from penstock.values import Values

#: seconds that a body may compute before the driver goes on without it, to look again in its next turn
PATIENCE = 0.02
#: seconds that the driver then waits for it in each turn
_GLANCE = 0.005
#: how many bodies at one depth of nesting are under way at once; each has a thread
_AT_ONCE = 32
#: seconds that all bodies together have for their `finally` blocks when they are ended
_GRACE = 2.0

#: the tasks that have appeared (key in the run -> key under which the body knows it) are to be made ready to run
Admit = Callable[[Mapping[str, str], Iterable[Node]], None]


class _Recorded(NamedTuple):
    """What the journal says of a body."""

    nodes: deque[Node]
    ended: bool


class _Running:
    """A body under way."""

    __slots__ = ("body", "ended", "frame", "recorded", "refusal", "used")

    def __init__(self, body: Body, frame: str, recorded: _Recorded) -> None:
        self.body = body
        self.frame = frame
        #: nodes that it called before, and is yet to call again
        self.recorded = recorded.nodes
        #: whether it had ended before, so that nobody is told of its end
        self.ended = recorded.ended
        #: the failure that it was given last
        self.refusal: Refusal | None = None
        #: the nodes whose values it was given, in order
        self.used: dict[str, None] = {}


class Bodies:
    """The bodies of a run. For the thread of the driver.

    `root` is the body of the pipeline itself, which waits for its first answer; None where it is static. `sources` are
    those of tasks with dynamic bodies, by key, and may grow. `admit` is told of tasks and nodes before they are journalled,
    and raises DefinitionError for one that cannot run.
    """

    def __init__(self, root: Body | None, sources: Mapping[str, Source], values: Values, admit: Admit) -> None:
        self._root = root
        self._sources = sources
        self._values = values
        self._admit = admit
        self._words: SimpleQueue[tuple[Body, Word]] = SimpleQueue() if root is None else root.words
        self._baton = threading.Lock() if root is None else root.baton
        #: when the word was given to a body last
        self._since = 0.0
        self._running: dict[Body, _Running] = {}
        #: those that have the word now
        self._computing: set[Body] = set()
        self._begun: set[str] = set()
        self._held: deque[str] = deque()
        self._recorded: dict[str, _Recorded] = {}
        #: what happened while bodies were replayed
        self._pending: list[AnyEvent] = []
        #: by the id of a node: those whose values its body is given, and how many it had been given when it called the node.
        #: A list for each node would take memory by the square of their number
        self._used: dict[str, tuple[Iterable[str], int]] = {}

    def attach(self, run: RunProgress, resolver: Resolver, faults: Faults, run_id: str) -> None:
        """Name the run that the bodies are of, before anything else. `faults` is the latest fault of every node or item
        that had one, kept up to date by the driver."""
        self._run = run
        self._answers = Answers(resolver, self._values, faults, run_id)
        self._calls = Calls(self._values, run)

    @property
    def computing(self) -> bool:
        """Whether a body has the word, so that it is to be looked at again soon (in some `PATIENCE`)."""
        return bool(self._computing)

    @property
    def questions(self) -> dict[str, Question]:
        """What those bodies want to know that wait for an answer, by frame."""
        found = {running.frame: running.body.question for running in self._running.values()}
        return {frame: question for frame, question in found.items() if question is not None}

    def used_by(self, progress: NodeProgress) -> list[NodeProgress]:
        """The nodes whose values a body had been given when it called a node; none where no body did."""
        used, count = self._used.get(progress.id, ((), 0))
        return [progress.frame.nodes[name] for name in islice(used, count)]

    def begin(self, frame: str) -> None:
        """Let the body of a frame begin, at once or as soon as there is room; once is enough."""
        if frame in self._begun:
            return
        if frame and self._crowded(frame):
            self._held.append(frame)
            return
        self._begun.add(frame)
        recorded = self._recorded.pop(frame, None) or _Recorded(deque(), False)
        if not frame:
            if self._root is None:
                raise _nondeterministic("", "it ends without the value of any task, and before it used some")
            self._running[self._root] = _Running(self._root, frame, recorded)
            return
        owner = self._run.frames[frame].owner
        assert owner is not None
        source = self._sources[owner.node.task]
        build, arguments = source.begin()
        body = Body(build, partial(composed, source.function, arguments), self._words, self._baton)
        self._running[body] = _Running(body, frame, recorded)
        self._give_word(body)
        body.start()

    def _give_word(self, body: Body) -> None:
        self._computing.add(body)
        self._since = time.monotonic()

    def _crowded(self, frame: str) -> bool:
        """Whether there are as many bodies at the depth of a frame as may be. Those further out wait for those further
        in, and so must not keep them from beginning."""
        depth = self._depth(frame)
        return sum(self._depth(running.frame) == depth for running in self._running.values()) >= _AT_ONCE

    def _depth(self, frame: str) -> int:
        depth, at = 0, self._run.frames.get(frame)
        while at is not None and at.owner is not None:
            depth, at = depth + 1, at.owner.frame
        return depth

    def poll(self, patience: float = PATIENCE) -> list[AnyEvent]:
        """Answer what can be answered by now, and hear what bodies have to say: for `patience` seconds after one was
        last given the word, and then briefly. Returns what they did. In a run that is being cancelled they are all ended."""
        events, self._pending = self._pending, []
        if self._run.cancelling is not None:
            self._cancel(events)
            return events
        self._hear(events, patience)
        self._make_room()
        return events

    def _make_room(self) -> None:
        while self._held and not self._crowded(self._held[0]):
            self.begin(self._held.popleft())

    def _hear(self, events: list[AnyEvent], patience: float) -> None:
        for running in list(self._running.values()):
            self._serve(running, events)
        while self._computing:
            said = heard(self._words, max(_GLANCE, self._since + patience - time.monotonic()))
            if said is None:
                return
            body, word = said
            running = self._running.get(body)
            # one that was ended may have a last word
            if running is not None:
                self._computing.discard(body)
                self._take(running, word, events)

    def close(self) -> None:
        """End all bodies."""
        self._cancel([])

    def _cancel(self, events: list[AnyEvent]) -> None:
        until = time.monotonic() + _GRACE
        for running in list(self._running.values()):
            self._end(running, events, grace=max(0.0, until - time.monotonic()))
        for frame in self._held:
            events.append(Grown(frame, ended=True))
        self._held.clear()

    # Answers.

    def _serve(self, running: _Running, events: list[AnyEvent]) -> None:
        """Answer the question of a body, if that can be done by now."""
        body, question = running.body, running.body.question
        frame = self._run.frames.get(running.frame)
        if question is None or body in self._computing or frame is None:
            return
        if not _have_ended(frame, question.expression):
            return
        found = self._answers.to(question, frame)
        if found is None:
            self._end(running, events)
            return
        running.used.update(dict.fromkeys(references(question.expression)))
        self._give_word(body)
        if isinstance(found, Refusal):
            running.refusal = found
            body.refuse(found.error)
        else:
            body.answer(found.value)

    # Words.

    def _take(self, running: _Running, word: Word, events: list[AnyEvent]) -> None:
        """Take in what a body has called, and what it asks or how it ended."""
        try:
            nodes = self._taken(running, word)
        except NondeterministicError:
            raise
        except Exception as error:
            # a task that cannot run, a value that cannot be stored
            self._end(running, events, fault_of(error))
            return
        self._go_on(running, word, events)
        if isinstance(word, Question):
            if nodes:
                tasks = self._calls.tasks(running.body.build.tasks)
                events.append(Grown(running.frame, nodes, tasks))
            self._serve(running, events)
            return
        del self._running[running.body]
        if not running.ended:
            events.append(self._ended(running, word, nodes))

    def _taken(self, running: _Running, word: Word) -> tuple[Node, ...]:
        """The nodes that a body has called and that are not recorded yet, in the form of the journal."""
        nodes = running.body.take()
        if running.used and running.frame in self._run.frames:
            used, frame = (running.used, len(running.used)), self._run.frames[running.frame]
            self._used.update((frame.instance(node.id), used) for node in nodes)
        tasks = running.body.build.tasks
        aliases: dict[str, str] = {}
        while nodes and running.recorded:
            [new], old = self._calls.nodes([nodes.pop(0)]), running.recorded.popleft()
            told = difference(old, new, self._run.tasks, tasks)
            if told is not None:
                raise _nondeterministic(new.location, told)
            aliases |= counterparts(old, new, self._run.tasks, tasks)
        if nodes and running.ended:
            raise _nondeterministic(nodes[0].location, f"{nodes[0].id} is called, and before, the body had ended")
        if running.recorded and isinstance(word, Ended):
            missing = running.recorded[0]
            raise _nondeterministic(
                missing.location, f"{missing.id} was called here before, and now the body ends without calling it"
            )
        aliases |= {key: key for key in self._calls.tasks(tasks)}
        if aliases or nodes:
            self._admit(aliases, nodes)
        return self._calls.nodes(nodes)

    def _go_on(self, running: _Running, word: Word, events: list[AnyEvent]) -> None:
        """A body that goes on after a failure has dealt with it; one that ends with it has not."""
        refusal = running.refusal
        if refusal is None or (isinstance(word, Ended) and word.error is refusal.error):
            return
        events += [Handled(progress.id) for progress in refusal.nodes if not progress.handled]
        refusal.handled = True

    def _ended(self, running: _Running, end: Ended, nodes: tuple[Node, ...]) -> Grown:
        tasks = self._calls.tasks(running.body.build.tasks)
        if end.error is not None:
            fault = self._fault(running.refusal, end.error)
            return Grown(running.frame, nodes, tasks, ended=True, fault=fault)
        try:
            body = running.body
            result = self._calls.expression(
                result_of(body.build, end.returned) if running.frame else returned_by(body)[0]
            )
        except Exception as error:
            return Grown(running.frame, nodes, tasks, ended=True, fault=fault_of(error))
        return Grown(running.frame, nodes, tasks, ended=True, result=result)

    def _fault(self, refusal: Refusal | None, error: BaseException) -> Fault | None:
        """Why a body failed; None where the failure of a node that it let out tells that already."""
        if refusal is None or refusal.error is not error:
            return fault_of(error)
        if not refusal.handled and any(progress.fatal for progress in refusal.nodes):
            return None
        return refusal.fault or fault_of(error)

    def _end(
        self, running: _Running, events: list[AnyEvent], fault: Fault | None = None, grace: float = _GRACE
    ) -> None:
        """End a body, whatever it is at. What it still calls are teardowns."""
        body = running.body
        self._running.pop(body, None)
        self._computing.discard(body)
        body.stop(grace)
        if running.ended:
            return
        nodes: tuple[Node, ...] = ()
        if body.end is not None:
            called = body.take()
            nodes = self._calls.nodes(called)
            self._admit({key: key for key in self._calls.tasks(body.build.tasks)}, called)
        tasks = self._calls.tasks(body.build.tasks) if nodes else {}
        events.append(Grown(running.frame, nodes, tasks, ended=True, fault=fault))

    # Replay.

    def replay(self, events: Iterable[AnyEvent], stopped: Callable[[], bool] = bool) -> None:
        """Let the bodies of a run that was interrupted begin again, and go on to where they were, given the events of
        its journal, which `attach`ed run has taken in. Breaks off when `stopped()` is true.

        Raises NondeterministicError where a body does something else than before.
        """
        for event in events:
            if isinstance(event, Grown):
                known = self._recorded.get(event.frame) or _Recorded(deque(), False)
                known.nodes.extend(event.nodes)
                self._recorded[event.frame] = _Recorded(known.nodes, event.ended)
        self._recorded = {frame: known for frame, known in self._recorded.items() if frame in self._run.frames}
        for frame in list(self._recorded):
            self.begin(frame)
        while self._replaying() and not stopped():
            self._hear(self._pending, PATIENCE)
            self._check_stuck()
            self._make_room()

    def _replaying(self) -> bool:
        return bool(self._recorded) or any(running.recorded or running.ended for running in self._running.values())

    def _check_stuck(self) -> None:
        """What a body was told before it made a recorded call, it can be told again."""
        for running in self._running.values():
            question = running.body.question
            if question is None or running.body in self._computing:
                continue
            if running.recorded or running.ended:
                then = f"{running.recorded[0].id} was called" if running.recorded else "the body ended"
                asked = describe(question.expression)
                raise _nondeterministic(question.location, f"the value of {asked} is used, where {then} before")


def _have_ended(frame: Frame, expression: Expression) -> bool:
    """Whether all nodes that an expression reads are known, and have ended."""
    return all(name in frame.nodes and frame.nodes[name].phase.ended for name in references(expression))


def _nondeterministic(where: object, what: str) -> NondeterministicError:
    return NondeterministicError(
        f"the body of the pipeline does something else than before the run was interrupted: {what}",
        where=str(where),
        remedy="Let it depend on parameters and on the results of tasks alone: put what is random or reads the clock in "
        "a task.",
    )
