"""`penstock plan`, and `penstock run --plan`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from command_line import Project, penstock

from penstock.cli.plan_view import about, plan_view
from penstock.cli.renderables import rendered


def test_a_plan_of_what_has_run_in_part(project: Project) -> None:
    answer = penstock("plan", "steps.py", "-p", "value=1", "-p", "fail=true", "-p", "items=5", cwd=project.folder)
    assert answer.code == 0
    lines = answer.out.splitlines()
    assert lines[:3] == ["steps(value=1, items=5, fail=True)", "", "↺ number         cached"]
    assert lines[3] == "▸ fragile        to run"
    assert "it failed in run " in lines[4]
    assert lines[5:] == [
        "? after_fragile  not yet known: waits for fragile",
        lines[6],
        "    scaled[3], scaled[4]: never ran before",
        "? total          not yet known: waits for scaled",
        "",
        lines[-1],
    ]
    assert lines[6].startswith("▸ scaled         2 to run, 3 cached (")
    assert lines[-1].startswith("3 to run (less than 1 s")
    assert lines[-1].endswith("4 cached, 2 not yet known")


def test_a_plan_as_json(project: Project) -> None:
    answer = penstock("plan", "steps.py", "-p", "fail=true", "-p", "items=5", "--json", cwd=project.folder)
    document = answer.document
    assert answer.code == 0
    assert document["parameters"] == {"value": 1, "items": 5, "fail": True}
    tasks = {task["id"]: task for task in document["tasks"]}
    assert tasks["number"] == {
        "id": "number",
        "task": "number",
        "state": "cached",
        "reason": None,
        "waits_for": [],
        "expected_s": None,
        "expected_memory": None,
    }
    assert tasks["scaled"]["items"] == {
        "count": 5,
        "more": False,
        "cached": 3,
        "would_run": 2,
        "which": {"would_run": ["scaled[3]", "scaled[4]"]},
    }
    assert tasks["scaled"]["reasons"][0]["which"] == ["scaled[3]", "scaled[4]"]
    assert tasks["scaled"]["expected_memory"] > 1_000_000
    assert (tasks["total"]["state"], tasks["total"]["waits_for"]) == ("unknown", ["scaled"])
    summary = document["summary"]
    assert (summary["cached"], summary["would_run"], summary["unknown"], summary["skipped"]) == (4, 3, 2, 0)
    assert (document["dynamic_at"], document["waits_for"], document["error"]) == (None, [], None)


def test_nothing_is_made_where_nothing_has_run(folder: Path) -> None:
    before = sorted(file.name for file in folder.iterdir())
    answer = penstock("plan", "steps.py", cwd=folder, PYTHONDONTWRITEBYTECODE="1")
    assert answer.code == 0
    assert "    it never ran before" in answer.out.splitlines()
    assert sorted(file.name for file in folder.iterdir()) == before


def test_what_is_wrong_is_told_as_by_run(folder: Path) -> None:
    answer = penstock("plan", "steps.py", "-p", "itms=5", "--json", cwd=folder)
    assert answer.code == 2
    assert answer.document["error"]["type"] == "ParameterError"


def test_a_planned_run_without_a_terminal_needs_a_yes(folder: Path) -> None:
    answer = penstock("run", "steps.py", "--plan", cwd=folder)
    assert (answer.code, answer.out) == (2, "")
    assert "Add --yes" in answer.err
    assert not (folder / ".penstock").exists()


def test_a_planned_run_shows_the_plan_and_then_runs(folder: Path) -> None:
    answer = penstock("run", "steps.py", "--plan", "--yes", "--json", cwd=folder)
    assert answer.code == 0
    assert answer.document["state"] == "succeeded"
    assert "steps(value=1, items=3, fail=False)" in answer.err
    assert "? total          not yet known: waits for number" in answer.err


# The view.


def task(name: str, state: str, **more: Any) -> dict[str, Any]:
    return {
        "id": name,
        "task": name.partition("-")[0],
        "state": state,
        "reason": None,
        "waits_for": [],
        "expected_s": None,
        "expected_memory": None,
        **more,
    }


def shown(*tasks: dict[str, Any], **more: Any) -> list[str]:
    summary = {state: sum(each["state"] == state for each in tasks) for state in ("would_run", "cached", "unknown")}
    document = {
        "pipeline": "p",
        "parameters": {},
        "tasks": list(tasks),
        "summary": {**summary, "expected_s": None, "unmeasured": 0},
        "dynamic_at": None,
        "waits_for": [],
        "error": None,
        **more,
    }
    return [line.rstrip() for line in rendered(plan_view(document), width=200).splitlines()][2:]


def test_cached_nodes_in_a_row_are_folded() -> None:
    lines = shown(*(task(name, "cached") for name in "abcd"), task("e", "would_run"), task("f", "cached"))
    assert lines[0].split() == ["↺", "a", "...", "d", "4", "cached"]
    assert [line.split()[1] for line in lines[1:3]] == ["e", "f"]


def test_many_nodes_alike_are_folded_with_their_reason() -> None:
    reason = {"cause": "first", "text": "no earlier run has it"}
    lines = shown(*(task(f"fit-{number}", "would_run", reason=reason, expected_s=30.0) for number in range(8)))
    assert lines[0].split() == ["▸", "fit-0", "...", "fit-7", "8", "to", "run", "(about", "4", "min)"]
    assert lines[1] == "    8 of them: never ran before"


def test_a_difference_is_told_in_full_once() -> None:
    change = {"kind": "code", "name": "m:f", "where": "m.py:3", "diff": ["@@ -3,1 +3,1 @@", "-a", "+b"]}
    reason = {"cause": "differs", "text": "m:f (m.py:3) changed", "differences": [change]}
    lines = shown(task("x", "would_run", reason=reason), task("y", "would_run", reason=reason))
    assert lines[:7] == [
        "▸ x  to run",
        "    m:f (m.py:3) changed",
        "      m.py:3  m:f",
        "      @@ -3,1 +3,1 @@",
        "      -a",
        "      +b",
        "▸ y  to run",
    ]
    assert lines[7] == "    m:f (m.py:3) changed"


def test_what_is_not_known_of_a_dynamic_pipeline() -> None:
    lines = shown(task("x", "would_run"), dynamic_at="p.py:9", waits_for=["x"], error="ValueError: no")
    assert "✗ the body of p fails: ValueError: no" in lines
    assert "? what follows p.py:9 is not yet known: the value of x is used there" in lines


def test_items_of_bodies_are_told_together() -> None:
    inner = [task(f"fold[{n}]/fit", "would_run" if n else "cached", path="fold/fit") for n in range(3)]
    lines = shown(task("fold", "would_run", body=True), *inner)
    assert lines[1] == "▸ fold[*]/fit  2 to run, 1 cached"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "less than 1 s"), (12.4, "about 12 s"), (125, "about 2 min"), (3600, "about 1.0 h"), (9000, "about 2.5 h")],
)
def test_an_expectation_is_told_roughly(seconds: float, words: str) -> None:
    assert about(seconds) == words


def test_the_plan_of_a_run_that_is_gone_on_with_is_pointed_to(tmp_path: Path) -> None:
    assert "`penstock resume RUN --plan`" in " ".join(penstock("plan", "--help", cwd=tmp_path).out.split())
