"""Assets with partitions, made from partitions of others."""

from __future__ import annotations

import pytest
from asset_project import AssetProject, states

from penstock import DefinitionError, NotFoundError

DAYS = """
    from datetime import date

    from penstock import asset, daily, interval_start, last, upstream, weekly

    def day_after_next(key):
        return f"2026-01-{int(key[-2:]) + 2:02d}"

    @asset(partitions=daily("2026-01-01", end="2026-02-01"))
    def sales(partition, day: date = interval_start()) -> int:
        assert partition == day.isoformat()
        return day.day

    @asset(partitions=weekly("2026-01-01", end="2026-02-01"))
    def week(sales: dict) -> int:
        return sum(sales.values())

    @asset(partitions=daily("2026-01-01", end="2026-02-01"), inputs={"past": upstream("sales", last(2))})
    def trend(past: dict) -> list:
        return sorted(past)

    @asset(partitions=daily("2026-01-01", end="2026-01-30"), inputs={"later": upstream("sales", day_after_next)})
    def ahead(later) -> int:
        return later

    @asset
    def all_days(sales: dict) -> int:
        return len(sales)
"""


def test_partitions_are_made_from_those_that_their_mapping_names(project: AssetProject) -> None:
    project.write(DAYS)
    run = project.make("sales", partitions=["2026-01-01..2026-01-11"])
    assert len(run.tasks) == 11
    assert project.make("week", partitions=["2026-01-05"]).outputs == {"week@2026-01-05": sum(range(5, 12))}
    made = project.make("trend", partitions=["2026-01-01", "2026-01-04"]).outputs
    assert made == {"trend@2026-01-01": ["2026-01-01"], "trend@2026-01-04": ["2026-01-03", "2026-01-04"]}
    assert project.make("ahead", partitions=["2026-01-02"]).outputs == {"ahead@2026-01-02": 4}
    upstream = {(each.asset, each.partition) for each in project.versions("week")[0].upstream}
    assert upstream == {("sales", f"2026-01-{day:02d}") for day in range(5, 12)}
    with pytest.raises(NotFoundError, match="all_days is made from sales@2026-01-12, which was never made"):
        project.make("all_days")


def test_what_is_made_in_one_run_is_taken_from_it(project: AssetProject) -> None:
    project.write(DAYS)
    run = project.make("sales trend", partitions=["2026-01-01..2026-01-03"])
    assert states(run)["trend@2026-01-03"] == "succeeded"
    assert project.stale() == {}


def test_moments_are_for_partitions_of_time_alone(project: AssetProject) -> None:
    project.write("""
        from penstock import asset, interval_start, static

        @asset(partitions=static(["a"]))
        def letters(begin: str = interval_start()) -> str:
            return begin
    """)
    with pytest.raises(DefinitionError, match="its partitions are none of time"):
        _ = project.assets
