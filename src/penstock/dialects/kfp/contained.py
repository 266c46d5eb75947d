"""The function of a component in an image of its own: called in a container, which shares the folder of the attempt."""

from __future__ import annotations

import importlib
import inspect
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, cast

from penstock.authoring.source import location_of
from penstock.dialects.kfp import artifacts
from penstock.dialects.kfp.artifacts import SYSTEM, Artifact, PipelineTaskFinalStatus
from penstock.dialects.kfp.calls import current
from penstock.dialects.kfp.structures import Python
from penstock.model.action import CommandAction, ContainerAction

#: runs a program in the process that asks for it
_RUNNER = "penstock.executors.programs.commands:callable_of"
#: what surrounds the function: names of Kubeflow's that it may import, and its call
_BEFORE = """
import sys as _sys
import types as _types
from typing import *

_kfp, dsl = _types.ModuleType("kfp"), _types.ModuleType("kfp.dsl")
_kfp.dsl = dsl
vars(dsl).update({name: value for name, value in globals().items() if isinstance(value, type)})
_sys.modules.setdefault("kfp", _kfp)
_sys.modules.setdefault("kfp.dsl", dsl)
"""
_AFTER = """

def _call(function):
    import json

    def told(value):
        if isinstance(value, Artifact):
            kept = {"name": value.name, "uri": value.uri, "metadata": value.metadata, "custom_path": value.custom_path}
            return {"artifact": value.schema_title, **kept}
        if isinstance(value, tuple):
            names = getattr(value, "_fields", None)
            return [told(each) for each in value] if names is None else {n: told(each) for n, each in zip(names, value)}
        return value

    def read(given):
        if not isinstance(given, dict):
            return [read(each) for each in given] if isinstance(given, list) else given
        if "value" in given:
            return given["value"]
        if "status" in given:
            return PipelineTaskFinalStatus(**given["status"])
        made = SYSTEM.get(given["artifact"], Artifact)(given["name"], given["uri"], given["metadata"])
        made.custom_path = given["custom_path"]
        return made

    with open(_sys.argv[1]) as file:
        arguments = {name: read(value) for name, value in json.load(file).items()}
    returned = told(function(**arguments))
    written = {name: told(value) for name, value in arguments.items() if isinstance(value, Artifact)}
    with open(_sys.argv[2], "w") as file:
        json.dump({"returned": returned, "written": written}, file)


"""


class Program(NamedTuple):
    """A function and the image that it runs in."""

    image: str
    what: Python
    #: the names of variables that it gets from this process
    environment: tuple[str, ...] = ()

    def run(self, **arguments: Any) -> Any:
        """Call it in a container. Raises CommandError where that fails, and where there is no container engine."""
        root = Path(current().folder) / "kfp"
        call, result, program = root / "call.json", root / "result.json", root / "program.py"
        call.write_text(json.dumps({name: _told(value) for name, value in arguments.items()}))
        program.write_text(self._text())
        python = ["python3", str(program), str(call), str(result)]
        volumes = {str(root): "", **dict.fromkeys(_paths(arguments, root), ":ro")}
        mounted = [part for path, mode in volumes.items() for part in ("--volume", f"{path}:{path}{mode}")]
        variables = [part for name in self.environment for part in ("--env", name)]
        at = location_of(self._function)
        if self.what.packages:
            line = CommandAction(at, shell=_plain(f"{self._installing()} && exec {shlex.join(python)}"))
        else:
            line = CommandAction(at, argv=tuple(_plain(each) for each in python[1:]))
            variables += ["--entrypoint", "python3"]
        action = ContainerAction(self.image, line, arguments=(*mounted, *variables))
        module, _, name = _RUNNER.partition(":")
        getattr(importlib.import_module(module), name)(action)()
        return _taken_back(json.loads(result.read_text()), arguments)

    @property
    def _function(self) -> Callable[..., Any]:
        return self.what.function

    def _text(self) -> str:
        library = inspect.getsource(artifacts)
        return f"{library}{_BEFORE}\n\n{self.what.source}\n{_AFTER}_call({self._function.__name__})\n"

    def _installing(self) -> str:
        options: list[str] = []
        for number, url in enumerate(self.what.index_urls):
            options += ["--extra-index-url" if number else "--index-url", url]
        for host in self.what.trusted_hosts:
            options += ["--trusted-host", host]
        return shlex.join(["python3", "-m", "pip", "install", "--quiet", *options, *self.what.packages])


def _plain(text: str) -> str:
    """Text in which nothing stands for an input."""
    return text.replace("{", "{{").replace("}", "}}")


def _told(value: Any) -> Any:
    if isinstance(value, Artifact):
        kept = {"name": value.name, "uri": value.uri, "metadata": value.metadata, "custom_path": value.custom_path}
        return {"artifact": value.schema_title, **kept}
    if isinstance(value, PipelineTaskFinalStatus):
        return {"status": vars(value)}
    listed: list[Any] = cast("list[Any]", value) if isinstance(value, list) else []
    if any(isinstance(each, Artifact) for each in listed):
        return [_told(each) for each in listed]
    return {"value": cast(Any, value)}


def _paths(arguments: dict[str, Any], root: Path) -> list[str]:
    """The files and folders that artifacts which are given lead to, outside of the attempt's own folder."""
    found: list[Any] = []
    for value in arguments.values():
        found += cast("list[Any]", value) if isinstance(value, list) else [value]
    paths = [each.path for each in found if isinstance(each, Artifact)]
    paths += [each for each in found if isinstance(each, str) and each.startswith("/") and Path(each).exists()]
    return [each for each in paths if Path(each).exists() and not Path(each).is_relative_to(root)]


def _taken_back(result: dict[str, Any], arguments: dict[str, Any]) -> Any:
    """What the function returned, once what it did with artifacts is done to those here."""
    for name, kept in result["written"].items():
        artifact = arguments[name]
        artifact.uri, artifact.name, artifact.custom_path = kept["uri"], kept["name"], kept["custom_path"]
        artifact.metadata.clear()
        artifact.metadata.update(kept["metadata"])
    return _read(result["returned"])


def _read(value: Any) -> Any:
    if isinstance(value, dict) and "artifact" in value:
        found = cast("dict[str, Any]", value)
        made = SYSTEM.get(found["artifact"], Artifact)(found["name"], found["uri"], found["metadata"])
        made.custom_path = found["custom_path"]
        return made
    if isinstance(value, dict):
        return {key: _read(each) for key, each in cast("dict[str, Any]", value).items()}
    return value


__all__ = ["Program"]
