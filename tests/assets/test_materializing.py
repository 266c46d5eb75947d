"""Assets made: their versions, what those were made from, checks, and what is stale afterwards."""

from __future__ import annotations

from typing import Any

import pytest
from asset_project import AssetProject, states

from penstock import (
    CheckOutcome,
    DefinitionError,
    NotFoundError,
    asset,
    load_asset,
    materialize,
    pipeline,
    task,
    wait_for_asset,
)
from penstock.app import Services
from penstock.app.observing import observed
from penstock.model.asset import PartitionState
from penstock.model.partition import Everything, Last, StaticPartitions


def test_versions_are_recorded_with_what_they_were_made_from(project: AssetProject) -> None:
    made = project.make("+report")
    assert made.state == "succeeded"
    assert made.outputs == {"raw": [1, 2, 3], "features": [2, 4, 6], "report": 12}
    [features] = project.versions("features")
    [raw] = project.versions("raw")
    assert (features.version, features.run_id, features.metadata) == (1, made.run_id, {"rows": 3.0})
    assert [(each.asset, each.version, each.digest) for each in features.upstream] == [("raw", 1, raw.digest)]
    assert load_asset("report") == 12
    assert {each.subject: each.data["version"] for each in project.occurrences()} == {
        "raw": 1,
        "features": 1,
        "report": 1,
    }


def test_what_is_the_same_is_no_new_version(project: AssetProject) -> None:
    project.make("+report")
    again = project.make("+report")
    # a check that did not pass is asked again
    assert [name for name, state in states(again).items() if state != "cached"] == ["features:long"]
    assert [len(project.versions(name)) for name in ("raw", "features", "report")] == [1, 1, 1]
    assert len(project.occurrences()) == 3
    # made anew, with the same result
    project.make("raw", cache=False)
    assert len(project.versions("raw")) == 1


def test_what_is_not_selected_is_taken_as_it_is(project: AssetProject) -> None:
    project.make("+report")
    alone = project.make("features")
    assert alone.pipeline == "features"
    assert alone.parameters["inputs"] == {"raw": 1}
    assert list(states(alone)) == ["features", "features:positive", "features:long", "features:checks"]


def test_what_was_never_made_is_named_before_anything_runs(project: AssetProject) -> None:
    with pytest.raises(NotFoundError, match="features is made from raw, which was never made") as refused:
        project.make("features")
    assert "+features" in str(refused.value.remedy)


def test_checks_are_recorded(project: AssetProject) -> None:
    project.make("+report")
    found = {each.check: each for each in project.checks("features")}
    assert (found["positive"].passed, found["positive"].blocking) == (True, True)
    assert found["positive"].metadata == {"count": 3}
    assert (found["long"].passed, found["long"].severity) == (False, "warn")


def test_a_blocking_check_keeps_back_what_depends(project: AssetProject) -> None:
    project.edit("[1, 2, 3]", "[1, -2]")
    made = project.make("+report")
    assert made.state == "failed"
    told = states(made)
    assert (told["features"], told["features:checks"], told["report"]) == ("succeeded", "failed", "upstream_failed")
    assert "features did not pass: positive (all of them)" in str(made.task("features:checks").error)
    assert project.versions("report") == []
    assert len(project.versions("features")) == 1


def test_a_check_that_raises_has_not_passed(project: AssetProject) -> None:
    project.edit("return len(features) > 10", "raise KeyError('rows')")
    made = project.make("+report")
    # it is not blocking
    assert made.state == "succeeded"
    found = next(each for each in project.checks("features") if each.check == "long")
    assert (found.passed, found.message) == (False, "KeyError: 'rows'")


def test_stale_is_what_has_other_code_or_another_upstream_and_nothing_else(project: AssetProject) -> None:
    project.make("+report")
    assert project.stale() == {}
    project.edit("def raw() -> list:", "def raw() -> list:\n    # a comment")
    assert project.stale() == {}
    project.edit("each * factor for", "each * factor + 1 for")
    stale = project.stale()
    assert list(stale) == ["features"]
    assert "things:features (things.py:" in stale["features"]
    project.make("features")
    assert project.stale() == {"report": "features is at version 2, and it was made from version 1"}
    project.make("report")
    assert project.stale() == {}
    # what gives the same content again ends the wave there
    project.edit("return [1, 2, 3]", "return sorted([3, 2, 1])")
    assert list(project.stale()) == ["raw"]
    project.make("raw")
    assert project.stale() == {}
    assert [each.version for each in project.versions("raw")] == [2, 1]


def test_an_external_asset_is_observed(project: AssetProject) -> None:
    project.make("+report")

    def observe() -> list[dict[str, Any]]:
        return project.read(lambda store: observed(project.assets, store))

    assert observe()[0] | {"metadata": None} == {
        "asset": "orders",
        "state": "new",
        "version": 1,
        "data_version": "1",
        "error": None,
        "metadata": None,
    }
    assert observe()[0]["state"] == "same"
    assert list(project.stale()) == ["features"]
    project.make("stale()")
    [latest, _] = project.versions("features")
    assert [(each.asset, each.version) for each in latest.upstream] == [("raw", 1), ("orders", 1)]
    assert project.stale() == {}
    (project.folder / "orders.txt").write_text("2")
    observe()
    assert project.stale() == {"features": "orders is at version 2, and it was made from version 1"}


def test_an_observation_that_fails_keeps_no_other_back(project: AssetProject) -> None:
    project.write(
        """
        from penstock import external_asset

        @external_asset
        def broken():
            raise OSError("no route")

        @external_asset
        def numbers():
            return 3, {"rows": 7}
        """
    )
    with Services().store() as store:
        broken, numbers = observed(project.assets, store)
    assert (broken["state"], broken["error"]) == ("failed", "OSError: no route")
    assert (numbers["state"], numbers["metadata"]) == ("new", {"rows": 7})


def test_a_run_is_resumed_with_the_versions_that_it_took(project: AssetProject) -> None:
    project.edit("return sum(features)", "raise ValueError(sum(features))")
    project.make("+features")
    failed = project.make("report")
    assert failed.state == "failed"
    project.edit("each * factor for", "each * factor + 1 for")
    project.make("features")
    project.edit("raise ValueError(sum(features))", "return sum(features)")
    from penstock.app import renew
    from penstock.model.generation import Choice
    from penstock.model.options import RunOptions
    from penstock.registering.loading import load_pipeline

    record = project.read(lambda store: store.find(failed.run_id))
    assert record.target == f"assets:{project.file}"
    renewed = renew(load_pipeline(record.target), record, RunOptions(executor="inline"), Choice())
    assert renewed.outputs == {"report": 12}
    assert renewed.parameters["inputs"] == {"features": 1}
    assert list(project.stale()) == ["report"]


def test_pipelines_and_assets_mix(project: AssetProject) -> None:
    @asset
    def source() -> int:
        return 20

    @asset
    def double(source: int) -> int:
        return 2 * source

    @double.check(blocking=True)
    def even(double: int) -> CheckOutcome:
        return CheckOutcome(double % 2 == 0)

    @task
    def more(value: int) -> int:
        return value + 1

    @pipeline
    def training() -> int:
        wait_for_asset("source", poll=0.01)
        return more(double(source.latest()))

    materialize(source, assets=[source], executor="inline")
    run = training.options(executor="inline").run()
    assert run.result == 41
    [version] = project.versions("double")
    assert (version.node, [each.version for each in version.upstream]) == ("double", [1])
    assert project.checks("double")[0].passed
    assert load_asset(double) == 40


def test_partitions_are_cells_of_their_own(project: AssetProject) -> None:
    days = StaticPartitions(("mon", "tue", "wed/thu"))

    @asset(partitions=days)
    def sales(partition: str) -> int:
        if partition == "tue":
            raise ValueError("closed")
        return len(partition)

    @asset(partitions=days)
    def doubled(sales: int) -> int:
        return 2 * sales

    @asset
    def total(sales: dict[str, int]) -> int:
        return sum(sales.values())

    made = materialize("sales+1", assets=[sales, doubled], partitions=["all"], executor="inline")
    assert states(made) == {
        "sales@mon": "succeeded",
        "sales@tue": "failed",
        "sales@wed%2Fthu": "succeeded",
        "doubled@mon": "succeeded",
        "doubled@tue": "upstream_failed",
        "doubled@wed%2Fthu": "succeeded",
    }
    assert project.read(lambda store: store.catalog.states("sales")) == {
        "mon": PartitionState.MATERIALIZED,
        "tue": PartitionState.FAILED,
        "wed/thu": PartitionState.MATERIALIZED,
    }
    assert load_asset("doubled", "wed/thu") == 14
    assert [(each.asset, each.partition) for each in project.versions("doubled")[0].upstream] == [
        ("sales", project.versions("doubled")[0].partition)
    ]
    with pytest.raises(NotFoundError, match="total is made from sales@tue, which was never made"):
        materialize(total, assets=[sales, total], executor="inline")
    with pytest.raises(DefinitionError, match="sales has partitions, and it is not said which ones"):
        materialize(sales, assets=[sales], executor="inline")
    with pytest.raises(NotFoundError, match="there is no partition 'mom'"):
        materialize(sales, assets=[sales], partitions=["mom"], executor="inline")


def test_several_partitions_come_as_a_dict(project: AssetProject) -> None:
    from penstock import upstream

    days = StaticPartitions(("mon", "tue", "wed"))

    @asset(partitions=days)
    def sales(partition: str) -> str:
        return partition[0]

    @asset(partitions=days, inputs={"lately": upstream(sales, Last(2))})
    def trend(lately: dict[str, str]) -> str:
        return "".join(lately.values())

    @asset(inputs={"every": upstream(sales, Everything())})
    def total(every: dict[str, str]) -> list[str]:
        return list(every)

    universe = [sales, trend, total]
    made = materialize("*", assets=universe, partitions=["all"], executor="inline")
    assert made.outputs["trend@mon"] == "m"
    assert made.outputs["trend@wed"] == "tw"
    assert made.outputs["total"] == ["mon", "tue", "wed"]
    latest = {each.partition: each for each in project.versions("trend")}
    assert [(each.partition, each.version) for each in latest["wed"].upstream] == [("tue", 1), ("wed", 1)]
    again = materialize(trend, assets=universe, partitions=["tue..wed"], executor="inline")
    assert states(again) == {"trend@tue": "cached", "trend@wed": "cached"}


def test_late_is_what_is_older_than_its_rule(project: AssetProject) -> None:
    from penstock import cron, fresh_by
    from penstock.runtime.assets.freshness import late_since

    rule = fresh_by(cron("0 6 * * *"), within="1h")
    day = 86_400.0
    six = 6 * 3600.0
    assert late_since(rule, six + 60, day + six + 1800) is None
    assert late_since(rule, six + 60, day + six + 3601) == day + six + 3600
    assert late_since(rule, day + six + 1, day + six + 9000) is None
    project.edit("@asset\ndef report", '@asset(fresh="1h")\ndef report')
    project.make("+report")

    def late(after: float) -> Any:
        from penstock.app.asset_states import AssetStates

        def look(store: Any) -> Any:
            found = AssetStates(project.assets, store)
            found.now += after
            return found.late("report")

        return project.read(look)

    assert late(3000) is None
    assert late(3700) is not None
