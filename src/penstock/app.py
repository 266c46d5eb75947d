"""Composition: the only place that knows which adapter serves which port."""

from __future__ import annotations

import functools
import os
import socket
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

import msgspec

from penstock.authoring.building import current_building
from penstock.authoring.decorated import check_function, check_name
from penstock.authoring.pipeline import Composition, Definition
from penstock.authoring.source import caller
from penstock.authoring.task import Task
from penstock.errors import DefinitionError, NotFoundError, StoreError
from penstock.model.options import RunOptions

if TYPE_CHECKING:
    from penstock.model.graph import Graph
    from penstock.model.work import WorkerSettings
    from penstock.ports import Executor, Observer, Store
    from penstock.runtime.driver import TaskCode
    from penstock.runtime.project import Project
    from penstock.runtime.run import Run
    from penstock.stores.sqlite import SqliteStore
    from penstock.values import Values

P = ParamSpec("P")
R = TypeVar("R")

EXECUTORS = ("processes", "inline")


class Pipeline(Composition[P, R]):
    """A function that composes tasks, ready to run.

    Called inside another pipeline it becomes a part of it; called anywhere else it runs, and returns its value or
    raises the exception of the task that failed.
    """

    def __init__(self, function: Callable[P, R], name: str, options: RunOptions) -> None:
        super().__init__(function, name)
        self.run_options = options

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        building = current_building()
        if building is not None:
            return self.inline(building, args, kwargs)
        return self.run(**self.bound(args, kwargs)).result

    def run(self, **parameters: Any) -> Run:
        """Run the pipeline. Returns the run, whether it succeeded or not.

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
        run = launch(self, values, self._settled_options())
        if run.state == "cancelled":
            raise KeyboardInterrupt(f"run {run.run_id} was interrupted; finished tasks are in the cache")
        return run

    def _settled_options(self) -> RunOptions:
        from penstock.runtime.project import working_project

        return checked_options(working_project(self.run_options.home).applied(self.run_options))

    def graph(self, **parameters: Any) -> Graph:
        """The pipeline as data. Parameters are only needed where the body itself uses their values."""
        return self.define(self.signature.resolve(given=parameters, where=str(caller()), partial=True)).graph

    def options(
        self,
        *,
        executor: str | None = None,
        workers: int | None = None,
        cache: bool | None = None,
        pickle: bool | None = None,
        home: str | Path | None = None,
        progress: bool | None = None,
        logs: bool | None = None,
    ) -> Pipeline[P, R]:
        """The same pipeline run another way; what is not given stays as it is. See `RunOptions` for the meanings."""
        changes = {
            "executor": executor,
            "workers": workers,
            "cache": cache,
            "pickle": pickle,
            "home": None if home is None else str(home),
            "progress": progress,
            "logs": logs,
        }
        given = {name: value for name, value in changes.items() if value is not None}
        return Pipeline(self.function, self.name, checked_options(msgspec.structs.replace(self.run_options, **given)))


@overload
def pipeline(function: Callable[P, R], /) -> Pipeline[P, R]: ...


@overload
def pipeline(*, name: str | None = None) -> Callable[[Callable[P, R]], Pipeline[P, R]]: ...


def pipeline(function: Callable[..., Any] | None = None, /, *, name: str | None = None) -> Any:
    """Make a function a pipeline. `name` is what its runs are filed under (default: the function's name).

    Raises DefinitionError for something that is not a plain function, and for a name with a slash.
    """

    def decorate(function: Callable[..., Any]) -> Pipeline[..., Any]:
        check_function(function, "pipeline")
        check_name(name)
        return Pipeline(function, name or function.__name__, RunOptions())

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
    """Run a pipeline to its end, here. `parameters` are complete and of the right types.

    Raises DefinitionError before anything is written.
    """
    definition = pipeline.define(parameters)
    codes = _codes(definition, options)
    services = Services(options)
    with services.store() as store:
        return _drive(pipeline, definition, codes, options, services, store, target, observers)


def _drive(
    pipeline: Composition[..., Any],
    definition: Definition,
    codes: Mapping[str, Any],
    options: RunOptions,
    services: Services,
    store: Store,
    target: str,
    observers: Sequence[Observer],
) -> Run:
    from penstock.runtime.driver import Driver
    from penstock.runtime.interrupts import interruptible
    from penstock.runtime.run import Run

    tasks = services.identified(definition, codes)
    record = _new_run(pipeline, definition, target)
    store.create(record, definition.graph, services.provenance(pipeline, record, options))
    executor = services.executor(definition, tasks, record.parameters, options)
    driver = Driver(
        run=record,
        graph=definition.graph,
        tasks=tasks,
        parameters=definition.parameters,
        store=store,
        values=services.values,
        executor=executor,
        clock=SystemClock(),
        observers=observers or services.observers(options),
        use_cache=options.cache,
    )
    ended = False
    try:
        with interruptible(driver):
            driver.drive()
        ended = True
    except BaseException:
        with suppress(StoreError):
            driver.abandon()
        raise
    finally:
        executor.close(kill=not ended)
        for observer in driver.observers:
            observer.close()
    return Run(store.find(record.run_id), services.store, services.values, definition.restore)


def _codes(definition: Definition, options: RunOptions) -> dict[str, Any]:
    """How the executor gets at each task's function. Raises DefinitionError for one that workers cannot reach."""
    from penstock.authoring.importable import code_of
    from penstock.model.work import Local

    if options.executor == "inline":
        return {key: Local(key) for key in definition.functions}
    return {key: code_of(task) for key, task in definition.functions.items()}


def _new_run(pipeline: Composition[..., Any], definition: Definition, target: str) -> Any:
    from penstock.authoring.parameters import to_json
    from penstock.model.run import RunRecord, RunState

    now = time.time()
    return RunRecord(
        run_id=f"{time.strftime('%Y%m%d-%H%M%S', time.localtime(now))}-{os.urandom(3).hex()}",
        pipeline=pipeline.name,
        state=RunState.RUNNING,
        parameters={name: to_json(value) for name, value in definition.parameters.items()},
        started_at=now,
        target=target or getattr(pipeline.function, "__module__", ""),
        driver=f"{socket.gethostname()}:{os.getpid()}",
    )


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()


class Services:
    """The adapters that serve one project."""

    def __init__(self, options: RunOptions | None = None) -> None:
        from penstock.runtime.project import working_project

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

    def identified(self, definition: Definition, codes: Mapping[str, Any]) -> dict[str, TaskCode]:
        """The tasks of a definition with the identity of their code."""
        from penstock.fingerprint.code import CodeReader
        from penstock.runtime.driver import TaskCode

        values = self.values

        def digest_of(value: Any) -> bytes:
            # a path in the code counts as the text it is: what it leads to may be large, or this project's own state
            constant = str(value) if isinstance(value, PurePath) else value
            return values.digest(values.store(constant)[0])

        reader = CodeReader(digest_of)
        return {
            key: TaskCode(codes[key], reader.identify(task.function).digest, _record_type(task))
            for key, task in definition.functions.items()
        }

    def provenance(self, pipeline: Composition[..., Any], record: Any, options: RunOptions) -> Any:
        from penstock.runtime.provenance import capture

        file = getattr(sys.modules.get(pipeline.function.__module__), "__file__", None)
        return capture(
            command=tuple(sys.argv),
            folder=Path(file).parent if file else Path.cwd(),
            source_files=[Path(file)] if file else [],
            parameters=record.parameters,
            configuration=msgspec.to_builtins(options) | {"home": str(self.project.home)},
        )

    def executor(
        self,
        definition: Definition,
        tasks: Mapping[str, TaskCode],
        parameters: Mapping[str, Any],
        options: RunOptions,
    ) -> Executor:
        if options.executor == "inline":
            from penstock.executors.inline import InlineExecutor

            return InlineExecutor(self.values, parameters, {k: t.function for k, t in definition.functions.items()})
        from penstock.executors.processes import ProcessExecutor

        return ProcessExecutor(self.worker_settings(tasks, parameters), options.workers)

    def worker_settings(
        self, tasks: Mapping[str, TaskCode], parameters: Mapping[str, Any], storage: dict[str, Any] | None = None
    ) -> WorkerSettings:
        """What worker processes are told at their start."""
        from penstock.model.work import Imported, WorkerSettings

        modules = {task.code.module: task.code for task in tasks.values() if isinstance(task.code, Imported)}
        return WorkerSettings(
            values="penstock.app:open_values",
            storage=storage or self.storage,
            path=tuple(sys.path),
            modules=tuple(modules.values()),
            parameters=dict(parameters),
        )

    def observers(self, options: RunOptions) -> list[Observer]:
        """The progress display, where the options or a terminal ask for it."""
        progress = sys.stderr.isatty() if options.progress is None else options.progress
        if not (progress or options.logs):
            return []
        from penstock.observe.progress import display

        return [display(logs=options.logs)]


def open_values(storage: Mapping[str, Any]) -> Values:
    """The values of a project, from `Services.storage`; also how worker processes get theirs."""
    from penstock.blobs.local import LocalBlobs
    from penstock.values import Values

    blobs = LocalBlobs(Path(storage["blobs"]))
    return Values(blobs, workspace=Path(storage["workspace"]), pickle=storage["pickle"])


def _record_type(task: Task[..., Any]) -> str:
    annotation = task.outputs.annotation
    if task.outputs.record in ("named", "dataclass"):
        return f"{annotation.__module__}:{annotation.__qualname__}"
    return ""
