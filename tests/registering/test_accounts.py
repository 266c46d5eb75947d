from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from penstock.errors import StoreError
from penstock.model.firing import Advance, Firing, Standing
from penstock.model.occurrence import Occurrence, Pattern
from penstock.model.registration import Definition
from penstock.model.schedule import Cron, Timetable
from penstock.model.trigger import Cause, EventSource, Limits, SensorSource, Trigger
from penstock.registering.accounts import Accounts, source_words
from penstock.stores.sqlite import SqliteStore

#: 2026-11-21 12:00 UTC
NOON = 1795262400.0
HOURLY = Timetable(Cron("0 * * * *"))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "penstock.db")
    yield store
    store.close()


def register(store: SqliteStore, trigger: Trigger) -> Definition:
    document = msgspec.to_builtins(trigger)
    definition = Definition(
        kind="trigger", name=trigger.name, target="t.py:t", digest=b"1", document=document, registered_at=NOON
    )
    return store.agenda.register([definition])[0].definition


def queue(store: SqliteStore, name: str, now: float, reason: str = "") -> None:
    firing = Firing(
        run_id="r1", trigger=name, key="1", pipeline="p", cause=Cause(trigger=name), created_at=now, reason=reason
    )
    [standing] = store.agenda.standings([name])
    assert store.agenda.advance([Advance(standing=standing, firings=(firing,))]) == [True]


def reasons(store: SqliteStore, definition: Definition, now: float) -> list[str]:
    return Accounts(store, now).full(definition, 10)["reasons"]


def test_what_nobody_has_seen_to_is_told(store: SqliteStore) -> None:
    hourly = register(store, Trigger(name="hourly", source=HOURLY, pipeline="p"))
    assert reasons(store, hourly, NOON + 3000) == []
    [told] = reasons(store, hourly, NOON + 3600 + 600)
    assert told.startswith("what was due 10 min 00 s ago was not seen to: no daemon seems to run here")
    sensor = register(store, Trigger(name="sensor", source=SensorSource("asked"), pipeline="p"))
    assert "no daemon seems to run here" in reasons(store, sensor, NOON + 600)[0]


def test_an_event_that_nobody_has_seen_to_is_told(store: SqliteStore) -> None:
    definition = register(store, Trigger(name="t", source=EventSource(Pattern("upload.*")), pipeline="p"))
    store.agenda.emit([Occurrence(id="1", source="a", type="other", at=NOON + 1)])
    assert reasons(store, definition, NOON + 600) == ["it waits for an event upload.*"]
    store.agenda.emit([Occurrence(id="2", source="a", type="upload.done", at=NOON + 1)])
    assert "what was due 9 min 59 s ago was not seen to" in reasons(store, definition, NOON + 600)[0]


def test_why_firings_wait(store: SqliteStore) -> None:
    limited = register(store, Trigger(name="t", source=HOURLY, pipeline="p", limits=Limits(at_most=1)))
    queue(store, "t", NOON + 1, "another of its runs is under way")
    assert "1 firing waits: another of its runs is under way" in reasons(store, limited, NOON + 2)
    document = Accounts(store, NOON + 2).full(limited, 10)
    assert [firing["state"] for firing in document["firings"]] == ["queued"]
    assert document["runs"]["queued"] == 1


def test_one_that_fails_says_what_went_wrong(store: SqliteStore) -> None:
    definition = register(store, Trigger(name="t", source=SensorSource("asked"), pipeline="p"))
    [standing] = store.agenda.standings(["t"])
    failed = msgspec.structs.replace(standing, failures=3, note="KeyError: 'x'", looked_at=NOON + 1, next_at=NOON + 60)
    store.agenda.advance([Advance(standing=failed)])
    assert reasons(store, definition, NOON + 2) == ["it failed 3 times in a row: KeyError: 'x'"]


def test_one_that_is_switched_off_is_due_at_no_time(store: SqliteStore) -> None:
    definition = register(store, Trigger(name="t", source=HOURLY, pipeline="p"))
    assert Accounts(store, NOON).brief(definition)["next_at"] == "2026-11-21T13:00:00.000Z"
    store.agenda.switch("t", enabled=False)
    assert Accounts(store, NOON).brief(definition)["next_at"] is None


def test_one_that_cannot_be_read_is_to_be_registered_again(store: SqliteStore) -> None:
    document: Any = {"name": "t", "source": {"type": "of another version"}}
    definition = Definition(kind="trigger", name="t", target="t", digest=b"", document=document, origin="t.py")
    with pytest.raises(StoreError, match="cannot be read") as caught:
        Accounts(store, NOON).brief(definition)
    assert caught.value.remedy == "Register it again: penstock register t.py"


def test_what_a_sensor_follows_in_words() -> None:
    assert source_words(Trigger(name="t", source=SensorSource("asked", every=90))) == "asked(), asked every 90 s"


def test_a_standing_that_nobody_has_recorded_yet(store: SqliteStore) -> None:
    trigger = Trigger(name="t", source=HOURLY, enabled=False)
    assert Accounts(store, NOON).standing(trigger) == Standing(trigger="t", enabled=False)
