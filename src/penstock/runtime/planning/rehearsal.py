"""A run rehearsed: the driver goes as far as recorded results allow, nothing begins, and nothing is recorded.

The driver is that of every run, so that maps, branches, loops, bodies and joins are decided as they would be.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple, cast

from penstock.authoring.dynamic import Question
from penstock.kernel.state import Frame, NodeProgress, RunProgress
from penstock.model.asset import Materialization
from penstock.model.generation import origin_of
from penstock.model.graph import Graph, Node
from penstock.model.instruction import Ready
from penstock.model.policy import Policy
from penstock.model.request import Request
from penstock.model.run import AttemptRecord, NodeState, RunRecord
from penstock.model.work import AnyReport, Job, Work
from penstock.ports import Claimant, Clock, Recorded, Store, Turn
from penstock.runtime.capacity.admission import Admission
from penstock.runtime.capacity.demand import Limits
from penstock.runtime.capacity.machine import Machine
from penstock.runtime.capacity.pools import Pools
from penstock.runtime.driver import Driver
from penstock.runtime.driving.nodes import Cell, Nodes, Prepared, TaskCode
from penstock.runtime.dynamic.bodies import Bodies
from penstock.values import Values


class Rehearsed(NamedTuple):
    """A run that has gone as far as it can without running anything."""

    progress: RunProgress
    nodes: Nodes
    #: the attempts that would begin
    prepared: Mapping[Cell, Prepared]
    #: how those nodes and items ended that ended without a result of their own: skipped, failed, not reached
    ends: Mapping[Cell, AttemptRecord]
    #: what dynamic bodies wait to be told, by frame
    questions: Mapping[str, Question]
    #: files that tasks declare that they read -> digests of their content
    files: Mapping[str, bytes]
    #: what the cache has of what was looked for, by fingerprint
    recorded: Mapping[bytes, Recorded]
    #: the nodes and items that have the result of an earlier generation of the run
    kept: frozenset[Cell] = frozenset()


def rehearse(
    run: RunRecord,
    graph: Graph,
    tasks: Mapping[str, TaskCode],
    parameters: Mapping[str, Any],
    *,
    store: Store | None,
    values: Values,
    machine: Machine,
    clock: Clock,
    bodies: Bodies | None = None,
    **options: Any,
) -> Rehearsed:
    """Rehearse a run that is not recorded. `values` must write nothing that stays; without a `store`, nothing is cached.

    `options` are further ones of the `Driver`. The bodies are left where they are; whoever made them ends them.
    """
    script = _Script(store)
    stand_in = cast("Store", script)
    driver = Driver(
        run=run,
        graph=graph,
        tasks=tasks,
        parameters=parameters,
        store=stand_in,
        values=values,
        executor=_NoExecutor(),
        clock=clock,
        bodies=bodies,
        admission=_Closed(graph, machine, stand_in, clock),
        progress=_Unlimited(graph),
        **options,
    )
    nodes, prepared = driver.rehearse()
    questions = {} if bodies is None else bodies.questions
    kept = frozenset(script.kept)
    return Rehearsed(driver.progress, nodes, prepared, script.ends, questions, script.files, script.found, kept)


class _Script:
    """The store of a rehearsal: the cache of a real one, and else only what the rehearsal itself has told. It has no
    more of the port than a driver under which nothing begins asks for."""

    def __init__(self, store: Store | None) -> None:
        self._store = store
        self.ends: dict[Cell, AttemptRecord] = {}
        self.files: dict[str, bytes] = {}
        self.found: dict[bytes, Recorded] = {}
        self.kept: list[Cell] = []
        self.catalog = _NoCatalog()

    def commit(self, run_id: str, turn: Turn) -> frozenset[bytes]:
        for record in turn.attempts:
            if record.state is not NodeState.CACHED:
                self.ends[record.node, record.item] = record
            elif origin_of(record):
                self.kept.append((record.node, record.item))
        if turn.basis is not None:
            self.files.update(turn.basis.files)
        return frozenset()

    def recorded(self, fingerprints: Sequence[bytes]) -> dict[bytes, Recorded]:
        if self._store is None:
            return {}
        found = self._store.recorded(fingerprints)
        self.found.update(found)
        return found

    def claimants(self, fingerprints: Sequence[bytes]) -> dict[bytes, Claimant]:
        return {}

    def requests(self, run_id: str, after: int = 0) -> list[tuple[int, Request]]:
        return []


class _NoCatalog:
    """Nothing was ever made, as far as anybody asks it here."""

    def latest_of(self, asset: str, partitions: Iterable[str]) -> dict[str, Materialization]:
        return {}

    def history(self, asset: str, partition: str | None = None, *, limit: int = 20) -> list[Materialization]:
        return []


class _NoExecutor:
    """There is no room for anything."""

    def define(self, work: Work) -> None: ...

    def room(self, *, shared: bool = False) -> int:
        return 0

    def submit(self, jobs: Sequence[Job]) -> None: ...

    def poll(self, timeout: float | None) -> list[AnyReport]:
        return []

    def stop(self, job: Job) -> None: ...

    def interrupt(self) -> None: ...

    def close(self, *, kill: bool = False) -> None: ...


class _Closed(Admission):
    """Takes no attempt in, so that no number of them is too many to look up."""

    def __init__(self, graph: Graph, machine: Machine, store: Store, clock: Clock) -> None:
        pools = Pools("", store, lambda: nullcontext(store), clock)
        super().__init__(graph, machine, 1, pools, Limits(), clock)

    def offer(self, ready: Ready, policy: Policy, task: str, memory: int = 0, *, ahead: bool = False) -> None:
        """Nothing is kept of it."""


class _Unlimited(RunProgress):
    """Looks at all items of a fan-out, however many of them may be under way at once."""

    __slots__ = ()

    def add(self, frame: Frame, nodes: Iterable[Node]) -> list[NodeProgress]:
        added = super().add(frame, nodes)
        for progress in added:
            progress.limit = None
        return added


__all__ = ["Rehearsed", "rehearse"]
