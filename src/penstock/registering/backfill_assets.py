"""Backfills of assets: which partitions are made of each asset, by which runs, and which of these come first."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from penstock.errors import DefinitionError, NotFoundError
from penstock.model.asset import AssetInput
from penstock.model.partition import Chosen, Everything, Same
from penstock.triggers import backfills
from penstock.triggers.backfills import Order, Piece, Spans
from penstock.triggers.mappings import usual

if TYPE_CHECKING:
    from penstock.app.asset_states import AssetStates
    from penstock.app.assets import Assets

#: assets that are named in a note
_NAMED = 3


class Stage(NamedTuple):
    """Assets that are made together: a run makes all of them that are to be made of its partitions."""

    assets: tuple[str, ...]
    #: how many partitions were meant, also of what is not to be made again
    named: int
    #: partition -> the assets that are made of it, both in order; an empty one for assets without partitions
    made: Mapping[str, tuple[str, ...]]
    pieces: tuple[Piece, ...] = ()


class Layout(NamedTuple):
    """What is made, in stages that each take only what those before them make."""

    stages: tuple[Stage, ...]
    #: what is left out, and why
    notes: tuple[str, ...]

    @property
    def pieces(self) -> list[Piece]:
        """All runs, in their order."""
        return [piece for stage in self.stages for piece in stage.pieces]


class _Edge(NamedTuple):
    """How one asset is made from another."""

    input: AssetInput
    #: each partition is made from that with the same key
    alike: bool
    #: each partition is made from all that there are
    whole: bool


class _Made(NamedTuple):
    """What is to be made of an asset."""

    #: the partitions that were meant; of these, what is made, with what each takes of what the same backfill makes: the
    #: partitions of each asset, or None for all of them
    named: dict[str, None]
    cells: dict[str, list[tuple[str, Sequence[str] | None]]]


def laid_out(
    assets: Assets,
    states: AssetStates,
    roots: Sequence[str],
    keys: Sequence[str],
    which: Collection[str],
    *,
    others: Collection[str] = (),
    downstream: bool,
    batch: int,
    order: Order,
) -> Layout:
    """What a backfill makes: of `roots`, which all have the same partitions, those of the `keys` that are as `which` says;
    with `downstream` also what is made from these, by the mappings between the assets; without, only `others` of that.

    Of what is downstream, a partition is made where something that it takes is made, and where it is itself as `which`
    says. One that also takes what was never made is left out.
    """
    planner = _Planner(assets, states, which)
    graph = assets.graph
    names = graph.around(roots, down=None) if downstream else {*roots, *others}
    for name in graph.in_order(names):
        if name in assets.made:
            planner.add(name, keys if name in roots else (), spreads=downstream or name not in roots)
    return Layout(tuple(_with_pieces(planner, batch, order)), tuple(planner.notes))


class _Planner:
    """Goes through assets in the order in which they are made."""

    def __init__(self, assets: Assets, states: AssetStates, which: Collection[str]) -> None:
        self._graph = assets.graph
        self._states = states
        self._calendar = states.calendar
        self._which = which
        self.made: dict[str, _Made] = {}
        #: asset -> the number of its stage
        self.stages: dict[str, int] = {}
        self.notes: list[str] = []
        #: what was never made of that which every partition of an asset takes all of; by both names
        self._unmade_of_whole: dict[tuple[str, str], list[str]] = {}

    def add(self, name: str, keys: Sequence[str], *, spreads: bool) -> None:
        """Find out what is made of an asset: some `keys` of it, and if it `spreads`, what is touched."""
        edges = [self._edge(name, each) for each in self._graph[name].inputs]
        inner = [edge for edge in edges if edge.input.asset in self.made]
        made = self.made[name] = _Made({}, {})
        chosen, left = set(keys), dict[str, str]()
        is_wanted = self._wanted(name)
        for key in self._candidates(name, keys, inner if spreads else []):
            try:
                touched = [(edge, self._hits(name, edge, key)) for edge in inner]
            except NotFoundError as error:
                if key not in chosen:
                    left[key] = f"cannot be made: {error.what}"
                    continue
                touched = []
            if key not in chosen and not any(hit for _, hit in touched):
                continue
            made.named[key] = None
            takes = [(edge, self._taken(edge, hit)) for edge, hit in touched]
            if not (any(count for _, (count, _) in takes) or is_wanted(key)):
                continue
            lack = "" if key in chosen else self._lack(name, edges, key)
            if lack:
                left[key] = lack
            else:
                made.cells[key] = [(edge.input.asset, taken) for edge, (count, taken) in takes if count]
        self._note(name, made, left, inner)
        if made.cells:
            self.stages[name] = self._stage(name, inner)

    def keys(self, names: Sequence[str]) -> list[str]:
        """The partitions of which any of some assets is made, which all have the same ones; in order."""
        cells = {key for name in names for key in self.made[name].cells}
        partitions = self._graph[names[0]].partitions
        if partitions is None or len(names) == 1:
            return list(self.made[names[0]].cells)
        return [key for key in self._calendar.keys(partitions) if key in cells]

    def _edge(self, name: str, each: AssetInput) -> _Edge:
        up, down = self._graph[each.asset].partitions, self._graph[name].partitions
        mapping = each.mapping or usual(up, down)
        whole = up is not None and (
            isinstance(mapping, Everything) or (down is None and not isinstance(mapping, Chosen))
        )
        return _Edge(each, up == down and (up is None or isinstance(mapping, Same)), whole)

    def _candidates(self, name: str, keys: Sequence[str], edges: Sequence[_Edge]) -> Iterable[str]:
        """The partitions that may be touched, in order."""
        found = dict.fromkeys(keys)
        down = self._graph[name].partitions
        for edge in edges:
            source = edge.input.asset
            if self.made[source].named:
                up = self._graph[source].partitions
                found.update(dict.fromkeys(self._calendar.near(edge.input.mapping, self.made[source].named, up, down)))
        if down is None or len(found) == len(keys):
            return found
        return [key for key in self._calendar.keys(down) if key in found]

    def _needed(self, name: str, edge: _Edge, key: str) -> Sequence[str]:
        """The partitions of an input that a partition is made from. Raises NotFoundError."""
        up = self._graph[edge.input.asset].partitions
        if edge.alike or up is None:
            return (key if edge.alike else "",)
        found = self._calendar.needed(edge.input.mapping, key, up, self._graph[name].partitions)
        return ("",) if found is None else (found,) if isinstance(found, str) else found

    def _hits(self, name: str, edge: _Edge, key: str) -> Sequence[str] | bool:
        """The partitions of an input that were meant and that a partition is made from; whether there are any, of one that
        takes all."""
        named = self.made[edge.input.asset].named
        return bool(named) if edge.whole else [each for each in self._needed(name, edge, key) if each in named]

    def _taken(self, edge: _Edge, hit: Sequence[str] | bool) -> tuple[int, Sequence[str] | None]:
        """How many of these are made, and which; None for all."""
        cells = self.made[edge.input.asset].cells
        if isinstance(hit, bool):
            return len(cells), None
        found = [key for key in hit if key in cells]
        return len(found), found

    def _lack(self, name: str, edges: Sequence[_Edge], key: str) -> str:
        """What a partition takes that was never made and is not going to be; empty if there is nothing like that."""
        lacking: list[str] = []
        for edge in edges:
            if edge.input.parameter is None:
                continue
            try:
                lacking += self._unmade(name, edge, key)
            except NotFoundError as error:
                return f"cannot be made: {error.what}"
        if not lacking:
            return ""
        more = len(lacking) - _NAMED
        listed = ", ".join(lacking[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")
        return f"is made from {listed} too, which {'was' if len(lacking) == 1 else 'were'} never made"

    def _unmade(self, name: str, edge: _Edge, key: str) -> list[str]:
        """What a partition takes by one of its inputs that was never made and is not going to be. Raises NotFoundError."""
        source, known = edge.input.asset, (name, edge.input.asset)
        if edge.whole and known in self._unmade_of_whole:
            return self._unmade_of_whole[known]
        there, made = self._states.latest(source), self.made.get(source)
        found = [
            f"{source}@{each}" if each else source
            for each in self._needed(name, edge, key)
            if each not in there and (made is None or each not in made.cells)
        ]
        if edge.whole:
            self._unmade_of_whole[known] = found
        return found

    def _wanted(self, name: str) -> Callable[[str], bool]:
        """What tells whether a partition is as it is wanted."""
        states, which = self._states, self._which
        if "all" in which:
            return lambda _: True
        made = states.latest(name) if "missing" in which else {}
        failed = {key for key, state in states.states(name).items() if state == "failed"} if "failed" in which else ()
        stale = {cell.partition for cell in states.stale([name])} if "stale" in which else ()
        return lambda key: ("missing" in which and key not in made) or key in failed or key in stale

    def _note(self, name: str, made: _Made, left: Mapping[str, str], edges: Sequence[_Edge]) -> None:
        if left:
            (key, why), many = next(iter(left.items())), len(left) > 1
            one = f"{name}@{key}" if key else name
            what = (
                f"left out are {len(left):,} partitions of {name}: {one} {why}"
                if many
                else f"left out is {one}: it {why}"
            )
            self.notes.append(what)
        elif not made.named and any(self.made[edge.input.asset].named for edge in edges):
            self.notes.append(f"left out is {name}: no partition that it has by now is made from these")

    def _stage(self, name: str, edges: Sequence[_Edge]) -> int:
        """The number of the stage that an asset belongs to: that of what it is made from, where one run can make both for
        the same partition; where it takes nothing that is made here, one with the same partitions; else a new one."""
        before = [(self.stages[edge.input.asset], edge.alike) for edge in edges if edge.input.asset in self.stages]
        last = max((stage for stage, _ in before), default=None)
        if last is not None and all(alike for stage, alike in before if stage == last):
            return last
        own, graph = self._graph[name].partitions, self._graph
        like = (stage for other, stage in self.stages.items() if last is None and graph[other].partitions == own)
        return next(like, max(self.stages.values(), default=-1) + 1)


# The runs.


def _with_pieces(planner: _Planner, batch: int, order: Order) -> Iterator[Stage]:
    stages = list(_staged(planner))
    #: asset -> its partitions -> the number of the run that makes it; and the numbers of all of these runs
    makers: dict[str, dict[str, int]] = {name: {} for name in planner.made}
    every: dict[str, Spans] = {}
    number = 0
    for stage in stages:
        pieces: list[Piece] = []
        parts = list(_batched(stage.made, batch))
        for names, keys in parts if order == "ascending" else parts[::-1]:
            number += 1
            pieces.append(_piece(planner, makers, every, names, keys, alone=len(stages) == 1))
            for name in names:
                makers[name].update(dict.fromkeys(keys, number))
        every |= {name: backfills.spans(makers[name].values()) for name in stage.assets}
        yield stage._replace(pieces=tuple(pieces))


def _staged(planner: _Planner) -> Iterator[Stage]:
    for number in sorted(set(planner.stages.values())):
        names = [name for name in planner.made if planner.stages.get(name) == number]
        yield Stage(
            tuple(names),
            len({key for name in names for key in planner.made[name].named}),
            {key: tuple(name for name in names if key in planner.made[name].cells) for key in planner.keys(names)},
        )


def _batched(made: Mapping[str, tuple[str, ...]], batch: int) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    for names, group in groupby(made.items(), key=lambda item: item[1]):
        keys = [key for key, _ in group]
        for start in range(0, len(keys), batch):
            yield names, tuple(keys[start : start + batch])


def _piece(
    planner: _Planner,
    makers: Mapping[str, Mapping[str, int]],
    every: Mapping[str, Spans],
    names: tuple[str, ...],
    keys: tuple[str, ...],
    *,
    alone: bool,
) -> Piece:
    numbers, whole, reads = set[int](), list[tuple[int, int]](), dict[str, None]()
    for name in names:
        for key in keys:
            for source, taken in planner.made[name].cells[key]:
                if source in names and taken is not None and set(taken) <= set(keys):
                    # the run makes it itself
                    continue
                reads[source] = None
                if taken is None:
                    whole += every[source]
                else:
                    numbers.update(makers[source][each] for each in taken)
    key = backfills.key_of(keys)
    what = ", ".join(names)
    return Piece(
        key=key if alone and key else f"{key} of {what}" if key else what,
        partitions=tuple(key for key in keys if key),
        assets=what,
        after=backfills.joined([*backfills.spans(numbers), *whole]),
        reads=tuple(reads),
    )


def roots_of(assets: Assets, selected: Sequence[str], target: str) -> list[str]:
    """Those of the selected assets of which the partitions are named: all that are divided like the first of them. The others
    are made from these, or from each other. Raises DefinitionError where that is not so, or none has partitions."""
    graph = assets.graph
    ordered = graph.in_order(selected)
    divided = [name for name in ordered if graph[name].partitions is not None]
    if not divided:
        raise DefinitionError(f"{target} has no partitions", remedy=f"Make it: penstock assets materialize {target!r}")
    roots = [name for name in divided if graph[name].partitions == graph[divided[0]].partitions]
    known = set(roots)
    for name in ordered:
        if name not in known and not known.intersection(graph.upstream(name)):
            raise DefinitionError(
                f"{divided[0]} and {name} have different partitions, and {name} is not made from {divided[0]}"
                if name in divided
                else f"{name} has no partitions, and is not made from {divided[0]}",
                where=str(graph[name].location),
                remedy="Begin a backfill for each of them.",
            )
        known.add(name)
    return roots


__all__ = ["Layout", "Stage", "laid_out", "roots_of"]
