"""The seams of penstock: what the engine needs of the world, and nothing of how it is done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol, runtime_checkable

import msgspec

from penstock.model.asset import CheckResult, Materialization, PartitionChange
from penstock.model.event import AnyEvent
from penstock.model.graph import Graph
from penstock.model.identity import Basis, SourceText, TaskIdentity
from penstock.model.occurrence import Occurrence
from penstock.model.request import Request
from penstock.model.run import AttemptRecord, Provenance, RunRecord, RunState
from penstock.model.value import Argument, Description
from penstock.model.work import AnyReport, Attachment, Job, Line, Metric, Work
from penstock.ports.agenda import Agenda
from penstock.ports.catalog import Catalog

_NOTHING: Final = Basis()


class Buffer(Protocol):
    """Anything with the buffer protocol; spelled out because the standard one needs Python 3.12."""

    def __buffer__(self, flags: int, /) -> memoryview: ...


class BlobWriter(Protocol):
    """A file-like sink for one blob."""

    def write(self, data: Any, /) -> int:
        """Add bytes (anything with the buffer protocol). Returns how many."""
        ...

    def commit(self) -> bytes:
        """Make the blob visible, all at once. Returns its address, the BLAKE3 digest of its bytes."""
        ...


class Blobs(Protocol):
    """A place for bytes, addressed by the BLAKE3 digest of their content."""

    def writer(self) -> AbstractContextManager[BlobWriter]:
        """A new blob; what is not committed by the end of the block is gone."""
        ...

    def put(self, data: Any) -> bytes:
        """Write a blob from one buffer. Returns its address. Writing what is there already costs no second copy."""
        ...

    def read(self, address: bytes) -> memoryview:
        """The bytes, verified, memory-mapped where the place allows it. The view is copy-on-write: what is written
        to it stays in this process.

        Raises ArtifactMissingError or ArtifactDamagedError.
        """
        ...

    def has(self, address: bytes) -> bool: ...

    def sound(self, address: bytes) -> bool:
        """Whether the blob is there with the bytes that were written; then it counts as found now (see `collect`). One
        that was not touched since it was written is not read for that; one that is damaged is removed."""
        ...

    def sound_among(self, addresses: Iterable[bytes]) -> set[bytes]:
        """Those of the blobs that are `sound`; quicker than to ask for one after the other where each takes its time."""
        ...

    def size(self, address: bytes) -> int: ...

    def copy_to(self, address: bytes, path: Path) -> None:
        """Write the bytes, verified, to a file of the user's."""
        ...

    def delete(self, address: bytes) -> None: ...

    def collect(self, address: bytes, before: float, *, dry: bool = False) -> int:
        """Remove a blob unless somebody has written it, or found it to be there, since the time `before` (seconds since
        the epoch). Returns how many bytes that frees; with `dry`, would free."""
        ...

    def unfinished(self, before: float) -> dict[int, int]:
        """The processes of this machine, by their ids, that have begun to write or to remove something and have not
        gone on with it since the time `before`, and how many bytes that is."""
        ...

    def discard(self, process: int) -> None:
        """Remove what a process of this machine, by its id, was writing when it died, and keep what it was about to
        remove."""
        ...

    def addresses(self) -> Iterable[bytes]: ...


class Said(msgspec.Struct, frozen=True):
    """What an attempt said while it ran: the parts of a turn that are about one attempt."""

    node: str
    item: int
    attempt: int
    lines: tuple[Line, ...] = ()
    metrics: tuple[Metric, ...] = ()
    attachments: tuple[Attachment, ...] = ()


class Result(msgspec.Struct, frozen=True):
    """What the cache keeps of a successful attempt."""

    node: str
    item: int
    attempt: int
    outputs: tuple[Argument, ...]


class Origin(msgspec.Struct, frozen=True):
    """The attempt that a result in the cache comes from."""

    run_id: str
    node: str
    item: int
    attempt: int


class Recorded(NamedTuple):
    """What the cache has under a fingerprint."""

    outputs: tuple[Argument, ...]
    #: seconds since the epoch
    created_at: float


class Claimant(msgspec.Struct, frozen=True):
    """The attempt that is about to make a result that others want as well."""

    run_id: str
    node: str
    item: int


class CachedResult(msgspec.Struct, frozen=True):
    """An entry of the cache."""

    fingerprint: bytes
    outputs: tuple[Argument, ...]
    created_at: float
    node: str
    #: the run that it comes from; None where that is no longer recorded
    run_id: str | None


class Timing(msgspec.Struct, frozen=True):
    """What the successful attempts at a node took in one run; of a mapped node, those at its items."""

    #: the same for all timings of one run
    run: int
    node: str
    #: how many there were
    count: int
    #: seconds, their mean
    duration: float
    #: bytes, the most of any
    peak_memory: int


class Pulse(msgspec.Struct, frozen=True):
    """What changes for as long as a run has a driver that lives."""

    #: how many drivers the run has had
    token: int
    #: how many times its driver has said that it lives
    beats: int
    #: how many turns are recorded
    turns: int


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """All that one turn of the loop records; committed whole or not at all.

    A turn that ends with `paused` leaves the run to be reopened; after any other end there are no more turns.
    """

    #: place of the turn in the journal of its run, from 0
    number: int
    at: float
    #: the `RunRecord.token` of whoever drives the run; None for one who does not drive it, and ends it
    token: int | None = None
    events: Sequence[AnyEvent] = ()
    attempts: Sequence[AttemptRecord] = ()
    #: fingerprint -> result of successful attempts, for the cache
    results: Mapping[bytes, Result] = {}
    said: Sequence[Said] = ()
    descriptions: Sequence[Description] = ()
    #: fingerprints of results that are about to be made, with the node and the item that make them
    claims: Mapping[bytes, tuple[str, int]] = {}
    #: claims that are given up without a result
    disclaimed: Sequence[bytes] = ()
    #: what is to be added to the basis of the run
    basis: Basis | None = None
    #: versions of assets that were made; the store gives them their numbers
    materializations: Sequence[Materialization] = ()
    checks: Sequence[CheckResult] = ()
    #: partitions that are being made, or could not be
    partitions: Sequence[PartitionChange] = ()
    #: what others are to hear of
    occurrences: Sequence[Occurrence] = ()
    #: set in the last turn of a run, or of a driver that leaves it paused
    end: RunState | None = None
    outputs: Mapping[str, Argument] = {}


class Holder(msgspec.Struct, frozen=True):
    """Who holds a part of a pool: an attempt, or a run as a whole (empty node)."""

    run_id: str
    node: str = ""
    item: int = -1


class PoolState(msgspec.Struct, frozen=True):
    """A pool that runs share, and who holds how much of it now."""

    name: str
    size: int
    held: tuple[tuple[Holder, int], ...] = ()


class LoggedLine(msgspec.Struct, frozen=True):
    """A line of a task's log, with whose it is."""

    node: str
    item: int
    attempt: int
    line: Line


class LoggedMetric(msgspec.Struct, frozen=True):
    """A metric, with whose it is."""

    node: str
    item: int
    attempt: int
    metric: Metric


class LoggedAttachment(msgspec.Struct, frozen=True):
    """A logged artifact, with whose it is."""

    node: str
    item: int
    attempt: int
    attachment: Attachment


class Store(Protocol):
    """Where runs are recorded. Safe for several processes at once. All methods raise StoreError."""

    @property
    def agenda(self) -> Agenda:
        """What is to be started, and why."""
        ...

    @property
    def catalog(self) -> Catalog:
        """What is recorded of assets."""
        ...

    def create(self, run: RunRecord, graph: Graph, provenance: Provenance, basis: Basis = _NOTHING) -> None:
        """Record a new run, before anything of it happens. Raises StoreError if there is one of that id, or if it has a cause
        and its id is that of a firing that is to have no run, or has had one."""
        ...

    def commit(self, run_id: str, turn: Turn) -> frozenset[bytes]:
        """Record a turn in one transaction; raises StoreError if the turn is not the next one of its run, LeaseLostError
        if the run has another driver by now.

        Returns the claims of the turn that are refused, because another run that is under way has them, or
        another run has made the result. A claim ends
        with the result, when it is given up, and when the run ends or is paused. That a claim is granted does not say
        that the result has not been made since it was looked up.
        """
        ...

    def recorded(self, fingerprints: Sequence[bytes]) -> dict[bytes, Recorded]:
        """What is recorded in the cache under each of the fingerprints that are known."""
        ...

    def claimants(self, fingerprints: Sequence[bytes]) -> dict[bytes, Claimant]:
        """Who is about to make the results, of those that are claimed by a run that is under way."""
        ...

    def heard_of(self, run_id: str) -> float:
        """When a run was last heard of: the time of its latest turn or heartbeat, or of its start."""
        ...

    def beat(self, run_id: str, token: int, at: float) -> bool:
        """Say at a time (seconds since the epoch) that the driver with a token lives. False if the run has another one by
        now, or is not under way."""
        ...

    def pulse(self, run_id: str) -> Pulse:
        """What changes for as long as the driver of a run lives."""
        ...

    def disclaim(self, fingerprints: Iterable[bytes], run_id: str) -> None:
        """Drop claims of a run whose driver is gone, so that others can make the results."""
        ...

    def keep(self, identities: Sequence[TaskIdentity], texts: Sequence[SourceText]) -> frozenset[bytes]:
        """Keep what code consists of, and the texts that it refers to. Returns the digests of the identities that were
        not known before. Of those that were, what is known now takes the place of what was known (the code may have
        moved), unless the text of a module is missing in it."""
        ...

    def identities(self, digests: Iterable[bytes]) -> dict[bytes, TaskIdentity]:
        """What is known of code, by `TaskIdentity.digest`."""
        ...

    def texts(self, digests: Iterable[bytes]) -> dict[bytes, str]:
        """The texts of source files, by their digests, of those that are kept."""
        ...

    def basis(self, run_id: str) -> Basis:
        """What the fingerprints of a run are made of so far."""
        ...

    def origins(self, fingerprints: Sequence[bytes]) -> dict[bytes, Origin]:
        """Where the results in the cache come from, of those whose run is still recorded."""
        ...

    def find(self, name: str) -> RunRecord:
        """The run with an id, an unambiguous start of one, or `latest`. Raises NotFoundError, naming near ones."""
        ...

    def runs(self, *, pipeline: str | None = None, state: str | None = None, limit: int = 20) -> list[RunRecord]:
        """The latest runs, newest first."""
        ...

    def graph(self, run_id: str) -> bytes:
        """The graph of a run, as JSON; of a dynamic one, with all the nodes that have appeared so far."""
        ...

    def provenance(self, run_id: str) -> Provenance: ...

    def attempts(self, run_id: str, node: str | None = None) -> list[AttemptRecord]:
        """All attempts so far, in the order of node, item, attempt."""
        ...

    def timings(self, pipeline: str, limit: int = 20) -> list[Timing]:
        """What the nodes of a pipeline took in its latest runs; a node with a body, from the begin of its first node to
        its end. Those that took no time are left out."""
        ...

    def journal(self, run_id: str) -> list[tuple[float, list[AnyEvent]]]:
        """Every turn's time and events, in order."""
        ...

    def lines(self, run_id: str, node: str | None = None, after: int = 0) -> list[tuple[int, LoggedLine]]:
        """Log lines with their sequence numbers, in order, those with a number greater than `after`."""
        ...

    def metrics(self, run_id: str) -> list[LoggedMetric]: ...

    def attachments(self, run_id: str) -> list[LoggedAttachment]: ...

    def descriptions(self, digests: Sequence[bytes]) -> dict[bytes, Description]: ...

    def reopen(self, run_id: str, driver: str, instead_of: str | None = None) -> RunRecord:
        """Let another driver go on with a run that is paused, or whose driver is gone; it is `running` again, and its token
        is another. With
        `instead_of`, only in the place of that driver, so that of two who take it for gone only one goes on. Raises
        NotFoundError, and StoreError for a run that has ended, or that has another driver by now."""
        ...

    def regenerate(self, run: RunRecord, graph: Graph, provenance: Provenance, basis: Basis = _NOTHING) -> RunRecord:
        """Begin a run that has ended anew, under its id. What was recorded of it so far is kept as a run of its own, an
        earlier generation: the n-th goes by the id `RUN.n`, and `runs` leaves it out. Tags go over to the new one.
        Returns its record, with its `token` and `generation`. Raises NotFoundError, and StoreError for a run that has
        not ended."""
        ...

    # What is kept, and for how long.

    def tag(self, run_id: str, *, add: Iterable[str] = (), remove: Iterable[str] = ()) -> tuple[str, ...]:
        """Put tags on a run, and take some off. Returns those that it has then, sorted."""
        ...

    def tags(self, run_ids: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """The tags of those of the runs that have any."""
        ...

    def remove(self, run_ids: Iterable[str]) -> None:
        """Forget runs, with all that is recorded of them; what they have put into the cache stays. Raises StoreError
        for a run that is under way, and passes over one that is not there."""
        ...

    def results(self) -> Iterable[CachedResult]:
        """All that is in the cache."""
        ...

    def forget(self, fingerprints: Iterable[bytes]) -> None:
        """Drop entries of the cache."""
        ...

    def arguments(self) -> Iterable[Argument]:
        """Everything stored that anything recorded refers to: results, outputs of attempts and of runs, what is in
        journals, parameters, logged artifacts, versions of assets. One may come several times."""
        ...

    def sweep(self, before: float) -> None:
        """Drop descriptions, identities and texts that nothing recorded refers to, but no identity that somebody has
        kept since the time `before` (seconds since the epoch), for a run that is about to begin; and give the space
        back."""
        ...

    def compactable(self, before: float) -> list[str]:
        """The runs that ended before a time (seconds since the epoch) and whose journals can be made smaller; of a run
        that was begun several times, each generation."""
        ...

    def compact(self, run_id: str, *, dry: bool = False) -> int:
        """Make the journal of a run that has ended smaller, without loss. Returns how many bytes that saves, or with
        `dry`, would save; 0 for a run whose journal is compacted, that has not ended, or that is not there."""
        ...

    # What other processes ask of the driver of a run.

    def ask(self, run_id: str, request: Request) -> None:
        """Leave a request for whoever drives the run, now or later."""
        ...

    def requests(self, run_id: str, after: int = 0) -> list[tuple[int, Request]]:
        """Requests with their sequence numbers, in order, those with a number greater than `after`."""
        ...

    # Pools that all runs of the store share.

    def size_pools(self, sizes: Mapping[str, int]) -> None:
        """Create pools, or change their sizes. What is held stays held."""
        ...

    def hold(self, holder: Holder, needs: Mapping[str, int], until: float) -> bool:
        """Take parts of pools, all or none; whether there was enough. Holding lapses at the time `until` (seconds since
        the epoch) unless it is renewed, and ends with the run, or when it pauses. A need greater than the whole pool is
        met when nobody else holds any of it. Who is refused comes before other runs that ask later, for as long as it
        asks every other second. Raises NotFoundError for a pool that does not exist, StoreError for a run that is not
        under way."""
        ...

    def renew(self, run_id: str, until: float) -> None:
        """Let everything that is held for a run lapse only at a later time."""
        ...

    def release(self, holder: Holder) -> None:
        """Give back what a holder has; for a holder with an empty node, all that its run has."""
        ...

    def pools(self) -> list[PoolState]: ...

    def close(self) -> None: ...


class Executor(Protocol):
    """Where attempts run.

    One that has a `fileno()`, a descriptor that can be read when there is something to poll for, can be waited for
    together with others.
    """

    def define(self, work: Work) -> None:
        """Make a piece of work known, before the first job of it."""
        ...

    def room(self, *, shared: bool = False) -> int:
        """How many more jobs it would take now without any of them having to wait long; with `shared`, of those that
        run beside others in one process (threads, coroutines)."""
        ...

    def submit(self, jobs: Sequence[Job]) -> None:
        """Take jobs in; every one is answered by exactly one Done, Erred, Declined, NotYet or Unstarted. A job that would wait behind
        a long one may come back Unstarted at any time."""
        ...

    def poll(self, timeout: float | None) -> list[AnyReport]:
        """What was reported, waiting up to `timeout` seconds (None: until there is something) for the first."""
        ...

    def stop(self, job: Job) -> None:
        """End a job at once; it is answered by Erred."""
        ...

    def interrupt(self) -> None:
        """Ctrl-C for the second time: break off what runs in this very process, if anything does. Called from a
        signal handler."""
        ...

    def close(self, *, kill: bool = False) -> None:
        """Release everything; with `kill`, without waiting for what runs."""
        ...


class Clock(Protocol):
    """Time, so that tests can have their own."""

    def now(self) -> float:
        """Seconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back."""
        ...


class Observer(Protocol):
    """Somebody who watches a run: a progress display, a notifier. Called after each commit; must not raise."""

    def watch(self, run: RunRecord, graph: Graph) -> None: ...

    def turn(self, turn: Turn, reports: Sequence[AnyReport]) -> None: ...

    def close(self) -> None: ...


@runtime_checkable
class Latecomer(Protocol):
    """An observer that wants to know of what was done of a run before another driver goes on with it."""

    def catch_up(self, before: Turn) -> None:
        """Called after `watch`, with all events and attempts there were so far."""
        ...
