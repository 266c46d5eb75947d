"""`start`: another pipeline as a run of its own, in a process of its own."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from penstock.authoring.building import current_building
from penstock.authoring.kinds.conversion import nearest, shortened
from penstock.authoring.kinds.parameters import to_json
from penstock.authoring.pipeline import Composition
from penstock.authoring.ref import is_open
from penstock.authoring.source import caller
from penstock.authoring.task import Task
from penstock.dialects.recognition import split_dialect
from penstock.errors import DefinitionError, Fail, RunFailedError
from penstock.executors.watching import scratch

#: seconds that a new run has to appear in the store
_PATIENCE = 60.0
_POLL = 0.05
_WRONG_DEFINITION = 2


def start(pipeline: Any, /, wait: bool = True, **parameters: Any) -> Any:
    """Run another pipeline as a run of its own, from a worker of this one.

    `pipeline` is one, or the text that names it (`file.py:name`, `package.module:name`, or the name that it is registered
    by); parameters are values or refs, and must be such as can be written as data. With `wait`, the result is what it
    returned (a record comes back as a dict), and the task fails if the run does; without, it is the id of the run, which
    goes on by itself. It is never taken from the cache. To make the pipeline a part of this one instead, call it.

    Raises DefinitionError for a pipeline that another process cannot load, for a file, a module or a registered name that
    does not exist, and for parameters that it does not have.
    """
    target, name, home = _target(pipeline, parameters)
    if current_building() is None:
        return run_pipeline(target, parameters, wait, home)
    started = Task(run_pipeline, f"start-{name}", {"cache": False})
    return started(target, parameters, wait, home)


def _target(pipeline: Any, parameters: Mapping[str, Any]) -> tuple[str, str, str | None]:
    """What names a pipeline to another process, what it is called, and the folder of its state, if it has its own."""
    if isinstance(pipeline, str) and pipeline:
        place, _, name = pipeline.rpartition(":") if ":" in pipeline else (pipeline, "", "")
        _check_place(place, name)
        return pipeline, name or Path(place).stem, None
    if not isinstance(pipeline, Composition):
        raise DefinitionError(
            f"start() takes a pipeline, or the text that names it, not {shortened(repr(pipeline))}", where=str(caller())
        )
    composition = cast(Composition[..., Any], pipeline)
    known = {name: value for name, value in parameters.items() if not is_open(value)}
    composition.signature.resolve(given=known, where=str(caller()), partial=True)
    _check_names(composition, parameters)
    place = _place(composition)
    if place is None:
        raise DefinitionError(
            f"{composition.name} cannot be loaded by another process: it is not at the top level of a module",
            where=str(caller()),
            remedy="Define it at the top level of a file, under its own name.",
        )
    options = getattr(composition, "run_options", None)
    return place, composition.name, None if options is None else options.home


def _check_place(place: str, name: str) -> None:
    """Raise DefinitionError for a place that does not exist, as far as that can be known without importing it."""
    where = str(caller())
    place = split_dialect(place)[1]
    if not (place.endswith(".py") or os.sep in place):
        package = place.partition(".")[0]
        beside = (Path(package), Path(f"{package}.py"))
        if not any(path.exists() for path in beside) and (not package.isidentifier() or not _has_module(package)):
            if name:
                raise DefinitionError(f"there is no module {package!r} to start a pipeline of", where=where)
            _check_registered(place, where)
        return
    file = Path(place)
    if not file.is_file():
        raise DefinitionError(f"there is no file {place} to start a pipeline of", where=where)
    source = file.read_text(errors="replace")
    if name and "import *" not in source and re.search(rf"\b{re.escape(name)}\b", source) is None:
        raise DefinitionError(f"there is no pipeline {name!r} in {place}", where=where)


def _check_registered(name: str, where: str) -> None:
    """Raise DefinitionError for a name that no pipeline is registered by."""
    from penstock.services import Services

    with Services().store_as_it_is() as store:
        known = [] if store is None else [each.name for each in store.agenda.definitions("pipeline")]
    if name not in known:
        raise DefinitionError(
            f"there is no file, module or registered pipeline {name!r} to start{nearest(name, known)}",
            where=where,
            remedy="Name its file (train.py:name), or make it known: penstock register FILE.",
        )


def _has_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        # a module that was not loaded in the usual way
        return name in sys.modules


def _check_names(pipeline: Composition[..., Any], parameters: Mapping[str, Any]) -> None:
    known = [port.name for port in pipeline.parameters]
    unknown = next((name for name in parameters if name not in known), None)
    missing = [port.name for port in pipeline.parameters if port.required and port.name not in parameters]
    if unknown is not None or missing:
        raise DefinitionError(
            f"{pipeline.name} has no parameter {unknown!r}{nearest(unknown, known)}"
            if unknown is not None
            else f"{pipeline.name} needs {', '.join(missing)}",
            where=str(caller()),
            remedy=f"Its parameters are: {', '.join(known) or 'none'}.",
        )


def _place(pipeline: Composition[..., Any]) -> str | None:
    if pipeline.target:
        return pipeline.target
    module = sys.modules.get(pipeline.function.__module__)
    file = getattr(module, "__file__", None)
    name = name_in(module, pipeline)
    if module is None or name is None:
        return None
    if module.__name__ != "__main__" and is_importable(module.__name__, file):
        return f"{module.__name__}:{name}"
    return None if file is None else f"{Path(file).absolute()}:{name}"


def name_in(module: Any, pipeline: Composition[..., Any]) -> str | None:
    """The name of a pipeline, or of what it was made from by `options`, at the top level of a module."""
    own = pipeline.function.__name__
    space: dict[str, Any] = getattr(module, "__dict__", {})
    for name in (own, *space):
        found = space.get(name)
        if getattr(found, "function", None) is pipeline.function and type(found) is type(pipeline):
            return name
    return None


def is_importable(name: str, file: str | None) -> bool:
    """Whether a module of a file can be imported here by its name."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return False
    return spec is not None and spec.origin == file


# In a worker.


def run_pipeline(
    target: str, parameters: Mapping[str, Any], wait: bool, home: str | None = None, *, logical_time: str | None = None
) -> Any:
    """Run what a target names, about a time where one is given (ISO 8601). Returns what it returned, or, without waiting,
    the id of the run.

    Raises what the task raised that the run failed of, and Fail for a definition or parameters that are wrong.
    """
    with tempfile.TemporaryDirectory(prefix=scratch.prefix(), ignore_cleanup_errors=True) as folder:
        settings = Path(folder, "parameters.json")
        settings.write_text(json.dumps({name: to_json(value) for name, value in parameters.items()}))
        errors = Path(folder, "errors")
        command = [sys.executable, "-m", "penstock", "run", target, "--config", str(settings), "--json", "--quiet"]
        command += [] if logical_time is None else ["--logical-time", logical_time]
        with errors.open("wb") as sink:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=sink,
                env=_environment(home),
                start_new_session=not wait,
            )
        run_id = _run_of(process, home, errors)
        print(f"started the run {run_id} of {target}", flush=True)
        if not wait:
            # the process goes on by itself; what it has to say is in the store
            process.returncode = 0
            return run_id
        try:
            process.wait()
        except BaseException:
            process.terminate()
            process.wait()
            raise
    return _result(run_id, home)


def _environment(home: str | None) -> dict[str, str]:
    """That of this process, with all that can be imported here."""
    places = [place for place in sys.path if place]
    changed = {"PYTHONPATH": os.pathsep.join(places)}
    return {**os.environ, **changed, **({} if home is None else {"PENSTOCK_HOME": home})}


def _run_of(process: subprocess.Popen[bytes], home: str | None, errors: Path) -> str:
    """The id of the run that a process drives."""
    from penstock.app import Services
    from penstock.model.options import RunOptions
    from penstock.runtime.surroundings.processes import driver_name

    services = Services(RunOptions(home=home))
    driver = driver_name(process.pid)
    until = time.monotonic() + _PATIENCE
    while True:
        ended = process.poll()
        if services.has_store:
            with services.store() as store:
                run = next((run for run in store.runs(limit=100) if run.driver == driver), None)
            if run is not None:
                return run.run_id
        if ended is not None:
            told = errors.read_text(errors="replace").strip()
            raise (Fail if ended == _WRONG_DEFINITION else RunFailedError)(told or f"it ended with exit code {ended}")
        if time.monotonic() > until:
            process.kill()
            process.wait()
            raise RunFailedError(
                f"the process that was started has recorded no run within {_PATIENCE:.0f} s, and was ended"
            )
        time.sleep(_POLL)


def _result(run_id: str, home: str | None) -> Any:
    from penstock.app import Services
    from penstock.model.options import RunOptions
    from penstock.runtime.run import Run

    services = Services(RunOptions(home=home))
    with services.store() as store:
        record = store.find(run_id)
    if record.state == "paused":
        raise RunFailedError(f"the run {run_id} is paused", remedy=f"Answer it, and go on: penstock resume {run_id}.")
    return Run(record, services.store, services.values).result
