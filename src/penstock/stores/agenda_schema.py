"""What came to the tables of the SQLite store with schema 5: what is to be started, and what is recorded of assets.

Rows here refer to runs by their `run_id`, without a foreign key: a firing has the id of its run before there is one, and a
version of an asset outlives the run that made it.
"""

from __future__ import annotations

# What is known by name, and what is to be started. A definition has a row for each of its versions.
AGENDA = (
    "ALTER TABLE runs ADD COLUMN cause TEXT",  # JSON: Cause; NULL for a person who said nothing of the kind
    "ALTER TABLE runs ADD COLUMN version INTEGER",
    """
    CREATE TABLE definitions (
        kind TEXT NOT NULL,
        name TEXT NOT NULL,
        version INTEGER NOT NULL,
        latest INTEGER NOT NULL,        -- whether there is no later version
        target TEXT NOT NULL,
        digest BLOB NOT NULL,
        parts TEXT NOT NULL,            -- JSON: name -> digest, in hexadecimal
        document TEXT NOT NULL,         -- JSON
        registered_at REAL NOT NULL,
        registered_by TEXT NOT NULL,
        origin TEXT NOT NULL,
        retired INTEGER NOT NULL,
        PRIMARY KEY (kind, name, version)
    )
    """,
    "CREATE INDEX definitions_latest ON definitions (kind, name) WHERE latest",
    "CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    """
    CREATE TABLE standings (
        trigger TEXT PRIMARY KEY,
        revision INTEGER NOT NULL,
        enabled INTEGER NOT NULL,
        cursor TEXT NOT NULL,           -- JSON
        next_at REAL,
        looked_at REAL,
        fired_at REAL,
        note TEXT NOT NULL,
        failures INTEGER NOT NULL,
        asker TEXT NOT NULL DEFAULT ''
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE firings (
        number INTEGER PRIMARY KEY,
        run_id TEXT NOT NULL UNIQUE,
        trigger TEXT NOT NULL,
        key TEXT NOT NULL,
        pipeline TEXT NOT NULL,
        assets TEXT NOT NULL,
        parameters TEXT NOT NULL,       -- JSON
        cause TEXT NOT NULL,            -- JSON: Cause
        priority INTEGER NOT NULL,
        tags TEXT NOT NULL,             -- JSON
        created_at REAL NOT NULL,
        due REAL NOT NULL,
        state TEXT NOT NULL,
        reason TEXT NOT NULL,
        tries INTEGER NOT NULL,
        starter TEXT NOT NULL,
        started_at REAL,
        run_state TEXT NOT NULL DEFAULT '', -- of its run: empty while there is none, and kept when it is removed
        UNIQUE (trigger, key)
    )
    """,
    "CREATE INDEX firings_by_trigger ON firings (trigger, number)",
    """
    CREATE INDEX firings_queued ON firings (priority DESC, created_at, number, due, trigger) WHERE state = 'queued'
    """,
    "CREATE INDEX firings_queued_by_trigger ON firings (trigger, priority DESC, created_at) WHERE state = 'queued'",
    """
    CREATE INDEX firings_under_way ON firings (trigger, run_state)
    WHERE state = 'started' AND run_state IN ('', 'running')
    """,
    """
    CREATE TABLE backfills (
        number INTEGER PRIMARY KEY,
        backfill_id TEXT NOT NULL UNIQUE,
        state TEXT NOT NULL,
        finished_at REAL,
        document TEXT NOT NULL          -- JSON: Backfill, as it was begun
    )
    """,
    """
    CREATE TABLE occurrences (
        number INTEGER PRIMARY KEY AUTOINCREMENT, -- never given twice: whoever reads goes on after the last one
        recorded_at REAL NOT NULL,
        id TEXT NOT NULL,
        source TEXT NOT NULL,
        type TEXT NOT NULL,
        at REAL NOT NULL,
        subject TEXT NOT NULL,
        data TEXT NOT NULL,             -- JSON
        UNIQUE (source, id)
    )
    """,
    "CREATE INDEX occurrences_by_type ON occurrences (type, number)",
)

# Of each partition of an asset one row with where it is, and a row for each version. An asset without partitions is one
# partition, with an empty key. A partition is `running` for as long as the run that makes it is under way, and no longer.
CATALOG = (
    """
    CREATE TABLE partitions (
        asset TEXT NOT NULL,
        partition TEXT NOT NULL,
        state TEXT NOT NULL,
        run_id TEXT NOT NULL,
        at REAL NOT NULL,
        version INTEGER NOT NULL,       -- the latest; 0 where there is none
        fingerprint BLOB NOT NULL,      -- of that version; empty where there is none
        digest BLOB NOT NULL,
        PRIMARY KEY (asset, partition)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE materializations (
        number INTEGER PRIMARY KEY,
        asset TEXT NOT NULL,
        partition TEXT NOT NULL,
        version INTEGER NOT NULL,
        at REAL NOT NULL,
        run_id TEXT NOT NULL,
        node TEXT NOT NULL,
        item INTEGER NOT NULL,
        fingerprint BLOB NOT NULL,
        digest BLOB NOT NULL,
        value BLOB,                     -- msgpack: Argument
        upstream BLOB NOT NULL,         -- msgpack: tuple[Upstream, ...]
        metadata TEXT NOT NULL,         -- JSON
        cached INTEGER NOT NULL,
        UNIQUE (asset, partition, version)
    )
    """,
    "CREATE INDEX materializations_by_asset ON materializations (asset, number)",
    "CREATE INDEX materializations_by_run ON materializations (run_id)",
    """
    CREATE TABLE checks (
        number INTEGER PRIMARY KEY,
        asset TEXT NOT NULL,
        partition TEXT NOT NULL,
        name TEXT NOT NULL,
        passed INTEGER NOT NULL,
        severity TEXT NOT NULL,
        blocking INTEGER NOT NULL,
        at REAL NOT NULL,
        run_id TEXT NOT NULL,
        message TEXT NOT NULL,
        metadata TEXT NOT NULL          -- JSON
    )
    """,
    "CREATE INDEX checks_by_asset ON checks (asset, number)",
    "CREATE INDEX checks_by_partition ON checks (asset, partition, number)",
    """
    CREATE TABLE dynamic_partitions (
        number INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        key TEXT NOT NULL,
        UNIQUE (name, key)
    )
    """,
)

__all__ = ["AGENDA", "CATALOG"]
