"""`python -P -m penstock.daemon.inquiry`: asks one of the user's functions once, in a process that is for nothing else.

The question comes on stdin; the answer goes to the descriptor that is named. Whatever the function prints goes to stderr.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from datetime import UTC, datetime
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, cast

import msgspec

from penstock.daemon.inquiries import Answer, Inquiry, Request
from penstock.errors import PenstockError
from penstock.model.trigger import Cause

if TYPE_CHECKING:
    from penstock.authoring.triggers.sensors import RunRequest

#: bytes of memory that the process may have: at least, and as a part of the machine's
_LEAST, _PART = 1 << 30, 4


def main(descriptor: int) -> None:
    """Answer the question on stdin."""
    inquiry = msgspec.json.decode(sys.stdin.buffer.read(), type=Inquiry)
    os.set_inheritable(descriptor, False)
    _be_modest()
    os.dup2(2, 1)
    # what is printed is to be there though the process is ended
    cast(TextIOWrapper, sys.stdout).reconfigure(line_buffering=True)
    sys.stdin = Path(os.devnull).open()  # noqa: SIM115
    try:
        answer = _answered(inquiry)
    except PenstockError as error:
        answer = Answer(id=inquiry.id, error=str(error))
    except BaseException as error:  # whatever the user's function raises is its answer
        from penstock.model.fault import user_traceback

        answer = Answer(id=inquiry.id, error=user_traceback(error).rstrip())
    document = msgspec.json.encode(answer)
    with os.fdopen(descriptor, "wb") as sink:
        sink.write(document)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    # what the user's code has left running is not to be waited for
    os._exit(0)


def _answered(inquiry: Inquiry) -> Answer:
    from penstock.authoring.triggers.sensors import Sensor
    from penstock.authoring.triggers.trigger import Trigger
    from penstock.registering.loading import load_object

    found = load_object(inquiry.target)
    if inquiry.kind in ("sensor", "coming"):
        if not isinstance(found, Sensor):
            return Answer(id=inquiry.id, error=f"{inquiry.target} is no sensor any more; register it anew")
        if inquiry.kind == "coming":
            coming = found.coming(inquiry.cursor, datetime.fromtimestamp(inquiry.after, UTC))
            return Answer(id=inquiry.id, requests=tuple(map(_request, islice(coming, inquiry.count))))
        result = found.evaluate(inquiry.cursor)
        return Answer(
            id=inquiry.id,
            requests=tuple(map(_request, result.requests)),
            cursor=result.cursor,
            moved=True,
            why=result.skipped,
            again=None if result.again is None else result.again.timestamp(),
        )
    if not isinstance(found, Trigger):
        return Answer(id=inquiry.id, error=f"{inquiry.target} is no trigger any more; register it anew")
    why = found.refusal(inquiry.cause or Cause())
    return Answer(id=inquiry.id, holds=why is None, why=why or "")


def _request(request: RunRequest) -> Request:
    """What a sensor asks for, as it is told to the daemon."""
    zone = None if request.logical_time is None else request.logical_time.tzinfo
    interval = request.interval
    return Request(
        key=request.key,
        parameters=dict(request.parameters),
        tags=tuple(request.tags),
        partition=request.partition,
        logical_time=None if request.logical_time is None else request.logical_time.timestamp(),
        interval=None if interval is None else (interval[0].timestamp(), interval[1].timestamp()),
        zone=getattr(zone, "key", None) or "UTC",
    )


def _be_modest() -> None:
    """Have this process end, rather than any other, where memory runs short, and raise MemoryError before that."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    with suppress(ImportError, OSError, ValueError, AttributeError):
        import resource

        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        limit = max(_LEAST, memory // _PART)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main(int(sys.argv[1]))
