"""Random pipelines of every shape, what will become of each of their cells, and what must come out at the end.

`Reference` is the plain interpreter that the kernel is compared with: it walks the steps once, in order, and goes into
bodies by calling itself. It knows nothing of events, phases or frames.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from kernel_graphs import PLACE

from penstock.model.action import PythonAction
from penstock.model.expression import Apply, Constant, Ended, Expression, Item, Output, Parameter
from penstock.model.graph import RULES, Each, Fallback, Graph, Loop, Node, PipelineAction, Task
from penstock.model.policy import Policy, Retries, RunPolicy

#: instance id of a node, and item
Cell = tuple[str, int]

GOOD = ("SUCCEEDED", "CACHED")
BAD = ("FAILED", "UPSTREAM_FAILED")
GONE = ("SKIPPED", "CANCELLED")

KINDS = ("plain", "plain", "plain", "mapped", "mapped", "generator", "approval", "body", "mapped body", "loop")
MAPPED = ("mapped", "mapped body")
#: what an attempt may say that is the end of it
ENDS = {"ok": "SUCCEEDED", "decline": "SKIPPED"}


@dataclass(frozen=True)
class Step:
    """A node to be."""

    name: str
    kind: str = "plain"
    #: nodes before it whose output it reads, and those that it only waits for
    reads: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    #: a fan-out or a generator before it that it takes over item by item
    over: str | None = None
    join: str | Expression = "all_success"
    guard: Expression | None = None
    retries: int = 0
    lost: int = 1
    delay: float = 0.0
    threshold: int | float = 0
    max_parallel: int | None = None
    #: a task, a value, or none
    fallback: str | None = None
    decides: bool = True
    final: bool = False
    body: tuple[Step, ...] = ()
    dynamic: bool = False

    @property
    def task(self) -> str:
        return f"task of {self.name}"

    def node(self) -> Node:
        each = None
        bindings: dict[str, Expression] = {name: Output(name) for name in self.reads}
        if self.kind in MAPPED:
            source: Expression = Constant([]) if self.over is None else Output(self.over)
            each = Each({"x": source}, max_parallel=self.max_parallel, failure_threshold=self.threshold)
            bindings["x"] = Item("x")
        retries = Retries(count=self.retries, delays=(self.delay,), lost=self.lost)
        fallback = {None: None, "task": Fallback(task="plan b"), "value": Fallback()}[self.fallback]
        return Node(
            self.name,
            self.task,
            bindings,
            PLACE,
            Policy(retries=retries),
            after=self.after,
            guard=self.guard,
            each=each,
            join=self.join,
            loop=Loop(maximum=10) if self.kind == "loop" else None,
            fallback=fallback,
            decides=self.decides,
            final=self.final,
        )

    def tasks(self) -> Iterator[tuple[str, Task]]:
        python = PythonAction("pipeline", self.name, PLACE)
        action: Any = python
        if self.body or self.kind in ("body", "mapped body", "loop"):
            nodes = () if self.dynamic else tuple(step.node() for step in self.body)
            action = PipelineAction(nodes, PLACE, dynamic=self.dynamic)
        yield self.task, Task(self.task, action, (), (), yields=self.kind == "generator")
        for step in self.body:
            yield from step.tasks()

    @property
    def upstream(self) -> tuple[str, ...]:
        others = () if self.over is None else (self.over,)
        states = () if isinstance(self.join, str) else tuple(_named(self.join))
        condition = () if self.guard is None else tuple(_named(self.guard))
        return tuple(dict.fromkeys((*self.reads, *condition, *self.after, *others, *states)))


def _named(expression: Expression) -> Iterator[str]:
    if isinstance(expression, (Ended, Output)):
        yield expression.node
    elif isinstance(expression, Apply):
        for argument in expression.arguments:
            yield from _named(argument)


@dataclass
class Shape:
    """A pipeline, and the chance that settles what becomes of its cells, whatever the order in which they are asked."""

    seed: int
    stop_at_failure: bool = False
    dynamic: bool = False
    steps: tuple[Step, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.steps = _steps(random.Random(self.seed), 0)

    def chance(self, *what: object) -> random.Random:
        return random.Random(f"{self.seed}/{what}")

    @cached_property
    def graph(self) -> Graph:
        tasks = dict(pair for step in self.steps for pair in step.tasks())
        nodes = () if self.dynamic else tuple(step.node() for step in self.steps)
        policy = RunPolicy(on_failure="stop" if self.stop_at_failure else "continue")
        return Graph("pipeline", (), tasks, nodes, policy=policy, dynamic_at=PLACE if self.dynamic else None)

    # What becomes of cells.

    def condition(self, id: str, part: str) -> bool | None:
        """Whether a part of the condition of a node holds; None if it breaks."""
        return self.chance("condition", id, part).choice([True, True, True, False, False, None])

    def count(self, id: str) -> int:
        """How many items a fan-out has that takes over nothing."""
        return self.chance("count", id).choice([0, 1, 2, 3, 5])

    def lookup(self, id: str, item: int) -> str:
        return self.chance("lookup", id, item).choice(["miss", "miss", "miss", "hit", "broken"])

    def attempts(self, id: str, item: int, *, again: bool) -> Iterator[str]:
        """What the attempts come to, one after the other; `again`: those of the fallback."""
        chance = self.chance("attempts", id, item, again)
        for _ in range(chance.choice([0, 0, 0, 1, 2, 4])):
            yield chance.choice(["fail", "fail", "lose", "defer", "return", "fatal", "decline"])
        while True:
            yield "ok"

    def yields(self, id: str) -> int:
        """How many values a generator yields before it ends, in whatever way."""
        return self.chance("yields", id).choice([0, 1, 2, 4])

    def answer(self, id: str) -> str:
        return self.chance("answer", id).choice(["SUCCEEDED", "SUCCEEDED", "SKIPPED", "FAILED"])

    def substitute(self, id: str, item: int) -> str:
        return self.chance("substitute", id, item).choice(["SUCCEEDED", "SUCCEEDED", "FAILED"])

    def conclusion(self, id: str, turn: int) -> str:
        """What becomes of a body that has gone well: it resulted in something, in nothing to be had, or it goes on."""
        return self.chance("conclusion", id, turn).choice(["SUCCEEDED", "SUCCEEDED", "again", "FAILED"])


def _steps(chance: random.Random, depth: int) -> tuple[Step, ...]:
    steps: list[Step] = []
    for number in range(chance.randint(1 if depth else 0, 3 if depth else 7)):
        steps.append(_step(chance, depth, f"{'abc'[depth]}{number}-{chance.getrandbits(32):x}", steps))
    return tuple(steps)


def _step(chance: random.Random, depth: int, name: str, before: Sequence[Step]) -> Step:
    kind = chance.choice(KINDS[: 7 if depth == 2 else len(KINDS)])
    names = [step.name for step in before]
    reads = tuple(chance.sample(names, min(len(names), chance.choice([0, 1, 1, 2]))))
    after = tuple(chance.sample(names, min(len(names), chance.choice([0, 0, 1]))))
    over = None
    if kind in MAPPED and chance.random() < 0.6:
        sources = [each.name for each in before if each.kind in (*MAPPED, "generator")]
        over = chance.choice([*sources, None])
        reads, after = (tuple(name for name in names if name != over) for names in (reads, after))
    bodies = ("body", "mapped body", "loop")
    return Step(
        name,
        kind,
        reads,
        after,
        over,
        join=_join(chance, (*reads, *after), over),
        guard=_guard(chance, [name for name in names if name != over]) if chance.random() < 0.3 else None,
        retries=chance.choice([0, 0, 1, 2]),
        delay=chance.choice([0.0, 1.5]),
        threshold=chance.choice([0, 0, 1, 0.5]),
        max_parallel=chance.choice([None, None, 1, 2]),
        fallback=chance.choice([None, None, "task", "value"]) if kind in ("plain", "mapped") else None,
        decides=chance.random() < 0.8,
        final=chance.random() < 0.1,
        body=_steps(chance, depth + 1) if kind in bodies else (),
        dynamic=kind in bodies and chance.random() < 0.3,
    )


def _guard(chance: random.Random, names: Sequence[str], depth: int = 0) -> Expression:
    """A condition on what was before, or on nothing of it."""
    kind = chance.choice(["output", "output", "parameter", "and", "or", "not"])
    if depth < 2 and kind in ("and", "or", "not"):
        count = 1 if kind == "not" else 2
        return Apply(kind, tuple(_guard(chance, names, depth + 1) for _ in range(count)))
    if names and kind != "parameter":
        return Output(chance.choice(names))
    return Parameter(f"p{chance.randrange(3)}")


def _join(chance: random.Random, upstream: Sequence[str], over: str | None) -> str | Expression:
    if over is not None:
        return chance.choice(["all_success", "all_success", "all_done", "none_failed"])
    if upstream and chance.random() < 0.15:
        one, other = (
            Ended(chance.choice(upstream), chance.choice([("succeeded", "cached"), ("failed",)])) for _ in "ab"
        )
        return Apply(chance.choice(["and", "or"]), (one, Apply("not", (other,))))
    return chance.choice(["all_success"] * 6 + list(RULES))


class Reference:
    """How every cell must end, by walking the steps in order."""

    def __init__(self, shape: Shape, handled: frozenset[str] = frozenset()) -> None:
        self.shape = shape
        #: nodes of the run whose failure was given to its body
        self.handled = handled
        self.states: dict[Cell, str] = {}
        self.state = self._frame(shape.steps, "")

    def _frame(self, steps: Sequence[Step], prefix: str) -> str:
        """Go through a body. Returns how it ended."""
        for step in steps:
            id = f"{prefix}/{step.name}" if prefix else step.name
            self.states[id, -1] = self._step(step, id, prefix)
        ends = [
            self.states[f"{prefix}/{step.name}" if prefix else step.name, -1]
            for step in steps
            if step.decides and not (prefix == "" and step.name in self.handled)
        ]
        return "FAILED" if "FAILED" in ends else "SUCCEEDED"

    def _step(self, step: Step, id: str, prefix: str) -> str:
        ids = {name: f"{prefix}/{name}" if prefix else name for name in step.upstream}
        states = {name: self.states[ids[name], -1] for name in step.upstream}
        source = ids.get(step.over) if step.over is not None else None
        items = self._items_of(source) if source is not None else []
        if items and step.over is not None:
            states[step.over] = "SUCCEEDED"
        stopped = self._verdict(step.join, states)
        if stopped == "UPSTREAM_FAILED":
            return self._left_out(step, id, states) or stopped
        stopped = stopped or self._opening(step, id, states)
        if stopped is not None:
            return stopped
        if step.kind not in MAPPED:
            return self._cell(step, id, -1)
        if source is None:
            items = ["SUCCEEDED"] * self.shape.count(id)
        ends = [self._item(step, id, item, state) for item, state in enumerate(items)]
        whole = self.states[source, -1] if source is not None else "SUCCEEDED"
        return self._together(step, ends, whole, lasting=source is not None and (source, 0) in self.states)

    def _opening(self, step: Step, id: str, states: dict[str, str]) -> str | None:
        """How a node ends that may run, when its condition is looked at; None if it goes on."""
        if step.guard is None:
            return None
        end = self._weighed(step.guard, id, states, wholly=True)
        return {"yes": None, "no": "SKIPPED"}.get(end, "FAILED")

    def _left_out(self, step: Step, id: str, states: dict[str, str]) -> str | None:
        """How a node ends that is not to run in any case, by its condition; None if that tells nothing."""
        if step.guard is None:
            return None
        return {"no": "SKIPPED", "broken": "FAILED"}.get(self._weighed(step.guard, id, states, wholly=False))

    def _weighed(self, guard: Expression, id: str, states: dict[str, str], *, wholly: bool) -> str:
        """Whether a condition holds: yes, no, broken, or missing: that it cannot be known.

        `wholly`: from left to right, as Python does, rather than from whichever side is known.
        """
        match guard:
            case Parameter(name) | Output(name):
                if isinstance(guard, Output) and states[name] not in GOOD:
                    return "missing"
                return {True: "yes", False: "no", None: "broken"}[self.shape.condition(id, name)]
            case Apply("not", (one,)):
                found = self._weighed(one, id, states, wholly=wholly)
                return {"yes": "no", "no": "yes"}.get(found, found)
            case Apply(name, (one, other)):
                enough = "no" if name == "and" else "yes"
                first = self._weighed(one, id, states, wholly=wholly)
                if first in (enough, "broken") or (first == "missing" and wholly):
                    return first
                second = self._weighed(other, id, states, wholly=wholly)
                return first if first == "missing" and second not in (enough, "broken") else second
            case _:
                raise AssertionError(guard)

    def _items_of(self, source: str) -> list[str]:
        """How each of the items ended that are taken over; what a generator has yielded is there for good."""
        items = [state for (name, item), state in sorted(self.states.items()) if name == source and item >= 0]
        if items:
            return items
        return ["SUCCEEDED"] * (self.shape.yields(source) if self._yielded(source) else 0)

    def _yielded(self, source: str) -> bool:
        return self.states.get((f"{source} yielded", -2)) is not None

    def _item(self, step: Step, id: str, item: int, source: str) -> str:
        end = self._verdict(step.join, {"": source}) if step.over is not None else None
        if end is None:
            end = self._cell(step, id, item)
        self.states[id, item] = end
        return end

    def _together(self, step: Step, ends: list[str], whole: str, *, lasting: bool) -> str:
        if not ends:
            return "SUCCEEDED"
        tolerated = step.threshold * len(ends) if isinstance(step.threshold, float) else step.threshold
        if ends.count("FAILED") > tolerated:
            return "FAILED"
        if whole not in GOOD and ("UPSTREAM_FAILED" in ends or not lasting):
            return "UPSTREAM_FAILED"
        if set(ends) == {"SKIPPED"}:
            return "SKIPPED"
        return "CACHED" if set(ends) == {"CACHED"} else "SUCCEEDED"

    def _verdict(self, join: str | Expression, states: dict[str, str]) -> str | None:
        """How a node ends because of what ended before it, if it does."""
        ends = list(states.values())
        if not isinstance(join, str):
            return None if _holds(join, states) else "SKIPPED"
        if _met(join, ends):
            return None
        if join == "all_success":
            return "UPSTREAM_FAILED" if any(end in BAD for end in ends) else "SKIPPED"
        blamed = join in ("one_success", "none_failed", "none_failed_min_one_success")
        return "UPSTREAM_FAILED" if blamed and any(end in BAD for end in ends) else "SKIPPED"

    def _cell(self, step: Step, id: str, item: int) -> str:
        if step.kind == "approval":
            return self.shape.answer(id)
        if step.kind == "loop":
            return self._loop(step, id)
        if step.kind in ("body", "mapped body"):
            frame = id if item < 0 else f"{id}[{item}]"
            if self._frame(step.body, frame) == "FAILED":
                return "FAILED"
            return "FAILED" if self.shape.conclusion(frame, 0) == "FAILED" else "SUCCEEDED"
        lookup = self.shape.lookup(id, item)
        if lookup != "miss":
            return {"hit": "CACHED", "broken": "FAILED"}[lookup]
        if step.kind == "generator":
            self.states[f"{id} yielded", -2] = "yes"
        return self._attempts(step, id, item)

    def _loop(self, step: Step, id: str) -> str:
        for turn in range(3):
            if self._frame(step.body, f"{id}[{turn}]") == "FAILED":
                return "FAILED"
            conclusion = self.shape.conclusion(id, turn)
            if conclusion == "FAILED":
                return "FAILED"
            if conclusion == "SUCCEEDED":
                break
        return "SUCCEEDED"

    def _attempts(self, step: Step, id: str, item: int) -> str:
        failures = losses = 0
        for end in self.shape.attempts(id, item, again=False):
            failures += end == "fail"
            losses += end == "lose"
            if end in ENDS:
                return ENDS[end]
            if end == "fatal" or losses > step.lost or failures > step.retries:
                break
        if step.fallback == "task":
            return self._fallback(step, id, item, losses)
        return self.shape.substitute(id, item) if step.fallback == "value" else "FAILED"

    def _fallback(self, step: Step, id: str, item: int, losses: int) -> str:
        """What the task that takes the place comes to; it is not repeated, except for what the infrastructure loses."""
        for end in self.shape.attempts(id, item, again=True):
            losses += end == "lose"
            if end in ENDS:
                return ENDS[end]
            if end in ("fatal", "fail") or (end == "lose" and losses > step.lost):
                break
        return "FAILED"


def _met(rule: str, ends: list[str]) -> bool:
    good, bad, gone = ([end for end in ends if end in kind] for kind in (GOOD, BAD, GONE))
    return {
        "all_success": len(good) == len(ends),
        "all_failed": len(bad) == len(ends),
        "all_done": True,
        "all_skipped": len(gone) == len(ends),
        "one_success": not ends or bool(good),
        "one_failed": not ends or bool(bad),
        "one_done": not ends or bool(good or bad),
        "none_failed": not bad,
        "none_skipped": not gone,
        "none_failed_min_one_success": not ends or (not bad and bool(good)),
        "always": True,
    }[rule]


def _holds(expression: Expression, states: dict[str, str]) -> bool:
    match expression:
        case Ended(node, wanted):
            return states[node].lower() in wanted
        case Apply("not", (one,)):
            return not _holds(one, states)
        case Apply("and", (one, other)):
            return _holds(one, states) and _holds(other, states)
        case Apply("or", (one, other)):
            return _holds(one, states) or _holds(other, states)
        case _:
            raise AssertionError(expression)
