"""What a run of a DAG is about: the partition that somebody gave it, that of its tick, or that of the assets behind it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, MutableMapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from penstock.authoring.kinds.causes import partition
from penstock.dialects.airflow.partitions.timetables import (
    CronPartitionTimetable,
    Partition,
    PartitionedAssetTimetable,
    date_of_key,
    fault_of_key,
    is_by_clock,
    is_partitioned,
)
from penstock.errors import DefinitionError, ParameterError

if TYPE_CHECKING:
    from penstock.dialects.airflow.dag import DAG
    from penstock.dialects.airflow.execution import Given

#: the parameters of a DAG with partitions
PARTITION_KEY: Final = "partition_key"
PARTITION_DATE: Final = "partition_date"
#: names of the context that say which partition a run is about
NAMES: Final = frozenset({PARTITION_KEY, PARTITION_DATE})


def partition_parameters(dag: DAG, declared: Mapping[str, Any]) -> Iterator[inspect.Parameter]:
    """The parameters for the partition of a run, of a DAG that has partitions. Raises DefinitionError where the DAG has params
    of these names."""
    if not is_partitioned(dag):
        return
    names = [PARTITION_KEY]
    if isinstance(dag.schedule, PartitionedAssetTimetable):
        names.append(PARTITION_DATE)
    taken = next((name for name in names if name in declared), None)
    if taken is not None:
        raise DefinitionError(
            f"the DAG {dag.dag_id!r} has partitions, and a param {taken!r} besides",
            where=str(dag.location),
            remedy="Give the param another name: this one is the partition that a run is about.",
        )
    defaults = {PARTITION_KEY: partition(default=None)}
    for name in names:
        yield inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=defaults.get(name), annotation=str | None)


def check_partition(dag: DAG, values: Mapping[str, Any]) -> None:
    """Hold the key that a run is given to the timetable of its DAG. Raises ParameterError."""
    key = values.get(PARTITION_KEY) if is_partitioned(dag) else None
    # what the assets behind a run have led to is nobody's mistake
    if not isinstance(key, str) or values.get(PARTITION_DATE) is not None:
        return
    fault = fault_of_key(dag, key)
    if fault is not None:
        raise ParameterError(f"the DAG {dag.dag_id!r} has no partition {key!r}: {fault}", where=str(dag.location))


def is_of_tick(dag: DAG, given: Given) -> bool:
    """Whether the clock has started a run, and it is that which says what the run is about."""
    start, end = given.data_interval_start, given.data_interval_end
    return is_by_clock(dag) and start is not None and end is not None and start != end


def taken_partition(dag: DAG, values: MutableMapping[str, Any], given: Given, by_assets: bool = False) -> Partition:
    """What a run is about; the parameters for it are taken out of its values."""
    if not is_partitioned(dag):
        return Partition()
    key, date = values.pop(PARTITION_KEY, None), values.pop(PARTITION_DATE, None)
    if key is None:
        end = given.data_interval_end
        timetable = dag.schedule
        if end is not None and isinstance(timetable, CronPartitionTimetable) and is_of_tick(dag, given):
            return timetable.of_tick(end)
        return Partition()
    if date is not None or by_assets:
        return Partition(key, None if date is None else datetime.fromisoformat(date))
    return Partition(key, date_of_key(dag, key))


__all__ = [
    "NAMES",
    "PARTITION_DATE",
    "PARTITION_KEY",
    "check_partition",
    "is_of_tick",
    "partition_parameters",
    "taken_partition",
]
