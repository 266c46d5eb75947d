"""The function of a component, called with artifacts and paths in place of what penstock has."""

from __future__ import annotations

import functools
import importlib
import inspect
import json
import os
import re
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, TypedDict, cast

from penstock.dialects.code.adapting import ADAPTS, Adapts
from penstock.dialects.kfp.artifacts import Artifact, Metrics, PipelineTaskFinalStatus
from penstock.dialects.kfp.files import COVERED, Files
from penstock.dialects.kfp.interfaces import SINGLE, Interface, Role, artifact_class, parameter_type
from penstock.dialects.kfp.stored import StoredArtifact, given, stored
from penstock.dialects.kfp.structures import ParameterType

_PYTHON: dict[Any, Any] = {
    "STRING": str,
    "NUMBER_INTEGER": int,
    "NUMBER_DOUBLE": float,
    "BOOLEAN": bool,
    "LIST": list,
    "STRUCT": dict,
}
#: what the function of a component is handed that only Kubeflow has
_HANDED: dict[str, str] = {
    "artifact": "an artifact",
    "artifacts": "a list of artifacts",
    "input_path": "the path of an artifact",
    "status": "the final status of other tasks",
    "output_artifact": "an artifact to write",
    "output_path": "a path to write to",
}
_PLACE = re.compile(r"\{\{\$\.(pipeline_[a-z_]+)\}\}")
_TRUE = ("true", "1", "yes", "y", "t", "on")
#: the folder for what the component that is being called writes
_root: ContextVar[Path | None] = ContextVar("penstock_kfp_root", default=None)


class About(NamedTuple):
    """What belongs to a task, besides its arguments."""

    pipeline: str = ""
    task: str = ""
    environment: Mapping[str, str] = {}
    #: the exit handler that it is the task of
    exit: str = ""
    #: its arguments have text in them that stands for what only a run knows
    asks_run: bool = False


def current() -> Any:
    """The attempt at hand: `penstock.current()`, which a dialect reaches as a user's task does."""
    return importlib.import_module("penstock").current()


def adapted(
    function: Callable[..., Any], interface: Interface, about: About, run: Callable[..., Any] | None = None
) -> Callable[..., Any]:
    """The function of a task: it takes the inputs of the component and returns its outputs, as penstock has them.

    One output is the value; several are a dict. `run` is called in its place, if it does not run in this process.
    """

    @functools.wraps(function)
    def call(**arguments: Any) -> Any:
        return carried_out(run or function, interface, about, arguments)

    setattr(call, ADAPTS, _adapts(function, interface, about, contained=run is not None))
    kind = inspect.Parameter.KEYWORD_ONLY
    defaults = {each.name: each.default for each in interface.inputs if each.optional}
    types = {
        role.called: _PYTHON.get(parameter_type(role.type), Any) for role in interface.roles if role.kind == "value"
    }
    names = [each.name for each in interface.inputs]
    cast(Any, call).__signature__ = inspect.Signature(
        [inspect.Parameter(name, kind, default=defaults.get(name, inspect.Parameter.empty)) for name in names]
    )
    call.__annotations__ = {name: Any if defaults.get(name, 0) is None else types.get(name, Any) for name in names} | {
        "return": _outputs_type(interface)
    }
    return call


def _adapts(function: Callable[..., Any], interface: Interface, about: About, *, contained: bool) -> Adapts:
    """What is said of the function for those who write pipelines."""
    needs = [f"takes {role.name!r}, {_HANDED[role.kind]}" for role in interface.roles if role.kind != "value"]
    kinds = [each.type for each in interface.outputs if each.name in interface.returned]
    needs += ["returns an artifact" for kind in kinds if not isinstance(kind, str)]
    if about.asks_run:
        needs.append("is given what Kubeflow knows of a run, its name for instance")
    named = tuple(name for name in interface.returned if name != SINGLE)
    covered = all(role.kind in COVERED for role in interface.roles) and all(isinstance(kind, str) for kind in kinds)
    paths = Files(function, interface, about.environment) if needs and covered and not about.asks_run else None
    return Adapts(dict(about.environment), contained, named, tuple(needs), paths=paths)


def _outputs_type(interface: Interface) -> Any:
    kinds = {
        each.name: _PYTHON[each.type] if isinstance(each.type, str) else StoredArtifact for each in interface.outputs
    }
    if not kinds:
        return None
    return next(iter(kinds.values())) if len(kinds) == 1 else cast(Any, TypedDict)("Outputs", kinds)


def carried_out(function: Callable[..., Any], interface: Interface, about: About, given_: Mapping[str, Any]) -> Any:
    """Call the function, and gather what it has written and returned."""
    attempt = current()
    root = Path(attempt.folder) / "kfp"
    root.mkdir(parents=True, exist_ok=True)
    arguments: dict[str, Any] = {}
    written: dict[str, Any] = {}
    for role in interface.roles:
        if role.kind in ("output_artifact", "output_path"):
            arguments[role.name], written[role.called] = _place(role, root)
        elif role.called in given_:
            value = resolved(given_[role.called], about, attempt)
            arguments[role.name] = _argument(role, value, about, attempt, root)
    token = _root.set(root)
    try:
        with surrounded(about.environment):
            returned = function(**arguments)
    finally:
        _root.reset(token)
    outputs = {name: _collected(name, what) for name, what in written.items()}
    outputs |= _returned(function, interface, returned, root)
    for each in outputs.values():
        if isinstance(each, StoredArtifact) and each.type == Metrics.schema_title:
            _log(attempt, each.metadata)
    ordered = {each.name: outputs[each.name] for each in interface.outputs}
    return ordered if len(ordered) > 1 else next(iter(ordered.values()), None)


def get_uri(suffix: str = SINGLE) -> str:
    """See `kfp.dsl.get_uri`: where an artifact that the component returns may be written."""
    root = _root.get()
    if root is None:
        raise RuntimeError("dsl.get_uri() is for components while they run")
    home = root / "artifacts" / suffix
    home.mkdir(parents=True, exist_ok=True)
    return str(home / suffix)


def _place(role: Role, root: Path) -> tuple[Any, Any]:
    """Where an output is to be written, as the function takes it, and as it is gathered afterwards."""
    if role.kind == "output_path" and parameter_type(role.type) is not None:
        folder = root / "parameters"
        folder.mkdir(exist_ok=True)
        path = folder / role.called
        return str(path), (path, parameter_type(role.type))
    home = root / "artifacts" / role.called
    home.mkdir(parents=True)
    path = home / role.called
    kind = artifact_class(role.type) or Artifact
    artifact = kind(name=role.called, uri=str(path))
    return str(path) if role.kind == "output_path" else artifact, artifact


def _collected(name: str, what: Any) -> Any:
    if isinstance(what, Artifact):
        home = Path(what.path).parent if what.path else None
        return stored(what, home if home is not None and home.name == name and home.is_dir() else None)
    path, kind = what
    if not path.exists():
        raise RuntimeError(f"the component has not written its output {name!r}")
    return parsed(path.read_text(), kind)


def parsed(text: str, kind: ParameterType | None) -> Any:
    """The value of a parameter that was written to a file."""
    match kind:
        case "NUMBER_INTEGER":
            return int(text)
        case "NUMBER_DOUBLE":
            return float(text)
        case "BOOLEAN":
            return text.strip().lower() in _TRUE
        case "LIST" | "STRUCT":
            return json.loads(text)
        case _:
            return text


def typed(value: Any, kind: Any) -> Any:
    """A value that is known, as one of a type: the first version writes numbers as text."""
    if isinstance(value, str) and kind != "STRING" and isinstance(kind, str):
        return parsed(value, cast(ParameterType, kind))
    return float(value) if kind == "NUMBER_DOUBLE" and type(value) is int else value


def as_text(value: Any) -> str:
    """A value as Kubeflow writes it into text and files."""
    return value if isinstance(value, str) else json.dumps(value)


def _argument(role: Role, value: Any, about: About, attempt: Any, root: Path) -> Any:
    match role.kind:
        case "status":
            return _status(value, about, attempt)
        case "artifact":
            return given(value, role.type, role.called)
        case "artifacts":
            return None if value is None else [given(each, role.type, role.called) for each in _flat(value)]
        case "input_path":
            return _path(role, value, root)
        case _:
            # the first version hands the content of files on as values
            if isinstance(value, StoredArtifact):
                return parsed(Path(value.path).read_text(), parameter_type(role.type))
            return float(value) if role.type is float and type(value) is int else value


def _flat(values: Iterable[Any]) -> Iterator[Any]:
    """Artifacts out of loops in loops as one list, as Kubeflow has them, without those of branches that were not taken."""
    for each in values:
        if isinstance(each, list):
            yield from _flat(cast("list[Any]", each))
        elif each is not None:
            yield each


def _path(role: Role, value: Any, root: Path) -> Any:
    if value is None:
        return None
    if isinstance(value, (StoredArtifact, Path)):
        return str(value.path if isinstance(value, StoredArtifact) else value)
    folder = root / "inputs"
    folder.mkdir(exist_ok=True)
    path = folder / role.called
    path.write_text(as_text(value))
    return str(path)


def _status(outcome: Any, about: About, attempt: Any) -> PipelineTaskFinalStatus:
    state = {"succeeded": "SUCCEEDED", "skipped": "SUCCEEDED", "cancelled": "CANCELLED"}.get(outcome.state, "FAILED")
    message = "; ".join(f"{each.task}: {each.type}: {each.message}" for each in outcome.failures)
    return PipelineTaskFinalStatus(state, attempt.run_id, about.exit or about.task, None, message or None)


def _returned(function: Any, interface: Interface, value: Any, root: Path) -> dict[str, Any]:
    names = list(interface.returned)
    if not names:
        return {}
    if names == [SINGLE]:
        values: list[Any] = [value]
    elif isinstance(value, dict):
        values = [cast("dict[str, Any]", value)[name] for name in names]
    elif type(value) is tuple or isinstance(value, list):
        values = list(cast("tuple[Any, ...]", value))
    else:
        values = [getattr(value, name) for name in names]
    if len(values) != len(names):
        raise TypeError(f"{function.__name__}() returned {len(values)} values, but declares {', '.join(names)}")
    kinds = {each.name: each for each in interface.outputs}
    return {
        name: _output(function, name, interface, kinds[name].type, one, root)
        for name, one in zip(names, values, strict=True)
    }


def _output(function: Any, name: str, interface: Interface, kind: Any, value: Any, root: Path) -> Any:
    if isinstance(kind, str):
        wanted = _PYTHON[kind]
        if value is None or (wanted is float and isinstance(value, int)) or isinstance(value, wanted):
            return value
        raise TypeError(
            f"{function.__name__}() returned {value!r} as {name}, of type {type(value).__name__}; "
            f"it declares {wanted.__name__}"
        )
    if isinstance(value, Artifact):
        value.name = value.name or name
        return stored(value, Path(value.path).parent if value.uri.startswith(str(root)) else None)
    home = root / "artifacts" / name
    home.mkdir(parents=True, exist_ok=True)
    path = home / name
    path.write_text(as_text(value))
    if name == "mlpipeline_metrics":
        _log_old(value)
    found = artifact_class(interface.details.get(name)) or Artifact
    return stored(found(name=name, uri=str(path)), home)


def _log(attempt: Any, metadata: Mapping[str, Any]) -> None:
    for name, value in metadata.items():
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            attempt.log_metric(name, value)


def _log_old(text: Any) -> None:
    """The numbers of the first version's `mlpipeline_metrics`."""
    attempt = current()
    for each in json.loads(text).get("metrics", ()):
        attempt.log_metric(each["name"], float(each["numberValue"]))


# What only a run knows.


def has_places(value: Any) -> bool:
    """Whether there is text in a value that stands for what only a run knows."""
    if isinstance(value, str):
        return _PLACE.search(value) is not None
    if type(value) is dict:
        return any(has_places(each) for each in cast("dict[Any, Any]", value).values())
    return type(value) is list and any(has_places(each) for each in cast("list[Any]", value))


def resolved(value: Any, about: About, attempt: Any) -> Any:
    """A value with the text filled in."""
    if isinstance(value, str):
        return _PLACE.sub(lambda found: _known(found[1], about, attempt), value) if "{{$." in value else value
    if not has_places(value):
        return value
    if type(value) is dict:
        return {key: resolved(each, about, attempt) for key, each in cast("dict[Any, Any]", value).items()}
    return [resolved(each, about, attempt) for each in cast("list[Any]", value)]


def _known(name: str, about: About, attempt: Any) -> str:
    match name:
        case "pipeline_job_name":
            return f"{about.pipeline}-{attempt.run_id}"
        case "pipeline_job_uuid" | "pipeline_job_resource_name":
            return attempt.run_id
        case "pipeline_task_name":
            return about.task
        case "pipeline_task_uuid":
            return f"{attempt.run_id}-{attempt.id}"
        case "pipeline_root":
            return str(Path(attempt.folder))
        case _:
            return datetime.now(UTC).isoformat()


@contextmanager
def surrounded(variables: Mapping[str, str]) -> Generator[None]:
    """Other environment variables while the block runs."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


__all__ = [
    "About",
    "adapted",
    "as_text",
    "carried_out",
    "current",
    "get_uri",
    "has_places",
    "parsed",
    "resolved",
    "typed",
]
