"""Files loaded each in a process of its own, so that none is in the way of another: not by a module of the same name, nor by
what it does while it is loaded."""

from __future__ import annotations

import gc
import os
import select
import signal
import sys
import time
from types import FrameType
from typing import Final, NoReturn

import msgspec

from penstock.authoring.source import nearby
from penstock.dialects.recognition import split_dialect
from penstock.errors import TargetError
from penstock.model.options import RunOptions
from penstock.registering.collecting import Collected, Fault, collect
from penstock.registering.places import Place
from penstock.services import Services

#: seconds that a file may take
TIMEOUT: Final = 300.0
#: seconds more in which its process says where it hangs
_LAST_WORDS = 3.0
_READ = 1 << 16
_REMEDY = (
    'Put what it does as a script under `if __name__ == "__main__":`, and what takes long into tasks; or give it more time: '
    "penstock register --timeout 10min."
)


def collect_apart(place: Place, options: RunOptions, timeout: float = TIMEOUT) -> Collected:
    """What there is in a place, loaded by a process that is gone afterwards. Never raises for what is wrong in it: one that
    takes more than `timeout` seconds is ended, and that is told."""
    sys.stdout.flush()
    sys.stderr.flush()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        _answer(place, options, write, timeout)
    os.close(write)
    try:
        document = _read(read, time.monotonic() + timeout + _LAST_WORDS)
        if document is None:
            os.kill(child, signal.SIGKILL)
    finally:
        os.close(read)
        _, status = os.waitpid(child, 0)
    if document is None:
        return Collected(faults=[Fault(place=place.origin, what=_late(place, timeout), remedy=_REMEDY)])
    if not document:
        code = os.waitstatus_to_exitcode(status)
        what = f"the process that loaded {place.origin} has ended without a word"
        what += f", by the signal {-code}" if code < 0 else ""
        return Collected(faults=[Fault(place=place.origin, what=what)])
    return msgspec.msgpack.decode(document, type=Collected)


def _read(descriptor: int, until: float) -> bytes | None:
    """All that is written up to the end, or None if it does not come to an end in time."""
    parts: list[bytes] = []
    while select.select([descriptor], [], [], max(0.0, until - time.monotonic()))[0]:
        part = os.read(descriptor, _READ)
        if not part:
            return b"".join(parts)
        parts.append(part)
    return None


def _late(place: Place, timeout: float) -> str:
    return f"{nearby(split_dialect(place.origin)[1])} is not loaded after {timeout:g} s, and was given up"


def _answer(place: Place, options: RunOptions, descriptor: int, timeout: float) -> NoReturn:
    """In the new process: say what there is, and end without anything that belongs to the one that it comes from."""
    try:
        # what was there before is left alone, so that it need not be copied
        gc.freeze()
        _limit(place, timeout)
        services = Services(options)
        with services.looking() as looking:
            collected = collect(place, looking.values, services.project.folder)
        signal.setitimer(signal.ITIMER_REAL, 0)
        with os.fdopen(descriptor, "wb") as sink:
            sink.write(msgspec.msgpack.encode(collected, enc_hook=str))
    except BaseException as error:
        if not isinstance(error, KeyboardInterrupt):
            sys.excepthook(type(error), error, error.__traceback__)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        # nothing of the process that this one comes from is to be done twice
        os._exit(0)


def _limit(place: Place, timeout: float) -> None:
    """Let what goes on in this process after so many seconds end by an error that says where it is."""
    file = split_dialect(place.origin)[1]

    def late(_: int, frame: FrameType | None) -> None:
        innermost = frame
        while frame is not None and frame.f_code.co_filename != file:
            frame = frame.f_back
        frame = frame or innermost
        where = None if frame is None else f"{nearby(frame.f_code.co_filename)}:{frame.f_lineno}"
        raise TargetError(_late(place, timeout), where=where, remedy=_REMEDY)

    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, timeout)


__all__ = ["TIMEOUT", "collect_apart"]
