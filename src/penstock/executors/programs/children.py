"""One program run to its end: what it says is told while it runs, and nothing of it outlives the attempt."""

from __future__ import annotations

import codecs
import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple, Self, TextIO

from penstock.executors.watching.descendants import SPARED

_CHUNK = 1 << 16
#: characters of what a program said last that are kept for messages
_TAIL = 4000
#: how long a program that has ended is waited for to be heard out, while others hold on to its output, in seconds
_HEARD_OUT = 1.0

# The guard reads from a pipe, and finds it at its end when the worker is gone, by whatever death. It has a session of its
# own, no parent, and a mark: whoever kills a worker with all that it has started leaves it alone. What it does besides is
# tried again: an engine whose client was killed in the middle of something may refuse for a moment.
_GUARD = """
exec 3<&0 >/dev/null 2>&1; group=$1; shift
(read -r line <&3 || {
    kill -9 -"$group"
    for pause in 1 2 4 8 16; do [ $# = 0 ] || "$@" && break; sleep $pause; done
}) </dev/null &
"""


class Ended(NamedTuple):
    """How a program ended."""

    #: negative for the signal that ended it
    exit_code: int
    #: what it wrote to stdout; empty unless that was to be kept
    stdout: bytes
    #: the last lines that it wrote to stderr, or to stdout if there are none
    last: list[str]


def run(
    argv: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    keep: bool = False,
    tell: bool = True,
    ending: Sequence[str] = (),
) -> Ended:
    """Run a program, with `keep` keeping what it writes to stdout, with `tell` also telling it.

    It leads a process group, all of which is killed when it has ended, when this is interrupted, and when this very
    process dies. `ending` is a command that is run in the two latter cases. Raises OSError if it cannot be started.
    """
    process = subprocess.Popen(
        argv,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        process_group=0,
    )
    with process, _Guard(process.pid, ending) as guard:
        out = _Voice(process.stdout, sys.stdout if tell else None, keep=keep)
        err = _Voice(process.stderr, sys.stderr, keep=False)
        try:
            _listen(process, out, err)
            exit_code = process.wait()
        except BaseException:
            guard.end()
            raise
        finally:
            _kill_group(process.pid)
            # not before it is certain that nobody writes any more
            out.finish()
            err.finish()
    return Ended(exit_code, bytes(out.kept), (err.tail.strip() or out.tail.strip()).splitlines()[-10:])


class _Voice:
    """One of the two streams of a program."""

    def __init__(self, pipe: IO[bytes] | None, echo: TextIO | None, *, keep: bool) -> None:
        assert pipe is not None
        self.descriptor = pipe.fileno()
        self.kept = bytearray()
        self.tail = ""
        self._echo = echo
        self._keep = keep
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")

    def hear(self) -> bool:
        """Take in what is there. Returns false at the end."""
        data = os.read(self.descriptor, _CHUNK)
        if self._keep:
            self.kept += data
        self._say(self._decoder.decode(data))
        return bool(data)

    def finish(self) -> None:
        self._say(self._decoder.decode(b"", final=True))
        if self._echo is not None and self.tail and not self.tail.endswith("\n"):
            # else what is said next, by others, would be on the same line
            self._echo.write("\n")

    def _say(self, text: str) -> None:
        if text:
            self.tail = (self.tail + text)[-_TAIL:]
            if self._echo is not None:
                self._echo.write(text)
                self._echo.flush()


def _listen(process: subprocess.Popen[bytes], *voices: _Voice) -> None:
    """Take in both streams in the order in which they come, until both have ended."""
    with selectors.DefaultSelector() as selector:
        for voice in voices:
            selector.register(voice.descriptor, selectors.EVENT_READ, voice)
        heard = time.monotonic()
        while selector.get_map():
            ready = selector.select(0.1)
            for key, _ in ready:
                if not key.data.hear():
                    selector.unregister(key.fileobj)
            if ready:
                heard = time.monotonic()
            elif process.poll() is not None and time.monotonic() - heard > _HEARD_OUT:
                # what it left running in the background
                _kill_group(process.pid)


class _Guard:
    """Ends a group of processes if this process dies before it has taken the guard away."""

    def __init__(self, group: int, ending: Sequence[str]) -> None:
        self._ending = ending
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, "sh", str(group), *ending],
            stdin=subprocess.PIPE,
            env={**os.environ, SPARED: "1"},
            start_new_session=True,
        )
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.write(b"\n")
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def end(self) -> None:
        """Do what the guard would do, apart from killing the group."""
        if self._ending:
            subprocess.run(self._ending, stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False)


def _kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


__all__ = ["Ended", "run"]
