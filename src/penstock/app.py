"""Composition: the only place that knows which adapter serves which port."""

from __future__ import annotations

import copy
import functools
import os
import sys
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, Unpack, overload

import msgspec

from penstock.authoring.building import current_building
from penstock.authoring.decorated import check_function, check_name
from penstock.authoring.kinds.conversion import nearest
from penstock.authoring.options.settings import PipelineOptions, Settings, settings_of
from penstock.authoring.pipeline import Composition, Definition
from penstock.authoring.placing import NodeOptions, split_options
from penstock.authoring.scopes import exit_tasks
from penstock.authoring.source import caller
from penstock.errors import DefinitionError, NondeterministicError, NotFoundError, StoreError
from penstock.model.options import RunOptions

if TYPE_CHECKING:
    from penstock.model.graph import Graph, Node
    from penstock.model.run import RunRecord
    from penstock.model.work import Imported, WorkerSettings
    from penstock.ports import Clock, Executor, Observer, Store
    from penstock.runtime.capacity.admission import Admission
    from penstock.runtime.capacity.machine import Machine
    from penstock.runtime.codes import Codes
    from penstock.runtime.driver import Driver
    from penstock.runtime.dynamic.bodies import Bodies
    from penstock.runtime.hooks.calls import HookCalls
    from penstock.runtime.run import Run
    from penstock.runtime.surroundings.project import Project
    from penstock.stores.sqlite import SqliteStore
    from penstock.values import Values

P = ParamSpec("P")
R = TypeVar("R")

EXECUTORS = ("processes", "inline")
#: how many attempts at most run beside each other in one process, as threads and as coroutines
_THREADS = 64
_COROUTINES = 512


class Pipeline(Composition[P, R]):
    """A function that composes tasks, ready to run.

    Called inside another pipeline it becomes a part of it; called anywhere else it runs, and returns its value or
    raises the exception of the task that failed.
    """

    def __init__(
        self, function: Callable[P, R], name: str, options: RunOptions | None = None, settings: Settings | None = None
    ) -> None:
        super().__init__(function, name, settings)
        self.run_options = options or RunOptions()

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        building = current_building()
        if building is not None:
            return self.inline(building, args, kwargs)
        return self.run(**self.bound(args, kwargs)).result

    def run(self, **parameters: Any) -> Run:
        """Run the pipeline. Returns the run, whether it succeeded or not. It may also be `paused`: then nothing is left
        to do until somebody has answered a question (`penstock approve`).

        Raises DefinitionError (ParameterError for the parameters) before anything runs; KeyboardInterrupt after the
        run was ended by Ctrl-C.
        """
        building = current_building()
        if building is not None:
            raise DefinitionError(
                f"{self.name}.run() is used in the body of the pipeline {building.pipeline!r}, which runs nothing itself",
                where=str(caller()),
                remedy=f"Call it, and it becomes a part: {self.name}(...).",
            )
        values = self.signature.resolve(given=parameters, environ=os.environ, where=str(caller()))
        return _uninterrupted(launch(self, values, self._settled_options()))

    def resume(self, run: str = "latest") -> Run:
        """Go on with a run of this pipeline that is paused, or whose process is gone: what has ended stays so. `run` is
        its id, or a start of it.

        Raises NotFoundError, DefinitionError if the pipeline is no longer the one that ran, NondeterministicError if its
        body does something else than before, and StoreError for a run that has ended or is under way elsewhere.
        """
        options = self._settled_options()
        with Services(options).existing_store() as store:
            record = store.find(run)
        return _uninterrupted(resume(self, record, options))

    def _settled_options(self) -> RunOptions:
        from penstock.runtime.surroundings.project import working_project

        return checked_options(working_project(self.run_options.home).applied(self.run_options))

    def graph(self, **parameters: Any) -> Graph:
        """The pipeline as data. Parameters are only needed where the body itself uses their values."""
        return self.define(self.signature.resolve(given=parameters, where=str(caller()), partial=True)).graph

    def options(self, **options: Unpack[Options]) -> Pipeline[P, R]:
        """The same pipeline run another way; what is not given stays as it is.

        How a run of its own is carried out: see `RunOptions`. How it stands where it is called or mapped inside another
        pipeline: `name`, `after`, `join`, `max_parallel`, `failure_threshold`, `key`, as for a task. Raises
        DefinitionError for options that do not exist or have values that they cannot have.
        """
        placing, others = split_options(options)
        unknown = next((name for name in others if name not in RunOptions.__struct_fields__), None)
        if unknown is not None:
            raise DefinitionError(
                f"there is no option {unknown!r}{nearest(unknown, Options.__annotations__)}", where=str(caller())
            )
        given = {name: value for name, value in others.items() if value is not None}
        if "home" in given:
            given["home"] = str(given["home"])
        changed = copy.copy(self)
        changed.run_options = checked_options(msgspec.structs.replace(self.run_options, **given))
        changed.placing = self.placing.changed(placing)
        return changed


class Options(NodeOptions, total=False):
    """All that `options(...)` of a pipeline takes."""

    executor: str | None
    workers: int | None
    cache: bool | None
    pickle: bool | None
    home: str | Path | None
    progress: bool | None
    logs: bool | None


def _uninterrupted(run: Run) -> Run:
    """The run. Raises KeyboardInterrupt if Ctrl-C has ended it."""
    if run.interrupted:
        raise KeyboardInterrupt(f"run {run.run_id} was interrupted; finished tasks are in the cache")
    return run


@overload
def pipeline(function: Callable[P, R], /) -> Pipeline[P, R]: ...


@overload
def pipeline(
    *, name: str | None = None, **options: Unpack[PipelineOptions]
) -> Callable[[Callable[P, R]], Pipeline[P, R]]: ...


def pipeline(function: Callable[..., Any] | None = None, /, *, name: str | None = None, **options: Any) -> Any:
    """Make a function a pipeline.

    `name` is what its runs are filed under (default: the function's name). The options are those of `PipelineOptions`:
    what a failure does, limits, defaults for all tasks, exit handlers, hooks. Raises DefinitionError for something that
    is not a plain function, for a name with a slash, and for options that do not exist or are out of range.
    """
    settings = settings_of(options)
    exit_tasks(settings.on_exit)

    def decorate(function: Callable[..., Any]) -> Pipeline[..., Any]:
        check_function(function, "pipeline")
        check_name(name)
        return Pipeline(function, name or function.__name__, settings=settings)

    return decorate if function is None else decorate(function)


def checked_options(options: RunOptions) -> RunOptions:
    """The same options. Raises DefinitionError for an executor that does not exist or a number out of range."""
    if options.executor not in EXECUTORS:
        raise DefinitionError(
            f"there is no executor {options.executor!r}", where=str(caller()), remedy=f"Use {' or '.join(EXECUTORS)}."
        )
    workers = options.workers
    if workers is not None and (type(workers) is not int or workers < 1):
        raise DefinitionError(f"workers must be a whole number from 1 up, not {workers!r}", where=str(caller()))
    return options


def launch(
    pipeline: Composition[..., Any],
    parameters: Mapping[str, Any],
    options: RunOptions,
    *,
    target: str = "",
    observers: Sequence[Observer] = (),
) -> Run:
    """Run a pipeline to its end, or to where it is paused, here. `parameters` are complete and of the right types.

    Raises DefinitionError before anything is written.
    """
    with Launch(pipeline, parameters, options, observers) as launch, launch.services.store() as store:
        driver = launch.driver(store, launch.new_run(store, target))
        return launch.drive(driver, driver.drive)


def resume(
    pipeline: Composition[..., Any],
    run: RunRecord,
    options: RunOptions,
    *,
    observers: Sequence[Observer] = (),
    wait_for_answers: bool = False,
) -> Run:
    """Go on with a run that is paused, or whose driver is gone, here.

    Raises DefinitionError if the pipeline is no longer the one that ran, NondeterministicError if its body does
    something else than before, and StoreError for a run that has ended or that another process drives.
    """
    from penstock.runtime.dynamic.resuming import check_same
    from penstock.runtime.surroundings.processes import is_gone, this_process

    parameters = pipeline.signature.resolve(given={}, config=run.parameters, config_source=f"run {run.run_id}")
    with Launch(pipeline, parameters, options, observers) as launch, launch.services.store() as store:
        check_same(store, run, launch.definition.graph)
        if run.state == "running" and not is_gone(run, max((at for at, _ in store.journal(run.run_id)), default=0.0)):
            raise StoreError(
                f"run {run.run_id} is under way, driven by {run.driver}",
                remedy=f"Wait for it, or cancel it: penstock cancel {run.run_id}",
            )
        record = store.reopen(run.run_id, this_process(), run.driver)
        driver = launch.driver(store, record, wait_for_answers=wait_for_answers)
        return launch.drive(driver, driver.resume)


class Launch:
    """A pipeline about to run: its first part is defined, and its code can be reached by where attempts are made."""

    def __init__(
        self,
        pipeline: Composition[..., Any],
        parameters: Mapping[str, Any],
        options: RunOptions,
        observers: Sequence[Observer],
    ) -> None:
        from penstock.runtime.codes import Codes

        self.pipeline = pipeline
        self.options = options
        self.observers = observers
        #: sizes of the pools that there are
        self.pools: dict[str, int] = {}
        self.definition = pipeline.begin(parameters)
        try:
            self.services = Services(options)
            arguments = self.services.project.container_arguments
            self.codes = Codes(self.definition, here=options.executor == "inline", container_arguments=arguments)
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> Launch:
        return self

    def __exit__(self, *_: object) -> None:
        if self.definition.body is not None:
            self.definition.body.stop()

    def new_run(self, store: Store, target: str) -> RunRecord:
        """Record a run that is about to begin."""
        from penstock.runtime.capacity.demand import check

        self.pools = self.services.pools(store)
        check(self.definition.graph, self.services.machine, self.pools)
        self.codes.identify(self.services.values)
        record = _new_run(self.pipeline, self.definition, target)
        store.create(record, self.definition.graph, self.services.provenance(self.pipeline, record, self.options))
        return record

    def driver(self, store: Store, record: RunRecord, *, wait_for_answers: bool = False) -> Driver:
        """What drives the run."""
        from penstock.authoring.tasks.approvals import check_answer
        from penstock.runtime.driver import Driver

        definition, services, clock = self.definition, self.services, SystemClock()
        if not self.codes.tasks:
            self.codes.identify(services.values)
            self.pools = services.pools(store)
        executor = services.executor(self.codes, record.parameters, self.options)
        hooks = services.hooks(definition, clock)
        driver = Driver(
            run=record,
            graph=definition.graph,
            tasks=self.codes.tasks,
            parameters=definition.parameters,
            store=store,
            values=services.values,
            executor=executor,
            clock=clock,
            observers=[*(self.observers or services.observers(self.options)), *hooks],
            use_cache=self.options.cache,
            bodies=self._bodies(),
            admission=services.admission(definition.graph, record, store, executor, clock),
            convert=check_answer,
            complaints=hooks[0].take_complaints if hooks else tuple,
            settle_hooks=hooks[0].settle if hooks else None,
            wait_for_answers=wait_for_answers,
        )
        for each in hooks:
            each.follow(driver.progress)
        return driver

    def _bodies(self) -> Bodies | None:
        """The dynamic bodies, where there are any."""
        definition = self.definition
        if definition.body is None and not definition.bodies:
            return None
        from penstock.runtime.dynamic.bodies import Bodies

        return Bodies(definition.body, definition.bodies, self.services.values, self._admit)

    def _admit(self, keys: Mapping[str, str], nodes: Iterable[Node]) -> None:
        """Make tasks that appear while the run goes on ready to run, and refuse nodes that could never run."""
        from penstock.runtime.capacity.demand import check_nodes

        tasks = self.definition.tasks
        self.codes.admit(keys, tasks)
        check_nodes(nodes, tasks, self.services.machine, self.pools)

    def _resume(self, run_id: str) -> Run:
        with self.services.store() as store:
            record = store.find(run_id)
        return resume(self.pipeline, record, self.options, observers=self.observers)

    def drive(self, driver: Driver, go: Callable[[], Any]) -> Run:
        """Let a driver go, and clean up after it."""
        from penstock.runtime.ending import end_as_broken
        from penstock.runtime.interrupts import INTERRUPTED, interruptible
        from penstock.runtime.run import Run

        ended = False
        try:
            with interruptible(driver):
                go()
            ended = True
        except NondeterministicError:
            # nothing was done; with the body as it was, the run can still be resumed
            _leave(driver)
            raise
        except BaseException as error:
            with suppress(StoreError):
                end_as_broken(driver.store, driver.run, error)
            raise
        finally:
            driver.executor.close(kill=not ended)
            for observer in driver.observers:
                observer.close()
        services = self.services
        record = driver.store.find(driver.run.run_id)
        run = Run(record, services.store, services.values, self.definition.restore, self._resume)
        run.interrupted = driver.progress.cancelling == INTERRUPTED and run.state == "cancelled"
        return run


def _leave(driver: Driver) -> None:
    """Let another driver go on with the run later."""
    from penstock.model.run import RunState
    from penstock.ports import Turn

    store, run_id = driver.store, driver.run.run_id
    store.commit(run_id, Turn(number=len(store.journal(run_id)), at=time.time(), end=RunState.PAUSED))


def _new_run(pipeline: Composition[..., Any], definition: Definition, target: str) -> RunRecord:
    from penstock.authoring.kinds.parameters import to_json
    from penstock.model.run import RunRecord, RunState
    from penstock.runtime.surroundings.processes import this_process

    now = time.time()
    return RunRecord(
        run_id=f"{time.strftime('%Y%m%d-%H%M%S', time.localtime(now))}-{os.urandom(3).hex()}",
        pipeline=pipeline.name,
        state=RunState.RUNNING,
        parameters={name: to_json(value) for name, value in definition.parameters.items()},
        started_at=now,
        target=target or _target_of(pipeline),
        driver=this_process(),
    )


def _target_of(pipeline: Composition[..., Any]) -> str:
    """What `penstock run` would be given for a pipeline: `package.module:name`, or `file.py:name` for a script."""
    function = pipeline.function
    module = getattr(function, "__module__", "") or ""
    if module != "__main__":
        return f"{module}:{function.__name__}"
    file = getattr(sys.modules[module], "__file__", None)
    return f"{file}:{function.__name__}" if file else module


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

    @contextmanager
    def store(self) -> Generator[SqliteStore]:
        """The store, open for the block."""
        from penstock.stores.sqlite import SqliteStore

        self._make_home()
        store = SqliteStore(self.project.database)
        try:
            yield store
        finally:
            store.close()

    @property
    def has_store(self) -> bool:
        """Whether anything was ever recorded here."""
        return self.project.database.is_file()

    @contextmanager
    def existing_store(self) -> Generator[SqliteStore]:
        """The store, open for the block. Raises NotFoundError where nothing was ever recorded."""
        if not self.has_store:
            raise NotFoundError(
                f"nothing has run in {self.project.folder} yet",
                remedy="Run a pipeline first (penstock run pipeline.py), or go to the folder it ran in.",
            )
        with self.store() as store:
            yield store

    def _make_home(self) -> None:
        """The folder for the project's state, kept out of version control and private to the user."""
        home = self.project.home
        try:
            if not home.is_dir():
                home.mkdir(mode=0o700, parents=True, exist_ok=True)
                (home / ".gitignore").write_text("*\n")
        except OSError as error:
            raise StoreError(
                f"the project's state cannot be kept in {home}: {error.strerror or error}",
                remedy="Name a folder that can be written with PENSTOCK_HOME.",
            ) from None

    @functools.cached_property
    def storage(self) -> dict[str, Any]:
        """What a worker needs to know to make its own `values`."""
        return {
            "blobs": str(self.project.blobs),
            "workspace": str(self.project.workspace),
            "pickle": self.options.pickle,
        }

    @functools.cached_property
    def values(self) -> Values:
        return open_values(self.storage)

    def provenance(self, pipeline: Composition[..., Any], record: Any, options: RunOptions) -> Any:
        from penstock.runtime.surroundings.provenance import capture

        file = getattr(sys.modules.get(pipeline.function.__module__), "__file__", None)
        return capture(
            command=tuple(sys.argv),
            folder=Path(file).parent if file else Path.cwd(),
            source_files=[Path(file)] if file else [],
            parameters=record.parameters,
            configuration=msgspec.to_builtins(options) | {"home": str(self.project.home)},
        )

    @functools.cached_property
    def machine(self) -> Machine:
        """What attempts may use here."""
        return self.project.machine()

    def pools(self, store: Store) -> dict[str, int]:
        """The sizes of all pools."""
        return {pool.name: pool.size for pool in store.pools()} | self.project.sizes.pools

    def executor(self, codes: Codes, parameters: Mapping[str, Any], options: RunOptions) -> Executor:
        """Where attempts are made."""
        if options.executor == "inline":
            from penstock.executors.inline import InlineExecutor

            return InlineExecutor(self.values, parameters, codes.functions, self.worker_settings((), parameters))
        from penstock.executors.processes import ProcessExecutor

        settings = self.worker_settings(codes.modules, parameters)
        workers = options.workers or max(1, int(self.machine.cores))
        if not codes.shares:
            return ProcessExecutor(settings, workers)
        return routed(settings, workers)

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

    def observers(self, options: RunOptions) -> list[Observer]:
        """The progress display, where the options or a terminal ask for it."""
        progress = sys.stderr.isatty() if options.progress is None else options.progress
        if not (progress or options.logs):
            return []
        from penstock.observe.progress import display

        return [display(logs=options.logs)]


def routed(settings: WorkerSettings, workers: int) -> Executor:
    """Worker processes for most attempts, one for threads and one for coroutines."""
    from penstock.executors.concurrent import ConcurrentExecutor
    from penstock.executors.processes import ProcessExecutor
    from penstock.executors.routing import RoutingExecutor
    from penstock.executors.workers.server import Server

    server = Server(settings)
    return RoutingExecutor(
        {
            "process": ProcessExecutor(settings, workers, server),
            "thread": ConcurrentExecutor(settings, _THREADS, server),
            "loop": ConcurrentExecutor(settings, _COROUTINES, server),
        }
    )


def open_values(storage: Mapping[str, Any]) -> Values:
    """The values of a project, from `Services.storage`; also how worker processes get theirs."""
    from penstock.blobs.local import LocalBlobs
    from penstock.values import Values

    blobs = LocalBlobs(Path(storage["blobs"]))
    return Values(blobs, workspace=Path(storage["workspace"]), pickle=storage["pickle"])
