"""The body of a run that makes assets: a node for each of them, with what is not made here as it is stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from penstock.authoring.assets.asset import Asset
from penstock.authoring.building import Building
from penstock.authoring.ref import Ref
from penstock.model.asset import Materialization
from penstock.model.expression import Constant, Expression, Stored
from penstock.model.expression import Mapping as MappingExpression
from penstock.model.expression import Sequence as SequenceExpression
from penstock.model.value import Argument, Artifact, Collection
from penstock.runtime.assets.cells import AssetCell, Needed
from penstock.values import Values


class Composer:
    """Adds the nodes of cells to a pipeline. `versions` are those of what is not made in it, or of all there is, if every
    cell is to stand by itself (`apart`)."""

    def __init__(
        self,
        assets: Mapping[str, Asset[..., Any]],
        needed: Mapping[AssetCell, Sequence[Needed]],
        versions: Mapping[AssetCell, Materialization],
        values: Values,
        *,
        apart: bool = False,
    ) -> None:
        self._assets = assets
        self._needed = needed
        self._versions = versions
        self._values = values
        self._apart = apart

    def compose(self, building: Building, cells: Sequence[AssetCell]) -> dict[str, Ref]:
        """Add the nodes, in the given order, which has every cell behind those that it is made from. Returns the refs to
        the values, by the ids of the nodes."""
        made: dict[AssetCell, Ref] = {}
        for cell in cells:
            asset = self._assets[cell.asset]
            arguments = {
                each.input.parameter or each.input.asset: self._argument(building, each, made)
                for each in self._needed[cell]
            }
            if asset.key_parameter:
                arguments[asset.key_parameter] = cell.partition
            made[cell] = asset.place(building, arguments, cell.partition or None, checked=not self._apart)
        return {cell.id: ref for cell, ref in made.items()}

    def _argument(self, building: Building, needed: Needed, made: Mapping[AssetCell, Ref]) -> Any:
        found = {cell: self._value(building, needed, cell, made) for cell in needed.cells}
        if needed.several:
            return {cell.partition: value for cell, value in found.items()}
        return next(iter(found.values()))

    def _value(self, building: Building, needed: Needed, cell: AssetCell, made: Mapping[AssetCell, Ref]) -> Any:
        ref = None if self._apart else made.get(cell)
        if ref is not None:
            return ref
        version = self._versions.get(cell)
        if version is None:
            # of what is read without being taken, it may be that nothing was ever seen
            assert needed.input.parameter is None
            return None
        if version.value is None:
            return version.digest.hex()
        return Ref(self._stored(version.value), building)

    def _stored(self, value: Argument) -> Expression:
        match value:
            case Artifact():
                return Stored(value)
            case Collection("dict", items, keys):
                return MappingExpression(dict(zip(keys, map(self._stored, items), strict=True)))
            case Collection(kind, items):
                return SequenceExpression(tuple(map(self._stored, items)), "tuple" if kind == "tuple" else "list")
            case _:
                return Constant(self._values.load(value))


__all__ = ["Composer"]
