"""What the engine costs with its store on a PostgreSQL server of this machine."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Generator, Iterator

from benchmarks.figures import Figure, Round, figure
from benchmarks.floors import FLOORS
from benchmarks.processes import measure, new_home

_MICRO = 1e6
_ROWS = "a bare call, one SQLite row looked up and one inserted, 100 to a transaction"


@contextlib.contextmanager
def _stored_in(url: str) -> Generator[None]:
    """For the block, processes that are measured keep their store in a database."""
    before = os.environ.get("PENSTOCK_STORE")
    os.environ["PENSTOCK_STORE"] = url
    try:
        yield
    finally:
        os.environ.pop("PENSTOCK_STORE")
        if before is not None:
            os.environ["PENSTOCK_STORE"] = before


def postgres(rounds: int, fan_out: int, chain: int, inline: int, workers: int) -> list[Figure]:
    """A server is started, and gets new databases for each round."""
    from penstock.testing.postgres import Cluster

    with Cluster.start() as cluster:
        taken = [list(_round(cluster.database, fan_out, chain, inline, workers)) for _ in range(rounds)]
        turns = [_turns(cluster.database(), 1_000) for _ in range(rounds)]
    names = (
        f"fan-out of {fan_out:,}, PostgreSQL",
        f"warm re-run of {fan_out:,}, PostgreSQL",
        f"plan of {fan_out:,}, PostgreSQL",
        f"chain of {chain:,}, PostgreSQL",
        f"inline, {inline:,} tasks, PostgreSQL",
    )
    figures = [
        figure(name, "us", _ROWS, list(of_rounds), None)
        for name, of_rounds in zip(names, zip(*taken, strict=True), strict=True)
    ]
    floor = "one query of two rows on the same connection"
    return [*figures, figure("a turn with one attempt, PostgreSQL", "us", floor, turns, None)]


def _round(database: Callable[[], str], fan_out: int, chain: int, inline: int, workers: int) -> Iterator[Round]:
    """Microseconds per task: of a fan-out, of the same again, of its plan, of a chain, of tasks in the process itself; the
    last two in databases of their own, since all call the same task with the same numbers."""
    least = workers
    row = FLOORS["rows"](fan_out, workers) / fan_out

    def spent(kind: str, pipeline: str, n: int, empty: int) -> Round:
        nothing = measure(kind, pipeline, empty, workers, home)["seconds"]
        whole = measure(kind, pipeline, n, workers, home)["seconds"]
        return Round(row * _MICRO, whole / n * _MICRO, nothing / n * _MICRO)

    with new_home() as home:
        with _stored_in(database()):
            yield spent("processes", "fan_out", fan_out, least)
            yield spent("processes", "fan_out", fan_out, least)
            yield spent("plan", "fan_out", fan_out, least)
        with _stored_in(database()):
            yield spent("processes", "chain", chain, 1)
        with _stored_in(database()):
            yield spent("inline", "fan_out", inline, 1)


def _turns(url: str, count: int) -> Round:
    """What it takes to commit a turn as a chain of tasks has them: one attempt with its result, and a claim."""
    from penstock.model.event import Succeeded
    from penstock.stores.postgres import PostgresStore
    from penstock.testing.records import artifact, attempt, fingerprint, graph, provenance, result, run_record, turn

    store = PostgresStore(url)
    store.create(run_record(), graph(), provenance())
    turns = [
        turn(
            number,
            token=1,
            events=[Succeeded("fit", number, 1, (artifact(number),))],
            attempts=[attempt(item=number, fingerprint=fingerprint(number), outputs=(artifact(number),))],
            results={fingerprint(number): result(artifact(number), item=number)},
            claims={fingerprint(number + 1): ("fit", number + 1)},
        )
        for number in range(count)
    ]
    start = time.perf_counter()
    for _ in range(count):
        store.pulse("run-1")
    asked = time.perf_counter()
    for each in turns:
        store.commit("run-1", each)
    ended = time.perf_counter()
    store.close()
    return Round((asked - start) / count * _MICRO, (ended - asked) / count * _MICRO)
