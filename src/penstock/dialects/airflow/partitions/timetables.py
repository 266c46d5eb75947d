"""Timetables by which the runs of a DAG are about partitions: by the clock, by assets with keys, and left to the tasks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from penstock.dialects.airflow.assets import Asset, AssetRef, BaseAsset
from penstock.dialects.airflow.moments import convert_to_utc
from penstock.dialects.airflow.partitions.mappers import IdentityMapper, PartitionMapper
from penstock.dialects.airflow.partitions.temporal import localized
from penstock.dialects.airflow.timetable import Timetable
from penstock.dialects.airflow.timetables import AssetTriggeredTimetable, CronTriggerTimetable, NullTimetable

if TYPE_CHECKING:
    from penstock.dialects.airflow.dag import DAG

#: characters of a key, at most
LONGEST = 250


class Partition(NamedTuple):
    """What a run is about."""

    key: str | None = None
    date: datetime | None = None


class PartitionedAtRuntime(NullTimetable):
    """Never by itself; its tasks say which partitions they have made, and a run may be given one."""

    partitioned_at_runtime = True


class CronPartitionTimetable(CronTriggerTimetable):
    """By a cron expression; a run is about the partition of its tick, or of the tick `run_offset` ticks from it."""

    partitioned = True

    def __init__(
        self,
        cron: str,
        *,
        timezone: str | tzinfo,
        run_offset: int | None = None,
        run_immediately: bool | timedelta = False,
        key_format: str = "%Y-%m-%dT%H:%M:%S",
    ) -> None:
        if not isinstance(cast(Any, run_offset), (int, type(None))):
            raise ValueError("Run offset other than integer not supported yet.")
        super().__init__(cron, timezone=timezone, run_immediately=run_immediately)
        self._run_offset = run_offset or 0
        self._key_format = key_format

    # by Airflow's names, since those who write a timetable of this one say some of it anew

    def _get_partition_date(self, *, run_date: Any) -> Any:
        date = run_date
        for _ in range(abs(self._run_offset)):
            date = self._get_next(date) if self._run_offset > 0 else self._get_prev(date)
        return date

    def _get_partition_info(self, run_date: Any) -> tuple[Any, str]:
        date = self._get_partition_date(run_date=run_date)
        return date, self._format_key(date)

    def _format_key(self, partition_date: Any) -> str:
        return partition_date.astimezone(self._timezone).strftime(self._key_format)

    def _decode_partition_date(self, partition_key: str) -> datetime | None:
        return localized(datetime.strptime(partition_key, self._key_format), self._timezone)

    def resolve_partition_date(self, partition_key: str | None) -> datetime | None:
        """When the partition of a key begins. Raises ValueError for a key of another form."""
        return None if partition_key is None else self._decode_partition_date(partition_key)

    def of_tick(self, tick: datetime) -> Partition:
        """The partition that the run of a tick is about."""
        date, key = self._get_partition_info(convert_to_utc(tick))
        return Partition(key, date)


class PartitionedAssetTimetable(AssetTriggeredTimetable):
    """Whenever assets have been updated for a partition: there is a mapper for each, or the usual one."""

    partitioned = True

    def __init__(
        self,
        assets: Any,
        partition_mapper_config: Mapping[Any, PartitionMapper] | None = None,
        default_partition_mapper: PartitionMapper | None = None,
    ) -> None:
        super().__init__(assets)
        self.partition_mapper_config = dict(partition_mapper_config or {})
        self.default_partition_mapper = default_partition_mapper or IdentityMapper()

    def get_partition_mapper(self, *, name: str = "", uri: str = "") -> PartitionMapper:
        """The mapper for an asset: as in Airflow, by its name, and by its URI only where it has no name."""
        for each, mapper in self._configured():
            found = getattr(each, "name", "") == name if name else getattr(each, "uri", "") == uri
            if found:
                return mapper
        return self.default_partition_mapper

    def mappers(self) -> Iterator[tuple[str, PartitionMapper]]:
        """The assets that it follows, by name or else by URI, with the mapper of each."""
        for each in self.assets.leaves():
            if isinstance(each, (Asset, AssetRef)):
                yield each.name or each.uri, self.get_partition_mapper(name=each.name, uri=each.uri)

    def in_vain(self) -> Iterator[BaseAsset]:
        """What it names mappers for that Airflow never finds them by: aliases, and references by URI."""
        for each, _ in self._configured():
            if not isinstance(each, Asset) and not (isinstance(each, AssetRef) and each.name):
                yield each

    def _configured(self) -> list[tuple[BaseAsset, PartitionMapper]]:
        # what is said last goes first
        every = [(leaf, mapper) for each, mapper in self.partition_mapper_config.items() for leaf in each.leaves()]
        return every[::-1]

    def resolve_partition_date(self, partition_key: str | None) -> datetime | None:
        """When the partition of a key begins, where all mappers that know agree. Raises ValueError for a key that one of them
        does not take."""
        return None if partition_key is None else self._decode_partition_date(partition_key)

    def _decode_partition_date(self, partition_key: str) -> datetime | None:
        return agreed(mapper.to_partition_date(partition_key) for _, mapper in self.mappers())


def agreed(dates: Iterable[datetime | None]) -> datetime | None:
    """The one moment that there is among some; None where there is none, or more than one."""
    known = {each for each in dates if each is not None}
    return known.pop() if len(known) == 1 else None


def is_partitioned(dag: DAG) -> bool:
    """Whether the runs of a DAG may be about partitions."""
    given = dag.schedule
    return isinstance(given, Timetable) and (given.partitioned or given.partitioned_at_runtime)


def is_by_clock(dag: DAG) -> bool:
    """Whether it is the clock that says which partition a run of a DAG is about."""
    return isinstance(dag.schedule, CronPartitionTimetable)


def fault_of_key(dag: DAG, key: str) -> str | None:
    """What is wrong with a key that somebody gives a run of a DAG; None where nothing is."""
    if not key.strip():
        return "it is empty"
    if len(key) > LONGEST:
        return f"it has {len(key)} characters, and may have {LONGEST}"
    try:
        date_of_key(dag, key)
    except ValueError as error:
        return str(error)
    return None


def date_of_key(dag: DAG, key: str) -> datetime | None:
    """When the partition of a key that somebody gives begins; None for one that is about no time. Raises ValueError for a key
    that the timetable of a DAG does not take."""
    timetable = dag.schedule
    if isinstance(timetable, (CronPartitionTimetable, PartitionedAssetTimetable)):
        return timetable.resolve_partition_date(key)
    return None


__all__ = [
    "LONGEST",
    "CronPartitionTimetable",
    "Partition",
    "PartitionedAssetTimetable",
    "PartitionedAtRuntime",
    "agreed",
    "date_of_key",
    "fault_of_key",
    "is_by_clock",
    "is_partitioned",
]
