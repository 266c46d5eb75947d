"""Where the attempts of runs are, in each of the two databases.

A server finds them by run, node and item. In a file they are in the order of one number, as turns are (see
`penstock.stores.journal`): each is added at the end of its run's, and there is no index to be written as well. That no
attempt is recorded twice is there only owed to the journal, which takes each turn once.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from penstock.stores import journal, rows


class Attempts(NamedTuple):
    """How the attempts of a run are found and added, in SQL."""

    #: of a row of `attempts`, whether it is of the run whose key is the first value
    of_run: str
    #: of a row of `attempts`, whether it is of the run in a row of `runs`
    of_runs: str
    #: adds one: takes the key of its run, and the columns `rows.ATTEMPT`
    add: str
    #: finds the outputs of some, with their keys in front: takes the key of the run, that of an attempt that they come
    #: after, and how many
    outputs: str
    #: a key that all attempts come after
    before: tuple[Any, ...]


_MARKS: Final = ", ".join("?" for _ in rows.ATTEMPT.split(","))

BY_CELL: Final = Attempts(
    of_run="attempts.run = ?1",
    of_runs="attempts.run = runs.id",
    add=f"INSERT INTO attempts (run, {rows.ATTEMPT}) VALUES (?, {_MARKS})",
    outputs="""
        SELECT node, item, attempt, outputs FROM attempts WHERE run = ? AND (node, item, attempt) > (?, ?, ?)
        ORDER BY node, item, attempt LIMIT ?
    """,
    before=("", -2, -1),
)

_OF_RUN: Final = journal.of("attempts", "?1")
BY_NUMBER: Final = Attempts(
    of_run=_OF_RUN,
    of_runs=journal.of("attempts", "runs.id"),
    add=f"""
        INSERT INTO attempts (id, {rows.ATTEMPT})
        VALUES ((SELECT coalesce(max(id) + 1, {journal.first("?1")}) FROM attempts WHERE {_OF_RUN}), {_MARKS})
    """,
    outputs=f"SELECT id, outputs FROM attempts WHERE {_OF_RUN} AND id > ?2 ORDER BY id LIMIT ?3",
    before=(-1,),
)


__all__ = ["BY_CELL", "BY_NUMBER", "Attempts"]
