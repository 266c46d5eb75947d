"""What a component does, as an executor of a compiled pipeline."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

from penstock.dialects.kfp.ir.sourced import HEADER
from penstock.dialects.kfp.structures import (
    Concat,
    Constant,
    Container,
    IfPresent,
    Importer,
    Python,
    Resources,
    TaskSettings,
    Word,
)

#: the kfp that compiled components install where nothing else is said
VERSION = "2.17.0"
IMAGE = "python:3.11"

_INSTALL = """
if ! [ -x "$(command -v pip)" ]; then
    python3 -m ensurepip || python3 -m ensurepip --user || apt-get install python3-pip
fi

PIP_DISABLE_PIP_VERSION_CHECK=1 {commands} && "$0" "$@"
"""
_RUN = """program_path=$(mktemp -d)

printf "%s" "$0" > "$program_path/ephemeral_component.py"
_KFP_RUNTIME=true python3 -m kfp.dsl.executor_main --component_module_path "$program_path/ephemeral_component.py" "$@"
"""
_UNITS = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18} | {
    f"{letter}i": 1024.0**power for power, letter in enumerate("KMGTPE", 1)
}


def executor(what: Python | Container | Importer, settings: TaskSettings) -> dict[str, Any]:
    """The executor of a component that is run under some settings."""
    if isinstance(what, Importer):
        return {"importer": _importer(what)}
    container = _python(what) if isinstance(what, Python) else _container(what)
    if settings.image:
        container["image"] = settings.image
    environment = {**(what.environment if isinstance(what, Container) else {}), **settings.environment}
    if environment:
        container["env"] = [{"name": name, "value": value} for name, value in environment.items()]
    if taken := _resources(settings.resources):
        container["resources"] = taken
    return {"container": container}


def _python(what: Python) -> dict[str, Any]:
    arguments = ["--executor_input", "{{$}}", "--function_to_execute", what.function.__name__]
    if what.target_image is not None:
        return {"image": what.target_image, "command": ["python3", "-m", "kfp.dsl.executor_main"], "args": arguments}
    text = "\n{}\n\n{}\n".format("\n".join(HEADER), what.source)
    command = [*_installing(what), "sh", "-ec", _RUN, text]
    return {"image": what.base_image or IMAGE, "command": command, "args": arguments}


def _installing(what: Python) -> list[str]:
    options: list[str] = []
    for number, url in enumerate(what.index_urls):
        options += ["--extra-index-url" if number else "--index-url", url]
    for host in what.trusted_hosts:
        options += ["--trusted-host", host]
    command = " ".join(["python3 -m pip install --quiet --no-warn-script-location", *map(shlex.quote, options)])
    commands: list[str] = []
    if what.packages:
        commands.append(f"{command} {' '.join(_quoted(each) for each in what.packages)}")
    if what.install_kfp and not any(each.startswith("kfp") for each in what.packages):
        needs = ("--no-deps", 'typing-extensions>=3.7.4,<5; python_version<"3.9"')
        commands.append(
            " ".join([command, *(_quoted(each) for each in (f"kfp=={what.kfp_version or VERSION}", *needs))])
        )
    return ["sh", "-c", _INSTALL.format(commands="  &&  ".join(commands))] if commands else []


def _quoted(text: str) -> str:
    return f"'{text}'" if "'" not in text else shlex.quote(text)


def _container(what: Container) -> dict[str, Any]:
    container: dict[str, Any] = {"image": what.image}
    if what.command:
        container["command"] = [_text(each) for each in what.command]
    if what.arguments:
        container["args"] = [_text(each) for each in what.arguments]
    return container


def _text(word: Word) -> str:
    return word if isinstance(word, str) else json.dumps(_structure(word))


def _structure(word: Word) -> Any:
    match word:
        case Concat(items):
            return {"Concat": [_structure(each) for each in items]}
        case IfPresent(name, then, otherwise):
            inner: dict[str, Any] = {"InputName": name, "Then": [_structure(each) for each in then]}
            if otherwise:
                inner["Else"] = [_structure(each) for each in otherwise]
            return {"IfPresent": inner}
        case _:
            return word


def _importer(what: Importer) -> dict[str, Any]:
    made: dict[str, Any] = {
        "artifactUri": {"constant": what.uri.value} if isinstance(what.uri, Constant) else {"runtimeParameter": "uri"},
        "typeSchema": {"schemaTitle": what.type.title, "schemaVersion": what.type.version},
    }
    if what.metadata:
        made["metadata"] = dict(what.metadata)
    if what.reimport:
        made["reimport"] = True
    return made


def _resources(given: Resources) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value, unit in (
        ("CpuRequest", given.cpu_request, 1.0),
        ("CpuLimit", given.cpu_limit, 1.0),
        ("MemoryRequest", given.memory_request, 1e9),
        ("MemoryLimit", given.memory_limit, 1e9),
    ):
        if value:
            found[f"resource{name}"] = value
            if (number := _amount(value)) is not None:
                found[f"{name[0].lower()}{name[1:]}"] = number / unit
    if given.accelerator or given.accelerators:
        kind, count = given.accelerator, given.accelerators or "1"
        found["accelerator"] = {"count": count, "resourceCount": count, "resourceType": kind, "type": kind}
        if not count.isdigit():
            del found["accelerator"]["count"]
    return found


def _amount(text: str) -> float | None:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(m|[KMGTPE]i?)?", text)
    if match is None:
        return None
    unit = match[2] or ""
    return float(match[1]) * (0.001 if unit == "m" else _UNITS[unit])


__all__ = ["VERSION", "executor"]
