"""Tasks that harm the process they run in, or leave others behind."""

from __future__ import annotations

import ctypes
import gc
import mmap
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

import penstock
from penstock import task
from penstock.executors.workers.worker import Worker


def tell(path: Path, text: str) -> None:
    """Write a file that is there whole or not at all."""
    draft = path.with_suffix(".draft")
    draft.write_text(text)
    draft.rename(path)


@task
def leave_at_once(code: int) -> None:
    os._exit(code)


@task
def kill_itself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


@task
def end_itself(number: int) -> None:
    # a program that was started by nohup has its children ignore SIGHUP
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    time.sleep(60)


@task
def crash() -> None:
    ctypes.string_at(0)


@task
def abort() -> None:
    os.abort()


@task
def die_on_first_attempt() -> int:
    attempt = penstock.current().attempt
    if attempt == 1:
        os._exit(1)
    return attempt


@task
def die_later(seconds: float) -> str:
    """Succeed, and take the worker down soon after."""
    threading.Timer(seconds, os._exit, (9,)).start()
    return "done"


@task
def sleep_and_tell(folder: str, seconds: float) -> int:
    """Write the id of the worker to a file before sleeping."""
    attempt = penstock.current()
    (Path(folder) / f"{attempt.item}-{os.getpid()}").touch()
    time.sleep(seconds)
    return attempt.item


@task
def chat(folder: str) -> int:
    """Talk until there is a file called `enough`."""
    told = 0
    while not (Path(folder) / "enough").exists():
        told += 1
        print(told, flush=True)
        time.sleep(0.01)
    return told


@task
def talk_through_a_fork(lines: int) -> int | None:
    """Start a child process by forking, which prints and logs metrics as the task itself does."""

    def child() -> None:
        for number in range(lines):
            print("child", number)
            penstock.current().log_metric("child", number)

    process = multiprocessing.get_context("fork").Process(target=child)
    print("before")
    process.start()
    process.join()
    print("after")
    return process.exitcode


@task
def leave_a_child_behind(file: str) -> None:
    """Die while a child process, which has inherited everything, lives on."""
    pid = os.fork()
    if pid == 0:
        time.sleep(600)
        os._exit(0)
    shell = subprocess.Popen(["sleep", "600"])
    os.system(f"sleep 600 & echo $! > {file}.shell")
    Path(file).write_text(f"{pid} {shell.pid} {Path(file + '.shell').read_text()}")
    os._exit(3)


_DAEMON = """
import os, sys, time
os.setsid()
if os.fork():
    os._exit(0)
open(sys.argv[1], 'w').write(str(os.getpid()))
time.sleep(600)
"""


@task
def start_daemons(folder: str, seconds: float) -> None:
    """Start processes that do all they can to get away: sessions of their own, parents that are gone."""
    home = Path(folder)
    subprocess.run([sys.executable, "-S", "-c", _DAEMON, str(home / "daemon.pid")], check=True)
    shell = subprocess.Popen(["sh", "-c", f"sleep 600 & echo $! > {home}/inner.pid; wait"], start_new_session=True)
    tell(home / "shell.pid", str(shell.pid))
    pid = os.fork()
    if pid == 0:
        os.setsid()
        if os.fork() == 0:
            tell(home / "fork.pid", str(os.getpid()))
            time.sleep(600)
        os._exit(0)
    os.waitpid(pid, 0)
    tell(home / "worker.pid", str(os.getpid()))
    time.sleep(seconds)


@task
def leave_with_daemons(folder: str, code: int) -> None:
    """Die and leave processes behind that have sessions of their own."""
    start_daemons.function(folder, 0.0)
    while sum(1 for file in Path(folder).glob("*.pid") if file.read_text().strip()) < 5:
        time.sleep(0.005)
    os._exit(code)


@task
def write_scratch(folder: str) -> None:
    """Write half a file to the scratch folder and go on."""
    scratch = penstock.current().folder
    (scratch / "half.txt").write_text("half")
    tell(Path(folder) / "scratch", str(scratch))
    time.sleep(600)


class Endless:
    """A value that takes forever to be stored."""

    def __init__(self, told: str) -> None:
        self.told = told

    def __reduce__(self) -> tuple[type, tuple[str]]:
        Path(self.told).touch()
        time.sleep(600)
        return Endless, (self.told,)


@task
def store_half(told: str) -> list[object]:
    """Return what is written in part when it hangs."""
    return [bytes(1_000_000), b"x" * 40_000_000, Endless(told)]


@task
def hold_memory(size: int, seconds: float = 600.0) -> int:
    held = b"x" * size
    time.sleep(seconds)
    return len(held)


@task
def hold_memory_elsewhere(size: int, share: int) -> None:
    """Let child processes hold memory: each its own, and all of them what they share."""
    shared = b"s" * share
    children = [multiprocessing.get_context("fork").Process(target=_hold, args=(size, shared)) for _ in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join()


def _hold(size: int, shared: bytes) -> None:
    held = b"x" * size
    time.sleep(0.5)
    assert len(held) + len(shared) > 0


@task
def read_mapped(path: str, seconds: float) -> int:
    """Map a file to memory and read all of it."""
    with Path(path).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        found = mapped.find(b"y")
        time.sleep(seconds)
        return len(mapped) if found < 0 else found


_kept: list[bytes] = []


@task
def leak(size: int) -> int:
    """Leave memory behind in the worker."""
    _kept.append(b"x" * size)
    return os.getpid()


@task
def raise_memory_error() -> None:
    raise MemoryError


@task
def close_everything() -> None:
    """What programs do that turn themselves into daemons."""
    os.closerange(3, 200)


@task
def print_large(size: int, large: list[str]) -> int:
    print("x" * size)
    return len(large)


class _SlowToReturn(deque[Any]):
    """A worker's queue. The thread that gives jobs back is slow to take from it."""

    def popleft(self) -> Any:
        return self._taken(super().popleft())

    def pop(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self._taken(super().pop())

    def _taken(self, item: Any) -> Any:
        if threading.current_thread().name == "penstock-recall":
            time.sleep(0.4)
        return item


@task
def be_slow_to_return() -> None:
    (worker,) = (thing for thing in gc.get_objects() if isinstance(thing, Worker))
    worker._queue = _SlowToReturn(worker._queue)  # pyright: ignore[reportPrivateUsage]


@task
def pid() -> int:
    return os.getpid()


@task
def parent() -> int:
    return os.getppid()
