"""The assets of a project: those of files, folders or modules that are named, or those that are registered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.app.assets import BROKEN, AnyAsset, Assets, assets_in
from penstock.authoring.source import nearby
from penstock.errors import DefinitionError, PenstockError, TargetError
from penstock.registering.loading import load_module, split_target
from penstock.registering.places import Place, places_of
from penstock.registering.registration import targets_of

if TYPE_CHECKING:
    from penstock.model.asset import AssetSpec
    from penstock.services import Services


def project_assets(services: Services, targets: Sequence[str] = ()) -> Assets:
    """The assets in what is named; by default, those that are registered, or else those in `[tool.penstock] register`.

    Where nothing is named, what is wrong with one of the files, or with an asset in it, is among the `faults` of the assets,
    and the others go on without it. Raises TargetError where there are none, or where one of the named files does not load,
    and DefinitionError for assets that do not go together.
    """
    faults: list[PenstockError] = []
    found: list[tuple[str, AnyAsset]] = []
    for place in _places(services, targets):
        try:
            there = assets_in(load_module(place.origin))
        except PenstockError as error:
            if targets:
                raise
            faults.append(_gone(error, place.origin))
        else:
            found += [(place.origin, each) for each in there if place.name in ("", each.name)]
    if not targets:
        found = _whole(found, faults)
    if not found:
        if faults:
            raise faults[0]
        raise TargetError(
            f"there are no assets in {', '.join(targets) if targets else 'this project'}",
            remedy="Decorate a function with @asset (from penstock import asset)."
            if targets
            else "Say where they are (-f FILE or FOLDER), or make them known: penstock register FILE.",
        )
    assets = [each for _, each in found]
    absent = {} if targets else _absent(services, {each.name for each in assets})
    return Assets(assets, dict.fromkeys(origin for origin, _ in found), faults, absent)


def _gone(error: PenstockError, origin: str) -> PenstockError:
    """What to say of a registered file that does not load."""
    if Path(origin).suffix != ".py" or Path(origin).exists():
        return error
    return TargetError(
        f"{nearby(origin)} is registered, and is no longer there",
        remedy=f"If it is gone for good, let its definitions retire: penstock register {nearby(origin)}",
    )


def _whole(found: Sequence[tuple[str, AnyAsset]], faults: list[PenstockError]) -> list[tuple[str, AnyAsset]]:
    """The assets of which all that they are made from is there. What is wrong with the others is put among the faults."""
    from penstock.runtime.assets.graph import AssetGraph, check_inputs, circle

    left = list(found)
    while True:
        specs = {spec.name: spec for _, each in left for spec in _specs(each)}
        kept: list[tuple[str, AnyAsset]] = []
        for origin, each in left:
            try:
                check_inputs(each.spec, specs)
            except DefinitionError as error:
                faults.append(error)
            else:
                kept.append((origin, each))
        if len(kept) == len(left):
            cycle = circle(specs)
            if not cycle:
                return kept
            try:
                AssetGraph(specs.values())
            except DefinitionError as error:
                faults.append(error)
            kept = [(origin, each) for origin, each in kept if each.name not in cycle]
        left = kept


def _specs(asset: AnyAsset) -> Iterator[AssetSpec]:
    """What an asset is, and what those are that it names as such."""
    yield asset.spec
    for each in asset.settings.named:
        yield from _specs(each)


def _absent(services: Services, there: set[str]) -> dict[str, str]:
    """The registered assets that are not there, with what became of them."""
    if not services.has_store:
        return {}
    with services.existing_store() as store:
        known = store.agenda.definitions("asset", retired=True)
    return {each.name: "is retired" if each.retired else BROKEN for each in known if each.name not in there}


def _places(services: Services, targets: Sequence[str]) -> list[Place]:
    if not targets:
        registered = _registered(services)
        if registered or not services.project.settings.get("register"):
            return [Place(origin) for origin in registered]
        targets = targets_of(services, ())
    return list(dict.fromkeys(place for target in targets for place in places_of(target)))


def _registered(services: Services) -> Iterable[str]:
    """The files and modules that registered assets are in."""
    if not services.has_store:
        return ()
    with services.existing_store() as store:
        found = store.agenda.definitions("asset")
    return dict.fromkeys(split_target(each.target)[0] for each in found)


__all__ = ["project_assets"]
