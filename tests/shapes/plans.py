"""Descriptions of pipelines, and how they are drawn from a seed.

A body has the parameters `x` and `y`, and steps that take what came before them. What is described is built by
`plan_building`, and carried out in plain Python by `plan_reading`.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any


@dataclass(frozen=True)
class Source:
    """Where an input comes from: the name of a parameter or a step, or a literal."""

    name: str = ""
    literal: int | tuple[int, ...] = 0


@dataclass(frozen=True)
class How:
    """What a task does with its input, and what becomes of a failure."""

    #: plain, fails (for some inputs), skips (for some), flaky (in its first attempts)
    kind: str = "plain"
    salt: int = 0
    retries: int = 0
    #: "" for none, "value", "task" for one that succeeds, "failing" for one that does not
    fallback: str = ""
    decides: bool = True


@dataclass(frozen=True)
class Call:
    """A task called once."""

    name: str
    x: Source
    y: Source
    how: How = How()
    after: tuple[str, ...] = ()
    join: str = "all_success"


@dataclass(frozen=True)
class Numbers:
    """A task that makes a list out of a number."""

    name: str
    x: Source


@dataclass(frozen=True)
class Gather:
    """A task that takes any number of inputs at once."""

    name: str
    sources: tuple[Source, ...]
    join: str = "all_success"


@dataclass(frozen=True)
class Fan:
    """A task, or a whole body, mapped over one list, or over all combinations of two."""

    name: str
    over: Source
    y: Source
    how: How = How()
    body: Body | None = None
    product: bool = False
    #: how many items may fail
    threshold: int = 0
    max_parallel: int | None = None


@dataclass(frozen=True)
class Part:
    """A body called once, which becomes part of the one around it."""

    name: str
    body: Body
    x: Source
    y: Source


@dataclass(frozen=True)
class Turns:
    """A body repeated until its result can be divided by 5, or four times."""

    name: str
    body: Body
    x: Source
    y: Source
    strict: bool = False


@dataclass(frozen=True)
class Branch:
    """Steps that run if a number is even, and others that run if it is not; a task takes what the last of either made."""

    name: str
    on: Source
    then: tuple[Step, ...]
    otherwise: tuple[Step, ...]


@dataclass(frozen=True)
class While:
    """Python's loop: call a task with what it returned, until that can be divided by 5, or four times."""

    name: str
    x: Source
    how: How


@dataclass(frozen=True)
class ForEach:
    """Python's loop over a list: call a task for each element."""

    name: str
    over: Source
    how: How


@dataclass(frozen=True)
class Try:
    """A task whose failure is answered with another one."""

    name: str
    x: Source
    how: How


Step = Call | Numbers | Gather | Fan | Part | Turns | Branch | While | ForEach | Try


@dataclass(frozen=True)
class Body:
    name: str
    steps: tuple[Step, ...]
    #: the step whose value it returns
    result: str


#: rules that do not depend on which upstream task ends first
RULES = (
    "all_success",
    "all_failed",
    "all_done",
    "all_skipped",
    "none_failed",
    "none_skipped",
    "none_failed_min_one_success",
)


def random_body(seed: int) -> Body:
    return _Drawing(Random(seed)).body(depth=0, dynamic=seed % 3 == 0)


@dataclass
class _Known:
    """What the steps of a body can take: names of numbers, of lists, and of what can be waited for."""

    ints: list[str]
    lists: list[str]
    steps: list[str]

    def copy(self) -> _Known:
        return _Known([*self.ints], [*self.lists], [*self.steps])

    def add_int(self, step: Any) -> Any:
        self.ints.append(step.name)
        self.steps.append(step.name)
        return step


class _Drawing:
    def __init__(self, random: Random) -> None:
        self._random = random
        self._count = 0

    def body(self, depth: int, dynamic: bool) -> Body:
        self._count += 1
        name = f"body{self._count}"
        known = _Known(["x", "y"], [], [])
        count = self._random.randint(2, 9 if depth == 0 else 4)
        steps = [self._step(depth, dynamic, known) for _ in range(count)]
        last = self._call(known, How())
        return Body(name, (*steps, last), last.name)

    def _name(self, what: str) -> str:
        self._count += 1
        return f"{what}{self._count}"

    def _chance(self, share: float) -> bool:
        return self._random.random() < share

    def _step(self, depth: int, dynamic: bool, known: _Known) -> Step:
        kinds = ["call", "call", "numbers", "gather", "fan", "fan"]
        if depth < 2:
            kinds += ["branch", "part", "turns", "fan_body"]
        if dynamic:
            kinds += ["while", "for", "try", "try"]
        return getattr(self, f"_{self._random.choice(kinds)}")(known, depth=depth, dynamic=dynamic)

    def _how(self, *, tame: bool = False) -> How:
        kind = "plain" if tame else self._random.choice(["plain", "plain", "fails", "skips", "flaky"])
        fallback = self._random.choice(["", "", "value", "task", "failing"]) if kind in ("fails", "flaky") else ""
        return How(kind, self._random.randrange(20), self._random.choice([0, 0, 1, 2]), fallback, self._chance(0.3))

    def _int(self, known: _Known) -> Source:
        if self._chance(0.1):
            return Source(literal=self._random.randrange(50))
        return Source(self._random.choice(known.ints))

    def _list(self, known: _Known) -> Source:
        if not known.lists or self._chance(0.2):
            return Source(literal=tuple(self._random.randrange(50) for _ in range(self._random.randrange(4))))
        return Source(self._random.choice(known.lists))

    def _call(self, known: _Known, how: How | None = None, **_: object) -> Call:
        after = (self._random.choice(known.steps),) if known.steps and self._chance(0.2) else ()
        join = "all_success" if how is not None or self._chance(0.7) else self._random.choice(RULES)
        made = Call(self._name("call"), self._int(known), self._int(known), how or self._how(), after, join)
        return known.add_int(made)

    def _numbers(self, known: _Known, **_: object) -> Numbers:
        made = Numbers(self._name("numbers"), self._int(known))
        known.lists.append(made.name)
        known.steps.append(made.name)
        return made

    def _gather(self, known: _Known, **_: object) -> Gather:
        names = [*known.ints, *known.lists]
        sources = tuple(Source(self._random.choice(names)) for _ in range(self._random.randint(1, 3)))
        return known.add_int(Gather(self._name("gather"), sources, self._random.choice(RULES)))

    def _fan(self, known: _Known, body: Body | None = None, **_: object) -> Fan:
        made = Fan(
            self._name("fan"),
            self._list(known),
            self._int(known),
            self._how(),
            body,
            self._chance(0.15),
            self._random.choice([0, 0, 1, 9]),
            self._random.choice([None, None, 1, 2]),
        )
        known.lists.append(made.name)
        known.steps.append(made.name)
        return made

    def _fan_body(self, known: _Known, depth: int, dynamic: bool) -> Fan:
        return self._fan(known, self.body(depth + 1, self._chance(0.3)))

    def _part(self, known: _Known, depth: int, dynamic: bool) -> Part:
        made = Part(self._name("part"), self.body(depth + 1, dynamic=False), self._int(known), self._int(known))
        known.ints.append(made.name)
        return made

    def _turns(self, known: _Known, depth: int, dynamic: bool) -> Turns:
        body = self.body(depth + 1, self._chance(0.3))
        return known.add_int(Turns(self._name("turns"), body, self._int(known), self._int(known), self._chance(0.2)))

    def _branch(self, known: _Known, depth: int, dynamic: bool) -> Branch:
        on = Source(self._random.choice(known.ints))
        sides: list[tuple[Step, ...]] = []
        for _ in range(2):
            inner = known.copy()
            steps = [self._step(depth + 1, dynamic=False, known=inner) for _ in range(self._random.randint(1, 2))]
            sides.append((*steps, self._call(inner, How())))
        return known.add_int(Branch(self._name("branch"), on, *sides))

    def _while(self, known: _Known, **_: object) -> While:
        return known.add_int(While(self._name("while"), self._int(known), self._how()))

    def _for(self, known: _Known, **_: object) -> ForEach:
        made = ForEach(self._name("each"), self._list(known), self._how(tame=True))
        known.ints.append(made.name)
        return made

    def _try(self, known: _Known, **_: object) -> Try:
        how = How("fails", self._random.randrange(20), self._random.choice([0, 1]))
        return known.add_int(Try(self._name("try"), Source(self._random.choice(["x", "y"])), how))
