"""The assets of a project: those of files, folders or modules that are named, or those that are registered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from penstock.app.assets import AnyAsset, Assets, assets_in
from penstock.errors import TargetError
from penstock.registering.loading import load_module, split_target
from penstock.registering.places import Place, places_of
from penstock.registering.registration import targets_of

if TYPE_CHECKING:
    from penstock.services import Services


def project_assets(services: Services, targets: Sequence[str] = ()) -> Assets:
    """The assets in what is named; by default, those that are registered, or else those in `[tool.penstock] register`.

    Raises TargetError where there are none, or where one of the files does not load, and DefinitionError for assets that
    do not go together.
    """
    found: list[AnyAsset] = []
    origins: list[str] = []
    for place in _places(services, targets):
        there = [each for each in assets_in(load_module(place.origin)) if place.name in ("", each.name)]
        found += there
        origins += [place.origin] if there else []
    if not found:
        raise TargetError(
            f"there are no assets in {', '.join(targets) if targets else 'this project'}",
            remedy="Decorate a function with @asset (from penstock import asset)."
            if targets
            else "Say where they are (-f FILE or FOLDER), or make them known: penstock register FILE.",
        )
    return Assets(found, origins)


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
