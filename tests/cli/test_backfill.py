"""`penstock backfill`: planned, begun, carried out, looked at, tried again."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import penstock

THINGS = """
from datetime import datetime
from pathlib import Path

from penstock import asset, cron, daily, interval_end, interval_start, logical_time, pipeline, static, task, trigger, weekly


@asset(partitions=daily("2026-01-01", end="2026-02-01"))
def sales(partition, begin: datetime = interval_start(), end: datetime = interval_end()) -> int:
    assert (end - begin).days == 1
    if Path("bad").exists():
        assert partition not in Path("bad").read_text()
    return int(partition[-2:])


@asset(partitions=daily("2026-01-01", end="2026-02-01"))
def doubled(sales) -> int:
    return 2 * sales


@asset(partitions=weekly("2026-01-01", end="2026-02-01"))
def week(sales: dict) -> int:
    return sum(sales.values())


@asset(partitions=static(["eu", "us"]))
def region() -> int:
    return 1


@task(cache=False)
def fit(depth: int) -> int:
    if depth == 8:
        raise ValueError("too deep")
    return depth


@pipeline
def training(depth: int = 1, day: datetime = logical_time()) -> int:
    return fit(depth)


nightly = trigger(training, cron("0 2 * * *"), enabled=False)
"""


@pytest.fixture
def things(tmp_path: Path) -> Path:
    (tmp_path / "things.py").write_text(THINGS)
    (tmp_path / "pyproject.toml").write_text('[tool.penstock]\nregister = ["things.py"]\nexecutor = "inline"\n')
    assert penstock("register", "things.py", cwd=tmp_path).code == 0
    return tmp_path


def test_a_backfill_is_planned_without_beginning_anything(things: Path) -> None:
    assert penstock("assets", "materialize", "sales", "--partition", "2026-01-03", "-q", cwd=things).code == 0
    answer = penstock(
        "backfill", "sales", "--partitions", "2026-01-01..2026-01-11", "--downstream", "--batch", "4", "--plan", "--json", cwd=things
    )  # fmt: skip
    assert answer.code == 0, answer.err
    plan = answer.document
    assert (plan["assets"], plan["runs"], plan["partitions"]) == ("sales, doubled, week", 5, 11)
    stages = [(stage["assets"], stage["runs"], stage["first"], stage["last"]) for stage in plan["stages"]]
    assert stages == [
        (["sales", "doubled"], 4, "2026-01-01..2026-01-02", "2026-01-08..2026-01-11"),
        (["week"], 1, "2026-01-05", "2026-01-05"),
    ]
    assert plan["notes"] == []
    plan = penstock(
        "backfill", "sales", "--partitions", "2026-01-01..2026-01-10", "--plan", "--json", cwd=things
    ).document
    assert (plan["runs"], plan["named"]) == (9, 10)
    plan = penstock(
        "backfill", "training", "--from", "2026-01-01", "--to", "2026-01-03", "--plan", "--json", cwd=things
    )
    assert (plan.document["first"], plan.document["runs"]) == ("2026-01-01T02:00:00Z", 3)
    asked = penstock("backfill", "sales", "--partitions", "all", cwd=things)
    assert (asked.code, "--yes" in asked.err) == (2, True)
    assert penstock("backfill", "list", "--json", cwd=things).document == []


def test_what_cannot_be_is_refused_before_anything_begins(things: Path) -> None:
    def refused(*arguments: str) -> str:
        answer = penstock("backfill", *arguments, "-y", cwd=things)
        assert answer.code == 2, answer.err
        return answer.err

    assert "there is no partition '2999-01-01'" in refused("sales", "--partitions", "2026-01-01..2999-01-01")
    assert "there is no partition '2025-12-31'" in refused("sales", "--partitions", "2025-12-31")
    assert "different partitions" in refused("sales, region", "--partitions", "all")
    assert "over what training is to run" in refused("training")
    assert "depth" in refused("training", "--grid", "depth=three")
    assert "training is a pipeline" in refused("training", "--grid", "depth=3", "--downstream")
    assert "--from takes a time" in refused("training", "--from", "yesterday")
    assert "no pipeline 'sales'" in refused("sales", "--from", "2026-01-01")


def test_a_backfill_is_begun_paused_and_cancelled(things: Path) -> None:
    begun = penstock("backfill", "sales", "--partitions", "2026-01-01..2026-01-03", "-y", "--at-most", "2", cwd=things)
    assert begun.code == 0 and "no penstock up" in begun.err
    name = begun.out.strip()
    assert penstock("backfill", "pause", name, "--json", cwd=things).document["state"] == "paused"
    assert f"penstock backfill resume {name}" in penstock("backfill", "show", name, cwd=things).out
    assert penstock("backfill", "resume", name, "--json", cwd=things).document["progress"]["queued"] == 3
    cancelled = penstock("backfill", "cancel", "latest", "--json", cwd=things).document
    assert (cancelled["state"], cancelled["progress"]["cancelled"]) == ("cancelled", 3)
    assert "0 of 3" in penstock("backfill", "show", name, cwd=things).out
    assert penstock("backfill", "resume", name, cwd=things).code != 0


@pytest.mark.slow
def test_what_is_made_from_the_partitions_follows_them_and_what_failed_holds_it_up(things: Path) -> None:
    asked = ("sales", "--partitions", "2026-01-01..2026-01-11", "--downstream", "--batch", "6", "--at-most", "3", "-y")
    (things / "bad").write_text("2026-01-11")
    failed = penstock("backfill", *asked, "--here", "--json", cwd=things)
    assert failed.code == 1, failed.err
    found = failed.document
    assert found["progress"] == {
        "queued": 0, "running": 0, "succeeded": 1, "failed": 1, "cancelled": 0, "skipped": 1,
    }  # fmt: skip
    run_id = found["failures"][0]["run_id"]
    assert [(each["key"], each["reason"]) for each in found["unmade"]] == [
        ("2026-01-05 of week", f"2026-01-07..2026-01-11 of sales, doubled was not made: run {run_id} failed")
    ]
    (things / "bad").unlink()
    again = penstock("backfill", "retry", "latest", "--here", "--json", cwd=things)
    assert (again.code, again.document["progress"]["succeeded"]) == (0, 2), again.err
    made = penstock("assets", "show", "week", "--json", cwd=things)
    assert made.code == 0 and "2026-01-05" in penstock("assets", "history", "week", cwd=things).out


@pytest.mark.slow
def test_a_backfill_is_carried_out_here_and_what_failed_is_tried_again(things: Path) -> None:
    made = penstock(
        "backfill", "sales", "--partitions", "2026-01-01..2026-01-04", "--batch", "2", "--here", "-y", cwd=things
    )
    assert made.code == 0, made.err
    states = penstock("assets", "partitions", "sales", "--json", cwd=things).document
    assert (states["total"], states["materialized"]) == (31, 4)
    (things / "runs.csv").write_text("depth\n3\n8\n")
    failed = penstock("backfill", "things.py:training", "--params", "runs.csv", "--here", "--json", "-y", cwd=things)
    assert failed.code == 1, failed.err
    assert [each["reason"] for each in failed.document["failures"]] == ["fit: ValueError: too deep"]
    again = penstock("backfill", "retry", "latest", "--here", "--json", cwd=things)
    assert (again.code, again.document["total"]) == (1, 1)
    shown = penstock("backfill", "show", failed.document["backfill_id"], "--json", cwd=things).document
    assert shown["retries"] == [again.document["backfill_id"]]
