"""Tasks that harm the process they run in, or leave others behind."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import penstock
from penstock import task


@task
def leave_at_once(code: int) -> None:
    os._exit(code)


@task
def kill_itself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
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


@task
def close_everything() -> None:
    """What programs do that turn themselves into daemons."""
    os.closerange(3, 200)


@task
def print_large(size: int, large: list[str]) -> int:
    print("x" * size)
    return len(large)


@task
def pid() -> int:
    return os.getpid()


@task
def parent() -> int:
    return os.getppid()
