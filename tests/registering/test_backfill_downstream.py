"""What a backfill makes of what is made from the partitions that were chosen, and in which order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from penstock import all_partitions, asset, daily, dimensions, dynamic, last, monthly, static, upstream, weekly
from penstock.app.asset_states import AssetStates
from penstock.app.assets import Assets
from penstock.errors import DefinitionError
from penstock.model.asset import Materialization
from penstock.model.run import RunState
from penstock.registering.backfill_assets import Layout, laid_out, roots_of
from penstock.runtime.assets.cells import AssetCell, needs
from penstock.stores.sqlite import SqliteStore
from penstock.testing.records import graph, provenance, run_record, turn
from penstock.triggers.backfills import joined, spans

DAYS = daily("2026-03-01", end="2026-04-13")
REGIONS = static(["eu", "us"])


@asset(partitions=DAYS)
def day(partition: str) -> int:
    return 1


@asset(partitions=DAYS)
def doubled(day: Any) -> int:
    return 1


@asset(partitions=DAYS, inputs={"past": upstream("day", last(3))})
def trend(past: Any) -> int:
    return 1


@asset(partitions=weekly("2026-03-02", end="2026-04-13"))
def week(day: Any) -> int:
    return 1


@asset(partitions=DAYS, inputs={"own": upstream("day"), "weekly": upstream("week")})
def compared(own: Any, weekly: Any) -> int:
    return 1


@asset
def report(week: Any) -> int:
    return 1


@asset
def page(report: Any) -> int:
    return 1


@asset(partitions=monthly("2026-03-01", end="2026-05-01"))
def month(partition: str) -> int:
    return 1


@asset(partitions=DAYS)
def share(month: Any) -> int:
    return 1


@asset(partitions=dimensions(day=DAYS, region=REGIONS), inputs={"day": upstream("day")})
def regional(day: Any) -> int:
    return 1


@asset(partitions=REGIONS)
def region(regional: Any) -> int:
    return 1


def others(key: str) -> list[str]:
    return {"eu": ["us"], "us": ["eu"]}[key]


@asset(partitions=REGIONS, inputs={"others": upstream("region", others)})
def rivals(others: Any) -> int:
    return 1


@asset(partitions=dynamic("customers"))
def customer(region: Any) -> int:
    return 1


@asset(partitions=REGIONS, inputs={"all": upstream("rivals", all_partitions())}, deps=["page"])
def ranked(all: Any) -> int:
    return 1


def wrong(key: str) -> list[str]:
    raise ValueError(f"what is {key}?")


@asset(partitions=REGIONS, inputs={"broken": upstream("region", wrong)})
def broken(broken: Any) -> int:
    return 1


class Planning:
    """Assets with a store in which some of them were made."""

    def __init__(self, *assets: Any, made: Iterable[tuple[str, str]] = ()) -> None:
        self.store = SqliteStore(Path(":memory:"))
        self.assets = Assets(assets)
        self._make(made)
        self.states = AssetStates(self.assets, self.store)

    def _make(self, cells: Iterable[tuple[str, str]]) -> None:
        versions = [
            Materialization(asset=name, partition=key, at=1.0, run_id="before", node=name, digest=b"d")
            for name, key in cells
        ]
        self.store.create(run_record("before"), graph(1), provenance())
        self.store.commit("before", turn(materializations=versions, end=RunState.SUCCEEDED))

    def plan(self, roots: Sequence[str], *keys: str, which: Sequence[str] = ("all",), **more: Any) -> Layout:
        asked: dict[str, Any] = {"downstream": True, "batch": 1, "order": "ascending", **more}
        layout = laid_out(self.assets, self.states, roots, self.states.chosen(keys)(roots[0]), which, **asked)
        self._check(layout)
        return layout

    def _check(self, layout: Layout) -> None:
        """Every run follows those, and only those, that make what it takes, cell by cell; and comes once."""
        makers = {
            AssetCell(name, key): number
            for number, piece in enumerate(layout.pieces, 1)
            for name in piece.assets.split(", ")
            for key in piece.partitions or ("",)
        }
        made = [len(piece.assets.split(", ")) * max(1, len(piece.partitions)) for piece in layout.pieces]
        assert len(makers) == sum(made)
        assert len({piece.key for piece in layout.pieces}) == len(layout.pieces)
        for number, piece in enumerate(layout.pieces, 1):
            cells = [cell for cell, maker in makers.items() if maker == number]
            taken = {
                source
                for cell in cells
                for need in needs(self.assets.graph, self.states.calendar, cell)
                for source in need.cells
                if makers.get(source, number) != number
            }
            assert spans(makers[source] for source in taken) == piece.after, piece
            assert all(last < number for _, last in piece.after), piece
            assert {source.asset for source in taken} == set(piece.reads), piece


def told(layout: Layout) -> list[str]:
    """The runs, each with the numbers of those before it."""
    return [
        f"{number} {piece.key}" + "".join(f" >{first}-{last}" for first, last in piece.after)
        for number, piece in enumerate(layout.pieces, 1)
    ]


def test_what_is_made_from_the_days_of_a_week_is_made_after_them() -> None:
    weeks = [("week", key) for key in ("2026-03-02", "2026-03-16", "2026-03-23", "2026-03-30", "2026-04-06")]
    made = Planning(day, doubled, week, report, page, made=weeks)
    assert told(made.plan(["day"], "2026-03-09..2026-03-15")) == [
        *(f"{number} 2026-03-{8 + number:02d} of day, doubled" for number in range(1, 8)),
        "8 2026-03-09 of week >1-7",
        "9 report, page >8-8",
    ]
    assert [piece.reads for piece in made.plan(["day"], "2026-03-09..2026-03-15").pieces[6:]] == [
        (),
        ("day",),
        ("week",),
    ]
    backwards = made.plan(["day"], "2026-03-09..2026-03-15", order="descending", batch=3)
    assert told(backwards) == [
        "1 2026-03-15 of day, doubled",
        "2 2026-03-12..2026-03-14 of day, doubled",
        "3 2026-03-09..2026-03-11 of day, doubled",
        "4 2026-03-09 of week >1-3",
        "5 report, page >4-4",
    ]
    assert told(made.plan(["day"], "2026-03-09", downstream=False)) == ["1 2026-03-09"]


def test_what_takes_what_was_never_made_is_left_out() -> None:
    layout = Planning(day, week, trend, report, page).plan(["day"], "2026-03-01..2026-03-09")
    assert [(stage.assets, list(stage.made)) for stage in layout.stages[1:]] == [
        (("week",), ["2026-03-02"]),
        (("trend",), [f"2026-03-{number:02d}" for number in range(1, 10)]),
    ]
    assert [stage.named for stage in layout.stages[1:]] == [2, 11]
    assert layout.notes == (
        "left out is week@2026-03-09: it is made from day@2026-03-10, day@2026-03-11, day@2026-03-12 and 3 more too, "
        "which were never made",
        "left out are 2 partitions of trend: trend@2026-03-10 is made from day@2026-03-10 too, which was never made",
        "left out is report: it is made from week@2026-03-09, week@2026-03-16, week@2026-03-23 and 2 more too, which "
        "were never made",
        "left out is page: it is made from report too, which was never made",
    )


def test_the_last_ones_count_also_beyond_the_ones_that_are_chosen() -> None:
    made = Planning(day, trend, made=[("day", f"2026-03-{number:02d}") for number in range(1, 32)])
    assert told(made.plan(["day"], "2026-03-05..2026-03-06"))[2:] == [
        "3 2026-03-05 of trend >1-1",
        "4 2026-03-06 of trend >1-2",
        "5 2026-03-07 of trend >1-2",
        "6 2026-03-08 of trend >2-2",
    ]
    # both chosen, and nothing beyond: in this order as well
    assert told(made.plan(["day", "trend"], "2026-03-05", "2026-03-06", downstream=False)) == [
        "1 2026-03-05 of day",
        "2 2026-03-06 of day",
        "3 2026-03-05 of trend >1-1",
        "4 2026-03-06 of trend >1-2",
    ]


def test_one_that_takes_both_waits_for_both() -> None:
    made = Planning(day, doubled, week, compared)
    layout = made.plan(["day"], "2026-03-09..2026-03-15")
    assert told(layout)[6:10] == [
        "7 2026-03-15 of day, doubled",
        "8 2026-03-09 of week >1-7",
        "9 2026-03-09 of compared >1-1 >8-8",
        "10 2026-03-10 of compared >2-2 >8-8",
    ]
    # a week touches all of its days, of which the others are there
    one = Planning(day, week, compared, made=[("day", f"2026-03-{number:02d}") for number in range(9, 16)])
    assert told(one.plan(["day"], "2026-03-10"))[2:4] == [
        "3 2026-03-09 of compared >2-2",
        "4 2026-03-10 of compared >1-2",
    ]


def test_several_dimensions_choosers_and_added_partitions() -> None:
    cells = [("regional", f"2026-{text}|{key}") for text in _every_day() for key in ("eu", "us")]
    made = Planning(day, regional, region, rivals, customer, page, report, week, ranked, made=[*cells])
    made.store.catalog.add_partitions("customers", ["acme", "umbrella"])
    made.states = AssetStates(made.assets, made.store)
    layout = made.plan(["day"], "2026-03-10")
    assert told(layout) == [
        "1 2026-03-10 of day",
        "2 2026-03-10|eu of regional >1-1",
        "3 2026-03-10|us of regional >1-1",
        "4 eu of region >2-2",
        "5 us of region >3-3",
        "6 eu of rivals >5-5",
        "7 us of rivals >4-4",
        "8 acme of customer >4-5",
        "9 umbrella of customer >4-5",
        "10 eu of ranked >6-7",
        "11 us of ranked >6-7",
    ]
    assert "week@2026-03-09" in layout.notes[0]
    some = made.plan(["region"], "eu")
    assert [piece.key for piece in some.pieces] == ["eu of region", "us of rivals"]
    assert "2 partitions of customer: customer@acme is made from region@us too" in some.notes[0]
    with pytest.raises(DefinitionError, match=r"wrong fails for 'eu': ValueError: what is eu\?"):
        Planning(day, regional, region, broken, made=cells).plan(["region"], "eu")


def _every_day() -> list[str]:
    return [f"03-{number:02d}" for number in range(1, 32)] + [f"04-{number:02d}" for number in range(1, 13)]


def test_a_month_is_what_each_of_its_days_is_made_from() -> None:
    pieces = Planning(month, share).plan(["month"], "2026-03", batch=30).pieces
    assert [(piece.key, piece.after) for piece in pieces] == [
        ("2026-03 of month", ()),
        ("2026-03-01..2026-03-30 of share", ((1, 1),)),
        ("2026-03-31 of share", ((1, 1),)),
    ]


def test_what_is_selected_of_what_is_made_from_them_is_made_after_them() -> None:
    made = Planning(day, doubled, trend, week, compared, report, page)
    assert roots_of(made.assets, ["week", "doubled", "day"], "x") == ["day", "doubled"]
    layout = made.plan(["day"], "2026-03-09..2026-03-15", downstream=False, others=["day", "week"])
    assert [stage.assets for stage in layout.stages] == [("day",), ("week",)]
    with pytest.raises(DefinitionError, match="report has no partitions, and is not made from day"):
        roots_of(made.assets, ["day", "report"], "x")
    assert roots_of(made.assets, ["page", "report", "week"], "x") == ["week"]
    with pytest.raises(DefinitionError, match="page has no partitions"):
        roots_of(made.assets, ["page"], "page")


def test_what_is_missing_is_made_with_what_is_made_from_it() -> None:
    cells = [("day", "2026-03-09"), ("doubled", "2026-03-09"), ("day", "2026-03-10"), ("doubled", "2026-03-11")]
    made = Planning(day, doubled, made=cells)
    layout = made.plan(["day"], "2026-03-09..2026-03-12", which=["missing"])
    assert [(piece.assets, piece.partitions) for piece in layout.pieces] == [
        ("doubled", ("2026-03-10",)),
        ("day, doubled", ("2026-03-11",)),
        ("day, doubled", ("2026-03-12",)),
    ]
    assert made.plan(["day"], "2026-03-09", which=["missing", "failed"]) == Layout((), ())


def test_what_is_missing_below_what_is_there_is_a_run_of_its_own() -> None:
    cells = [("day", "2026-03-09"), ("week", "2026-03-09"), ("trend", "2026-03-10"), ("trend", "2026-03-11")]
    layout = Planning(day, trend, week, compared, made=cells).plan(["day"], "2026-03-09", which=["missing"])
    assert [(stage.assets, list(stage.made)) for stage in layout.stages] == [(("compared",), ["2026-03-09"])]


def test_what_is_made_from_what_is_there_does_not_join_a_stage_of_other_partitions() -> None:
    cells = [("regional", f"2026-{text}|{key}") for text in _every_day() for key in ("eu", "us")]
    there = [cell for cell in cells if cell[1] not in ("2026-03-01|us", "2026-03-05|us")]
    made = Planning(day, regional, region, rivals, made=[*there, ("region", "eu"), ("region", "us")])
    layout = made.plan(["regional"], "2026-03-01|us", which=["missing"])
    assert told(layout) == ["1 2026-03-01|us of regional", "2 eu of rivals"]
    assert layout.notes == ("left out is region@us: it is made from regional@2026-03-05|us too, which was never made",)


def test_numbers_are_told_as_stretches() -> None:
    assert spans([3, 1, 2, 7, 7]) == ((1, 3), (7, 7))
    assert joined([(4, 9), (1, 3), (5, 6), (11, 12)]) == ((1, 9), (11, 12))
    assert joined([]) == ()
