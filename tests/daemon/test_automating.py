"""Assets that are made by themselves, on a real store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock import materialize
from penstock.daemon.automating import Automating
from penstock.daemon.notices import Notice
from penstock.ports import Store
from penstock.registering.loading import load_module
from penstock.registering.registration import register
from penstock.services import Services

NOW = 1_790_000_000.0
THINGS = """
from penstock import asset, daily, eager, static

@asset(partitions=static(["eu", "us"]))
def sales(partition) -> str:
    return partition

@asset(partitions=static(["eu", "us"]), automation=eager(), fresh="1h")
def report(sales) -> str:
    return sales.upper()

@asset(automation=eager())
def total(report: dict) -> int:
    return len(report)
"""


class Clock:
    """Goes on by as much as it is told to."""

    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "state"))
    (tmp_path / "automated_things.py").write_text(THINGS)
    assert not register(Services(), ["automated_things.py"], now=NOW).faults
    with Services().store() as store:
        yield store


def look(automating: Automating, clock: Clock) -> None:
    """One look at everything, a while later."""
    clock.at += 31
    while automating.step(clock.at):
        pass


def test_what_changed_is_made_once_by_any_number_of_daemons(store: Store, tmp_path: Path) -> None:
    clock, said = Clock(), list[Notice]()
    one, other = Automating(store, clock, said.append), Automating(store, clock, said.append)
    look(one, clock)
    assert store.agenda.firings(trigger="asset:report") == []
    things = load_module(str(tmp_path / "automated_things.py"))
    materialize(things.sales, partitions=["eu"], executor="inline")
    look(one, clock)
    look(other, clock)
    look(one, clock)
    (firing,) = store.agenda.firings(trigger="asset:report")
    assert (firing.key, firing.assets, firing.cause.partitions) == ("eu from sales@eu.1", "report", ("eu",))
    assert sum(notice.what == "fired" for notice in said) == 1


def test_a_late_asset_is_told_of_once(store: Store) -> None:
    clock, said = Clock(), list[Notice]()
    for _ in range(2):
        automating = Automating(store, clock, said.append)
        look(automating, clock)
        look(automating, clock)
    (late,) = [each for _, each in store.agenda.occurrences(type="asset.late")]
    assert (late.subject, late.data["made_at"]) == ("report", None)
    assert [each.text for each in said] == ["the asset report is late: it was never made"]
