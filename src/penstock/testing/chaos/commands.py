"""Commands of penstock in processes of their own, watched and killed, down to the last process that they have started."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

from penstock.executors.watching.descendants import children, tree
from penstock.runtime.driving.lease import Lease
from penstock.testing.chaos.disturbances import Disturbance
from penstock.testing.faults import Fault, struck
from penstock.testing.faults.processes import forked, penstock

_PR_SET_CHILD_SUBREAPER = 36
_PAUSE = 0.004
#: seconds between two times that a driver says that it lives
_INTERVAL = 0.02
#: seconds that a command may take, and that processes may outlive the one they belong to
PATIENCE, LINGERING = 60.0, 8.0


class Ended(NamedTuple):
    """How a command ended: its exit code, negative for a signal; whether something was killed; what is left running."""

    code: int
    killed: str | None
    left: list[str]
    #: seconds
    lasted: float
    #: it did not end by itself
    hung: bool = False


def adopt_orphans() -> None:
    """Become the parent of all descendants whose own parent ends, so that none gets lost."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def carried_out(
    words: Sequence[str],
    output: Path,
    *,
    disturbance: Disturbance | None = None,
    faults: Sequence[Fault] = (),
    counts: Path,
    detaches: bool = False,
) -> Ended:
    """Carry out a command of penstock in the working folder, and wait until nothing of it runs any more; unless it
    `detaches`, which is when something goes on in the background. What it prints is added to the file `output`. For a
    process that adopts orphans and has no other children."""
    if disturbance is not None and disturbance.fault is not None:
        faults = (*faults, disturbance.fault)
    began = time.monotonic()
    before = len(struck(counts))
    driver = forked(lambda: _in_file(output, lambda: _hastened(words, faults, counts if faults else None)))
    watch = _Watch(driver, disturbance, began)
    status = watch.status()
    left = [] if detaches else lingering()
    hits = struck(counts)[before:]
    killed = watch.killed or (str(disturbance) if hits and disturbance is not None else None)
    return Ended(os.waitstatus_to_exitcode(status), killed, left, time.monotonic() - began, watch.hung)


def _hastened(words: Sequence[str], faults: Sequence[Fault], counts: Path | None) -> None:
    # runs are too short here for a driver to say that it lives, as it does every few seconds
    cast("Any", Lease.__init__).__kwdefaults__["interval"] = _INTERVAL
    penstock(words, faults, counts)


def _in_file(output: Path, command: object) -> None:
    os.setsid()
    descriptor = os.open(output, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    assert callable(command)
    command()


class _Watch:
    """Waits for a command, and kills what is to be killed at its moment."""

    def __init__(self, driver: int, disturbance: Disturbance | None, began: float) -> None:
        self._driver = driver
        self._disturbance = disturbance if disturbance is not None and disturbance.fault is None else None
        self._began = began
        self.killed: str | None = None
        self.hung = False

    def status(self) -> int:
        """The status of the command, once it has ended."""
        while True:
            # also what has been adopted and has ended: as long as nobody asks for it, it seems to live
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == self._driver:
                return status
            passed = time.monotonic() - self._began
            if passed > PATIENCE:
                self.hung = True
                _kill(tree(self._driver))
            if self._disturbance is not None and passed >= self._disturbance.after:
                self._strike(self._disturbance)
            time.sleep(_PAUSE)

    def _strike(self, disturbance: Disturbance) -> None:
        servers = [pid for pid in children(self._driver) if b"forkserver" in _words(pid)]
        workers = [worker for server in servers for worker in children(server)]
        victims = {
            "driver": [self._driver],
            "server": servers,
            "worker": workers[: 1 + int(disturbance.after * 1000) % 2],
            "machine": [self._driver, *servers, *workers],
        }[disturbance.kind]
        if not victims:
            # it is not there yet, or there will be none
            return
        self._disturbance = None
        self.killed = str(disturbance)
        _kill(victims)


def kill_background() -> bool:
    """Kill all processes that go on in the background. Returns whether there were any."""
    found = [pid for pid in tree(os.getpid()) if pid != os.getpid()]
    _kill(found)
    return bool(found)


def goes_on() -> bool:
    """Whether something goes on in the background."""
    _reap()
    return bool(children(os.getpid()))


def _kill(processes: Sequence[int]) -> None:
    for number in (signal.SIGSTOP, signal.SIGKILL) if len(processes) > 1 else (signal.SIGKILL,):
        for pid in processes:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue


def lingering() -> list[str]:
    """Wait until this process has no descendants. Returns those that there are after a while, by their commands, killed
    then."""
    until = time.monotonic() + LINGERING
    while True:
        _reap()
        left = [pid for pid in tree(os.getpid()) if pid != os.getpid()]
        if not left:
            return []
        if time.monotonic() > until:
            told = [_words(pid).replace(b"\0", b" ").decode(errors="replace")[:200] or str(pid) for pid in left]
            _kill(left)
            return told
        time.sleep(_PAUSE)


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


def _words(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


__all__ = ["LINGERING", "PATIENCE", "Ended", "adopt_orphans", "carried_out", "goes_on", "kill_background", "lingering"]
