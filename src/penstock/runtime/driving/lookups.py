"""Inputs resolved, and recorded results looked for: what comes before an attempt."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from typing import TYPE_CHECKING

from penstock.errors import RunFailedError
from penstock.kernel.state import NodeProgress, Phase
from penstock.model.amounts import span
from penstock.model.event import AnyEvent, Asked, Broken, Hit, Missed
from penstock.model.fault import fault_as, fault_of
from penstock.model.instruction import Check
from penstock.model.options import RunOptions
from penstock.model.run import NodeState
from penstock.model.value import Argument, Artifact
from penstock.ports import Clock, Recorded, Store
from penstock.runtime.driving.claims import Late
from penstock.runtime.driving.nodes import Cell, Nodes, Prepared, is_at
from penstock.runtime.driving.recording import Recorder, end_record
from penstock.runtime.driving.refreshing import Refreshing
from penstock.values import Values
from penstock.values.parts import artifacts_in

if TYPE_CHECKING:
    from penstock.runtime.generations.keeping import Keeping

#: how many nodes and items to pass over that need not be looked up yet
_PASSED_OVER = 100

_REMEDY = "Run it without --only-cached (only_cached=True)."

#: whether enough of a node is looked up for now
Full = Callable[[NodeProgress, int], bool]


class Lookups:
    """What waits to be looked up. Of the options, those count that are about the cache. `keeping` decides what is kept of
    an earlier generation of the run, before the cache is asked."""

    def __init__(
        self,
        nodes: Nodes,
        store: Store,
        values: Values,
        clock: Clock,
        options: RunOptions,
        full: Full,
        keeping: Keeping | None = None,
    ) -> None:
        self._run = nodes.run
        self._nodes = nodes
        self._store = store
        self._values = values
        self._clock = clock
        self._use_cache = options.cache
        self._only_cached = options.only_cached
        self.refreshing = Refreshing(options.refresh, nodes.run.tasks)
        #: whether anything is made anew that does not say so itself
        self._refreshing = bool(options.refresh) or not options.cache
        self._full = full
        self._keeping = keeping
        #: whether nothing of what waits was to be looked up when that was last tried
        self.stalled = False
        self._waiting: deque[Check] = deque()
        #: the inputs of attempts that are yet to be made
        self.prepared: dict[Cell, Prepared] = {}
        #: fingerprints under which there is a result that is not to be used
        self._outdated: set[bytes] = set()
        #: fingerprints of what is to run again although there may be a result
        self._fresh: set[bytes] = set()

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
            self._prepare(progress, items, wanted, events, turn)
            turn.notice(progress.id, items[0], self._values.take_notices(), self._clock.now())
        # at the back, so that what is behind them has its turn
        self._waiting.extend(passed_over)
        self.stalled = seen == 0 and budget > 0
        if self._nodes.fingerprints.read:
            turn.files.update(self._nodes.fingerprints.take_read())
        if wanted:
            recorded = self._store.recorded(list(wanted))
            for key in wanted.keys() & turn.results.keys():
                # it is recorded with this very turn
                recorded[key] = Recorded(turn.results[key].outputs, self._clock.now())
            sound = self._values.sound_among(each for made in recorded.values() for each in _artifacts(made.outputs))
            for key, cells in wanted.items():
                made = recorded.get(key)
                events += [self._found(progress, item, key, made, sound, turn) for progress, item in cells]
        return events

    def _prepare(
        self,
        progress: NodeProgress,
        items: Sequence[int],
        wanted: dict[bytes, list[tuple[NodeProgress, int]]],
        events: list[AnyEvent],
        turn: Recorder,
    ) -> None:
        name = progress.id
        template = None
        for item in items:
            # it may have been cancelled meanwhile
            if not is_at(progress, item, Phase.CHECKING):
                continue
            try:
                template = template or self._nodes.template(progress)
                prepared = self._nodes.prepared(progress, template, item)
            except Exception as error:
                events.append(Broken(name, item, fault_of(error)))
                continue
            fresh = False
            if self._keeping is not None:
                kept, fresh = self._kept(self._keeping, progress, item, prepared, turn)
                if kept is not None:
                    events.append(kept)
                    continue
            if template.question is not None:
                events.append(Asked(name, item))
                continue
            self.prepared[name, item] = prepared
            key = prepared.fingerprint
            if fresh and key is not None:
                self._fresh.add(key)
            if key is None or fresh or template.refresh or (self._refreshing and self._refreshes(progress, item)):
                events.append(self._missed(progress, item, key, self._why(progress, key)))
            elif key in wanted:
                wanted[key].append((progress, item))
            else:
                wanted[key] = [(progress, item)]

    def _kept(
        self, keeping: Keeping, progress: NodeProgress, item: int, prepared: Prepared, turn: Recorder
    ) -> tuple[AnyEvent | None, bool]:
        """The result of an earlier generation in the place of an attempt, if it is kept; and if not, whether the cache is
        not to be asked either."""
        verdict = keeping.verdict(progress, item, prepared, self._nodes)
        record = verdict.record
        if record is None or self.gone(record.outputs):
            return None, verdict.fresh
        return self._hit(progress, item, record.fingerprint, record.outputs, turn, record.reason), False

    def found_late(self, progress: NodeProgress, late: Late, turn: Recorder) -> AnyEvent | None:
        """What follows from a result that another run has made by now; None where it is of no use."""
        node, item = late.ready.node, late.ready.item
        if not is_at(progress, item, Phase.QUEUED) or self.gone(late.recorded.outputs):
            self._outdated.add(late.fingerprint)
            return None
        self.prepared.pop((node, item), None)
        return self._hit(progress, item, late.fingerprint, late.recorded.outputs, turn)

    def may_claim(self, progress: NodeProgress, item: int, key: bytes) -> bool:
        """Whether the result of an attempt is one that other runs would take, and that this one would take from them."""
        if key in self._outdated or key in self._fresh or self._nodes.template(progress).refresh:
            return False
        return not (self._refreshing and self._refreshes(progress, item))

    def _refreshes(self, progress: NodeProgress, item: int) -> bool:
        """Whether a node or an item is to be made anew, whatever is recorded."""
        return not self._use_cache or self.refreshing.covers(progress, item)

    def _found(
        self,
        progress: NodeProgress,
        item: int,
        key: bytes,
        recorded: Recorded | None,
        sound: Set[bytes],
        turn: Recorder,
    ) -> AnyEvent:
        name, at = progress.id, self._clock.now()
        if recorded is None:
            return self._missed(progress, item, key, "nothing is recorded of this code with these inputs")
        outputs, made_at = recorded
        lifetime = progress.node.policy.caching.lifetime
        if lifetime is not None and at - made_at > lifetime:
            self._outdated.add(key)
            return self._missed(progress, item, key, f"what is recorded is older than {span(lifetime)} (cache_for)")
        gone = self.gone(outputs, sound)
        if gone:
            self._outdated.add(key)
            return self._missed(progress, item, key, gone)
        del self.prepared[name, item]
        return self._hit(progress, item, key, outputs, turn)

    def _hit(
        self,
        progress: NodeProgress,
        item: int,
        key: bytes | None,
        outputs: tuple[Argument, ...],
        turn: Recorder,
        reason: str = "",
    ) -> AnyEvent:
        at, state = self._clock.now(), NodeState.CACHED
        turn.expect(progress, end_record(progress, item, state, at, fingerprint=key, outputs=outputs, reason=reason))
        return Hit(progress.id, item, key, outputs)

    def _missed(self, progress: NodeProgress, item: int, key: bytes | None, why: str) -> AnyEvent:
        """What follows where there is no result to take."""
        if not self._only_cached:
            return Missed(progress.id, item, key)
        self.prepared.pop((progress.id, item), None)
        what = f"{progress.cell_id(item)} was not run, since only recorded results are to be used, and {why}"
        return Broken(progress.id, item, fault_as(RunFailedError, f"{what}\n  {_REMEDY}"))

    def _why(self, progress: NodeProgress, key: bytes | None) -> str:
        """Why a node is not looked for in the cache at all."""
        policy = progress.node.policy
        if progress.node.wait is not None:
            return "it asks anew in every run"
        if policy.caching.effects:
            return "it has side effects (effects=True)"
        if not policy.cache:
            return "it is never cached (cache=False)"
        if key is not None:
            return "it is to be made anew (refresh=True)"
        stale = self._nodes.is_stale(progress)
        return (
            "its code was edited since this process loaded it, or set from outside"
            if stale
            else "one of its inputs cannot be hashed"
        )

    def gone(self, outputs: Sequence[Argument], sound: Set[bytes] = frozenset()) -> str:
        """What of a recorded result is not there any more, in words; empty where all of it is. The blobs in `sound` are
        known to be there."""
        if not all(self._values.available(artifact, sound) for artifact in _artifacts(outputs)):
            return "the bytes of what is recorded are gone or damaged"
        name = self._nodes.fingerprints.contents.gone(outputs)
        return "" if name is None else f"there is no {name} now, which is in what is recorded"


def _artifacts(arguments: Iterable[Argument]) -> Iterator[Artifact]:
    """The artifacts that arguments consist of."""
    for argument in arguments:
        if isinstance(argument, Artifact):
            yield argument
        else:
            yield from artifacts_in(argument)
