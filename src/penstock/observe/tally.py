"""What the turns of a run add up to, node by node: the model behind every live display. Nothing here prints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from penstock.model.event import CancelRequested, Expanded, Returned, Started
from penstock.model.graph import Graph, Node
from penstock.model.run import AttemptRecord, NodeState
from penstock.model.work import AnyReport, Told
from penstock.ports import Turn


class NodeTally:
    """Where a node is. Times are seconds since the epoch; `item` is -1 for a node that is not mapped."""

    __slots__ = ("count", "done", "duration", "ended", "node", "progress", "reason", "running", "started_at", "state")

    def __init__(self, node: Node) -> None:
        self.node = node
        self.state = NodeState.PENDING
        #: how many items a mapped node has, None while unknown
        self.count: int | None = None
        #: how many items ended, and how many in each state
        self.done = 0
        self.ended: Counter[NodeState] = Counter()
        #: item -> when its attempt started
        self.running: dict[int, float] = {}
        #: item -> (done, total) as told by the task
        self.progress: dict[int, tuple[float, float]] = {}
        self.started_at = 0.0
        #: of the last attempt; of a mapped node, from the first start to the last end
        self.duration = 0.0
        self.reason = ""

    @property
    def finished(self) -> bool:
        return self.state not in _UNFINISHED

    @property
    def active(self) -> bool:
        """Whether somebody who watches wants to see it: it runs, or it failed."""
        return self.state is NodeState.RUNNING or self.ended[NodeState.FAILED] > 0


_UNFINISHED = (NodeState.PENDING, NodeState.WAITING, NodeState.RUNNING)


class Tally:
    """A run as its observers see it.

    After each `take`, `failures` are the attempts that failed in that turn, `finished` the nodes that ended, and
    `cancellation` is what asked for the end of the run.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes = {node.id: NodeTally(node) for node in graph.nodes}
        #: how many nodes are in each state
        self.states: Counter[NodeState] = Counter({NodeState.PENDING: len(self.nodes)})
        self.now = 0.0
        self.failures: list[tuple[NodeTally, AttemptRecord]] = []
        self.finished: list[NodeTally] = []
        self.cancellation: CancelRequested | None = None
        self._by_number = list(self.nodes.values())

    def take(self, turn: Turn, reports: Sequence[AnyReport]) -> None:
        """Add a turn and what the executor reported for it."""
        self.now = turn.at
        self.failures = []
        self.finished = []
        self.cancellation = None
        for event in turn.events:
            kind = type(event)
            if kind is Started:
                self._start(event)  # type: ignore[arg-type]
            elif kind is Expanded:
                self.nodes[event.node].count = event.count  # type: ignore[union-attr]
            elif kind is Returned:
                self.nodes[event.node].running.pop(event.item, None)  # type: ignore[union-attr]
            elif kind is CancelRequested:
                self.cancellation = event  # type: ignore[assignment]
        # an end without an attempt is the last word: an attempt that was stopped did not fail, it was cancelled
        settled = {(record.node, record.item) for record in turn.attempts if record.attempt == 0}
        for record in turn.attempts:
            if record.attempt == 0 or (record.node, record.item) not in settled:
                self._end(record)
        for report in reports:
            if type(report) is Told and report.progress is not None:
                self._told(report.work, report.item, report.progress)

    @property
    def running(self) -> int:
        """How many attempts are under way."""
        return sum(len(tally.running) for tally in self.nodes.values())

    def _told(self, work: int, item: int, progress: tuple[float, float]) -> None:
        # the number of a work is the position of its node in the graph
        if work < len(self._by_number) and item in self._by_number[work].running:
            self._by_number[work].progress[item] = progress

    def _start(self, event: Started) -> None:
        tally = self.nodes[event.node]
        tally.running[event.item] = self.now
        if tally.state is not NodeState.RUNNING:
            tally.started_at = tally.started_at or self.now
            self._move(tally, NodeState.RUNNING)

    def _end(self, record: AttemptRecord) -> None:
        tally = self.nodes[record.node]
        tally.running.pop(record.item, None)
        tally.progress.pop(record.item, None)
        if record.state is NodeState.FAILED:
            self.failures.append((tally, record))
            if will_repeat(tally.node, record):
                self._move(tally, NodeState.RUNNING if record.item >= 0 else NodeState.WAITING)
                return
        tally.done += 1
        tally.ended[record.state] += 1
        tally.reason = record.reason or tally.reason
        if record.item < 0:
            tally.duration = record.duration
            self._finish(tally, record.state)
        elif tally.done == tally.count:
            tally.duration = self.now - (tally.started_at or self.now)
            self._finish(tally, _state_of_all(tally))
        elif tally.state is not NodeState.RUNNING:
            tally.started_at = tally.started_at or self.now
            self._move(tally, NodeState.RUNNING)

    def _finish(self, tally: NodeTally, state: NodeState) -> None:
        self._move(tally, state)
        self.finished.append(tally)

    def _move(self, tally: NodeTally, state: NodeState) -> None:
        self.states[tally.state] -= 1
        self.states[state] += 1
        tally.state = state


def will_repeat(node: Node, record: AttemptRecord) -> bool:
    """Whether a failed attempt is to be followed by another."""
    return 0 < record.attempt <= node.policy.retries


def _state_of_all(tally: NodeTally) -> NodeState:
    """How a mapped node ended: as badly as the worst of its items."""
    for state in (NodeState.FAILED, NodeState.CANCELLED):
        if tally.ended[state]:
            return state
    return NodeState.CACHED if tally.ended[NodeState.CACHED] == tally.count else NodeState.SUCCEEDED
