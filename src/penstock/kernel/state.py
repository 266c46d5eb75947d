"""What the kernel knows of a run: for every node, and every item of a mapped one, a phase."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from penstock.model.graph import Graph, Node
from penstock.model.run import NodeState
from penstock.model.value import Artifact

Outputs = tuple[Artifact, ...]


class Phase(IntEnum):
    """Where a node or an item is. Everything from SUCCEEDED on is an end."""

    #: waits for its upstream
    PENDING = 0
    #: its condition and its iterables are being evaluated
    EXPANDING = 1
    #: its inputs are being resolved and looked up in the cache
    CHECKING = 2
    #: waits for room in the executor
    QUEUED = 3
    RUNNING = 4
    #: waits between two attempts
    DELAYED = 5
    #: a mapped node whose items are under way
    OPEN = 6
    SUCCEEDED = 7
    CACHED = 8
    FAILED = 9
    SKIPPED = 10
    UPSTREAM_FAILED = 11
    CANCELLED = 12

    @property
    def ended(self) -> bool:
        return self >= Phase.SUCCEEDED

    @property
    def fruitful(self) -> bool:
        """Whether there are outputs."""
        return self in (Phase.SUCCEEDED, Phase.CACHED)

    @property
    def state(self) -> NodeState:
        """The phase as the run document calls it."""
        return _STATES[self]


_STATES = {
    Phase.PENDING: NodeState.PENDING,
    Phase.EXPANDING: NodeState.WAITING,
    Phase.CHECKING: NodeState.WAITING,
    Phase.QUEUED: NodeState.WAITING,
    Phase.RUNNING: NodeState.RUNNING,
    Phase.DELAYED: NodeState.WAITING,
    Phase.OPEN: NodeState.RUNNING,
    Phase.SUCCEEDED: NodeState.SUCCEEDED,
    Phase.CACHED: NodeState.CACHED,
    Phase.FAILED: NodeState.FAILED,
    Phase.SKIPPED: NodeState.SKIPPED,
    Phase.UPSTREAM_FAILED: NodeState.UPSTREAM_FAILED,
    Phase.CANCELLED: NodeState.CANCELLED,
}


class Items:
    """The items of a mapped node, kept in flat arrays because there may be a hundred thousand of them."""

    __slots__ = ("counts", "outputs", "phases", "unfinished")

    def __init__(self, count: int) -> None:
        self.phases = bytearray([Phase.CHECKING]) * count
        self.outputs: list[Outputs | None] = [None] * count
        self.unfinished = count
        #: how many items are in each phase that is an end
        self.counts = [0] * len(Phase)


class NodeProgress:
    """A node on its way. `attempts` counts attempts by item; an item that is absent had none."""

    __slots__ = ("attempts", "blockers", "downstream", "items", "node", "outputs", "phase", "requirements")

    def __init__(self, node: Node) -> None:
        self.node = node
        self.phase = Phase.PENDING
        self.requirements = node.requirements()
        #: how many upstream nodes have not ended
        self.blockers = 0
        self.downstream: list[str] = []
        self.attempts: dict[int, int] = {}
        self.outputs: Outputs | None = None
        self.items: Items | None = None

    def phase_of(self, item: int) -> Phase:
        if item < 0 or self.items is None:
            return self.phase
        return Phase(self.items.phases[item])

    def phase_of_item(self, item: int) -> int | None:
        """The phase of an item as a plain integer; None if there is no such item."""
        if self.items is None or item >= len(self.items.phases):
            return None
        return self.items.phases[item]


class RunProgress:
    """A run on its way; only `kernel.handle` changes it."""

    __slots__ = ("cancelling", "graph", "nodes", "started", "unfinished")

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes = {node.id: NodeProgress(node) for node in graph.nodes}
        #: nodes that have not ended
        self.unfinished = len(self.nodes)
        self.started = False
        #: why the run is being cancelled, None while it is not
        self.cancelling: str | None = None
        for progress in self.nodes.values():
            upstream = progress.node.upstream()
            progress.blockers = len(upstream)
            for name in upstream:
                self.nodes[name].downstream.append(progress.node.id)

    def outputs(self, node: str) -> Outputs | list[Outputs] | None:
        """The outputs of a node; of a mapped node, those of its items in order; None while there are none."""
        progress = self.nodes[node]
        if not progress.phase.fruitful:
            return None
        if progress.items is None:
            return progress.outputs if progress.node.each is None else []
        return [outputs for outputs in progress.items.outputs if outputs is not None]

    def ran(self, node: str) -> bool:
        return self.nodes[node].phase.fruitful

    def running(self) -> Iterable[tuple[str, int, int]]:
        """Node, item and attempt of everything that an executor has."""
        for name, progress in self.nodes.items():
            if progress.items is None:
                if progress.phase is Phase.RUNNING:
                    yield name, -1, progress.attempts[-1]
            elif progress.phase is Phase.OPEN:
                for item, phase in enumerate(progress.items.phases):
                    if phase == Phase.RUNNING:
                        yield name, item, progress.attempts[item]
