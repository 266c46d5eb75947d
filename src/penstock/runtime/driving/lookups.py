"""Inputs resolved, and recorded results looked for: what comes before an attempt."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from penstock.kernel.state import NodeProgress, Phase
from penstock.model.event import AnyEvent, Asked, Broken, Hit, Missed
from penstock.model.fault import fault_of
from penstock.model.instruction import Check
from penstock.model.run import NodeState
from penstock.model.value import Argument, Artifact, Collection, Record
from penstock.ports import Clock, Store
from penstock.runtime.driving.nodes import Cell, Nodes, Prepared, is_at
from penstock.runtime.driving.recording import Recorder, end_record
from penstock.values import Values

#: how many nodes and items to pass over that need not be looked up yet
_PASSED_OVER = 100

#: whether enough of a node is looked up for now
Full = Callable[[NodeProgress, int], bool]


class Lookups:
    """What waits to be looked up."""

    def __init__(
        self,
        nodes: Nodes,
        store: Store,
        values: Values,
        clock: Clock,
        *,
        use_cache: bool,
        full: Full,
    ) -> None:
        self._run = nodes.run
        self._nodes = nodes
        self._store = store
        self._values = values
        self._clock = clock
        self._use_cache = use_cache
        self._full = full
        #: whether nothing of what waits was to be looked up when that was last tried
        self.stalled = False
        self._waiting: deque[Check] = deque()
        #: the inputs of attempts that are yet to be made
        self.prepared: dict[Cell, Prepared] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, check: Check) -> None:
        if self._run.nodes[check.node].streams:
            # what has come through one stage goes through the next before more comes after it
            self._waiting.appendleft(check)
        else:
            self._waiting.append(check)

    def look_up(self, budget: int, turn: Recorder) -> list[AnyEvent]:
        """Resolve and look up what waits for it, up to `budget` nodes and items."""
        if not self._waiting:
            return []
        events: list[AnyEvent] = []
        wanted: dict[bytes, list[tuple[NodeProgress, int]]] = {}
        passed_over: list[Check] = []
        seen = 0
        while self._waiting and seen < budget and len(passed_over) < _PASSED_OVER:
            check = self._waiting.popleft()
            progress = self._run.nodes[check.node]
            if self._full(progress, check.start):
                passed_over.append(check)
                continue
            if check.start < 0:
                items: range | tuple[int] = (-1,)
            else:
                items = range(check.start, min(check.stop, check.start + budget - seen))
                if items.stop < check.stop:
                    self._waiting.appendleft(Check(check.node, items.stop, check.stop))
            seen += len(items)
            self._prepare(progress, items, wanted, events)
            turn.notice(progress.id, items[0], self._values.take_notices(), self._clock.now())
        # at the back, so that what is behind them has its turn
        self._waiting.extend(passed_over)
        self.stalled = seen == 0 and budget > 0
        if wanted:
            recorded = self._store.recorded(list(wanted))
            for key, cells in wanted.items():
                events += [self._found(progress, item, key, recorded.get(key), turn) for progress, item in cells]
        return events

    def _prepare(
        self,
        progress: NodeProgress,
        items: Sequence[int],
        wanted: dict[bytes, list[tuple[NodeProgress, int]]],
        events: list[AnyEvent],
    ) -> None:
        name = progress.id
        for item in items:
            # it may have been cancelled meanwhile
            if not is_at(progress, item, Phase.CHECKING):
                continue
            try:
                template = self._nodes.template(progress)
                prepared = self._nodes.prepared(progress, template, item)
            except Exception as error:
                events.append(Broken(name, item, fault_of(error)))
                continue
            if template.question is not None:
                events.append(Asked(name, item))
                continue
            self.prepared[name, item] = prepared
            key = prepared.fingerprint
            if key is None or not self._use_cache:
                events.append(Missed(name, item, key))
            elif key in wanted:
                wanted[key].append((progress, item))
            else:
                wanted[key] = [(progress, item)]

    def _found(
        self, progress: NodeProgress, item: int, key: bytes, outputs: tuple[Argument, ...] | None, turn: Recorder
    ) -> AnyEvent:
        name = progress.id
        if outputs is None or not all(map(self._available, outputs)):
            return Missed(name, item, key)
        del self.prepared[name, item]
        at = self._clock.now()
        turn.expect(progress, end_record(progress, item, NodeState.CACHED, at, fingerprint=key, outputs=outputs))
        return Hit(name, item, key, outputs)

    def _available(self, argument: Argument) -> bool:
        """Whether all that an argument is made of is still there."""
        if isinstance(argument, Artifact):
            return self._values.available(argument)
        if isinstance(argument, (Collection, Record)):
            return all(map(self._available, argument.items))
        return self._available(argument.of)
