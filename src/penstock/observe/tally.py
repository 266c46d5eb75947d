"""What the turns of a run add up to, node by node: the model behind every live display. Nothing here prints.

The nodes of bodies are counted by their place in the graph (`fold/fit`), however many executions of the body there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from msgspec.structs import replace

from penstock.model.event import (
    AnyEvent,
    Asked,
    CancelRequested,
    Concluded,
    Deferred,
    Expanded,
    Grown,
    Handled,
    Returned,
    Started,
    Yielded,
)
from penstock.model.expression import Output
from penstock.model.graph import Graph, Node
from penstock.model.growth import Instances
from penstock.model.run import AttemptRecord, NodeState
from penstock.model.work import AnyReport, Told
from penstock.observe.bodies import body_of, laid_open
from penstock.observe.outline import parent_of
from penstock.observe.repeats import Repeats, Sequel
from penstock.ports import Turn

#: a node of the run, by its instance id, or an item of one (-1 for a node that is not mapped)
Cell = tuple[str, int]


class NodeTally:
    """Where a node is. Times are seconds since the epoch."""

    __slots__ = (
        "count",
        "done",
        "duration",
        "ended",
        "inner",
        "more",
        "node",
        "progress",
        "reason",
        "running",
        "started_at",
        "state",
        "turns",
        "waits",
    )

    def __init__(self, node: Node, *, inner: bool = False) -> None:
        self.node = node
        #: it is in a body, of which there may be many executions
        self.inner = inner
        self.state = NodeState.PENDING
        #: how many items a mapped node has, None while unknown
        self.count: int | None = None
        #: there are items to come, because they are taken over from a generator that is at it
        self.more = False
        #: how many items ended, and how many in each state; of an inner node, in all executions of its body
        self.done = 0
        self.ended: Counter[NodeState] = Counter()
        #: when the attempts that are under way started
        self.running: dict[Cell, float] = {}
        #: (done, total) as told by the task
        self.progress: dict[Cell, tuple[float, float]] = {}
        self.started_at = 0.0
        #: of the last attempt; of a mapped node, from the first start to the last end
        self.duration = 0.0
        self.reason = ""
        #: what it waits for, in words
        self.waits = ""
        #: how many turns of a loop have ended
        self.turns = 0

    @property
    def finished(self) -> bool:
        return self.state not in _UNFINISHED

    @property
    def active(self) -> bool:
        """Whether somebody who watches wants to see it: it runs, waits for a person, or failed."""
        return self.state is NodeState.RUNNING or bool(self.waits) or self.ended[NodeState.FAILED] > 0


_UNFINISHED = (NodeState.PENDING, NodeState.WAITING, NodeState.RUNNING)


class Tally:
    """A run as its observers see it.

    After each `take`, `failures` are the attempts that failed in that turn, and what follows each;
    `finished` the nodes that ended, `asked` the questions that were put, and `cancellation` is what asked for the end
    of the run.
    """

    def __init__(self, graph: Graph) -> None:
        self._shape = graph
        self._tasks = dict(graph.tasks)
        self._instances = Instances(graph.nodes, self._tasks)
        #: tallies of inner nodes by the ids of their instances
        self._paths: dict[str, NodeTally] = {}
        #: in the order of the graph, and of their appearance
        self.nodes: dict[str, NodeTally] = {}
        #: how many nodes, those of bodies left out, are in each state
        self.states: Counter[NodeState] = Counter()
        self.now = 0.0
        self.failures: list[tuple[NodeTally, AttemptRecord, Sequel]] = []
        self.finished: list[NodeTally] = []
        self.asked: list[tuple[NodeTally, Cell]] = []
        self.cancellation: CancelRequested | None = None
        #: how many attempts were under way when that was asked; they may have ended since
        self.interrupted = 0
        #: nodes whose failure the body of the pipeline has caught: all of them, and those of the last turn
        self.handled: set[str] = set()
        self.caught: list[str] = []
        self._keys: dict[str, tuple[str, ...]] = {}
        self._repeats = Repeats()
        self._add(laid_open(graph.tasks, graph.nodes))
        self._takers: dict[type[AnyEvent], Callable[[Any], None]] = {
            Started: self._start,
            Expanded: self._expand,
            Returned: self._return,
            Grown: self._grow,
            Deferred: self._defer,
            Asked: self._ask,
            Yielded: self._yield,
            Concluded: self._conclude,
            CancelRequested: self._cancel,
            Handled: self._handle,
        }

    def take(self, turn: Turn, reports: Sequence[AnyReport]) -> None:
        """Add a turn and what the executor reported for it."""
        self.now = turn.at
        self.failures, self.finished, self.asked, self.caught = [], [], [], []
        self.cancellation = None
        takers = self._takers
        for event in turn.events:
            taker = takers.get(type(event))
            if taker is not None:
                taker(event)
        # an end without an attempt is the last word: an attempt that was stopped did not fail, it was cancelled
        settled = {(record.node, record.item) for record in turn.attempts if record.attempt == 0}
        for record in turn.attempts:
            if record.attempt == 0 or (record.node, record.item) not in settled:
                self._end(record)
        for report in reports:
            if type(report) is Told and report.progress is not None:
                self._told(report, report.progress)

    @property
    def running(self) -> int:
        """How many attempts are under way."""
        return sum(len(tally.running) for tally in self.nodes.values())

    def name(self, cell: Cell) -> str:
        """What a node or an item is called: `fit[rf]`."""
        node, item = cell
        if item < 0:
            return node
        keys = self._keys.get(node, ())
        return f"{node}[{keys[item] if item < len(keys) else item}]"

    # The graph.

    @property
    def graph(self) -> Graph:
        """The graph as it is now, with all bodies laid open."""
        return replace(self._shape, nodes=tuple(tally.node for tally in self.nodes.values()), tasks=self._tasks)

    def _add(self, nodes: Iterable[Node]) -> None:
        for node in nodes:
            if node.id not in self.nodes:
                owner = self.nodes.get(parent_of(node.id))
                inner = owner is not None and body_of(self._tasks, owner.node) is not None
                self.nodes[node.id] = NodeTally(node, inner=inner)
                self.states[NodeState.PENDING] += not inner

    def _grow(self, event: Grown) -> None:
        self._tasks |= event.tasks
        body = self._instances.body(event.frame) if event.frame else None
        self._instances.add(event.frame, event.nodes)
        if body is not None or not event.frame:
            prefix = "" if body is None else f"{self._instances.path(body.owner)}/"
            self._add(laid_open(self._tasks, event.nodes, prefix))

    def _of(self, instance: str) -> NodeTally | None:
        found = self.nodes.get(instance)
        if found is None:
            found = self._paths.get(instance)
        if found is None:
            found = self.nodes.get(self._instances.path(instance))
            if found is not None:
                self._paths[instance] = found
        return found

    # Events.

    def _told(self, report: Told, progress: tuple[float, float]) -> None:
        cell = report.cell
        if cell is None:
            # the number of a work is then the position of its node in the graph
            if report.work >= len(self._shape.nodes):
                return
            cell = self._shape.nodes[report.work].id, report.item
        tally = self._of(cell[0])
        if tally is not None and cell in tally.running:
            tally.progress[cell] = progress

    def _start(self, event: Started) -> None:
        tally = self._of(event.node)
        if tally is None:
            return
        tally.running[event.node, event.item] = self.now
        tally.waits = ""
        self._run(tally)

    def _run(self, tally: NodeTally) -> None:
        """It runs, and with it the nodes whose body it is in."""
        tally.started_at = tally.started_at or self.now
        if tally.state is not NodeState.RUNNING:
            self._move(tally, NodeState.RUNNING)
            owner = self.nodes.get(parent_of(tally.node.id)) if tally.inner else None
            if owner is not None:
                self._run(owner)

    def _expand(self, event: Expanded) -> None:
        tally = self._of(event.node)
        if tally is None:
            return
        if event.keys is not None:
            self._keys[event.node] = event.keys
        if event.count is not None:
            tally.count = event.count + (tally.count or 0 if tally.inner else 0)
        tally.more = event.more

    def _yield(self, event: Yielded) -> None:
        """Items are added to the nodes that take a generator's values over."""
        for tally in self._streaming_from(event.node):
            tally.count = max(tally.count or 0, event.count)

    def _streaming_from(self, generator: str) -> list[NodeTally]:
        return [
            tally
            for tally in self.nodes.values()
            if tally.more and tally.node.each is not None and Output(generator) in tally.node.each.over.values()
        ]

    def _return(self, event: Returned) -> None:
        tally = self._of(event.node)
        if tally is not None:
            tally.running.pop((event.node, event.item), None)

    def _defer(self, event: Deferred) -> None:
        tally = self._of(event.node)
        if tally is not None:
            tally.running.pop((event.node, event.item), None)
            self._wait(tally, "waits, and asks again")

    def _ask(self, event: Asked) -> None:
        tally = self._of(event.node)
        if tally is not None:
            self._wait(tally, "waits for an answer")
            self.asked.append((tally, (event.node, event.item)))

    def _wait(self, tally: NodeTally, words: str) -> None:
        if not tally.running:
            tally.waits = words
            self._move(tally, NodeState.WAITING)

    def _conclude(self, event: Concluded) -> None:
        tally = self._of(event.node)
        if tally is not None:
            tally.turns += tally.node.loop is not None

    def _cancel(self, event: CancelRequested) -> None:
        self.cancellation, self.interrupted = event, self.running

    def _handle(self, event: Handled) -> None:
        self.handled.add(event.node)
        self.caught.append(event.node)

    # Ends.

    def _end(self, record: AttemptRecord) -> None:
        tally = self._of(record.node)
        if tally is None:
            return
        cell = record.node, record.item
        tally.running.pop(cell, None)
        tally.progress.pop(cell, None)
        if record.state is NodeState.FAILED:
            sequel = self._repeats.follows(tally.node, record)
            self.failures.append((tally, record, sequel))
            if sequel:
                self._move(tally, NodeState.RUNNING if record.item >= 0 or tally.running else NodeState.WAITING)
                return
        tally.done += 1
        tally.ended[record.state] += 1
        tally.reason = record.reason or tally.reason
        tally.waits = ""
        if tally.inner:
            # it has ended when the body that it is in has
            self._run(tally)
        elif record.item < 0:
            tally.duration = record.duration
            self._finish(tally, record.state)
        else:
            self._end_item(tally)
        for other in self._streaming_from(record.node) if record.item < 0 else ():
            other.more = False
            self._end_item(other)

    def _end_item(self, tally: NodeTally) -> None:
        if tally.done == tally.count and not tally.more:
            tally.duration = self.now - (tally.started_at or self.now)
            self._finish(tally, self._state_of_all(tally))
        elif tally.done:
            self._run(tally)

    def _state_of_all(self, tally: NodeTally) -> NodeState:
        """How a mapped node ended: as badly as the worst of its items; as not reached where what they are taken over
        from has failed as a whole."""
        for state in (NodeState.FAILED, NodeState.CANCELLED):
            if tally.ended[state]:
                return state
        if tally.ended[NodeState.UPSTREAM_FAILED] and self._has_failed_upstream(tally.node):
            return NodeState.UPSTREAM_FAILED
        alike = next((state for state, count in tally.ended.items() if count == tally.done), NodeState.SUCCEEDED)
        return alike if alike in (NodeState.CACHED, NodeState.SKIPPED) else NodeState.SUCCEEDED

    def _has_failed_upstream(self, node: Node) -> bool:
        upstream = (self.nodes.get(name) for name in node.upstream())
        return any(one and one.state in (NodeState.FAILED, NodeState.UPSTREAM_FAILED) for one in upstream)

    def _finish(self, tally: NodeTally, state: NodeState) -> None:
        self._move(tally, state)
        self.finished.append(tally)
        inside = f"{tally.node.id}/"
        if body_of(self._tasks, tally.node) is not None:
            for name, inner in self.nodes.items():
                if inner.inner and name.startswith(inside):
                    self._move(inner, _state_of_inner(inner))

    def _move(self, tally: NodeTally, state: NodeState) -> None:
        if not tally.inner:
            self.states[tally.state] -= 1
            self.states[state] += 1
        tally.state = state


def _state_of_inner(tally: NodeTally) -> NodeState:
    """How a node of a body ended in all of its executions."""
    if not tally.done:
        return NodeState.SKIPPED
    for state in (NodeState.FAILED, NodeState.CANCELLED, NodeState.UPSTREAM_FAILED, NodeState.SUCCEEDED):
        if tally.ended[state]:
            return state
    return NodeState.CACHED if tally.ended[NodeState.CACHED] else NodeState.SKIPPED


__all__ = ["Cell", "NodeTally", "Tally"]
