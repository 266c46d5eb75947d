"""What is measured, how large it is, and what it may cost."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean
from typing import NamedTuple

from benchmarks.figures import Budget, Figure, Round, figure
from benchmarks.processes import measure, new_home
from benchmarks.startup import cold_run, imports, version
from benchmarks.trial import Measured

_MICRO = 1e6
_POOL = "ProcessPoolExecutor.submit of the same function, warm pool"
_ROWS = "a bare call, one SQLite row looked up and one inserted, 100 to a transaction"


class Sizes(NamedTuple):
    """How much is measured."""

    rounds: int
    starts: int
    fan_out: int
    chain: int
    inline: int
    scale: int
    megabytes: int
    workers: int = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


FULL = Sizes(rounds=5, starts=15, fan_out=10_000, chain=1_000, inline=2_000, scale=100_000, megabytes=1024)
QUICK = Sizes(rounds=1, starts=5, fan_out=2_000, chain=500, inline=2_000, scale=10_000, megabytes=128)


class _Subject(NamedTuple):
    """A pipeline on an executor, and the floor it is held against. `least` is the size of its empty run."""

    pipeline: str
    executor: str
    floor: str
    least: int


def _round(subject: _Subject, n: int, workers: int, home: Path | None = None) -> Round:
    """Microseconds per task."""
    floor = measure("floor", subject.floor, n, workers)["seconds"]
    empty = measure(subject.executor, subject.pipeline, subject.least, workers, home)["seconds"]
    whole = measure(subject.executor, subject.pipeline, n, workers, home)["seconds"]
    return Round(floor / n * _MICRO, whole / n * _MICRO, empty / n * _MICRO)


def _rounds(subject: _Subject, n: int, sizes: Sizes) -> list[Round]:
    return [_round(subject, n, sizes.workers) for _ in range(sizes.rounds)]


def fan_out(sizes: Sizes) -> list[Figure]:
    subject = _Subject("fan_out", "processes", "pool_fan_out", sizes.workers)
    rounds = _rounds(subject, sizes.fan_out, sizes)
    return [figure(f"fan-out of {sizes.fan_out:,}", "us", _POOL, rounds, Budget(1.0, "times"))]


def loop(sizes: Sizes) -> list[Figure]:
    subject = _Subject("loop", "processes", "pool_fan_out", sizes.workers)
    rounds = _rounds(subject, sizes.fan_out, sizes)
    return [figure(f"loop of {sizes.fan_out:,} calls", "us", _POOL, rounds, None)]


def chain(sizes: Sizes) -> list[Figure]:
    subject = _Subject("chain", "processes", "pool_chain", 1)
    rounds = _rounds(subject, sizes.chain, sizes)
    floor = "submit and result, one after the other, warm pool"
    return [figure(f"chain of {sizes.chain:,}", "us", floor, rounds, Budget(1.5, "times"))]


def inline(sizes: Sizes) -> list[Figure]:
    subject = _Subject("fan_out", "inline", "rows", 1)
    rounds = _rounds(subject, sizes.inline, sizes)
    return [figure(f"inline, {sizes.inline:,} tasks", "us", _ROWS, rounds, Budget(60, "unit"))]


def warm(sizes: Sizes) -> list[Figure]:
    subject = _Subject("fan_out", "processes", "rows", sizes.workers)
    rounds: list[Round] = []
    for _ in range(sizes.rounds):
        with new_home() as home:
            for n in (subject.least, sizes.fan_out):
                measure("processes", "fan_out", n, sizes.workers, home)
            rounds.append(_round(subject, sizes.fan_out, sizes.workers, home))
    return [figure(f"warm re-run of {sizes.fan_out:,}", "us", _ROWS, rounds, Budget(30, "unit"))]


def scale(sizes: Sizes) -> list[Figure]:
    """Per-task cost of many tasks against that of a thousand, each without an empty run, which is most of a thousand.
    And the memory that the driver of many takes, against that of an empty run."""
    rounds: list[Round] = []
    memory: list[Round] = []
    for _ in range(min(3, sizes.rounds)):
        before = _thousands(sizes)
        many = measure("processes", "fan_out", sizes.scale, sizes.workers)
        pairs = [*before, *_thousands(sizes)]
        # Means: many tasks take long enough to meet the mean load of the machine.
        few = mean([full["seconds"] - empty["seconds"] for empty, full in pairs]) / 1000 * _MICRO
        start = mean([empty["seconds"] for empty, _ in pairs])
        rounds.append(Round(few, (many["seconds"] - start) / sizes.scale * _MICRO))
        memory.append(Round(pairs[0][0]["peak_memory"], many["peak_memory"]))
    name = f"fan-out of {sizes.scale:,}"
    floor = "penstock's own at 1,000; both less an empty run"
    return [
        figure(name, "us", floor, rounds, Budget(1.3, "times")),
        figure(f"{name}, memory", "MB", "the driver of an empty run", memory, Budget(500, "unit")),
    ]


def _thousands(sizes: Sizes) -> list[tuple[Measured, Measured]]:
    """Empty runs and runs of a thousand tasks, in turn."""
    empty, full = sizes.workers, 1000
    return [
        (
            measure("processes", "fan_out", empty, sizes.workers),
            measure("processes", "fan_out", full, sizes.workers),
        )
        for _ in range(5)
    ]


def frame(sizes: Sizes) -> list[Figure]:
    rounds: list[Round] = []
    for _ in range(min(3, sizes.rounds)):
        floor = measure("floor", "file_of_columns", sizes.megabytes, sizes.workers)["seconds"]
        empty = measure("processes", "frame", 1, sizes.workers)["seconds"]
        whole = measure("processes", "frame", sizes.megabytes, sizes.workers)["seconds"]
        rounds.append(Round(floor, whole, empty))
    name = f"frame of {sizes.megabytes:,} MB, 5 tasks"
    floor_text = "the bytes written once, then mapped and summed five times"
    return [figure(name, "s", floor_text, rounds, Budget(1.5, "times"), spikes=True)]


def start(sizes: Sizes) -> list[Figure]:
    return [*imports(sizes.starts), version(sizes.starts), cold_run(max(3, sizes.starts // 3))]


WORKLOADS: dict[str, Callable[[Sizes], Sequence[Figure]]] = {
    "fan-out": fan_out,
    "loop": loop,
    "chain": chain,
    "inline": inline,
    "warm": warm,
    "scale": scale,
    "frame": frame,
    "start": start,
}
