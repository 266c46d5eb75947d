"""A folder to run real pipelines in, in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: seconds after which a test gives up on a process, far above what any of them takes
PATIENCE = 60


class Project:
    """A folder with pipelines in it, and a state of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[str]] = []
        (folder / "penstock.toml").write_text("")

    def write(self, name: str, source: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source))
        return path

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Start Python with arguments in the folder, with pipes for its output."""
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            text=True,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
        )
        self.processes.append(process)
        return process

    def wait_until(self, condition: Callable[[], Any], process: subprocess.Popen[str] | None = None) -> None:
        """Wait for a condition, and no longer than a process runs that is to bring it about."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if process is not None and process.poll() is not None and not condition():
                raise AssertionError(f"ended with {process.returncode}: {process.communicate()}")
            assert time.monotonic() < deadline, "it never came to that"
            time.sleep(0.01)

    def close(self) -> None:
        """Leave no process behind, whatever the test came to."""
        for process in self.processes:
            with process:
                process.kill()

    def python(self, *arguments: str, given: str | None = None, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run Python to its end, which must have the given exit code."""
        process = self.start(*arguments, stdin=subprocess.PIPE)
        out, err = process.communicate(given, timeout=PATIENCE)
        done = subprocess.CompletedProcess(arguments, process.returncode, out, err)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def penstock(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        return self.python("-m", "penstock", *arguments, code=code)
