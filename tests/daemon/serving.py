"""A project that is served for real."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

PIPES = """
import os, time
from penstock import RunRequest, SensorResult, event, every, logical_time, pipeline, sensor, task, trigger

@task(cache=False)
def note(what: str, seconds: float) -> str:
    time.sleep(seconds)
    with open(os.environ["NOTES"], "a") as notes:
        notes.write(what + "\\n")
    return what

@pipeline
def noting(what: str, seconds: float = 0.0):
    return note(what, seconds)
"""


class Project:
    """A folder with pipelines and triggers, and a file in which the tasks of its runs leave notes."""

    def __init__(self, folder: Path, triggers: str) -> None:
        self.folder = folder
        self.notes_file = folder / "notes.txt"
        (folder / "pipes.py").write_text(PIPES + triggers)
        (folder / "pyproject.toml").write_text('[tool.penstock]\nexecutor = "inline"\n')
        self._environment = {key: value for key, value in os.environ.items() if not key.startswith("PENSTOCK_")}
        self._environment["NOTES"] = str(self.notes_file)

    @property
    def notes(self) -> list[str]:
        """What was noted, in order."""
        return self.notes_file.read_text().splitlines() if self.notes_file.exists() else []

    def started(self, *words: str, log: Path | None = None) -> subprocess.Popen[bytes]:
        """A command under way, in a session of its own."""
        with (log or self.folder / "up.log").open("ab") as sink:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", "penstock", *words],
                cwd=self.folder,
                env=self._environment,
                stdout=sink,
                stderr=sink,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def run(self, *words: str, code: int | None = 0) -> str:
        """What a command has printed on stdout; on stderr, with `--once`."""
        ended = subprocess.run(
            [sys.executable, "-P", "-m", "penstock", *words],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert code is None or ended.returncode == code, ended.stdout + ended.stderr
        return ended.stdout + (ended.stderr if words[0] == "up" else "")

    def runs(self) -> list[dict[str, Any]]:
        """All runs, as the command lists them."""
        return json.loads(self.run("runs", "--limit", "1000", "--json"))


def wait_for(holds: Callable[[], object], what: str, seconds: float = 40.0) -> None:
    """Wait until something holds."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, what
        time.sleep(0.05)


def twice(notes: Sequence[str]) -> list[str]:
    """What was noted more than once."""
    return sorted({note for note in notes if notes.count(note) > 1})
