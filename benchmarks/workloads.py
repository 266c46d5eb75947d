"""What is measured, how large it is, and what it may cost."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks import databases
from benchmarks.crowded import copy, fill
from benchmarks.figures import Budget, Figure, Round, figure
from benchmarks.processes import measure, new_home
from benchmarks.startup import cold_run, imports, version

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
    kernel: int = 5_000
    #: finished runs in a store
    runs: int = 10_000
    #: triggers of a daemon
    triggers: int = 10_000
    workers: int = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


FULL = Sizes(rounds=5, starts=15, fan_out=10_000, chain=1_000, inline=2_000, scale=100_000, megabytes=1024)
QUICK = Sizes(
    rounds=1, starts=5, fan_out=2_000, chain=500, inline=2_000, scale=10_000, megabytes=128, runs=2_000, triggers=2_000
)


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


def _against_own(name: str, pipeline: str, n: int, floor: tuple[str, int], text: str, sizes: Sizes) -> Figure:
    """A pipeline held against another one and its size. Of both, the best whole run less the best empty one."""
    runs = [floor, (floor[0], sizes.workers), (pipeline, n), (pipeline, sizes.workers)]
    rounds = [
        [measure("processes", *run, sizes.workers)["seconds"] for run in runs] for _ in range(max(3, sizes.rounds))
    ]
    whole, empty, own, own_empty = (min(seconds) / floor[1] * _MICRO for seconds in zip(*rounds, strict=True))
    return figure(name, "us", f"{text}; both less an empty run", [Round(whole - empty, own - own_empty)], None)


def stages(sizes: Sizes) -> list[Figure]:
    n = sizes.fan_out
    floor = "penstock's own map of as many items in one stage"
    return [_against_own(f"two stages of {n:,}", "stages", n, ("fan_out", 2 * n), floor, sizes)]


def limits(sizes: Sizes) -> list[Figure]:
    n = sizes.fan_out
    floor = "penstock's own map without the limit"
    return [
        _against_own(f"max_parallel, {n:,} items", "parallel", n, ("fan_out", n), floor, sizes),
        _against_own(f"a pool, {n:,} items", "pooled", n, ("fan_out", n), floor, sizes),
    ]


def bodies(sizes: Sizes) -> list[Figure]:
    n, steps = sizes.fan_out, sizes.chain
    subject = _Subject("dynamic", "processes", "pool_chain", 1)
    mapped, waiting = "penstock's own map of the task itself", "submit and result, one after the other, warm pool"
    return [
        _against_own(f"{n:,} bodies of one node", "bodies", n, ("fan_out", n), mapped, sizes),
        figure(f"dynamic body, {steps:,} steps", "us", waiting, _rounds(subject, steps, sizes), None),
    ]


def kernel(sizes: Sizes) -> list[Figure]:
    """What the kernel alone takes for the events of one item or node: it misses the cache, starts and succeeds."""
    kinds = {"fan_out": "mapped item", "chain": "chain node", "bodies": "body of one node"}
    figures: list[Figure] = []
    for pipeline, kind in kinds.items():
        rounds: list[Round] = []
        for _ in range(sizes.rounds):
            floor, whole = (measure(side, pipeline, sizes.kernel, 1)["seconds"] for side in ("journal", "kernel"))
            rounds.append(Round(floor / sizes.kernel * _MICRO, whole / sizes.kernel * _MICRO))
        floor_text = "writing and reading the same events as msgpack, 100 at a time"
        figures.append(figure(f"kernel, {kind}", "us", floor_text, rounds, None))
    return figures


def warm(sizes: Sizes) -> list[Figure]:
    subject = _Subject("fan_out", "processes", "rows", sizes.workers)
    rounds: list[Round] = []
    for _ in range(sizes.rounds):
        with new_home() as home:
            for n in (subject.least, sizes.fan_out):
                measure("processes", "fan_out", n, sizes.workers, home)
            rounds.append(_round(subject, sizes.fan_out, sizes.workers, home))
    return [figure(f"warm re-run of {sizes.fan_out:,}", "us", _ROWS, rounds, Budget(30, "unit"))]


def plan(sizes: Sizes) -> list[Figure]:
    subject = _Subject("fan_out", "plan", "rows", sizes.workers)
    n = sizes.fan_out
    cached: list[Round] = []
    new: list[Round] = []
    for _ in range(sizes.rounds):
        with new_home() as home:
            new.append(_round(subject, n, sizes.workers, home))
            for size in (subject.least, n):
                measure("processes", "fan_out", size, sizes.workers, home)
            cached.append(_round(subject, n, sizes.workers, home))
    return [
        figure(f"plan of {n:,}, all cached", "us", _ROWS, cached, Budget(30, "unit")),
        figure(f"plan of {n:,}, none cached", "us", _ROWS, new, None),
    ]


def scale(sizes: Sizes) -> list[Figure]:
    """What each further task costs on the way from three thousand to many, against that on the way from three to six
    thousand. And the memory that the driver of many takes, against that of an empty run.

    The start is in neither. What the driver does while its workers start comes for nothing, and that is all that comes
    before the first attempt of the first two thousand tasks: no figure that has those in it tells what a task costs.
    """
    rounds: list[Round] = []
    memory: list[Round] = []
    for _ in range(min(3, sizes.rounds)):
        before = _thousands(sizes)
        many = measure("processes", "fan_out", sizes.scale, sizes.workers)
        pairs = [*before, *_thousands(sizes)]
        few = median([six - three for three, six in pairs]) / 3000 * _MICRO
        start = median([three for three, _ in pairs])
        rounds.append(Round(few, (many["seconds"] - start) / (sizes.scale - 3000) * _MICRO))
        empty = measure("processes", "fan_out", sizes.workers, sizes.workers)
        memory.append(Round(empty["peak_memory"], many["peak_memory"]))
    name = f"fan-out of {sizes.scale:,}"
    floor = "penstock's own from 3,000 to 6,000; both by what a further task costs"
    return [
        figure(name, "us", floor, rounds, Budget(1.3, "times")),
        figure(f"{name}, memory", "MB", "the driver of an empty run", memory, Budget(500, "unit")),
    ]


def crowded(sizes: Sizes) -> list[Figure]:
    """A store with thousands of finished runs against an empty one: a run, what is asked, a run that is taken over.

    Of tasks that take no time, in the process of the driver, what the store takes is a part worth telling; there is no
    budget for it.
    """
    n, times = sizes.chain, 25
    kinds = {
        f"a run of {n:,} tasks": ("processes", "fan_out", n, Budget(1.2, "times")),
        f"an inline run of {n:,} tasks": ("inline", "fan_out", n, None),
        "twelve questions": ("crowded", "queries", times, Budget(1.5, "times")),
        "a run taken over": ("crowded", "taken_over", times, Budget(1.2, "times")),
    }
    rounds: dict[str, list[Round]] = {name: [] for name in kinds}
    with new_home() as full, new_home() as empty:
        fill(full, sizes.runs)
        fill(empty, 0)
        for _ in range(max(3, sizes.rounds)):
            for name, (kind, workload, size, _) in kinds.items():
                with new_home() as one, new_home() as other:
                    # each on a copy, since what it leaves would be there for the next
                    copy(empty, one)
                    copy(full, other)
                    few, many = (measure(kind, workload, size, sizes.workers, home)["seconds"] for home in (one, other))
                rounds[name].append(Round(few * 1e3, many * 1e3))
    return [
        figure(
            f"{name}, {sizes.runs:,} finished runs",
            "ms",
            "the same with an empty store",
            rounds[name],
            budget,
            spikes=True,
        )
        for name, (_, _, _, budget) in kinds.items()
    ]


def triggers(sizes: Sizes) -> list[Figure]:
    """A daemon with thousands of triggers: how late the 99th of a hundred firings is recorded, and what it costs to wait."""
    n, rounds = sizes.triggers, min(2, sizes.rounds)

    def measured(name: str, floor: str, factor: float) -> list[Round]:
        return [
            Round(*(measure("triggers", each, n, 1)["seconds"] * factor for each in (floor, name)))
            for _ in range(rounds)
        ]

    rows, asleep = "as many rows added to a table, in one transaction", "one question to a database every second"
    late, share = Budget(1000, "unit"), Budget(1, "unit")
    return [
        figure(f"{n:,} triggers due at once, p99", "ms", rows, measured("at_once", "rows", 1e3), late),
        figure(f"{n:,} triggers spread out, p99", "ms", rows, measured("spread", "rows", 1e3), late),
        figure(f"{n:,} triggers, idle", "% CPU", asleep, measured("idle", "asleep", 1.0), share),
    ]


def _thousands(sizes: Sizes) -> list[tuple[float, float]]:
    """Seconds of runs of three thousand tasks and of six, in turn."""

    def run(n: int) -> float:
        return measure("processes", "fan_out", n, sizes.workers)["seconds"]

    return [(run(3000), run(6000)) for _ in range(7)]


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


def identity(sizes: Sizes) -> list[Figure]:
    rounds = [
        Round(*(measure("identity", name, sizes.megabytes, sizes.workers)["seconds"] for name in ("bytes", "frame")))
        for _ in range(min(3, sizes.rounds))
    ]
    floor = "BLAKE3 over the same columns as bytes, all cores"
    return [figure(f"digest of {sizes.megabytes:,} MB", "s", floor, rounds, Budget(2.0, "times"), spikes=True)]


def start(sizes: Sizes) -> list[Figure]:
    return [*imports(sizes.starts), version(sizes.starts), cold_run(max(3, sizes.starts // 3))]


def postgres(sizes: Sizes) -> list[Figure]:
    return databases.postgres(min(3, sizes.rounds), sizes.fan_out, sizes.chain, sizes.inline, sizes.workers)


WORKLOADS: dict[str, Callable[[Sizes], Sequence[Figure]]] = {
    "fan-out": fan_out,
    "loop": loop,
    "chain": chain,
    "inline": inline,
    "warm": warm,
    "plan": plan,
    "stages": stages,
    "limits": limits,
    "bodies": bodies,
    "kernel": kernel,
    "scale": scale,
    "crowded": crowded,
    "frame": frame,
    "identity": identity,
    "start": start,
    "postgres": postgres,
    "triggers": triggers,
}
