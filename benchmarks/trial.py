"""One measurement in a process of its own: `python -m benchmarks.trial KIND NAME SIZE WORKERS`; prints JSON.

KIND is `floor`, `kernel` or `journal` (see `benchmarks.kernel`), `identity` (see there), `crowded` (see there), `triggers` (see there), `plan`, or the executor that the
pipeline NAME runs on. The state is kept where PENSTOCK_HOME says.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import TypedDict

#: ru_maxrss counts kilobytes on Linux and bytes on macOS
_MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024


class Measured(TypedDict):
    """What one trial measured: seconds, and the most memory that the process held, in megabytes."""

    seconds: float
    peak_memory: float


def _pipeline(name: str, executor: str, n: int, workers: int) -> float:
    from benchmarks.pipelines import PIPELINES, expected

    pipeline = PIPELINES[name].options(executor=executor, workers=workers, progress=False)
    start = time.perf_counter()
    result = pipeline(n)
    seconds = time.perf_counter() - start
    if result != expected(name, n):
        raise SystemExit(f"{name} of {n} returned {result}, not {expected(name, n)}")
    return seconds


def _plan(name: str, n: int, workers: int) -> float:
    from benchmarks.pipelines import PIPELINES

    pipeline = PIPELINES[name].options(workers=workers, progress=False)
    start = time.perf_counter()
    plan = pipeline.plan(n=n)
    seconds = time.perf_counter() - start
    if plan.counts.total() != n + 1:
        raise SystemExit(f"the plan of {name} of {n} knows {plan.counts.total()} tasks")
    return seconds


def _frame(executor: str, megabytes: int, workers: int) -> float:
    """As long as the run took, and one more reading of its result, less what making the numbers took."""
    from benchmarks.frames import COLUMNS, frame, read

    pipeline = frame.options(executor=executor, workers=workers, progress=False)
    start = time.perf_counter()
    run = pipeline.run(megabytes=megabytes)
    sums = read(run.result)
    seconds = time.perf_counter() - start
    if len(sums) != COLUMNS or not all(0.49 < total / len(run.result) < 0.51 for total in sums):
        raise SystemExit(f"the frame came back with other numbers: {sums}")
    return seconds - run.metrics["made_in"]


def main(kind: str, name: str, size: int, workers: int) -> Measured:
    if kind == "floor":
        from benchmarks.floors import FLOORS

        seconds = FLOORS[name](size, workers)
    elif kind in ("kernel", "journal"):
        from benchmarks import kernel

        seconds = kernel.kernel(name, size) if kind == "kernel" else kernel.journal(name, size)
    elif kind == "identity":
        from benchmarks import identity

        seconds = identity.MEASURED[name](size)
    elif kind == "crowded":
        from benchmarks import crowded

        seconds = crowded.MEASURED[name](Path(os.environ["PENSTOCK_HOME"]), size)
    elif kind == "triggers":
        from benchmarks import triggers

        seconds = triggers.MEASURED[name](Path(os.environ["PENSTOCK_HOME"]), size)
    elif kind == "plan":
        seconds = _plan(name, size, workers)
    elif name == "frame":
        seconds = _frame(kind, size, workers)
    else:
        seconds = _pipeline(name, kind, size, workers)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MAXRSS_UNIT
    return {"seconds": seconds, "peak_memory": peak / 1e6}


if __name__ == "__main__":
    given_kind, given_name, given_size, given_workers = sys.argv[1:]
    print(json.dumps(main(given_kind, given_name, int(given_size), int(given_workers))))
