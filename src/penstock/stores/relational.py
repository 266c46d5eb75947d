"""How runs are recorded, in the SQL that both databases understand. Opening one, its transactions and its hottest path,
the turn of a run, are its own: see `penstock.stores.sqlite` and `penstock.stores.postgres`.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from penstock.errors import LeaseLostError, StoreError
from penstock.model.graph import Graph
from penstock.model.identity import Basis, SourceText, TaskIdentity
from penstock.model.request import Request
from penstock.model.run import Provenance, RunRecord, RunState, shown_driver
from penstock.ports import Holder, Turn
from penstock.stores import claims, code, collection, compaction, firings, occurrences, pools, rows, versions
from penstock.stores.database import Access
from penstock.stores.journal import NEXT
from penstock.stores.reading import Records
from penstock.stores.rows import Row

if TYPE_CHECKING:
    from penstock.stores.agenda import RelationalAgenda
    from penstock.stores.catalog import RelationalCatalog

#: notes that there are nodes in a turn
GROW = "INSERT INTO growth (run, number) VALUES (?, ?)"
_END = "UPDATE runs SET state = ?, finished_at = ?, outputs = ? WHERE id = ?"
_PAUSE = "UPDATE runs SET state = ? WHERE id = ?"
_STATE = "SELECT id, state FROM runs WHERE run_id = ?"
_REOPEN = f"""
    UPDATE runs SET state = 'running', driver = ?2, token = token + 1
    WHERE run_id = ?1 AND state IN ('running', 'paused') AND driver = coalesce(?3, driver)
    RETURNING {rows.RUN}
"""

#: says that the driver of a run lives
BEAT = "UPDATE runs SET beats = beats + 1, beat_at = ?3 WHERE run_id = ?1 AND token = ?2 AND state = 'running'"
_SUPERSEDE = "UPDATE runs SET run_id = run_id || '.' || generation, superseded = TRUE WHERE id = ?"
_KEEP_TAGS = "UPDATE tags SET run = ? WHERE run = ?"


def _insertion(table: str, columns: str) -> str:
    marks = ", ".join("?" for _ in columns.split(","))
    return f"INSERT INTO {table} ({columns}) VALUES ({marks})"


_ADD_RUN = _insertion("runs", rows.RUN)
_ADD_DETAILS = _insertion("run_details", "run, graph, provenance")
# The newest result wins: a run without the cache is how its user refreshes a result, and an entry whose bytes are gone
# would otherwise stay in the way of those that replace them.
_ADD_RESULT = f"""{_insertion("results", rows.RESULT)}
    ON CONFLICT (fingerprint) DO UPDATE SET
        outputs = excluded.outputs, run = excluded.run, node = excluded.node, item = excluded.item,
        attempt = excluded.attempt, created_at = excluded.created_at,
        claimant = NULL, claimed_node = NULL, claimed_item = NULL
"""
_ADD_DESCRIPTION = f"""{_insertion("descriptions", rows.DESCRIPTION)}
    ON CONFLICT (digest) DO UPDATE SET preview = excluded.preview WHERE descriptions.preview <> excluded.preview
"""
_ADD_LINE = _insertion("lines", f"run, {rows.LINE}")
_ADD_METRIC = _insertion("metrics", f"run, {rows.METRIC}")
_ASK = _insertion("requests", "run, request")
_ADD_ATTACHMENT = _insertion("attachments", f"run, {rows.ATTACHMENT}")

#: state of a run -> what happened to it
ENDINGS = {
    "running": "is under way",
    "paused": "is paused",
    "succeeded": "succeeded",
    "failed": "failed",
    "cancelled": "was cancelled",
}

NO_BASIS: Final = Basis()


T = TypeVar("T")


class RelationalStore(Records):
    """A store in a relational database; see `Records`."""

    def __init__(self, place: str) -> None:
        super().__init__(place)
        #: by key, what runs have claimed, of those of which all that they have claimed is known
        self._claimed: dict[int, set[bytes]] = {}

    # What a database brings with it.

    @abstractmethod
    def _write(self, work: Callable[[], T]) -> T:
        """Do some work in a transaction; more than once, where it has to be tried again. There is no other transaction of
        this kind beside it."""

    @abstractmethod
    def _hold_turns(self, key: int | None = None) -> None:
        """Let no turn be committed until the end of the transaction: of one run, or of any."""

    @abstractmethod
    def _hold_order(self) -> None:
        """Let nobody else number events until the end of the transaction."""

    @abstractmethod
    def _shrink(self) -> None:
        """Give back the space that has become free, where that is worth the while."""

    @abstractmethod
    def check(self, *, full: bool = False) -> list[str]:
        """What is wrong with the store, a sentence each; empty when it is sound. With `full`, looks as closely as the
        database can."""

    @abstractmethod
    def summary(self) -> dict[str, int]:
        """`schema` (its version), `runs` (how many) and `size` (bytes)."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the database. Closing twice does no harm."""

    # What is to be started, and what is recorded of assets.

    @property
    def agenda(self) -> RelationalAgenda:
        """What is to be started, and why."""
        # most runs need neither of the two
        from penstock.stores.agenda import RelationalAgenda

        return RelationalAgenda(self._access)

    @property
    def catalog(self) -> RelationalCatalog:
        """What is recorded of assets."""
        from penstock.stores.catalog import RelationalCatalog

        return RelationalCatalog(self._access)

    @property
    def _access(self) -> Access:
        return Access(self._place, self._connection, self._write, self._reported, self._hold_order)

    # Runs.

    def create(self, run: RunRecord, graph: Graph, provenance: Provenance, basis: Basis = NO_BASIS) -> None:
        """Record a new run, before anything of it happens. Raises StoreError if there is one of that id."""
        self._write(lambda: self._create(run, graph, provenance, basis))

    @abstractmethod
    def commit(self, run_id: str, turn: Turn) -> frozenset[bytes]:
        """Record a turn in one transaction; raises StoreError if it is not the next one of its run, LeaseLostError if the
        run has another driver by now.

        Of several results with one fingerprint, and of several descriptions of one digest, the newest is kept. Returns
        the claims that are refused, because another run that is under way has them.
        """

    def reopen(self, run_id: str, driver: str, instead_of: str | None = None) -> RunRecord:
        """Let another driver go on with a run that is paused, or whose driver is gone; it is `running` again.

        With `instead_of`, only in the place of that driver, so that of two who take it for gone only one goes on.
        Raises NotFoundError, and StoreError for a run that has ended, or that has another driver by now.
        """

        def begin() -> tuple[list[Row], list[Row]]:
            before = self._connection.execute(_STATE, (run_id,)).fetchall()
            return before, self._connection.execute(_REOPEN, (run_id, driver, instead_of)).fetchall()

        before, found = self._write(begin)
        if found:
            for key, state in before:
                # one that was paused has dropped its claims; whose driver was killed has not
                self._claimed.pop(key, None)
                if state == RunState.PAUSED:
                    self._claimed[key] = set()
            return rows.run_of(found[0])
        run = self._run(run_id)
        if run.state in (RunState.RUNNING, RunState.PAUSED):
            raise StoreError(
                f"run {run_id} is driven by {shown_driver(run.driver)} by now", remedy="Leave it to that process."
            )
        raise StoreError(f"run {run_id} has ended: it {ENDINGS[run.state]}", remedy="Start a new run.")

    def regenerate(self, run: RunRecord, graph: Graph, provenance: Provenance, basis: Basis = NO_BASIS) -> RunRecord:
        """Begin a run that has ended anew, under its id. What was recorded of it so far is kept as a run of its own, an
        earlier generation: the n-th goes by the id `RUN.n`, and `runs` leaves it out. Tags go over to the new one.

        Returns its record, with its `token` and `generation`. Raises NotFoundError, and StoreError for a run that has
        not ended.
        """

        def begin() -> RunRecord:
            earlier = self._key(run.run_id)
            self._hold_turns(earlier)
            before = self._run(run.run_id)
            if before.state in (RunState.RUNNING, RunState.PAUSED):
                raise StoreError(f"run {run.run_id} cannot begin anew: it {ENDINGS[before.state]}")
            self._connection.execute(_SUPERSEDE, (earlier,))
            anew = msgspec.structs.replace(
                run, token=before.token + 1, generation=before.generation + 1, cause=run.cause or before.cause
            )
            key = self._create(anew, graph, provenance, basis)
            self._connection.execute(_KEEP_TAGS, (key, earlier))
            return anew

        return self._write(begin)

    def beat(self, run_id: str, token: int, at: float) -> bool:
        """Say at a time (seconds since the epoch) that the driver with a token lives. False if the run has another one by
        now, or is not under way."""
        return self._write(lambda: self._connection.execute(BEAT, (run_id, token, at)).rowcount > 0)

    def disclaim(self, fingerprints: Iterable[bytes], run_id: str) -> None:
        """Drop claims of a run whose driver is gone, so that others can make the results."""
        dropped = list(fingerprints)
        self._write(lambda: claims.drop(self._connection, self._key(run_id), dropped))

    def keep(self, identities: Sequence[TaskIdentity], texts: Sequence[SourceText]) -> frozenset[bytes]:
        """Keep what code consists of, and the texts that it refers to. Returns the digests of the identities that were
        not known before."""
        return self._write(lambda: code.keep(self._connection, identities, texts, time.time()))

    def tag(self, run_id: str, *, add: Iterable[str] = (), remove: Iterable[str] = ()) -> tuple[str, ...]:
        """Put tags on a run, and take some off. Returns those that it has then, sorted."""
        added, removed = list(add), list(remove)
        return self._write(lambda: collection.tag(self._connection, self._key(run_id), added, removed))

    def remove(self, run_ids: Iterable[str]) -> None:
        """Forget runs, with all that is recorded of them; what they have put into the cache stays. Raises StoreError
        for a run that is under way, and passes over one that is not there."""
        removed = list(run_ids)
        for run_id, pipeline in self._looked_up(collection.DRIVEN, removed):
            raise collection.under_way(run_id, pipeline)
        for run_id in removed:
            # one by one: others have to wait for as long as it takes
            self._write(partial(collection.remove, self._connection, self._attempts, run_id))

    def forget(self, fingerprints: Iterable[bytes]) -> None:
        """Drop entries of the cache."""
        forgotten = list(fingerprints)
        self._write(lambda: collection.forget(self._connection, forgotten))

    def sweep(self, before: float) -> None:
        """Drop descriptions, identities and texts that nothing recorded refers to, but no identity that somebody has
        kept since the time `before`, and give the space back."""
        sweep = collection.Sweep(self._connection, self._attempts)
        with self._reported("read"):
            sweep.prepare()

        def carry_out() -> None:
            self._hold_turns()
            sweep.carry_out(before)

        self._write(carry_out)
        self._shrink()

    def compact(self, run_id: str, *, dry: bool = False) -> int:
        """Make the journal of a run that has ended smaller, without loss. Returns how many bytes that saves, or with
        `dry`, would save."""
        connection, saved = self._connection, 0
        with self._reported("read"):
            key = compaction.key_of(connection, run_id)
        if key is None:
            return 0
        with self._reported("read"):
            for stretch in compaction.stretches(connection, key):
                saved += stretch.saved
                # one by one: others have to wait for as long as it takes
                if not dry:
                    self._write(partial(compaction.put, connection, key, stretch))
        if not dry:
            self._write(partial(compaction.mark, connection, key))
        return saved

    def ask(self, run_id: str, request: Request) -> None:
        """Leave a request for whoever drives the run, now or later."""

        def leave() -> None:
            self._connection.execute(_ASK, (self._key(run_id), rows.request_document(request)))

        self._write(leave)

    def size_pools(self, sizes: Mapping[str, int]) -> None:
        """Create pools, or change their sizes. What is held stays held. Raises StoreError for a size below 0."""
        self._write(lambda: pools.set_sizes(self._connection, sizes))

    def hold(self, holder: Holder, needs: Mapping[str, int], until: float) -> bool:
        """Take parts of pools, all or none; whether there was enough. Holding lapses at the time `until` (seconds since
        the epoch) unless it is renewed.

        A need greater than the whole pool is met when nobody else holds any of it. A holder that is refused has its
        place before those of other runs that ask later, for as long as it asks every other second. What the holder has
        already is given back when it is given anew. Raises NotFoundError for a pool that does not exist, StoreError
        for a run that is not under way.
        """

        def take() -> bool:
            return pools.hold(self._connection, self._driven(holder.run_id), holder, needs, until, time.time())

        return self._write(take)

    def renew(self, run_id: str, until: float) -> None:
        """Let everything that is held for a run lapse only at a later time."""
        self._write(lambda: pools.renew(self._connection, self._key(run_id), until))

    def release(self, holder: Holder) -> None:
        """Give back what a holder has; for a holder with an empty node, all that its run has."""
        self._write(lambda: pools.give_back(self._connection, self._key(holder.run_id), holder))

    # Writing.

    def _create(self, run: RunRecord, graph: Graph, provenance: Provenance, basis: Basis) -> int:
        """Add a run, in a transaction of the caller's. Returns its key."""
        self._connection.execute(_ADD_RUN, rows.run_row(run))
        key = self._key(run.run_id)
        details = (key, rows.graph_document(graph), rows.provenance_document(provenance))
        self._connection.execute(_ADD_DETAILS, details)
        code.add_basis(self._connection, key, basis)
        if run.cause is not None:
            firings.begin_run(self._connection, run)
        self._claimed[key] = set()
        return key

    def _refusal(self, run_id: str, turn: Turn) -> StoreError:
        """Why a turn is not the next one of its run."""
        found = self._connection.execute(f"SELECT {NEXT}, state, token, driver FROM runs WHERE run_id = ?", (run_id,))
        refused = f"cannot record turn {turn.number}"
        for following, state, token, driver in found.fetchall():
            if state != RunState.RUNNING:
                return StoreError(f"{refused} of run {run_id}: it {ENDINGS[state]}", remedy="Nothing was changed.")
            if turn.token not in (None, token):
                return LeaseLostError(
                    f"{refused} of run {run_id}: {shown_driver(driver)} drives it by now",
                    remedy=f"That process goes on with the run: penstock show {run_id}",
                )
            return StoreError(
                f"{refused} of run {run_id}: the next one is turn {following}",
                remedy="Another process drives the run, or this turn is recorded already. Nothing was changed.",
            )
        return StoreError(f"{refused}: there is no run {run_id} in {self._place}")

    def _record(self, key: int, turn: Turn) -> None:
        """Add what a turn holds, but for its events and claims, and drop the claims that are over, of those of its run."""
        if turn.end is not None:
            self._end(key, turn)
            self._drop_claims(key)
        if turn.attempts:
            self._add(self._attempts.add, rows.attempt_rows(key, turn))
        if turn.results:
            self._add(_ADD_RESULT, rows.result_rows(key, turn))
        if turn.basis is not None:
            code.add_basis(self._connection, key, turn.basis)
        if turn.descriptions:
            self._add(_ADD_DESCRIPTION, rows.description_rows(turn))
        if turn.said:
            self._add(_ADD_LINE, rows.line_rows(key, turn))
            self._add(_ADD_METRIC, rows.metric_rows(key, turn))
            self._add(_ADD_ATTACHMENT, rows.attachment_rows(key, turn))
        if turn.disclaimed:
            claims.drop(self._connection, key, turn.disclaimed)
        if turn.materializations or turn.partitions or turn.checks:
            versions.record(self._connection, turn)

    def _announce(self, turn: Turn) -> None:
        """Add what others are to hear of, as the last thing in a transaction: whoever has something to say as well waits for
        its end, and holds what it has changed meanwhile."""
        self._hold_order()
        occurrences.add(self._connection, turn.occurrences, turn.at)

    def _end(self, key: int, turn: Turn) -> None:
        if turn.end is RunState.PAUSED:
            self._connection.execute(_PAUSE, (str(turn.end), key))
        else:
            self._connection.execute(_END, (str(turn.end), turn.at, rows.encode(turn.outputs), key))
            firings.end_run(self._connection, key, str(turn.end))
        pools.give_back(self._connection, key)

    def _drop_claims(self, key: int) -> None:
        """Drop all claims of a run, maybe with some that it has no more."""
        claimed = self._claimed.get(key)
        if claimed is None:
            claims.drop_all(self._connection, key)
        else:
            claims.drop(self._connection, key, claimed)

    def _note_claims(self, key: int, turn: Turn) -> None:
        """Remember what a run has claimed after a turn."""
        claimed = self._claimed.get(key)
        if claimed is None:
            return
        claimed.difference_update(turn.results)
        claimed.update(turn.claims)
        if turn.end is not None:
            del self._claimed[key]

    def _driven(self, run_id: str) -> int:
        """The number of a run that is under way."""
        key = self._key(run_id)
        self._hold_turns(key)
        [(state,)] = self._connection.execute("SELECT state FROM runs WHERE id = ?", (key,)).fetchall()
        if state != RunState.RUNNING:
            raise StoreError(f"run {run_id} can hold nothing: it {ENDINGS[state]}")
        return key

    def _add(self, statement: str, added: Iterable[Row]) -> None:
        self._connection.executemany(statement, added)


__all__ = ["BEAT", "ENDINGS", "GROW", "NO_BASIS", "RelationalStore"]
