"""What the text of a command says: which inputs it has places for, which files of the user's it names."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any, cast

from penstock.authoring.files import named_file
from penstock.authoring.source import caller
from penstock.errors import DefinitionError
from penstock.model.action import CommandAction
from penstock.model.template import names

#: suffixes of files that are code
_SCRIPTS = frozenset({".py", ".sh", ".bash", ".zsh", ".r", ".jl", ".pl", ".rb", ".js", ".mjs", ".lua", ".sql"})
_NO_PART_OF_A_NAME = re.compile(r"[^\w.-]+")


def _words(command: str | Sequence[str]) -> list[str]:
    if not isinstance(command, str):
        return [str(word) for word in command]
    try:
        return shlex.split(command, comments=True)
    except ValueError:
        return command.split()


def default_name(command: Sequence[str]) -> str:
    """What a command is called that nobody has named: after the script that it names, or else after its program."""
    words = [word for part in command for word in _words(part)] if len(command) == 1 else list(command)
    script = next((word for word in words if PurePath(word).suffix.lower() in _SCRIPTS and "{" not in word), None)
    found = PurePath(script).stem if script else PurePath(words[0]).name if words else ""
    return _NO_PART_OF_A_NAME.sub("-", found).strip("-") or "command"


def named_scripts(command: str | Sequence[str], folder: str | None) -> dict[str, str]:
    """The scripts that a command names by relative paths, where they are: name -> file. `folder` is where it runs, if
    that is known."""
    found: dict[str, str] = {}
    for word in _words(command):
        path = PurePath(word)
        if path.suffix.lower() not in _SCRIPTS or path.is_absolute() or ".." in path.parts or "{" in word:
            continue
        file = Path(folder, word) if folder else named_file(word)
        if file is not None and file.is_file():
            found[str(path)] = str(file)
    return found


def reads_of(reads: Iterable[str | Path], folder: str | None) -> dict[str, str]:
    """The files and folders that a command is declared to read: name in its folder -> where they are."""
    if isinstance(reads, (str, Path)):
        reads = [reads]
    found: dict[str, str] = {}
    for read in reads:
        file = Path(folder, read) if folder else named_file(str(read))
        if file is None or not file.exists():
            raise DefinitionError(f"there is no file or folder {str(read)!r} to read", where=str(caller()))
        path = PurePath(read)
        apart = path.is_absolute() or ".." in path.parts
        found[file.name if apart else str(path)] = str(file)
    return found


def used_inputs(command: CommandAction, inputs: Mapping[str, Any] | Iterable[str] | None) -> dict[str, Any]:
    """The inputs of a command with their types: those declared, or else those that it has places for.

    Raises DefinitionError for a place without an input, and an input without a place.
    """
    used = {name: text for text in _templates(command) for name in names(text)}
    used |= {name: path for name, path in command.files.items() if name not in used}
    if inputs is None:
        variable = next((name for name, text in used.items() if f"${{{name}}}" in text), None)
        if variable is not None:
            raise DefinitionError(
                f"${{{variable}}} in the command could be a variable of the shell or an input",
                where=str(command.location),
                remedy=f"Write ${variable} or ${{{{{variable}}}}} for the variable; for the input, declare it: "
                f'inputs=["{variable}"].',
            )
        return dict.fromkeys(used, Any)
    declared = dict(cast(Mapping[str, Any], inputs)) if isinstance(inputs, Mapping) else dict.fromkeys(inputs, Any)
    unknown = next((name for name in used if name not in declared), None)
    if unknown is not None:
        raise DefinitionError(
            f"the command names {{{unknown}}}, which is not among its inputs: {', '.join(declared) or 'none'}",
            where=str(command.location),
            remedy=f"Declare it, or write {{{{{unknown}}}}} if braces are meant.",
        )
    idle = next((name for name in declared if name not in used), None)
    if idle is not None:
        raise DefinitionError(
            f"the command has no place for its input {idle!r}",
            where=str(command.location),
            remedy=f'Put {{{idle}}} into it or into a variable, or hand it over as a file: files={{"{idle}": ...}}.',
        )
    wrong = next((name for name in declared if not name.isidentifier()), None)
    if wrong is not None:
        raise DefinitionError(f"{wrong!r} cannot be the name of an input", where=str(command.location))
    return declared


def check_places(command: CommandAction) -> None:
    """Raise DefinitionError for a brace that means nothing, and for paths that lead elsewhere."""
    where = str(command.location)
    for text in _templates(command):
        try:
            names(text)
        except ValueError as error:
            raise DefinitionError(
                f"the command cannot be read: {error}: {text!r}",
                where=where,
                remedy="{name} stands for an input; write {{ and }} where braces are meant.",
            ) from None
    for path in (*command.files.values(), *(catch.path for catch in command.catches.values() if catch.path)):
        if PurePath(path).is_absolute() or ".." in PurePath(path).parts:
            raise DefinitionError(
                f"{path!r} is not in the folder that the command runs in",
                where=where,
                remedy="Name a relative path, without '..'.",
            )


def _templates(command: CommandAction) -> Iterator[str]:
    if command.shell:
        yield command.shell
    yield from command.argv
    yield from command.environment.values()
    yield from (catch.path for catch in command.catches.values())
