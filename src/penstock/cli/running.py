"""Running a target as the command line does: from what was typed to the answer."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import msgspec

from penstock.cli.detaching import announce, take_descriptor
from penstock.cli.named_runs import run_named
from penstock.cli.reporting import FAILED, INTERRUPTED, PAUSED, SUCCEEDED, print_json, show, stdout_kept_clean
from penstock.errors import DefinitionError, LeaseLostError, PenstockError, RunFailedError, StoreError, WorkerLostError
from penstock.model.generation import Choice
from penstock.model.graph import Graph
from penstock.model.options import RunOptions
from penstock.model.run import Provenance, RunRecord, RunState
from penstock.model.trigger import Cause, Start
from penstock.registering.composing import composing

if TYPE_CHECKING:
    from penstock.app import Pipeline
    from penstock.model.work import AnyReport
    from penstock.ports import Observer, Turn
    from penstock.runtime.run import Run
    from penstock.runtime.surroundings.project import Project


class Asked(NamedTuple):
    """What a command line asks for: a pipeline, its parameters, and how to run it."""

    pipeline: Pipeline[..., Any]
    parameters: dict[str, Any]
    options: RunOptions
    #: what loads the pipeline
    target: str = ""
    #: what is settled of the run; None where nothing is
    start: Start | None = None


def asked_for(
    target: str,
    *,
    assignments: Sequence[str] = (),
    config: Path | None = None,
    logical_time: str | None = None,
    partitions: Sequence[str] = (),
    **flags: Any,
) -> Asked:
    """What was typed, loaded and checked.

    `flags` are fields of `RunOptions`; None leaves a choice to the file, the project's settings and the defaults.
    """
    from penstock.authoring.kinds.configuration import read_config
    from penstock.authoring.kinds.parameters import parse_assignments
    from penstock.cli.targets import find_target

    texts = parse_assignments(assignments)
    settings = {} if config is None else read_config(config)
    cause = cause_of(logical_time, partitions)
    with stdout_kept_clean():
        pipeline, place, version = find_target(target)
        options = options_of(pipeline, {name: value for name, value in flags.items() if value is not None})
        parameters = pipeline.signature.resolve(
            given={},
            texts=texts,
            config=settings,
            config_source="" if config is None else str(config),
            environ=os.environ,
            cause=cause,
        )
    start = None if cause is None and version is None else Start(cause=cause, version=version)
    return Asked(pipeline, parameters, options, place, start)


def cause_of(logical_time: str | None, partitions: Sequence[str]) -> Cause | None:
    """What a run is about by the command line; None where that says nothing. Raises DefinitionError."""
    if logical_time is None and not partitions:
        return None
    from penstock.cli.moments import moment_of

    time = None if logical_time is None else moment_of(logical_time, "--logical-time")
    return Cause(logical_time=time, partitions=tuple(partitions))


def run_target(
    target: str,
    *,
    as_json: bool = False,
    plan: bool = False,
    yes: bool = False,
    resume: bool = False,
    tags: Sequence[str] = (),
    **settings: Any,
) -> int:
    """Run a target, or go on with a run of it, and print how it went. Returns the exit code. See `prepared`."""
    from penstock.app import launch

    asked, found = prepared(target, plan=plan, yes=yes, resume=resume, **settings)
    if found is not None:
        flags = {name: value for name, value in settings.items() if name not in _OF_NEW_RUNS}
        return resume_run(found, target=target, as_json=as_json, take_over=True, **flags)
    pipeline, parameters, options, place, start = asked
    with stdout_kept_clean():
        ended = begun(
            pipeline,
            options,
            lambda observers: launch(
                pipeline, parameters, options, target=place, observers=observers, tags=tags, start=start
            ),
        )
    again = _command(target, **{name: value for name, value in settings.items() if name in (*_OF_NEW_RUNS, "executor")})
    return told(ended, target, again, progress=bool(options.progress), as_json=as_json, only_cached=options.only_cached)


#: settings that say what a new run is to be of
_OF_NEW_RUNS = ("assignments", "config", "logical_time", "partitions")


def prepared(
    target: str,
    *,
    plan: bool = False,
    yes: bool = False,
    resume: bool = False,
    as_json: bool = False,
    tags: Sequence[str] = (),
    **settings: Any,
) -> tuple[Asked, RunRecord | None]:
    """What was typed, with `resume` also the unfinished run of the same to go on with, if there is one.

    `settings` are those of `asked_for`. With `plan`, what would run is shown first, and unless `yes`, asked about.
    """
    from penstock.cli.planning import agree, check_askable
    from penstock.cli.unfinished import described, unfinished

    if plan and resume:
        raise click.UsageError("--plan shows what a new run would do, and --resume may go on with an old one.")
    if plan:
        check_askable(yes=yes)
    asked = asked_for(target, **settings)
    if plan:
        agree(asked, yes=yes)
    found = unfinished(asked) if resume else None
    if resume:
        going_on = "no unfinished run of the same: a new one" if found is None else f"going on with {described(found)}"
        click.echo(going_on, err=True)
    return asked, found


def resume_run(
    run: RunRecord | str,
    *,
    target: str | None = None,
    as_json: bool = False,
    choice: Choice | None = None,
    plan: bool = False,
    **flags: Any,
) -> int:
    """Go on with a run as `resumed` does, and print how it went. Returns the exit code. One that has ended begins anew; a
    `choice` says what it keeps, and with `plan`, that is only told."""
    from penstock.app import Services
    from penstock.cli.renewing import renew_run

    if isinstance(run, str):
        with Services().existing_store() as store:
            run = run_named(store, run)
    if run.finished_at is not None:
        flags.pop("take_over", None)
        return renew_run(run, choice or Choice(), target=target, plan=plan, as_json=as_json, **flags)
    if run.state is RunState.RUNNING and _is_edited(run, target, **flags):
        return renew_run(run, choice or Choice(), target=target, plan=plan, as_json=as_json, **flags)
    if plan or choice is not None:
        raise DefinitionError(
            f"run {run.run_id} has not ended, and goes on with all that is recorded of it",
            remedy="Leave out --keep, --invalidate and --plan.",
        )
    target, ended = resumed(run, target, **flags)
    again = shlex.join(["penstock", "run", target])
    return told(ended, target, again, progress=bool(flags.get("progress")), as_json=as_json)


def _is_edited(run: RunRecord, target: str | None, *, take_over: bool = False, **flags: Any) -> bool:
    """Whether a run that was left is to begin anew, since what has finished was edited."""
    from penstock.app import is_edited

    _, pipeline, options = loaded(run, target, **flags)
    with stdout_kept_clean(), composing(pipeline):
        return is_edited(pipeline, run, options)


def resumed(
    run: RunRecord | str, target: str | None = None, *, take_over: bool = False, **flags: Any
) -> tuple[str, Run]:
    """The target of a run, and the run after it has gone on to its end, or to where it is paused. `target` is for a pipeline
    that has moved; with `take_over`, the run is taken from the driver that its record names, whether that lives or not."""
    from penstock.app import Services, resume

    with Services().existing_store() as store:
        record = run_named(store, run) if isinstance(run, str) else run
    target, pipeline, options = loaded(record, target, **flags)
    with stdout_kept_clean():
        ended = begun(
            pipeline,
            options,
            lambda observers: resume(pipeline, record, options, observers=observers, take_over=take_over, say=say),
        )
    return target, ended


def loaded(record: RunRecord, target: str | None, **flags: Any) -> tuple[str, Pipeline[..., Any], RunOptions]:
    """The target of a run, its pipeline, and how to go on with it: as before, unless `flags` say otherwise."""
    from penstock.app import Services
    from penstock.cli.targets import load_target, target_of
    from penstock.errors import TargetError

    with Services().existing_store() as store:
        provenance = store.provenance(record.run_id)
    with stdout_kept_clean():
        named, target = target, target or target_of(record, provenance)
        try:
            pipeline = load_target(target)
        except TargetError as error:
            if named is not None:
                raise
            elsewhere = (
                f"If it is elsewhere now, say where: --target FILE (run {record.run_id} was started from {target})"
            )
            remedy = f"{error.remedy}\n{elsewhere}" if error.remedy else elsewhere
            raise TargetError(error.what, where=error.where, remedy=remedy) from error
        given = {name: value for name, value in flags.items() if value is not None}
        return target, pipeline, options_of(pipeline, {**_as_before(provenance), **given})


def say(text: str) -> None:
    """Tell people what takes a while."""
    click.echo(text, err=True)


def _as_before(provenance: Provenance) -> dict[str, Any]:
    """The options that decide how a run is carried out, as they were when it began."""
    names = ("executor", "workers", "cache", "only_cached", "pickle")
    configuration = provenance.configuration
    found = {name: configuration[name] for name in names if name in configuration}
    return {**found, "refresh": tuple(configuration.get("refresh", ()))}


def told(
    ended: Run,
    target: str,
    again: str,
    *,
    progress: bool,
    as_json: bool,
    only_cached: bool = False,
    more: Mapping[str, Any] = {},
) -> int:
    """Print how a run went, which with `only_cached` was to run nothing; `more` is for its document. Returns the exit
    code."""
    if as_json:
        print_json({**ended.document, **more})
    else:
        if progress:
            click.echo(err=True)
        _tell(ended, target, again, only_cached=only_cached)
    if ended.state is RunState.PAUSED:
        _ask(ended)
    if ended.interrupted:
        return INTERRUPTED
    return {RunState.SUCCEEDED: SUCCEEDED, RunState.PAUSED: PAUSED}.get(ended.state, FAILED)


def _ask(paused: Run) -> None:
    """Say on stderr what a run waits for, and how to answer."""
    from penstock.cli.questions_view import until_when

    for question in paused.questions:
        until = until_when(question)
        asks = f"{question['question']}{f' (until {until})' if until else ''}"
        click.echo(f"paused: {question['id']} asks: {asks}", err=True)
        click.echo(f"  {answer_command(paused.run_id, question)}", err=True)


def answer_command(run_id: str, question: Mapping[str, Any]) -> str:
    """What to type to answer a question."""
    words = ["penstock", "approve", run_id, question["id"]]
    for field in question["fields"]:
        if field["required"]:
            value = field["type"] if field["type"].isidentifier() else field["name"]
            words += ["-v", f"{field['name']}={value.upper()}"]
    return shlex.join(words)


def options_of(pipeline: Pipeline[..., Any], flags: Mapping[str, Any]) -> RunOptions:
    """How to run: as the command line says, else the file, else the project's settings."""
    from penstock.app import checked_options
    from penstock.runtime.surroundings.project import working_project

    own = pipeline.run_options
    project: Project = working_project(own.home)
    settled = project.applied(own)
    options = msgspec.structs.replace(settled, **flags)
    try:
        return checked_options(options)
    except DefinitionError as error:
        # no line of Python is at fault
        where = str(project.source) if settled != own and "executor" not in flags else None
        raise DefinitionError(error.what, where=where, remedy=error.remedy) from None


def begun(pipeline: Pipeline[..., Any], options: RunOptions, go: Callable[[list[Observer]], Run]) -> Run:
    """The run, ended. What keeps it from beginning raises another error than what breaks it off."""
    from penstock.app import Services

    beginning = _Beginning()
    try:
        with composing(pipeline):
            return go([beginning, *Services(options).observers(options)])
    except LeaseLostError:
        raise
    except (OSError, StoreError, WorkerLostError) as error:
        if beginning.run is None:
            raise
        known = isinstance(error, PenstockError)
        remedy = (error.remedy or "" if known else "").replace(
            "penstock resume RUN", f"penstock resume {beginning.run}"
        )
        if beginning.run not in remedy:
            remedy = " ".join([*remedy.split(), f"Then go on: penstock resume {beginning.run}"])
        what = error.what if known else str(error)
        raise RunFailedError(f"run {beginning.run} broke off: {what}", remedy=remedy) from error


class _Beginning:
    """Knows whether a run has begun, and tells that to whoever waits for it."""

    def __init__(self) -> None:
        #: the id of the run
        self.run: str | None = None
        self._announced_to = take_descriptor()

    def watch(self, run: RunRecord, graph: Graph) -> None:
        self.run = run.run_id
        announce(run.run_id, self._announced_to)

    def turn(self, turn: Turn, reports: Sequence[AnyReport]) -> None:
        pass

    def close(self) -> None:
        pass


def _command(
    target: str,
    *,
    assignments: Sequence[str] = (),
    config: Path | None = None,
    logical_time: str | None = None,
    partitions: Sequence[str] = (),
    executor: str | None = None,
) -> str:
    """What to type to run the same again."""
    words = ["penstock", "run", target]
    words += [word for assignment in assignments for word in ("-p", assignment)]
    words += ["--config", str(config)] if config is not None else []
    words += ["--logical-time", logical_time] if logical_time is not None else []
    words += [word for partition in partitions for word in ("--partition", partition)]
    words += ["--executor", executor] if executor is not None else []
    return shlex.join(words)


def _tell(ended: Run, target: str, again: str, *, only_cached: bool) -> None:
    """The summary of a run, and what to do next."""
    from penstock.cli.views import next_steps, summary

    show(summary(ended.document))
    if ended.state is RunState.PAUSED:
        steps = [(f"penstock approve {ended.run_id}", "what it asks"), ("penstock show latest", "what is done so far")]
        steps.append((f"penstock cancel {ended.run_id}", "end it"))
    elif ended.state is RunState.CANCELLED:
        steps = [(f"penstock resume {ended.run_id}", "go on: what has finished is kept")]
    elif ended.state is RunState.FAILED and only_cached:
        # no task has printed anything
        steps = [(again, "without --only-cached: what is missing is made")]
        steps.append((f"penstock plan{again.removeprefix('penstock run')}", "what that would run, and why"))
    elif ended.state is RunState.FAILED:
        failed = [task.id for task in ended.tasks if task.state == "failed" and task.attempts][:1]
        steps = [(shlex.join(["penstock", "logs", "latest", *failed]), "what it printed")]
        steps.append((f"penstock resume {ended.run_id}", "go on once it is mended: what has succeeded is kept"))
    else:
        steps = [
            ("penstock show latest", "every task: time, memory, outputs"),
            ("penstock artifacts list", "what was made"),
            (shlex.join(["penstock", "graph", target, "-o", "graph.html"]), "a picture of it"),
        ]
    show(next_steps(steps))
