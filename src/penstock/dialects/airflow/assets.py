"""Assets, which before Airflow 3 were called datasets: what tasks make (`outlets`), and what starts DAGs.

A task that succeeds and has outlets emits an event of the type `airflow.asset.updated` for each; a DAG that assets start is
one whose trigger follows these events.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, cast
from urllib.parse import urlsplit

from penstock.authoring.source import caller
from penstock.authoring.triggers.events import all_of, any_of, event
from penstock.errors import NotCoveredError
from penstock.model.occurrence import Condition, Pattern

#: the type of the events
UPDATED: Final = "airflow.asset.updated"
#: the type of those that are about a partition: as in Airflow, they start only DAGs that follow partitions
PARTITION_UPDATED: Final = "airflow.asset.partition.updated"
#: characters of the key of a partition, at most
_LONGEST_KEY: Final = 250
#: what `outlet_events` have collected, among what a task has pushed
OUTLET_EVENTS: Final = "__outlet_events__"


class BaseAsset:
    """What may start a DAG: an asset, or a condition over several."""

    def __or__(self, other: Any) -> AssetAny:
        return AssetAny(self, other) if isinstance(other, BaseAsset) else NotImplemented

    def __and__(self, other: Any) -> AssetAll:
        return AssetAll(self, other) if isinstance(other, BaseAsset) else NotImplemented

    def leaves(self) -> Iterator[BaseAsset]:
        """The assets in it."""
        yield self

    def where(self) -> Mapping[str, Any]:
        """What the data of its events has."""
        raise NotImplementedError


class Asset(BaseAsset, os.PathLike[str]):
    """Something that tasks make and that others follow, by a name and a URI; one that is given is the other as well."""

    kind = "asset"

    def __init__(
        self,
        name: str | None = None,
        uri: str | None = None,
        *,
        group: str | None = None,
        extra: Mapping[str, Any] | None = None,
        watchers: Iterable[Any] = (),
        **_: Any,
    ) -> None:
        #: who asks whether it was updated by somebody else, and where the file says so; see `watching`
        self.watchers = list(watchers)
        self.watched = caller() if self.watchers else None
        name, uri = self._both(name, uri)
        if not name or not uri:
            raise ValueError("Asset requires a name or a uri")
        self.name = name
        self.uri = _sanitized(uri)
        self.group = group or self.kind
        self.extra: dict[str, Any] = dict(extra or {})

    @staticmethod
    def _both(name: str | None, uri: str | None) -> tuple[str | None, str | None]:
        return name if name is not None else uri, uri if uri is not None else name

    def __fspath__(self) -> str:
        return self.uri

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Asset) and (other.name, other.uri) == (self.name, self.uri)

    def __hash__(self) -> int:
        return hash((self.name, self.uri))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r}, uri={self.uri!r})"

    def where(self) -> Mapping[str, Any]:
        return {"uri": self.uri}

    @staticmethod
    def ref(*, name: str = "", uri: str = "") -> AssetRef:
        """An asset that is defined elsewhere. Raises TypeError unless it is told by one of the two."""
        if bool(name) == bool(uri):
            raise TypeError("Asset reference must be made to either name or URI")
        return AssetRef(name, uri)


class Dataset(Asset):
    """An asset as it was before Airflow 3: by its URI."""

    kind = "dataset"

    def __init__(self, uri: str | None = None, extra: Mapping[str, Any] | None = None, **options: Any) -> None:
        super().__init__(options.pop("name", None), uri, extra=extra, **options)


class Model(Asset):
    """An asset that is a model."""

    kind = "model"


class AssetRef(BaseAsset):
    """An asset that is defined elsewhere."""

    def __init__(self, name: str = "", uri: str = "") -> None:
        self.name = name
        self.uri = uri

    def where(self) -> Mapping[str, Any]:
        return {"name": self.name} if self.name else {"uri": _sanitized(self.uri)}


class AssetAlias(BaseAsset):
    """A name under which assets are found that a task only knows when it runs."""

    def __init__(self, name: str, group: str = "asset") -> None:
        self.name = name
        self.group = group

    def where(self) -> Mapping[str, Any]:
        return {"alias": self.name}

    def __hash__(self) -> int:
        return hash(self.name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AssetAlias) and other.name == self.name


class _Several(BaseAsset):
    def __init__(self, *objects: BaseAsset) -> None:
        if not all(isinstance(each, BaseAsset) for each in objects):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError("expect asset expressions in condition")
        self.objects = objects

    def leaves(self) -> Iterator[BaseAsset]:
        for each in self.objects:
            yield from each.leaves()


class AssetAny(_Several):
    """One of several assets is updated."""

    def __or__(self, other: Any) -> AssetAny:
        return AssetAny(*self.objects, other) if isinstance(other, BaseAsset) else NotImplemented


class AssetAll(_Several):
    """All of several assets are updated."""

    def __and__(self, other: Any) -> AssetAll:
        return AssetAll(*self.objects, other) if isinstance(other, BaseAsset) else NotImplemented


def _sanitized(uri: str) -> str:
    """A URI as Airflow has it. Raises ValueError for one of Airflow's own."""
    uri = os.fspath(uri)
    parts = urlsplit(uri)
    if parts.scheme.lower() == "airflow":
        raise ValueError("Asset scheme 'airflow' is reserved")
    if not parts.scheme or (not parts.netloc and not parts.path.startswith("/")):
        return uri
    return parts._replace(scheme=parts.scheme.lower()).geturl()


# As events.


def expanded(given: Any) -> Iterator[Any]:
    """The assets among the outlets of a task, those of lists and of `@asset` functions included."""
    for each in cast("Iterable[Any]", given) if isinstance(given, (list, tuple, set)) else [given]:
        if isinstance(each, (list, tuple, set)):
            yield from expanded(each)
        elif each is not None:
            yield each


def condition_of(given: Any) -> Condition:
    """The condition over events that assets amount to. Raises DefinitionError for what is none."""
    assets = given if isinstance(given, BaseAsset) else AssetAll(*expanded(given))
    return _condition(assets, itertools.count(1))


def check_watched(asset: BaseAsset) -> None:
    """Raise NotCoveredError for an asset that has watchers: nothing of theirs is about a partition."""
    if isinstance(asset, Asset) and asset.watched is not None:
        raise NotCoveredError(
            f"the watchers of the asset {asset.name!r}, which Airflow's triggerer asks, are not covered by penstock's reader of "
            "Apache Airflow",
            where=str(asset.watched),
            remedy='Let a trigger of penstock follow what is watched: files("incoming/*.csv"), event("type").',
        )


def _condition(asset: BaseAsset, numbers: Iterator[int], name: str = "") -> Condition:
    from penstock.dialects.airflow.watching import check_covered

    check_covered(asset)
    if not isinstance(asset, _Several):
        return event(UPDATED, where=dict(asset.where()), name=name or f"asset_{next(numbers)}")
    if isinstance(asset, AssetAny) and not any(isinstance(each, AssetAll) for each in asset.objects):
        # whichever of them it is, it is found by one name
        name = name or f"asset_{next(numbers)}"
    parts = [_condition(each, numbers, name) for each in asset.objects]
    if len(parts) == 1:
        return parts[0]
    return all_of(*parts) if isinstance(asset, AssetAll) else any_of(*parts)


def patterns_in(condition: Any) -> Iterator[Pattern]:
    """The events that a condition is made of."""
    if isinstance(condition, Pattern):
        yield condition
    for each in getattr(condition, "conditions", ()):
        yield from patterns_in(each)


class UpdatedEvent(NamedTuple):
    """An asset was updated: `data` is that of the event."""

    data: Mapping[str, Any]
    id: str

    @property
    def type(self) -> str:
        return PARTITION_UPDATED if "partition_key" in self.data else UPDATED


def updates_of(
    outlets: Any,
    place: tuple[str, str, str, int],
    pushed: Mapping[str, Any],
    partition: tuple[str | None, datetime | None] = (None, None),
) -> Iterator[UpdatedEvent]:
    """The events that a task with outlets is to emit once it has succeeded. Its `place` are the ids of its DAG, itself and its
    run, and which item it is; `pushed` is what it has told of them itself, `partition` the key and the date of its run."""
    told: Mapping[str, Any] = pushed.get(OUTLET_EVENTS) or {}
    for outlet in expanded(outlets):
        if isinstance(outlet, Asset):
            yield from _updates(outlet.name, outlet.uri, told.get(outlet.uri, {}), "", place, partition)
        elif isinstance(outlet, AssetRef):
            where = outlet.uri or outlet.name
            yield from _updates(outlet.name or where, where, told.get(where, {}), "", place, partition)
        elif isinstance(outlet, AssetAlias):
            for each in told.get(f"alias:{outlet.name}", ()):
                yield from _updates(each["name"], each["uri"], each, outlet.name, place, partition)


def _updates(
    name: str,
    uri: str,
    told: Mapping[str, Any],
    alias: str,
    place: tuple[str, str, str, int],
    partition: tuple[str | None, datetime | None],
) -> Iterator[UpdatedEvent]:
    """One event, or one for each partition that the task has told of itself."""
    run_key, run_date = partition
    keys: list[str | None] = [*told.get("partitions", ())] or [run_key]
    for key in keys:
        made = _update(name, uri, told, alias, place)
        if key is None:
            yield made
            continue
        # what the run is about says nothing of another partition
        date = run_date.astimezone(UTC).isoformat() if run_date is not None and key == run_key else None
        about = {"partition_key": key, "partition_date": date}
        yield UpdatedEvent({**made.data, **about}, f"{made.id}#{key}")


def _update(name: str, uri: str, told: Mapping[str, Any], alias: str, place: tuple[str, str, str, int]) -> UpdatedEvent:
    dag_id, task_id, run_id, index = place
    data = {
        "name": name,
        "uri": uri,
        "alias": alias,
        "extra": dict(told.get("extra", {})),
        "source_dag_id": dag_id,
        "source_task_id": task_id,
        "source_run_id": run_id,
        "source_map_index": index,
    }
    return UpdatedEvent(data, f"{run_id}/{task_id}/{index}/{alias}/{uri}")


# In the context.


class AssetEvent:
    """An update of an asset that a run is told of."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.asset = Asset(data.get("name"), data.get("uri"))
        self.dataset = self.asset
        self.uri = self.asset.uri
        self.extra: dict[str, Any] = dict(data.get("extra") or {})
        self.source_dag_id = data.get("source_dag_id")
        self.source_task_id = data.get("source_task_id")
        self.source_run_id = data.get("source_run_id")
        self.source_map_index = data.get("source_map_index", -1)
        self.timestamp: Any = data.get("timestamp")
        self.partition_key: str | None = data.get("partition_key")

    def __repr__(self) -> str:
        return f"<AssetEvent {self.uri} of {self.source_dag_id}.{self.source_task_id}>"


class Events(dict[Any, Any]):
    """Events by the asset; it is also found by its URI and its name, as in Airflow 2."""

    def __missing__(self, key: Any) -> Any:
        for asset, events in self.items():
            if key in (asset.uri, asset.name):
                return events
        raise KeyError(key)


def triggering_events(told: Mapping[str, Any]) -> Events:
    """What happened to the assets that started a run."""
    found = Events()
    for data in told.values():
        # of one of several events, the others say nothing
        if isinstance(data, Mapping) and "uri" in data:
            made = AssetEvent(cast("Mapping[str, Any]", data))
            found.setdefault(made.asset, []).append(made)
    return found


class _Outlet:
    """What a task says of one of its outlets."""

    def __init__(self, told: dict[str, Any], alias: str = "") -> None:
        self._told = told
        self._alias = alias

    @property
    def extra(self) -> dict[str, Any]:
        return self._told.setdefault("extra", {})

    @extra.setter
    def extra(self, value: Mapping[str, Any]) -> None:
        self._told["extra"] = dict(value)

    @property
    def partition_keys(self) -> set[str]:
        """The partitions that the task has said were updated."""
        return set(self._told.get("partitions", ()))

    def add_partitions(self, keys: str | list[str]) -> None:
        """Say which partitions of the asset were updated. Raises ValueError for what is no key, and TypeError for an alias."""
        if self._alias:
            raise TypeError(
                "add_partitions() is not supported on asset alias outlet events; partition keys can only be attached to a "
                "concrete asset."
            )
        given = [keys] if isinstance(keys, str) else list(keys)
        for key in given:
            if not key.strip():
                raise ValueError(f"partition_key must not be empty or whitespace-only; got {key!r}.")
            if len(key) > _LONGEST_KEY:
                raise ValueError(f"partition_key must be at most {_LONGEST_KEY} characters; got {len(key)}.")
        self._told["partitions"] = sorted(self.partition_keys.union(given))

    def add(self, asset: Any, extra: Mapping[str, Any] | None = None) -> None:
        """Say that an asset was updated, of an alias."""
        made = asset if isinstance(asset, Asset) else Asset(asset)
        found = {"name": made.name, "uri": made.uri, "extra": dict(extra or self._told.get("extra", {}))}
        self._told.setdefault("added", []).append(found)


class OutletEvents:
    """`outlet_events` of the context: by an outlet, what the task says of it."""

    def __init__(self, outlets: Any, pushed: dict[str, Any]) -> None:
        self._outlets = list(expanded(outlets))
        self._pushed = pushed

    def __getitem__(self, key: Any) -> _Outlet:
        told = self._pushed.setdefault(OUTLET_EVENTS, {})
        if isinstance(key, AssetAlias):
            inner: dict[str, Any] = {"added": told.setdefault(f"alias:{key.name}", [])}
            return _Outlet(inner, key.name)
        name = key if isinstance(key, str) else getattr(key, "uri", None) or getattr(key, "name", None)
        # one that is only named is the outlet of that name
        named = (each.uri for each in self._outlets if isinstance(each, Asset) and each.name == name)
        return _Outlet(told.setdefault(next(named, name), {}))

    def for_asset(self, *, name: str | None = None, uri: str | None = None) -> _Outlet:
        """What the task says of an asset, by its name, its URI, or both."""
        return self[Asset(name, uri) if name and uri else Asset.ref(name=name or "", uri=uri or "")]

    def for_asset_alias(self, *, name: str) -> _Outlet:
        """What the task says of an alias."""
        return self[AssetAlias(name)]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._outlets)

    def __len__(self) -> int:
        return len(self._outlets)


class Metadata:
    """What a task yields to say more of an outlet."""

    def __init__(self, asset: Any, extra: Mapping[str, Any] | None = None, alias: Any = None) -> None:
        self.asset = asset
        self.extra = dict(extra or {})
        self.alias = alias


# `@asset`.


class AssetDefinition(Asset):
    """A function under `@asset`: an asset, and the DAG of one task that makes it."""

    def __init__(self, function: Callable[..., Any], options: Mapping[str, Any], dag: Mapping[str, Any]) -> None:
        name = options.get("name") or function.__name__
        super().__init__(**cast("dict[str, Any]", {**options, "name": name}))
        self.function = function
        make_dag(self, function, [self], dag)


class MultiAssetDefinition(BaseAsset):
    """A function under `@asset.multi`: several assets, and the DAG of one task that makes them."""

    def __init__(self, function: Callable[..., Any], outlets: Iterable[Any], dag: Mapping[str, Any]) -> None:
        self.name = function.__name__
        self.outlets = list(outlets)
        make_dag(self, function, self.outlets, dag)

    def leaves(self) -> Iterator[BaseAsset]:
        for each in self.outlets:
            yield from each.leaves()

    def where(self) -> Mapping[str, Any]:
        return {"source_dag_id": self.name}


def make_dag(definition: Any, function: Callable[..., Any], outlets: list[Any], options: Mapping[str, Any]) -> None:
    """Make the DAG of an `@asset` function: one task, which has the assets as outlets."""
    import inspect

    from penstock.dialects.airflow.dag import DAG
    from penstock.dialects.airflow.operators.python import PythonOperator

    names = tuple(name for name, each in inspect.signature(function).parameters.items() if each.default is each.empty)
    inlets = [Asset.ref(name=name) for name in names if name not in ("self", "context", "outlet_events")]
    own = definition if isinstance(definition, MultiAssetDefinition) else Asset(definition.name, definition.uri)
    with DAG(definition.name, **options):
        task = PythonOperator(
            task_id=function.__name__, inlets=inlets, outlets=outlets, python_callable=_body(function, names, own)
        )
        # nothing that the file says
        task.without_effect.pop("inlets", None)


def _body(function: Callable[..., Any], names: tuple[str, ...], own: Any) -> Callable[..., Any]:
    """What the task of an `@asset` function calls: the function, with itself, the context, and other assets by their
    names."""

    def body(**context: Any) -> Any:
        given = {"self": own, "context": context, "outlet_events": context["outlet_events"]}
        return function(**{name: given[name] if name in given else _named(function, name) for name in names})

    body.__name__ = body.__qualname__ = function.__name__
    body.__module__ = function.__module__
    return body


def _named(function: Callable[..., Any], name: str) -> Asset:
    """The asset of a name in the file of a function; one that is only known by its name where there is none."""
    known = cast("Mapping[str, Any]", getattr(function, "__globals__", {}))
    return next((each for each in known.values() if isinstance(each, Asset) and each.name == name), Asset(name))


class AssetDecorator:
    """`@asset`, and `@asset.multi`."""

    def __call__(self, function: Any = None, **options: Any) -> Any:
        own = {name: options.pop(name) for name in ("name", "uri", "group", "extra", "watchers") if name in options}

        def decorate(function: Callable[..., Any]) -> AssetDefinition:
            return AssetDefinition(function, own, options)

        return decorate if function is None else decorate(function)

    def multi(self, *, outlets: Iterable[Any], **options: Any) -> Any:
        """A function that makes several assets."""

        def decorate(function: Callable[..., Any]) -> MultiAssetDefinition:
            return MultiAssetDefinition(function, outlets, options)

        return decorate


asset: Final = AssetDecorator()


__all__ = [
    "OUTLET_EVENTS",
    "PARTITION_UPDATED",
    "UPDATED",
    "Asset",
    "AssetAlias",
    "AssetAll",
    "AssetAny",
    "AssetEvent",
    "AssetRef",
    "BaseAsset",
    "Dataset",
    "Metadata",
    "Model",
    "OutletEvents",
    "asset",
    "check_watched",
    "condition_of",
    "expanded",
    "patterns_in",
    "triggering_events",
    "updates_of",
]
