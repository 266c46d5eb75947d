"""What a backfill is asked for with: files of parameters, times, and how long it may take."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from penstock import ParameterError
from penstock.app import Services
from penstock.errors import DefinitionError, NotFoundError
from penstock.registering.backfill_rows import rows_in
from penstock.registering.backfill_times import stretch
from penstock.registering.backfills import Request, planned

PIPELINES = """
from penstock import cron, pipeline, task, trigger


@task
def fit(depth: int) -> int:
    return depth


@pipeline
def training(depth: int = 1) -> int:
    return fit(depth)


nightly = trigger(training, cron("0 2 * * *", zone="Europe/Berlin"), enabled=False)
"""

NOW = datetime.fromisoformat("2026-02-01T12:00+00:00").timestamp()


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("depth,rate\n3\n", "runs.csv, row 1 below the names: 1 values for 2"),
        ("depth,rate\n3,4\n5,6,7\n", "runs.csv, row 2 below the names: 3 values for 2"),
        ("depth,depth\n3,4\n", "the column 'depth' is there twice"),
        ("depth\n", "has no sets of parameters"),
        ("", "has no sets of parameters"),
    ],
)
def test_a_file_that_cannot_be_says_where(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "runs.csv").write_text(text)
    with pytest.raises(ParameterError, match=told):
        rows_in(tmp_path / "runs.csv")


def test_a_date_is_by_the_clocks_of_the_schedule_and_lasts_to_its_end() -> None:
    found = stretch(Request(target="x", begin="2026-01-01", end="2026-01-02"), "Europe/Berlin", NOW)
    assert (found.begin, found.end) == (at("2026-01-01T00:00+01:00"), at("2026-01-02T23:59:59.999+01:00"))
    exact = stretch(Request(target="x", begin="2026-01-01T00:00Z", end="2026-01-02T03:00"), "Europe/Berlin", NOW)
    assert (exact.begin, exact.end) == (at("2026-01-01T00:00Z"), at("2026-01-02T03:00+01:00"))
    future = stretch(Request(target="x", begin="2026-01-01", end="2027-01-01"), "UTC", NOW)
    assert (future.end, len(future.notes)) == (NOW, 1)


@pytest.mark.parametrize(
    ("begin", "end", "told"), [("2026-01-03", "2026-01-01", "is after"), ("2026-03-01", None, "still to come")]
)
def test_a_stretch_that_cannot_be_is_refused(begin: str, end: str | None, told: str) -> None:
    with pytest.raises(DefinitionError, match=told):
        stretch(Request(target="x", begin=begin, end=end), "UTC", NOW)


@pytest.fixture
def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "state"))
    path, modules = list(sys.path), dict(sys.modules)
    (tmp_path / "backfilled_things.py").write_text(PIPELINES)
    yield Services()
    sys.path[:] = path
    for name in sys.modules.keys() - modules.keys():
        del sys.modules[name]


def test_the_trigger_of_a_file_tells_the_times(services: Services) -> None:
    asked = Request(target="backfilled_things.py:training", begin="2026-01-01", end="2026-01-02")
    plan = planned(services, asked, now=NOW)
    assert [piece.key for piece in plan.pieces] == ["2026-01-01T01:00:00Z", "2026-01-02T01:00:00Z"]
    assert "by the clocks of Europe/Berlin" in plan.notes[0]

    def refused(**asked: object) -> str:
        request = Request(**({"target": "training"} | asked))  # pyright: ignore[reportArgumentType]
        with pytest.raises((DefinitionError, NotFoundError)) as caught:
            planned(services, request, now=NOW)
        return str(caught.value)

    for word in ("all", "latest", "A..B"):
        assert f"no partitions that {word!r} could mean" in refused(partitions=(word,))
    assert "no parameter of training takes a partition" in refused(partitions=("eu",))
    assert "Did you mean training?" in refused(target="trainig", partitions=("eu",))
    wrong = refused(rows=({"depth": "3"}, {"depth": "deep"}), texts=True, source="runs.csv")
    assert "runs.csv, row 2 below the names" in wrong and "-p" not in wrong
