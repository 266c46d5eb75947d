"""What a backfill consists of."""

from __future__ import annotations

from datetime import UTC, datetime

from penstock.model.firing import Backfill
from penstock.model.schedule import Cron, Timetable
from penstock.triggers.backfills import Piece, expected, firings, grid, over_parameters, over_partitions, over_times


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def keys(pieces: list[Piece]) -> list[str]:
    return [piece.key for piece in pieces]


def test_partitions_are_taken_in_batches_and_in_an_order() -> None:
    pieces = over_partitions(["a", "b", "c", "d", "e"], batch=2)
    assert [(each.key, each.partitions) for each in pieces] == [
        ("a..b", ("a", "b")),
        ("c..d", ("c", "d")),
        ("e", ("e",)),
    ]
    assert keys(over_partitions(["a", "b"], order="descending")) == ["b", "a"]
    assert over_partitions([]) == []


def test_times_are_the_ticks_between_with_both_ends() -> None:
    pieces = over_times(Timetable(Cron("0 2 * * *")), "nightly", at("2026-01-01T02:00"), at("2026-01-03T02:00"))
    assert keys(pieces) == ["2026-01-01T02:00:00Z", "2026-01-02T02:00:00Z", "2026-01-03T02:00:00Z"]
    assert pieces[1].interval == (at("2026-01-01T02:00"), at("2026-01-02T02:00"))


def test_sets_of_parameters_have_keys_of_their_own() -> None:
    rows = grid({"x": [1, 2], "y": ["a", "b"]})
    assert keys(over_parameters(rows)) == ["x=1, y=a", "x=1, y=b", "x=2, y=a", "x=2, y=b"]
    assert keys(over_parameters([{"x": 1}, {"x": 1}])) == ["x=1", "x=1 (2)"]
    long = keys(over_parameters([{"x": "l" * 500 + "1"}, {"x": "l" * 500 + "2"}]))
    assert len(set(long)) == 2 and all(len(key) < 130 for key in long)


def test_firings_are_the_same_whenever_they_are_made() -> None:
    backfill = Backfill(backfill_id="20260101", pipeline="training", total=2, created_at=5.0, tags=("old",), priority=3)
    pieces = over_times(Timetable(Cron("0 2 * * *")), "nightly", at("2026-01-01"), at("2026-01-02T12:00"))
    made = firings(backfill, pieces, {"day": "{logical_time}", "depth": 3})
    assert made == firings(backfill, pieces, {"day": "{logical_time}", "depth": 3})
    assert [each.run_id for each in made] == ["20260101-0001", "20260101-0002"]
    first = made[0]
    assert (first.trigger, first.key) == ("backfill:20260101", "2026-01-01T02:00:00Z")
    assert first.parameters == {"day": "2026-01-01T02:00:00+00:00", "depth": 3}
    assert (first.cause.backfill, first.cause.logical_time) == ("20260101", at("2026-01-01T02:00"))
    assert (first.tags, first.priority, first.created_at) == (("old",), 3, 5.0)


def test_how_long_it_takes_is_told_by_what_runs_at_once() -> None:
    assert expected(10.0, 7, 3) == 30.0
    assert expected(None, 7, 3) is None
