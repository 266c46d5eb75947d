"""Everything outside the kernel, played at random: answers in any order, in batches of any size, late and twice."""

from __future__ import annotations

import random

from kernel_graphs import FAULT, hit, missed, picture, started, succeeded
from kernel_plans import Cell, Plan, expected, fated, graph_of

from penstock.kernel import VERSION, RunProgress, handle
from penstock.kernel.invariants import validate
from penstock.model.event import (
    AnyEvent,
    Broken,
    CancelRequested,
    Expanded,
    Failed,
    Returned,
    RunStarted,
    Skipped,
    Succeeded,
    Woke,
)
from penstock.model.instruction import AnyInstruction, Check, Decide, Delay, Expand, Finish, Ready, Settle, Stop

#: something to answer: what (expand, decide, check, ready, wake or report), where, and which attempt
Request = tuple[str, Cell, int]
#: what an executor says of an attempt
Report = Succeeded | Failed | Returned


class Scheduler:
    """Plays one run to its end, checking after every step that the kernel asks for nothing it may not ask for."""

    def __init__(self, plans: list[Plan], chance: random.Random) -> None:
        self.plans = {plan.name: plan for plan in plans}
        self.ordered = plans
        self.fates = fated(plans)
        self.chance = chance
        self.run = RunProgress(graph_of(plans))
        self.journal: list[AnyEvent] = []
        #: what waits for an answer
        self.pending: list[Request] = []
        self.running: dict[Cell, int] = {}
        #: how each cell ended, as far as the kernel was told
        self.told: dict[Cell, str] = {}
        #: nodes that were not to run in any case, and whose condition was looked at
        self.decided: set[str] = set()
        self.starts: dict[Cell, list[int]] = {}
        self.returned: dict[Cell, int] = {}
        #: reports that were delivered, to be delivered again
        self.delivered: list[Report] = []
        self.settled: dict[Cell, str] = {}
        self.finishes: list[str] = []
        #: how each cell had ended, and what was running, at the first request to cancel
        self.at_cancel: dict[Cell, str | None] | None = None
        self.left_running: set[Cell] = set()

    def play(self, cancel_after: int | None) -> None:
        """Go on until nothing waits for an answer; ask for the end after so many steps, if ever."""
        self.tell(RunStarted(VERSION))
        steps = 0
        while self.pending:
            if cancel_after is not None and steps >= cancel_after and self.chance.random() < 0.5:
                self.cancel()
            elif self.delivered and self.chance.random() < 0.15:
                self.repeat(self.chance.choice(self.delivered))
            else:
                self.answer()
            steps += 1
        for event in self.delivered:
            self.repeat(event)

    def answer(self) -> None:
        count = min(len(self.pending), self.chance.randint(1, 3))
        chosen = [self.pending.pop(self.chance.randrange(len(self.pending))) for _ in range(count)]
        self.tell(*(self.event_of(request) for request in chosen))

    def tell(self, *events: AnyEvent) -> None:
        self.journal += events
        instructions = handle(self.run, *events)
        validate(self.run)
        for instruction in instructions:
            self.take(instruction)

    def cancel(self) -> None:
        """Ask for the end, perhaps together with answers that came just before."""
        count = min(len(self.pending), self.chance.randint(0, 2))
        events = [self.event_of(self.pending.pop(self.chance.randrange(len(self.pending)))) for _ in range(count)]
        if self.at_cancel is None:
            self.at_cancel = expected(self.ordered, self.told, self.decided)
            self.left_running = set(self.running)
        # what has not been started never will be; what was being looked up may still be answered, or not
        self.pending = [
            request
            for request in self.pending
            if request[0] == "report" or (request[0] != "ready" and self.chance.random() < 0.5)
        ]
        self.tell(*events, CancelRequested("enough", stop=self.chance.random() < 0.5))

    def repeat(self, event: Report) -> None:
        """Deliver a report once more, or another one for the same attempt; nothing may come of it."""
        node, item, attempt = event.node, event.item, event.attempt
        if self.running.get((node, item)) == attempt:
            # the same attempt, started again after it had come back: its reports are not late
            return
        other = self.chance.choice(
            [
                event,
                succeeded(node, item, attempt, 99),
                Failed(node, item, attempt, FAULT),
                Returned(node, item, attempt),
            ]
        )
        before = picture(self.run)
        assert handle(self.run, other) == []
        assert picture(self.run) == before
        self.journal.append(other)

    # What the kernel asks for.

    def take(self, instruction: AnyInstruction) -> None:
        assert not self.finishes, f"{instruction} after the end"
        match instruction:
            case Expand(node=name):
                self.ask("expand", (name, -1), 0)
            case Decide(node=name):
                self.ask("decide", (name, -1), 0)
            case Check(node=name, start=start, stop=stop):
                for item in range(start, stop) if start >= 0 else (-1,):
                    self.ask("check", (name, item), 0)
            case Ready(node=name, item=item, attempt=attempt):
                self.ask("ready", (name, item), attempt)
            case Delay(node=name, item=item, attempt=attempt, seconds=seconds):
                assert seconds == self.plans[name].delay > 0
                self.ask("wake", (name, item), attempt)
            case Stop(node=name, item=item, attempt=attempt):
                assert self.running[name, item] == attempt
            case Settle(node=name, item=item, state=state):
                assert (name, item) not in self.settled
                self.settled[name, item] = state.name
            case Finish(state=state):
                self.finishes.append(state.name)

    def ask(self, what: str, cell: Cell, attempt: int) -> None:
        """Something is to be done: only once at a time, and only if what it reads has run."""
        assert cell not in self.running
        assert all(cell != other for _, other, _ in self.pending), f"{cell} is asked for twice"
        ends = expected(self.ordered, self.told, self.decided)
        plan = self.plans[cell[0]]
        assert all(ends[name, -1] is not None for name in plan.upstream()), f"{cell} before its upstream ended"
        assert ends[plan.name, -1] not in ("SKIPPED", "UPSTREAM_FAILED"), f"{cell} without its inputs"
        self.pending.append((what, cell, attempt))

    # What comes of it.

    def event_of(self, request: Request) -> AnyEvent:
        what, cell, attempt = request
        plan = self.plans[cell[0]]
        if what == "decide":
            self.decided.add(plan.name)
            return Expanded(plan.name, None) if plan.guard == "holds" else self.expansion(plan)
        if what == "expand":
            return self.expansion(plan)
        if what == "check":
            return self.lookup(plan, cell)
        if what == "ready":
            return self.start(plan, cell, attempt)
        if what == "wake":
            return Woke(*cell, attempt)
        event = self.report(plan, cell, attempt)
        self.delivered.append(event)
        return event

    def expansion(self, plan: Plan) -> AnyEvent:
        if plan.opening is not None:
            self.told[plan.name, -1] = plan.opening
        if plan.guard == "SKIPPED":
            return Skipped(plan.name, "no")
        if plan.guard == "FAILED":
            return Broken(plan.name, -1, FAULT)
        return Expanded(plan.name, len(plan.fates) if plan.mapped else None)

    def lookup(self, plan: Plan, cell: Cell) -> AnyEvent:
        kind = plan.fate(cell[1]).lookup
        if kind == "miss":
            return missed(*cell)
        self.told[cell] = self.fates[cell]
        return hit(*cell, seed=1) if kind == "hit" else Broken(*cell, FAULT)

    def start(self, plan: Plan, cell: Cell, attempt: int) -> AnyEvent:
        before = self.starts.setdefault(cell, [])
        assert attempt in (len(set(before)) or 1, len(set(before)) + 1)
        assert attempt <= plan.retries + 1, f"attempt {attempt} at {cell}"
        before.append(attempt)
        self.running[cell] = attempt
        self.pending.append(("report", cell, attempt))
        return started(*cell, attempt)

    def report(self, plan: Plan, cell: Cell, attempt: int) -> Report:
        del self.running[cell]
        fate = plan.fate(cell[1])
        if self.returned.get(cell, 0) < fate.returns:
            self.returned[cell] = self.returned.get(cell, 0) + 1
            return Returned(*cell, attempt)
        if attempt > fate.failures:
            self.told[cell] = "SUCCEEDED"
            return succeeded(*cell, attempt, seed=attempt)
        if attempt > plan.retries:
            self.told[cell] = "FAILED"
        return Failed(*cell, attempt, FAULT)
