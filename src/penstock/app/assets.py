"""Assets that can be made: the decorator, the assets of a project, and the runs that make them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from types import ModuleType
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, Unpack, cast, overload

from penstock.app import ASSETS, Pipeline
from penstock.app.launching import launch
from penstock.authoring.assets.asset import Asset as DefinedAsset
from penstock.authoring.assets.cells import asset_in, partition_in
from penstock.authoring.assets.external import ExternalAsset
from penstock.authoring.assets.settings import NAMES, AssetOptions, AssetSettings, settings_of
from penstock.authoring.building import Building, required_building
from penstock.authoring.decorated import check_function, check_name
from penstock.authoring.options.policy import policy_of, read_options
from penstock.authoring.source import caller
from penstock.authoring.task import Task
from penstock.errors import DefinitionError, NotFoundError, PenstockError
from penstock.model.options import RunOptions
from penstock.services import Services

if TYPE_CHECKING:
    from penstock.authoring.ref import Ref
    from penstock.model.asset import Materialization
    from penstock.ports import Store
    from penstock.runtime.assets.cells import AssetCell, Needed
    from penstock.runtime.assets.graph import AssetGraph
    from penstock.runtime.assets.partitions import Calendar
    from penstock.runtime.run import Run

P = ParamSpec("P")
R = TypeVar("R")

#: more versions than there are of anything
_EVERY = 1_000_000

#: what is said of an asset that is registered, and not there
BROKEN = "is registered, and its code does not load"

#: the name of a run that makes several assets
NAME = "assets"


class Asset(DefinedAsset[P, R]):
    """A function that makes an asset, ready to be made."""

    def latest(self, partition: str | None = None) -> R:
        """In the body of a pipeline: a ref to the value of the latest version, as it is when the run gets there. Raises
        DefinitionError outside of one: there, `load_asset` loads it."""
        required_building(f"{self.name}.latest", "; anywhere else, write load_asset(...)")
        read = Task(load_asset, f"{self.name}-latest", {"cache": False})
        return read(self.name, partition)

    def materialize(self, *, partitions: Iterable[str] = (), **options: Any) -> Run:
        """Make it. See `materialize`."""
        return materialize(self, partitions=partitions, **options)


@overload
def asset(function: Callable[P, R], /) -> Asset[P, R]: ...
@overload
def asset(*, name: str | None = None, **options: Unpack[AssetOptions]) -> Callable[[Callable[P, R]], Asset[P, R]]: ...


def asset(function: Callable[..., Any] | None = None, /, *, name: str | None = None, **options: Any) -> Any:
    """Make a function an asset: a named data product, of which every run of the function makes a version.

    Its parameters without a default are the assets of their names; `inputs` names others, `deps` those that the function
    reads by itself. `name` is by default the function's. The options are those of `AssetOptions`: what there is to say of the
    asset, which partitions it has, how fresh it has to be, and all options of a task. Raises DefinitionError.
    """
    settings = settings_of(options)
    given = read_options({key: value for key, value in options.items() if key not in NAMES or key == "tags"}, NAMES)
    policy_of(given)

    def decorate(function: Callable[..., Any]) -> Asset[..., Any]:
        check_function(function, "asset")
        check_name(name)
        return Asset(function, name or function.__name__, settings, given)

    return decorate if function is None else decorate(function)


AnyAsset = DefinedAsset[..., Any] | ExternalAsset


def assets_in(module: ModuleType) -> list[AnyAsset]:
    """The assets at the top level of a module, each once, in order."""
    found: list[Any] = [value for value in vars(module).values() if isinstance(value, (DefinedAsset, ExternalAsset))]
    return list({id(each): cast(AnyAsset, each) for each in found}.values())


class Assets:
    """Assets that belong together, with those that they name as such. `places` are the files that they are in. `faults` say
    why others are not here, and `absent` what became of each of those, by name.

    Raises DefinitionError as `AssetGraph` does.
    """

    def __init__(
        self,
        assets: Iterable[AnyAsset],
        places: Iterable[str] = (),
        faults: Sequence[PenstockError] = (),
        absent: Mapping[str, str] | None = None,
    ) -> None:
        from penstock.runtime.assets.graph import AssetGraph

        found: dict[int, AnyAsset] = {}
        waiting = list(assets)
        while waiting:
            each = waiting.pop(0)
            # one that was changed by `options` or `at` is the same asset
            if any(other.function is each.function and other.name == each.name for other in found.values()):
                continue
            found[id(each)] = each
            waiting += each.settings.named
        self.graph: AssetGraph = AssetGraph((each.spec for each in found.values()), absent or {})
        self.by_name: Mapping[str, AnyAsset] = {each.name: each for each in found.values()}
        self.places = tuple(places) or tuple(dict.fromkeys(_file_of(each) for each in found.values()))
        self.faults = tuple(faults)
        self.broken = [name for name, word in self.graph.absent.items() if word == BROKEN]

    @property
    def target(self) -> str:
        """What loads them again, from any folder."""
        return ASSETS + os.pathsep.join(self.places)

    @cached_property
    def made(self) -> dict[str, DefinedAsset[..., Any]]:
        """Those that are made here, by name."""
        return {name: each for name, each in self.by_name.items() if isinstance(each, DefinedAsset)}

    def calendar(self, store: Store | None, now: float | None = None) -> Calendar:
        """The partitions that there are now."""
        import time

        from penstock.runtime.assets.partitions import Calendar

        def dynamic(name: str) -> Sequence[str]:
            return [] if store is None else store.catalog.dynamic_partitions(name)

        return Calendar(time.time() if now is None else now, dynamic)

    def needed(self, calendar: Calendar, cells: Iterable[AssetCell]) -> dict[AssetCell, list[Needed]]:
        """What each of the cells is made from."""
        from penstock.runtime.assets.cells import needs

        return {cell: needs(self.graph, calendar, cell) for cell in cells}


def _file_of(asset: AnyAsset) -> str:
    """The file that an asset is defined in."""
    if isinstance(asset, ExternalAsset):
        # its function may be somebody else's
        return os.path.abspath(asset.location.file)  # noqa: PTH100 - as text, without what it leads to
    return _file_of_module(sys.modules.get(asset.function.__module__))


def _file_of_module(module: ModuleType | None) -> str:
    file = getattr(module, "__file__", None)
    return os.path.abspath(file) if file else ""  # noqa: PTH100


class AssetPipeline(Pipeline[..., Any]):
    """The pipeline that makes cells of assets: its parameters say which, and from which versions of what it does not make.

    With `apart`, every cell stands by itself, and is made from what is stored.
    """

    def __init__(
        self, assets: Assets, name: str = NAME, options: RunOptions | None = None, *, apart: bool = False
    ) -> None:
        def materialize(cells: list[str], inputs: dict[str, int], selection: str = "") -> dict[str, Any]:
            building = required_building("materialize")
            given = building.parameters
            return self._composed(building, given.get("cells"), given.get("inputs", {}))

        first = next((each.function for each in assets.made.values()), None)
        # the run is one of the file that the assets are in
        materialize.__module__ = materialize.__module__ if first is None else first.__module__
        super().__init__(materialize, name, options)
        self.assets = assets
        self._apart = apart
        #: versions that are known, so that nothing is read again
        self.known: dict[AssetCell, Materialization] = {}

    def _composed(self, building: Building, ids: Sequence[str] | None, inputs: Mapping[str, int]) -> dict[str, Ref]:
        from penstock.runtime.assets.composing import Composer

        services = Services(self.run_options)
        cells = self._drawn() if ids is None else [parsed(each) for each in ids]
        unknown = next((cell.asset for cell in cells if cell.asset not in self.assets.made), None)
        if unknown is not None:
            from penstock.runtime.assets.graph import unknown_asset

            raise unknown_asset(unknown, self.assets.made)
        wanted = {parsed(name): version for name, version in inputs.items()}
        if wanted and not wanted.keys() <= self.known.keys():
            with services.existing_store() as store:
                self.known |= recorded(store, wanted)
        if services.has_store:
            with services.existing_store() as store:
                needed = self.assets.needed(self.assets.calendar(store), cells)
        else:
            needed = self.assets.needed(self.assets.calendar(None), cells)
        composer = Composer(self.assets.made, needed, self.known, services.values, apart=self._apart)
        return composer.compose(building, cells)

    def _drawn(self) -> list[AssetCell]:
        """One cell of each asset, for a picture of them."""
        from penstock.runtime.assets.cells import AssetCell

        calendar = self.assets.calendar(None)
        found: list[AssetCell] = []
        for name in self.assets.graph.in_order(self.assets.made):
            partitions = self.assets.graph[name].partitions
            keys = ("",) if partitions is None else calendar.keys(partitions)[-1:]
            found += [AssetCell(name, key) for key in keys]
        return found


def parsed(node: str) -> AssetCell:
    """The cell that a node makes, by its id."""
    from penstock.runtime.assets.cells import AssetCell

    return AssetCell(asset_in(node), partition_in(node))


def recorded(store: Store, wanted: Mapping[AssetCell, int]) -> dict[AssetCell, Materialization]:
    """Versions of cells by their numbers. Raises NotFoundError for one that is no longer recorded."""
    found: dict[AssetCell, Materialization] = {}
    for cell, version in wanted.items():
        versions = store.catalog.history(cell.asset, cell.partition, limit=_EVERY)
        match = next((each for each in versions if each.version == version), None)
        if match is None:
            raise _unrecorded(cell, version, versions)
        found[cell] = match
    return found


def _unrecorded(cell: AssetCell, version: int, versions: Sequence[Materialization]) -> NotFoundError:
    """What to raise for a version that is not there."""
    if not versions:
        return NotFoundError(f"{cell.id} was never made")
    newest = versions[0].version
    if version > newest or version < 1:
        return NotFoundError(f"there is no version {version} of {cell.id}", remedy=f"The latest is {newest}.")
    return NotFoundError(f"version {version} of {cell.id} is no longer recorded")


def latest_of(store: Store | None, cells: Iterable[AssetCell]) -> dict[AssetCell, Materialization]:
    """The latest versions of those of the cells that have one."""
    from penstock.runtime.assets.cells import AssetCell

    by_asset: dict[str, list[str]] = {}
    for cell in cells:
        by_asset.setdefault(cell.asset, []).append(cell.partition)
    if store is None:
        return {}
    return {
        AssetCell(name, key): version
        for name, keys in by_asset.items()
        for key, version in store.catalog.latest_of(name, keys).items()
    }


def prepared(
    assets: Assets,
    selection: str,
    *,
    partitions: Iterable[str] = (),
    options: RunOptions | None = None,
) -> tuple[AssetPipeline, dict[str, Any]]:
    """The pipeline that makes a selection of assets, and the values of its parameters; `launch` it with the target of the
    assets. Of assets with partitions, `partitions` says which: keys, ranges of them (`A..B`), `latest`, `missing`, `stale`,
    `all`.

    Where nothing is stale, say, there may be no cells. Raises DefinitionError for a selection that means nothing, and
    NotFoundError for what they are made from and neither made with them nor there.
    """
    from contextlib import nullcontext

    from penstock.app.asset_states import AssetStates
    from penstock.runtime.assets.cells import cells_of, outside
    from penstock.runtime.assets.selecting import select

    options = options or RunOptions()
    services = Services(options)
    with services.existing_store() if services.has_store else nullcontext() as store:
        states = AssetStates(assets, store, options)
        names = select(selection, assets.graph, states.selectors)
        wanted = list(partitions)
        if wanted and names and all(assets.graph[name].partitions is None for name in names):
            raise DefinitionError(
                f"{', '.join(names)} {'has' if len(names) == 1 else 'have'} no partitions, and {', '.join(wanted)} is asked for",
                where=str(assets.graph[names[0]].location),
                remedy="Leave --partition (partitions=...) out.",
            )
        keys = states.chosen(wanted)
        cells = cells_of(assets.graph, names, keys)
        if names and not cells:
            _check_makeable(assets, names)
        needed = assets.needed(states.calendar, cells)
        sources = outside(cells, needed)
        versions = latest_of(store, sources)
        _check_there(assets, needed, versions, sources)
        if store is not None:
            _check_taken(assets, needed, versions, store)
    made = list(dict.fromkeys(cell.asset for cell in cells))
    pipeline = AssetPipeline(assets, made[0] if len(made) == 1 else NAME, options)
    pipeline.known = versions
    return pipeline, {
        "cells": [cell.id for cell in cells],
        "inputs": {cell.id: version.version for cell, version in versions.items()},
        "selection": selection,
    }


def _check_makeable(assets: Assets, names: Sequence[str]) -> None:
    """Raise DefinitionError where nothing of what is selected is made here."""
    external = [name for name in names if assets.graph[name].external]
    if len(external) == len(names):
        raise DefinitionError(
            f"{', '.join(external)} {'is' if len(external) == 1 else 'are'} made elsewhere",
            where=str(assets.graph[external[0]].location),
            remedy=f"Look what there is: penstock assets observe {' '.join(external)}.",
        )


def _check_there(
    assets: Assets,
    needed: Mapping[AssetCell, Sequence[Needed]],
    versions: Mapping[AssetCell, Materialization],
    sources: Mapping[AssetCell, AssetCell],
) -> None:
    """Raise NotFoundError for a value that is to be taken and was never made."""
    taken = {
        source for each in needed.values() for need in each if need.input.parameter is not None for source in need.cells
    }
    for source, cell in sources.items():
        version = versions.get(source)
        if source in taken and (version is None or version.value is None):
            raise NotFoundError(
                f"{cell.id} is made from {source.id}, which was never made",
                where=str(assets.graph[cell.asset].location),
                remedy=f"Make it as well: +{cell.asset} stands for {cell.asset} and all that it is made from.",
            )


def _check_taken(
    assets: Assets,
    needed: Mapping[AssetCell, Sequence[Needed]],
    versions: Mapping[AssetCell, Materialization],
    store: Store,
) -> None:
    """Raise NotFoundError where the latest version of what is to be taken did not pass a blocking check."""
    from penstock.app.asset_gates import check_passed

    taken = {
        cell for each in needed.values() for need in each if need.input.parameter is not None for cell in need.cells
    }
    by_asset: dict[str, list[Materialization]] = {}
    for cell, version in versions.items():
        if cell in taken:
            by_asset.setdefault(cell.asset, []).append(version)
    for name, each in by_asset.items():
        check_passed(store, name, each, assets.graph[name])


def materialize(
    *selection: DefinedAsset[..., Any] | str,
    partitions: Iterable[str] = (),
    assets: Iterable[AnyAsset] | ModuleType | Assets | None = None,
    tags: Sequence[str] = (),
    **options: Any,
) -> Run:
    """Make assets, here; see `penstock.materialize`. A selection is one of `assets`; by default, of those of the module that
    calls. Raises DefinitionError, and NotFoundError for what was never made and would be needed.
    """
    from penstock.app import checked_options
    from penstock.runtime.surroundings.project import working_project

    given = [each for each in selection if isinstance(each, DefinedAsset)]
    known = _universe(given, assets)
    text = ", ".join(each.name if isinstance(each, DefinedAsset) else each for each in selection) or "*"
    chosen = Pipeline(materialize, NAME).options(**options).run_options
    chosen = checked_options(working_project(chosen.home).applied(chosen))
    pipeline, parameters = prepared(known, text, partitions=partitions, options=chosen)
    ended = launch(pipeline, parameters, chosen, target=known.target, tags=tags)
    if ended.interrupted:
        raise KeyboardInterrupt(f"run {ended.run_id} was interrupted; finished tasks are in the cache")
    return ended


def calling_assets() -> list[AnyAsset]:
    """The assets of the module whose code called into penstock."""
    module = sys.modules.get(_calling_module())
    return [] if module is None else assets_in(module)


def _universe(
    given: Sequence[DefinedAsset[..., Any]], assets: Iterable[AnyAsset] | ModuleType | Assets | None
) -> Assets:
    """The assets that a selection is one of."""
    if isinstance(assets, Assets):
        return assets
    if isinstance(assets, ModuleType):
        return Assets(assets_in(assets), [_file_of_module(assets)])
    if assets is not None:
        return Assets(assets)
    modules = dict.fromkeys(each.function.__module__ for each in given) or {_calling_module(): None}
    loaded = [sys.modules[name] for name in modules if name in sys.modules]
    found = {id(each): each for module in loaded for each in assets_in(module)}
    names = {each.name for each in found.values()}
    others = [each for each in given if each.name not in names]
    if not found and not others:
        raise DefinitionError(
            "there are no assets in the module that calls",
            where=str(caller()),
            remedy="Name them: materialize(features).",
        )
    return Assets([*found.values(), *others])


def _calling_module() -> str:
    """The name of the module whose code called into penstock."""
    from penstock.authoring.source import is_own

    frame = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    while is_own(frame.f_code.co_filename) and frame.f_back is not None:
        frame = frame.f_back
    return str(frame.f_globals.get("__name__", ""))


def load_asset(name: Any, partition: str | None = None, version: int | None = None) -> Any:
    """The value of an asset (or of the one by that name): of its latest version, or of another. `partition` is for one
    that has any.

    Raises NotFoundError for an asset, a partition or a version that was never made, or of which only the version is known,
    and for a latest version that did not pass a blocking check; by its number, that one is loaded too.
    """
    from penstock.app.asset_gates import check_passed
    from penstock.runtime.assets.cells import AssetCell
    from penstock.runtime.assets.graph import unknown_asset

    called = name if isinstance(name, str) else cast(AnyAsset, name).name
    cell = AssetCell(called, partition or "")
    services = Services()
    with services.existing_store() as store:
        if version is None:
            found = store.catalog.latest_of(called, [cell.partition]).get(cell.partition)
        else:
            found = recorded(store, {cell: version})[cell]
        if found is None:
            known = {each.asset for each in store.catalog.latest()}
            if called not in known:
                raise unknown_asset(called, known, remedy=None if known else "Nothing was ever made.")
            raise NotFoundError(
                f"{cell.id} was never made",
                remedy=None if partition else f"It has partitions: load_asset({called!r}, partition=...).",
            )
        if version is None:
            check_passed(store, called, [found])
    if found.value is None:
        raise NotFoundError(f"{called} is made elsewhere: only its version is known, {found.digest.hex()[:12]}")
    return services.values.load(found.value)


def load_assets(target: str, load: Callable[[str], ModuleType]) -> AssetPipeline:
    """The pipeline of a run that made assets, by its target; `load` loads a file."""
    places = target.removeprefix(ASSETS).split(os.pathsep)
    return AssetPipeline(Assets([each for place in places for each in assets_in(load(place))], places))


__all__ = [
    "BROKEN",
    "AnyAsset",
    "Asset",
    "AssetPipeline",
    "AssetSettings",
    "Assets",
    "asset",
    "assets_in",
    "latest_of",
    "load_asset",
    "load_assets",
    "materialize",
    "prepared",
    "recorded",
]
