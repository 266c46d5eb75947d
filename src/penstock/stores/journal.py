"""Where the turns of runs are in the journal.

The key of a row is one number, made of that of its run and that of the turn: a turn is added at the end of its run's, and
that is cheapest where rows are kept in the order of a number.
"""

from __future__ import annotations

from typing import Final

#: bits of a key that are the number of the turn
_BITS: Final = 32
_LAST: Final = (1 << _BITS) - 1

#: of a row of the journal, the number of its run
RUN: Final = f"(id >> {_BITS})"
#: of a row of the journal, the number of its turn
NUMBER: Final = f"(id & {_LAST})"
#: of a row of the journal, whether it is of the run in a row of `runs`
OF_RUNS: Final = f"journal.id BETWEEN runs.id << {_BITS} AND (runs.id << {_BITS}) + {_LAST}"
#: the key of the first turn of the run in a row of `runs`
FIRST: Final = f"(runs.id << {_BITS})"
#: the number of the next turn of the run in a row of `runs`
NEXT: Final = f"(SELECT coalesce((max(journal.id) & {_LAST}) + 1, 0) FROM journal WHERE {OF_RUNS})"


def key(run: int, number: int) -> int:
    """The key of a turn."""
    return (run << _BITS) + number


def span(run: int, first: int = 0, last: int = _LAST) -> tuple[int, int]:
    """The keys of turns from the first to the last, by default of all that a run has."""
    return key(run, first), key(run, last)


__all__ = ["FIRST", "NEXT", "NUMBER", "OF_RUNS", "RUN", "key", "span"]
