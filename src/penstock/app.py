"""Pipelines that can be run, and runs put together: a definition, the code of its tasks, a driver, and the adapters."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, Unpack, overload

import msgspec

from penstock.authoring.building import current_building
from penstock.authoring.decorated import check_function, check_name
from penstock.authoring.kinds.conversion import nearest
from penstock.authoring.options.pipelines import Options
from penstock.authoring.options.running import EXECUTORS, checked_options, patterns
from penstock.authoring.options.settings import PipelineOptions, Settings, settings_of
from penstock.authoring.pipeline import Composition
from penstock.authoring.placing import split_options
from penstock.authoring.scopes import exit_tasks
from penstock.authoring.source import caller
from penstock.errors import DefinitionError, LeaseLostError, NondeterministicError, StoreError, StoreGoneError
from penstock.model.generation import Choice
from penstock.model.options import RunOptions
from penstock.services import Services, SystemClock, find_run, open_values

if TYPE_CHECKING:
    from penstock.model.graph import Graph, Node
    from penstock.model.identity import Basis
    from penstock.model.run import Provenance, RunRecord
    from penstock.ports import Observer, Store
    from penstock.runtime.driver import Driver
    from penstock.runtime.dynamic.bodies import Bodies
    from penstock.runtime.generations.edits import Edits
    from penstock.runtime.generations.keeping import Keeping
    from penstock.runtime.planning.plan import Plan
    from penstock.runtime.planning.rehearsal import Rehearsed
    from penstock.runtime.run import Run

__all__ = [
    "EXECUTORS",
    "Launch",
    "Options",
    "Pipeline",
    "Services",
    "SystemClock",
    "checked_options",
    "find_run",
    "is_edited",
    "launch",
    "open_values",
    "pipeline",
    "plan",
    "renew",
    "resume",
]

P = ParamSpec("P")
R = TypeVar("R")


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
        values = self._given("run", parameters)
        return _uninterrupted(launch(self, values, self._settled_options()))

    def plan(self, **parameters: Any) -> Plan:
        """What a run of the pipeline would do now: what is cached, what would run and why, what is not yet known.
        Nothing is run, and nothing is written.

        Raises DefinitionError as `run` does.
        """
        values = self._given("plan", parameters)
        return plan(self, values, self._settled_options())

    def resume(
        self,
        run: str = "latest",
        *,
        keep: str | Sequence[str] = (),
        invalidate: str | Sequence[str] = (),
        take_over: bool = False,
    ) -> Run:
        """Go on with a run of this pipeline that is paused, or whose process is gone: what has ended stays so. `run` is
        its id, or a start of it.

        One that has failed or was cancelled begins anew, as its next generation: what is finished is kept, unless its code
        or its inputs changed. So does one whose process is gone, if code of what has finished was edited. `keep` and `invalidate` (ids of nodes, or patterns) keep results though they did, or make
        them anew though they did not. With `take_over`, also if that process seems to live: nothing that it does from now on is
        recorded.

        Raises NotFoundError, DefinitionError if the pipeline is no longer the one that ran, NondeterministicError if its
        body does something else than before, and StoreError for a run that has succeeded or is under way elsewhere.
        """
        options = self._settled_options()
        with Services(options).existing_store() as store:
            record = store.find(run)
        choice = Choice(keep=patterns(keep, "keep"), invalidate=patterns(invalidate, "invalidate"))
        choice = None if choice == Choice() else choice
        return _uninterrupted(resume(self, record, options, take_over=take_over, choice=choice))

    def retry(self, run: str, *nodes: str, keep: str | Sequence[str] = (), invalidate: str | Sequence[str] = ()) -> Run:
        """Run nodes of a run again (`train`, `fit[3]`, `fit[rf]`, or patterns; by default, those that failed), and all that
        depends on them, as the next generation of the run. What else is finished is kept, as by `resume`.

        Raises NotFoundError for a node that is not there, DefinitionError, and StoreError for a run that has not ended.
        """
        choice = Choice(keep=patterns(keep, "keep"), invalidate=patterns(invalidate, "invalidate"), again=nodes)
        options = self._settled_options()
        with Services(options).existing_store() as store:
            record = store.find(run)
        return _uninterrupted(renew(self, record, options, choice))

    def _given(self, used: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """The values of all parameters. Raises DefinitionError in the body of a pipeline."""
        building = current_building()
        if building is not None:
            raise DefinitionError(
                f"{self.name}.{used}() is used in the body of the pipeline {building.pipeline!r}, which runs nothing "
                "itself",
                where=str(caller()),
                remedy=f"Call it, and it becomes a part: {self.name}(...).",
            )
        return self.signature.resolve(given=parameters, environ=os.environ, where=str(caller()))

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
        if "refresh" in given:
            given["refresh"] = patterns(given["refresh"], "refresh")
        import copy

        changed = copy.copy(self)
        changed.run_options = checked_options(msgspec.structs.replace(self.run_options, **given))
        changed.placing = self.placing.changed(placing)
        return changed


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


def launch(
    pipeline: Composition[..., Any],
    parameters: Mapping[str, Any],
    options: RunOptions,
    *,
    target: str = "",
    observers: Sequence[Observer] = (),
    tags: Sequence[str] = (),
) -> Run:
    """Run a pipeline to its end, or to where it is paused, here. `parameters` are complete and of the right types.

    Raises DefinitionError before anything is written.
    """
    from penstock.runtime.surroundings.garbage import uncollected
    from penstock.runtime.tags import checked_tags

    tags = checked_tags(tags)
    with ExitStack() as opened:
        with uncollected():
            launch = opened.enter_context(Launch(pipeline, parameters, options, observers, begins=True))
            store = opened.enter_context(launch.services.store())
            driver = launch.driver(store, launch.new_run(store, target, tags))
        return launch.drive(driver, driver.drive)


def resume(
    pipeline: Composition[..., Any],
    run: RunRecord,
    options: RunOptions,
    *,
    observers: Sequence[Observer] = (),
    take_over: bool = False,
    say: Callable[[str], object] | None = None,
    choice: Choice | None = None,
) -> Run:
    """Go on with a run that is paused, or whose driver is gone, here; one that has failed or was cancelled begins anew (see
    `renew`), where a `choice` says what it keeps, and so does one that was left, if code of what has finished was edited
    since. With `take_over`, also if the driver that the record names seems to live: what it does from now on is not recorded. `say` is told if a driver has to be watched first.

    Raises DefinitionError if the pipeline is no longer the one that ran, NondeterministicError if its body does
    something else than before, and StoreError for a run that has succeeded or that another process drives.
    """
    if run.finished_at is not None:
        return renew(pipeline, run, options, choice or Choice(), observers=observers)
    from penstock.runtime.orphans import check_undriven, log
    from penstock.runtime.surroundings.processes import this_process

    with Launch(pipeline, pipeline.given_in(run), options, observers) as launch, launch.services.store() as store:
        launch.services.check_blobs()
        anew = launch.is_edited(store, run)
        if not take_over:
            check_undriven(store, run, say or log)
        if not anew:
            if choice is not None:
                raise DefinitionError(
                    f"run {run.run_id} has not ended, and goes on with all that is recorded of it",
                    remedy="Leave out what is to be kept or made anew.",
                )
            driver = launch.driver(store, store.reopen(run.run_id, this_process(), run.driver))
            return launch.drive(driver, driver.resume)
    return renew(pipeline, run, options, choice or Choice(), observers=observers, take_over=True)


def is_edited(pipeline: Composition[..., Any], run: RunRecord, options: RunOptions) -> bool:
    """Whether `resume` would begin a run anew that was left in the middle: what has finished of it was edited since.

    Raises DefinitionError if the pipeline is no longer the one that ran.
    """
    with Launch(pipeline, pipeline.given_in(run), options, ()) as launch, launch.services.existing_store() as store:
        return launch.is_edited(store, run)


def renew(
    pipeline: Composition[..., Any],
    run: RunRecord,
    options: RunOptions,
    choice: Choice,
    *,
    target: str = "",
    observers: Sequence[Observer] = (),
    say: Callable[[str], object] | None = None,
    take_over: bool = False,
) -> Run:
    """Begin a run that has ended anew, here, as its next generation: with the code as it is now, and its own parameters.
    What is finished is kept if nothing of it has changed, as far as the `choice` does not say otherwise; `take_over` as for
    `resume`.

    Raises NotFoundError for what is to run again and is not there, DefinitionError as `launch` does, and StoreError for a
    run that has not ended; nothing is recorded then. A run whose driver is gone is ended first.
    """
    from penstock.runtime.generations.choosing import check_over
    from penstock.runtime.orphans import log

    with Launch(pipeline, pipeline.given_again(run), options, observers) as launch, launch.services.store() as store:
        check_over(store, run, choice, say or log, take_over=take_over)
        driver = launch.driver(store, launch.new_generation(store, run, choice, target))
        return launch.drive(driver, driver.drive)


def plan(
    pipeline: Composition[..., Any],
    parameters: Mapping[str, Any],
    options: RunOptions,
    generation: tuple[RunRecord, Choice] | None = None,
) -> Plan:
    """What a run of a pipeline would do now: it is rehearsed, and nothing is run or recorded. `parameters` are complete
    and of the right types. With `generation`, a run that was to begin anew, and what it was to keep.

    Raises DefinitionError as `launch` does.
    """
    from penstock.runtime.generations.choosing import proposed
    from penstock.runtime.planning.planner import planned

    with (
        Services(options).looking() as services,
        services.store_as_it_is() as store,
        Launch(pipeline, parameters, options, (), services) as launch,
    ):
        record = launch.unrecorded_run(store)
        keeping = None if generation is None or store is None else proposed(store, services.values, *generation)
        return planned(
            launch.rehearsed(record, store, keeping),
            record,
            store=store,
            values=services.values,
            identities=launch.codes.identities,
            classes=launch.codes.classes,
            text_of=launch.codes.texts.get,
            options=options,
            workers=services.workers(options),
            keeping=keeping,
        )


class Launch:
    """A pipeline about to run: its first part is defined, and its code can be reached by where attempts are made."""

    def __init__(
        self,
        pipeline: Composition[..., Any],
        parameters: Mapping[str, Any],
        options: RunOptions,
        observers: Sequence[Observer],
        services: Services | None = None,
        *,
        begins: bool = False,
    ) -> None:
        self.pipeline = pipeline
        self.options = options
        self.observers = observers
        #: of a run that goes on
        self.edits: Edits | None = None
        #: sizes of the pools that there are
        self.pools: dict[str, int] = {}
        self.services = services or Services(options)
        self.definition = pipeline.begin(parameters)
        try:
            if begins:
                # not before the body: it may set what other processes inherit
                self.services.begin_ahead(pipeline.function)
            from penstock.runtime.codes import Codes

            arguments = self.services.project.container_arguments
            self.codes = Codes(self.definition, here=options.executor == "inline", container_arguments=arguments)
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> Launch:
        return self

    def __exit__(self, *_: object) -> None:
        self.services.end_ahead()
        if self.definition.body is not None:
            self.definition.body.stop()

    def check_secrets(self) -> None:
        """Raise DefinitionError for secrets that are needed and are not there."""
        from penstock.runtime.surroundings.secrets import check_secrets

        if not self.options.only_cached:
            check_secrets(self.definition)

    def new_run(self, store: Store, target: str, tags: Sequence[str] = ()) -> RunRecord:
        """Record a run that is about to begin."""
        self.services.check_blobs()
        self.check_secrets()
        record = self.unrecorded_run(store, target)
        store.create(record, *self._details(store, record))
        if tags:
            store.tag(record.run_id, add=tags)
        return record

    def _details(
        self, store: Store, record: RunRecord, more: Mapping[str, Any] = {}
    ) -> tuple[Graph, Provenance, Basis]:
        """What is recorded of a run besides; `more` is for its configuration."""
        from penstock.runtime.inputs.constants import with_stored_constants

        provenance = self.services.provenance(self.pipeline, record, self.options)
        provenance.configuration.update(more)
        self.codes.keep_new(store)
        basis = self.codes.basis(self.definition.parameters, self.services.values)
        return with_stored_constants(self.definition.graph, self.services.values), provenance, basis

    def new_generation(self, store: Store, run: RunRecord, choice: Choice, target: str = "") -> RunRecord:
        """Record that a run is about to begin anew. One whose driver is gone is ended first."""
        from penstock.model.generation import recorded
        from penstock.runtime.generations.choosing import end_if_left, settled
        from penstock.runtime.reading.past import Past

        self.services.check_blobs()
        self.check_secrets()
        record = msgspec.structs.replace(self.unrecorded_run(store, target or run.target), run_id=run.run_id)
        choice = settled(Past(store, self.services.values, run), choice)
        details = self._details(store, record, recorded(choice))
        end_if_left(store, run)
        return store.regenerate(record, *details)

    def unrecorded_run(self, store: Store | None, target: str = "") -> RunRecord:
        """A run that could begin now."""
        from penstock.runtime.capacity.demand import check
        from penstock.runtime.driving.fingerprints import check_files
        from penstock.runtime.driving.refreshing import check_patterns
        from penstock.runtime.surroundings.records import new_record

        self.pools = self.services.pools(store)
        check(self.definition.graph, self.services.machine, self.pools)
        check_patterns(self.definition.graph, self.options.refresh)
        check_files(self.definition.graph)
        self.codes.identify(self.services.values, self.services.project.folder)
        return new_record(self.pipeline, self.definition, target)

    def is_edited(self, store: Store, run: RunRecord) -> bool:
        """Whether a run that was left is to begin anew. Raises DefinitionError if the pipeline is another one by now."""
        from penstock.runtime.generations.edits import edits_of

        self._identify(store)
        self.edits = edits_of(store, self.services.values, run, self.definition.graph, self.codes)
        return self.edits.anew

    def _identify(self, store: Store) -> None:
        if not self.codes.tasks:
            self.codes.identify(self.services.values, self.services.project.folder)
            self.pools = self.services.pools(store)

    def driver(self, store: Store, record: RunRecord) -> Driver:
        """What drives the run."""
        from penstock.authoring.tasks.approvals import check_answer
        from penstock.runtime.driver import Driver
        from penstock.runtime.driving.lease import Lease

        definition, services, clock = self.definition, self.services, SystemClock()
        self._identify(store)
        executor = services.executor(self.codes, record.parameters, self.options)
        hooks, notices = services.hooks(definition, clock), services.notices()
        said = [self.codes, notices, *hooks, *(() if self.edits is None else (self.edits,))]
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
            options=self.options,
            attached=definition.attached,
            bodies=self.bodies(),
            admission=services.admission(definition.graph, record, store, executor, clock),
            convert=check_answer,
            complaints=lambda: [each for one in said for each in one.take_complaints()],
            new_code=partial((self.edits or self.codes).keep_new, store),
            code_of=self.codes.code_of,
            settle_hooks=hooks[0].settle if hooks else None,
            lease=Lease(store, services.existing_store, clock),
            keeping=self._keeping(store, record),
        )
        for each in hooks:
            each.follow(driver.progress)
        return driver

    def _keeping(self, store: Store, record: RunRecord) -> Keeping | None:
        """What decides which results of the generation before are kept; None in the first one."""
        if record.generation == 1:
            # most runs are, and need none of what this takes
            return None
        from penstock.runtime.generations.keeping import keeping_of

        return keeping_of(store, self.services.values, record)

    def rehearsed(self, record: RunRecord, store: Store | None, keeping: Keeping | None) -> Rehearsed:
        """The run rehearsed, without anything of it being run or recorded."""
        from penstock.runtime.planning.rehearsal import rehearse

        definition, bodies = self.definition, self.bodies()
        try:
            return rehearse(
                record,
                definition.graph,
                self.codes.tasks,
                definition.parameters,
                store=store,
                values=self.services.values,
                machine=self.services.machine,
                clock=SystemClock(),
                bodies=bodies,
                options=self.options,
                attached=definition.attached,
                code_of=self.codes.code_of,
                keeping=keeping,
            )
        finally:
            if bodies is not None:
                bodies.close()

    def bodies(self) -> Bodies | None:
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
        nodes = list(nodes)
        self.codes.admit(keys, tasks, nodes)
        check_nodes(nodes, tasks, self.services.machine, self.pools)

    def _resume(self, run_id: str) -> Run:
        with self.services.store() as store:
            record = store.find(run_id)
        return resume(self.pipeline, record, self.options, observers=self.observers)

    def _renew(self, run_id: str, choice: Choice) -> Run:
        with self.services.store() as store:
            record = store.find(run_id)
        return renew(self.pipeline, record, self.options, choice, observers=self.observers)

    def drive(self, driver: Driver, go: Callable[[], Any]) -> Run:
        """Let a driver go, and clean up after it."""
        from penstock.runtime.ending import end_as_broken, leave
        from penstock.runtime.interrupts import INTERRUPTED, interruptible
        from penstock.runtime.run import Run

        ended = False
        try:
            with interruptible(driver):
                go()
            ended = True
        except NondeterministicError:
            # nothing was done; with the body as it was, the run can still be resumed
            leave(driver.store, driver.run)
            raise
        except (LeaseLostError, StoreGoneError):
            # the run is another driver's by now, or nothing can be said of it
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
        replayer = partial(services.replayer, lambda: self.definition, prefers_defined=True)
        restore = self.definition.restore
        run = Run(record, services.store, services.values, restore, self._resume, replayer, self._renew)
        run.interrupted = driver.progress.cancelling == INTERRUPTED and run.state == "cancelled"
        return run
