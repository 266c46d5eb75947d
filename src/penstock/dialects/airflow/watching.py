"""Watchers of assets: files whose coming is an update of an asset. A sensor of each DAG that follows such an asset looks for
them, takes them away as Airflow does, and says that the asset was updated."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from msgspec.structs import replace

from penstock.authoring.triggers.sensors import Sensor, SensorResult, sensor
from penstock.dialects.airflow.assets import UPDATED, Asset, BaseAsset, expanded
from penstock.errors import DefinitionError, NotCoveredError

if TYPE_CHECKING:
    from penstock.authoring.pipeline import Composition
    from penstock.authoring.triggers.trigger import Trigger
    from penstock.dialects.airflow.dag import DAG


class BaseEventTrigger:
    """What Airflow's triggerer asks about an asset. Those of users' own are not covered."""

    #: how often it is asked, in seconds
    poke_interval: float = 5.0
    #: whether a sensor can ask it
    is_covered: ClassVar[bool] = False

    def file(self) -> Path:
        """The file whose coming is the event."""
        raise NotImplementedError

    def payload(self, file: Path) -> Any:
        """What the event says."""
        raise NotImplementedError


class FileDeleteTrigger(BaseEventTrigger):
    """A file comes, and is taken away."""

    is_covered = True

    def __init__(self, filepath: str, poke_interval: float = 5.0, **_: Any) -> None:
        self.filepath = filepath
        self.poke_interval = poke_interval

    def file(self) -> Path:
        return Path(self.filepath)

    def payload(self, file: Path) -> Any:
        return True


class DirectoryFileDeleteTrigger(BaseEventTrigger):
    """A file of a folder comes, and is taken away."""

    is_covered = True

    def __init__(self, *, directory: str, filename: str, poke_interval: float = 5.0) -> None:
        self.directory = directory
        self.filename = filename
        self.poke_interval = poke_interval

    def file(self) -> Path:
        return Path(self.directory) / self.filename

    def payload(self, file: Path) -> Any:
        return {"filepath": str(file)}


class AssetWatcher:
    """Who asks about an asset."""

    def __init__(self, name: str, trigger: Any) -> None:
        self.name = name
        self.trigger = trigger


def check_covered(asset: BaseAsset) -> None:
    """Raise NotCoveredError for an asset that something is asked about which no sensor can be asked about."""
    if not isinstance(asset, Asset):
        return
    for each in asset.watchers:
        trigger = getattr(each, "trigger", None)
        if not (isinstance(trigger, BaseEventTrigger) and trigger.is_covered):
            raise NotCoveredError(
                f"the watcher {getattr(each, 'name', each)!r} of the asset {asset.name!r} asks "
                f"{_called(trigger)}, which is not covered by penstock's reader of Apache Airflow",
                where=str(asset.watched),
                remedy='Let a trigger of penstock follow what is watched: files("incoming/*.csv"), event("type").',
            )


def _called(trigger: Any) -> str:
    from penstock.dialects.uncovered import Uncovered

    return str(vars(trigger)["penstock"][1]) if isinstance(trigger, Uncovered) else f"a {type(trigger).__name__}"


def watchers_of(dag: DAG, pipeline: Composition[..., Any], assets: Any) -> dict[str, Trigger]:
    """The sensors that look for updates of the assets which a DAG follows, by name: `DAG-WATCHER`."""
    found: dict[str, Trigger] = {}
    for asset in _leaves(assets):
        for each in asset.watchers:
            name = f"{dag.dag_id}-{each.name}"
            if name in found:
                raise DefinitionError(
                    f"two watchers of the DAG {dag.dag_id!r} are called {each.name!r}", where=str(asset.watched)
                )
            found[name] = _sensor(dag, pipeline, asset, each, name)
    return found


def _leaves(assets: Any) -> Iterator[Asset]:
    leaves = (leaf for each in expanded(assets) for leaf in each.leaves())
    yield from dict.fromkeys(each for each in leaves if isinstance(each, Asset))


def _sensor(
    dag: DAG, pipeline: Composition[..., Any], asset: Asset, watcher: AssetWatcher, name: str
) -> Sensor[Any, Any]:
    enabled = dag.is_paused_upon_creation is not True
    every = max(float(watcher.trigger.poke_interval), 0.1)
    made = sensor(pipeline, every=every, name=name, enabled=enabled)(_looking(dag, asset, watcher, name))
    made.noun = replace(made.noun, location=asset.watched or dag.location)
    made.module = pipeline.function.__module__
    return made


def _looking(dag: DAG, asset: Asset, watcher: AssetWatcher, name: str) -> Callable[[], SensorResult]:
    trigger: BaseEventTrigger = watcher.trigger
    # what counts as its code
    said = (asset.name, asset.uri, type(trigger).__name__, str(trigger.file()))

    def look() -> SensorResult:
        return looked(asset, trigger, said)

    look.__name__ = look.__qualname__ = name
    look.__module__ = dag.module
    return look


def looked(asset: Asset, trigger: BaseEventTrigger, _: object = None) -> SensorResult:
    """Look whether a file has come. It is told of, and then taken away."""
    file = trigger.file()
    try:
        changed = file.stat().st_mtime_ns if file.is_file() else None
    except FileNotFoundError:
        changed = None
    if changed is None:
        return SensorResult(skipped=f"there is no {file}")
    extra = {"from_trigger": True, "payload": trigger.payload(file)}
    data = {"name": asset.name, "uri": asset.uri, "alias": "", "extra": extra, "source_map_index": -1}
    # by the public face, as a user's own code has it
    emit = importlib.import_module("penstock").emit
    # who comes to tell of it again tells of the same event
    emit(UPDATED, data, subject=asset.uri, source=f"airflow/{asset.uri}", id=f"{file}@{changed}")
    file.unlink(missing_ok=True)
    return SensorResult(skipped=f"{file} has come: {asset.name} was updated")


__all__ = [
    "AssetWatcher",
    "BaseEventTrigger",
    "DirectoryFileDeleteTrigger",
    "FileDeleteTrigger",
    "check_covered",
    "looked",
    "watchers_of",
]
