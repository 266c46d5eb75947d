"""Plays a random pipeline of any shape: answers what the kernel asks for, in any order, and checks every step."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import cast

from kernel_graphs import FAULT, hit, missed, outputs
from kernel_shapes import MAPPED, Cell, Shape, Step

from penstock.kernel import VERSION, Phase, RunProgress, handle, outstanding
from penstock.kernel.invariants import validate
from penstock.model.event import (
    Answered,
    AnyEvent,
    Asked,
    Broken,
    CancelRequested,
    Concluded,
    Deferred,
    Expanded,
    Expired,
    Failed,
    Fault,
    Grown,
    Handled,
    Lost,
    Returned,
    RunStarted,
    Skipped,
    Started,
    Substituted,
    Succeeded,
    Woke,
    Yielded,
)
from penstock.model.expression import Scope, evaluate, holds
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

LOST = Fault("penstock.WorkerLostError", "gone", infrastructure=True)
FATAL = Fault("penstock.Fail", "for good", retry=False)


class Player:
    """One run of a shape."""

    def __init__(self, shape: Shape, chance: random.Random) -> None:
        self.shape = shape
        self.chance = chance
        self.run = RunProgress(shape.graph)
        self.journal: list[AnyEvent] = []
        #: what is to be answered
        self.pending: list[AnyInstruction] = []
        #: what the attempts at a cell come to, by whether it is the fallback's
        self.attempts: dict[tuple[Cell, bool], Iterator[str]] = {}
        #: attempts under way
        self.running: dict[Cell, int] = {}
        #: how many values a running generator has yet to yield
        self.yields: dict[Cell, int] = {}
        #: steps that dynamic bodies have yet to call
        self.unborn: dict[str, list[Step]] = {}
        self.finishes: list[str] = []
        self.ends: dict[Cell, str] = {}
        self.handled: set[str] = set()

    def play(self, *, cancel_after: int | None = None, crash_after: int | None = None) -> None:
        """Go on until nothing is left to do."""
        self.tell(RunStarted(VERSION))
        steps = 0
        while self.pending or self.running:
            steps += 1
            assert steps < 20_000, "the run does not come to an end"
            if steps == cancel_after:
                self.tell(CancelRequested("enough", stop=self.chance.random() < 0.5))
            if steps == crash_after:
                self.crash()
                continue
            self.step()
        assert self.finishes, "the run has come to a halt without an end"

    def step(self) -> None:
        choices = len(self.pending) + len(self.running)
        at = self.chance.randrange(choices)
        if at >= len(self.pending):
            self.report(sorted(self.running)[at - len(self.pending)])
        else:
            instruction = self.pending.pop(at)
            if not self.void(instruction):
                self.answer(instruction)

    def void(self, instruction: AnyInstruction) -> bool:
        """Whether the cell that something was to be done for was cancelled meanwhile."""
        if isinstance(instruction, Grow):
            return False
        item = getattr(instruction, "start", getattr(instruction, "item", -1))
        return self.run.nodes[getattr(instruction, "node", "")].phase_of(item) is Phase.CANCELLED

    def tell(self, *events: AnyEvent) -> None:
        self.journal += events
        before = {name: progress.phase for name, progress in self.run.nodes.items() if progress.phase.ended}
        for instruction in handle(self.run, *events):
            self.take(instruction)
        validate(self.run)
        for name, phase in before.items():
            assert self.run.nodes[name].phase is phase, f"{name} ended twice"

    def take(self, instruction: AnyInstruction) -> None:
        assert not self.finishes, f"{instruction} after the end"
        match instruction:
            case Check(node, start, stop) if start >= 0:
                self.pending += [Check(node, item, item + 1) for item in range(start, stop)]
            case Settle(node, item, state):
                assert (node, item) not in self.ends, f"{node}, {item} is settled twice"
                self.ends[node, item] = state.name
            case Stop(node, item, attempt):
                assert self.running[node, item] == attempt
            case Finish(state):
                self.finishes.append(state.name)
                assert not self.running, "it has ended though something is under way"
            case _:
                assert instruction not in self.pending, f"{instruction} is asked for twice"
                self.pending.append(instruction)

    def crash(self) -> None:
        """The driver dies; another one takes over from the journal."""
        again = RunProgress(self.shape.graph)
        handle(again, *self.journal)
        validate(again)
        self.run = again
        lost = [Lost(*cell) for cell in again.running()]
        assert {(each.node, each.item): each.attempt for each in lost} == self.running
        self.running.clear()
        self.yields.clear()
        frames = {name for name, frame in again.frames.items() if frame.growing}
        self.unborn = {name: steps for name, steps in self.unborn.items() if name in frames}
        awaiting = [each for each in self.pending if isinstance(each, Check) and self._awaits(each)]
        self.pending = list(awaiting)
        for instruction in outstanding(again):
            self.take(instruction)
        self.tell(*lost)

    def _awaits(self, instruction: Check) -> bool:
        return self.run.nodes[instruction.node].phase_of(instruction.start) is Phase.AWAITING

    # What comes of it.

    def answer(self, instruction: AnyInstruction) -> None:
        match instruction:
            case Expand(node):
                self.tell(self.expansion(node))
            case Decide(node):
                self.tell(self.decision(node))
            case Check(node, item):
                self.check(instruction, node, item)
            case Ready(node, item, attempt):
                assert (node, item) not in self.running
                self.ready(node)
                self.running[node, item] = attempt
                self.tell(Started(node, item, attempt))
            case Delay(node, item, attempt, seconds):
                assert seconds > 0
                self.tell(Woke(node, item, attempt))
            case Conclude(node, item, turn):
                self.tell(self.conclusion(node, item, turn))
            case Substitute(node, item):
                end = self.shape.substitute(node, item)
                self.tell(Substituted(node, item, outputs(3)) if end == "SUCCEEDED" else Broken(node, item, FAULT))
            case Grow(frame):
                self.grow(frame, instruction)
            case _:
                raise AssertionError(instruction)

    def ready(self, name: str) -> None:
        """Nothing starts before what it reads has ended."""
        progress = self.run.nodes[name]
        if progress.node.join == "all_success":
            read = [other for other in progress.upstream if other not in progress.streams]
            assert all(other.phase.fruitful for other in read), f"{name} starts without its inputs"

    def step_of(self, name: str) -> Step:
        """The step of an instance id."""
        steps: Sequence[Step] = self.shape.steps
        found: Step | None = None
        for part in name.split("/"):
            found = next(step for step in steps if step.name == part.partition("[")[0])
            steps = found.body
        assert found is not None
        return found

    def expansion(self, name: str) -> AnyEvent:
        step, progress = self.step_of(name), self.run.nodes[name]
        try:
            if step.guard is not None and not evaluate(step.guard, cast(Scope, Known(self, name))):
                return Skipped(name, "no")
        except LookupError:
            return Broken(name, -1, FAULT)
        if step.kind not in MAPPED:
            return Expanded(name, None)
        if step.over is None:
            return Expanded(name, self.shape.count(name))
        source = progress.frame.nodes[step.over]
        if source.items is not None:
            return Expanded(name, len(source.items.phases), more=source.items.more)
        if source.node.each is None and source.phase is Phase.CACHED:
            return Expanded(name, 0)
        return Expanded(name, source.yielded, more=not source.phase.ended)

    def decision(self, name: str) -> AnyEvent:
        guard = self.step_of(name).guard
        assert guard is not None
        try:
            held = holds(guard, cast(Scope, Known(self, name)))
        except LookupError:
            return Broken(name, -1, FAULT)
        return Skipped(name, "no") if held is False else Expanded(name, None)

    def check(self, instruction: AnyInstruction, name: str, item: int) -> None:
        step = self.step_of(name)
        if step.kind == "approval":
            self.approve(instruction, name)
            return
        lookup = self.shape.lookup(name, item)
        events = {"miss": missed(name, item), "hit": hit(name, item), "broken": Broken(name, item, FAULT)}
        self.tell(events[lookup])

    def approve(self, instruction: AnyInstruction, name: str) -> None:
        if self.run.nodes[name].phase is Phase.CHECKING:
            self.pending.append(instruction)
            self.tell(Asked(name, -1))
            return
        events: dict[str, AnyEvent] = {
            "SUCCEEDED": Answered(name, -1, outputs(2)),
            "SKIPPED": Skipped(name, "refused"),
            "FAILED": Expired(name, -1, FAULT),
        }
        self.tell(events[self.shape.answer(name)])

    def conclusion(self, name: str, item: int, turn: int) -> AnyEvent:
        looping = self.step_of(name).kind == "loop"
        frame = name if item < 0 else f"{name}[{item}]"
        end = self.shape.conclusion(frame, turn)
        if end == "FAILED":
            return Broken(name, item, FAULT)
        return Concluded(name, item, outputs(4), again=looping and end == "again" and turn < 2)

    def grow(self, frame: str, instruction: Grow) -> None:
        """Let a dynamic body call some more of its steps."""
        if frame not in self.unborn:
            self.unborn[frame] = list(self.shape.steps if not frame else self.step_of(frame).body)
            known = self.run.frames[frame].nodes
            self.unborn[frame] = [step for step in self.unborn[frame] if step.name not in known]
        count = self.chance.randint(0, len(self.unborn[frame]))
        born, self.unborn[frame] = self.unborn[frame][:count], self.unborn[frame][count:]
        ended = not self.unborn[frame] or self.run.cancelling is not None
        if not ended:
            self.pending.append(instruction)
        self.tell(Grown(frame, tuple(step.node() for step in born), ended=ended))
        if not frame and not ended:
            self.handle_failures()

    def handle_failures(self) -> None:
        for name, progress in self.run.root.nodes.items():
            if progress.phase is Phase.FAILED and name not in self.handled and self.chance.random() < 0.3:
                self.handled.add(name)
                self.tell(Handled(name))

    def report(self, cell: Cell) -> None:
        name, item = cell
        attempt = self.running[cell]
        fallen = item in self.run.nodes[name].fallen
        if self.step_of(name).kind == "generator" and self.yields.setdefault(cell, self.shape.yields(name)):
            self.yields[cell] -= 1
            count = self.shape.yields(name) - self.yields[cell]
            self.tell(Yielded(name, item, attempt, count, outputs(count)[0]))
            return
        ends = self.attempts.setdefault((cell, fallen), self.shape.attempts(name, item, again=fallen))
        end = next(ends)
        del self.running[cell]
        self.yields.pop(cell, None)
        self.tell(_report(end, name, item, attempt))
        if self.chance.random() < 0.1 and cell not in self.running:
            self.late(name, item, attempt)

    def late(self, name: str, item: int, attempt: int) -> None:
        """The same attempt is reported once more, in another way; that changes nothing."""
        if (name, item) in self.running or any(getattr(each, "attempt", 0) == attempt for each in self.pending):
            return
        end = self.chance.choice(["ok", "fail", "defer", "return", "lose"])
        if self.run.nodes[name].phase_of(item) is not Phase.DELAYED:
            assert handle(self.run, _report(end, name, item, attempt)) == []


class Known:
    """What a condition can reach."""

    def __init__(self, player: Player, name: str) -> None:
        self._shape = player.shape
        self._name = name
        self._nodes = player.run.nodes[name].frame.nodes

    def ran(self, node: str) -> bool:
        return self._nodes[node].phase.fruitful

    def output(self, node: str, port: str | None) -> bool:
        progress = self._nodes[node]
        assert progress.phase.ended, f"{self._name} looks at {node}, which has not ended"
        if not progress.phase.fruitful:
            raise LookupError(node)
        return self.parameter(node)

    def parameter(self, name: str) -> bool:
        found = self._shape.condition(self._name, name)
        if found is None:
            raise LookupError("it breaks")
        return found


def _report(end: str, name: str, item: int, attempt: int) -> AnyEvent:
    match end:
        case "ok":
            return Succeeded(name, item, attempt, outputs(attempt))
        case "fail":
            return Failed(name, item, attempt, FAULT)
        case "lose":
            return Failed(name, item, attempt, LOST)
        case "fatal":
            return Failed(name, item, attempt, FATAL)
        case "defer":
            return Deferred(name, item, attempt, 5.0)
        case "return":
            return Returned(name, item, attempt)
        case _:
            return Skipped(name, "nothing to do", item, attempt)
