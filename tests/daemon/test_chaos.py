"""Daemons that are killed, again and again: each tick, event and request still makes one run, counted outside of penstock."""

from __future__ import annotations

import random
import signal
import time
from itertools import pairwise
from pathlib import Path

import pytest
from serving import Project, twice, wait_for

from penstock.stores.sqlite import SqliteStore

TRIGGERS = """
ticks = trigger(noting, every("1s"), missed="all", parameters={"what": "tick {logical_time}"})
heard = trigger(noting, event("upload"), parameters={"what": "event {event.data.path}"})
limited = trigger(
    noting, every("3s"), missed="all", at_most=1, parameters={"what": "limited {logical_time}", "seconds": 0.5}
)

@sensor(noting, every=1)
def rows(cursor):
    cursor = cursor or 0
    return SensorResult([RunRequest(f"row-{cursor}", {"what": f"row {cursor}"})] if cursor < 9 else [], cursor + 1)
"""
#: seconds for which daemons are killed
_FOR = 22.0


@pytest.mark.slow
def test_each_tick_event_and_request_makes_one_run(tmp_path: Path) -> None:
    chance = random.Random(20261121)
    project = Project(tmp_path, TRIGGERS)
    project.run("register", "pipes.py")
    daemons = [project.started("up", "--max-runs", "4") for _ in range(2)]
    until, emitted, kills = time.monotonic() + _FOR, 0, 0
    while time.monotonic() < until:
        time.sleep(chance.uniform(0.3, 1.6))
        victim = chance.randrange(len(daemons))
        daemons[victim].send_signal(signal.SIGKILL)
        daemons[victim].wait()
        daemons[victim] = project.started("up", "--max-runs", "4")
        kills += 1
        if emitted < 8:
            project.run("emit", "upload", "--data", f'{{"path": "{emitted}"}}')
            emitted += 1
    for name in ("ticks", "limited"):
        project.run("triggers", "disable", name)
    store = SqliteStore(tmp_path / ".penstock" / "penstock.db")
    agenda = store.agenda
    wait_for(lambda: not agenda.startless() and not agenda.queue(2e9), "all is started", 90.0)
    wait_for(lambda: not store.runs(state="running"), "all has ended", 60.0)
    for daemon in daemons:
        daemon.terminate()
        daemon.wait(60)
    fired = agenda.firings(limit=None)
    runs = {run.run_id: run for run in store.runs(limit=10_000)}
    store.close()
    assert kills > 3
    assert {firing.state.value for firing in fired} == {"started"}
    assert runs.keys() == {firing.run_id for firing in fired}
    assert not twice(project.notes)
    assert len(project.notes) == len(fired)
    assert sorted(note for note in project.notes if note.startswith("event")) == [f"event {n}" for n in range(emitted)]
    _check_ticks([firing.cause.logical_time or 0.0 for firing in fired if firing.trigger == "ticks"], 1.0)
    _check_ticks([firing.cause.logical_time or 0.0 for firing in fired if firing.trigger == "limited"], 3.0)
    limited = sorted(
        (run.started_at, run.finished_at or 0.0)
        for run in runs.values()
        if run.cause and run.cause.trigger == "limited"
    )
    assert all(start >= end for (_, end), (start, _) in pairwise(limited))


def _check_ticks(times: list[float], every: float) -> None:
    """Every tick is there, from the first to the last."""
    ordered = sorted(times)
    assert ordered
    assert ordered == [ordered[0] + every * number for number in range(len(ordered))]
