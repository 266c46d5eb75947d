"""The tables of the PostgreSQL store, as numbered migrations.

Migration n takes the schema from version n - 1 to version n, in a transaction of its own, while others may be connected
and at work. One that was released is never edited: a change is a new migration at the end. All tables are in the schema
`penstock`, so that the database can serve others as well; the version is in its table `version`.

They are those of `penstock.stores.schema`, which says what is in them. Text is compared by its code points, as SQLite
does, whatever the language of the database.
"""

from __future__ import annotations

from typing import Any, cast

from penstock.errors import SchemaError, StoreError
from penstock.stores.sessions import Connected

_NAME = 'text COLLATE "C" NOT NULL'
_RUN = "bigint NOT NULL REFERENCES runs ON DELETE CASCADE"
_CELL = f"node {_NAME}, item bigint NOT NULL"
_ATTEMPT = f"run {_RUN}, {_CELL}, attempt bigint NOT NULL"
_NUMBER = "number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY"

_RUNS = (
    f"""
    CREATE TABLE runs (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        run_id {_NAME} UNIQUE,
        pipeline {_NAME},
        state {_NAME},
        parameters text NOT NULL,
        started_at double precision NOT NULL,
        finished_at double precision,
        target text NOT NULL,
        driver text NOT NULL,
        outputs bytea NOT NULL,
        token bigint NOT NULL,
        beats bigint NOT NULL DEFAULT 0,
        beat_at double precision,
        generation bigint NOT NULL,
        superseded boolean NOT NULL DEFAULT FALSE,
        compacted boolean NOT NULL DEFAULT FALSE
    ) WITH (fillfactor = 50) -- heartbeats are written into the page that the row is on
    """,
    "CREATE INDEX runs_by_start ON runs (started_at)",
    "CREATE INDEX runs_by_pipeline ON runs (pipeline, started_at)",
    "CREATE INDEX runs_by_state ON runs (state, started_at)",
    """
    CREATE TABLE run_details (
        run bigint PRIMARY KEY REFERENCES runs ON DELETE CASCADE,
        graph bytea NOT NULL,
        provenance text NOT NULL
    )
    """,
    f"CREATE TABLE tags (run {_RUN}, tag {_NAME}, PRIMARY KEY (run, tag))",
    f"CREATE TABLE requests ({_NUMBER}, run {_RUN}, request text NOT NULL)",
    "CREATE INDEX requests_by_run ON requests (run, number)",
)

_HISTORY = (
    f"""
    CREATE TABLE journal (
        run {_RUN},
        number bigint NOT NULL,
        at double precision NOT NULL,
        events bytea NOT NULL,
        turns bigint NOT NULL DEFAULT 1,
        PRIMARY KEY (run, number)
    )
    """,
    f"CREATE TABLE growth (run {_RUN}, number bigint NOT NULL, PRIMARY KEY (run, number))",
    f"""
    CREATE TABLE attempts (
        -- no reference: a turn holds the row of its run anyway, and to look for it for each attempt costs as much as all
        -- else; who removes a run removes them
        run bigint NOT NULL,
        {_CELL},
        attempt bigint NOT NULL,
        state {_NAME},
        started_at double precision NOT NULL,
        duration double precision NOT NULL,
        cpu double precision NOT NULL,
        peak_memory bigint NOT NULL,
        worker bigint NOT NULL,
        fingerprint bytea,
        outputs bytea NOT NULL,
        fault bytea,
        reason text NOT NULL,
        key text,
        PRIMARY KEY (run, node, item, attempt)
    )
    """,
    f"CREATE TABLE lines ({_NUMBER}, {_ATTEMPT}, stream {_NAME}, text text NOT NULL, at double precision NOT NULL)",
    "CREATE INDEX lines_by_run ON lines (run)",
    f"""
    CREATE TABLE metrics (
        {_NUMBER}, {_ATTEMPT}, name {_NAME}, value double precision, step bigint, at double precision NOT NULL
    )
    """,
    "CREATE INDEX metrics_by_run ON metrics (run)",
    f"CREATE TABLE attachments ({_NUMBER}, {_ATTEMPT}, name {_NAME}, artifact bytea NOT NULL)",
    "CREATE INDEX attachments_by_run ON attachments (run)",
)

_CACHE = (
    f"""
    CREATE TABLE results (
        fingerprint bytea PRIMARY KEY,
        outputs bytea NOT NULL,
        run bigint NOT NULL,
        {_CELL},
        attempt bigint NOT NULL,
        created_at double precision NOT NULL,
        claimant bigint,
        claimed_node text COLLATE "C",
        claimed_item bigint
    )
    """,
    "CREATE TABLE descriptions (digest bytea PRIMARY KEY, preview text NOT NULL)",
    "CREATE TABLE identities (digest bytea PRIMARY KEY, document bytea NOT NULL, kept_at double precision NOT NULL)",
    "CREATE TABLE texts (digest bytea PRIMARY KEY, text bytea NOT NULL)",
    f"""
    CREATE TABLE basis (
        run {_RUN},
        kind {_NAME} CHECK (kind IN ('parameter', 'task', 'file', 'class')),
        name {_NAME},
        value bytea NOT NULL,
        PRIMARY KEY (run, kind, name)
    )
    """,
)

_PART = f"pool {_NAME} REFERENCES pools, run {_RUN}, {_CELL}, amount bigint NOT NULL, until double precision NOT NULL"
_POOLS = (
    'CREATE TABLE pools (name text COLLATE "C" PRIMARY KEY, size bigint NOT NULL)',
    f"CREATE TABLE holds ({_PART}, PRIMARY KEY (run, node, item, pool))",
    "CREATE INDEX holds_by_pool ON holds (pool)",
    f"CREATE TABLE claims ({_NUMBER}, {_PART}, UNIQUE (run, node, item, pool))",
    "CREATE INDEX claims_by_pool ON claims (pool)",
)

_REAL = "double precision NOT NULL"
_AGENDA = (
    "ALTER TABLE runs ADD COLUMN cause text",
    "ALTER TABLE runs ADD COLUMN version bigint",
    f"""
    CREATE TABLE definitions (
        kind {_NAME},
        name {_NAME},
        version bigint NOT NULL,
        latest boolean NOT NULL,
        target text NOT NULL,
        digest bytea NOT NULL,
        parts text NOT NULL,
        document text NOT NULL,
        registered_at {_REAL},
        registered_by text NOT NULL,
        origin {_NAME},
        retired boolean NOT NULL,
        PRIMARY KEY (kind, name, version)
    )
    """,
    "CREATE INDEX definitions_latest ON definitions (kind, name) WHERE latest",
    'CREATE TABLE counters (name text COLLATE "C" PRIMARY KEY, value bigint NOT NULL)',
    """
    CREATE TABLE standings (
        trigger text COLLATE "C" PRIMARY KEY,
        revision bigint NOT NULL,
        enabled boolean NOT NULL,
        cursor text NOT NULL,
        next_at double precision,
        looked_at double precision,
        fired_at double precision,
        note text NOT NULL,
        failures bigint NOT NULL,
        asker text NOT NULL DEFAULT ''
    ) WITH (fillfactor = 50) -- they are written again and again, into the page that the row is on
    """,
    f"""
    CREATE TABLE firings (
        {_NUMBER},
        run_id {_NAME} UNIQUE,
        trigger {_NAME},
        key {_NAME},
        pipeline text NOT NULL,
        assets text NOT NULL,
        parameters text NOT NULL,
        cause text NOT NULL,
        priority bigint NOT NULL,
        tags text NOT NULL,
        created_at {_REAL},
        due {_REAL},
        state {_NAME},
        reason text NOT NULL,
        tries bigint NOT NULL,
        starter text NOT NULL,
        started_at double precision,
        run_state {_NAME} DEFAULT '',
        UNIQUE (trigger, key)
    )
    """,
    "CREATE INDEX firings_by_trigger ON firings (trigger, number)",
    "CREATE INDEX firings_queued ON firings (priority DESC, created_at, number, due, trigger) WHERE state = 'queued'",
    "CREATE INDEX firings_queued_by_trigger ON firings (trigger, priority DESC, created_at) WHERE state = 'queued'",
    """
    CREATE INDEX firings_under_way ON firings (trigger, run_state)
    WHERE state = 'started' AND run_state IN ('', 'running')
    """,
    f"""
    CREATE TABLE backfills (
        {_NUMBER},
        backfill_id {_NAME} UNIQUE,
        state {_NAME},
        finished_at double precision,
        document text NOT NULL
    )
    """,
    f"""
    CREATE TABLE occurrences (
        {_NUMBER},
        recorded_at {_REAL},
        id {_NAME},
        source {_NAME},
        type {_NAME},
        at {_REAL},
        subject text NOT NULL,
        data text NOT NULL,
        UNIQUE (source, id)
    )
    """,
    "CREATE INDEX occurrences_by_type ON occurrences (type, number)",
)

_CATALOG = (
    f"""
    CREATE TABLE partitions (
        asset {_NAME},
        partition {_NAME},
        state {_NAME},
        run_id {_NAME},
        at {_REAL},
        version bigint NOT NULL,
        fingerprint bytea NOT NULL,
        digest bytea NOT NULL,
        PRIMARY KEY (asset, partition)
    )
    """,
    f"""
    CREATE TABLE materializations (
        {_NUMBER},
        asset {_NAME},
        partition {_NAME},
        version bigint NOT NULL,
        at {_REAL},
        run_id {_NAME},
        node {_NAME},
        item bigint NOT NULL,
        fingerprint bytea NOT NULL,
        digest bytea NOT NULL,
        value bytea,
        upstream bytea NOT NULL,
        metadata text NOT NULL,
        cached boolean NOT NULL,
        UNIQUE (asset, partition, version)
    )
    """,
    "CREATE INDEX materializations_by_asset ON materializations (asset, number)",
    "CREATE INDEX materializations_by_run ON materializations (run_id)",
    f"""
    CREATE TABLE checks (
        {_NUMBER},
        asset {_NAME},
        partition {_NAME},
        name {_NAME},
        passed boolean NOT NULL,
        severity {_NAME},
        blocking boolean NOT NULL,
        at {_REAL},
        run_id {_NAME},
        message text NOT NULL,
        metadata text NOT NULL
    )
    """,
    "CREATE INDEX checks_by_asset ON checks (asset, number)",
    "CREATE INDEX checks_by_partition ON checks (asset, partition, number)",
    f"CREATE TABLE dynamic_partitions ({_NUMBER}, name {_NAME}, key {_NAME}, UNIQUE (name, key))",
)

_ORDERED = (
    # no reference, as of `attempts`
    "ALTER TABLE journal DROP CONSTRAINT journal_pkey, DROP CONSTRAINT journal_run_fkey, ADD COLUMN id bigint",
    "UPDATE journal SET id = (run << 32) + number",
    "ALTER TABLE journal DROP COLUMN run, DROP COLUMN number, ADD PRIMARY KEY (id)",
)

#: the statements of each migration; the first one makes schema 1 out of an empty database
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (*_RUNS, *_HISTORY, *_CACHE, *_POOLS),
    (*_AGENDA, *_CATALOG),
    _ORDERED,
)

#: taken by whoever migrates, until the transaction ends: "penstoc1" in ASCII
_LOCK = "SELECT pg_advisory_xact_lock(x'70656e73746f6331'::bigint)"
_KNOWN = """
    SELECT to_regclass('penstock.version') IS NOT NULL,
           EXISTS (SELECT 1 FROM pg_class WHERE relnamespace = to_regnamespace('penstock'))
"""


def version_of(connection: Connected, place: str) -> int:
    """The version of the schema, 0 where there is none yet. Only reads.

    Raises SchemaError for a version from the future, StoreError for a schema of another program.
    """
    version, tables = cast("tuple[bool, bool]", connection.execute(_KNOWN).fetchone())
    if not version:
        if tables:
            raise StoreError(
                f"the schema penstock in {place} is of another program", remedy="Name another database for the store."
            )
        return 0
    found: Any = connection.execute("SELECT number FROM penstock.version").fetchone()
    if found[0] > len(MIGRATIONS):
        raise SchemaError(
            f"{place} has schema {found[0]}; this penstock knows schemas up to {len(MIGRATIONS)}",
            remedy="Upgrade penstock, or name another database for the store.",
        )
    return found[0]


def migrate(connection: Connected, place: str) -> None:
    """Bring a database to the newest schema. Raises as `version_of` does, and psycopg.Error."""
    while version_of(connection, place) < len(MIGRATIONS):
        with connection.transaction():
            connection.execute(_LOCK)
            # asked again: another process may have been quicker to take the lock
            version = version_of(connection, place)
            if version < len(MIGRATIONS):
                _apply(connection, version)


def _apply(connection: Connected, version: int) -> None:
    """Take the schema from a version to the next one, in a transaction of the caller's."""
    if version == 0:
        _make_schema(connection)
    for statement in MIGRATIONS[version]:
        connection.execute(statement.encode())
    connection.execute("UPDATE penstock.version SET number = $1", (version + 1,))


def _make_schema(connection: Connected) -> None:
    [there] = cast("tuple[bool]", connection.execute("SELECT to_regnamespace('penstock') IS NOT NULL").fetchone())
    # who may not make schemas may have been given one
    if not there:
        connection.execute("CREATE SCHEMA penstock")
    connection.execute("CREATE TABLE penstock.version (number bigint NOT NULL)")
    connection.execute("INSERT INTO penstock.version VALUES (0)")


__all__ = ["MIGRATIONS", "migrate", "version_of"]
