"""`materialize`: assets made by a call, those of the module that calls, or those that are registered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

from penstock.app import assets as made
from penstock.authoring.assets.asset import Asset
from penstock.authoring.source import caller
from penstock.errors import DefinitionError, TargetError

if TYPE_CHECKING:
    from penstock.runtime.run import Run


def materialize(
    *selection: Asset[..., Any] | str,
    partitions: Iterable[str] = (),
    assets: Iterable[made.AnyAsset] | ModuleType | None = None,
    tags: Sequence[str] = (),
    **options: Any,
) -> Run:
    """Make assets, here: those that are given, or that a selection means (`"+features"`, `"group:raw"`, `"stale()"`).
    Returns the run, whether it succeeded or not.

    `partitions` says which partitions of those that have any. What is not made is taken as it was made last. A selection is
    one of `assets` (or of those in a module); by default, of the module that calls, or where that has none, of those that
    are registered. The options are those of `Pipeline.options`. Raises DefinitionError, and NotFoundError for what was
    never made and would be needed.
    """
    known: Any = assets
    if assets is None and all(isinstance(each, str) for each in selection) and not made.calling_assets():
        known = _registered(options.get("home"))
    return made.materialize(*selection, partitions=partitions, assets=known, tags=tags, **options)


def _registered(home: str | None) -> made.Assets:
    """The assets that are registered. Raises DefinitionError where none are."""
    from penstock.model.options import RunOptions
    from penstock.registering.assets import project_assets
    from penstock.services import Services

    try:
        return project_assets(Services(RunOptions(home=None if home is None else str(home))))
    except TargetError as error:
        raise DefinitionError(
            f"there are no assets in the module that calls, and none can be taken from this project: {error.what}",
            where=str(caller()),
            remedy="Name them: materialize(features). Or make them known: penstock register FILE.",
        ) from None


__all__ = ["materialize"]
