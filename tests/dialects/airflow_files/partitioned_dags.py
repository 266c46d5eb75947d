from __future__ import annotations

from airflow.sdk import (
    DAG,
    AllowedKeyMapper,
    Asset,
    ChainMapper,
    DayWindow,
    FanOutMapper,
    FixedKeyMapper,
    HourWindow,
    IdentityMapper,
    MinimumCount,
    PartitionedAssetTimetable,
    PartitionedAtRuntime,
    ProductMapper,
    QuarterWindow,
    RollupMapper,
    SegmentWindow,
    StartOfDayMapper,
    StartOfHourMapper,
    StartOfMonthMapper,
    StartOfQuarterMapper,
    StartOfWeekMapper,
    StartOfYearMapper,
    WeekWindow,
    Window,
    task,
)

one, two, three = Asset("one", uri="s3://b/one"), Asset("two", uri="s3://b/two"), Asset("three", uri="s3://b/three")

with DAG("producer", schedule=PartitionedAtRuntime()):

    @task(outlets=[one, two, three])
    def make(outlet_events):
        outlet_events[one].add_partitions(["a", "b"])

    make()


def follows(name, assets, **options):
    with DAG(name, schedule=PartitionedAssetTimetable(assets=assets, **options), catchup=False):

        @task
        def tell(dag_run=None):
            return [dag_run.partition_key, None if dag_run.partition_date is None else str(dag_run.partition_date)]

        tell()


follows("same", one)
follows("both", one & two)
follows("either", one | Asset.ref(name="two"))
follows("mixed", one & (two | three), default_partition_mapper=FixedKeyMapper("all"))
follows("hours", one & two, default_partition_mapper=StartOfHourMapper())
follows("zoned", one, default_partition_mapper=StartOfDayMapper(timezone="America/New_York"))
follows(
    "configured",
    one & two,
    partition_mapper_config={one: StartOfDayMapper(), Asset.ref(name="two"): IdentityMapper()},
)
follows(
    "dated", one & two, partition_mapper_config={one: StartOfDayMapper(), two: StartOfDayMapper(timezone="Asia/Tokyo")}
)
follows("allowed", one, default_partition_mapper=AllowedKeyMapper(["a", "c"]))
follows("product", one, default_partition_mapper=ProductMapper(IdentityMapper(), StartOfDayMapper()))
follows(
    "chained", one, default_partition_mapper=ChainMapper(StartOfDayMapper(), StartOfYearMapper(input_format="%Y-%m-%d"))
)
follows("weekly", one, default_partition_mapper=FanOutMapper(upstream_mapper=StartOfWeekMapper(), window=WeekWindow()))
follows(
    "limited",
    one,
    default_partition_mapper=FanOutMapper(
        upstream_mapper=StartOfWeekMapper(), window=WeekWindow(), max_downstream_keys=6
    ),
)
follows(
    "trailing",
    one,
    default_partition_mapper=FanOutMapper(
        upstream_mapper=StartOfMonthMapper(), window=QuarterWindow(direction=Window.Direction.BACKWARD)
    ),
)
follows(
    "day",
    one,
    default_partition_mapper=RollupMapper(
        upstream_mapper=StartOfDayMapper(), window=DayWindow(), wait_policy=MinimumCount(-22)
    ),
)
follows(
    "quarter",
    one,
    default_partition_mapper=RollupMapper(
        upstream_mapper=StartOfQuarterMapper(input_format="%Y-%m"), window=QuarterWindow()
    ),
)
follows(
    "hour",
    two,
    default_partition_mapper=RollupMapper(
        upstream_mapper=StartOfHourMapper(input_format="%Y-%m-%dT%H:%M"),
        window=HourWindow(),
        wait_policy=MinimumCount(61),
    ),
)
follows(
    "segments",
    one | two,
    default_partition_mapper=RollupMapper(upstream_mapper=FixedKeyMapper("all"), window=SegmentWindow(["a", "b", "c"])),
)
follows(
    "some",
    one & two,
    partition_mapper_config={
        one: RollupMapper(
            upstream_mapper=FixedKeyMapper("x"), window=SegmentWindow(["a", "b", "c"]), wait_policy=MinimumCount(2)
        ),
        two: IdentityMapper(),
    },
)
