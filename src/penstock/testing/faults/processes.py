"""Commands of penstock in child processes of this one, which has everything imported already."""

from __future__ import annotations

import atexit
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from penstock.testing.faults.injection import Fault, injected

T = TypeVar("T")


def forked(command: Callable[[], object]) -> int:
    """Have a child process carry out something, which may leave with SystemExit. Returns its id. For processes with a
    single thread."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    # what this process was to do at its end is not for the child to do
    atexit._clear()  # pyright: ignore[reportPrivateUsage]
    code = 1
    try:
        command()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        atexit._run_exitfuncs()  # pyright: ignore[reportPrivateUsage]
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def apart(work: Callable[[], object], kind: type[T]) -> T:
    """What some work comes to that is done in a child process, which leaves no trace in this one: no thread, no connection.
    Raises RuntimeError if it fails."""
    with tempfile.TemporaryFile(buffering=0) as answer:
        pid = forked(lambda: answer.write(msgspec.json.encode(work())))
        if os.waitpid(pid, 0)[1]:
            raise RuntimeError("what was to be done in a child process has failed")
        answer.seek(0)
        return msgspec.json.decode(answer.read(), type=kind)


def penstock(command: Sequence[str], faults: Sequence[Fault] = (), counts: Path | None = None) -> None:
    """Carry out a command of penstock in this process, with faults in it, and leave it."""
    from penstock.cli import main

    sys.argv[1:] = command
    if counts is None:
        main()
        return
    with injected(faults, counts):
        main()


__all__ = ["apart", "forked", "penstock"]
