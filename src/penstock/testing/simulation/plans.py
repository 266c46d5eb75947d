"""Random pipelines, drawn from a seed, in which what every attempt comes to follows from its inputs alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from random import Random
from typing import Any, Literal, cast

from penstock.model.action import ApprovalAction, PythonAction
from penstock.model.expression import Apply, Choose, Constant, Expression, Input, Item, Output
from penstock.model.expression import Mapping as MappingExpression
from penstock.model.graph import Each, Fallback, Graph, Loop, Node, PipelineAction, Port, Task, Wait
from penstock.model.place import Location
from penstock.model.policy import Policy, Retries, RunPolicy
from penstock.model.work import Local
from penstock.runtime.driver import TaskCode

_PLACE = Location("simulated.py", 1)
#: attempts that the infrastructure may lose, so that no number of faults changes what a run comes to
_LOST = 10_000

Kind = Literal["task", "generator", "wait", "approval", "body", "loop"]
Fate = Literal["plain", "fails", "skips", "flaky"]
_FATES: tuple[Fate, ...] = ("plain", "plain", "plain", "fails", "skips", "flaky", "flaky")
_FATES_OF_GENERATORS: tuple[Fate, ...] = ("plain", "flaky")
Spare = Literal["", "value", "task"]
_FALLBACKS: tuple[Spare, ...] = ("", "", "value", "task")
_JOINS = (*["all_success"] * 4, "all_done", "none_failed")
_KINDS: tuple[Kind, ...] = ("task", "task", "task", "task", "generator", "wait", "approval", "body", "loop")


@dataclass(frozen=True)
class Step:
    """A node to be."""

    name: str
    kind: Kind = "task"
    #: steps whose outputs it takes, `a|b` for that of the two which ran; `x` is what the body around it is given
    reads: tuple[str, ...] = ()
    #: the step, or the numbers, that it is mapped over
    over: str | tuple[int, ...] | None = None
    #: it runs if the number that a step makes is even, or (`!` before the name) if it is odd
    guard: str = ""
    join: str = "all_success"
    #: what becomes of attempts: plain; some fail for good, skip, or fail at first
    fate: Fate = "plain"
    salt: int = 0
    retries: int = 0
    delay: float = 0.0
    jitter: float = 0.0
    fallback: Spare = ""
    cache: bool = True
    threshold: int = 0
    max_parallel: int | None = None
    decides: bool = True
    body: tuple[Step, ...] = ()

    @property
    def task(self) -> str:
        return f"task of {self.name}"

    @property
    def mapped(self) -> bool:
        return self.over is not None

    @property
    def upstream(self) -> list[tuple[str, ...]]:
        """Groups of steps, of each of which one must have run."""
        groups = [tuple(read.split("|")) for read in self.reads if read != "x"]
        return [*groups, *([(self.guard.lstrip("!"),)] if self.guard else [])]


#: what a rejected approval does
Rejection = Literal["skip", "fail", "return"]
_REJECTIONS: tuple[Rejection, ...] = ("skip", "fail", "return")


def approves(step: Step) -> bool:
    return step.salt % 3 > 0


def rejection(step: Step) -> Rejection:
    return _REJECTIONS[step.salt % 9 // 3]


def total_of(value: Any) -> int:
    """The sum of what is in a value; nothing counts as 1."""
    if isinstance(value, list):
        return sum(map(total_of, cast("list[Any]", value))) % 1009
    approved = getattr(value, "approved", value)
    return 1 if approved is None else int(approved)


def result_of(step: Step, inputs: Mapping[str, Any]) -> int:
    return (7 * _weight(inputs) + 3 * step.salt + 5) % 101


def yields_of(step: Step, inputs: Mapping[str, Any]) -> list[int]:
    first = result_of(step, inputs)
    return [(first + number) % 101 for number in range(first % 5)]


def failures_of(step: Step, inputs: Mapping[str, Any]) -> int | None:
    """How many attempts fail before one does not; None where all do."""
    number = _weight(inputs) + step.salt
    if step.fate == "fails" and number % 3 == 0:
        return None
    return number % 3 if step.fate == "flaky" else 0


def is_skipped(step: Step, inputs: Mapping[str, Any]) -> bool:
    return step.fate == "skips" and (_weight(inputs) + step.salt) % 4 == 0


def spare_of(inputs: Mapping[str, Any]) -> int:
    """What the task makes that stands in for one that has failed."""
    return 1000 + _weight(inputs) % 10


def refusals_of(step: Step) -> int:
    """How many times what a step waits for is not there."""
    return step.salt % 3


def _weight(inputs: Mapping[str, Any]) -> int:
    return sum((place + 1) * total_of(inputs[name]) for place, name in enumerate(sorted(inputs)))


@dataclass
class Plan:
    """A pipeline to be run; of at most so many steps, for smaller ones of the same seed."""

    seed: int
    most: int = 9
    #: whether the first failure ends the run, so that the rest depends on the order of things
    stops: bool = field(init=False)
    steps: tuple[Step, ...] = field(init=False)

    def __post_init__(self) -> None:
        chance = Random(f"{self.seed}/plan")
        self.stops = chance.random() < 0.05
        self.steps = _Drawing(chance).steps(0, min(self.most, chance.choice([2, 3, 4, 5, 6, 7, 9])))

    @cached_property
    def known(self) -> dict[str, Step]:
        """All steps by the names of their tasks; the names of steps are their own throughout a plan."""
        return {step.task: step for step in walked(self.steps)}

    @cached_property
    def graph(self) -> Graph:
        tasks = dict(pair for step in walked(self.steps) for pair in _tasks(step))
        result = MappingExpression({step.name: Output(step.name) for step in self.steps})
        policy = RunPolicy(on_failure="stop" if self.stops else "continue")
        return Graph("simulated", (), tasks, tuple(_node(step) for step in self.steps), result, policy=policy)

    def code(self) -> dict[str, TaskCode]:
        """The code of all tasks that workers make attempts at."""
        actions = ((key, task.action) for key, task in self.graph.tasks.items())
        return {
            key: TaskCode(Local(key), key.encode(), "") for key, action in actions if isinstance(action, PythonAction)
        }


def walked(steps: Sequence[Step]) -> Iterator[Step]:
    """Steps, with those inside of them."""
    for step in steps:
        yield step
        yield from walked(step.body)


class _Drawing:
    """Draws steps."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self._count = 0

    def steps(self, depth: int, count: int) -> tuple[Step, ...]:
        steps: list[Step] = []
        for _ in range(count):
            steps.append(self._step(depth, steps))
        return tuple(steps)

    def _step(self, depth: int, before: Sequence[Step]) -> Step:
        chance = self._chance
        kind: Kind = chance.choice(_KINDS if depth < 2 else _KINDS[:-2])
        name = f"{kind}{self._count}"
        self._count += 1
        over = self._over(before) if kind in ("task", "body") and chance.random() < 0.4 else None
        body = self.steps(depth + 1, chance.randint(1, 3)) if kind in ("body", "loop") else ()
        guard = self._guard(before) if kind in ("task", "body") and chance.random() < 0.2 else ""
        plain = kind == "task"
        fate: Fate = chance.choice(_FATES) if plain else "plain"
        joins = _JOINS if plain and not (guard or over) else _JOINS[:1]
        return Step(
            name,
            kind,
            self._reads(depth, before, over, kind),
            over,
            guard,
            join=chance.choice(joins),
            fate=fate if kind != "generator" else chance.choice(_FATES_OF_GENERATORS),
            salt=chance.randrange(30),
            # one that has yielded always succeeds in the end
            retries=2 if kind == "generator" else chance.choice([0, 1, 2, 2]),
            delay=chance.choice([0.0, 0.0, 2.0, 20.0]),
            jitter=chance.choice([0.0, 0.3]),
            fallback=chance.choice(_FALLBACKS) if plain else "",
            cache=chance.random() < 0.8,
            threshold=chance.choice([0, 0, 1, 9]),
            max_parallel=chance.choice([None, None, 1, 2]),
            decides=chance.random() < 0.5,
            body=body,
        )

    def _reads(self, depth: int, before: Sequence[Step], over: Any, kind: Kind) -> tuple[str, ...]:
        chance = self._chance
        if kind in ("body", "loop"):
            if over is not None:
                return ()
            names = [step.name for step in before] or ["x"] * (depth > 0)
            return (chance.choice(names),) if names else ()
        names = [step.name for step in before if step.name != over]
        reads = chance.sample(names, min(len(names), chance.choice([0, 1, 1, 2])))
        if len(names) > 1 and over is None and chance.random() < 0.15:
            reads.append("|".join(chance.sample(names, 2)))
        if depth and chance.random() < 0.7:
            reads.append("x")
        return tuple(dict.fromkeys(reads))

    def _over(self, before: Sequence[Step]) -> str | tuple[int, ...]:
        sources = [step.name for step in before if step.mapped or step.kind == "generator"]
        if sources and self._chance.random() < 0.7:
            return self._chance.choice(sources)
        return tuple(self._chance.randrange(50) for _ in range(self._chance.choice([0, 1, 2, 3, 5])))

    def _guard(self, before: Sequence[Step]) -> str:
        numbers = [step.name for step in before if step.kind in ("task", "wait") and not step.mapped]
        return self._chance.choice(["", "!"]) + self._chance.choice(numbers) if numbers else ""


# Graphs.


def _node(step: Step) -> Node:
    bindings = {f"a{place}": _read(read) for place, read in enumerate(step.reads)}
    each = None
    if step.kind in ("body", "loop"):
        bindings = {"x": _read(step.reads[0]) if step.reads else Constant(step.salt)}
    if step.over is not None:
        source = Output(step.over) if isinstance(step.over, str) else Constant(list(step.over))
        each = Each({"x": source}, max_parallel=step.max_parallel, failure_threshold=step.threshold)
        bindings["x"] = Item("x")
    retries = Retries(step.retries, (step.delay,), jitter=step.jitter, lost=_LOST)
    fallback = {"": None, "task": Fallback(task="spare"), "value": Fallback(value=Constant(-1))}[step.fallback]
    return Node(
        step.name,
        step.task,
        bindings,
        _PLACE,
        Policy(retries=retries, cache=step.cache),
        guard=_guard(step.guard) if step.guard else None,
        each=each,
        join=step.join,
        loop=Loop(1 + step.salt % 3, carry={"x": ""}) if step.kind == "loop" else None,
        wait=Wait(poll=3.0) if step.kind == "wait" else None,
        fallback=fallback,
        decides=step.decides,
    )


def _read(read: str) -> Expression:
    names = read.split("|")
    if read == "x":
        return Input("x")
    return Output(read) if len(names) == 1 else Choose(tuple(Output(name) for name in names))


def _guard(guard: str) -> Expression:
    remainder = Apply("mod", (Output(guard.lstrip("!")), Constant(2)))
    return Apply("ne" if guard[0] == "!" else "eq", (remainder, Constant(0)))


def _tasks(step: Step) -> Iterator[tuple[str, Task]]:
    action: Any = PythonAction("simulated", step.name, _PLACE)
    if step.body:
        action = PipelineAction(tuple(_node(each) for each in step.body), _PLACE, Output(step.body[-1].name))
    elif step.kind == "approval":
        action = ApprovalAction("Go on?", _PLACE, on_reject=rejection(step))
    names = ["x"] if step.body or step.over is not None else []
    names += [] if step.body else [f"a{place}" for place in range(len(step.reads))]
    inputs = tuple(Port(name, required=False) for name in names)
    yield step.task, Task(step.task, action, inputs, (Port("result", required=False),), yields=step.kind == "generator")
    if step.fallback == "task":
        yield "spare", Task("spare", PythonAction("simulated", "spare", _PLACE), inputs, (Port("result"),))


__all__ = ["Plan", "Step"]
