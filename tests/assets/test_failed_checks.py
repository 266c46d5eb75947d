"""Checks that do not pass: what is kept of them, and what is not made from what they looked at."""

from __future__ import annotations

import pytest
from asset_project import AssetProject, states

from penstock import DefinitionError, NotFoundError, load_asset, pipeline
from penstock.app import Services
from penstock.app.asset_documents import row, version_document
from penstock.app.asset_states import AssetStates

GATED = """
    from pathlib import Path

    from penstock import CheckOutcome, asset

    @asset
    def gated() -> int:
        return 3

    @gated.check(blocking=True)
    def pos(gated):
        return CheckOutcome(Path("ok.txt").exists(), "no file")

    @gated.check
    def odd(gated):
        return CheckOutcome(gated % 2 == 0, "it is odd")

    @asset
    def behind(gated: int) -> int:
        return gated + 1
"""


@pytest.fixture
def gated(project: AssetProject) -> AssetProject:
    project.write(GATED)
    return project


def test_what_did_not_pass_is_not_taken_by_another_run(gated: AssetProject) -> None:
    assert gated.make("gated").state == "failed"
    with pytest.raises(NotFoundError, match="gated version 1 did not pass its blocking check pos: no file"):
        gated.make("behind")
    with pytest.raises(NotFoundError, match="blocking check pos"):
        load_asset("gated")
    assert load_asset("gated", version=1) == 3
    with Services().existing_store() as store:
        assert row(gated.assets, AssetStates(gated.assets, store), "gated")["not_passed"] == ["pos", "odd"]
    (gated.folder / "ok.txt").touch()
    # the same version, and the check asked anew
    again = gated.make("gated")
    assert (again.state, states(again)["gated:pos"], states(again)["gated"]) == ("succeeded", "succeeded", "cached")
    assert gated.make("behind").state == "succeeded"
    assert load_asset("gated") == 3


def test_latest_is_refused_as_well(gated: AssetProject) -> None:
    gated.make("gated")

    @pipeline
    def taking():
        return gated.assets.made["gated"].latest()  # type: ignore[attr-defined]

    ran = taking.options(executor="inline").run()
    assert ran.state == "failed"
    with pytest.raises(NotFoundError, match="did not pass its blocking check pos"):
        ran.raise_for_state()


def test_a_check_that_did_not_pass_is_asked_again_when_the_run_is_resumed(gated: AssetProject) -> None:
    failed = gated.make("gated")
    (gated.folder / "ok.txt").touch()
    resumed = failed.retry()
    assert (resumed.state, states(resumed)["gated:pos"]) == ("succeeded", "succeeded")


def test_partitions_of_what_has_none_are_refused(gated: AssetProject) -> None:
    with pytest.raises(DefinitionError, match="gated has no partitions, and 2026 is asked for"):
        gated.make("gated", partitions=["2026"])


def test_versions_that_never_were_are_told_from_those_that_are_gone(gated: AssetProject) -> None:
    gated.make("gated")
    with pytest.raises(NotFoundError, match="there is no version 99 of gated"):
        load_asset("gated", version=99)
    with pytest.raises(NotFoundError, match="there is no asset 'gatde'") as unknown:
        load_asset("gatde")
    assert unknown.value.remedy == "Did you mean gated?"


def test_an_answer_that_is_none_names_its_check(gated: AssetProject) -> None:
    gated.edit('return CheckOutcome(Path("ok.txt").exists(), "no file")', "return 12")
    failed = gated.make("gated")
    fault = failed.document["tasks"][-1]
    assert "the check pos of gated: a check returns true, false or a CheckOutcome, not 12" in str(fault)


def test_a_check_that_blocks_does_not_merely_warn(gated: AssetProject) -> None:
    with pytest.raises(DefinitionError, match="is blocking, and only warns"):
        gated.assets.made["gated"].check(blocking=True, severity="warn")


def test_what_was_refreshed_is_not_missed_when_the_run_is_resumed(gated: AssetProject) -> None:
    gated.make("gated")
    failed = gated.make("gated", refresh="gated")
    (gated.folder / "ok.txt").touch()
    again = failed.retry()
    assert again.state == "succeeded"
    lines = gated.read(lambda store: str(list(store.lines(again.run_id))))
    assert "nothing called" not in lines


def test_small_values_are_shown_with_their_versions(gated: AssetProject) -> None:
    gated.make("gated")
    [version] = gated.versions("gated")
    with Services().existing_store() as store:
        assert version_document(version, store, Services().values)["preview"] == {"kind": "data", "value": 3}


def test_what_could_not_be_made_is_told_with_its_run(project: AssetProject) -> None:
    project.write("""
        from penstock import asset

        @asset
        def broken() -> int:
            raise ValueError("no rows")
    """)
    failed = project.make("broken")
    with Services().existing_store() as store:
        told = row(project.assets, AssetStates(project.assets, store), "broken")
    assert (told["state"], told["trouble"]) == ("missing", f"run {failed.run_id} could not make it")
