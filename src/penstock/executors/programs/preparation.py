"""What a command needs before it can start: its scratch folder, its input files, its text with the inputs in it."""

from __future__ import annotations

import shlex
import shutil
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from penstock.errors import OutputError, PenstockError
from penstock.executors.context import current
from penstock.executors.programs.rendering import rendered, rendered_for_shell
from penstock.model.action import CommandAction
from penstock.values.writing import place, write

#: ends at the first line that fails
_SHELL = ("/bin/sh", "-e", "-c")


class Prepared(NamedTuple):
    """A command with its inputs in it."""

    argv: list[str]
    #: variables besides those of this process
    environment: dict[str, str]
    #: the command as a person would type it
    shown: str


def prepare(command: CommandAction, inputs: Mapping[str, Any]) -> Prepared:
    """The command with its inputs in their places. Raises OutputError for an input that has no text."""
    environment = {name: rendered(text, inputs, revealing=True) for name, text in command.environment.items()}
    if not command.shell:
        argv = [rendered(argument, inputs) for argument in command.argv]
        return Prepared(argv, environment, shlex.join(argv))
    line = rendered_for_shell(command.shell, inputs)
    return Prepared([*_SHELL, line.text], environment | line.variables, line.shown)


def put_inputs(command: CommandAction, inputs: Mapping[str, Any], folder: Path, *, link: bool) -> dict[str, Any]:
    """Write the inputs that go by file into a folder. Returns all inputs as they are to be put into the command: paths
    are absolute, those of the files written here are relative to the folder."""
    given = {name: value.absolute() if isinstance(value, Path) else value for name, value in inputs.items()}
    for name, file in command.files.items():
        try:
            write(inputs[name], folder / file, link=link)
        except PenstockError as error:
            raise OutputError(f"the input {name!r} cannot be handed over: {error.what}", remedy=error.remedy) from None
        given[name] = Path(file)
    return given


def put_reads(command: CommandAction, folder: Path, *, link: bool) -> None:
    """Put the files of the user's that the command reads into its folder."""
    for name, source in command.reads.items():
        if not (folder / name).exists():
            place(Path(source), folder / name, link=link)


@contextmanager
def scratch(command: CommandAction) -> Generator[Path]:
    """The scratch folder of the attempt; outside a run, one that is removed unless outputs are handed on as paths.

    In the block, what penstock itself raises names the line of the command.
    """
    context = current()
    folder = context.folder if context.attempt else Path(tempfile.mkdtemp(prefix="penstock-"))
    lasting = context.attempt or any(catch.read == "path" for catch in command.catches.values())
    try:
        yield folder
    except PenstockError as error:
        error.where = error.where or str(command.location)
        raise
    finally:
        if not lasting:
            shutil.rmtree(folder, ignore_errors=True)


__all__ = ["Prepared", "prepare", "put_inputs", "put_reads", "scratch"]
