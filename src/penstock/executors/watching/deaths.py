"""What the end of a worker process means for the attempt that it was at."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from pathlib import Path

from penstock.errors import OutOfMemoryError, WorkerLostError
from penstock.model.event import Fault
from penstock.model.fault import fault_as

#: signals that compiled code brings upon its own process
_CRASHES = {
    signal.SIGSEGV: "crashed with a segmentation fault (SIGSEGV)",
    signal.SIGABRT: "aborted (SIGABRT)",
    signal.SIGBUS: "crashed with a bus error (SIGBUS)",
    signal.SIGFPE: "crashed with an arithmetic error (SIGFPE)",
    signal.SIGILL: "crashed with an illegal instruction (SIGILL)",
}


def fault_of_death(status: int, pid: int, *, out_of_memory: bool = False, begun: bool = True) -> Fault:
    """The fault of an attempt whose worker process has ended; `status` as of `waitpid`.

    What the task has brought about (a crash in compiled code, `os._exit`) is its own; a worker that was ended from
    outside, or before it had `begun`, is the infrastructure's. `out_of_memory` says that the kernel has killed some
    process for want of memory about then.
    """
    code = os.waitstatus_to_exitcode(status)
    worker = worker_named(pid)
    if code == -signal.SIGKILL and out_of_memory:
        message = f"the machine, or its share of it, ran out of memory, and the kernel killed the worker{worker}"
        return fault_as(OutOfMemoryError, message, cause="memory")
    outside = code < 0 and -code not in _CRASHES
    return fault_as(WorkerLostError, f"{_reason(code)}{worker}", infrastructure=outside or not begun)


def worker_named(pid: int) -> str:
    """What is added to a message about an attempt, to tell its worker process; empty for one that was not there yet."""
    return f" (worker process {pid})" if pid else ""


def _reason(code: int) -> str:
    """How a worker ended, for people; `code` is negative for a signal."""
    if code >= 0:
        return f"the worker left with exit code {code} in the middle of the task"
    if -code in _CRASHES:
        return f"the worker {_CRASHES[signal.Signals(-code)]}, in compiled code"
    if -code == signal.SIGKILL:
        return "the worker was killed (SIGKILL) from outside"
    return f"the worker {ending(code)}"


def ending(code: int) -> str:
    """How a process ended, by its exit code, which is negative for a signal."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


class KernelKills:
    """Counts how often the kernel has killed a process for want of memory: in this process's group of processes where
    that is told, else on the machine."""

    def __init__(self, sources: Iterable[Path] | None = None) -> None:
        self._sources = list(_sources() if sources is None else sources)
        self._known = self._count()

    def any_new(self) -> bool:
        """Whether there were any since this was asked last."""
        before, self._known = self._known, self._count()
        return self._known > before

    def _count(self) -> int:
        for source in self._sources:
            try:
                lines = source.read_text().splitlines()
            except OSError:
                continue
            for line in lines:
                if line.startswith("oom_kill "):
                    return int(line.split()[1])
        return 0


def _sources() -> Iterable[Path]:
    """Files that tell how often it has happened, the nearest first."""
    try:
        groups = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        groups = []
    for group in groups:
        number, kinds, path = group.split(":", 2)
        if number == "0":
            yield Path(f"/sys/fs/cgroup{path}/memory.events")
        elif "memory" in kinds.split(","):
            yield Path(f"/sys/fs/cgroup/memory{path}/memory.oom_control")
    yield Path("/proc/vmstat")
