"""What a command has come to: whether it failed, and its outputs."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Mapping
from pathlib import Path, PurePath
from typing import Any

from penstock.errors import CommandError, OutputError, Skip
from penstock.executors.programs.children import Ended
from penstock.executors.programs.rendering import rendered
from penstock.model.action import Catch, CommandAction

#: the output of a command that has only one
_RESULT = "result"
#: characters of a text that a message quotes, and files that it lists
_QUOTED, _LISTED = 200, 20
#: characters of a command that a message quotes
_LONGEST = 500


def keeps_stdout(command: CommandAction) -> bool:
    """Whether anything is read from what the command writes to stdout."""
    return any(catch.source == "stdout" for catch in command.catches.values())


def tells_stdout(command: CommandAction) -> bool:
    """Whether what the command writes to stdout is for people too; bytes are not."""
    return all(catch.source != "stdout" or catch.read != "bytes" for catch in command.catches.values())


def check_end(command: CommandAction, shown: str, ended: Ended) -> None:
    """Raise CommandError for a command that has failed, Skip for one that asks to be skipped."""
    if ended.exit_code in command.skip:
        raise Skip(f"the command ended with exit code {ended.exit_code}")
    if ended.exit_code in command.success or (not command.success and ended.exit_code >= 0):
        return
    quoted = shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}..."
    told = f"the command ended with {_ending(ended.exit_code)}: {quoted}"
    raise CommandError("\n  | ".join([told, *ended.last]), exit_code=ended.exit_code)


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    if -code == signal.SIGKILL:
        return "SIGKILL (it was killed; when nobody did it, the machine ran out of memory)"
    return signal.Signals(-code).name if -code in signal.valid_signals() else f"signal {-code}"


def outputs_of(command: CommandAction, ended: Ended, folder: Path, inputs: Mapping[str, Any]) -> Any:
    """The one output, or a dict of several; None where there are none.

    Raises OutputError for a file that is not there and for text that cannot be read as declared.
    """
    caught = {name: _caught(name, catch, ended, folder, inputs) for name, catch in command.catches.items()}
    return caught.get(_RESULT) if set(caught) <= {_RESULT} else caught


def _caught(name: str, catch: Catch, ended: Ended, folder: Path, inputs: Mapping[str, Any]) -> Any:
    if catch.source == "exit_code":
        return ended.exit_code
    if catch.source == "stdout":
        return _read(catch, ended.stdout, f"the output {name!r}, read from stdout,")
    path = PurePath(rendered(catch.path, inputs))
    if path.is_absolute() or ".." in path.parts:
        raise OutputError(
            f"the output {name!r} would be read from {str(path)!r}, which is not in the folder that the command runs in",
            remedy="Name a relative path, without '..', also by what the inputs put into it.",
        )
    file = folder / path
    if not file.exists():
        raise OutputError(
            f"the command did not write {file.relative_to(folder)}, which its output {name!r} is read from",
            remedy=f"In the folder that it ran in there is: {_listed(folder)}.",
        )
    if catch.read == "path":
        return file
    try:
        data = file.read_bytes()
    except OSError as error:
        raise OutputError(f"the output {name!r} cannot be read from {file.name}: {error.strerror}") from None
    return _read(catch, data, f"the output {name!r}, read from {file.name},")


def _read(catch: Catch, data: bytes, subject: str) -> Any:
    if catch.read == "bytes":
        return data
    text = data.decode("utf-8", "backslashreplace")
    try:
        return _READERS[catch.read](text)
    except ValueError:
        quoted = text if len(text) <= _QUOTED else f"{text[:_QUOTED]}..."
        raise OutputError(
            f"{subject} is not {_WORDS[catch.read]}: {quoted!r}",
            remedy="Let the command write nothing else there (logs belong on stderr), or read it as text.",
        ) from None


_READERS: dict[str, Callable[[str], Any]] = {
    "text": lambda text: text.removesuffix("\n").removesuffix("\r"),
    "lines": str.splitlines,
    "json": json.loads,
    "int": int,
    "float": float,
}
_WORDS = {"json": "JSON", "int": "a whole number", "float": "a number"}


def _listed(folder: Path) -> str:
    found = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())
    told = ", ".join(found[:_LISTED]) or "nothing"
    return f"{told}, and {len(found) - _LISTED} more" if len(found) > _LISTED else told


__all__ = ["check_end", "keeps_stdout", "outputs_of", "tells_stdout"]
