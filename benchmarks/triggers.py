"""Ten thousand triggers in one daemon: how late a firing is recorded, and what a daemon costs that has nothing to do.

Run in a process of its own: see `benchmarks.trial`. Nothing is started: what is measured is from when a tick is due by the
clock to when its firing is in the store.
"""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import msgspec

from penstock.daemon.inquiries import Answer, Inquiry
from penstock.daemon.launcher import Ended
from penstock.daemon.loop import Daemon, Settings
from penstock.daemon.notices import Notice
from penstock.model.registration import Definition
from penstock.model.run import RunRecord
from penstock.model.schedule import Cron, Every, Schedule, Timetable
from penstock.model.trigger import Trigger
from penstock.services import SystemClock
from penstock.stores.sqlite import SqliteStore

#: seconds from the start to the ticks that are measured: what is known has to be read first
_AHEAD = 8.0
#: seconds over which ticks are spread
_SPREAD = 15.0
#: seconds for which an idle daemon is watched
_IDLE = 20.0


class _Nothing:
    """Starts and asks nothing."""

    name = "benchmark:1"

    def fire(self, run_id: str) -> None:
        """Leave it."""

    def resume(self, run: RunRecord) -> None:
        """Leave it."""

    def drives(self, run_id: str) -> bool:
        return True

    def ended(self) -> list[Ended]:
        return []

    def room(self) -> int:
        return 1

    def ask(self, inquiry: Inquiry) -> None:
        raise NotImplementedError

    def answers(self) -> list[Answer]:
        return []

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)

    def close(self) -> None:
        """There is nothing open."""


def _registered(store: SqliteStore, schedules: list[Schedule], now: float) -> None:
    """Register a trigger for each schedule."""
    triggers = [
        Trigger(name=f"t{number:05}", source=Timetable(schedule), pipeline="p", parameters={"at": "{logical_time}"})
        for number, schedule in enumerate(schedules)
    ]
    definitions = [
        Definition(
            kind="trigger",
            name=each.name,
            target=f"nowhere:{each.name}",
            digest=each.name.encode(),
            document=msgspec.to_builtins(each),
            registered_at=now,
        )
        for each in triggers
    ]
    store.agenda.register(definitions)


class _Watched:
    """How late the firings were of which a daemon has told: it does so once they are recorded."""

    def __init__(self) -> None:
        self.late: dict[str, float] = {}

    def __call__(self, notice: Notice) -> None:
        if notice.what == "fired":
            due = datetime.fromisoformat(notice.text.rpartition(" ")[2]).timestamp()
            self.late[notice.trigger] = time.time() - due


def _served(home: Path, schedules: list[Schedule], now: float, seconds: float) -> tuple[_Watched, float]:
    """Serve triggers for a while. Returns how late they were, and the share of a core that was used once all was read."""
    store = SqliteStore(home / "triggers.db")
    _registered(store, schedules, now)
    nothing, watched = _Nothing(), _Watched()
    # nothing is to be started: as many runs as may be are under way
    daemon = Daemon(store, SystemClock(), nothing, nothing, watched, settings=Settings(max_runs=0))
    cpu, since = time.process_time(), time.monotonic()
    for rest in daemon.turns():
        if time.time() >= now + seconds:
            break
        time.sleep(rest)
        if time.time() < now + _AHEAD:
            cpu, since = time.process_time(), time.monotonic()
    store.close()
    return watched, (time.process_time() - cpu) / (time.monotonic() - since)


def _late(home: Path, schedules: list[Schedule], now: float, seconds: float) -> float:
    """The 99th percentile of how late firings are recorded, in seconds."""
    watched, _ = _served(home, schedules, now, seconds)
    if len(watched.late) != len(schedules):
        raise SystemExit(f"{len(watched.late)} of {len(schedules)} triggers have fired")
    late = sorted(watched.late.values())
    return late[int(0.99 * len(late))]


def at_once(home: Path, count: int) -> float:
    """All are due in the same second: half of them by a cron expression, half by a number of seconds."""
    now = time.time()
    due = math.ceil(now + _AHEAD)
    cron = Cron(f"{due % 60} {due // 60 % 60} * * * *")
    schedules: list[Schedule] = [cron if number % 2 else Every(3600.0, anchor=float(due)) for number in range(count)]
    return _late(home, schedules, now, _AHEAD + 6)


def spread(home: Path, count: int) -> float:
    """One after the other is due."""
    now = time.time()
    schedules: list[Schedule] = [
        Every(3600.0, anchor=now + _AHEAD + _SPREAD * number / count) for number in range(count)
    ]
    return _late(home, schedules, now, _AHEAD + _SPREAD + 2)


def idle(home: Path, count: int) -> float:
    """The share of a core, in percent, that is used while none is due."""
    now = time.time()
    tomorrow = Cron(f"0 {(int(now) // 3600 + 12) % 24} * * *")
    return 100 * _served(home, [tomorrow] * count, now, _AHEAD + _IDLE)[1]


def rows(home: Path, count: int) -> float:
    """The floor of what is due at once: so many rows added to a table with an index, in one transaction."""
    connection = sqlite3.connect(home / "floor.db")
    connection.execute("CREATE TABLE firings (run_id TEXT PRIMARY KEY, key TEXT UNIQUE, cause TEXT)")
    start = time.perf_counter()
    with connection:
        connection.executemany("INSERT INTO firings VALUES (?, ?, ?)", ((f"r{n}", f"k{n}", "{}") for n in range(count)))
    seconds = time.perf_counter() - start
    connection.close()
    return seconds


def asleep(home: Path, count: int) -> float:
    """The floor of an idle daemon: a process that asks a database one question every second, in percent."""
    connection = sqlite3.connect(home / "floor.db")
    cpu, since = time.process_time(), time.monotonic()
    while time.monotonic() - since < _IDLE / 2:
        connection.execute("SELECT 1").fetchone()
        time.sleep(1.0)
    connection.close()
    return 100 * (time.process_time() - cpu) / (time.monotonic() - since)


MEASURED: dict[str, Callable[[Path, int], float]] = {
    "at_once": at_once,
    "spread": spread,
    "idle": idle,
    "rows": rows,
    "asleep": asleep,
}
