"""The collection: what of the past of triggers and assets stays."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from collected import DAY, NOTHING, Yard

from penstock.model.asset import Materialization
from penstock.model.firing import Advance, Firing, FiringState, Standing
from penstock.model.identity import TaskIdentity
from penstock.model.occurrence import Occurrence, Pattern
from penstock.model.registration import Definition
from penstock.model.schedule import Every, Timetable
from penstock.model.trigger import Cause, EventSource, SensorSource, Source, Trigger
from penstock.ports import Turn
from penstock.runtime.collecting.agenda import forget
from penstock.testing.records import fingerprint

SOURCES: dict[str, Source] = {
    "nightly": Timetable(Every(60.0)),
    "uploads": EventSource(Pattern("upload")),
    "asked": SensorSource("ask"),
}


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    yard = Yard(tmp_path)
    yield yard
    yard.store.close()


def definition(name: str, source: Source) -> Definition:
    document = msgspec.to_builtins(Trigger(name=name, source=source, pipeline="training"))
    return Definition(kind="trigger", name=name, target="triggers.py", digest=fingerprint(1), document=document)


def fired(name: str, seen: int, at: float) -> Advance:
    firing = Firing(
        run_id=f"run-{name}", trigger=name, key="1", cause=Cause(), created_at=at, state=FiringState.SKIPPED
    )
    return Advance(standing=Standing(trigger=name, cursor={"seen": seen}), firings=(firing,))


def test_what_triggers_have_gone_past_goes(yard: Yard) -> None:
    old, agenda = time.time() - 40 * DAY, yard.store.agenda
    agenda.register([definition(name, source) for name, source in SOURCES.items()])
    agenda.emit([Occurrence(id=str(number), source="test", type="upload", at=old) for number in range(3)])
    [first, second, third] = [number for number, _ in agenda.occurrences()]
    assert all(agenda.advance([fired(name, second, old) for name in SOURCES]))

    expected = {"versions": 0, "events": 2, "firings": 2}
    assert forget(yard.store, NOTHING, time.time(), dry=True) == expected
    assert [number for number, _ in agenda.occurrences()] == [first, second, third]
    assert forget(yard.store, NOTHING, time.time(), dry=False) == expected
    # the third has yet to be looked at, and a sensor may name a key again
    assert [number for number, _ in agenda.occurrences()] == [third]
    assert [each.trigger for each in agenda.firings()] == ["asked"]


def test_values_of_old_versions_go_with_them(yard: Yard) -> None:
    yard.record("run-1", state=None)
    values = [yard.put(bytes([number]) * 20_000) for number in range(4)]
    old = time.time() - 40 * DAY
    for number, value in enumerate(values):
        made = Materialization(
            asset="features", at=old, run_id="run-1", node="features", digest=value.digest, value=value
        )
        yard.store.commit("run-1", Turn(number=number + 1, at=old, materializations=[made]))
    kept = msgspec.structs.replace(NOTHING, keep_versions=2)
    assert forget(yard.store, kept, time.time(), dry=False)["versions"] == 2
    assert [each.version for each in yard.store.catalog.history("features")] == [4, 3]
    assert set(values[2:]) <= set(yard.store.arguments()) and not {*values[:2]} & {*yard.store.arguments()}


def test_code_that_is_known_by_name_stays(yard: Yard) -> None:
    code = [TaskIdentity(digest=fingerprint(number)) for number in range(2)]
    yard.store.keep(code, [])
    known = Definition(
        kind="pipeline", name="training", target="p.py", digest=fingerprint(9), parts={"task fit": code[0].digest}
    )
    yard.store.agenda.register([known])
    yard.store.sweep(time.time() + 1)
    assert yard.store.identities([each.digest for each in code]).keys() == {code[0].digest}
