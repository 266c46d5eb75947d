"""A process that drives a run: `writer.py FILE RUN TURNS SIZE` commits turns of SIZE attempts, and says which it has.

It takes the run up where its journal ends. With TURNS below 0 it goes on until it is killed.
"""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path

from penstock.errors import NotFoundError
from penstock.model.event import Succeeded
from penstock.model.work import Line
from penstock.ports import Said, Turn
from penstock.stores.sqlite import SqliteStore
from penstock.testing.records import artifact, attempt, graph, provenance, result, run_record, turn

#: turns after which the file is closed and opened again
_STRETCH = 7


def begin(path: Path, run_id: str) -> int:
    """Make the run, unless it is there. Returns the number of its next turn."""
    store = SqliteStore(path)
    try:
        store.find(run_id)
    except NotFoundError:
        store.create(run_record(run_id), graph(), provenance())
    number = len(store.journal(run_id))
    store.close()
    return number


def next_turn(run_id: str, number: int, size: int) -> Turn:
    items = range(number * size, (number + 1) * size)
    return turn(
        number,
        events=[Succeeded("fit", item, 1, (artifact(item),)) for item in items],
        attempts=[attempt(item=item, outputs=(artifact(item),)) for item in items],
        results={f"{run_id} {item}".encode(): result(artifact(item), item=item) for item in items},
        said=[Said("fit", number, 1, (Line("stdout", str(number)),))],
    )


def main(path: Path, run_id: str, turns: int, size: int) -> None:
    first = begin(path, run_id)
    numbers = count(first) if turns < 0 else range(first, turns)
    store = SqliteStore(path)
    for number in numbers:
        if number % _STRETCH == 0:
            store.close()
            store = SqliteStore(path)
        store.commit(run_id, next_turn(run_id, number, size))
        print(number, flush=True)
    store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
