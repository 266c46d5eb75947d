"""Running a target as the command line does: from what was typed to the answer."""

from __future__ import annotations

import os
import shlex
import traceback
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from penstock.cli.reporting import FAILED, INTERRUPTED, SUCCEEDED, print_json, show, stdout_kept_clean
from penstock.errors import DefinitionError, PenstockError, RunFailedError, StoreError
from penstock.model.graph import Graph
from penstock.model.options import RunOptions
from penstock.model.run import RunRecord, RunState

if TYPE_CHECKING:
    from penstock.app import Pipeline
    from penstock.model.work import AnyReport
    from penstock.ports import Turn
    from penstock.runtime.project import Project
    from penstock.runtime.run import Run


def run_target(
    target: str,
    *,
    assignments: Sequence[str] = (),
    config: Path | None = None,
    as_json: bool = False,
    **flags: Any,
) -> int:
    """Run a target and print how it went. Returns the exit code.

    `flags` are fields of `RunOptions`; None leaves a choice to the file, the project's settings and the defaults.
    """
    from penstock.authoring.configuration import read_config
    from penstock.authoring.parameters import parse_assignments
    from penstock.cli.targets import load_target

    texts = parse_assignments(assignments)
    settings = {} if config is None else read_config(config)
    with stdout_kept_clean():
        pipeline = load_target(target)
        options = _options(pipeline, {name: value for name, value in flags.items() if value is not None})
        parameters = pipeline.signature.resolve(
            given={},
            texts=texts,
            config=settings,
            config_source="" if config is None else str(config),
            environ=os.environ,
        )
        ended = _launched(pipeline, parameters, options, target)
    if as_json:
        print_json(ended.document)
    else:
        if options.progress:
            click.echo(err=True)
        _tell(ended, target, _command(target, assignments, config, flags.get("executor")))
    return {RunState.SUCCEEDED: SUCCEEDED, RunState.CANCELLED: INTERRUPTED}.get(ended.state, FAILED)


def _options(pipeline: Pipeline[..., Any], flags: Mapping[str, Any]) -> RunOptions:
    """How to run: as the command line says, else the file, else the project's settings."""
    from penstock.app import checked_options
    from penstock.runtime.project import working_project

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


def _launched(pipeline: Pipeline[..., Any], parameters: Mapping[str, Any], options: RunOptions, target: str) -> Run:
    """The run, ended. What keeps it from beginning raises another error than what breaks it off."""
    from penstock.app import Services, launch

    services = Services(options)
    begun = _Begun()
    try:
        with composing(pipeline):
            return launch(pipeline, parameters, options, target=target, observers=[begun, *services.observers(options)])
    except (OSError, StoreError) as error:
        if begun.run is None:
            raise
        remedy = error.remedy if isinstance(error, StoreError) else None
        what = error.what if isinstance(error, StoreError) else str(error)
        raise RunFailedError(f"run {begun.run} broke off: {what}", remedy=remedy) from error


class _Begun:
    """Knows whether a run has begun."""

    def __init__(self) -> None:
        #: the id of the run
        self.run: str | None = None

    def watch(self, run: RunRecord, graph: Graph) -> None:
        self.run = run.run_id

    def turn(self, turn: Turn, reports: Sequence[AnyReport]) -> None:
        pass

    def close(self) -> None:
        pass


@contextmanager
def composing(pipeline: Pipeline[..., Any]) -> Generator[None]:
    """What the body of a pipeline itself raises in the block becomes a DefinitionError with the user's traceback."""
    from penstock.model.fault import user_traceback

    try:
        yield
    except (PenstockError, KeyboardInterrupt):
        raise
    except BaseException as error:
        body = getattr(pipeline.function, "__code__", None)
        if not any(frame.f_code is body for frame, _ in traceback.walk_tb(error.__traceback__)):
            raise
        told = user_traceback(error).rstrip()
        raise DefinitionError(f"the body of the pipeline {pipeline.name} failed\n{told}") from None


def _command(target: str, assignments: Sequence[str], config: Path | None, executor: str | None) -> str:
    """What to type to run the same again."""
    words = ["penstock", "run", target]
    words += [word for assignment in assignments for word in ("-p", assignment)]
    words += ["--config", str(config)] if config is not None else []
    words += ["--executor", executor] if executor is not None else []
    return shlex.join(words)


def _tell(ended: Run, target: str, again: str) -> None:
    """The summary of a run, and what to do next."""
    from penstock.cli.views import next_steps, summary

    show(summary(ended.document))
    if ended.state is RunState.CANCELLED:
        steps = [(again, "go on: what has finished comes from the cache")]
    elif ended.state is RunState.FAILED:
        failed = [task.id for task in ended.tasks if task.state == "failed"][:1]
        steps = [(shlex.join(["penstock", "logs", "latest", *failed]), "what it printed")]
        steps.append((again, "again: what has succeeded comes from the cache"))
    else:
        steps = [
            ("penstock show latest", "every task: time, memory, outputs"),
            ("penstock artifacts list", "what was made"),
            (shlex.join(["penstock", "graph", target, "-o", "graph.html"]), "a picture of it"),
        ]
    show(next_steps(steps))
