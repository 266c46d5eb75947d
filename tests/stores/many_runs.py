"""A process with a run of its own: `many_runs.py TASKS SEED` maps a task over so many items; prints what came of it.

The state is kept where PENSTOCK_HOME and PENSTOCK_STORE say.
"""

from __future__ import annotations

import json
import resource
import sys

from penstock import pipeline, task


@task
def scaled(i: int, by: int) -> int:
    return i * by


@task
def total(numbers: list[int]) -> int:
    return sum(numbers)


@pipeline
def many(n: int, seed: int) -> int:
    return total(scaled.partial(by=seed).map(i=range(n)))


def main(n: int, seed: int) -> None:
    run = many.options(executor="inline", progress=False).run(n=n, seed=seed)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"run": run.run_id, "result": run.result, "seconds": run.duration, "peak_kb": peak}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
