"""Files that are registered again when they change."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from penstock.daemon.notices import Notice, Tell
from penstock.dialects.recognition import split_dialect
from penstock.registering.loading import SUFFIXES, is_path

#: seconds between two looks
_LOOK = 1.0


class Reloading:
    """Looks at the files of targets, and has `penstock register` register them when one has changed. Modules that are named
    by a dotted name are left as they are."""

    def __init__(self, targets: Sequence[str], tell: Tell | None = None) -> None:
        """What registering says is told, a line at a time; without `tell`, it goes to stderr as it is."""
        self._targets = targets
        self._tell = tell
        self._said: IO[bytes] | None = None
        self._next = 0.0
        self._seen = self._stamps()
        self._process: subprocess.Popen[bytes] | None = None

    def step(self, now: float) -> bool:
        """Look whether a file has changed."""
        if time.monotonic() < self._next:
            return False
        self._next = time.monotonic() + _LOOK
        if self._process is not None and self._process.poll() is None:
            return False
        self._tell_said(now)
        stamps = self._stamps()
        if stamps != self._seen:
            self._seen = stamps
            # in a process of its own, since this one has loaded none of them
            command = [sys.executable, "-P", "-m", "penstock", "register", *self._targets]
            self._said = None if self._tell is None else tempfile.TemporaryFile()  # noqa: SIM115
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=self._said or sys.stderr.fileno(), stderr=self._said
            )
        return False

    def _tell_said(self, now: float) -> None:
        """Tell what a process that has ended said."""
        if self._process is None or self._said is None or self._tell is None:
            return
        with self._said as said:
            said.seek(0)
            text = said.read().decode("utf-8", "replace")
        self._said = None
        what = "trouble" if self._process.returncode else "serving"
        for line in filter(None, map(str.rstrip, text.splitlines())):
            self._tell(Notice(at=now, what=what, text=line))

    def begin(self) -> None:
        """There is nothing to forget."""

    def _stamps(self) -> dict[Path, tuple[int, int]]:
        return {file: (stat.st_mtime_ns, stat.st_size) for file in self._files() if (stat := _stat(file)) is not None}

    def _files(self) -> Iterator[Path]:
        for target in self._targets:
            place = target if is_path(target) else target.rpartition(":")[0]
            path = Path(split_dialect(place)[1])
            if not place or not is_path(place):
                continue
            yield from sorted(each for each in path.rglob("*") if each.suffix in SUFFIXES) if path.is_dir() else [path]


def _stat(file: Path) -> os.stat_result | None:
    try:
        return file.stat()
    except OSError:
        return None


__all__ = ["Reloading"]
