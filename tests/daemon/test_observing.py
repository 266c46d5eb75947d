"""External assets that are observed every so often."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from penstock.daemon.notices import Notice
from penstock.daemon.observing import Observing
from penstock.model.firing import Advance, Standing
from penstock.registering.registration import register
from penstock.services import Services

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

THINGS = """
from penstock import external_asset

def look() -> str:
    raise OSError("the disk is away")

orders = external_asset("orders", observe=look, every=5)
"""


class Clock:
    """Goes on by as much as it is told to."""

    def __init__(self) -> None:
        self.at = 1_790_000_000.0

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at


def test_what_cannot_be_observed_is_told_in_a_line_and_asked_less_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "state"))
    (tmp_path / "watched_things.py").write_text(THINGS)
    (tmp_path / "pyproject.toml").write_text('[tool.penstock]\nregister = ["watched_things.py"]\n')
    assert not register(Services(), ["watched_things.py"], now=1.0).faults
    clock, said = Clock(), list[Notice]()
    with Services().store() as store:
        # it has failed once before
        store.agenda.advance([Advance(standing=Standing(trigger="observe:orders", failures=1, next_at=clock.at))])
        observing = Observing(store.agenda, clock, said.append, tmp_path)
        until = time.monotonic() + 30
        while not said and time.monotonic() < until:
            clock.at += 1.0
            observing.step(clock.at)
            time.sleep(0.2)
        (standing,) = store.agenda.standings(["observe:orders"])
        assert (standing.failures, standing.note) == (2, "OSError: the disk is away")
        assert standing.next_at == clock.at + 10.0
    assert said[0].text == "the asset orders cannot be observed: OSError: the disk is away"
