from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Answer, penstock

FLOWS = '''
from datetime import datetime

from penstock import asset, cron, event, logical_time, pipeline, run_ends, sensor, task, trigger
from penstock import RunRequest, SensorResult

@task
def told(text: str, number: int) -> str:
    return f"{text} {number}"

@pipeline
def ingest(path: str = "none", number: int = 0, day: datetime = logical_time()):
    return told(path, number)

def has_room(cause):
    return cause.logical_time != 0

nightly = trigger(
    ingest, cron("30 2 * * *", zone="Europe/Berlin"), parameters={"path": "{logical_time:%Y-%m-%d}"}, condition=has_room
)
arrivals = trigger(ingest, event("upload.done"), parameters={"path": "{event.data.path}"}, tags=["upload"])

@sensor(ingest, every=5)
def new_rows(cursor):
    """Rows that are new."""
    print("asked")
    number = (cursor or 0) + 1
    return SensorResult([RunRequest(f"row-{number}", {"number": number})], number)

@asset
def numbers() -> list[int]:
    return [1, 2]

@asset
def total(numbers: list[int]) -> int:
    return sum(numbers)

report = trigger("+total", event("report.wanted"))
'''


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder with triggers, registered."""
    (tmp_path / "flows.py").write_text(FLOWS)
    (tmp_path / "penstock.toml").write_text('executor = "inline"\n')
    registered = penstock("register", "flows.py", cwd=tmp_path)
    assert registered.code == 0, registered.err
    return tmp_path


def ask(folder: Path, *arguments: str) -> Answer:
    return penstock("triggers", *arguments, cwd=folder)


def queued(folder: Path) -> list[str]:
    return [each["run_id"] for each in ask(folder, "firings", "--state", "queued", "--json").document]


def test_triggers_are_listed_and_explained(shop: Path) -> None:
    listed = {each["name"]: each for each in ask(shop, "--json").document}
    assert set(listed) == {"nightly", "arrivals", "new_rows", "report"}
    assert listed["nightly"]["when"] == "every day at 02:30 Europe/Berlin"
    assert listed["nightly"]["next_at"] is not None
    assert listed["arrivals"]["when"] == "an event upload.done"
    assert listed["new_rows"]["kind"] == "sensor"
    shown = ask(shop, "show", "nightly")
    assert "condition  has_room()" in shown.out
    assert "it waits for an event upload.done" in ask(shop, "show", "arrivals").out
    assert "Did you mean" in ask(shop, "show", "nightli").err or "nightly" in ask(shop, "show", "nightli").err


def test_the_coming_times_keep_to_the_zone(tmp_path: Path) -> None:
    times = ask(tmp_path, "next", "30 2 * * *", "--zone", "Europe/Berlin", "--after", "2027-03-26", "-n", "3", "--json")
    # there is no half past two on the 28th: the first moment after the gap is due
    assert [each["at"] for each in times.document] == [
        "2027-03-26T01:30:00.000Z",
        "2027-03-27T01:30:00.000Z",
        "2027-03-28T01:00:00.000Z",
    ]
    assert (
        "2027-03-28 03:00 CEST"
        in ask(tmp_path, "next", "30 2 * * *", "--zone", "Europe/Berlin", "--after", "2027-03-27T12:00", "-n", "1").out
    )
    never = ask(tmp_path, "next", "0 0 31 2 *")
    assert never.code == 2
    assert "is never due" in never.err
    assert not (tmp_path / ".penstock").exists()


@pytest.mark.slow
def test_a_trigger_is_switched_off_and_on(shop: Path) -> None:
    assert ask(shop, "disable", "nightly", "arrivals").code == 0
    shown = ask(shop, "show", "nightly", "--json").document
    assert not shown["enabled"]
    assert "it is switched off: penstock triggers enable nightly" in shown["reasons"]
    assert ask(shop, "enable", "nightly", "--json").document == [{"name": "nightly", "enabled": True}]
    refused = ask(shop, "enable", "nightly", "nothing")
    assert refused.code == 2


@pytest.mark.slow
def test_what_a_trigger_would_start(shop: Path) -> None:
    [run] = ask(shop, "test", "nightly", "--at", "2026-12-24T00:00+01:00", "--json").document["runs"]
    assert run["parameters"] == {"path": "2026-12-24"}
    assert run["cause"]["logical_time"] == "2026-12-24T01:30:00.000Z"
    assert run["starts"]
    [run] = ask(shop, "test", "arrivals", "--event", '{"data": {"path": "a.csv"}}', "--json").document["runs"]
    assert (run["parameters"], run["tags"]) == ({"path": "a.csv"}, ["upload"])
    other = ask(shop, "test", "arrivals", "--event", '{"type": "other"}')
    assert "would start nothing: it would still wait for an event upload.done" in other.out
    missing = ask(shop, "test", "arrivals", "--event", '{"data": {}}')
    assert "but no run could be made of it" in missing.out
    assert ask(shop, "firings", "--json").document == []


@pytest.mark.slow
def test_a_sensor_is_asked_and_its_cursor_stays(shop: Path) -> None:
    for _ in range(2):
        asked = ask(shop, "test", "new_rows", "--json")
        assert [run["key"] for run in asked.document["runs"]] == ["row-1"]
        assert "asked" in asked.err


def test_a_trigger_is_fired_by_hand_once_for_a_time(shop: Path) -> None:
    fired = ask(shop, "fire", "nightly", "--at", "2026-11-20T02:30+01:00")
    assert fired.code == 0, fired.err
    assert queued(shop) == [fired.out.strip()]
    again = ask(shop, "fire", "nightly", "--at", "2026-11-20T01:30")
    assert again.code == 2
    assert f"has fired for 2026-11-20T01:30:00Z before: that is run {fired.out.strip()}" in again.err
    assert "1 firing waits in the queue" in ask(shop, "show", "nightly").out


def test_a_firing_is_made_a_run_of_its_cause(shop: Path) -> None:
    ran = ask(shop, "fire", "nightly", "--at", "2026-11-20T02:30+01:00", "--now", "--json")
    assert ran.code == 0, ran.err
    assert ran.document["outputs"]["result"]["value"] == "2026-11-20 0"
    assert ran.document["parameters"]["day"].startswith("2026-11-20T02:30:00+01:00")
    assert ran.document["version"] == 1
    cause = ran.document["cause"]
    assert (cause["trigger"], cause["key"]) == ("nightly", "2026-11-20T01:30:00Z")
    told = "trigger nightly (2026-11-20T01:30:00Z), about 2026-11-20 02:30 CET"
    assert f"started by {told}" in penstock("why", ran.document["run_id"], cwd=shop).out
    assert "nightly" in penstock("runs", cwd=shop).out
    # it is there: whoever starts it again goes quietly
    again = penstock("fire", ran.document["run_id"], cwd=shop)
    assert (again.code, again.out) == (0, "")


@pytest.mark.slow
def test_a_firing_of_which_no_run_can_be_made_has_failed(shop: Path) -> None:
    fired = ask(shop, "fire", "arrivals", "--event", '{"data": {"path": "b.csv"}, "id": "7"}')
    (shop / "flows.py").write_text(FLOWS.replace("def told(", "def told(:"))
    claim(shop, fired.out.strip())
    refused = penstock("fire", fired.out.strip(), cwd=shop)
    assert refused.code == 2
    [firing] = ask(shop, "firings", "arrivals", "--json").document
    assert firing["state"] == "failed"
    assert "flows.py" in firing["reason"]


def claim(folder: Path, run_id: str) -> None:
    """Take a firing out of the queue, as a daemon does."""
    from penstock.stores.sqlite import SqliteStore

    store = SqliteStore(folder / ".penstock" / "penstock.db")
    assert store.agenda.claim(run_id, "test", 0.0)
    store.close()


@pytest.mark.slow
def test_assets_are_made_by_a_firing(shop: Path) -> None:
    ran = ask(shop, "fire", "report", "--event", "{}", "--now", "--json")
    assert ran.code == 0, ran.err
    assert {task["id"] for task in ran.document["tasks"]} == {"numbers", "total"}
    assert ran.document["cause"]["trigger"] == "report"


@pytest.mark.slow
def test_firings_are_taken_out_of_the_queue(shop: Path) -> None:
    runs = [ask(shop, "fire", "nightly", "--at", f"2026-11-{day}").out.strip() for day in (20, 21)]
    assert ask(shop, "skip", runs[0]).code == 0
    assert ask(shop, "cancel", runs[1], "--json").document[0]["state"] == "cancelled"
    assert queued(shop) == []
    again = ask(shop, "skip", runs[1])
    assert again.code == 2
    assert "is cancelled, and not in the queue any more" in again.err
    nothing = penstock("fire", runs[0], cwd=shop)
    assert "nothing to start" in nothing.err


@pytest.mark.slow
def test_events_are_told(tmp_path: Path) -> None:
    (tmp_path / "data.json").write_text('{"path": "a.csv"}')
    first = penstock("emit", "upload.done", "--data", "@data.json", "--id", "4711", "--json", cwd=tmp_path)
    assert first.document["data"] == {"path": "a.csv"}
    assert first.document["new"]
    second = penstock("emit", "upload.done", "--id", "4711", cwd=tmp_path)
    assert "was recorded before" in second.err
    assert "--data is not JSON" in penstock("emit", "upload.done", "--data", "{", cwd=tmp_path).err
    assert "the type of an event is a text" in penstock("emit", " ", cwd=tmp_path).err


@pytest.mark.slow
def test_what_contradicts_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text(
        FLOWS.replace("{event.data.path}", "{event.date.path}").replace('"+total"', '"+totals"')
    )
    told = penstock("register", "wrong.py", cwd=tmp_path)
    assert told.code == 2
    assert "event.date.path" in told.err
    assert "totals" in told.err
    assert "+ trigger nightly" in told.out


@pytest.mark.slow
def test_a_pipeline_that_no_process_can_load_starts_nothing(tmp_path: Path) -> None:
    (tmp_path / "inner.py").write_text(
        "from penstock import cron, pipeline, trigger\n\ndef made():\n    @pipeline\n    def inner():\n        pass\n"
        "    return inner\n\nhourly = trigger(made(), cron('0 * * * *'))\n"
    )
    told = penstock("register", "inner.py", cwd=tmp_path)
    assert told.code == 2
    assert "inner, which hourly starts, cannot be loaded by another process" in told.err
