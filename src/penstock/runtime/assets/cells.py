"""What is made of assets: cells, which are an asset and a partition of it, and the cells that each is made from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from penstock.authoring.assets.cells import cell_id
from penstock.model.asset import AssetInput
from penstock.runtime.assets.graph import AssetGraph
from penstock.runtime.assets.partitions import Calendar


class AssetCell(NamedTuple):
    """An asset, or a partition of one."""

    asset: str
    #: empty for an asset without partitions
    partition: str = ""

    @property
    def id(self) -> str:
        """What its node is called: `features@2026-03-01`."""
        return cell_id(self.asset, self.partition)


class Needed(NamedTuple):
    """What one input of a cell takes."""

    input: AssetInput
    cells: tuple[AssetCell, ...]
    #: whether the function takes a dict of them, by the keys of their partitions
    several: bool


def needs(graph: AssetGraph, calendar: Calendar, cell: AssetCell) -> list[Needed]:
    """What a cell is made from, input by input."""
    spec = graph[cell.asset]
    found: list[Needed] = []
    for each in spec.inputs:
        keys = calendar.needed(each.mapping, cell.partition, graph[each.asset].partitions, spec.partitions)
        several = keys is not None and not isinstance(keys, str)
        names = ("",) if keys is None else (keys,) if isinstance(keys, str) else tuple(keys)
        found.append(Needed(each, tuple(AssetCell(each.asset, key) for key in names), several))
    return found


def cells_of(graph: AssetGraph, names: Sequence[str], keys_of: Callable[[str], Iterable[str]]) -> list[AssetCell]:
    """The cells of assets, in the order of the assets; `keys_of` tells the partitions that are meant of one that has any."""
    return [
        AssetCell(name, key)
        for name in names
        if not graph[name].external
        for key in (("",) if graph[name].partitions is None else keys_of(name))
    ]


def outside(made: Iterable[AssetCell], needed: Mapping[AssetCell, Sequence[Needed]]) -> dict[AssetCell, AssetCell]:
    """What cells are made from that is not among them -> the first of them that needs it."""
    inside = set(made)
    found: dict[AssetCell, AssetCell] = {}
    for cell in inside if not isinstance(made, Sequence) else made:
        for each in needed[cell]:
            for source in each.cells:
                if source not in inside:
                    found.setdefault(source, cell)
    return found


__all__ = ["AssetCell", "Needed", "cells_of", "needs", "outside"]
