"""Runs in a PostgreSQL database, shared by processes on many machines.

Each store has one connection. A turn is sent at once and answered at once; when the connection breaks, it is sent again,
and the server refuses it if it was recorded already.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import ClassVar, TypeVar

import psycopg

from penstock.errors import StoreError
from penstock.model.graph import Graph
from penstock.model.identity import Basis
from penstock.model.run import Provenance, RunRecord
from penstock.ports import Turn
from penstock.stores import claims, journal, postgres_schema, rows
from penstock.stores.attempts import BY_CELL
from penstock.stores.database import Cursor
from penstock.stores.journal import NEXT, OF_RUNS
from penstock.stores.relational import BEAT, GROW, RelationalStore
from penstock.stores.sessions import Session, connect
from penstock.stores.troubles import Troubles, place_of

# Has no key, which the table refuses, unless the turn is the next one of its run. The row of the run is locked, so
# that nobody else takes the run over, ends it or gives it another turn meanwhile.
_ADVANCE = f"""
    INSERT INTO journal (id, at, events) VALUES ((
        SELECT ?7 FROM runs
        WHERE id = ?1 AND run_id = ?5 AND state = 'running' AND token = coalesce(?6, token) AND ?2 = {NEXT}
        FOR NO KEY UPDATE
    ), ?3, ?4)
"""
_RECORDED = "SELECT 1 FROM journal WHERE id = ? AND at = ? AND events = ?"
_REFUSED = """
    SELECT fingerprint FROM results
    WHERE fingerprint = ANY(?2) AND (claimant <> ?1 OR (length(outputs) > 0 AND run <> ?1))
"""
#: "penstoce" in ASCII
_HOLD_ORDER = "SELECT pg_advisory_xact_lock(x'70656e73746f6365'::bigint)"
_SIZE = """
    SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class
    WHERE relnamespace = 'penstock'::regnamespace AND relkind = 'r'
"""
_WITHOUT_RIGHTS = """
    SELECT relname::text FROM pg_class
    WHERE relnamespace = 'penstock'::regnamespace AND relkind = 'r' AND NOT (
        has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT')
        AND has_table_privilege(oid, 'UPDATE') AND has_table_privilege(oid, 'DELETE')
    )
    ORDER BY relname
"""

T = TypeVar("T")


class PostgresStore(RelationalStore):
    """The store in the PostgreSQL database at an address, `postgresql://user@host:5432/database`, in whose schema
    `penstock` its tables are made where they are not there yet. Password and all else are taken as libpq takes them: from
    the address, the variables PGPASSWORD and the like, `~/.pgpass`, a service file.

    Processes and threads each have a store of their own; in a process that is forked a store connects anew. A server that
    is gone is waited for, `patience` seconds at most, and `opening` seconds when the store is opened. Methods about a run
    raise NotFoundError when there is none of that id, and all raise StoreError.

    Raises SchemaError for a schema that a newer penstock has made, which is left as it is, and StoreError for a database
    that cannot be reached or used.
    """

    _attempts = BY_CELL

    #: seconds for which a server that is gone is waited for, if nothing else is said
    PATIENCE: ClassVar = 60.0

    def __init__(self, address: str, *, patience: float = PATIENCE, opening: float = 0.0) -> None:
        super().__init__(place_of(address))
        self._address = address
        self._patience = opening
        #: by run, the key that the tables have for it
        self._keys: dict[str, int] = {}
        with self._troubles("open"):
            self._connection = self._session = Session(address, patience, opening)
        try:
            with self._troubles("open"):
                self._session.ride_out(self._prepare, opening)
        except BaseException:
            self._session.close()
            raise
        self._patience = patience

    @staticmethod
    def place(address: str) -> str:
        """What messages call the database at an address: without user and password. Raises StoreError for an address that is
        none."""
        return place_of(address)

    @classmethod
    def exists(cls, address: str) -> bool:
        """Whether there is a store in the database at an address; where not, none is made. Raises StoreError."""
        place = place_of(address)
        with Troubles(address, place, "open", 0.0):
            connection = connect(address)
            try:
                return postgres_schema.version_of(connection, place) > 0
            finally:
                connection.close()

    def commit(self, run_id: str, turn: Turn) -> frozenset[bytes]:
        """Record a turn; see `RelationalStore.commit`."""
        with self._troubles("write to"):
            return self._commit(run_id, turn)

    def beat(self, run_id: str, token: int, at: float) -> bool:
        """Say that the driver with a token lives; see `RelationalStore.beat`. Waits for no other writer."""
        with self._troubles("write to"):
            return self._connection.execute(BEAT, (run_id, token, at)).rowcount > 0

    def check(self, *, full: bool = False) -> list[str]:
        """What is wrong with the store, a sentence each; empty when it is sound. The rest is the server's own affair. Raises
        StoreError as well where this user lacks rights on the tables."""
        with self._troubles("use"):
            for (table,) in self._connection.execute(_WITHOUT_RIGHTS).fetchall():
                raise psycopg.errors.InsufficientPrivilege(f"not all rights on the table {table}")
        count = f"SELECT coalesce(sum(turns), 0) FROM journal WHERE {OF_RUNS}"
        gaps = self._rows(f"SELECT run_id FROM runs WHERE {NEXT} <> ({count}) ORDER BY id")
        return [f"the journal of run {run_id} has gaps" for (run_id,) in gaps]

    def summary(self) -> dict[str, int]:
        """`schema` (its version), `runs` (how many) and `size` (bytes, of all tables and their indices)."""
        [(version,)] = self._rows("SELECT number FROM version")
        [(runs,)] = self._rows("SELECT count(*) FROM runs")
        [(size,)] = self._rows(_SIZE)
        return {"schema": version, "runs": runs, "size": size}

    def close(self) -> None:
        """End the connection. Closing twice does no harm."""
        self._session.close()

    # The turns of a run.

    def _commit(self, run_id: str, turn: Turn) -> frozenset[bytes]:
        events = rows.events_document(turn.events)
        #: whether there was a try of which nobody knows how it ended
        uncertain = False

        def once() -> frozenset[bytes]:
            nonlocal uncertain
            key = self._keys.get(run_id) or self._key_of_turns(run_id)
            try:
                return self._send(key, run_id, turn, events)
            except psycopg.OperationalError:
                uncertain = True
                raise
            except psycopg.IntegrityError as error:
                if error.diag.table_name != "journal":
                    raise
            del self._keys[run_id]
            if (
                uncertain
                and self._connection.execute(_RECORDED, (journal.key(key, turn.number), turn.at, events)).fetchall()
            ):
                return _fingerprints(self._refused(key, turn))
            # the run that went by that name is another by now
            if self._key_of_turns(run_id) != key:
                return once()
            raise self._refusal(run_id, turn)

        return self._session.ride_out(once)

    def _key_of_turns(self, run_id: str) -> int:
        """The key of a run, which is remembered for its turns."""
        found = self._connection.execute("SELECT id FROM runs WHERE run_id = ?", (run_id,)).fetchone()
        # no run has this one: then the turn is refused
        self._keys[run_id] = 0 if found is None else found[0]
        return self._keys[run_id]

    def _send(self, key: int, run_id: str, turn: Turn, events: bytes) -> frozenset[bytes]:
        """Send a turn. Raises psycopg.IntegrityError if it is not the next one."""
        refused: Cursor | None = None
        with self._session.pipeline():
            row = (key, turn.number, turn.at, events)
            self._connection.execute(_ADVANCE, (*row, run_id, turn.token, journal.key(key, turn.number)))
            if rows.grows(turn.events):
                self._connection.execute(GROW, (key, turn.number))
            self._record(key, turn)
            if turn.claims and turn.end is None:
                self._add(claims.TAKE, claims.claim_rows(key, turn.claims))
                refused = self._refused(key, turn)
            if turn.occurrences:
                self._announce(turn)
        self._note_claims(key, turn)
        return claims.NONE if refused is None else _fingerprints(refused)

    def _refused(self, key: int, turn: Turn) -> Cursor:
        """Those claims of a turn that its run has not got."""
        return self._connection.execute(_REFUSED, (key, list(turn.claims)))

    # What is behind `RelationalStore`.

    def _prepare(self) -> None:
        connection = self._session.connected()
        encoding = connection.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            raise StoreError(
                f"{self._place} holds text as {encoding}, and not everything that is recorded is text of that kind",
                remedy="Name a database that holds UTF8: createdb --encoding=UTF8 --template=template0 NAME.",
            )
        postgres_schema.migrate(connection, self._place)

    def _create(self, run: RunRecord, graph: Graph, provenance: Provenance, basis: Basis) -> int:
        key = super()._create(run, graph, provenance, basis)
        self._keys[run.run_id] = key
        return key

    def _write(self, work: Callable[[], T]) -> T:
        with self._troubles("write to"):
            return self._session.write(work)

    def _hold_turns(self, key: int | None = None) -> None:
        if key is None:
            self._connection.execute("LOCK TABLE journal IN SHARE ROW EXCLUSIVE MODE")
        else:
            self._connection.execute("SELECT 1 FROM runs WHERE id = ? FOR UPDATE", (key,))

    def _hold_order(self) -> None:
        # until after the commit: so whoever is next gets greater numbers, and nobody sees those before these
        self._connection.execute(_HOLD_ORDER)

    def _shrink(self) -> None:
        """Nothing to do: the server looks after its space itself."""

    def _reported(self, verb: str) -> AbstractContextManager[None]:
        # what is to be tried again as a whole must be seen as what it is
        return nullcontext() if self._session.within else self._troubles(verb)

    def _troubles(self, verb: str) -> Troubles:
        return Troubles(self._address, self._place, verb, self._patience)


def _fingerprints(found: Cursor) -> frozenset[bytes]:
    return frozenset(fingerprint for (fingerprint,) in found.fetchall())


__all__ = ["PostgresStore"]
