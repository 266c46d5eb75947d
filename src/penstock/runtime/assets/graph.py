"""Which assets are made from which: the graph over all of a project."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

from penstock.errors import DefinitionError, NotFoundError
from penstock.model.asset import AssetSpec
from penstock.runtime.reading.nearest import nearest


class AssetGraph:
    """Assets by name, in an order in which every one follows those that it is made from. `absent` says of others what became
    of them.

    Raises DefinitionError for two assets of a name, an input that is no asset, one that is observed and taken as a value,
    and a cycle.
    """

    def __init__(self, specs: Iterable[AssetSpec], absent: Mapping[str, str] | None = None) -> None:
        known: dict[str, AssetSpec] = {}
        for spec in specs:
            if (twin := known.get(spec.name)) is not None:
                raise DefinitionError(
                    f"two assets are called {spec.name!r}; the other is at {twin.location}",
                    where=str(spec.location),
                    remedy="Give one of them another name: @asset(name=...).",
                )
            known[spec.name] = spec
        for spec in known.values():
            check_inputs(spec, known)
        self.absent: Mapping[str, str] = absent or {}
        self.specs: Mapping[str, AssetSpec] = {name: known[name] for name in _sorted(known)}
        self.downstream: Mapping[str, tuple[str, ...]] = _downstream(self.specs)

    def __iter__(self) -> Iterator[str]:
        return iter(self.specs)

    def __contains__(self, name: object) -> bool:
        return name in self.specs

    def __len__(self) -> int:
        return len(self.specs)

    def __getitem__(self, name: str) -> AssetSpec:
        """Raises NotFoundError, naming near ones."""
        found = self.specs.get(name)
        if found is None and name in self.absent:
            raise NotFoundError(f"{name} {self.absent[name]}", remedy=remedy_of_absent(name))
        if found is None:
            raise unknown_asset(name, self.specs)
        return found

    def upstream(self, name: str) -> tuple[str, ...]:
        """The assets that one is made from."""
        return tuple(dict.fromkeys(each.asset for each in self.specs[name].inputs))

    def around(self, names: Iterable[str], *, up: int | None = 0, down: int | None = 0) -> set[str]:
        """Assets with those that are so many steps up and down from them (None: all)."""
        names = list(names)
        return {*names, *_reach(names, self.upstream, up), *_reach(names, self.downstream.__getitem__, down)}

    def in_order(self, names: Iterable[str]) -> list[str]:
        """The same names, each behind those that it is made from."""
        wanted = set(names)
        return [name for name in self.specs if name in wanted]


def remedy_of_absent(name: str) -> str:
    """What to do about an asset that was registered, and is not there."""
    return f"What was made of it is recorded: penstock assets history {name}. To have it back, register its file: penstock register FILE."


def unknown_asset(name: str, known: Iterable[str], remedy: str | None = None) -> NotFoundError:
    """What to raise for an asset that is not there."""
    known = list(known)
    near = nearest(name, known)
    there = f"There are: {', '.join(known[:10])}{', ...' if len(known) > 10 else ''}" if known else "There are none."
    return NotFoundError(
        f"there is no asset {name!r}", remedy=f"Did you mean {' or '.join(near)}?" if near else remedy or there
    )


def check_inputs(spec: AssetSpec, known: Mapping[str, AssetSpec]) -> None:
    """Raise DefinitionError where an asset is made from one that is not known, or takes the value of one that has none."""
    for each in spec.inputs:
        made = known.get(each.asset)
        if made is None:
            near = nearest(each.asset, known)
            what = f"takes {each.parameter!r}" if each.parameter == each.asset else f"is made from {each.asset!r}"
            meant = f"Did you mean {' or '.join(near)}? " if near else ""
            raise DefinitionError(
                f"{spec.name} {what}, and there is no asset of that name",
                where=str(spec.location),
                remedy=f"{meant}A parameter that is no asset needs a default; one that takes an asset of another name is "
                "declared: inputs={...}.",
            )
        if made.external and each.parameter is not None:
            raise DefinitionError(
                f"{spec.name} takes the value of {each.asset}, which is made elsewhere and has none here",
                where=str(spec.location),
                remedy=f"Let the function read it by itself, and name it: @asset(deps=[{each.asset!r}]).",
            )


def circle(known: Mapping[str, AssetSpec]) -> list[str]:
    """Assets that are made from each other in a circle, the first of them again at the end; empty where none are."""
    try:
        TopologicalSorter(_made_from(known)).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found
    return []


def _made_from(known: Mapping[str, AssetSpec]) -> dict[str, list[str]]:
    return {name: [each.asset for each in spec.inputs] for name, spec in known.items()}


def _sorted(known: Mapping[str, AssetSpec]) -> list[str]:
    cycle = circle(known)
    if cycle:
        raise DefinitionError(
            f"the assets are made from each other in a circle: {' -> '.join(cycle)}",
            where=str(known[cycle[0]].location),
            remedy="Take one of these inputs away.",
        )
    return list(TopologicalSorter(_made_from(known)).static_order())


def _downstream(specs: Mapping[str, AssetSpec]) -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = {name: {} for name in specs}
    for name, spec in specs.items():
        for each in spec.inputs:
            found[each.asset][name] = None
    return {name: tuple(names) for name, names in found.items()}


def _reach(names: Iterable[str], step: Any, most: int | None) -> set[str]:
    found, edge = set[str](), set(names)
    while edge and (most is None or most > 0):
        edge = {other for name in edge for other in step(name)} - found
        found |= edge
        most = None if most is None else most - 1
    return found


__all__ = ["AssetGraph", "check_inputs", "circle", "remedy_of_absent", "unknown_asset"]
