"""`penstock assets`: what there is, how it is, and how it is made."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import penstock

THINGS = """
from pathlib import Path

from penstock import asset, external_asset

orders = external_asset("orders", observe=Path("orders.txt").read_text, group="raw")


@asset(group="raw", owners=["ada"], fresh="1h")
def raw() -> list:
    "The rows."
    return [1, 2, 3]


@asset(deps=["orders"])
def features(raw: list) -> list:
    return [2 * each for each in raw]


@features.check(blocking=True)
def positive(features):
    return min(features) > 0


@asset
def report(features: list) -> int:
    return sum(features)
"""


@pytest.fixture
def things(tmp_path: Path) -> Path:
    (tmp_path / "things.py").write_text(THINGS)
    (tmp_path / "orders.txt").write_text("one")
    (tmp_path / "pyproject.toml").write_text('[tool.penstock]\nregister = ["things.py"]\nexecutor = "inline"\n')
    return tmp_path


def test_assets_are_made_looked_at_and_explained(things: Path) -> None:
    listed = penstock("assets", "list", "--json", cwd=things)
    assert listed.code == 0, listed.err
    assert {each["name"]: each["state"] for each in listed.document} == dict.fromkeys(
        ("orders", "raw", "features", "report"), "missing"
    )
    late = penstock("assets", "late", cwd=things)
    assert (late.code, "it was never made" in late.out) == (1, True)

    made = penstock("assets", "materialize", "+report", "--json", cwd=things)
    assert made.code == 0, made.err
    assert made.document["outputs"]["report"]["value"] == 12
    assert penstock("assets", "late", cwd=things).code == 0

    seen = penstock("assets", "observe", "--json", cwd=things)
    assert [(each["asset"], each["state"]) for each in seen.document] == [("orders", "new")]
    why = penstock("assets", "why", "features", cwd=things)
    assert "features is stale" in why.out
    assert "orders" in why.out
    rows = {each["name"]: each for each in penstock("assets", "list", "--json", cwd=things).document}
    assert (rows["features"]["state"], rows["report"]["may_become_stale"]) == ("stale", ["features"])
    assert [each["name"] for each in penstock("assets", "list", "stale()", "--json", cwd=things).document] == [
        "features"
    ]

    planned = penstock("assets", "plan", "stale()", "--json", cwd=things)
    assert planned.document["tasks"][0]["state"] == "would_run"
    assert penstock("assets", "materialize", "stale()", "-q", cwd=things).code == 0
    nothing = penstock("assets", "materialize", "stale()", cwd=things)
    assert (nothing.code, nothing.err.strip()) == (0, "there is nothing to make")


@pytest.mark.slow
def test_versions_are_looked_at(things: Path) -> None:
    penstock("assets", "materialize", "*", cwd=things)
    penstock("assets", "observe", cwd=things)
    penstock("assets", "materialize", "stale()", cwd=things)
    shown = penstock("assets", "show", "features", cwd=things)
    for word in ("features is fresh", "made from   raw, orders", "positive", "raw@1, orders@1"):
        assert word in shown.out
    versions = penstock("assets", "history", "features", "--json", cwd=things).document
    assert [(each["version"], each["preview"]) for each in versions][1][0] == 1
    checked = penstock("assets", "checks", "features", "--json", cwd=things).document
    assert {each["passed"] for each in checked} == {True}
    lineage = penstock("assets", "lineage", "features@2", "--html", "l.html", "--json", cwd=things).document
    assert [each["asset"] for each in lineage["upstream"]] == ["raw", "orders"]
    assert lineage["versions"][0]["code"]["function"] == "things:raw"
    assert "features@2" in (things / "l.html").read_text()
    down = penstock("assets", "lineage", "raw", cwd=things).out
    assert "report@1" in down
    value = penstock("assets", "value", "report", "--json", cwd=things).document
    assert value["preview"]["value"] == 12
    assert penstock("assets", "value", "report@1", "-o", "report.json", cwd=things).code == 0
    assert (things / "report.json").read_text().strip() == "12"


def test_a_run_of_assets_is_a_run_like_any_other(things: Path) -> None:
    (things / "things.py").write_text(THINGS.replace("return sum(features)", "raise ValueError('no')"))
    failed = penstock("assets", "materialize", "*", "-q", cwd=things)
    assert failed.code == 1, failed.err
    (things / "things.py").write_text(THINGS)
    again = penstock("resume", "latest", "--json", cwd=things)
    assert again.code == 0, again.err
    assert {each["id"]: each["state"] for each in again.document["tasks"]}["report"] == "succeeded"
    for words in (("why", "latest", "report"), ("replay", "latest", "features")):
        told = penstock(*words, cwd=things)
        assert told.code == 0, told.err
    drawn = penstock("graph", f"assets:{things / 'things.py'}", cwd=things)
    assert drawn.code == 0, drawn.err
    assert "report" in drawn.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("show", "reprot"), "there is no asset 'reprot'"),
        (("materialize", "reprot"), "there is no asset 'reprot'; did you mean report?"),
        (("materialize", "report"), "report is made from features, which was never made"),
        (("materialize", "orders"), "orders is made elsewhere"),
        (("observe", "raw"), "raw cannot be observed: it is made here"),
        (("list", "-f", "nothing.py"), "there is no file or folder nothing.py"),
    ],
)
def test_what_is_wrong_is_said(things: Path, words: tuple[str, ...], message: str) -> None:
    answer = penstock("assets", *words, cwd=things)
    assert answer.code == 2
    assert message in answer.err


def test_where_there_are_no_assets(tmp_path: Path) -> None:
    answer = penstock("assets", "list", cwd=tmp_path)
    assert answer.code == 2
    assert "there are no assets in this project" in answer.err


def test_checks_that_do_not_pass_are_told(things: Path) -> None:
    (things / "things.py").write_text(THINGS.replace("min(features) > 0", "min(features) > 10"))
    made = penstock("assets", "materialize", "+features", cwd=things)
    assert (made.code, "! features: positive did not pass" in made.err) == (1, True)
    assert "did not pass: positive" in penstock("assets", "list", cwd=things).out
    wrong = penstock("assets", "list", "kind:externl", cwd=things)
    assert (wrong.code, "did you mean external?" in wrong.err) == (2, True)
