"""Measurements in fresh processes, so that none inherits what another loaded, cached or fragmented."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.trial import Measured

#: the folder that holds this package
ROOT = Path(__file__).parent.parent


class Failed(Exception):
    """A measured process did not end well."""


@contextmanager
def new_home() -> Generator[Path]:
    """A folder for the state of a project, gone after the block."""
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as folder:
        yield Path(folder)


def measure(kind: str, name: str, size: int, workers: int, home: Path | None = None) -> Measured:
    """One trial (see `benchmarks.trial`) in a process of its own; in a new home, if none is given. Raises Failed."""
    if home is None:
        with new_home() as made:
            return measure(kind, name, size, workers, made)
    arguments = ["-m", "benchmarks.trial", kind, name, str(size), str(workers)]
    return json.loads(_run([sys.executable, *arguments], ROOT, home))


def seconds(command: Sequence[str], folder: Path | None = None, home: Path | None = None) -> float:
    """How long a command takes, from its start to its end. Raises Failed."""
    start = time.perf_counter()
    _run(command, folder or ROOT, home)
    return time.perf_counter() - start


def _run(command: Sequence[str], folder: Path, home: Path | None) -> str:
    # Compiled modules are kept, as an installer would have left them, whatever this process was told.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    if home is not None:
        environment["PENSTOCK_HOME"] = str(home)
    ended = subprocess.run(command, check=False, cwd=folder, env=environment, capture_output=True, text=True)
    if ended.returncode:
        raise Failed(f"{' '.join(command)} ended with exit code {ended.returncode}:\n{ended.stdout}{ended.stderr}")
    return ended.stdout
