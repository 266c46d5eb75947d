"""The user's sensors and conditions, asked on the command line as the daemon asks them: each in a process of its own, in the
time that it may take. What they print is seen."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from penstock.daemon.inquiries import Answer, Inquiry
from penstock.model.trigger import Cause, SensorSource, Trigger
from penstock.registering.proposing import Asked, Proposal


class Apart:
    """Asks each function in a process of its own, in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def sensor(self, target: str, trigger: Trigger, cursor: Any) -> Asked:
        """Ask a sensor, in the time that it may take."""
        assert isinstance(trigger.source, SensorSource)
        found = self._ask(
            Inquiry(id="", kind="sensor", target=target, cursor=cursor, timeout=trigger.source.timeout),
        )
        return _asked(found, trigger)

    def coming(self, target: str, trigger: Trigger, cursor: Any, after: float, count: int) -> Asked:
        """Ask a sensor that follows the clock for what it will ask for after a moment, in the time that it may take."""
        assert isinstance(trigger.source, SensorSource)
        timeout = trigger.source.timeout
        inquiry = Inquiry(id="", kind="coming", target=target, cursor=cursor, after=after, count=count, timeout=timeout)
        return _asked(self._ask(inquiry), trigger)

    def condition(self, target: str, cause: Cause, timeout: float) -> Asked:
        """Ask the condition of a trigger."""
        found = self._ask(Inquiry(id="", kind="condition", target=target, cause=cause, timeout=timeout))
        return Asked(fault=found.error, holds=found.holds, why=found.why)

    def _ask(self, inquiry: Inquiry) -> Answer:
        read, write = os.pipe()
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "penstock.daemon.inquiry", str(write)],
                stdin=subprocess.PIPE,
                stdout=sys.stderr.fileno(),
                cwd=self._folder,
                pass_fds=(write,),
                start_new_session=True,
            )
        except OSError as error:
            os.close(read)
            return Answer(id="", error=f"no process can be started: {error.strerror or error}")
        finally:
            os.close(write)
        late = threading.Event()

        def end() -> None:
            late.set()
            _kill(process)

        watch = threading.Timer(inquiry.timeout, end)
        watch.daemon = True
        watch.start()
        try:
            with os.fdopen(read, "rb") as answer:
                assert process.stdin is not None
                with suppress(BrokenPipeError), process.stdin:
                    process.stdin.write(msgspec.json.encode(inquiry))
                document = answer.read()
        finally:
            watch.cancel()
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.5)
            # with what it has started
            _kill(process)
            code = process.wait()
        return (
            Answer(id="", error=f"it gave no answer within {inquiry.timeout:g} s")
            if late.is_set()
            else _read(document, code)
        )


def _asked(answer: Answer, trigger: Trigger) -> Asked:
    runs = [
        Proposal(key=each.key, cause=each.cause(trigger.name), asked=each.parameters, tags=each.tags)
        for each in answer.requests
    ]
    return Asked(fault=answer.error, runs=tuple(runs), why=answer.why)


def _read(document: bytes, code: int) -> Answer:
    try:
        return msgspec.json.decode(document, type=Answer)
    except msgspec.DecodeError:
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        return Answer(id="", error=f"its process ended {how} before it had answered")


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


__all__ = ["Apart"]
