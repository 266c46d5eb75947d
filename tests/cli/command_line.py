"""The real command, in a process of its own."""

from __future__ import annotations

import atexit
import functools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryFile
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
    removed = ("PENSTOCK_HOME", "COLUMNS", "FORCE_COLOR", "NO_COLOR", "_PENSTOCK_COMPLETE", "PYTHONUNBUFFERED")
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


class Warm:
    """Processes of commands that need not load penstock first; see `warm.py`."""

    def __init__(self) -> None:
        self._orders, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("warm.py"))], stdin=theirs.fileno()
            )
        self._answers = self._orders.makefile()

    def run(self, arguments: Sequence[str], cwd: Path, env: Mapping[str, str]) -> Answer:
        """Run a command to its end."""
        order = {"arguments": arguments, "folder": str(cwd), "environment": env}
        with TemporaryFile("w+", encoding="utf-8") as out, TemporaryFile("w+", encoding="utf-8") as err:
            socket.send_fds(self._orders, [json.dumps(order).encode()], [out.fileno(), err.fileno()])
            process = int(self._answers.readline())
            watch = threading.Timer(120, os.kill, (process, signal.SIGKILL))
            watch.start()
            try:
                code = int(self._answers.readline())
            finally:
                watch.cancel()
            return Answer(code, *(Path(f"/dev/fd/{file.fileno()}").read_text("utf-8") for file in (out, err)))

    def close(self) -> None:
        self._answers.close()
        self._orders.close()
        self._process.wait()


@functools.cache
def _warm() -> Warm:
    warm = Warm()
    atexit.register(warm.close)
    return warm


def penstock(*arguments: str | Path, cwd: Path, **variables: str) -> Answer:
    """Run a command to its end: `penstock("run", file, cwd=folder)`; `variables` go into its environment."""
    return _warm().run([*map(str, arguments)], cwd, environment(**variables))


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
