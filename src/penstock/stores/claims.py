"""Claims of results that are about to be made, in SQL. Every function runs inside a transaction of its caller's.

A claim is an entry of the cache that has a claimant, and no outputs yet. So it costs no page of the file that the result
would not: that of its fingerprint is written when it is claimed, and the result takes the place of the claim. It counts
while its run is under way; that of any other run is taken over. What there is a result of cannot be claimed.

No index tells what a run has claimed: it would be written twice for each result. Who writes a run from its start knows.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from penstock.stores.database import Connection
from penstock.stores.rows import Row

#: what a turn without refused claims comes back with
NONE: Final[frozenset[bytes]] = frozenset()

#: who has claims that count, for fingerprints that are to follow
CLAIMANTS = """
    SELECT fingerprint, run_id, claimed_node, claimed_item FROM results JOIN runs ON runs.id = claimant
    WHERE state = 'running' AND fingerprint
"""

#: claims a result: see `claim_rows`
TAKE = """
    INSERT INTO results (fingerprint, outputs, run, node, item, attempt, created_at, claimant, claimed_node, claimed_item)
    VALUES (?, ?, 0, '', -1, 0, 0.0, ?, ?, ?)
    ON CONFLICT (fingerprint) DO UPDATE SET
        claimant = excluded.claimant, claimed_node = excluded.claimed_node, claimed_item = excluded.claimed_item
    WHERE length(results.outputs) = 0 AND (
        results.claimant IS NULL OR results.claimant = excluded.claimant
        OR NOT EXISTS (SELECT 1 FROM runs WHERE id = results.claimant AND state = 'running')
    )
"""
# What the run has made itself, for an item just like this one, is its own affair.
_OTHERS = "SELECT 1 FROM results WHERE fingerprint = ?1 AND (claimant <> ?2 OR (length(outputs) > 0 AND run <> ?2))"
_DROP = "DELETE FROM results WHERE fingerprint = ? AND claimant = ? AND length(outputs) = 0"
_DROP_ALL = "DELETE FROM results WHERE claimant = ? AND length(outputs) = 0"
_DEAD = "claimant IS NOT NULL AND claimant NOT IN (SELECT id FROM runs WHERE state = 'running')"
_SWEEP = f"DELETE FROM results WHERE {_DEAD} AND length(outputs) = 0"


def take(connection: sqlite3.Connection, run: int, claims: Mapping[bytes, tuple[str, int]]) -> frozenset[bytes]:
    """Claim results for a run, each for a node and an item. Returns those that another run has, or has made."""
    added = connection.executemany(TAKE, claim_rows(run, claims))
    if added.rowcount == len(claims):
        return NONE
    return frozenset(key for key in claims if connection.execute(_OTHERS, (key, run)).fetchone() is not None)


def claim_rows(run: int, claims: Mapping[bytes, tuple[str, int]]) -> Iterator[Row]:
    return ((fingerprint, b"", run, *cell) for fingerprint, cell in claims.items())


def drop(connection: Connection, run: int, fingerprints: Iterable[bytes]) -> None:
    """Drop the claims that a run has of these."""
    connection.executemany(_DROP, ((fingerprint, run) for fingerprint in fingerprints))


def drop_all(connection: Connection, run: int) -> None:
    """Drop whatever a run has claimed. Goes through the whole cache."""
    connection.execute(_DROP_ALL, (run,))


def sweep(connection: Connection) -> None:
    """Drop claims that count no more: those of drivers that were killed. Goes through the whole cache."""
    connection.execute(_SWEEP)


__all__ = ["CLAIMANTS", "NONE", "TAKE", "claim_rows", "drop", "drop_all", "sweep", "take"]
