"""Commands: inputs go into arguments, environment and files; outputs come from stdout, files or the exit code."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from penstock.errors import CommandError
from penstock.executors.programs.catching import check_end, keeps_stdout, outputs_of, tells_stdout
from penstock.executors.programs.children import Ended, run
from penstock.executors.programs.preparation import Prepared, prepare, put_inputs, put_reads, scratch
from penstock.model.action import CommandAction, ContainerAction

#: exit codes of shells for a program that is not there, and for one that cannot be run
_NOT_FOUND, _NOT_RUNNABLE = 127, 126


def callable_of(action: CommandAction | ContainerAction) -> Callable[..., Any]:
    """What runs a command, here and now: it takes the inputs by keyword and returns the output called `result` as it
    is, others as a dict, after the command has ended. What the command writes goes to this process's stdout and stderr
    meanwhile.

    It raises CommandError for a command that fails or cannot be started, OutputError for an output that is not there,
    and Skip where the exit code says so.
    """
    if isinstance(action, ContainerAction):
        from penstock.executors.programs.containers import run_container

        return partial(_called, run_container, action)
    return partial(_called, run_command, action)


def _called(runs: Callable[[Any, Mapping[str, Any]], Any], action: Any, /, **inputs: Any) -> Any:
    return runs(action, inputs)


def run_command(command: CommandAction, inputs: Mapping[str, Any]) -> Any:
    """Run a command with its inputs. See `callable_of`."""
    with scratch(command) as folder:
        given = put_inputs(command, inputs, folder, link=True)
        home = Path(command.folder) if command.folder else folder
        if command.folder:
            given |= {name: folder / file for name, file in command.files.items()}
        else:
            put_reads(command, folder, link=True)
        prepared = prepare(command, given)
        ended = _run(command, prepared, home)
        check_end(command, prepared.shown, ended)
        return outputs_of(command, ended, home, given)


def _run(command: CommandAction, prepared: Prepared, home: Path) -> Ended:
    if not home.is_dir():
        raise CommandError(f"the folder to run in is not there: {home}", exit_code=_NOT_FOUND)
    argv = [_found(prepared.argv[0], home), *prepared.argv[1:]]
    # what a program in Python says is to be heard when it says it
    environment = {"PYTHONUNBUFFERED": "1", **os.environ, **prepared.environment}
    keep, tell = keeps_stdout(command), tells_stdout(command)
    try:
        return run(argv, folder=home, environment=environment, keep=keep, tell=tell)
    except OSError as error:
        remedy = None
        if isinstance(error, PermissionError):
            remedy = f"Make it executable (chmod +x {argv[0]}), or name its interpreter first: python {argv[0]}."
        raise CommandError(
            f"{argv[0]} cannot be run: {error.strerror or error}", exit_code=_NOT_RUNNABLE, remedy=remedy
        ) from None


def _found(program: str, home: Path) -> str:
    """The program to start: as a path from its folder if it has a slash, else by the search path."""
    there = program if (home / program).exists() else None
    found = there if "/" in program else shutil.which(program)
    if found is None:
        raise CommandError(
            f"there is no program {program!r}",
            exit_code=_NOT_FOUND,
            remedy="Install it, or give the path to it."
            + (" A line for the shell is one text, not a list." if " " in program else ""),
        )
    return found


__all__ = ["callable_of", "run_command"]
