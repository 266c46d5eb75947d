"""A run that shares a pool with others, in a process of its own: `pool_user.py STORE RUN ATTEMPTS SECONDS LAPSE RUNS`.

It begins when there are so many runs.

Each attempt is a line on stdout: when it began and when it ended, on the clock that all processes share.
"""

from __future__ import annotations

import sys
import time
from contextlib import closing
from pathlib import Path

from penstock.app import SystemClock
from penstock.model.graph import Graph
from penstock.model.instruction import Ready
from penstock.model.policy import Policy, Resources
from penstock.runtime.capacity.admission import ASK_AGAIN, Admission
from penstock.runtime.capacity.demand import Limits
from penstock.runtime.capacity.machine import Machine
from penstock.runtime.capacity.pools import Pools
from penstock.stores.sqlite import SqliteStore
from penstock.testing.records import provenance, run_record


def main(path: str, run: str, attempts: str, seconds: str, lapse: str, runs: str) -> None:
    store, clock = SqliteStore(Path(path)), SystemClock()
    graph = Graph("training", (), {}, ())
    store.create(run_record(run), graph, provenance())
    while len(store.runs()) < int(runs):
        time.sleep(0.001)
    pools = Pools(run, store, lambda: closing(SqliteStore(Path(path))), clock, float(lapse))
    admission = Admission(graph, Machine(cores=4, memory=1 << 30, gpus=0), 4, pools, Limits(pools={"db": 2}), clock)
    policy = Policy(resources=Resources(pools={"db": 1}))
    for number in range(int(attempts)):
        admission.offer(Ready("read", number, 1), policy, "read")
    under_way: dict[int, float] = {}
    while admission.waiting_count or under_way:
        for ready in admission.take(4):
            under_way[ready.item] = time.monotonic()
            print("began", ready.item, flush=True)
        time.sleep(0.002 if under_way else ASK_AGAIN / 10)
        for item, began in list(under_way.items()):
            if time.monotonic() - began >= float(seconds):
                ended = time.monotonic()
                del under_way[item]
                admission.end("read", item)
                print("ended", began, ended, flush=True)
    admission.close()
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
