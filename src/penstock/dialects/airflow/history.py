"""`inlet_events`: what has happened to the inlets of a task, by the events that are recorded in the project's store."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from penstock.dialects.airflow import recorded
from penstock.dialects.airflow.assets import (
    PARTITION_UPDATED,
    UPDATED,
    Asset,
    AssetAlias,
    AssetEvent,
    AssetRef,
    expanded,
)
from penstock.dialects.airflow.moments import coerce_datetime, instance, parse


class History(list[AssetEvent]):
    """Updates of an asset, the oldest first."""

    def after(self, after: str | datetime) -> History:
        """Those at a moment, and later."""
        begin = _moment(after)
        return History(each for each in self if each.timestamp >= begin)

    def before(self, before: str | datetime) -> History:
        """Those at a moment, and earlier."""
        end = _moment(before)
        return History(each for each in self if each.timestamp <= end)

    def extra(self, key: str, value: str) -> History:
        """Those that say something under a key."""
        return History(each for each in self if key in each.extra and _told(each.extra[key]) == value)

    def ascending(self, ascending: bool = True) -> History:
        """The same in the order of time, or the other way round."""
        return History(sorted(self, key=lambda each: each.timestamp, reverse=not ascending))

    def limit(self, limit: int) -> History:
        """So many of them."""
        return History(self[:limit])


class InletEvents(Mapping[Any, History]):
    """By an inlet, or its place among them: its updates. Raises KeyError for what is no inlet of the task."""

    def __init__(self, inlets: Any) -> None:
        self._inlets = list(expanded(inlets))

    def __getitem__(self, key: Any) -> History:
        wanted = self._inlets[key] if isinstance(key, int) else key
        if isinstance(wanted, str):
            wanted = Asset.ref(uri=Asset(wanted).uri)
        return self._of(wanted)

    def _of(self, wanted: Any) -> History:
        tells = _test(wanted)
        if not any(_covers(inlet, wanted) for inlet in self._inlets):
            raise KeyError(wanted)
        return History(
            AssetEvent({**data, "timestamp": instance(recorded.moment(at))})
            for at, data in recorded.happened(UPDATED, PARTITION_UPDATED)
            if tells(data)
        )

    def for_asset(self, *, name: str | None = None, uri: str | None = None) -> History:
        """Those of an asset by its name, its URI, or both."""
        if name and uri:
            return self[Asset(name, uri)]
        return self[Asset.ref(name=name or "", uri=uri or "")]

    def for_asset_alias(self, *, name: str) -> History:
        """Those of an alias."""
        return self[AssetAlias(name)]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._inlets)

    def __len__(self) -> int:
        return len(self._inlets)


def _test(wanted: Any) -> Callable[[Mapping[str, Any]], bool]:
    """Whether the data of an event is about an asset, or an alias. Raises TypeError for what is neither."""
    if isinstance(wanted, AssetAlias):
        return lambda data: data.get("alias") == wanted.name
    if not isinstance(wanted, (Asset, AssetRef)):
        raise TypeError(f"`key` is of unknown type ({type(wanted).__name__})")
    place = dict(wanted.where())
    return lambda data: place.items() <= data.items()


def _covers(inlet: Any, wanted: Any) -> bool:
    """Whether something that is asked for is an inlet."""
    if isinstance(inlet, AssetAlias) or isinstance(wanted, AssetAlias):
        return isinstance(inlet, AssetAlias) and isinstance(wanted, AssetAlias) and inlet.name == wanted.name
    one, other = (_names(each) for each in (inlet, wanted))
    return all(one[name] == other[name] for name in one.keys() & other.keys()) and bool(one.keys() & other.keys())


def _names(asset: Any) -> dict[str, str]:
    if isinstance(asset, Asset):
        return {"name": asset.name, "uri": asset.uri}
    return dict(asset.where())


def _moment(given: str | datetime) -> Any:
    return coerce_datetime(parse(given) if isinstance(given, str) else given)


def _told(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


__all__ = ["History", "InletEvents"]
