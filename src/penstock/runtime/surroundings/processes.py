"""The process that drives a run, as others see it.

A process is recorded as `host:pid@space-start`. Host names and numbers are for people; what tells processes apart is the
`space` that the number counts in, which no other machine, container or boot has, and when the process began, in ticks of
the machine since it was booted, which no setting of a clock changes. Runs that an earlier penstock recorded, and systems
other than Linux, have `host:pid` alone.
"""

from __future__ import annotations

import functools
import math
import os
import platform
import re
from pathlib import Path
from typing import NamedTuple

from blake3 import blake3

from penstock.model.run import RunRecord, RunState
from penstock.ports import Store

_NAME = re.compile(r"(?P<host>.*):(?P<pid>\d+)(?:@(?P<space>[0-9a-f]+)-(?P<start>\d+))?").fullmatch
#: the number space of processes that are in no container
_OUTERMOST = "pid:[4026531836]"
#: where in what Linux says of a process, from its state on, its begin is
_START = 19


class Process(NamedTuple):
    """A process, as it is recorded."""

    host: str
    pid: int
    #: what its number counts in; empty where that is not known
    space: str
    #: ticks from the boot of the machine to its begin; None where that is not known
    start: int | None

    @property
    def is_here(self) -> bool:
        """Whether it could be seen from here: it is on this machine, and in no other container."""
        return self.space == _space() if self.space else self.host == platform.node()


def this_process() -> str:
    """How the driver of a run is recorded that this process drives."""
    return driver_name(os.getpid())


def driver_name(pid: int) -> str:
    """How the driver of a run is recorded, by its number among the processes that can be seen from here."""
    start = _start(pid)
    space = "" if start is None else _space()
    return f"{platform.node()}:{pid}" + (f"@{space}-{start}" if space else "")


def is_elsewhere(driver: str) -> bool:
    """Whether a driver is on another machine, or in another container, so that nobody here can see it."""
    process = _process(driver)
    return process is None or not process.is_here


def has_lost_its_driver(store: Store, run: RunRecord) -> bool:
    """Whether a run is under way by its record, and the process that drove it is no more."""
    return is_gone(run, store.heard_of(run.run_id))


def is_gone(run: RunRecord, heard_of: float) -> bool:
    """Whether a run is under way by its record, and the process that drove it is no more.

    Of a process elsewhere nobody here can tell at once: it counts as there, and has to be watched. `heard_of` is when the
    run was last heard of, in seconds since the epoch; it counts where nothing is recorded of when the process began.
    """
    process = _process(run.driver)
    if run.state is not RunState.RUNNING or process is None:
        return False
    return _is_no_more(process, heard_of)


def has_ended(name: str, heard_of: float = math.inf) -> bool:
    """Whether a process that was recorded under a name is no more; not of one elsewhere, which nobody can see. `heard_of` is
    as for `is_gone`."""
    process = _process(name)
    return process is not None and _is_no_more(process, heard_of)


def _is_no_more(process: Process, heard_of: float) -> bool:
    if not process.is_here:
        return False
    try:
        os.kill(process.pid, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        pass
    if _is_zombie(process.pid):
        return True
    if process.start is None:
        # a process that began later only has the same number
        return _began(process.pid) > heard_of + 1
    return _start(process.pid) not in (process.start, None)


def _process(driver: str) -> Process | None:
    found = _NAME(driver)
    if found is None:
        return None
    start = found["start"]
    return Process(found["host"], int(found["pid"]), found["space"] or "", None if start is None else int(start))


@functools.cache
def _space() -> str:
    """What the numbers of processes count in here: one boot of one machine, and one container; empty where that is not
    known."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        namespace = _OUTERMOST
    return blake3(f"{boot} {namespace}".encode()).hexdigest(4) if boot else ""


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


def _start(process: int) -> int | None:
    """When a process began, in ticks since the machine was booted; None where that is not known."""
    fields = _fields(process)
    return int(fields[_START]) if len(fields) > _START else None


def _began(process: int) -> float:
    """When a process began, in seconds since the epoch; 0 where that is not known."""
    start = _start(process)
    if start is None:
        return 0.0
    booted = next(
        (float(line.split()[1]) for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime")),
        0.0,
    )
    return booted + start / os.sysconf("SC_CLK_TCK")


__all__ = ["driver_name", "has_ended", "has_lost_its_driver", "is_elsewhere", "is_gone", "this_process"]
