"""The kernel alone: a run taken through from its start to its end, with nothing around it.

Each function returns seconds of processor time.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import msgspec

from benchmarks.pipelines import PIPELINES
from penstock.kernel import VERSION, RunProgress, handle
from penstock.model.event import AnyEvent, Concluded, Expanded, Missed, RunStarted, Started, Succeeded
from penstock.model.instruction import AnyInstruction, Check, Conclude, Expand, Ready
from penstock.model.value import Artifact

#: events to one call, as in a busy turn
_TURN = 100
_OUTPUTS = (Artifact("data", "int", b"\0" * 32, 1, b"\1"),)
_FINGERPRINT = b"\1" * 32


def _answers(instruction: AnyInstruction, n: int) -> Iterator[AnyEvent]:
    """The events of a run in which nothing is in the cache, and everything succeeds."""
    match instruction:
        case Expand(node):
            yield Expanded(node, n)
        case Check(node, start, stop):
            for item in range(start, max(stop, start + 1)):
                yield Missed(node, item, _FINGERPRINT)
        case Ready(node, item, attempt):
            yield Started(node, item, attempt)
            yield Succeeded(node, item, attempt, _OUTPUTS)
        case Conclude(node, item):
            yield Concluded(node, item, _OUTPUTS)
        case _:
            pass


def handled(name: str, n: int) -> tuple[float, list[AnyEvent]]:
    """Let the kernel handle a run of a pipeline; how long it took for that, and the events."""
    run = RunProgress(PIPELINES[name].graph(n=n))
    seconds = 0.0
    taken: list[AnyEvent] = []
    waiting: list[AnyEvent] = [RunStarted(VERSION)]
    while waiting:
        events, waiting = waiting[:_TURN], waiting[_TURN:]
        start = time.process_time()
        instructions = handle(run, *events)
        seconds += time.process_time() - start
        taken += events
        waiting += [event for instruction in instructions for event in _answers(instruction, n)]
    if not run.finished:
        raise SystemExit(f"{name} of {n} did not come to its end")
    return seconds, taken


def kernel(name: str, n: int) -> float:
    """Let the kernel handle every event of a run."""
    return handled(name, n)[0]


def journal(name: str, n: int) -> float:
    """Write the same events as the journal holds them, and read them."""
    _, events = handled(name, n)
    encoder, decoder = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(list[AnyEvent])
    start = time.process_time()
    for first in range(0, len(events), _TURN):
        decoder.decode(encoder.encode(events[first : first + _TURN]))
    return time.process_time() - start
