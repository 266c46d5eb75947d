"""Pipelines that can be run."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, Unpack, overload

import msgspec

from penstock.app.launching import Launch, is_edited, launch, plan, renew, resume
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
from penstock.errors import DefinitionError
from penstock.model.generation import Choice
from penstock.model.options import RunOptions
from penstock.model.trigger import Cause, Start
from penstock.services import Services, SystemClock, find_run, open_values

if TYPE_CHECKING:
    from datetime import date, datetime

    from penstock.model.graph import Graph
    from penstock.runtime.planning.plan import Plan
    from penstock.runtime.run import Run

__all__ = [
    "ASSETS",
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

#: what the target of a run begins with that makes assets; behind it come the files that they are in
ASSETS = "assets:"


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
        #: what its runs are about; None where nobody has said
        self.cause: Cause | None = None

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
        start = None if self.cause is None else Start(cause=self.cause)
        return _uninterrupted(launch(self, values, self._settled_options(), start=start))

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
        return self.signature.resolve(given=parameters, environ=os.environ, where=str(caller()), cause=self.cause)

    def _settled_options(self) -> RunOptions:
        from penstock.runtime.surroundings.project import working_project

        return checked_options(working_project(self.run_options.home).applied(self.run_options))

    def graph(self, **parameters: Any) -> Graph:
        """The pipeline as data. Parameters are only needed where the body itself uses their values."""
        return self.define(self.signature.resolve(given=parameters, where=str(caller()), partial=True)).graph

    def at(
        self,
        logical_time: datetime | date | str | None = None,
        *,
        partition: str | Sequence[str] | None = None,
    ) -> Pipeline[P, R]:
        """The same pipeline, for runs that are about a time or a partition, as if a trigger had started them: what
        `logical_time()` and `partition()` stand for. A time without a zone is in UTC.

        Raises DefinitionError for what is no moment, and no key.
        """
        import copy

        from penstock.authoring.kinds.causes import person_cause

        changed = copy.copy(self)
        changed.cause = person_cause(logical_time, partition)
        return changed

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
