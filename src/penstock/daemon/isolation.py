"""Questions asked in processes and threads of their own, so that nothing that an answer does harms the daemon."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

import msgspec

from penstock.daemon.inquiries import Answer, Inquiry, Poll
from penstock.errors import PenstockError

#: questions that are open at once
ROOM = 8
#: bytes of an answer, at most; bytes of what a process printed that are told
_LONGEST, _TOLD = 64 << 20, 4096


class _Asked(msgspec.Struct):
    """A process that is to answer."""

    inquiry: Inquiry
    process: subprocess.Popen[bytes]
    #: where its answer comes from, and what has come
    answer: int
    received: bytearray
    printed: IO[bytes]
    #: monotonic, when it is over
    until: float


class Isolated:
    """Asks the user's functions each in a process of its own, which is ended when its time is over, and penstock's own
    look-outs in threads."""

    def __init__(self, folder: Path, polls: Mapping[str, Poll] = {}, *, room: int = ROOM) -> None:
        self._folder = folder
        self._polls = polls
        self._room = room
        self._asked: dict[int, _Asked] = {}
        #: look-outs that are under way -> when their time is over; one that hangs keeps its thread, and is forgotten
        self._looking: dict[str, tuple[float, Inquiry]] = {}
        self._answers: list[Answer] = []
        self._lock = threading.Lock()
        self._selector = selectors.DefaultSelector()
        self._bell, self._ring = os.pipe()
        os.set_blocking(self._bell, False)
        os.set_blocking(self._ring, False)
        self._selector.register(self._bell, selectors.EVENT_READ)

    def room(self) -> int:
        """How many more questions it takes now."""
        return self._room - len(self._asked) - len(self._looking)

    def ask(self, inquiry: Inquiry) -> None:
        """Ask a question. It is answered once, in its time at the latest, whatever happens."""
        if inquiry.kind == "watch":
            self._looking[inquiry.id] = time.monotonic() + inquiry.timeout, inquiry
            threading.Thread(target=self._look, args=(inquiry,), daemon=True).start()
            return
        try:
            asked = self._begun(inquiry)
        except OSError as error:
            self._answers.append(Answer(id=inquiry.id, error=f"no process can be started: {error.strerror or error}"))
            return
        self._asked[asked.answer] = asked
        self._selector.register(asked.answer, selectors.EVENT_READ)

    def answers(self) -> list[Answer]:
        """What has been answered since the last time, without waiting."""
        self._gather(0.0)
        moment = time.monotonic()
        for asked in [each for each in self._asked.values() if each.until <= moment]:
            self._end(asked, f"it gave no answer within {asked.inquiry.timeout:g} s")
        with self._lock:
            for name in [name for name, (until, _) in self._looking.items() if until <= moment]:
                _, inquiry = self._looking.pop(name)
                self._answers.append(Answer(id=name, error=f"it gave no answer within {inquiry.timeout:g} s"))
            answers, self._answers = self._answers, []
        return answers

    def wait(self, seconds: float) -> None:
        """Wait so long, or until there is an answer."""
        moment = time.monotonic()
        soonest = min((each.until - moment for each in self._asked.values()), default=seconds)
        self._gather(max(0.0, min(seconds, soonest)))

    def close(self) -> None:
        """Break off what is open."""
        for asked in list(self._asked.values()):
            self._end(asked, "it was broken off")
        self._selector.close()
        os.close(self._bell)
        # threads that hang may still ring
        self._looking.clear()

    def wake(self) -> None:
        """End the waiting, from a signal handler or another thread."""
        with suppress(OSError):
            os.write(self._ring, b"!")

    def _begun(self, inquiry: Inquiry) -> _Asked:
        read, write = os.pipe()
        printed, question = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115
        try:
            with question:
                question.write(msgspec.json.encode(inquiry))
                question.seek(0)
                process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "penstock.daemon.inquiry", str(write)],
                    stdin=question,
                    stdout=printed,
                    stderr=printed,
                    cwd=self._folder,
                    pass_fds=(write,),
                    start_new_session=True,
                )
        except OSError:
            os.close(read)
            printed.close()
            raise
        finally:
            os.close(write)
        os.set_blocking(read, False)
        return _Asked(inquiry, process, read, bytearray(), printed, time.monotonic() + inquiry.timeout)

    def _gather(self, seconds: float) -> None:
        """Take in what has come, waiting so long for the first."""
        for key, _ in self._selector.select(seconds):
            if key.fd == self._bell:
                with suppress(BlockingIOError):
                    os.read(self._bell, 4096)
                continue
            asked = self._asked[key.fd]
            with suppress(BlockingIOError):
                data = os.read(key.fd, 1 << 20)
                asked.received += data
                if not data or len(asked.received) > _LONGEST:
                    self._end(asked, "")

    def _end(self, asked: _Asked, why: str) -> None:
        """End a process, and take its answer for what it is; `why` is for one that gave none."""
        self._selector.unregister(asked.answer)
        del self._asked[asked.answer]
        os.close(asked.answer)
        if why:
            _kill(asked.process)
        with suppress(subprocess.TimeoutExpired):
            asked.process.wait(0.5)
        # what it has started is ended as well
        _kill(asked.process)
        code = asked.process.wait()
        printed = _printed(asked)
        asked.printed.close()
        answer = Answer(id=asked.inquiry.id, error=why) if why else _decoded(asked, code, printed)
        if printed not in answer.error:
            answer = msgspec.structs.replace(answer, printed=printed)
        with self._lock:
            self._answers.append(answer)

    def _look(self, inquiry: Inquiry) -> None:
        """In a thread: look whether there is something new."""
        assert inquiry.watch is not None
        try:
            found, cursor = self._polls[inquiry.watch.kind](inquiry.watch, inquiry.cursor, time.time())
            answer = Answer(id=inquiry.id, occurrences=tuple(found), cursor=cursor, moved=True)
        except PenstockError as error:
            answer = Answer(id=inquiry.id, error=str(error))
        except Exception as error:  # whatever a place answers with is told
            answer = Answer(id=inquiry.id, error=f"{type(error).__name__}: {error}")
        with self._lock:
            known = self._looking.get(inquiry.id)
            if known is None or known[1] is not inquiry:
                return
            del self._looking[inquiry.id]
            self._answers.append(answer)
        self.wake()


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it has started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _decoded(asked: _Asked, code: int, printed: str) -> Answer:
    try:
        return msgspec.json.decode(bytes(asked.received), type=Answer)
    except msgspec.DecodeError:
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        return Answer(
            id=asked.inquiry.id,
            error=f"its process ended {how} before it had answered" + (f"\n{printed}" if printed else ""),
        )


def _printed(asked: _Asked) -> str:
    """The last of what a process has printed."""
    length = asked.printed.seek(0, os.SEEK_END)
    asked.printed.seek(max(0, length - _TOLD))
    return asked.printed.read().decode("utf-8", "replace").strip()


__all__ = ["ROOM", "Isolated"]
