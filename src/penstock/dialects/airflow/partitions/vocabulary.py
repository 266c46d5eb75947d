"""Where Airflow has its partitions, by module and name."""

from __future__ import annotations

from collections.abc import Mapping

_BY_CLOCK = {"CronPartitionTimetable": "partitions.timetables"}
_BY_ASSETS = {"PartitionedAssetTimetable": "partitions.timetables", "PartitionedAtRuntime": "partitions.timetables"}
_WAITING: Mapping[str, str] = dict.fromkeys(("MinimumCount", "WaitForAll", "WaitPolicy"), "partitions.waiting")
_WINDOWS: Mapping[str, str] = dict.fromkeys(
    (
        "DayWindow",
        "HourWindow",
        "MonthWindow",
        "QuarterWindow",
        "SegmentWindow",
        "WeekWindow",
        "Window",
        "YearWindow",
    ),
    "partitions.windows",
)
_TEMPORAL: Mapping[str, str] = dict.fromkeys(
    (
        "FanOutMapper",
        "StartOfDayMapper",
        "StartOfHourMapper",
        "StartOfMonthMapper",
        "StartOfQuarterMapper",
        "StartOfWeekMapper",
        "StartOfYearMapper",
    ),
    "partitions.temporal",
)
_MAPPERS: Mapping[str, str] = dict.fromkeys(
    (
        "AllowedKeyMapper",
        "ChainMapper",
        "FixedKeyMapper",
        "IdentityMapper",
        "PartitionMapper",
        "ProductMapper",
        "RollupMapper",
    ),
    "partitions.mappers",
)
_EVERY = {**_WAITING, **_WINDOWS, **_TEMPORAL, **_MAPPERS}
#: module below `partition_mappers` -> its names
_MODULES: Mapping[str, Mapping[str, str]] = {
    "": _EVERY,
    ".base": dict.fromkeys(("PartitionMapper", "RollupMapper", "is_rollup"), "partitions.mappers"),
    ".identity": {"IdentityMapper": "partitions.mappers"},
    ".allowed_key": {"AllowedKeyMapper": "partitions.mappers"},
    ".fixed_key": {"FixedKeyMapper": "partitions.mappers"},
    ".product": {"ProductMapper": "partitions.mappers"},
    ".chain": {"ChainMapper": "partitions.mappers"},
    ".temporal": _TEMPORAL,
    ".window": _WINDOWS,
    ".wait_policy": {**_WAITING, "PartitionSatisfaction": "partitions.waiting"},
}

#: Airflow's module -> name -> module here
PARTITIONS: Mapping[str, Mapping[str, str]] = {
    "airflow.sdk": {**_BY_CLOCK, **_BY_ASSETS, **_EVERY},
    "airflow.timetables.trigger": _BY_CLOCK,
    "airflow.timetables.simple": _BY_ASSETS,
    "airflow.sdk.definitions.timetables.trigger": _BY_CLOCK,
    "airflow.sdk.definitions.timetables.assets": _BY_ASSETS,
    **{
        f"airflow.{home}partition_mappers{module}": names
        for home in ("", "sdk.definitions.")
        for module, names in _MODULES.items()
    },
}
