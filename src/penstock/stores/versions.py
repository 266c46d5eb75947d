"""Versions of assets, checks of them and the states of their partitions, in SQL. What writes runs inside a transaction of its
caller's; what a turn records is written without anything being read, since it is sent at once.

The row of a partition is written first and stays locked until the transaction ends, so that of two runs that make the same
partition at once the versions follow each other.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from operator import itemgetter
from typing import Any, Final

import msgspec

from penstock.model.asset import CheckResult, Materialization, PartitionChange, PartitionState, Upstream
from penstock.model.value import Argument
from penstock.ports import Turn
from penstock.stores.database import Connection, dropped
from penstock.stores.rows import Row, decode_argument, encode, json_document, plain

COLUMNS: Final = (
    "asset, partition, version, at, run_id, node, item, fingerprint, digest, value, upstream, metadata, cached"
)
CHECK: Final = "asset, partition, name, passed, severity, blocking, at, run_id, message, metadata"

#: where a partition is: it is being made for as long as the run that makes it is under way, and no longer
STATE: Final = """
    CASE WHEN partitions.state IN ('materialized', 'failed') OR (
        partitions.state = 'running'
        AND EXISTS (SELECT 1 FROM runs WHERE runs.run_id = partitions.run_id AND runs.state IN ('running', 'paused'))
    ) THEN partitions.state WHEN partitions.version > 0 THEN 'materialized' ELSE 'missing' END
"""

_CHANGE = """
    INSERT INTO partitions (asset, partition, state, run_id, at, version, fingerprint, digest) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (asset, partition) DO UPDATE SET state = excluded.state, run_id = excluded.run_id, at = excluded.at
"""
_MAKE = f"""{_CHANGE},
        version = partitions.version + CASE WHEN partitions.fingerprint = excluded.fingerprint
            AND partitions.digest = excluded.digest THEN 0 ELSE 1 END,
        fingerprint = excluded.fingerprint, digest = excluded.digest
"""
_OBSERVE = f"""{_CHANGE},
        version = partitions.version + CASE WHEN partitions.digest = excluded.digest THEN 0 ELSE 1 END,
        fingerprint = excluded.fingerprint, digest = excluded.digest
"""
# Where the version is not new, there is a row of it already.
_ADD = f"""
    INSERT INTO materializations ({COLUMNS})
    SELECT asset, partition, version, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12
    FROM partitions WHERE asset = ?1 AND partition = ?2
    ON CONFLICT (asset, partition, version) DO NOTHING
"""
_CHECK = f"INSERT INTO checks ({CHECK}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

# A piece of all values, by the numbers of their rows, which never change.
VALUES = "SELECT number, value FROM materializations WHERE number > ? AND value IS NOT NULL ORDER BY number LIMIT ?"

_OLD = """
    FROM materializations WHERE at < ?1 AND version <= (
        SELECT version FROM partitions
        WHERE partitions.asset = materializations.asset AND partitions.partition = materializations.partition
    ) - ?2
"""

Key = tuple[str, str]
#: the version, fingerprint and digest of a partition that has none
_NO_VERSION: Final = (0, b"", b"")

_decode_upstream = msgspec.msgpack.Decoder(tuple[Upstream, ...]).decode


def record(connection: Connection, turn: Turn) -> None:
    """Record what a turn holds of assets: where partitions are, versions, and checks.

    A version is only recorded if it differs from the latest of its partition in what made it or in its content; of several
    of one partition the last counts, and so it is with changes.
    """
    made = dict(sorted(((_key(each), each) for each in turn.materializations), key=itemgetter(0)))
    changes = {_key(each): each for each in turn.partitions}
    # The rows of all partitions are locked in the same order by everybody, so that none waits for another in a circle.
    if changes:
        connection.executemany(_CHANGE, (_change_row(key, changes.get(key), made) for key in sorted({*changes, *made})))
    connection.executemany(_MAKE, (_partition_row(key, each) for key, each in made.items()))
    for key, each in made.items():
        connection.execute(_ADD, _version_row(key, each))
    connection.executemany(_CHECK, map(_check_row, turn.checks))


def observe(connection: Connection, observations: Iterable[Materialization]) -> list[Key]:
    """Record versions, each only if its content differs from that of the latest. Returns the assets and partitions that
    have new ones."""
    new: list[Key] = []
    for each in observations:
        key = _key(each)
        connection.execute(_OBSERVE, _partition_row(key, each))
        if connection.execute(_ADD, _version_row(key, each)).rowcount > 0:
            new.append(key)
    return new


def values(connection: Connection, after: int = 0) -> Iterator[tuple[int, Argument]]:
    """The values of all versions with a number greater than `after`, in pieces, with their numbers."""
    while found := connection.execute(VALUES, (after, 256)).fetchall():
        for after, value in found:
            yield after, decode_argument(value)


def forget(connection: Connection, before: float, keep: int, *, dry: bool) -> int:
    """Drop versions that were made before a time, apart from the latest `keep` of each partition."""
    return dropped(connection, _OLD, (before, keep), dry=dry)


def _key(of: Materialization | PartitionChange) -> Key:
    return plain(of.asset), plain(of.partition)


def _change_row(key: Key, change: PartitionChange | None, made: Mapping[Key, Materialization]) -> Row:
    if key in made or change is None:
        return _partition_row(key, made[key])[:5] + _NO_VERSION
    return *key, str(change.state), change.run_id, change.at, *_NO_VERSION


def _partition_row(key: Key, made: Materialization) -> Row:
    state = str(PartitionState.MATERIALIZED)
    return *key, state, made.run_id, made.at, 1, made.fingerprint or b"", made.digest


def _version_row(key: Key, made: Materialization) -> list[Any]:
    return [
        *key,
        made.at,
        made.run_id,
        plain(made.node),
        made.item,
        made.fingerprint or b"",
        made.digest,
        None if made.value is None else encode(made.value),
        encode(made.upstream),
        json_document(made.metadata),
        made.cached,
    ]


def version_of(row: Row) -> Materialization:
    asset, partition, version, at, run_id, node, item, fingerprint, digest, *more = row
    value, upstream, metadata, cached = more
    return Materialization(
        asset=asset,
        partition=partition,
        version=version,
        at=at,
        run_id=run_id,
        node=node,
        item=item,
        fingerprint=fingerprint or None,
        digest=digest,
        value=None if value is None else decode_argument(value),
        upstream=_decode_upstream(upstream),
        metadata=json.loads(metadata),
        cached=bool(cached),
    )


def _check_row(result: CheckResult) -> Row:
    return (
        plain(result.asset),
        plain(result.partition),
        plain(result.check),
        result.passed,
        result.severity,
        result.blocking,
        result.at,
        result.run_id,
        plain(result.message),
        json_document(result.metadata),
    )


def check_of(row: Row) -> CheckResult:
    asset, partition, name, passed, severity, blocking, at, run_id, message, metadata = row
    return CheckResult(
        asset=asset,
        check=name,
        partition=partition,
        passed=bool(passed),
        severity=severity,
        blocking=bool(blocking),
        at=at,
        run_id=run_id,
        message=message,
        metadata=json.loads(metadata),
    )


__all__ = [
    "CHECK",
    "COLUMNS",
    "STATE",
    "check_of",
    "forget",
    "observe",
    "values",
    "version_of",
]
