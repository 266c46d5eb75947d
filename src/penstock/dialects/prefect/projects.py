"""`prefect.yaml`: deployments of flows, beside the files that they are in, or as the file that is read itself."""

from __future__ import annotations

import functools
import importlib.util
import inspect
import sys
import typing
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from penstock.authoring.source import location_of
from penstock.dialects import Maker, Reading
from penstock.dialects.foreign import ForeignLoader
from penstock.dialects.prefect.deployments import Deployment
from penstock.dialects.prefect.flows import Flow
from penstock.errors import DefinitionError
from penstock.model.graph import Ignored
from penstock.model.place import Location

FILE = "prefect.yaml"
#: keys of a deployment that penstock makes something of
_USED = ("name", "entrypoint", "parameters", "schedule", "schedules", "triggers", "tags", "description", "paused",
         "concurrency_limit")  # fmt: skip
#: the attribute of a module that stands for a file of deployments
_PROJECT = "__prefect_deployments__"


def claims(text: str) -> bool:
    """Whether a file of data is one of Prefect's deployments."""
    return "deployments:" in text and "entrypoint:" in text


def execute(module: ModuleType) -> None:
    """Load the flows of a file of deployments. Raises DefinitionError."""
    file = Path(str(module.__file__))
    found: list[Deployment] = []
    for entry in _entries(file):
        place, _, name = str(entry.get("entrypoint") or "").rpartition(":")
        target = (file.parent / place).resolve()
        if not place or not target.is_file():
            raise DefinitionError(
                f"the deployment {entry.get('name')!r} has no file {entry.get('entrypoint')!r}",
                where=f"{file}:{entry['line']}",
                remedy='Write entrypoint: "flows/daily.py:my_flow".',
            )
        flow = getattr(module_of(target), name, None)
        if not isinstance(flow, Flow):
            raise DefinitionError(f"there is no flow {name!r} in {place}", where=f"{file}:{entry['line']}")
        found.append(_deployment(file, flow, entry))
    vars(module)[_PROJECT] = found


def read_project(module: ModuleType, make: Maker) -> Reading | None:
    """What a file of deployments defines; None for any other module."""
    from penstock.dialects.prefect.reading import ignored_of
    from penstock.dialects.prefect.starting import triggers_of

    deployments = cast("list[Deployment] | None", vars(module).get(_PROJECT))
    if deployments is None:
        return None
    pipelines: dict[str, Any] = {}
    triggers: dict[str, Any] = {}
    for each in deployments:
        flow = each.flow
        function = with_defaults(flow, each.parameters) if each.parameters else flow.function
        pipeline = make(function, flow.name, flow.settings, (*ignored_of(flow), *each.ignored))
        pipelines[each.name] = pipeline
        triggers |= triggers_of(module, [each], {id(flow): pipeline}, triggers, deployments)
    return Reading(pipelines, triggers)


def deployments_beside(module: ModuleType, flows: Mapping[str, Flow]) -> list[Deployment]:
    """The deployments of a module's flows in the file beside it."""
    own = Path(str(getattr(module, "__file__", "")))
    file = own.parent / FILE
    if not file.is_file():
        return []
    found: list[Deployment] = []
    for entry in _entries(file):
        place, _, name = str(entry.get("entrypoint") or "").rpartition(":")
        if (file.parent / place).resolve() == own.resolve() and name in flows:
            found.append(_deployment(file, flows[name], entry))
    return found


def _entries(file: Path) -> Iterable[dict[str, Any]]:
    """The deployments in a file, each with its line."""
    # most files have no such file beside them
    import yaml

    try:
        tree: Any = cast(Any, yaml).compose(file.read_text())
        content: Any = yaml.safe_load(file.read_text())
    except yaml.YAMLError as error:
        raise DefinitionError(f"{file} is no YAML: {error}") from None
    found: Any = cast(Any, content).get("deployments") if isinstance(content, dict) else None
    lines = _lines(tree)
    for number, entry in enumerate(found or ()):
        yield {**entry, "line": lines[number] if number < len(lines) else 1}


def _lines(tree: Any) -> list[int]:
    for key, value in getattr(tree, "value", ()):
        if key.value == "deployments":
            return [each.start_mark.line + 1 for each in value.value]
    return []


def _deployment(file: Path, flow: Flow, entry: Mapping[str, Any]) -> Deployment:
    where = Location(str(file), entry["line"])
    used = {name: each for name, each in entry.items() if name in _USED and name not in ("name", "entrypoint")}
    try:
        made = Deployment(flow, entry.get("name"), **{name: each for name, each in used.items() if each is not None})
    except DefinitionError as error:
        raise type(error)(error.what, where=str(where), remedy=error.remedy) from None
    made.location = where
    for each in made.triggers:
        each.location = where
    others = [name for name in entry if name not in _USED and name != "line" and entry[name] is not None]
    made.ignored = tuple(
        Ignored(f"the deployment {made.name!r}: {name}", where, "penstock runs the file where its daemon is")
        for name in others
    )
    return made


def module_of(file: Path) -> ModuleType:
    """The module of a file with flows, in which workers find them again."""
    from penstock.dialects.prefect import DIALECT

    name = file.stem
    known = sys.modules.get(name)
    if known is not None and getattr(known, "__file__", None) == str(file):
        return known
    if known is not None:
        name = f"prefect_{name}"
    if str(file.parent) not in sys.path:
        sys.path.insert(0, str(file.parent))
    spec = importlib.util.spec_from_file_location(name, file, loader=ForeignLoader(name, str(file), DIALECT))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def with_defaults(flow: Flow, parameters: Mapping[str, Any]) -> Callable[..., Any]:
    """The function of a flow with other defaults."""
    hints = typing.get_type_hints(flow.fn, include_extras=True)
    signature = inspect.signature(flow.fn)
    unknown = next((name for name in parameters if name not in signature.parameters), None)
    if unknown is not None:
        raise DefinitionError(f"the flow {flow.name!r} has no parameter {unknown!r}")
    changed = [
        each.replace(
            annotation=hints.get(name, each.annotation),
            default=parameters.get(name, each.default),
            kind=inspect.Parameter.KEYWORD_ONLY,
        )
        for name, each in signature.parameters.items()
    ]

    @functools.wraps(flow.function)
    def body(**given: Any) -> Any:
        return flow.function(**given)

    del body.__wrapped__
    body.location = location_of(flow.fn)  # type: ignore[attr-defined]
    body.__signature__ = signature.replace(parameters=changed)  # type: ignore[attr-defined]
    return body


__all__ = ["FILE", "claims", "deployments_beside", "execute", "module_of", "read_project", "with_defaults"]
