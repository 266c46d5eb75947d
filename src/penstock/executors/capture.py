"""What user code prints and logs, line by line, to whoever listens to the attempt at hand."""

from __future__ import annotations

import codecs
import io
import logging
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, TextIO

from penstock.model.work import Line

Listen = Callable[[Line], None]

#: how many characters may wait for a line end before they are handed on without one
_LONGEST = 10_000


class Channel(io.TextIOBase):
    """A text stream that hands on whole lines, and writes them through to another stream if there is one.

    Threads do not write into each other's lines. Of what was written over after a carriage return, as progress bars
    do, the last is kept.
    """

    def __init__(self, stream: str, listen: Listen, through: TextIO | None) -> None:
        self._stream = stream
        self._listen: Listen = listen
        self._through = through
        #: what has no line end yet, by thread
        self._rests: dict[int, str] = {}
        self.buffer = _Bytes(self)

    def write(self, text: str, /) -> int:
        if self._through is not None:
            self._through.write(text)
        *lines, rest = (self._rests.pop(threading.get_ident(), "") + _encodable(text)).split("\n")
        if lines:
            at = time.time()
            for line in lines:
                self._listen(Line(self._stream, _visible(line), at))
        if rest:
            self._keep(rest)
        return len(text)

    def _keep(self, rest: str) -> None:
        if "\r" in rest:
            rest = _visible(rest) + ("\r" if rest.endswith("\r") else "")
        if len(rest) > _LONGEST:
            self._listen(Line(self._stream, rest, time.time()))
        else:
            self._rests[threading.get_ident()] = rest

    def flush(self) -> None:
        if self._through is not None:
            self._through.flush()

    def finish(self) -> None:
        """Hand on what has no line end yet."""
        while self._rests:
            _, rest = self._rests.popitem()
            self._listen(Line(self._stream, _visible(rest), time.time()))

    def abandon(self) -> None:
        """From now on, hear nothing."""
        self._listen = _deaf

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self._through is not None and self._through.isatty()

    def fileno(self) -> int:
        """The file descriptor written through to, for child processes and debuggers."""
        return (self._through or sys.__stderr__ or sys.stderr).fileno()

    @property
    def encoding(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        return "utf-8"


def _deaf(line: Line) -> None:
    """Nobody listens."""


class _Bytes(io.RawIOBase):
    """Takes bytes for a channel, as text in UTF-8."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")

    def write(self, data: Any, /) -> int:
        self._channel.write(self._decoder.decode(data))
        return memoryview(data).nbytes

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._channel.fileno()


def _encodable(text: str) -> str:
    """The same text, with what UTF-8 cannot hold (the odd bytes of a file name) written as escapes."""
    return text if text.isascii() else text.encode(errors="backslashreplace").decode()


def _visible(line: str) -> str:
    """What a terminal shows of a line: what follows the last return to its start."""
    return line.rstrip("\r").rpartition("\r")[2]


class LogHandler(logging.Handler):
    """Hands log records on as lines of a stream named after their level."""

    def __init__(self, listen: Listen) -> None:
        super().__init__()
        self._listen = listen
        self.setFormatter(logging.Formatter("%(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = _encodable(self.format(record))
        except Exception:
            self.handleError(record)
            return
        for line in text.split("\n"):
            self._listen(Line(record.levelname.lower(), line, record.created))


class Capture:
    """Replaces stdout, stderr and the root logger's ears between `begin` and `end`."""

    def __init__(self, listen: Listen, *, through: bool) -> None:
        self._listen = listen
        self._through = through
        self._handler = LogHandler(listen)
        self._channels: tuple[Channel, Channel] | None = None
        self._streams: tuple[TextIO, TextIO] | None = None
        self._level: int | None = None

    def begin(self) -> None:
        out, err = sys.stdout, sys.stderr
        self._streams = out, err
        channels = self._channels
        if channels is None:
            channels = (
                Channel("stdout", self._listen, out if self._through else None),
                Channel("stderr", self._listen, err if self._through else None),
            )
            self._channels = channels
        sys.stdout, sys.stderr = channels  # pyright: ignore[reportAttributeAccessIssue]
        root = logging.getLogger()
        root.addHandler(self._handler)
        self._level = root.level
        if root.level == logging.WARNING:
            root.setLevel(logging.INFO)

    def end(self) -> None:
        if self._streams is None:
            return
        sys.stdout, sys.stderr = self._streams
        self._streams = None
        self.flush()
        root = logging.getLogger()
        root.removeHandler(self._handler)
        if self._level is not None:
            root.setLevel(self._level)

    def flush(self) -> None:
        """Hand on what has no line end yet."""
        for channel in self._channels or ():
            channel.finish()

    def abandon(self) -> None:
        """Let go of everything in a child process, where nobody listens and threads may have left locks behind."""
        for channel in self._channels or ():
            channel.abandon()
        self.end()

    @contextmanager
    def active(self) -> Generator[None]:
        self.begin()
        try:
            yield
        finally:
            self.end()
