"""What user code prints and logs, line by line, as said by whoever speaks."""

from __future__ import annotations

import codecs
import io
import logging
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Protocol, TextIO

from penstock.model.work import Line
from penstock.secrets import masking


class Speaker(Protocol):
    """Somebody who says lines."""

    def line(self, line: Line) -> None: ...


#: finds out who speaks here and now; None if that cannot be told
Whose = Callable[[], Speaker | None]

#: how many characters may wait for a line end before they are handed on without one
_LONGEST = 10_000


class Channel(io.TextIOBase):
    """A text stream that hands on whole lines, in the place of the stream `original`. With `through`, it writes them
    there too; what nobody says is written there in any case.

    Neither speakers nor threads write into each other's lines. Of what was written over after a carriage return, as
    progress bars do, the last is kept.
    """

    def __init__(self, stream: str, whose: Whose, original: TextIO | None, *, through: bool) -> None:
        self._stream = stream
        self._whose: Whose = whose
        self._original = original
        self._through = original if through else None
        self._masked = masking.Stream()
        #: what has no line end yet, by speaker and thread
        self._rests: dict[tuple[Speaker, int], str] = {}
        self.buffer = _Bytes(self)

    def write(self, text: str, /) -> int:
        speaker = self._whose()
        if self._original is not None and (speaker is None or self._through is not None):
            self._original.write(self._masked.feed(text))
        if speaker is None:
            return len(text)
        voice = speaker, threading.get_ident()
        *lines, rest = (self._rests.pop(voice, "") + _encodable(text)).split("\n")
        if lines:
            at = time.time()
            for line in lines:
                speaker.line(Line(self._stream, _visible(line), at))
        if rest:
            self._keep(voice, rest)
        return len(text)

    def _keep(self, voice: tuple[Speaker, int], rest: str) -> None:
        if "\r" in rest:
            rest = _visible(rest) + ("\r" if rest.endswith("\r") else "")
        if len(rest) <= _LONGEST:
            self._rests[voice] = rest
            return
        # what may be the beginning of a secret waits for the rest of it
        whole = masking.Stream()
        voice[0].line(Line(self._stream, whole.feed(rest), time.time()))
        if begun := whole.end():
            self._rests[voice] = begun

    def flush(self) -> None:
        if self._through is not None:
            self._through.flush()

    def finish(self, speaker: Speaker | None) -> None:
        """Hand on what has no line end yet; with a speaker, only what that one has said."""
        if self._original is not None and (begun := self._masked.end()):
            self._original.write(begun)
        for voice in list(self._rests) if self._rests else ():
            if speaker is None or voice[0] is speaker:
                rest = self._rests.pop(voice, "")
                voice[0].line(Line(self._stream, _visible(rest), time.time()))

    def abandon(self) -> None:
        """From now on, hear nothing."""
        self._whose = _nobody
        self._rests.clear()

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


def _nobody() -> None:
    """Nobody speaks."""


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

    def __init__(self, whose: Whose) -> None:
        super().__init__()
        self._whose = whose
        self.setFormatter(logging.Formatter("%(name)s: %(message)s"))

    def createLock(self) -> None:
        """None: an attempt that is interrupted in a thread would keep it, and all others would wait for it."""
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        speaker = self._whose()
        if speaker is None:
            if logging.lastResort is not None and record.levelno >= logging.lastResort.level:
                logging.lastResort.handle(record)
            return
        try:
            text = _encodable(self.format(record))
        except Exception:
            self.handleError(record)
            return
        for line in text.split("\n"):
            speaker.line(Line(record.levelname.lower(), line, record.created))


class Capture:
    """Replaces stdout, stderr and the root logger's ears between `begin` and `end`. `whose` says who speaks."""

    def __init__(self, whose: Whose, *, through: bool) -> None:
        self._whose = whose
        self._through = through
        self._handler = LogHandler(whose)
        self._channels: tuple[Channel, Channel] | None = None
        self._streams: tuple[TextIO, TextIO] | None = None
        self._level: int | None = None

    def begin(self) -> None:
        out, err = sys.stdout, sys.stderr
        self._streams = out, err
        channels = self._channels
        if channels is None:
            channels = (
                Channel("stdout", self._whose, out, through=self._through),
                Channel("stderr", self._whose, err, through=self._through),
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

    def flush(self, speaker: Speaker | None = None) -> None:
        """Hand on what has no line end yet; with a speaker, only what that one has said."""
        for channel in self._channels or ():
            channel.finish(speaker)

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
