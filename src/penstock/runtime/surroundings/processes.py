"""The process that drives a run, as others see it."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from penstock.model.run import RunRecord, RunState
from penstock.ports import Store


def this_process() -> str:
    """How the driver of a run is recorded that this process drives."""
    return driver_name(os.getpid())


def driver_name(pid: int) -> str:
    """How the driver of a run is recorded, by its process on this host: `host:pid`."""
    return f"{platform.node()}:{pid}"


def has_lost_its_driver(store: Store, run: RunRecord) -> bool:
    """Whether a run is under way by its record, and the process that drove it is no more."""
    return is_gone(run, store.heard_of(run.run_id))


def is_gone(run: RunRecord, last_turn: float) -> bool:
    """Whether a run is under way by its record, and the process that drove it is no more.

    Of a process on another host nobody here can tell: it counts as there. `last_turn` is when the run was last heard
    of, in seconds since the epoch: a process that began later only has the same number.
    """
    host, _, number = run.driver.rpartition(":")
    if run.state is not RunState.RUNNING or host != platform.node() or not number.isdigit():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return _is_zombie(int(number)) or _began(int(number)) > last_turn + 1


def _fields(process: int) -> list[str]:
    """What Linux says of a process, from its state on; empty elsewhere."""
    try:
        text = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return []
    # the name before it is in brackets, and may have any character in it
    return text.rpartition(")")[2].split()


def _is_zombie(process: int) -> bool:
    return _fields(process)[:1] == ["Z"]


def _began(process: int) -> float:
    """When a process began, in seconds since the epoch; 0 where that is not known."""
    fields = _fields(process)
    if len(fields) < 20:
        return 0.0
    booted = next(
        (float(line.split()[1]) for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime")),
        0.0,
    )
    return booted + int(fields[19]) / os.sysconf("SC_CLK_TCK")


__all__ = ["driver_name", "has_lost_its_driver", "is_gone", "this_process"]
