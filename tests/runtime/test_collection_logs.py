"""What processes in the background have printed, and nobody will ask for."""

from __future__ import annotations

import os
import time
from pathlib import Path

from collected import DAY, NOTHING, Yard


def logs(yard: Yard, *names: str, days: float = 2.0) -> None:
    yard.project.logs.mkdir(exist_ok=True)
    for name in names:
        path = yard.project.logs / name
        path.write_text("said")
        changed = time.time() - days * DAY
        os.utime(path, (changed, changed))


def left(yard: Yard) -> set[str]:
    return {path.name for path in yard.project.logs.iterdir()}


def test_logs_of_runs_that_are_gone_and_of_those_that_never_were(tmp_path: Path) -> None:
    # a collection, or a command that left a run to the background, was killed before it could clear up
    yard = Yard(tmp_path)
    yard.record("old", days=2)
    yard.store.tag("old", add=["pinned"])
    logs(yard, "gone.log", "begun-0a1b.log", "old.log")
    logs(yard, "begun-new.log", days=-1)
    yard.collect(NOTHING, dry=True)
    assert len(left(yard)) == 4
    yard.collect(NOTHING)
    assert left(yard) == {"old.log", "begun-new.log"}


def test_what_a_run_under_way_may_write_to_stays(tmp_path: Path) -> None:
    yard = Yard(tmp_path)
    yard.record("under-way", days=1, state=None, driver="elsewhere:1:1")
    logs(yard, "begun-0a1b.log", "gone.log", "under-way.log")
    yard.collect(NOTHING)
    assert left(yard) == {"begun-0a1b.log", "under-way.log"}
