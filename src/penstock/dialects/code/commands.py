"""Commands as plain Python functions, for systems that have no such task, or none that says the same."""

from __future__ import annotations

from penstock.dialects.code.formatting import Imports, block, call, docstring, literal, quoted
from penstock.errors import DefinitionError
from penstock.model.action import Catch, CommandAction, ContainerAction
from penstock.model.graph import Task
from penstock.model.template import pieces


def command_function(
    task: Task, name: str, imports: Imports, node: str, skip: tuple[str, str] | None = None
) -> list[str]:
    """The lines of a function that runs a command with `subprocess`, and returns its outputs. `skip` is the
    module and name of the exception that skips a task, where there is one. Raises DefinitionError for what needs the
    scratch folder that penstock gives a command."""
    action = task.action
    assert isinstance(action, (CommandAction, ContainerAction))
    command = action.command if isinstance(action, ContainerAction) else action
    _check(command, node)
    inputs = [port.name for port in task.inputs]
    words = _words(command, imports)
    if isinstance(action, ContainerAction):
        words = _contained(action, words, imports)
    shell = isinstance(action, CommandAction) and bool(command.shell)
    given = ["shell=True", 'executable="/bin/bash"'] if shell else []
    if command.environment:
        pairs = ", ".join(f"{quoted(key)}: {_text(value)}" for key, value in command.environment.items())
        given.append(f"env={{**{imports.module('os')}.environ, {pairs}}}")
    if command.folder and isinstance(action, CommandAction):
        given.append(f"cwd={quoted(command.folder)}")
    text = all(catch.read != "bytes" for catch in command.catches.values())
    given += ["stdout=subprocess.PIPE", *(["text=True"] if text else []), "check=False"]
    imports.module("subprocess")
    lines = [f"completed = {call('subprocess.run', [words, *given])}", *_endings(command, imports, skip)]
    lines += _returned(command, imports)
    return [f"def {name}({', '.join(inputs)}):", *block([*docstring(task.description), *lines])]


def _check(command: CommandAction, node: str) -> None:
    problem = None
    if command.files:
        problem = "is given inputs as files"
    elif any(catch.source == "file" and catch.read == "path" for catch in command.catches.values()):
        problem = "returns a file"
    if problem is not None:
        raise DefinitionError(
            f"the command {node!r} {problem}, which only penstock does",
            where=str(command.location),
            remedy="Write it as a function that runs the program, and returns what it reads.",
        )


def _words(command: CommandAction, imports: Imports) -> str:
    if command.shell:
        return _text("set -e; " + command.shell if "\n" in command.shell else command.shell, imports)
    return f"[{', '.join(_text(each) for each in command.argv)}]"


def _contained(action: ContainerAction, words: str, imports: Imports) -> str:
    inside = words[1:-1] if not action.command.shell else f'"sh", "-c", {words}'
    network = [] if action.network == "default" else [f"--network={action.network}"]
    front = ["docker", "run", "--rm", *network, *action.arguments, action.image]
    return f"[{literal(front, imports)[1:-1]}{', ' if inside else ''}{inside}]"


def _text(template: str, imports: Imports | None = None) -> str:
    """A template as a text, or as a formatted one; with imports, values are quoted for the shell."""
    found = pieces(template)
    if all(piece.name is None for piece in found):
        return quoted("".join(piece.text for piece in found))
    parts: list[str] = []
    for piece in found:
        parts.append(piece.text.replace("{", "{{").replace("}", "}}"))
        if piece.name is not None:
            spec = f":{piece.spec}" if piece.spec else ""
            value = f"{{{piece.name}{spec}}}"
            if imports is not None and not piece.raw:
                inner = f"str({piece.name})" if not spec else f"format({piece.name}, {piece.spec!r})"
                value = f"{{{imports.module('shlex')}.quote({inner})}}"
            parts.append(value)
    text = quoted("".join(parts))
    if "{" in text and '"' in "".join(part for part in parts if part.startswith("{")):
        return f"f'{text[1:-1]}'"
    return f"f{text}"


def _endings(command: CommandAction, imports: Imports, skip: tuple[str, str] | None) -> list[str]:
    found: list[str] = []
    if command.skip and skip is not None:
        codes = f"== {command.skip[0]}" if len(command.skip) == 1 else f"in {command.skip}"
        found = [f"if completed.returncode {codes}:", *block([f"raise {imports.name(*skip)}"])]
    if not command.success:
        return found
    good = command.success
    test = f"!= {good[0]}" if len(good) == 1 else f"not in {tuple(good)}"
    message = '"the command ended with exit code {completed.returncode}"'
    return [*found, f"if completed.returncode {test}:", *block([f"raise RuntimeError(f{message})"])]


def _returned(command: CommandAction, imports: Imports) -> list[str]:
    catches = command.catches
    if not catches:
        return []
    if set(catches) == {"result"}:
        return [f"return {_caught(catches['result'], imports)}"]
    pairs = ", ".join(f"{quoted(name)}: {_caught(catch, imports)}" for name, catch in catches.items())
    return [f"return {{{pairs}}}"]


def _caught(catch: Catch, imports: Imports) -> str:
    if catch.source == "exit_code":
        return "completed.returncode"
    text = "completed.stdout"
    if catch.source == "file":
        path = f"{imports.name('pathlib', 'Path')}({_text(catch.path)})"
        text = f"{path}.{'read_bytes' if catch.read == 'bytes' else 'read_text'}()"
    match catch.read:
        case "lines":
            return f"{text}.splitlines()"
        case "json":
            return f"{imports.module('json')}.loads({text})"
        case "int" | "float":
            return f"{catch.read}({text})"
        case "bytes":
            return text
        case _:
            return f'{text}.removesuffix("\\n")'


__all__ = ["command_function"]
