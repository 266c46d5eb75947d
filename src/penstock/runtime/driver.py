"""The one loop that drives a run: gather what happened, let the kernel decide, commit, carry out.

Everything of a turn is committed in one transaction before any of it takes effect outside. What only reads (resolving
inputs, looking in the cache) is done within the turn, so that one commit carries a node from the end of its upstream
to its own start.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from penstock.errors import OutputError
from penstock.kernel import RunProgress, handle
from penstock.model.event import (
    AnyEvent,
    Broken,
    CancelRequested,
    Expanded,
    Failed,
    Hit,
    Missed,
    Returned,
    RunStarted,
    Skipped,
    Started,
    Succeeded,
    Woke,
)
from penstock.model.expression import Expression, describe
from penstock.model.expression import Mapping as MappingExpression
from penstock.model.expression import Sequence as SequenceExpression
from penstock.model.fault import fault_of
from penstock.model.graph import Graph, Node
from penstock.model.instruction import AnyInstruction, Check, Delay, Expand, Finish, Ready, Settle, Stop
from penstock.model.run import AttemptRecord, NodeState, RunRecord, RunState
from penstock.model.value import Argument, Artifact, Collection
from penstock.model.work import AnyReport, Code, Done, Erred, Job, Report, Told, Unstarted, Work
from penstock.ports import Clock, Executor, Observer, Result, Store, Turn
from penstock.runtime.nodes import NodeWork, Prepared
from penstock.runtime.recording import Recorder, attempt_record
from penstock.runtime.resolve import Elements, Resolver, base_fingerprint, fingerprint, varies
from penstock.values import Values

#: how many look-ups at most go into one turn
_CHECKS_PER_TURN = 500
#: how many attempts may be prepared and waiting before look-ups pause
_READY_AHEAD = 2000
#: seconds after which an idle loop looks up, for timers, interrupts and displays
_IDLE = 0.2

_Key = tuple[str, int]


class TaskCode(NamedTuple):
    """What the driver knows of a task's function: how a worker gets it, and its identity."""

    code: Code
    identity: bytes
    #: the class that several outputs make up, as `module:qualname`; empty where there is none
    record: str


class Driver:
    """Drives one run to its end."""

    def __init__(
        self,
        *,
        run: RunRecord,
        graph: Graph,
        tasks: Mapping[str, TaskCode],
        parameters: Mapping[str, Any],
        store: Store,
        values: Values,
        executor: Executor,
        clock: Clock,
        observers: Sequence[Observer] = (),
        use_cache: bool = True,
    ) -> None:
        self.run = run
        self.graph = graph
        self.tasks = tasks
        self.store = store
        self.values = values
        self.executor = executor
        self.clock = clock
        self.observers = observers
        self.use_cache = use_cache
        self.progress = RunProgress(graph)
        self.resolver = Resolver(self.progress, parameters, values, {key: task.record for key, task in tasks.items()})
        self.state = RunState.RUNNING
        self.outputs: dict[str, Argument] = {}
        self._interruptions: deque[CancelRequested] = deque()
        self._works: dict[str, NodeWork] = {}
        #: a node's place in the graph is the number of its work
        self._nodes = [node.id for node in graph.nodes]
        self._numbers = {name: number for number, name in enumerate(self._nodes)}
        self._expansions: deque[str] = deque()
        self._checks: deque[tuple[str, int, int]] = deque()
        self._ready: deque[tuple[str, int, int]] = deque()
        self._prepared: dict[_Key, Prepared] = {}
        self._timers: list[tuple[float, str, int, int]] = []
        self._running: dict[_Key, Job] = {}
        self._stops: list[Job] = []
        self._starting: list[Job] = []
        self._turn = Recorder()
        self._turns = 0

    def drive(self) -> RunState:
        """Run until nothing is left to do. Returns how the run ended."""
        for observer in self.observers:
            observer.watch(self.run, self.graph)
        reports: list[AnyReport] = []
        events: list[AnyEvent] = [RunStarted()]
        while True:
            self._take(events)
            self._commit(reports)
            if self.state is not RunState.RUNNING:
                return self.state
            self._carry_out()
            reports = self.executor.poll(self._patience())
            events = self._events_of(reports)

    def abandon(self) -> None:
        """Record that the run failed because the engine did, so that nobody waits for it."""
        self.store.commit(self.run.run_id, Turn(number=self._turns, at=self.clock.now(), end=RunState.FAILED))

    def interrupt(self, reason: str, *, stop: bool = False) -> None:
        """Ask for the end of the run; safe to call from a signal handler."""
        self._interruptions.append(CancelRequested(reason, stop))

    # One turn.

    def _take(self, events: list[AnyEvent]) -> None:
        """Let the kernel take in events, and those that answer its instructions by reading alone, until it rests."""
        budget = _CHECKS_PER_TURN
        while True:
            self._turn.events += events
            for instruction in handle(self.progress, *events):
                self._take_up(instruction)
            events = self._expand()
            if not events:
                events = self._check(budget)
                budget -= len(events)
            events = events or self._start()
            if not events:
                return

    def _take_up(self, instruction: AnyInstruction) -> None:
        match instruction:
            case Check(node, start, stop):
                self._checks.append((node, start, stop))
            case Ready(node, item, attempt):
                self._ready.append((node, item, attempt))
            case Expand(node):
                self._expansions.append(node)
            case Delay(node, item, attempt, seconds):
                heapq.heappush(self._timers, (self.clock.monotonic() + seconds, node, item, attempt))
            case Stop(node, item):
                if (node, item) in self._running:
                    self._stops.append(self._running[node, item])
            case Settle(node, item, state, reason, fault):
                self._prepared.pop((node, item), None)
                at = self.clock.now()
                self._turn.attempts.append(
                    AttemptRecord(
                        node=node, item=item, attempt=0, state=state, started_at=at, reason=reason, fault=fault
                    )
                )
            case Finish(state):
                self._finish(state)

    def _finish(self, state: RunState) -> None:
        self.state = state
        if state is RunState.SUCCEEDED:
            self.outputs = self._results()

    def _results(self) -> dict[str, Argument]:
        """What the pipeline returns, by name; None for what was skipped."""
        result = self.graph.result
        named = result.items if isinstance(result, MappingExpression) else {"result": result}
        return {name: self._result(expression) for name, expression in named.items()}

    def _result(self, expression: Expression) -> Argument:
        if isinstance(expression, SequenceExpression):
            return Collection(expression.kind, tuple(map(self._result, expression.items)))
        try:
            return self.resolver.argument(expression)
        except LookupError:
            return self.resolver.stored(None)

    def _commit(self, reports: Sequence[AnyReport]) -> None:
        """Record the turn, then show it."""
        turn = self._turn.turn(self._turns, self.clock.now(), self.state, self.outputs)
        if turn is not None:
            self.store.commit(self.run.run_id, turn)
            self._turns += 1
            self._turn = Recorder()
        for observer in self.observers:
            observer.turn(turn or Turn(number=self._turns, at=self.clock.now()), reports)

    def _carry_out(self) -> None:
        """Do what the committed turn justifies."""
        if self._starting:
            self.executor.submit(self._starting)
            self._starting = []
        for job in self._stops:
            self.executor.stop(job)
        self._stops.clear()

    def _patience(self) -> float | None:
        if self._checks_wait() or self._interruptions:
            return 0.0
        if not self._timers:
            return _IDLE
        return min(_IDLE, max(0.0, self._timers[0][0] - self.clock.monotonic()))

    def _checks_wait(self) -> bool:
        return bool(self._checks) and len(self._ready) < _READY_AHEAD

    # Answers to the kernel that take no more than reading.

    def _expand(self) -> list[AnyEvent]:
        events = [self._expanded(self.progress.nodes[name].node) for name in self._expansions]
        self._expansions.clear()
        return events

    def _expanded(self, node: Node) -> AnyEvent:
        try:
            if node.guard is not None and not self.resolver.value(node.guard):
                return Skipped(node.id, f"the condition {describe(node.guard)} does not hold")
            return Expanded(node.id, self._count(node))
        except Exception as error:
            return Broken(node.id, -1, fault_of(error))

    def _count(self, node: Node) -> int | None:
        if node.each is None:
            return None
        work = self._work(node)
        lengths = {name: len(elements) for name, elements in work.iterables.items()}
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{name} has {length}" for name, length in lengths.items())
            raise ValueError(f"the iterables to map over have different lengths: {told} ({node.location})")
        return next(iter(lengths.values()))

    def _check(self, budget: int) -> list[AnyEvent]:
        """Resolve and look up what is waiting for it, up to `budget` items."""
        events: list[AnyEvent] = []
        wanted: dict[bytes, list[_Key]] = {}
        while self._checks and len(events) + len(wanted) < budget and len(self._ready) < _READY_AHEAD:
            name, start, stop = self._checks.popleft()
            end = min(stop, start + budget - len(events) - len(wanted)) if start >= 0 else 0
            if end < stop:
                self._checks.appendleft((name, end, stop))
            self._prepare(name, range(start, end) if start >= 0 else (-1,), wanted, events)
        if wanted:
            recorded = self.store.recorded(list(wanted))
            for key, cells in wanted.items():
                for cell in cells:
                    events.append(self._looked_up(cell, key, recorded.get(key)))
        return events

    def _prepare(
        self, name: str, items: Sequence[int], wanted: dict[bytes, list[_Key]], events: list[AnyEvent]
    ) -> None:
        node = self.progress.nodes[name].node
        for item in items:
            try:
                work = self._works.get(name) or self._work(node)
                inputs = self._varying_inputs(node, work, item)
            except Exception as error:
                events.append(Broken(name, item, fault_of(error)))
                continue
            key = None
            if work.base is not None:
                key = fingerprint(work.base, [self.values.digest(inputs[name]) for name in work.varying])
            self._prepared[name, item] = Prepared(inputs, key)
            self._turn.notice(name, item, self.values.take_notices(), self.clock.now())
            if key is None or not self.use_cache:
                events.append(Missed(name, item, key))
            else:
                wanted.setdefault(key, []).append((name, item))

    def _varying_inputs(self, node: Node, work: NodeWork, item: int) -> dict[str, Argument]:
        if not work.varying:
            return {}
        elements = work.elements(item)
        return {name: self._input(node, name, elements) for name in work.varying}

    def _input(self, node: Node, name: str, elements: Elements | None = None) -> Argument:
        try:
            return self.resolver.argument(node.bindings[name], elements)
        except OutputError as error:
            raise OutputError(
                f"the input {name!r} of {node.id} cannot be stored: {error.what}",
                where=str(node.location),
                remedy="Make it inside the task, or pass what it is made from.",
            ) from None

    def _looked_up(self, cell: _Key, key: bytes, outputs: tuple[Artifact, ...] | None) -> AnyEvent:
        name, item = cell
        if outputs is None or not all(self.values.available(output) for output in outputs):
            return Missed(name, item, key)
        del self._prepared[cell]
        self._turn.attempts.append(
            AttemptRecord(
                node=name,
                item=item,
                attempt=0,
                state=NodeState.CACHED,
                started_at=self.clock.now(),
                fingerprint=key,
                outputs=outputs,
            )
        )
        return Hit(name, item, key, outputs)

    def _work(self, node: Node) -> NodeWork:
        """What all items of a node share; made once, when its upstream has ended."""
        known = self._works.get(node.id)
        if known is not None:
            return known
        task = self.graph.tasks[node.task]
        code = self.tasks[node.task]
        varying = [] if node.each is None else [name for name, value in node.bindings.items() if varies(value)]
        fixed = {name: self._input(node, name) for name in node.bindings if name not in varying}
        work = Work(
            number=self._numbers[node.id],
            run_id=self.run.run_id,
            node=node.id,
            task=task.name,
            code=code.code,
            ports=task.inputs,
            outputs=task.outputs,
            record=task.record,
            inputs=fixed,
        )
        base = None
        if node.policy.cache:
            base = base_fingerprint(code.identity, {n: self.values.digest(a) for n, a in fixed.items()}, varying)
        over = node.each.over if node.each is not None else {}
        iterables = {name: self.resolver.iterable(expression) for name, expression in over.items()}
        self._works[node.id] = made = NodeWork(work, base, varying, iterables)
        return made

    def _start(self) -> list[AnyEvent]:
        """Start as many attempts as the executor has room for."""
        events: list[AnyEvent] = []
        if not self._ready:
            return events
        room = self.executor.room() - len(self._starting)
        while self._ready and room > 0:
            name, item, attempt = self._ready.popleft()
            work = self._works[name]
            if not work.defined:
                self.executor.define(work.work)
                work.defined = True
            job = Job(work.work.number, item, attempt, self._prepared[name, item].inputs)
            self._running[name, item] = job
            self._starting.append(job)
            events.append(Started(name, item, attempt))
            room -= 1
        return events

    # What happened outside.

    def _events_of(self, reports: Sequence[AnyReport]) -> list[AnyEvent]:
        # what ends because of an interruption must be seen to end after it
        events: list[AnyEvent] = self._interrupted()
        for report in reports:
            name = self._nodes[report.work]
            running = self._running.get((name, report.item))
            if isinstance(report, Told):
                self._turn.tell(name, report)
            elif running is not None and running.attempt == report.attempt:
                events.append(self._event_of(name, report))
        return events + self._due()

    def _interrupted(self) -> list[AnyEvent]:
        events: list[AnyEvent] = []
        while self._interruptions:
            events.append(self._interruptions.popleft())
            self._checks.clear()
            self._ready.clear()
            self._expansions.clear()
            self._timers.clear()
        return events

    def _event_of(self, name: str, report: Report) -> AnyEvent:
        item, attempt = report.item, report.attempt
        del self._running[name, item]
        if isinstance(report, Unstarted):
            return Returned(name, item, attempt)
        prepared = self._prepared[name, item]
        if isinstance(report, Done):
            del self._prepared[name, item]
            self._turn.descriptions += report.descriptions
            if prepared.fingerprint is not None:
                self._turn.results[prepared.fingerprint] = Result(name, item, attempt, report.outputs)
            self._turn.attempts.append(
                attempt_record(name, report, NodeState.SUCCEEDED, report.usage, prepared, report.outputs)
            )
            return Succeeded(name, item, attempt, report.outputs)
        assert isinstance(report, Erred)
        self._turn.attempts.append(
            attempt_record(name, report, NodeState.FAILED, report.usage, prepared, fault=report.fault)
        )
        return Failed(name, item, attempt, report.fault)

    def _due(self) -> list[AnyEvent]:
        events: list[AnyEvent] = []
        now = self.clock.monotonic()
        while self._timers and self._timers[0][0] <= now:
            _, name, item, attempt = heapq.heappop(self._timers)
            events.append(Woke(name, item, attempt))
        return events
