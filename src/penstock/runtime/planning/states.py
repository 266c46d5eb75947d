"""From the state in which a rehearsal has left the kernel to what a run would do at each node."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

from penstock.authoring.dynamic import Question
from penstock.kernel.state import Frame, NodeProgress, Phase
from penstock.model.action import ApprovalAction, OpaqueAction
from penstock.model.event import Fault
from penstock.model.expression import references
from penstock.model.graph import Task
from penstock.runtime.driving.nodes import Cell
from penstock.runtime.planning.plan import Items, PlannedTask, State
from penstock.runtime.planning.rehearsal import Rehearsed

#: how many nodes are named that something waits for
_NAMED = 20

_STATES: dict[int, State] = {
    Phase.QUEUED: "would_run",
    Phase.AWAITING: "asks",
    Phase.SUCCEEDED: "cached",
    Phase.CACHED: "cached",
    Phase.FAILED: "would_fail",
    Phase.SKIPPED: "skipped",
    Phase.UPSTREAM_FAILED: "upstream_failed",
    Phase.CANCELLED: "cancelled",
}
#: states that leave a body open; what says most of several, first
_OPEN: tuple[State, ...] = ("would_run", "asks", "waits", "opaque", "unknown")
_FIRST: tuple[State, ...] = (
    *_OPEN,
    "would_fail",
    "upstream_failed",
    "cancelled",
    "cached",
    "skipped",
    "empty",
)


class States:
    """The nodes of a rehearsed run, read once."""

    def __init__(self, rehearsed: Rehearsed) -> None:
        self._run = rehearsed.progress
        self._ends = rehearsed.ends
        self._questions = rehearsed.questions
        #: by the node whose bodies they are, in order
        self.frames = _frames(self._run.nodes.values())
        #: what nodes that are not known wait for
        self._waits: dict[str, tuple[str, ...]] = {}
        #: by id, of those that were read
        self.states: dict[str, State] = {}

    def tasks(self) -> list[PlannedTask]:
        """All nodes that are known, in the order of the graph, those of bodies behind the node that they belong to."""
        return list(self._in_frame(self._run.root, ""))

    def waiting(self, frame: str) -> tuple[str, tuple[str, ...]]:
        """Where the dynamic body of a frame waits for something that would have to run, and for what; empty where it
        does not."""
        question = self._questions.get(frame)
        if question is None:
            return "", ()
        return str(question.location), self._asked_for(frame, question)

    def _asked_for(self, frame: str, question: Question) -> tuple[str, ...]:
        nodes = self._run.frames[frame].nodes
        waits = [nodes[name] for name in references(question.expression) if not nodes[name].phase.ended]
        return self._nearest(waits)

    # Nodes.

    def _in_frame(self, frame: Frame, path: str) -> Iterator[PlannedTask]:
        for progress in frame.nodes.values():
            read = self._with_body if progress.body is not None else self._leaf
            tasks = read(progress, f"{path}/{progress.node.id}" if path else progress.node.id)
            self.states[progress.id] = tasks[0].state
            yield from tasks

    def _leaf(self, progress: NodeProgress, path: str) -> list[PlannedTask]:
        items = self._items(progress, [self._state(progress, phase) for phase in _phases(progress)])
        states: tuple[State, ...] = (self._state(progress, progress.phase),) if items is None else items.states
        return [self._task(progress, path, _of_all(progress, states), items, counts=Counter(states))]

    def _with_body(self, progress: NodeProgress, path: str) -> list[PlannedTask]:
        inner: dict[int, list[PlannedTask]] = {}
        for frame in self.frames.get(progress.id, ()):
            inner.setdefault(frame.item, []).extend(self._in_frame(frame, path))
        phases = enumerate(_phases(progress)) if progress.items is not None else [(-1, progress.phase)]
        states: tuple[State, ...] = tuple(self._of_body(progress, phase, inner.get(item, ())) for item, phase in phases)
        items = self._items(progress, states)
        # what is in a body counts in its place
        bare: list[State] = [
            state for item, state in enumerate(states, -1 if items is None else 0) if item not in inner
        ]
        own = self._task(progress, path, _of_all(progress, states), items, body=True, counts=Counter(bare))
        return [own, *(task for tasks in inner.values() for task in tasks)]

    def _task(
        self,
        progress: NodeProgress,
        path: str,
        state: State,
        items: Items | None,
        *,
        counts: Mapping[State, int],
        body: bool = False,
    ) -> PlannedTask:
        node = progress.node
        places = [self.waiting(frame.id) for frame in progress.frames.values()] if body else []
        at, waits = next((place for place in places if place[0]), ("", ()))
        if state == "unknown" or (items is not None and "unknown" in counts):
            waits = waits or self._nearest(progress.upstream)
            self._waits[progress.id] = waits
        return PlannedTask(
            id=progress.id,
            task=self._run.tasks[node.task].name,
            state=state,
            path=path,
            body=body,
            note=self._note(progress, state),
            waits_for=waits,
            items=items,
            dynamic_at=at,
            counts=counts,
        )

    def _nearest(self, upstream: Sequence[NodeProgress]) -> tuple[str, ...]:
        """Of what comes before a node, what would run, or waits; where that is not known, what comes before it."""
        found: dict[str, None] = {}
        for other in upstream:
            if other.phase.ended:
                continue
            known = self.states.get(other.id, "unknown") != "unknown"
            found.update(dict.fromkeys((other.id,) if known else self._waits.get(other.id) or (other.id,)))
            if len(found) >= _NAMED:
                break
        return tuple(found)[:_NAMED]

    # States.

    def _items(self, progress: NodeProgress, states: Sequence[State]) -> Items | None:
        items = progress.items
        if items is None:
            return None
        return Items(node=progress.id, states=tuple(states), keys=items.keys, more=items.more)

    def _state(self, progress: NodeProgress, phase: int) -> State:
        state = _STATES.get(phase, "unknown")
        if state not in ("would_run", "unknown"):
            return state
        if isinstance(self._run.tasks[progress.node.task].action, OpaqueAction):
            return "opaque"
        return "waits" if state == "would_run" and progress.node.wait is not None else state

    def _of_body(self, progress: NodeProgress, phase: int, inner: Sequence[PlannedTask]) -> State:
        if phase != Phase.OPEN:
            return self._state(progress, phase)
        known = {task.state for task in inner}
        return _first(_OPEN, known, "unknown")

    def _note(self, progress: NodeProgress, state: State) -> str:
        if state == "asks":
            return _question(self._run.tasks[progress.node.task])
        if state == "opaque":
            return _kind(self._run.tasks[progress.node.task])
        if state == "waits":
            return "it waits for what is outside"
        if state == "empty":
            return "there is nothing to map over"
        if state in ("skipped", "would_fail", "upstream_failed", "cancelled"):
            return self._why(progress)
        return ""

    def _why(self, progress: NodeProgress) -> str:
        """Why a node, or the first of its items that did, ended without a result."""
        count = 0 if progress.items is None else len(progress.items.phases)
        cells: Iterator[Cell] = ((progress.id, item) for item in range(-1, count))
        records = (self._ends[cell] for cell in cells if cell in self._ends)
        record = next((each for each in records if each.reason or each.fault is not None), None)
        if record is None:
            return ""
        return record.reason if record.fault is None else _fault(record.fault)


def _fault(fault: Fault) -> str:
    """An error on one line; of one of penstock's own, what it says, and then what to do."""
    if not fault.type.startswith("penstock."):
        return f"{fault.type}: {fault.message}"
    return ". ".join(line.strip().removesuffix(".") for line in fault.message.splitlines())


def _phases(progress: NodeProgress) -> bytes:
    return b"" if progress.items is None else bytes(progress.items.phases)


def _of_all(progress: NodeProgress, states: Sequence[State]) -> State:
    """The state of a node, given those of its items, or its own."""
    if progress.node.each is None:
        return states[0]
    if progress.phase is Phase.SUCCEEDED and progress.items is None:
        return "empty"
    if progress.items is None:
        return _STATES.get(progress.phase, "unknown")
    if progress.phase.ended and progress.phase not in (Phase.SUCCEEDED, Phase.CACHED):
        return _STATES[progress.phase]
    return _first(_FIRST, set(states), "unknown")


def _first(order: Sequence[State], known: Container[State], otherwise: State) -> State:
    for state in order:
        if state in known:
            return state
    return otherwise


def _frames(nodes: Iterable[NodeProgress]) -> dict[str, list[Frame]]:
    """The executions of bodies, of which those that have ended are known by their nodes alone."""
    frames = {id(progress.frame): progress.frame for progress in nodes}
    found: dict[str, list[Frame]] = {}
    for frame in sorted(frames.values(), key=lambda frame: (frame.item, frame.turn)):
        if frame.owner is not None:
            found.setdefault(frame.owner.id, []).append(frame)
    return found


def _question(task: Task) -> str:
    return task.action.question if isinstance(task.action, ApprovalAction) else ""


def _kind(task: Task) -> str:
    action = task.action
    return f"{action.kind} of {action.dialect}, which no run can have" if isinstance(action, OpaqueAction) else ""


__all__ = ["States"]
