"""What does a task: the user's function as it is, or called with artifacts; a container; an importer."""

from __future__ import annotations

import importlib.metadata
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from penstock.authoring.options.policy import read_options
from penstock.authoring.task import Task as PenstockTask
from penstock.dialects.code.adapting import ADAPTS, Adapts
from penstock.dialects.kfp import contained, programs
from penstock.dialects.kfp.calls import About, adapted, has_places
from penstock.dialects.kfp.imported import Imported
from penstock.dialects.kfp.interfaces import SINGLE, Interface, interface_of
from penstock.dialects.kfp.sources import parts_of
from penstock.dialects.kfp.stored import REMOTE, StoredArtifact
from penstock.dialects.kfp.structures import (
    Component,
    Constant,
    Container,
    Importer,
    Nested,
    Python,
    Resources,
    Task,
    TaskSettings,
    Text,
)
from penstock.errors import DefinitionError
from penstock.model.action import Environment

_SIZES = {"": 1} | {
    f"{unit}{kind}": step**power for kind, step in (("", 1000), ("i", 1024)) for power, unit in enumerate("KMGTPE", 1)
}
_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(\[[^\]]*\])?\s*(.*)")


class Action(NamedTuple):
    """What does a task, as a task of penstock's."""

    task: PenstockTask[..., Any]
    #: output -> the port that has it, where there are several
    ports: Mapping[str, str]
    #: arguments by the component's inputs -> by those of the task
    arranged: Callable[[dict[str, Any]], dict[str, Any]]
    #: it takes its arguments as they are, and so may be fanned out
    plain: bool = True


def action_of(task: Task, about: About) -> Action:
    """What does a task. Raises DefinitionError for what cannot be done here."""
    what = task.component.implementation
    options = options_of(task)
    if isinstance(what, Container):
        made = programs.container_task(task, what, options)
        return Action(made.task, made.ports, made.arranged, made.plain)
    if isinstance(what, Importer):
        function = importing(what)
        given = {**options, "cache": False}
        return Action(PenstockTask(function, "importer", read_options(given)), {}, _as_they_are)
    if not isinstance(what, Python):
        raise DefinitionError(f"{task.name} is a pipeline, and no task", where=str(task.location))
    function, interface = function_of(task, about)
    if _asks_run(task):
        options["cache"] = False
    image = task.settings.image or what.base_image or ""
    counts = [dict(task.settings.environment), *([] if is_plain_python(image) else [image, what.packages])]
    if any(counts) and options.get("cache", True):
        options["version"] = json.dumps(counts, sort_keys=True)
    made = PenstockTask(function, task.component.name, read_options(options))
    return Action(made, {each.name: each.name for each in interface.outputs}, _as_they_are)


def _as_they_are(arguments: dict[str, Any]) -> dict[str, Any]:
    return arguments


def function_of(task: Task, about: About) -> tuple[Callable[..., Any], Interface]:
    """The function that a worker calls for a task: the user's own where it needs nothing else."""
    what = task.component.implementation
    assert isinstance(what, Python)
    interface = _interface(task.component, what.function)
    image = task.settings.image or what.base_image or ""
    about = about._replace(asks_run=_asks_run(task))
    if not is_plain_python(image):
        program = contained.Program(image, what, tuple(task.settings.environment))
        return adapted(what.function, interface, about, program.run), interface
    if is_plain(interface) and not task.settings.environment and not about.asks_run:
        return what.function, interface
    return adapted(what.function, interface, about), interface


def _asks_run(task: Task) -> bool:
    """Whether its arguments have text in them that stands for what only a run knows."""
    for source in task.arguments.values():
        for part in parts_of(source):
            match part:
                case Constant(value) | Nested(value) if has_places(value):
                    return True
                case Text(parts) if any(has_places(each) for each in parts):
                    return True
                case _:
                    pass
    return False


def _interface(component: Component, function: Callable[..., Any]) -> Interface:
    """What the function takes and returns, under the names that the component has for it."""
    known = {*(each.name for each in component.inputs), *(each.name for each in component.outputs)}
    try:
        found = interface_of(function)
    except DefinitionError:
        return interface_of(function, legacy=True)
    names = {*(each.name for each in found.inputs), *(each.name for each in found.outputs)}
    return found if names == known else interface_of(function, legacy=True)


def is_plain(interface: Interface) -> bool:
    """Whether the function takes and returns values alone, one at most."""
    if any(role.kind != "value" for role in interface.roles):
        return False
    return not interface.outputs or (
        list(interface.returned) == [SINGLE] and all(isinstance(each.type, str) for each in interface.outputs)
    )


def is_plain_python(image: str) -> bool:
    """Whether an image has Python and nothing else: `python:3.11-slim`; none is one as well."""
    return not image or re.fullmatch(r"python([:@].*)?", image.rpartition("/")[2]) is not None


# Importers.


def importing(what: Importer) -> Callable[..., Any]:
    """The function of an importer: it takes the address, if that is not known before."""
    fixed = what.uri.value if isinstance(what.uri, Constant) else None

    def imported(uri: str) -> StoredArtifact:
        return _imported(what, uri)

    def known() -> StoredArtifact:
        return _imported(what, str(fixed))

    found = imported if fixed is None else known
    paths = Imported("" if fixed is None else str(fixed))
    setattr(found, ADAPTS, Adapts(needs=("takes an artifact that is there already",), paths=paths))
    return found


def _imported(what: Importer, uri: str) -> StoredArtifact:
    path = None if REMOTE.match(uri) else Path(uri.removeprefix("file://"))
    content = path if path is not None and path.exists() else None
    return StoredArtifact(what.type.title, "artifact", uri if content is None else "", dict(what.metadata), content)


# Options.


def options_of(task: Task) -> dict[str, Any]:
    """The options of penstock's task."""
    settings, what = task.settings, task.component.implementation
    options: dict[str, Any] = _resources(settings.resources)
    if settings.retry is not None:
        options["retries"] = settings.retry.count
        options["retry_delay"] = settings.retry.delay
        options["backoff"] = max(1.0, settings.retry.factor)
        options["retry_cap"] = settings.retry.longest or None
    if settings.caching is False:
        options["cache"] = False
    if settings.cache_key:
        options["cache_key"] = _keyed(settings.cache_key)
    timeout = settings.platforms.get("kubernetes", {}).get("activeDeadlineSeconds")
    if timeout:
        options["timeout"] = float(timeout)
    if isinstance(what, Python) and is_plain_python(settings.image or what.base_image or ""):
        environment = environment_of(what)
        if environment is not None:
            options["environment"] = environment
    return options


def _keyed(key: str) -> Callable[[], str]:
    def cache_key() -> str:
        return key

    return cache_key


def _resources(given: Resources) -> dict[str, Any]:
    options: dict[str, Any] = {}
    cpu = given.cpu_limit or given.cpu_request
    if cpu:
        options["cpu"] = float(cpu[:-1]) / 1000 if cpu.endswith("m") else float(cpu)
    if given.memory_limit:
        found = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", given.memory_limit)
        options["memory"] = int(float(found[1]) * _SIZES[found[2]]) if found is not None else given.memory_limit
    if given.accelerators and int(given.accelerators):
        options["gpu"] = int(given.accelerators)
    return options


def environment_of(what: Python) -> Environment | None:
    """The environment with a component's packages; None where they are there already."""
    missing = [each for each in what.packages if not is_installed(each)]
    if not missing:
        return None
    if not what.index_urls:
        return Environment(what.packages)
    first, *others = what.index_urls
    lines = [f"--index-url {first}", *(f"--extra-index-url {each}" for each in others)]
    lines += [f"--trusted-host {each}" for each in what.trusted_hosts]
    return Environment(files={"requirements.txt": "\n".join([*lines, *what.packages]) + "\n"})


def is_installed(requirement: str) -> bool:
    """Whether a package is there, in the version that is asked for. kfp itself is what this stands for."""
    found = _NAME.fullmatch(requirement)
    if found is None:
        return False
    name, _, wanted = found.groups()
    if name.lower() in ("kfp", "kfp-kubernetes"):
        return True
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return all(_holds(version, clause.strip()) for clause in wanted.partition(";")[0].split(",") if clause.strip())


def _holds(version: str, clause: str) -> bool:
    found = re.fullmatch(r"(==|>=|<=|!=|~=|<|>)\s*([0-9A-Za-z.*+!-]+)", clause)
    if found is None:
        return False
    operator, wanted = found.groups()
    if operator in ("==", "!=") and wanted.endswith(".*"):
        return (f"{version}.".startswith(wanted[:-1])) == (operator == "==")
    one, other = _release(version), _release(wanted)
    width = max(len(one), len(other))
    one, other = one + (0,) * (width - len(one)), other + (0,) * (width - len(other))
    match operator:
        case "==":
            return one == other
        case "!=":
            return one != other
        case "<":
            return one < other
        case "<=":
            return one <= other
        case ">":
            return one > other
        case ">=":
            return one >= other
        case _:
            kept = len(_release(wanted)) - 1
            return one >= other and one[:kept] == other[:kept]


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(each) for each in re.findall(r"\d+", re.split(r"[a-z+]", version, maxsplit=1)[0]))


def settings_ignored(settings: TaskSettings) -> list[str]:
    """What a task says that has no effect, of what a compiled pipeline can say."""
    found: list[str] = []
    for platform, known in settings.platforms.items():
        found += [f"{platform}: {name}" for name in known if name != "activeDeadlineSeconds"]
    if settings.resources.memory_request:
        found.append(f"memory request {settings.resources.memory_request}")
    return found


__all__ = [
    "Action",
    "action_of",
    "environment_of",
    "function_of",
    "importing",
    "is_plain_python",
    "options_of",
    "settings_ignored",
]
