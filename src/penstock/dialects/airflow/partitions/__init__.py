"""Partitions as Airflow 3.3 has them: runs that are about a key, and runs that the keys of other DAGs' runs start.

A DAG by `CronPartitionTimetable` has a key of each tick, one by `PartitionedAtRuntime` those that its tasks tell, and one by
`PartitionedAssetTimetable` those that its mappers make of the keys of the assets that it follows.
"""
