"""What the kernel knows of a run: for every node, and every item of a mapped one, a phase.

Nodes live in frames: the run itself is one, and so is every execution of a body (of a mapped pipeline, of a turn of a
loop). A node of a body exists once in each frame, under an id of its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator
from enum import IntEnum

from penstock.kernel.streams import streamed
from penstock.model.event import Fault
from penstock.model.expression import Constant, Expression
from penstock.model.graph import Graph, Node, PipelineAction, Task
from penstock.model.run import NodeState, item_id
from penstock.model.value import Argument

Outputs = tuple[Argument, ...]


class Phase(IntEnum):
    """Where a node or an item is. Everything from SUCCEEDED on is an end."""

    #: waits for its upstream
    PENDING = 0
    #: what it needs did not run, and its condition is being evaluated: it may have been left out in any case
    DECIDING = 1
    #: its condition and its iterables are being evaluated
    EXPANDING = 2
    #: its inputs are being resolved and looked up in the cache
    CHECKING = 3
    #: waits for room in the executor
    QUEUED = 4
    RUNNING = 5
    #: waits between two attempts
    DELAYED = 6
    #: waits for a person's answer
    AWAITING = 7
    #: its fallback value is being evaluated
    SUBSTITUTING = 8
    #: its items, or the nodes of its body, are under way
    OPEN = 9
    #: the result of its body is being evaluated
    CONCLUDING = 10
    SUCCEEDED = 11
    CACHED = 12
    FAILED = 13
    SKIPPED = 14
    UPSTREAM_FAILED = 15
    CANCELLED = 16

    ended: bool
    #: whether there are outputs
    fruitful: bool

    @property
    def state(self) -> NodeState:
        """The phase as the run document calls it."""
        return _STATES.get(self) or NodeState[self.name]


# attributes, because every turn asks for them many times
for _phase in Phase:
    _phase.ended = _phase >= Phase.SUCCEEDED
    _phase.fruitful = _phase in (Phase.SUCCEEDED, Phase.CACHED)

#: by number
_PHASES = tuple(Phase)

_STATES = {
    Phase.DECIDING: NodeState.WAITING,
    Phase.EXPANDING: NodeState.WAITING,
    Phase.CHECKING: NodeState.WAITING,
    Phase.QUEUED: NodeState.WAITING,
    Phase.DELAYED: NodeState.WAITING,
    Phase.AWAITING: NodeState.WAITING,
    Phase.SUBSTITUTING: NodeState.WAITING,
    Phase.OPEN: NodeState.RUNNING,
    Phase.CONCLUDING: NodeState.RUNNING,
}


class Items:
    """The items of a mapped node, kept in flat arrays because there may be a hundred thousand of them."""

    __slots__ = ("counts", "keys", "more", "outputs", "phases", "unfinished")

    def __init__(self, count: int, keys: tuple[str, ...] | None = None, *, more: bool = False) -> None:
        self.phases = bytearray(count)
        self.outputs: list[Outputs | None] = [None] * count
        self.unfinished = count
        #: how many items are in each phase that is an end
        self.counts = [0] * len(Phase)
        #: what the items are called, where they do not go by number
        self.keys = keys
        #: whether there are items to come
        self.more = more

    def append(self) -> int:
        """Add an item. Returns its number."""
        self.phases.append(Phase.PENDING)
        self.outputs.append(None)
        self.unfinished += 1
        return len(self.phases) - 1

    @property
    def complete(self) -> bool:
        """Whether all items have ended, and no more will come."""
        return self.unfinished == 0 and not self.more


class Frame:
    """An execution of a body, or the run itself (`owner` is None)."""

    __slots__ = (
        "cut_short",
        "fault",
        "growing",
        "id",
        "item",
        "nodes",
        "owner",
        "previous",
        "result",
        "turn",
        "unfinished",
    )

    def __init__(self, id: str, owner: NodeProgress | None, item: int = -1, turn: int = 0) -> None:
        #: what instance ids in it start with: `fold[3]`; empty for the run
        self.id = id
        self.owner = owner
        self.item = item
        #: of a loop, from 0
        self.turn = turn
        #: what the turn before resulted in
        self.previous: Outputs | None = None
        #: by the id in the body
        self.nodes: dict[str, NodeProgress] = {}
        #: nodes that have not ended
        self.unfinished = 0
        #: whether it is a dynamic body that has not ended
        self.growing = False
        #: what a dynamic body returns, once it has
        self.result: Expression = Constant(None)
        #: whether a dynamic body was ended because the run is being cancelled
        self.cut_short = False
        #: what a dynamic body has raised
        self.fault: Fault | None = None

    @property
    def complete(self) -> bool:
        return self.unfinished == 0 and not self.growing

    def instance(self, node: str) -> str:
        """The id of one of its nodes in the run."""
        return f"{self.id}/{node}" if self.id else node


class Setbacks:
    """What went wrong with the attempts at a node. All is by item; an item that is absent had none of it."""

    __slots__ = ("again", "delays", "excused", "fallen", "larger", "losses")

    def __init__(self) -> None:
        #: how many attempts the infrastructure has lost
        self.losses: dict[int, int] = {}
        #: how many attempts do not count, because the driver was gone or the limit of memory was raised
        self.excused: dict[int, int] = {}
        #: how many times the limit of memory was doubled
        self.larger: dict[int, int] = {}
        #: items that have failed for good, and whose fallback is under way
        self.fallen: set[int] = set()
        #: items whose latest attempt is to be made anew under its own number: it came back, or asked to be put off
        self.again: set[int] = set()
        #: the latest wait before an attempt, in seconds
        self.delays: dict[int, float] = {}


class Limit:
    """How many items of a node may be under way at once."""

    __slots__ = ("flying", "held", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self.flying: set[int] = set()
        #: items, and the attempts at them, that are held back
        self.held: deque[tuple[int, int]] = deque()


class NodeProgress:
    """A node on its way. `attempts` is by item; an item that is absent had none."""

    __slots__ = (
        "attempts",
        "blockers",
        "body",
        "downstream",
        "final",
        "frame",
        "frames",
        "handled",
        "id",
        "items",
        "limit",
        "node",
        "outputs",
        "phase",
        "requirements",
        "setbacks",
        "streamers",
        "streams",
        "upstream",
        "yielded",
    )

    def __init__(self, node: Node, frame: Frame, body: PipelineAction | None) -> None:
        self.node = node
        self.frame = frame
        #: the id of this instance of the node
        self.id = frame.instance(node.id)
        self.body = body
        self.phase = Phase.PENDING
        self.requirements = node.requirements()
        self.upstream: tuple[NodeProgress, ...] = ()
        #: how many upstream nodes have not ended; of those that are streamed, that have not begun to have items
        self.blockers = 0
        self.downstream: list[NodeProgress] = []
        #: upstream nodes whose items are taken over one by one, and the nodes that do so with this one's
        self.streams: tuple[NodeProgress, ...] = ()
        self.streamers: list[NodeProgress] = []
        #: how many values a generator has yielded
        self.yielded = 0
        #: the number of the latest attempt
        self.attempts: dict[int, int] = {}
        #: None while there were none
        self.setbacks: Setbacks | None = None
        self.outputs: Outputs | None = None
        self.items: Items | None = None
        self.limit = None if node.each is None or node.each.max_parallel is None else Limit(node.each.max_parallel)
        #: frames of the body that are under way, by item
        self.frames: dict[int, Frame] = {}
        #: it still runs in a run that is being cancelled
        self.final: bool = node.final or (frame.owner is not None and frame.owner.final)
        #: a dynamic body was given the failure as an exception
        self.handled = False

    @property
    def fallen(self) -> Collection[int]:
        """Items (-1 for the node itself) that have failed for good, and whose fallback has taken their place."""
        return () if self.setbacks is None else self.setbacks.fallen

    def set_back(self) -> Setbacks:
        """The setbacks, to add one."""
        if self.setbacks is None:
            self.setbacks = Setbacks()
        return self.setbacks

    def phase_of(self, item: int) -> Phase:
        if item < 0 or self.items is None:
            return self.phase
        return _PHASES[self.items.phases[item]]

    def phase_of_item(self, item: int) -> int | None:
        """The phase of an item as a plain integer; None if there is no such item."""
        if self.items is None or item >= len(self.items.phases):
            return None
        return self.items.phases[item]

    def set_phase(self, item: int, phase: Phase) -> None:
        if item < 0 or self.items is None:
            self.phase = phase
        else:
            self.items.phases[item] = phase

    def memory_of(self, item: int) -> int:
        """The limit of memory for the next attempt, in bytes; 0 for none."""
        resources = self.node.policy.resources
        times = 0 if self.setbacks is None else self.setbacks.larger.get(item, 0)
        return min(resources.memory * 2**times, resources.memory_cap) if times else resources.memory

    def cell_id(self, item: int) -> str:
        """How the node, or an item of it, is called: `fit[rf]`."""
        keys = None if self.items is None else self.items.keys
        return item_id(self.id, item, None if keys is None or item < 0 else keys[item])

    @property
    def fatal(self) -> bool:
        """Whether it has failed in a way that matters to the frame."""
        return self.phase is Phase.FAILED and self.node.decides and not self.handled


class RunProgress:
    """A run on its way; only `kernel.handle` changes it."""

    __slots__ = (
        "cancelling",
        "expired",
        "final",
        "finished",
        "frames",
        "graph",
        "nodes",
        "root",
        "started",
        "stopping",
        "tasks",
        "version",
    )

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        #: all tasks that are called, those of dynamic bodies included
        self.tasks: dict[str, Task] = dict(graph.tasks)
        #: by instance id
        self.nodes: dict[str, NodeProgress] = {}
        self.root = Frame("", None)
        #: frames that are under way, by id; the run's own is ""
        self.frames: dict[str, Frame] = {"": self.root}
        self.started = False
        #: of the rules by which it is decided: see `RunStarted`
        self.version = 1
        self.finished = False
        #: why the run is being cancelled, None while it is not
        self.cancelling: str | None = None
        #: whether nodes that are final still run in a run that is being cancelled
        self.final = True
        #: whether it is being cancelled because of a failure, or of its timeout
        self.stopping = False
        self.expired = False
        self.root.growing = graph.dynamic_at is not None
        self.add(self.root, graph.nodes)

    def add(self, frame: Frame, nodes: Iterable[Node]) -> list[NodeProgress]:
        """Put nodes, which follow in order what they wait for, into a frame."""
        added: list[NodeProgress] = []
        for node in nodes:
            task = self.tasks.get(node.task)
            body = task.action if task is not None and type(task.action) is PipelineAction else None
            progress = NodeProgress(node, frame, body)
            self._wire(frame, progress)
            frame.nodes[node.id] = self.nodes[progress.id] = progress
            frame.unfinished += 1
            added.append(progress)
        return added

    def _wire(self, frame: Frame, progress: NodeProgress) -> None:
        progress.upstream = tuple([frame.nodes[name] for name in progress.node.upstream()])
        if progress.node.each is not None and progress.upstream:
            names = streamed(progress.node, {p.node.id: self._has_items(p) for p in progress.upstream})
            progress.streams = tuple(frame.nodes[name] for name in names)
        for other in progress.upstream:
            other.downstream.append(progress)
            if other in progress.streams:
                other.streamers.append(progress)
                progress.blockers += not (other.phase.ended or other.items is not None or other.yielded > 0)
            else:
                progress.blockers += not other.phase.ended

    def _has_items(self, progress: NodeProgress) -> str:
        """What a node has one by one: the items of a fan-out, what a generator yields, or nothing."""
        if progress.node.each is not None:
            return "items"
        task = self.tasks.get(progress.node.task)
        return "yields" if task is not None and task.yields else ""

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

    def running(self) -> Iterator[tuple[str, int, int]]:
        """Node, item and attempt of everything that an executor has."""
        for name, progress in self.nodes.items():
            if progress.items is None:
                if progress.phase is Phase.RUNNING:
                    yield name, -1, progress.attempts[-1]
            elif progress.phase is Phase.OPEN:
                for item, phase in enumerate(progress.items.phases):
                    if phase == Phase.RUNNING:
                        yield name, item, progress.attempts[item]
