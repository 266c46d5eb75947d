"""The one loop that drives a run: gather what happened, let the kernel decide, commit, carry out.

Everything of a turn is committed in one transaction before any of it takes effect outside. What only reads (resolving
inputs, looking in the cache) is done within the turn, so that one commit carries a node from the end of its upstream
to its own start.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Final

import msgspec

from penstock.authoring.options.hooks import Attached
from penstock.errors import StoreError, StoreGoneError
from penstock.kernel import VERSION, RunProgress, handle, outstanding
from penstock.kernel.state import NodeProgress, Phase
from penstock.model.event import (
    AnyEvent,
    CancelRequested,
    Expired,
    Fault,
    Lost,
    RunStarted,
    Started,
)
from penstock.model.expression import Mapping as MappingExpression
from penstock.model.fault import fault_of
from penstock.model.graph import Graph
from penstock.model.identity import Basis
from penstock.model.instruction import (
    AnyInstruction,
    Check,
    Conclude,
    Decide,
    Delay,
    Expand,
    Finish,
    Grow,
    Ready,
    Settle,
    Stop,
    Substitute,
)
from penstock.model.options import RunOptions
from penstock.model.policy import Policy
from penstock.model.request import CancelAsked, Request
from penstock.model.run import NodeState, RunRecord, RunState
from penstock.model.value import Argument
from penstock.model.work import AnyReport
from penstock.ports import Clock, Executor, Latecomer, Observer, Store, Turn
from penstock.runtime.assets.recording import AssetRecorder
from penstock.runtime.capacity.admission import ASK_AGAIN, Admission
from penstock.runtime.capacity.demand import Limits
from penstock.runtime.capacity.machine import Machine
from penstock.runtime.capacity.pools import Pools
from penstock.runtime.driving.alarms import Alarms
from penstock.runtime.driving.approvals import Approvals, Convert
from penstock.runtime.driving.attempts import Attempts
from penstock.runtime.driving.claims import SHORT, Claims
from penstock.runtime.driving.contents import CodeOf, no_code
from penstock.runtime.driving.expansion import Evaluation, Expansion, result_of
from penstock.runtime.driving.farewell import farewell
from penstock.runtime.driving.inbox import Inbox
from penstock.runtime.driving.lease import Lease
from penstock.runtime.driving.ledger import Ledger
from penstock.runtime.driving.lookups import Lookups
from penstock.runtime.driving.nodes import Cell, Nodes, Prepared, TaskCode, is_at
from penstock.runtime.driving.recording import Recorder, end_record
from penstock.runtime.driving.recovery import lost_record, replay
from penstock.runtime.driving.time_limits import TimeLimits
from penstock.runtime.driving.timers import RunLimit, Timers, Wake
from penstock.values import Values

if TYPE_CHECKING:
    from penstock.runtime.dynamic.bodies import Bodies
    from penstock.runtime.generations.keeping import Keeping
    from penstock.runtime.hooks.line import Complaint

__all__ = ["Driver", "TaskCode"]

#: how many look-ups at most go into one turn
_CHECKS_PER_TURN = 500
#: how many attempts that take the same may be prepared and waiting before look-ups pause
_READY_AHEAD = 2000
#: seconds after which an idle loop looks up, for timers, interrupts and displays
_IDLE = 0.2

_USUAL: Final = RunOptions()
_NOTHING: Final[Mapping[tuple[str, str], Attached]] = {}


class Driver:
    """Drives one run to its end, or until nothing is left of it but questions to people.

    Of the `options` of the run, those count that are about the cache and about waiting. `attached` has the functions of nodes, by the key of
    the task whose body they are in and by their id; it may grow.

    `bodies` are the dynamic bodies of the run, `admission` decides what may start when, `convert` makes the values of
    an answer of the types that were asked for, `complaints` is asked in every turn for what else there is to say,
    `settle_hooks` waits, before the end is recorded, for those who may say it; `new_code` tells the identities of tasks
    that have appeared, and of classes that `code_of` was asked for. `progress` is the state of a run that has not begun, of
    the same graph. `keeping` decides what is kept of an earlier generation. `chance` draws a number between two, for delays; `lease` says to others that this driver lives.
    """

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
        options: RunOptions = _USUAL,
        attached: Mapping[tuple[str, str], Attached] = _NOTHING,
        bodies: Bodies | None = None,
        admission: Admission | None = None,
        convert: Convert | None = None,
        complaints: Callable[[], Iterable[Complaint]] = tuple,
        new_code: Callable[[], Basis] = Basis,
        code_of: CodeOf = no_code,
        settle_hooks: Callable[[], object] | None = None,
        progress: RunProgress | None = None,
        keeping: Keeping | None = None,
        chance: Callable[[float, float], float] = random.uniform,
        lease: Lease | None = None,
    ) -> None:
        self.run, self.graph = run, graph
        self.store, self.executor, self.clock, self.observers = store, executor, clock, observers
        self.progress = progress = progress or RunProgress(graph)
        self.state, self._stays = RunState.RUNNING, options.wait
        self.outputs: dict[str, Argument] = {}
        self.bodies, self.lease = bodies, lease or Lease(store, None, clock)
        self.admission = admission or _admission(run, graph, store, executor, clock)
        self._complaints, self._new_code, self._settle_hooks, self._chance = complaints, new_code, settle_hooks, chance
        self._ledger = ledger = Ledger(progress)
        self._nodes = nodes = Nodes(run.run_id, progress, tasks, parameters, values, ledger, attached, code_of)
        self._assets, self._values = AssetRecorder(run, nodes, store, values), values
        self._lookups = Lookups(nodes, store, values, clock, options, self._is_full, keeping)
        self._expansion = Expansion(nodes, ledger, clock)
        self._timers = timers = Timers()
        self._limits = TimeLimits(progress, ledger, timers, clock)
        self._attempts = Attempts(nodes, executor, ledger, self._limits, self._lookups.prepared)
        self._claims, self._inbox = Claims(store, clock, self._attempts), Inbox(store, run.run_id, clock)
        self._approvals = Approvals(nodes, ledger, timers, clock, convert)
        self._alarms = Alarms(self._limits, self._attempts, self._approvals, self.admission)
        #: requests that are yet to be followed
        self._requests: list[Request] = []
        self._evaluations, self._interruptions = deque[Evaluation](), deque[CancelRequested]()
        self._turn, self._turns, self._rehearses = Recorder(), 0, False
        self._attach(keeping)

    def _attach(self, keeping: Keeping | None) -> None:
        """Name the run to those who were made before it."""
        bodies = self.bodies
        if bodies is not None:
            bodies.attach(self.progress, self._nodes.resolver, self._ledger.faults, self.run.run_id)
        if keeping is not None:
            keeping.attach(self.progress.tasks, None if bodies is None else bodies.used_by)

    # The run as a whole.

    def drive(self) -> RunState:
        """Run until nothing is left to do. Returns how the run ended, or that it is paused."""
        for _ in self.turns():
            pass
        return self.state

    def resume(self) -> RunState:
        """Go on with a run that another driver has left, from its journal, and run until nothing is left to do.

        What had ended stays so; attempts that were under way count as lost. Raises NondeterministicError if a dynamic
        body does something else than it had done.
        """
        for _ in self.turns(resuming=True):
            pass
        return self.state

    def turns(self, *, resuming: bool = False) -> Generator[float]:
        """What `drive`, or `resume`, does, turn by turn, for somebody who has other things to do between two turns: yields
        for how many seconds nothing is to be done unless the executor has something to report."""
        journal = self.store.journal(self.run.run_id) if resuming else []
        for observer in self.observers:
            observer.watch(self.run, self.graph)
        if journal:
            self._tell_latecomers(journal)
        self.lease.begin(self.run)
        try:
            yield from self._loop(self._take_over(journal) if journal else self._start_anew())
        except StoreGoneError:
            # nothing more can be asked or given back, and it was waited for long enough
            self.admission.abandon()
            raise
        except StoreError:
            if not self.lease.is_lost():
                raise
            # what it holds, and what it would say, is the other driver's by now
            self.admission.abandon()
            raise self.lease.loss() from None
        finally:
            self.lease.end()
            if self.bodies is not None:
                self.bodies.close()
            self.admission.close()

    def _tell_latecomers(self, journal: Sequence[tuple[float, Sequence[AnyEvent]]]) -> None:
        """Say to those who watch what was done under other drivers."""
        late = [observer for observer in self.observers if isinstance(observer, Latecomer)]
        if late:
            events = [event for _, events in journal for event in events]
            attempts = self.store.attempts(self.run.run_id)
            before = Turn(number=len(journal) - 1, at=journal[-1][0], events=events, attempts=attempts)
            for observer in late:
                observer.catch_up(before)

    def rehearse(self) -> tuple[Nodes, Mapping[Cell, Prepared]]:
        """Go as far as recorded results allow, with an executor that has no room. Returns what prepares attempts, and
        those that would begin. The bodies are left where they are; whoever made them ends them."""
        self._rehearses = True
        self._take([RunStarted(VERSION)])
        self._commit(())
        while self._is_busy:
            self._take([])
            self._commit(())
        return self._nodes, self._lookups.prepared

    def interrupt(self, reason: str, *, stop: bool = False) -> None:
        """Ask for the end of the run; safe to call from a signal handler."""
        self._interruptions.append(CancelRequested(reason, stop))

    def _start_anew(self) -> list[AnyEvent]:
        self._limit_run(0.0)
        return [*self._wait_to_enter(), RunStarted(VERSION)]

    def _take_over(self, journal: Sequence[tuple[float, Sequence[AnyEvent]]]) -> list[AnyEvent]:
        """Bring the run to where the last driver has left it. Returns the attempts that are lost."""
        finish = replay(self.progress, self._ledger, journal)
        self._turns = len(journal)
        if self.bodies is not None:
            happened = (event for _, events in journal for event in events)
            self.bodies.replay(happened, lambda: bool(self._interruptions))
        self._limit_run(journal[-1][0] - self.run.started_at)
        self._approvals.put()
        for instruction in (*outstanding(self.progress), *finish):
            self._take_up(self._remaining(instruction))
        lost = [Lost(*running) for running in self.progress.running()]
        for event in lost:
            self._turn.attempts.append(lost_record(self.progress.nodes[event.node], event, self.clock.now()))
        begun: list[AnyEvent] = [] if self.progress.started else [RunStarted(VERSION)]
        if self._approvals.unanswered:
            # what was answered before a deadline counts, though the deadline has passed since
            self._requests = self._inbox.poll(now=True)
        return [*self._wait_to_enter(), *begun, *lost]

    def _remaining(self, instruction: AnyInstruction) -> AnyInstruction:
        """What is left of a delay that began under another driver."""
        if not isinstance(instruction, Delay):
            return instruction
        self._limits.set(self.progress.nodes[instruction.node], instruction.item)
        now = self.clock.now()
        # a clock that was set back meanwhile makes no delay longer than it was
        passed = max(0.0, now - self._ledger.delayed_since.get((instruction.node, instruction.item), now))
        return msgspec.structs.replace(instruction, seconds=max(0.0, instruction.seconds - passed))

    def _limit_run(self, spent: float) -> None:
        timeout = self.graph.policy.timeout
        if timeout is not None:
            self._timers.at(self.clock.monotonic() + timeout - max(0.0, spent), RunLimit())

    def _wait_to_enter(self) -> list[AnyEvent]:
        """Wait until the run may begin, or is to end."""
        told = False
        while not self.admission.enter():
            if not told:
                self._turn.notice("", -1, [f"the run waits for {self.admission.waiting_to_enter()}"], self.clock.now())
                self._commit(())
                told = True
            self.executor.poll(ASK_AGAIN)
            events = self._events_of(())
            if events:
                return events
        return []

    def _loop(self, events: list[AnyEvent]) -> Generator[float]:
        reports: list[AnyReport] = []
        while True:
            self._take(events)
            self._commit(reports)
            if self.state is not RunState.RUNNING and not self._is_called_back():
                return
            # it may have been suspended since
            self.lease.check()
            self._attempts.carry_out()
            patience = self._patience()
            yield patience
            reports = self.executor.poll(patience)
            events = self._events_of(reports)

    # One turn.

    def _take(self, events: list[AnyEvent]) -> None:
        """Let the kernel take in events, and those that answer its instructions by reading alone, until it rests."""
        budget = _CHECKS_PER_TURN
        while True:
            if events:
                self._turn.events += events
                instructions = handle(self.progress, *events)
                self._turn.confirm()
                self._ledger.take(events, self.clock.now())
                for instruction in instructions:
                    self._take_up(instruction)
                if self._ledger.asked:
                    self._approvals.put()
            events = self._evaluate() if self._evaluations else []
            if not events and self.bodies is not None:
                events = self.bodies.poll()
            if not events:
                events = self._lookups.look_up(budget, self._turn)
                budget -= len(events)
            events = events or self._start() or self._last_words()
            if not events:
                return

    def _take_up(self, instruction: AnyInstruction) -> None:
        match instruction:
            case Ready(node, item):
                if self._claims and self._claims.holds_back(instruction):
                    return
                progress = self.progress.nodes[node]
                policy, task, memory = self._admitted_as(progress, item)
                self.admission.offer(instruction, policy, task, memory, ahead=bool(progress.streams))
                self._limits.begin(progress, instruction)
            case Check():
                self._lookups.add(instruction)
            case Expand() | Decide() | Conclude() | Substitute():
                self._evaluations.append(instruction)
            case Delay(node, item, attempt, seconds, jitter):
                seconds *= 1 + jitter * self._chance(-1, 1)
                self._timers.at(self.clock.monotonic() + seconds, Wake(node, item, attempt))
            case Stop(node, item):
                self._attempts.stop((node, item))
            case Settle(node, item, state, reason, fault):
                self._settle(self.progress.nodes[node], item, state, reason, fault)
            case Grow(frame):
                assert self.bodies is not None
                self.bodies.begin(frame)
            case Finish(state):
                self._finish(state)

    def _admitted_as(self, progress: NodeProgress, item: int) -> tuple[Policy, str, int]:
        """What the attempts at a node take."""
        node = progress.node
        return node.policy, self.progress.tasks[node.task].name, progress.memory_of(item)

    def _settle(self, progress: NodeProgress, item: int, state: NodeState, reason: str, fault: Fault | None) -> None:
        cell = progress.id, item
        self._lookups.prepared.pop(cell, None)
        self._claims.forget(cell)
        self._nodes.forget(cell)
        since = self._ledger.opened.pop(cell, None) if progress.body is not None else None
        self._turn.attempts.append(
            end_record(progress, item, state, self.clock.now(), since=since, fault=fault, reason=reason)
        )

    def _finish(self, state: RunState) -> None:
        self.state = state
        self._turn.notice("", -1, self._lookups.refreshing.complaints(self.progress.nodes.values()), self.clock.now())
        if state is RunState.SUCCEEDED:
            root = self.progress.root
            result = self.graph.result if self.graph.dynamic_at is None else root.result
            named = result.items if isinstance(result, MappingExpression) else {"result": result}
            self.outputs = {name: result_of(root, expression, self._nodes) for name, expression in named.items()}

    def _commit(self, reports: Sequence[AnyReport]) -> None:
        """Record the turn, then show it."""
        if self._settle_hooks is not None and self.state not in (RunState.RUNNING, RunState.PAUSED):
            # what goes wrong with those who are told of the last attempts belongs to the run as well
            self._record(reports, RunState.RUNNING)
            self._settle_hooks()
            reports = ()
        self._record(reports, self.state)

    def _record(self, reports: Sequence[AnyReport], state: RunState) -> None:
        now = self.clock.now()
        self._turn.take_code(self._new_code())
        for complaint in self._complaints():
            self._turn.notice(complaint.node, complaint.item, [complaint.text], now)
        self._assets.take(self._turn, now)
        if state not in (RunState.RUNNING, RunState.PAUSED) and not self._rehearses:
            progress, outputs, values = self.progress, self.outputs, self._values
            farewell(self.store, self.run, state, self._turn, now, progress=progress, outputs=outputs, values=values)
        turn = self._turn.turn(self._turns, now, self.run.token, state, self.outputs)
        if turn is not None:
            refused = self.store.commit(self.run.run_id, turn)
            if refused:
                self._give_way(turn.claims, refused)
            self._turns += 1
            self._turn = Recorder()
        for observer in self.observers:
            observer.turn(turn or Turn(number=self._turns, at=now), reports)

    def _give_way(self, claims: Mapping[bytes, Cell], refused: frozenset[bytes]) -> None:
        """Wait for results that other runs make, rather than make them as well."""
        for fingerprint in refused:
            self.admission.end(*claims[fingerprint])
        self._claims.give_way(claims, refused)

    @property
    def _is_busy(self) -> bool:
        """Whether there is something to be done at once."""
        computing = self.bodies is not None and self.bodies.computing
        return computing or (bool(self._lookups) and not self._lookups.stalled)

    def _patience(self) -> float:
        if self._is_busy or self._interruptions or self._requests or self._claims.returned:
            return 0.0
        return self._timers.patience(self.clock.monotonic(), ASK_AGAIN if self.admission.waiting_count else _IDLE)

    # Answers to the kernel that take no more than reading.

    def _evaluate(self) -> list[AnyEvent]:
        events = [self._expansion.answer(instruction, self._turn) for instruction in self._evaluations]
        self._evaluations.clear()
        return events

    def _is_full(self, progress: NodeProgress, item: int) -> bool:
        """Whether preparing more attempts at a node would be in vain for now."""
        if progress.streams or self.admission.waiting_count < _READY_AHEAD:
            return False
        return self.admission.queued(*self._admitted_as(progress, item)) >= _READY_AHEAD

    def _start(self) -> list[AnyEvent]:
        """Start as many attempts as there is room for."""
        events: list[AnyEvent] = []
        while self.admission.waiting_count:
            admitted = self.admission.take(self._room(shared=False), self._room(shared=True))
            if not admitted:
                break
            for ready in admitted:
                event = self._started(ready)
                if event is None or isinstance(event, Expired):
                    self.admission.end(ready.node, ready.item)
                if event is not None:
                    events.append(event)
        return events

    def _room(self, *, shared: bool) -> int:
        if shared and not self.admission.shares:
            return 0
        return self.executor.room(shared=shared) - self._attempts.starting(shared=shared)

    def _started(self, ready: Ready) -> AnyEvent | None:
        progress, cell = self.progress.nodes[ready.node], (ready.node, ready.item)
        if not is_at(progress, ready.item, Phase.QUEUED):
            # it was cancelled meanwhile
            return None
        try:
            fingerprint = self._attempts.start(progress, ready, self.admission.devices(*cell))
        except Exception as error:
            return Expired(*cell, fault_of(error))
        if fingerprint is not None and self._attempts.lasted.get(progress.node.task, SHORT) >= SHORT:
            self._claim(progress, ready.item, fingerprint)
        grant = self.admission.grants.get(cell)
        if grant is not None and grant.notice:
            self._turn.notice(*cell, [grant.notice], self.clock.now())
        return Started(*cell, ready.attempt)

    def _claim(self, progress: NodeProgress, item: int, fingerprint: bytes) -> None:
        if self._lookups.may_claim(progress, item, fingerprint):
            self._turn.claims.setdefault(fingerprint, (progress.id, item))
            self._attempts.claimed.add(fingerprint)

    # Questions to people.

    def _last_words(self) -> list[AnyEvent]:
        """Pause the run if nothing is left of it but questions, and nobody has answered one by now."""
        if not self._rests():
            return []
        requests, self._requests = [*self._requests, *self._inbox.poll(now=True)], []
        events = self._asked_for(requests)
        events += self._alarms.due(events, self._turn)
        if not events:
            self.state = RunState.PAUSED
        return events

    def _rests(self) -> bool:
        return bool(self._ledger.asked) and not (
            self._stays
            or self.state is not RunState.RUNNING
            or self._attempts
            or self._timers.delays
            or self._lookups
            or self._interruptions
            or self.admission.waiting_count
            or self._claims
            or not self._approvals.unanswered
            or self._approvals.near_deadline
            or (self.bodies is not None and self.bodies.computing)
        )

    def _is_called_back(self) -> bool:
        """Whether a run that was just paused is to go on, because somebody asked for something in that very moment."""
        if self.state is not RunState.PAUSED:
            return False
        self._requests = self._inbox.poll(now=True)
        if not self._requests:
            return False
        run = self.run
        try:
            # who has gone on with it meanwhile is not to be disturbed
            self.run = self.lease.renew(lambda: self.store.reopen(run.run_id, run.driver, run.driver))
        except StoreError:
            # who asked has seen that the run is paused, and goes on with it
            return False
        self.state = RunState.RUNNING
        return True

    # What happened outside.

    def _events_of(self, reports: Sequence[AnyReport]) -> list[AnyEvent]:
        self.lease.check()
        # what ends because of an interruption must be seen to end after it
        events: list[AnyEvent] = []
        while self._interruptions:
            events.append(self._interruptions.popleft())
        if self._claims:
            events += self._made_elsewhere()
        requests, self._requests = [*self._requests, *self._inbox.poll()], []
        events += self._asked_for(requests)
        for report in reports:
            cell, event = self._attempts.take(report, self._turn)
            if cell is not None:
                self.admission.end(*cell)
            if event is not None:
                events.append(event)
        return events + self._alarms.due(events, self._turn)

    def _made_elsewhere(self) -> list[AnyEvent]:
        """What follows from the results of other runs that attempts of this one wait for."""
        events = self._claims.take_returned()
        late, freed = self._claims.looked()
        for each in late:
            hit = self._lookups.found_late(self.progress.nodes[each.ready.node], each, self._turn)
            if hit is not None:
                events.append(hit)
            else:
                freed.append(each.ready)
        for ready in freed:
            self._take_up(ready)
        return events

    def _asked_for(self, requests: Iterable[Request]) -> list[AnyEvent]:
        """What follows from requests of other processes."""
        events: list[AnyEvent] = []
        for request in requests:
            if isinstance(request, CancelAsked):
                events.append(CancelRequested(request.reason, stop=True, final=not request.now))
            elif (event := self._approvals.answer(request, self._turn)) is not None:
                events.append(event)
        return events


def _admission(run: RunRecord, graph: Graph, store: Store, executor: Executor, clock: Clock) -> Admission:
    """Lets in what the machine allows."""
    pools = Pools(run.run_id, store, lambda: nullcontext(store), clock)
    return Admission(graph, Machine(), max(1, executor.room()), pools, Limits(), clock)
