"""From updates of assets for partitions to runs of a DAG that follows them, as Airflow's scheduler goes about it.

Each update is for the keys that the mapper of its asset makes of its own. Of each key it is held what has come for it; its run
starts once the assets say so, and those whose mapper waits for several keys have enough. Then it begins anew.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from msgspec.structs import replace

from penstock.authoring.triggers.events import event
from penstock.authoring.triggers.sensors import RunRequest, SensorResult, sensor
from penstock.authoring.triggers.trigger import Trigger
from penstock.dialects.airflow import recorded
from penstock.dialects.airflow.assets import (
    PARTITION_UPDATED,
    AssetAll,
    AssetAny,
    BaseAsset,
    check_watched,
)
from penstock.dialects.airflow.params import ASSET_EVENTS
from penstock.dialects.airflow.partitions.mappers import PartitionMapper, RollupMapper, described, keys_of
from penstock.dialects.airflow.partitions.runs import PARTITION_DATE, PARTITION_KEY
from penstock.dialects.airflow.partitions.timetables import PartitionedAssetTimetable, agreed
from penstock.dialects.airflow.partitions.waiting import WaitPolicy
from penstock.dialects.airflow.partitions.windows import Window
from penstock.model.trigger import ListenerSource

if TYPE_CHECKING:
    from penstock.authoring.pipeline import Composition
    from penstock.dialects.airflow.dag import DAG

#: seconds between two looks, if nothing happens meanwhile
_EVERY: Final = 120.0


class Update(NamedTuple):
    """An update of an asset, as it is held until a run comes of it."""

    number: int
    data: Mapping[str, Any]

    @property
    def asset(self) -> tuple[str, str]:
        return self.data["name"], self.data["uri"]


class Follower:
    """Whoever sees to it that the runs of one DAG start. What it holds between two looks is its cursor, as JSON has it."""

    def __init__(self, dag_id: str, timetable: PartitionedAssetTimetable, limit: int) -> None:
        self.dag_id = dag_id
        self.timetable = timetable
        self.limit = limit
        #: what other mappers have held is not taken up
        self.digest = _digest({name: described(mapper) for name, mapper in timetable.mappers()})

    def look(self, cursor: Any = None) -> SensorResult:
        """The runs that have come of what has happened since the last time."""
        known: Mapping[str, Any] = cursor or {}
        seen = known.get("seen", 0)
        before: dict[str, list[list[Any]]] = known.get("held", {}) if known.get("of") == self.digest else {}
        held = {key: list(each) for key, each in before.items()}
        for number, at, data in recorded.occurred(PARTITION_UPDATED, seen):
            seen = number
            if at >= known.get("since", 0.0) and _concerns(self.timetable.assets, data):
                for key in self._keys(data):
                    held.setdefault(key, []).append([number, dict(data)])
        requests: list[RunRequest] = []
        for key in list(held):
            updates = [Update(*each) for each in held[key]]
            if self._is_ready(key, updates):
                requests.append(self._request(key, updates))
                del held[key]
        why = "" if requests or not held else f"waits for more of {', '.join(sorted(held)[:5])}"
        return SensorResult(requests, {"of": self.digest, "seen": seen, "held": held}, why)

    def _keys(self, data: Mapping[str, Any]) -> list[str]:
        """The keys that an update is for; none where the mapper does not take it, which is said."""
        mapper = self.timetable.get_partition_mapper(name=data["name"], uri=data["uri"])
        key = data["partition_key"]
        try:
            keys = keys_of(mapper, key)
        except Exception as error:  # mappers are the users' own, too
            print(f"{data['name']} for {key!r} starts no run: {type(error).__name__}: {error}")
            return []
        limit = mapper.max_downstream_keys or self.limit
        if len(keys) > limit:
            print(
                f"{data['name']} for {key!r} starts no run: it is for {len(keys)} keys, of which there may be {limit}"
            )
            return []
        return sorted(keys)

    def _is_ready(self, key: str, updates: list[Update]) -> bool:
        """Whether what has come for a key is enough for its run."""
        come: dict[tuple[str, str], list[Update]] = {}
        for each in updates:
            come.setdefault(each.asset, []).append(each)
        enough = {asset: self._is_enough(key, asset, found) for asset, found in come.items()}

        def holds(condition: BaseAsset) -> bool:
            if isinstance(condition, AssetAll):
                return all(map(holds, condition.objects))
            if isinstance(condition, AssetAny):
                return any(map(holds, condition.objects))
            return any(enough[each.asset] for each in updates if _is_of(condition, each.data))

        return holds(self.timetable.assets)

    def _is_enough(self, key: str, asset: tuple[str, str], updates: list[Update]) -> bool:
        mapper = self._mapper(asset)
        if not mapper.is_rollup:
            return True
        rollup = cast(RollupMapper, mapper)
        try:
            expected = rollup.to_upstream(key)
            matched = {each.data["partition_key"] for each in updates}
            found = rollup.wait_policy.is_satisfied_by_keys(matched=matched, expected=expected)
        except Exception as error:  # mappers are the users' own, too
            print(f"{asset[0]} for {key!r} starts no run: {type(error).__name__}: {error}")
            return False
        if found.unreachable:
            print(f"{asset[0]} for {key!r} starts no run: {found.unreachable_reason}")
        return found.satisfied and not found.unreachable

    def _request(self, key: str, updates: list[Update]) -> RunRequest:
        date = self._date(key, updates)
        events = {f"asset_{number}": dict(each.data) for number, each in enumerate(updates, 1)}
        parameters = {
            ASSET_EVENTS: events,
            PARTITION_KEY: key,
            PARTITION_DATE: None if date is None else date.isoformat(),
        }
        return RunRequest(f"{key}#{updates[-1].number}", parameters, partition=key)

    def _mapper(self, asset: tuple[str, str]) -> PartitionMapper:
        name, uri = asset
        return self.timetable.get_partition_mapper(name=name, uri=uri)

    def _date(self, key: str, updates: list[Update]) -> datetime | None:
        """When the partition of a run begins: by its key, where a mapper can tell, or else as the runs behind it have it."""
        mappers = [self._mapper(each) for each in dict.fromkeys(each.asset for each in updates)]
        try:
            dates = [mapper.to_partition_date(key) for mapper in mappers]
        except Exception as error:  # mappers are the users' own, too
            print(f"{key!r} has no date: {type(error).__name__}: {error}")
            return None
        if any(each is not None for each in dates):
            return agreed(dates)
        return agreed(self._carried(each) for each in updates)

    def _carried(self, update: Update) -> datetime | None:
        told = update.data.get("partition_date")
        date = None if told is None else datetime.fromisoformat(told)
        return self._mapper(update.asset).carry_partition_date(date)


def sensor_of(
    dag: DAG, pipeline: Composition[..., Any], timetable: PartitionedAssetTimetable, options: Mapping[str, Any]
) -> Trigger:
    """What starts a DAG that follows assets for partitions."""
    from penstock.dialects.airflow.configuration import conf

    for leaf in timetable.assets.leaves():
        check_watched(leaf)
    for each in timetable.in_vain():
        dag.ignore(
            f"the DAG {dag.dag_id!r}: the partition mapper for {dict(each.where())}",
            "Airflow finds mappers by the name of an asset, and takes default_partition_mapper here",
        )
    limit = conf.getint("scheduler", "partition_mapper_max_downstream_keys", fallback=1000)
    follower = Follower(dag.dag_id, timetable, limit)
    made = sensor(pipeline, every=_EVERY, name=dag.dag_id, **dict(options))(_looking(dag, follower))
    followed = [event(PARTITION_UPDATED, where=dict(each.where())) for each in timetable.assets.leaves()]
    source = ListenerSource(dag.dag_id, every=_EVERY, patterns=tuple(dict.fromkeys(followed)), rules=follower.digest)
    made.noun = replace(made.noun, source=source, location=dag.location)
    made.module = pipeline.function.__module__
    made.functions = _code(timetable)
    return made


def _looking(dag: DAG, follower: Follower) -> Callable[[Any], SensorResult]:
    def look(cursor: Any) -> SensorResult:
        return follower.look(cursor)

    look.__name__ = look.__qualname__ = dag.dag_id
    look.__module__ = dag.module
    return look


def _code(timetable: PartitionedAssetTimetable) -> dict[str, Callable[..., Any]]:
    """The functions of the user's own that say what mappers, windows and the timetable do, as `Class.name`."""
    kinds = [type(timetable), *_classes([each for _, each in timetable.mappers()])]
    return {
        f"{kind.__name__}.{name}": each
        for kind in dict.fromkeys(kind for each in kinds for kind in each.__mro__)
        if not kind.__module__.startswith(("penstock.", "builtins"))
        for name, each in vars(kind).items()
        if inspect.isfunction(each)
    }


def _classes(things: Iterable[Any]) -> dict[type, None]:
    """The classes of mappers, and of what they are made of."""
    found: dict[type, None] = {}
    for each in things:
        if isinstance(each, (PartitionMapper, Window, WaitPolicy)):
            found[type(each)] = None
            found |= _classes(vars(each).values())
        elif isinstance(each, list):
            found |= _classes(cast("list[Any]", each))
    return found


def _concerns(condition: BaseAsset, data: Mapping[str, Any]) -> bool:
    if isinstance(condition, (AssetAll, AssetAny)):
        return any(_concerns(each, data) for each in condition.objects)
    return _is_of(condition, data)


def _is_of(asset: BaseAsset, data: Mapping[str, Any]) -> bool:
    """Whether an update is one of an asset."""
    return dict(asset.where()).items() <= data.items()


def _digest(said: Any) -> str:
    return hashlib.blake2b(json.dumps(said, sort_keys=True, default=str).encode(), digest_size=16).hexdigest()
