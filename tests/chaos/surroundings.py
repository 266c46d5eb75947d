"""A project in surroundings that can be broken: commands, a small disk, fewer rights."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

PROGRAM = str(Path(sys.executable).with_name("penstock"))
#: root, but with no more rights to files than their modes give
PLAIN = ("setpriv", "--inh-caps=-all", "--bounding-set=-all")
#: a user who has no processes, and may still read what is root's; limits on processes do not hold for root
NOBODY = (
    *("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"),
    *(f"--{kind}=-all,+dac_override" for kind in ("inh-caps", "ambient-caps", "bounding-set")),
)

PIPELINE = """
from pathlib import Path
from penstock import pipeline, task

@task(cache=False)
def part(x: int) -> bytes:
    with open("ran", "a") as log:
        log.write(f"{x} ")
    return bytes([x]) * 300_000

@task(cache=False)
def havoc(what: str, parts: list[bytes]) -> int:
    if what == "fill" and not Path("mended").exists():
        with open(".penstock/fill", "wb", buffering=0) as out:
            try:
                while True:
                    out.write(b"x" * 4096)
            except OSError:
                pass
    elif what == "delete" and not Path("mended").exists():
        Path(".penstock/penstock.db").unlink()
    return len(parts)

@task(cache=False)
def after(x: int, n: int) -> int:
    return x + n

@pipeline
def parts(count: int = 8, what: str = "") -> list[int]:
    return after.partial(n=havoc(what, part.map(list(range(count))))).map(x=[1, 2, 3, 4])
"""


class Answer(NamedTuple):
    code: int
    out: str
    err: str


class Place(NamedTuple):
    """A folder with a pipeline."""

    folder: Path

    @property
    def home(self) -> Path:
        return self.folder / ".penstock"

    @property
    def ran(self) -> list[int]:
        """The parts that were made, in order, by the pipeline's own account."""
        path = self.folder / "ran"
        return sorted(map(int, path.read_text().split())) if path.exists() else []

    def penstock(self, *words: str, before: tuple[str, ...] = (), **variables: str) -> Answer:
        """Run a command, `before` which others may come that change what it runs in."""
        return self.command(*before, PROGRAM, *words, **variables)

    def command(self, *words: str, **variables: str) -> Answer:
        env = {name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_")} | variables
        done = subprocess.run(words, check=False, cwd=self.folder, env=env, capture_output=True, text=True, timeout=60)
        assert "This is a fault in penstock" not in done.stderr, done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        return Answer(done.returncode, done.stdout, " ".join(done.stderr.split()))

    def limited(self, limit: str, *words: str, before: tuple[str, ...] = ()) -> Answer:
        """Run a command within a limit of `ulimit`."""
        return self.command(*before, "bash", "-c", f'ulimit {limit}; exec "$@"', "-", PROGRAM, *words)

    @contextmanager
    def small_disk(self, size: str) -> Iterator[None]:
        """The project's state is on a disk of its own, of a size, for the block."""
        self.home.mkdir()
        _mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(self.home))
        try:
            yield
        finally:
            subprocess.run(["umount", "-l", str(self.home)], check=True)

    def enlarge_disk(self) -> None:
        _mount("-o", "remount,size=100m", str(self.home))

    @contextmanager
    def read_only(self) -> Iterator[None]:
        """The project's state cannot be written, for the block."""
        _mount("--bind", str(self.home), str(self.home))
        try:
            _mount("-o", "remount,ro,bind", str(self.home))
            yield
        finally:
            subprocess.run(["umount", "-l", str(self.home)], check=True)


def _mount(*words: str) -> None:
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a small disk")
    done = subprocess.run(["mount", *words], check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")


def require_plain_rights() -> None:
    """Skip where the rights of root cannot be given up."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs root, and setpriv to give up its rights")


def require_nobody() -> tuple[str, ...]:
    """What a command is put behind that is to be run by another user; skips where that cannot be."""
    require_plain_rights()
    done = subprocess.run([*NOBODY, sys.executable, "-c", ""], check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"commands cannot be run by another user here: {done.stderr.strip()}")
    return NOBODY
