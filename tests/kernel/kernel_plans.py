"""Random pipelines together with what will become of each of their nodes, and what must come out at the end.

`expected` is the plain interpreter that the kernel is compared with: it walks the nodes once, in order, knows nothing
of events, and reads the plans, not the graph that is made of them.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass

from hypothesis import strategies as st
from kernel_graphs import mapped, node

from penstock.model.expression import Choose, Constant, Expression, Output, Parameter
from penstock.model.expression import Sequence as SequenceExpression
from penstock.model.graph import Graph, Node

#: node and item
Cell = tuple[str, int]


@dataclass(frozen=True)
class Fate:
    """What becomes of a node or an item: of its look-up, and of its attempts one after the other."""

    #: hit, miss or broken
    lookup: str
    #: how many attempts fail before one succeeds
    failures: int
    #: how often the first attempt comes back unstarted
    returns: int

    def end(self, retries: int) -> str:
        if self.lookup == "miss":
            return "SUCCEEDED" if self.failures <= retries else "FAILED"
        return {"hit": "CACHED", "broken": "FAILED"}[self.lookup]


@dataclass(frozen=True)
class Read:
    """What an input reads: a node, several of them, the first that can be had of several, or a constant."""

    #: node, all, first or constant
    kind: str
    node: str = ""
    parts: tuple[Read, ...] = ()

    def nodes(self) -> set[str]:
        return {self.node} if self.kind == "node" else {name for part in self.parts for name in part.nodes()}

    def expression(self) -> Expression:
        if self.kind == "constant":
            return Constant(0)
        if self.kind == "node":
            return Output(self.node)
        parts = tuple(part.expression() for part in self.parts)
        return Choose(parts) if self.kind == "first" else SequenceExpression(parts)


@dataclass(frozen=True)
class Plan:
    """A node to be, and its fate."""

    name: str
    reads: tuple[Read, ...]
    after: tuple[str, ...]
    retries: int
    delay: float
    #: whether the condition holds, fails to hold or breaks; None without a condition
    guard: str | None
    #: the fates of its items, for a mapped node; the one of the node itself otherwise
    fates: tuple[Fate, ...]
    mapped: bool

    def node(self) -> Node:
        make = mapped if self.mapped else node
        reads = [read.expression() for read in self.reads]
        guard = None if self.guard is None else Parameter("go")
        return make(self.name, *reads, retries=self.retries, delay=self.delay, after=self.after, guard=guard)

    @property
    def opening(self) -> str | None:
        """How the node ends before anything of it is looked up, if it does."""
        if self.guard in ("SKIPPED", "FAILED"):
            return self.guard
        return "SUCCEEDED" if self.mapped and not self.fates else None

    @property
    def cells(self) -> list[Cell]:
        if self.opening is not None:
            return [(self.name, -1)]
        return [(self.name, item) for item in range(len(self.fates))] if self.mapped else [(self.name, -1)]

    def fate(self, item: int) -> Fate:
        return self.fates[max(item, 0)]

    def upstream(self) -> set[str]:
        return {name for read in self.reads for name in read.nodes()} | set(self.after)


def graph_of(plans: list[Plan]) -> Graph:
    return Graph("pipeline", (), {}, tuple(plan.node() for plan in plans))


# The plain interpreter.

FRUITFUL = ("SUCCEEDED", "CACHED")
_BLAME = {"SKIPPED": 0, "CANCELLED": 1, "FAILED": 2, "UPSTREAM_FAILED": 2}


def fated(plans: list[Plan]) -> dict[Cell, str]:
    """How each cell will end if it gets that far."""
    ends: dict[Cell, str] = {}
    for plan in plans:
        for name, item in plan.cells:
            ends[name, item] = plan.opening or plan.fate(item).end(plan.retries)
    return ends


def expected(
    plans: list[Plan], told: Mapping[Cell, str], decided: Container[str] | None = None
) -> dict[Cell, str | None]:
    """How nodes and items ended, given what the cells that got that far came to, and of which nodes that were not to run
    in any case the condition was looked at (None: of all); None for what has not ended."""
    ends: dict[Cell, str | None] = {}
    for plan in plans:
        upstream = {name: ends[name, -1] for name in plan.upstream()}
        if None in upstream.values():
            ends[plan.name, -1] = None
            continue
        states = {name: str(state) for name, state in upstream.items()}
        stopped = _verdict(plan, states)
        if stopped in ("UPSTREAM_FAILED", "CANCELLED") and plan.guard is not None:
            known = decided is None or plan.name in decided
            ends[plan.name, -1] = (stopped if plan.guard == "holds" else plan.guard) if known else None
        elif stopped is not None:
            ends[plan.name, -1] = stopped
        else:
            ends.update({cell: told.get(cell) for cell in plan.cells})
            ends[plan.name, -1] = _together([told.get(cell) for cell in plan.cells])
    return ends


def _verdict(plan: Plan, states: dict[str, str]) -> str | None:
    """How a node ends because of what ended before it, if it does."""
    wanted = [*plan.reads, *(Read("node", name) for name in plan.after)]
    blame = [_blame(read, states) for read in wanted if not _available(read, states)]
    return ("SKIPPED", "CANCELLED", "UPSTREAM_FAILED")[max(blame)] if blame else None


def _available(read: Read, states: dict[str, str]) -> bool:
    if read.kind == "node":
        return states[read.node] in FRUITFUL
    found = [_available(part, states) for part in read.parts]
    return any(found) if read.kind == "first" else all(found)


def _blame(read: Read, states: dict[str, str]) -> int:
    if read.kind == "node":
        return _BLAME[states[read.node]]
    return max(_blame(part, states) for part in read.parts if not _available(part, states))


def _together(ends: list[str | None]) -> str | None:
    if None in ends:
        return None
    for state in ("FAILED", "CANCELLED", "SKIPPED"):
        if state in ends:
            return state
    return "CACHED" if set(ends) == {"CACHED"} else "SUCCEEDED"


# Random plans.

FATES = st.builds(
    Fate,
    lookup=st.sampled_from(["miss", "miss", "miss", "miss", "hit", "hit", "broken"]),
    failures=st.sampled_from([0, 0, 0, 1, 1, 2, 3]),
    returns=st.sampled_from([0, 0, 0, 1, 2]),
)


def reads_of(names: list[str]) -> st.SearchStrategy[Read]:
    """Anything that an input can read of some nodes: mostly one of them, sometimes a choice between several."""
    single = st.builds(Read, st.just("node"), st.sampled_from(names))
    several = st.lists(single, min_size=1, max_size=2).map(lambda parts: Read("all", parts=tuple(parts)))
    options = st.one_of(single, single, several, st.just(Read("constant")))
    first = st.lists(options, min_size=1, max_size=3).map(lambda parts: Read("first", parts=tuple(parts)))
    nested = st.lists(st.one_of(first, single), min_size=1, max_size=2).map(lambda p: Read("first", parts=tuple(p)))
    return st.one_of(single, single, single, several, first, first, nested)


@st.composite
def plans(draw: st.DrawFn) -> list[Plan]:
    """Up to twelve nodes, each reading nodes before it."""
    made: list[Plan] = []
    for place in range(draw(st.integers(1, 12))):
        names = [plan.name for plan in made]
        many = draw(st.sampled_from([False, False, True]))
        fates = draw(st.lists(FATES, max_size=4)) if many else [draw(FATES)]
        made.append(
            Plan(
                name=f"n{place}",
                reads=tuple(draw(st.lists(reads_of(names), max_size=3))) if names else (),
                after=tuple(draw(st.lists(st.sampled_from(names), max_size=1))) if names else (),
                retries=draw(st.sampled_from([0, 0, 1, 2])),
                delay=draw(st.sampled_from([0.0, 1.5])),
                guard=draw(st.sampled_from([None, None, None, "holds", "holds", "SKIPPED", "FAILED"])),
                fates=tuple(fates),
                mapped=many,
            )
        )
    return made
