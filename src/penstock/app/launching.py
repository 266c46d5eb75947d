"""Runs put together: a definition, the code of its tasks, a driver, and the adapters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from penstock.authoring.pipeline import Composition
from penstock.errors import DefinitionError, LeaseLostError, NondeterministicError, StoreError, StoreGoneError
from penstock.model.generation import Choice
from penstock.model.options import RunOptions
from penstock.services import Services, SystemClock

if TYPE_CHECKING:
    from penstock.model.graph import Graph, Node, Task
    from penstock.model.identity import Basis
    from penstock.model.run import Provenance, RunRecord
    from penstock.model.trigger import Start
    from penstock.ports import Observer, Store
    from penstock.runtime.driver import Driver
    from penstock.runtime.dynamic.bodies import Bodies
    from penstock.runtime.generations.edits import Edits
    from penstock.runtime.generations.keeping import Keeping
    from penstock.runtime.planning.plan import Plan
    from penstock.runtime.planning.rehearsal import Rehearsed
    from penstock.runtime.run import Run


def launch(
    pipeline: Composition[..., Any],
    parameters: Mapping[str, Any],
    options: RunOptions,
    *,
    target: str = "",
    observers: Sequence[Observer] = (),
    tags: Sequence[str] = (),
    start: Start | None = None,
) -> Run:
    """Run a pipeline to its end, or to where it is paused, here. `parameters` are complete and of the right types; `start`
    says what is settled of the run already.

    Raises DefinitionError before anything is written, and StoreError if there is a run of that id.
    """
    from penstock.runtime.surroundings.garbage import uncollected
    from penstock.runtime.tags import checked_tags

    tags = checked_tags(tags)
    with ExitStack() as opened:
        with uncollected():
            launch = opened.enter_context(Launch(pipeline, parameters, options, observers, begins=True))
            store = opened.enter_context(launch.services.store())
            driver = launch.driver(store, launch.new_run(store, target, tags, start))
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
        Launch(pipeline, parameters, options, (), services, plans=True) as launch,
    ):
        record = launch.unrecorded_run(store)
        keeping = None if generation is None or store is None else proposed(store, services.values, *generation)
        found = planned(
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
        found.refusal = launch.refusal()
    found.ignored = pipeline.ignored
    return found


def begun_as(run: RunRecord, start: Start | None) -> RunRecord:
    """A run, with what was settled of it before."""
    if start is None:
        return run
    return msgspec.structs.replace(run, run_id=start.run_id or run.run_id, cause=start.cause, version=start.version)


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
        plans: bool = False,
    ) -> None:
        self.pipeline = pipeline
        #: whether it is only to be told what a run would do: what no run can have may then be in it
        self._plans = plans
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
                for each in pipeline.beginnings:
                    each()
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

    def new_run(self, store: Store, target: str, tags: Sequence[str] = (), start: Start | None = None) -> RunRecord:
        """Record a run that is about to begin."""
        self.services.check_blobs()
        self.check_secrets()
        record = begun_as(self.unrecorded_run(store, target), start)
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
        if self.pipeline.ignored:
            provenance = msgspec.structs.replace(provenance, ignored=self.pipeline.ignored)
        self.codes.keep_new(store)
        basis = self.codes.basis(self.definition.parameters, self.services.values)
        return with_stored_constants(self.definition.graph, self.services.values), provenance, basis

    def new_generation(self, store: Store, run: RunRecord, choice: Choice, target: str = "") -> RunRecord:
        """Record that a run is about to begin anew. One whose driver is gone is ended first."""
        from penstock.model.generation import recorded
        from penstock.model.trigger import Start
        from penstock.runtime.generations.choosing import end_if_left, settled
        from penstock.runtime.reading.past import Past

        self.services.check_blobs()
        self.check_secrets()
        start = Start(run_id=run.run_id, cause=run.cause, version=run.version)
        record = begun_as(self.unrecorded_run(store, target or run.target), start)
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

        self._check_runnable(self.definition.graph.nodes, self.definition.graph.tasks)
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
        self._check_runnable(nodes, tasks)
        self.codes.admit(keys, tasks, nodes)
        check_nodes(nodes, tasks, self.services.machine, self.pools)

    def _check_runnable(self, nodes: Iterable[Node], tasks: Mapping[str, Task]) -> None:
        from penstock.runtime.opaque import check_runnable

        if not self._plans:
            check_runnable(nodes, tasks)

    def refusal(self) -> DefinitionError | None:
        """Why no run of what is known of the pipeline can be; None where one can."""
        from penstock.runtime.opaque import refusal

        graph = self.definition.graph
        return refusal(graph.nodes, graph.tasks)

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


__all__ = ["Launch", "begun_as", "is_edited", "launch", "plan", "renew", "resume"]
