"""Commands, containers and approvals as the calls that make them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from penstock.authoring.kinds.annotations import kind_of
from penstock.authoring.kinds.conversion import Form
from penstock.dialects.code.annotations import annotation, resolved
from penstock.dialects.code.formatting import Imports, call, keywords, literal, mapping, number, quoted
from penstock.model.action import ApprovalAction, Catch, CommandAction, ContainerAction
from penstock.model.graph import Task
from penstock.model.template import names

_SHORT: Mapping[str, str] = {
    "text": "str",
    "lines": "list[str]",
    "int": "int",
    "float": "float",
    "bytes": "bytes",
    "json": "dict",
}


def program(task: Task, name: str, options: Mapping[str, str], imports: Imports) -> str:
    """The call that makes a command or a container a task."""
    action = task.action
    assert isinstance(action, (CommandAction, ContainerAction))
    command = action.command if isinstance(action, ContainerAction) else action
    given: dict[str, str] = {"name": quoted(name)}
    given |= _inputs(task, command, imports)
    if command.files:
        given["files"] = literal(command.files, imports)
    if command.environment:
        given["environment"] = literal(command.environment, imports)
    outputs = _outputs(command.catches, imports)
    if outputs != "str":
        given["outputs"] = outputs
    given |= _endings(command, imports)
    if task.description:
        given["description"] = quoted(task.description)
    given |= options
    text = quoted(command.shell) if command.shell else literal(list(command.argv), imports)
    if isinstance(action, CommandAction):
        return call(imports.name("penstock", "command"), [text, *keywords(given)])
    for option, value, usual in (("mount", action.mount, "/work"), ("network", action.network, "default")):
        if value != usual:
            given[option] = quoted(value)
    if action.arguments:
        given["arguments"] = literal(list(action.arguments), imports)
    run = [text] if command.shell or command.argv else []
    return call(imports.name("penstock", "container"), [quoted(action.image), *run, *keywords(given)])


def _inputs(task: Task, command: CommandAction, imports: Imports) -> dict[str, str]:
    templates = [command.shell, *command.argv, *command.environment.values()]
    templates += [catch.path for catch in command.catches.values()]
    named = dict.fromkeys([*(name for text in templates for name in names(text)), *command.files])
    types = {port.name: port.type for port in task.inputs}
    shown = any(f"${{{name}}}" in text for name in named for text in templates)
    if all(text == "Any" for text in types.values()):
        return {"inputs": literal(list(types), imports)} if shown else {}
    pairs = [(quoted(name), annotation(text, imports) or _any(imports)) for name, text in types.items()]
    return {"inputs": mapping(pairs)}


def _any(imports: Imports) -> str:
    return imports.name("typing", "Any")


def _endings(command: CommandAction, imports: Imports) -> dict[str, str]:
    found: dict[str, str] = {}
    usual = () if any(catch.source == "exit_code" for catch in command.catches.values()) else (0,)
    if command.success != usual:
        found["success"] = literal(list(command.success), imports)
    if command.skip:
        found["skip"] = literal(list(command.skip), imports)
    if command.folder:
        found["folder"] = quoted(command.folder)
    text = " ".join((command.shell, *command.argv))
    reads = [file if file.rpartition("/")[2] == name else name for name, file in command.reads.items()]
    reads = [file for name, file in zip(command.reads, reads, strict=True) if name not in text]
    if reads:
        found["reads"] = literal(reads, imports)
    return found


def _outputs(catches: Mapping[str, Catch], imports: Imports) -> str:
    if set(catches) == {"result"}:
        return _catch(catches["result"], imports)
    return mapping((quoted(name), _catch(catch, imports)) for name, catch in catches.items())


def _catch(catch: Catch, imports: Imports) -> str:
    if catch.source == "exit_code":
        return call(imports.name("penstock", "exit_code"), [])
    if catch.source == "stdout":
        return _SHORT[catch.read]
    if catch.read == "path":
        return quoted(catch.path)
    return call(imports.name("penstock", "file"), [quoted(catch.path), quoted(catch.read)])


def question(action: ApprovalAction, name: str, options: Mapping[str, str], imports: Imports) -> str:
    """The call that makes an approval."""
    given: dict[str, str] = {} if name == "approval" else {"name": quoted(name)}
    if action.fields:
        given["form"] = mapping((quoted(field.name), _field(field, imports)) for field in action.fields)
    if action.deadline is not None:
        given["deadline"] = number(action.deadline)
    if action.default is not None:
        given["default"] = quoted(action.default)
    if action.on_reject != "skip":
        given["on_reject"] = quoted(action.on_reject)
    return call(imports.name("penstock", "approval"), [quoted(action.question), *keywords({**given, **options})])


def _field(field: Any, imports: Imports) -> str:
    kind = annotation(field.type, imports) or _any(imports)
    if field.required:
        return kind
    return f"({kind}, {literal(kind_of(resolved(field.type)).read(field.default, Form.DATA), imports)})"


__all__ = ["program", "question"]
