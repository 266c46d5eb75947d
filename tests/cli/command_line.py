"""The real command, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

PROGRAM = Path(sys.executable).with_name("penstock")


class Answer(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)


def environment(**more: str) -> dict[str, str]:
    """The environment of a command: of this process, without what would change how the command behaves."""
    removed = ("PENSTOCK_HOME", "COLUMNS", "FORCE_COLOR", "NO_COLOR", "_PENSTOCK_COMPLETE")
    kept = {name: value for name, value in os.environ.items() if name not in removed}
    return {**kept, "PYTHONIOENCODING": "utf-8", "TERM": "xterm-256color", **more}


def started(*arguments: str | Path, cwd: Path, **settings: Any) -> subprocess.Popen[str]:
    """A command under way, with pipes."""
    return subprocess.Popen(
        [str(PROGRAM), *map(str, arguments)],
        cwd=cwd,
        env=settings.pop("env", None) or environment(),
        stdout=settings.pop("stdout", subprocess.PIPE),
        stderr=settings.pop("stderr", subprocess.PIPE),
        text=True,
        encoding="utf-8",
        **settings,
    )


def penstock(*arguments: str | Path, cwd: Path, **variables: str) -> Answer:
    """Run a command to its end: `penstock("run", file, cwd=folder)`; `variables` go into its environment."""
    with started(*arguments, cwd=cwd, env=environment(**variables)) as process:
        try:
            out, err = process.communicate(timeout=120)
        except BaseException:
            process.kill()
            raise
    return Answer(process.returncode, out, err)


def asleep(folder: Path) -> None:
    """Wait until a task of `naps.py` is under way in the folder."""
    deadline = time.monotonic() + 30
    while not (folder / "asleep-1").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Project(NamedTuple):
    """A folder in which pipelines have run, and what the commands answered."""

    folder: Path
    trained: Answer
    again: Answer
    failed: Answer
