"""Processes of their own for runs: they outlive this one, and what they print is kept in a file for each run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from penstock.daemon.launcher import Ended
from penstock.model.run import RunRecord
from penstock.runtime.surroundings.processes import this_process
from penstock.secrets.private import make_file

#: the variable that tells a process in the background where to say that its run has begun; with it, it keeps secrets out of
#: its log. Nobody waits for what it says here.
_ANNOUNCED = "PENSTOCK_ANNOUNCE_TO"
#: bytes and lines of a log that tell why a process has ended
_LAST, _LINES = 4096, 12


class Children:
    """Starts processes of penstock, each in a session of its own, which no signal to this process reaches."""

    def __init__(self, logs: Path, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self._logs = logs
        self._folder = folder
        self._environment = environment
        self._processes: dict[str, tuple[subprocess.Popen[bytes], Path, int]] = {}
        self.name = this_process()

    def fire(self, run_id: str) -> None:
        """Start the process that makes the run of a firing. Raises OSError."""
        self._start(run_id, "fire", run_id)

    def resume(self, run: RunRecord) -> None:
        """Start a process that goes on with a run, in the place of the driver that its record names. Raises OSError."""
        self._start(run.run_id, "resume", "--quiet", "--instead-of", run.driver, run.run_id)

    def drives(self, run_id: str) -> bool:
        """Whether a process that was started here for a run goes on."""
        known = self._processes.get(run_id)
        return known is not None and known[0].poll() is None

    def ended(self) -> list[Ended]:
        """The processes that have ended since the last time."""
        over = {name: each for name, each in self._processes.items() if each[0].poll() is not None}
        for name in over:
            del self._processes[name]
        return [Ended(name, process.returncode, _said(log, start)) for name, (process, log, start) in over.items()]

    def leave(self) -> int:
        """Let the processes go on without this one. How many there are."""
        going = sum(process.poll() is None for process, _, _ in self._processes.values())
        for process, _, _ in self._processes.values():
            # it is no child that was forgotten
            process.returncode = 0
        self._processes.clear()
        return going

    def _start(self, run_id: str, *words: str) -> None:
        log = self._logs / f"{run_id}.log"
        make_file(log)
        start = log.stat().st_size
        with log.open("ab") as sink, Path(os.devnull).open("wb") as nowhere:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "penstock", *words],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                cwd=self._folder,
                env={**(self._environment or os.environ), _ANNOUNCED: str(nowhere.fileno())},
                pass_fds=(nowhere.fileno(),),
                start_new_session=True,
            )
        self._processes[run_id] = process, log, start


def _said(log: Path, start: int) -> str:
    """The last lines that a process has added to its log."""
    try:
        with log.open("rb") as source:
            source.seek(max(start, log.stat().st_size - _LAST))
            text = source.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join(text.strip().splitlines()[-_LINES:])


__all__ = ["Children"]
