"""The options of an asset that are none of a task: read, checked, and kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypedDict, cast

import msgspec

from penstock.authoring.assets.automations import automation_of
from penstock.authoring.assets.partitions import Chooser, mapping_of
from penstock.authoring.decorated import Decorated
from penstock.authoring.kinds.conversion import shortened
from penstock.authoring.kinds.parameters import to_json
from penstock.authoring.options.policy import Seconds, TaskOptions
from penstock.authoring.options.reading import Refused, duration, texts
from penstock.authoring.source import caller
from penstock.errors import DefinitionError
from penstock.model.asset import AssetInput, AssetSpec, Automation, Freshness
from penstock.model.partition import Mapping as PartitionMapping
from penstock.model.partition import Partitions

if TYPE_CHECKING:
    from penstock.authoring.assets.asset import Asset
    from penstock.authoring.assets.external import ExternalAsset
    from penstock.authoring.triggers.schedules import Schedule

    #: an asset, or the name of one, or what `upstream` gives
    Named = Asset[..., Any] | ExternalAsset | AssetInput | str


class AboutAsset(TypedDict, total=False):
    """What there is to say of any asset."""

    group: str
    owners: Iterable[str]
    #: texts for people to select by
    tags: Iterable[str]
    #: by default, the docstring of the function
    description: str
    #: JSON-able
    metadata: Mapping[str, Any]
    #: which partitions it has
    partitions: Any
    #: how old the latest version may be: seconds, a timedelta, text such as "24h", or a `Freshness`
    fresh: Any


class AssetOptions(AboutAsset, TaskOptions, total=False):  # pyright: ignore[reportIncompatibleVariableOverride]
    """All that `asset` takes: what the asset is, and how its function is run."""

    #: assets that the function reads by itself: their versions count, and it is made after them
    deps: Iterable[Any]
    #: parameter -> the asset that it takes, where that is not the one of its name: an asset, its name, or `upstream(...)`
    inputs: Mapping[str, Any]
    #: when it is made by itself: `eager()`, `when_missing(7)`, `on_schedule(...)`; of a list, any that holds
    automation: Any


class AssetSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the options of an asset amount to."""

    group: str = ""
    owners: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    description: str = ""
    metadata: dict[str, Any] = {}
    partitions: Any = None
    freshness: Freshness | None = None
    automation: Automation | None = None
    deps: tuple[AssetInput, ...] = ()
    inputs: dict[str, AssetInput] = {}
    #: the assets that were named as such, and not by their names
    named: tuple[Any, ...] = ()

    def spec(self, name: str, description: str) -> AssetSpec:
        return AssetSpec(
            name=name,
            description=description,
            group=self.group,
            owners=self.owners,
            tags=self.tags,
            metadata=self.metadata,
            partitions=self.partitions,
            freshness=self.freshness,
            automation=self.automation,
        )


#: the options that are not those of a task; `tags` are both
NAMES = (*AboutAsset.__annotations__, "deps", "inputs", "automation")


def upstream(asset: Named, mapping: PartitionMapping | Chooser | None = None) -> AssetInput:
    """An asset to be made from, with which of its partitions are for a partition: `inputs={"week": upstream(day, last(7))}`,
    or a function from a key to the key above, or to several. Of several partitions, the function takes a dict from their
    keys to their values. Raises DefinitionError."""
    return AssetInput(_name_of(asset), mapping=mapping_of(mapping))


def fresh_by(schedule: Schedule, within: Seconds | str = 0.0) -> Freshness:
    """A rule of freshness by a schedule: at each of its ticks, and `within` that long after it, there is to be a version that
    was made since. `fresh=fresh_by(cron("0 6 * * *"), within="1h")`. Raises DefinitionError."""
    try:
        grace = duration(within) if within else 0.0
    except Refused as refusal:
        raise DefinitionError(f"within must be {refusal}, not {within!r}", where=str(caller())) from None
    return Freshness(grace, schedule.timetable)


def settings_of(options: Mapping[str, Any]) -> AssetSettings:
    """The settings that options amount to. Raises DefinitionError, with the user's line."""
    given = {name: options[name] for name in NAMES if name in options}
    deps, inputs = _several(given.pop("deps", ())), dict[str, Any](given.pop("inputs", None) or {})
    found: dict[str, Any] = {
        "deps": tuple(_input(each, None) for each in deps),
        "inputs": {name: _input(each, name) for name, each in inputs.items()},
        "named": tuple(each for each in (*deps, *inputs.values()) if not isinstance(each, (str, AssetInput))),
    }
    for name, value in given.items():
        try:
            found["freshness" if name == "fresh" else name] = _READERS[name](value)
        except Refused as refusal:
            raise DefinitionError(
                f"{name} must be {refusal}, not {shortened(repr(value))}", where=str(caller())
            ) from None
    return AssetSettings(**found)


def _input(asset: Any, parameter: str | None) -> AssetInput:
    found = asset if isinstance(asset, AssetInput) else AssetInput(_name_of(asset))
    return msgspec.structs.replace(found, parameter=parameter)


def _name_of(asset: Any) -> str:
    from penstock.authoring.assets.external import ExternalAsset

    if isinstance(asset, str) and asset:
        return asset
    if isinstance(asset, ExternalAsset) or getattr(asset, "role", "") == "asset":
        return cast("Decorated[..., Any] | ExternalAsset", asset).name
    raise DefinitionError(
        f"an asset, or the name of one, is wanted here, and not {shortened(repr(asset))}", where=str(caller())
    )


def _several(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, (list, tuple, set, frozenset)) else (value,)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def _text(value: Any) -> str:
    if type(value) is not str:
        raise Refused("a text")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    return texts([value] if isinstance(value, str) else value)


def _metadata(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise Refused("a dict of what is to be known of it")
    return to_json(value)


def _partitions(value: Any) -> Any:
    if value is not None and not isinstance(value, Partitions):
        raise Refused('partitions, such as daily("2026-01-01")')
    return value


def _freshness(value: Any) -> Freshness | None:
    if value is None or isinstance(value, Freshness):
        return value
    if isinstance(value, (int, float, str, timedelta)):
        return Freshness(duration(value))
    raise Refused('how old it may be: seconds, a timedelta, or text such as "24h"')


_READERS = {
    "group": _text,
    "owners": _texts,
    "tags": _texts,
    "description": _text,
    "metadata": _metadata,
    "partitions": _partitions,
    "fresh": _freshness,
    "automation": automation_of,
}
