"""The adapters that serve one project: the only place that knows which of them serves which port."""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import msgspec

from penstock.errors import DefinitionError, NotFoundError, StoreError
from penstock.model.options import RunOptions

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.authoring.pipeline import Composition, Definition
    from penstock.executors.workers.server import Server
    from penstock.executors.workers.spare import Spare
    from penstock.model.graph import Graph
    from penstock.model.run import RunRecord
    from penstock.model.work import Imported, WorkerSettings
    from penstock.ports import Blobs, Clock, Executor, Observer, Store
    from penstock.runtime.backups.restoring import Restored
    from penstock.runtime.backups.writing import BackedUp
    from penstock.runtime.capacity.admission import Admission
    from penstock.runtime.capacity.machine import Machine
    from penstock.runtime.codes import Codes
    from penstock.runtime.collecting.collection import Collector
    from penstock.runtime.hooks.calls import HookCalls
    from penstock.runtime.replaying.replayer import Replayer
    from penstock.runtime.run import Run
    from penstock.runtime.surroundings.notices import PlaceNotices
    from penstock.runtime.surroundings.project import Project
    from penstock.runtime.surroundings.provenance import Status
    from penstock.secrets.signing import Trust
    from penstock.stores.postgres import PostgresStore
    from penstock.stores.relational import RelationalStore
    from penstock.stores.sqlite import SqliteStore
    from penstock.values import Values

#: how many attempts at most run beside each other in one process, as threads and as coroutines
_THREADS = 64
_COROUTINES = 512


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()


class Services:
    """The adapters that serve one project."""

    def __init__(self, options: RunOptions | None = None) -> None:
        from penstock.runtime.surroundings.project import working_project

        self.options = options or RunOptions()
        self.project: Project = working_project(self.options.home)
        #: whether there was a connection to the server that the store is on
        self._was_reached = False
        #: what was begun ahead of a run
        self._status: Status | None = None
        self._spare: Spare | None = None

    def begin_ahead(self, function: Callable[..., Any]) -> None:
        """Begin what the run of a pipeline, given by its function, would wait for later on: other processes see to that
        while this one still prepares the run. To be ended with `end_ahead`."""
        # what takes longest first
        if self.options.executor != "inline" and not self.options.only_cached and self.machine.cores >= 2:
            from penstock.executors.workers.spare import Spare

            # where there is no room for it, that is told once it is needed
            with suppress(OSError):
                self._spare = Spare(sys.path, ["penstock.app", "penstock.values"])
        from penstock.runtime.surroundings.provenance import Status

        self._status = Status(_folder(_file_of(function)))

    def end_ahead(self) -> None:
        """Let go of what was begun ahead of a run and not needed."""
        for begun in (self._status, self._spare):
            if begun is not None:
                begun.close()

    @contextmanager
    def store(self) -> Generator[RelationalStore]:
        """The store, open for the block."""
        self._make_home()
        store = self._opened_store()
        try:
            yield store
        finally:
            store.close()

    def _opened_store(self) -> RelationalStore:
        url = self.project.store_url
        if url is None:
            from penstock.stores.sqlite import SqliteStore

            return SqliteStore(self.project.database)
        kind = _postgres(self.project)
        # a server that was there will be there again: a run is not ended for it
        store = kind(url, opening=kind.PATIENCE if self._was_reached else 0.0)
        self._was_reached = True
        return store

    @property
    def has_store(self) -> bool:
        """Whether anything was ever recorded here. Raises StoreError where that cannot be seen."""
        if self.project.store_url is not None:
            return self._was_reached or _postgres(self.project).exists(self.project.store_url)
        try:
            if self.project.home.is_file():
                raise self._home_is_a_file()
            return self.project.database.is_file()
        except OSError as error:
            raise StoreError(
                f"the project's state in {self.project.home} cannot be read: {error.strerror or error}",
                remedy="Give yourself the right to read and write there, or name another folder with PENSTOCK_HOME.",
            ) from None

    @property
    def store_place(self) -> str:
        """What messages call the store: its file, or its server without user and password. Raises StoreError for an address
        that is none."""
        if self.project.store_url is None:
            return str(self.project.database)
        return _postgres(self.project).place(self.project.store_url)

    @contextmanager
    def existing_store(self) -> Generator[RelationalStore]:
        """The store, open for the block. Raises NotFoundError where nothing was ever recorded."""
        if not self.has_store:
            raise NotFoundError(
                f"nothing has run in {self.project.folder} yet",
                remedy="Run a pipeline first (penstock run pipeline.py), or go to the folder it ran in.",
            )
        with self.store() as store:
            yield store

    @contextmanager
    def store_as_it_is(self) -> Generator[RelationalStore | None]:
        """The store, open for the block; None where nothing was ever recorded, and then nothing is made either."""
        if not self.has_store:
            yield None
            return
        with self.store() as store:
            yield store

    def _file_of_store(self, used: str, instead: str) -> Path:
        """The file of the store. Raises StoreError where it is kept in a database server."""
        if self.project.store_url is not None:
            more = (
                "" if self.project.blobs_url else f"\nStored values are files; copy their folder: {self.project.blobs}"
            )
            raise StoreError(
                f"{used} is for a store in a file, and the one of this project is on a PostgreSQL server",
                remedy=f"Use the server's own tools, with the address in the setting `store`: {instead}{more}",
            )
        return self.project.database

    def _make_home(self) -> None:
        """The folder for the project's state, kept out of version control and private to the user."""
        from penstock.secrets import private

        home = self.project.home
        try:
            if not home.is_dir():
                private.make_folder(home)
                with suppress(FileExistsError):
                    private.write(home / ".gitignore", b"*\n")
        except FileExistsError:
            raise self._home_is_a_file() from None
        except OSError as error:
            raise StoreError(
                f"the project's state cannot be kept in {home}: {error.strerror or error}",
                remedy="Name a folder that can be written with PENSTOCK_HOME.",
            ) from None

    def _home_is_a_file(self) -> StoreError:
        return StoreError(
            f"the project's state cannot be kept in {self.project.home}: that is a file",
            remedy="Move it away, or name a folder with PENSTOCK_HOME.",
        )

    def log_folder(self) -> Path:
        """The folder for what processes in the background print, private to the user."""
        from penstock.secrets import private

        self._make_home()
        private.make_folder(self.project.logs)
        return self.project.logs

    @functools.cached_property
    def storage(self) -> dict[str, Any]:
        """What a worker needs to know to make its own `values`."""
        project = self.project
        if project.blobs_url is not None:
            from penstock.blobs.urls import check_url

            check_url(project.blobs_url)
        remote = {"cache": str(project.blob_cache), "cache_size": project.blob_cache_size} if project.blobs_url else {}
        return {
            **remote,
            "blobs": project.blobs_url or str(project.blobs),
            "workspace": str(self.project.workspace),
            "hashes": str(self.project.hashes),
            "pickle": self.options.pickle,
            **self.project.keys,
        }

    @functools.cached_property
    def values(self) -> Values:
        return open_values(self.storage)

    @property
    def needs(self) -> tuple[str, ...]:
        """What penstock needs in the Python environments of tasks here, beside what it always does."""
        return ("obstore>=0.9",) if (self.project.blobs_url or "file:").partition(":")[0] != "file" else ()

    def check_blobs(self) -> None:
        """Raises StoreError where blobs are kept in an object store that cannot be used, and says why."""
        if self.project.blobs_url is None:
            return
        from penstock.blobs.cached import CachedBlobs

        blobs = open_blobs(self.storage)
        if isinstance(blobs, CachedBlobs):
            blobs.check()

    def collector(self, store: Store) -> Collector:
        """What removes from the project what is not kept."""
        from penstock.executors.environments import digest_of
        from penstock.executors.watching import scratch
        from penstock.runtime.collecting.collection import Collector

        name_of = functools.partial(digest_of, more=self.needs)
        return Collector(store, open_blobs(self.storage), self.project, name_of, scratch.left)

    def back_up(self, path: Path, *, version: str, blobs: bool | None = None, replace: bool = False) -> BackedUp:
        """Write a backup of what is recorded and, unless they are kept in an object store, of blobs; `blobs` says otherwise.
        `version` is that of penstock. See `runtime.backups`. Raises NotFoundError where nothing was ever recorded, and
        StoreError."""
        from penstock.runtime.backups.writing import back_up

        instead = f"pg_dump --schema=penstock --format=custom --file={path} ADDRESS"
        home, database = self.project.home, self._file_of_store("penstock backup", instead)
        with self.existing_store():
            pass
        kept = open_blobs(self.storage) if blobs or (blobs is None and self.project.blobs_url is None) else None
        return back_up(home, database, _opened_file, kept, path, version=version, replace=replace)

    def restore(self, path: Path, *, replace: bool = False, say: Callable[[str], object]) -> Restored:
        """Put a backup back; see `runtime.backups`. Raises StoreError."""
        from penstock.runtime.backups.restoring import restore

        def opened(folder: Path | None) -> Blobs:
            return open_blobs(self.storage if folder is None else {**self.storage, "blobs": str(folder)})

        self._make_home()
        blobs = self.project.blobs if self.project.blobs_url is None else None
        instead = f"pg_restore --clean --if-exists --dbname=ADDRESS {path}"
        database = self._file_of_store("penstock restore", instead)
        return restore(self.project.home, database, blobs, _opened_file, opened, path, replace=replace, say=say)

    @contextmanager
    def looking(self) -> Generator[Services]:
        """The services of the same project for somebody who only looks, for the block: values that are put away are kept
        in memory, and files that are laid out are removed again."""
        from pathlib import Path
        from tempfile import TemporaryDirectory

        from penstock.executors.watching import scratch

        # a process that is killed meanwhile leaves something that a collection knows
        with TemporaryDirectory(prefix=scratch.prefix(), ignore_cleanup_errors=True) as folder:
            other = Services(self.options)
            other.values = self._values_to_look(Path(folder), self.options.pickle)
            yield other

    def _values_to_look(self, folder: Path, pickle: bool) -> Values:
        """Values of the project that leave it as it is: what is put away stays in memory, files go into a folder."""
        from penstock.blobs.scratch import ScratchBlobs
        from penstock.values import Values

        blobs = ScratchBlobs(open_blobs(self.storage, looking=True))
        trust = _trust_of(self.project.keys)
        return Values(blobs, workspace=folder, hashes=self.project.hashes, pickle=pickle, looking=True, trust=trust)

    def replayer(self, define: Callable[[], Definition] | None = None, *, prefers_defined: bool = False) -> Replayer:
        """What makes tasks of past runs again, in this process. See `Replayer`."""
        from penstock.executors.inline import InlineExecutor
        from penstock.executors.programs.containers import available_engine
        from penstock.runtime.replaying.replayer import Bench, Replayer

        def inline(
            values: Values, parameters: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]]
        ) -> Executor:
            return InlineExecutor(values, parameters, functions, self.worker_settings((), parameters))

        bench = Bench(
            folder=self.project.folder,
            open_store=self.existing_store,
            values=self._values_to_look,
            executor=inline,
            has_engine=lambda: available_engine() is not None,
            container_arguments=self.project.container_arguments,
        )
        return Replayer(bench, define, prefers_defined=prefers_defined)

    def provenance(self, pipeline: Composition[..., Any], record: Any, options: RunOptions) -> Any:
        from penstock.runtime.surroundings.provenance import capture

        file = _file_of(pipeline.function)
        return capture(
            command=tuple(sys.argv),
            folder=_folder(file),
            source_files=[] if file is None else [file],
            parameters=record.parameters,
            configuration=msgspec.to_builtins(options) | {"home": str(self.project.home)},
            status=self._status,
        )

    @functools.cached_property
    def machine(self) -> Machine:
        """What attempts may use here."""
        return self.project.machine()

    def pools(self, store: Store | None) -> dict[str, int]:
        """The sizes of all pools."""
        known = () if store is None else store.pools()
        return {pool.name: pool.size for pool in known} | self.project.sizes.pools

    def executor(self, codes: Codes, parameters: Mapping[str, Any], options: RunOptions) -> Executor:
        """Where attempts are made."""
        if options.executor == "inline":
            from penstock.executors.inline import InlineExecutor

            return InlineExecutor(self.values, parameters, codes.functions, self.worker_settings((), parameters))
        from penstock.executors.processes import ProcessExecutor
        from penstock.executors.workers.server import Server

        settings = self.worker_settings(codes.modules, parameters)
        server = Server(settings, self._spare)
        processes = ProcessExecutor(settings, self.workers(options), server, cores=self.machine.cores)
        return routed(processes, settings, server) if codes.shares else processes

    def workers(self, options: RunOptions) -> int:
        """How many attempts are made at once, apart from those that share a process."""
        return 1 if options.executor == "inline" else options.workers or max(1, int(self.machine.cores))

    def worker_settings(
        self, modules: tuple[Imported, ...], parameters: Mapping[str, Any], storage: dict[str, Any] | None = None
    ) -> WorkerSettings:
        """What worker processes are told at their start."""
        from penstock.model.work import WorkerSettings

        return WorkerSettings(
            values="penstock.app:open_values",
            storage=storage or self.storage,
            path=tuple(sys.path),
            modules=modules,
            parameters=dict(parameters),
            environments=str(self.project.environments),
            needs=self.needs,
        )

    def admission(self, graph: Graph, run: RunRecord, store: Store, executor: Executor, clock: Clock) -> Admission:
        """What decides which attempts may start when."""
        from penstock.runtime.capacity.admission import Admission
        from penstock.runtime.capacity.pools import Pools

        pools = Pools(run.run_id, store, self.store, clock)
        return Admission(graph, self.machine, max(1, executor.room()), pools, self.project.sizes, clock)

    def hooks(self, definition: Definition, clock: Clock) -> list[HookCalls]:
        """What calls the hooks of a run; none where it has no hooks, and cannot come to have any."""
        from penstock.authoring.options.hooks import Hooks

        settings = definition.settings
        if not definition.attached and settings.hooks == Hooks() and definition.body is None and not definition.bodies:
            return []
        from penstock.runtime.hooks.calls import HookCalls

        limit, wait = self.project.hook_limits
        return [
            HookCalls(
                definition.attached,
                settings.hooks,
                definition.parameters,
                clock,
                deadline=settings.deadline,
                limit=limit,
                wait=wait,
            )
        ]

    def notices(self) -> PlaceNotices:
        """What is to be said of where the state is kept."""
        from penstock.runtime.surroundings.notices import PlaceNotices

        return PlaceNotices(self.project.database if self.project.store_url is None else None)

    def observers(self, options: RunOptions) -> list[Observer]:
        """The progress display, where the options or a terminal ask for it; else what logs the notices."""
        progress = sys.stderr.isatty() if options.progress is None else options.progress
        if not (progress or options.logs):
            from penstock.observe.notices import LoggedNotices

            return [LoggedNotices()]
        from penstock.observe.progress import display

        return [display(logs=options.logs)]


def _postgres(project: Project) -> type[PostgresStore]:
    """The store on a server. Raises DefinitionError where the extra is not installed."""
    import importlib.util

    if importlib.util.find_spec("psycopg") is None:
        raise DefinitionError(
            "a store in PostgreSQL needs the package psycopg, which is not installed",
            where=str(project.source or "PENSTOCK_STORE"),
            remedy='Install it: pip install "penstock[postgres]".',
        )
    from penstock.stores.postgres import PostgresStore

    return PostgresStore


@contextmanager
def _opened_file(path: Path) -> Generator[SqliteStore]:
    from penstock.stores.sqlite import SqliteStore

    store = SqliteStore(path)
    try:
        yield store
    finally:
        store.close()


def _file_of(function: Callable[..., Any]) -> Path | None:
    """The file of the module that a function is in, where it has one."""
    from pathlib import Path

    file = getattr(sys.modules.get(function.__module__), "__file__", None)
    return Path(file) if file else None


def _folder(file: Path | None) -> Path:
    """Where a file is; the working folder where there is none."""
    from pathlib import Path

    return Path.cwd() if file is None else file.parent


def routed(processes: Executor, settings: WorkerSettings, server: Server) -> Executor:
    """Worker processes for most attempts, one for threads and one for coroutines; all are forked by `server`."""
    from penstock.executors.concurrent import ConcurrentExecutor
    from penstock.executors.routing import RoutingExecutor

    return RoutingExecutor(
        {
            "process": processes,
            "thread": ConcurrentExecutor(settings, _THREADS, server),
            "loop": ConcurrentExecutor(settings, _COROUTINES, server),
        }
    )


def open_blobs(storage: Mapping[str, Any], *, looking: bool = False) -> Blobs:
    """The blobs of a project, from `Services.storage`: in a folder, or in an object store where `blobs` is a URL of one.
    With `looking`, they are left as they are. Raises DefinitionError for a URL that is none."""
    from pathlib import Path

    from penstock.blobs.local import LocalBlobs

    place = storage["blobs"]
    if "://" not in place:
        return LocalBlobs(Path(place), looking=looking)
    from penstock.blobs.bucket import Bucket
    from penstock.blobs.cache import Cache
    from penstock.blobs.cached import CachedBlobs
    from penstock.blobs.objects import Objects
    from penstock.blobs.urls import folder_of

    folder = folder_of(place)
    if folder is not None:
        return LocalBlobs(folder, looking=looking)
    return CachedBlobs(Objects(Bucket(place), looking=looking), Cache(Path(storage["cache"]), storage["cache_size"]))


def find_run(name: str = "latest", *, home: str | Path | None = None) -> Run:
    """A run of the past: `name` is its id, the start of one, or `latest`. `home` is the folder of the project's state,
    for one that is not that of the working folder.

    Raises NotFoundError, naming near ones.
    """
    from penstock.runtime.run import Run

    services = Services(RunOptions(home=None if home is None else str(home)))
    with services.existing_store() as store:
        record = store.find(name)
    return Run(record, services.store, services.values, replayer=services.replayer)


def open_values(storage: Mapping[str, Any]) -> Values:
    """The values of a project, from `Services.storage`; also how worker processes get theirs."""
    from pathlib import Path

    from penstock.values import Values

    hashes = Path(storage["hashes"]) if "hashes" in storage else None
    return Values(
        open_blobs(storage),
        workspace=Path(storage["workspace"]),
        hashes=hashes,
        pickle=storage["pickle"],
        trust=_trust_of(storage),
    )


def _trust_of(keys: Mapping[str, Any]) -> Trust:
    """Which pickles are loaded, from `Project.keys`."""
    from penstock.secrets.signing import Trust

    return Trust.of(keys.get("signing_key"), keys.get("trusted_keys", ()))
