"""Assets as they are written, and what is wrong with them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from penstock import CheckOutcome, DefinitionError, asset, cron, external_asset, fresh_by, pipeline, upstream
from penstock.app.assets import Assets
from penstock.model.asset import AssetInput, Freshness
from penstock.model.graph import from_json, to_json
from penstock.model.partition import StaticPartitions


@asset(group="raw", owners="ada", tags=["daily"], metadata={"rows": 3}, fresh=timedelta(hours=24))
def raw() -> list[int]:
    """Rows."""
    return [1, 2]


@asset(deps=["orders"])
def features(raw: list[int], factor: int = 2) -> list[int]:
    return [each * factor for each in raw]


@features.check(blocking=True)
def positive(features: list[int]) -> CheckOutcome:
    return CheckOutcome(min(features) > 0)


orders = external_asset("orders", observe=lambda: "1", every="5min", group="raw")


def test_an_asset_is_its_function_outside_of_a_pipeline() -> None:
    assert features(raw()) == [2, 4]
    assert positive([1]).passed


def test_what_an_asset_is() -> None:
    spec = raw.spec
    assert (spec.name, spec.group, spec.owners, spec.tags) == ("raw", "raw", ("ada",), ("daily",))
    assert (spec.description, spec.metadata, spec.freshness) == ("Rows.", {"rows": 3}, Freshness(86400.0))
    assert features.spec.inputs == (AssetInput("raw", "raw"), AssetInput("orders"))
    assert [(check.name, check.blocking) for check in features.spec.checks] == [("positive", True)]
    assert orders.spec.external
    assert orders.spec.observe_every == 300.0


def test_a_graph_keeps_what_its_assets_are() -> None:
    @pipeline
    def training() -> Any:
        return features(raw())

    graph = training.graph()
    assert [node.id for node in graph.nodes] == ["raw", "features", "features:positive", "features:checks"]
    assert graph.tasks["features"].asset == features.spec
    assert from_json(to_json(graph)).tasks["features"].asset == features.spec


def test_what_follows_an_asset_waits_for_its_blocking_checks() -> None:
    @asset
    def report(features: list[int]) -> int:
        return sum(features)

    @pipeline
    def training() -> Any:
        return report(features(raw()))

    nodes = {node.id: node for node in training.graph().nodes}
    assert nodes["report"].after == ("features:checks",)
    assert nodes["features:positive"].after == ()


def test_a_rule_of_freshness_by_a_schedule() -> None:
    rule = fresh_by(cron("0 6 * * *"), within="1h")
    assert rule.within == 3600.0
    assert rule.timetable == cron("0 6 * * *").timetable


def test_an_input_under_another_name() -> None:
    @asset(inputs={"rows": raw, "other": upstream("features")})
    def joined(rows: list[int], other: list[int]) -> int:
        return len(rows) + len(other)

    assert joined.spec.inputs == (AssetInput("raw", "rows"), AssetInput("features", "other"))
    # what is named as such comes along
    assert "raw" in Assets([joined, features, orders]).graph


def test_an_asset_of_partitions_says_which_in_a_pipeline() -> None:
    @asset(partitions=StaticPartitions(("de", "fr")))
    def sales(partition: str) -> str:
        return partition

    @pipeline
    def both() -> Any:
        return sales.at("de")(), sales(partition="fr")  # pyright: ignore[reportCallIssue]

    nodes = both.graph().nodes
    assert [node.id for node in nodes] == ["sales@de", "sales@fr"]

    @pipeline
    def unsaid() -> Any:
        return sales.options(name="other")

    with pytest.raises(DefinitionError, match="has no partitions"):
        raw.at("de")


def _twice() -> Any:
    @features.check
    def positive(features: list[int]) -> bool:
        return True


def _itself() -> Any:
    @asset(name="again")
    def again(again: int) -> int:
        return again


def _partition() -> Any:
    @asset
    def sales(partition: str) -> str:
        return partition


def _no_parameter() -> Any:
    @asset(inputs={"rows": "raw"})
    def counted() -> int:
        return 1


def _two_subjects() -> Any:
    @features.check
    def both(one: Any, other: Any) -> bool:
        return True


@pytest.mark.parametrize(
    ("define", "message"),
    [
        (_twice, "features has two checks called 'positive'"),
        (_itself, "again is made from itself"),
        (_partition, "sales takes a partition, and has none"),
        (_no_parameter, "names 'rows', which is no parameter"),
        (_two_subjects, "takes one, other; a check takes the value of its asset"),
        (lambda: asset(fresh="soon"), "fresh must be"),
        (lambda: asset(automation="eager"), "automation must be a rule"),
        (lambda: asset(name="a@b")(lambda: 1), "an asset cannot be called 'a@b'"),
        (lambda: asset(retrys=1), "there is no option 'retrys'"),  # pyright: ignore[reportCallIssue]
        (lambda: external_asset("x", every=5), "there is no observe="),
        (lambda: external_asset("x", retries=1), "no option 'retries' of an external asset"),
        (orders, "orders is made elsewhere"),
        (lambda: asset(deps=[1]), "an asset, or the name of one, is wanted here, and not 1"),
    ],
)
def test_what_is_wrong_is_said_before_anything_runs(define: Any, message: str) -> None:
    with pytest.raises(DefinitionError, match=message.replace("(", r"\(")):
        define()


def test_an_asset_is_not_mapped() -> None:
    @pipeline
    def mapped() -> Any:
        return features.map([[1], [2]])

    with pytest.raises(DefinitionError, match="is made as a whole"):
        mapped.graph()
