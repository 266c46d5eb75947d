"""Where the turns of runs are in the journal.

The key of a row is one number, made of that of its run and that of the turn: a turn is added at the end of its run's, and
that is cheapest where rows are kept in the order of a number. The attempts of a file have keys of the same kind.
"""

from __future__ import annotations

from typing import Final

#: bits of a key that are the number of the turn
_BITS: Final = 32
_LAST: Final = (1 << _BITS) - 1


def first(run: str) -> str:
    """The key of the first row of a run, in SQL; `run` is what stands for the key of that."""
    return f"({run} << {_BITS})"


def of(table: str, run: str) -> str:
    """Of a row of a table with such keys, whether it is of a run, in SQL."""
    return f"{table}.id BETWEEN {first(run)} AND {first(run)} + {_LAST}"


#: of a row with such a key, the number of its run
RUN: Final = f"(id >> {_BITS})"
#: of a row of the journal, the number of its turn
NUMBER: Final = f"(id & {_LAST})"
#: of a row of the journal, whether it is of the run in a row of `runs`
OF_RUNS: Final = of("journal", "runs.id")
#: the key of the first turn of the run in a row of `runs`
FIRST: Final = first("runs.id")
#: the number of the next turn of the run in a row of `runs`
NEXT: Final = f"(SELECT coalesce((max(journal.id) & {_LAST}) + 1, 0) FROM journal WHERE {OF_RUNS})"


def key(run: int, number: int) -> int:
    """The key of a turn."""
    return (run << _BITS) + number


def run_of(key: int) -> int:
    """The key of the run whose turn has a key."""
    return key >> _BITS


def span(run: int, first: int = 0, last: int = _LAST) -> tuple[int, int]:
    """The keys of turns from the first to the last, by default of all that a run has."""
    return key(run, first), key(run, last)


__all__ = ["FIRST", "NEXT", "NUMBER", "OF_RUNS", "RUN", "first", "key", "of", "run_of", "span"]
