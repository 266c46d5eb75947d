"""The tables of the SQLite store, as numbered migrations.

Migration n takes the schema from version n - 1 to version n. One that was released is never edited: a change is a new
migration at the end. Its steps are statements, or functions where what is inside a column changes. The version of a
file is its `user_version`.

Values that people may want to read with the `sqlite3` shell are JSON; the others are msgpack. Times are seconds since
the epoch. Columns called `run` refer to `runs.id`, a short stand-in for the `run_id` that everybody else uses.

The journal and the attempts are in the order of one number (see `penstock.stores.journal`), so that a turn, which adds one
row at the end of its run's, touches one page of each. Tables with keys of another kind are not clustered by them where rows are many: rows with small
values inside outgrow what such a table keeps on one page, and a fingerprint is random, so that rows in its order would each
land on another page.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Callable
from pathlib import Path

from penstock.errors import SchemaError, StoreError
from penstock.model.upgrade import upgraded
from penstock.stores.agenda_schema import AGENDA, CATALOG

#: the `application_id` by which a file is known to be penstock's: "pens" in ASCII
APPLICATION = 0x70656E73

_RUNS = (
    """
    CREATE TABLE runs (
        id INTEGER PRIMARY KEY AUTOINCREMENT, -- never given twice: results keep it when their run is gone
        run_id TEXT NOT NULL UNIQUE,
        pipeline TEXT NOT NULL,
        state TEXT NOT NULL,
        parameters TEXT NOT NULL,       -- JSON
        started_at REAL NOT NULL,
        finished_at REAL,
        target TEXT NOT NULL,
        driver TEXT NOT NULL,
        outputs BLOB NOT NULL           -- msgpack: dict[str, Argument]
    )
    """,
    "CREATE INDEX runs_by_start ON runs (started_at)",
    """
    CREATE TABLE run_details (
        run INTEGER PRIMARY KEY REFERENCES runs ON DELETE CASCADE,
        graph BLOB NOT NULL,            -- JSON, compressed by zlib when it is large
        provenance TEXT NOT NULL        -- JSON
    )
    """,
)

_HISTORY = (
    """
    CREATE TABLE journal (
        run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
        number INTEGER NOT NULL,        -- from 0, without gaps
        at REAL NOT NULL,
        events BLOB NOT NULL,           -- msgpack: list[AnyEvent]
        PRIMARY KEY (run, number)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE attempts (
        run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
        node TEXT NOT NULL,
        item INTEGER NOT NULL,          -- -1 for a node that is not mapped
        attempt INTEGER NOT NULL,       -- 0 for an end without an attempt
        state TEXT NOT NULL,
        started_at REAL NOT NULL,
        duration REAL NOT NULL,
        cpu REAL NOT NULL,
        peak_memory INTEGER NOT NULL,
        worker INTEGER NOT NULL,
        fingerprint BLOB,
        outputs BLOB NOT NULL,          -- msgpack: tuple[Artifact, ...]
        fault BLOB,                     -- msgpack: Fault
        reason TEXT NOT NULL,
        PRIMARY KEY (run, node, item, attempt)
    )
    """,
)

_CACHE = (
    """
    CREATE TABLE results (
        fingerprint BLOB NOT NULL UNIQUE,
        outputs BLOB NOT NULL,          -- msgpack: tuple[Artifact, ...]
        run INTEGER NOT NULL,           -- the run that made it; the result may outlive it
        node TEXT NOT NULL,
        item INTEGER NOT NULL,
        attempt INTEGER NOT NULL,
        created_at REAL NOT NULL
    )
    """,
    """
    CREATE TABLE descriptions (
        digest BLOB NOT NULL UNIQUE,
        preview TEXT NOT NULL           -- JSON
    )
    """,
)

_SAID = (
    """
    CREATE TABLE lines (
        number INTEGER PRIMARY KEY,
        run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
        node TEXT NOT NULL,
        item INTEGER NOT NULL,
        attempt INTEGER NOT NULL,
        stream TEXT NOT NULL,
        text TEXT NOT NULL,
        at REAL NOT NULL
    )
    """,
    "CREATE INDEX lines_by_run ON lines (run)",
    """
    CREATE TABLE metrics (
        number INTEGER PRIMARY KEY,
        run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
        node TEXT NOT NULL,
        item INTEGER NOT NULL,
        attempt INTEGER NOT NULL,
        name TEXT NOT NULL,
        value REAL,                     -- NULL is not a number (nan)
        step INTEGER,
        at REAL NOT NULL
    )
    """,
    "CREATE INDEX metrics_by_run ON metrics (run)",
    """
    CREATE TABLE attachments (
        number INTEGER PRIMARY KEY,
        run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
        node TEXT NOT NULL,
        item INTEGER NOT NULL,
        attempt INTEGER NOT NULL,
        name TEXT NOT NULL,
        artifact BLOB NOT NULL          -- msgpack: Artifact
    )
    """,
    "CREATE INDEX attachments_by_run ON attachments (run)",
)

_GROWTH = (
    "ALTER TABLE attempts ADD COLUMN key TEXT",  # what the item is called; NULL where items go by number
    """
    CREATE TABLE growth (                           -- the turns in which a dynamic pipeline got more nodes
        run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
        number INTEGER NOT NULL,
        PRIMARY KEY (run, number)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE requests (
        number INTEGER PRIMARY KEY AUTOINCREMENT, -- never given twice: whoever reads goes on after the last one
        run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
        request TEXT NOT NULL           -- JSON
    )
    """,
    "CREATE INDEX requests_by_run ON requests (run, number)",
)

# Rows of `holds` and `claims` that have lapsed, or whose run has ended, count for nothing and are swept up in passing.
_POOLS = (
    "CREATE TABLE pools (name TEXT PRIMARY KEY, size INTEGER NOT NULL) WITHOUT ROWID",
    """
    CREATE TABLE holds (
        pool TEXT NOT NULL REFERENCES pools,
        run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
        node TEXT NOT NULL,             -- empty for the run as a whole
        item INTEGER NOT NULL,
        amount INTEGER NOT NULL,
        until REAL NOT NULL,
        PRIMARY KEY (run, node, item, pool)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX holds_by_pool ON holds (pool)",
    """
    CREATE TABLE claims (               -- who was refused, and comes before those who ask after it
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        pool TEXT NOT NULL REFERENCES pools,
        run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
        node TEXT NOT NULL,
        item INTEGER NOT NULL,
        amount INTEGER NOT NULL,
        until REAL NOT NULL,
        UNIQUE (run, node, item, pool)
    )
    """,
    "CREATE INDEX claims_by_pool ON claims (pool)",
)

_CODE = (
    """
    CREATE TABLE identities (
        digest BLOB NOT NULL UNIQUE,
        document BLOB NOT NULL,         -- msgpack: TaskIdentity, compressed by zlib
        kept_at REAL NOT NULL           -- when somebody last said that it is needed
    )
    """,
    """
    CREATE TABLE texts (
        digest BLOB NOT NULL UNIQUE,
        text BLOB NOT NULL              -- UTF-8, compressed by zlib
    )
    """,
    """
    CREATE TABLE basis (                -- what the fingerprints of a run are made of
        run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
        kind TEXT NOT NULL CHECK (kind IN ('parameter', 'task', 'file', 'class')),
        name TEXT NOT NULL,
        value BLOB NOT NULL,            -- of a parameter, msgpack: Argument; else a digest
        PRIMARY KEY (run, kind, name)
    ) WITHOUT ROWID
    """,
)

# The run that is about to make the result, and which of its nodes and items; NULL where nobody is. Where there is none
# yet, `outputs` is empty, and `run` 0.
_CLAIMS = (
    "ALTER TABLE results ADD COLUMN claimant INTEGER",
    "ALTER TABLE results ADD COLUMN claimed_node TEXT",
    "ALTER TABLE results ADD COLUMN claimed_item INTEGER",
)

_TAGS = (
    """
    CREATE TABLE tags (
        run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
        tag TEXT NOT NULL,
        PRIMARY KEY (run, tag)
    ) WITHOUT ROWID
    """,
)

# How many drivers a run has had, when the last one said that it lives, and how many times it was begun. An earlier
# generation of a run is a row of its own, and so is all that was recorded of it.
_DRIVERS = (
    "ALTER TABLE runs ADD COLUMN token INTEGER NOT NULL DEFAULT 1",
    "ALTER TABLE runs ADD COLUMN beats INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE runs ADD COLUMN beat_at REAL",
    "ALTER TABLE runs ADD COLUMN generation INTEGER NOT NULL DEFAULT 1",
    "ALTER TABLE runs ADD COLUMN superseded INTEGER NOT NULL DEFAULT 0",
)

# A row of the journal may stand for several turns, of which its number and time are the last one's; its events are then
# msgpack: list[tuple[float, list[AnyEvent]]], compressed by zlib.
_COMPACTION = (
    "ALTER TABLE journal ADD COLUMN turns INTEGER NOT NULL DEFAULT 1",
    "ALTER TABLE runs ADD COLUMN compacted INTEGER NOT NULL DEFAULT 0",
)

# What would else be looked for in all runs that there ever were.
_FINDING = (
    "CREATE INDEX runs_by_pipeline ON runs (pipeline, started_at)",
    "CREATE INDEX runs_by_state ON runs (state, started_at)",
)


def _upgrade_graphs(connection: sqlite3.Connection) -> None:
    """Bring the graphs of all runs to version 2 of their format."""
    for (run,) in connection.execute("SELECT run FROM run_details").fetchall():
        [(graph,)] = connection.execute("SELECT graph FROM run_details WHERE run = ?", (run,))
        compressed = not graph.startswith(b"{")
        document = upgraded(json.loads(zlib.decompress(graph) if compressed else graph))
        written = json.dumps(document, indent=2, ensure_ascii=False).encode()
        connection.execute(
            "UPDATE run_details SET graph = ? WHERE run = ?", (zlib.compress(written) if compressed else written, run)
        )


# Clustered by run and number, pages would be divided in the middle for what is added at the end, again and again.
_ORDERED = (
    "ALTER TABLE journal RENAME TO journal_before",
    """
    CREATE TABLE journal (
        id INTEGER PRIMARY KEY,         -- run * 2**32 + number
        at REAL NOT NULL,
        events BLOB NOT NULL,           -- msgpack: list[AnyEvent]
        turns INTEGER NOT NULL DEFAULT 1,
        -- for people: what looks for these goes through all rows
        run INTEGER GENERATED ALWAYS AS (id >> 32) VIRTUAL,
        number INTEGER GENERATED ALWAYS AS (id & 4294967295) VIRTUAL
    )
    """,
    """
    INSERT INTO journal (id, at, events, turns)
    SELECT (run << 32) + number, at, events, turns FROM journal_before ORDER BY run, number
    """,
    "DROP TABLE journal_before",
)

# What has a key besides has an index, and each turn writes a page of that as well.
_NUMBERED = (
    "ALTER TABLE attempts RENAME TO attempts_before",
    """
    CREATE TABLE attempts (
        id INTEGER PRIMARY KEY,         -- run * 2**32 + a number, in the order in which they were recorded
        node TEXT NOT NULL,
        item INTEGER NOT NULL,          -- -1 for a node that is not mapped
        attempt INTEGER NOT NULL,       -- 0 for an end without an attempt
        state TEXT NOT NULL,
        started_at REAL NOT NULL,
        duration REAL NOT NULL,
        cpu REAL NOT NULL,
        peak_memory INTEGER NOT NULL,
        worker INTEGER NOT NULL,
        fingerprint BLOB,
        outputs BLOB NOT NULL,          -- msgpack: tuple[Artifact, ...]
        fault BLOB,                     -- msgpack: Fault
        reason TEXT NOT NULL,
        key TEXT,                       -- what the item is called; NULL where items go by number
        -- for people: what looks for it goes through all rows
        run INTEGER GENERATED ALWAYS AS (id >> 32) VIRTUAL
    )
    """,
    """
    INSERT INTO attempts (
        id, node, item, attempt, state, started_at, duration, cpu, peak_memory, worker, fingerprint, outputs, fault, reason, key
    )
    SELECT (run << 32) + rowid, node, item, attempt, state, started_at, duration, cpu, peak_memory, worker, fingerprint,
        outputs, fault, reason, key
    FROM attempts_before ORDER BY run, rowid
    """,
    "DROP TABLE attempts_before",
)


Step = str | Callable[[sqlite3.Connection], None]

#: the steps of each migration; the first one makes schema 1 out of an empty file
MIGRATIONS: tuple[tuple[Step, ...], ...] = (
    (*_RUNS, *_HISTORY, *_CACHE, *_SAID),
    (*_GROWTH, *_POOLS, _upgrade_graphs),
    (*_CODE, *_CLAIMS, *_TAGS),
    (*_DRIVERS, *_COMPACTION, *_FINDING),
    (*AGENDA, *CATALOG),
    _ORDERED,
    _NUMBERED,
)


def require_known(connection: sqlite3.Connection, path: Path) -> int:
    """The version of a file's schema, 0 for an empty file. Only reads.

    Raises SchemaError for a version from the future, StoreError for a database of another program.
    """
    # in this order: another process may be about to make the tables
    tables = _number(connection, "SELECT count(*) FROM sqlite_master")
    application = _number(connection, "PRAGMA application_id")
    version = _number(connection, "PRAGMA user_version")
    if application != APPLICATION and (application or tables):
        raise StoreError(
            f"{path} is an SQLite database of another program",
            remedy="Name another file for the store, or move that one away.",
        )
    if version > len(MIGRATIONS):
        raise SchemaError(
            f"{path} has schema {version}; this penstock knows schemas up to {len(MIGRATIONS)}",
            remedy="Upgrade penstock, or name another folder for its state with PENSTOCK_HOME.",
        )
    return version


def is_current(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether a file has the newest schema. Only reads. Raises as `require_known` does."""
    return require_known(connection, path) == len(MIGRATIONS)


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring a file to the newest schema, in one transaction. Raises as `require_known` does."""
    if is_current(connection, path):
        return
    connection.execute("BEGIN EXCLUSIVE")
    # asked again: another process may have been quicker to take the lock
    for steps in MIGRATIONS[require_known(connection, path) :]:
        for step in steps:
            if isinstance(step, str):
                connection.execute(step)
            else:
                step(connection)
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    connection.execute("COMMIT")


def _number(connection: sqlite3.Connection, query: str) -> int:
    return connection.execute(query).fetchone()[0]
