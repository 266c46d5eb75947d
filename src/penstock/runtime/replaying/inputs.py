"""The inputs of a past attempt: whether they are what they were, and what is left where they are not."""

from __future__ import annotations

import platform
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from penstock.errors import ArtifactDamagedError, ArtifactMissingError, DefinitionError, PenstockError
from penstock.model.expression import Parameter, describe, references
from penstock.model.value import Argument, Artifact
from penstock.runtime.driving.nodes import Cell
from penstock.runtime.reading.past import Past
from penstock.values import Values
from penstock.values.parts import artifacts_in


def inputs_of(past: Past, cell: Cell) -> dict[str, Argument]:
    """What an attempt was handed, by name. Raises DefinitionError where that was never there, or is gone."""
    try:
        return past.inputs(cell)
    except (ArtifactMissingError, ArtifactDamagedError) as error:
        raise DefinitionError(
            f"the inputs of {past.name(cell)} cannot be put together: {error.what}", remedy=_again(past, cell, None)
        ) from None
    except LookupError as error:
        raise DefinitionError(
            f"{past.name(cell)} never had its inputs: {error.args[0] if error.args else error}",
            remedy=f"See why: penstock why {past.run.run_id} {shlex.quote(past.name(cell))}",
        ) from None


def check_loadable(past: Past, cell: Cell, inputs: Mapping[str, Argument], *, today: bool) -> None:
    """Raise DefinitionError for the first input that cannot be loaded, with what remains possible; `today` says that it
    was to be loaded with the code of today."""
    for name, argument in inputs.items():
        try:
            past.values.load(argument)
        except Exception as error:
            gone = isinstance(error, (ArtifactMissingError, ArtifactDamagedError))
            what = error.what if isinstance(error, PenstockError) else f"{type(error).__name__}: {error}"
            versions = "" if gone else _versions(past, argument)
            remedies = [_again(past, cell, name)]
            if today and not gone:
                # what it needs may be there under the name that it had
                remedies.insert(0, "Replay it with the code of the run: --code stored.")
            if isinstance(error, PenstockError) and error.remedy and not gone:
                remedies.insert(0, error.remedy)
            raise DefinitionError(
                f"the input {name!r} of {past.name(cell)} ({_source(past, cell, name)}) cannot be loaded: "
                f"{what}{versions}",
                remedy="\n  ".join(remedies),
            ) from None


def notes_on(past: Past, cell: Cell, inputs: Mapping[str, Argument]) -> Iterator[str]:
    """What is to be said of inputs and files that may not be what they were."""
    then, here = _python(past), _here()
    for name, argument in inputs.items():
        if isinstance(argument, Artifact) and argument.codec == "path":
            yield from _of_path(name, argument, past.values)
        elif then and _feature(then) != _feature(here) and _pickled(argument, past.values):
            yield f"the input {name!r} is or holds a pickle of {then}; here is {here}"
    for file in past.progress_of(cell).node.policy.caching.reads:
        try:
            same = past.values.content(Path(file)) == past.basis.files.get(file)
        except OSError:
            same = False
        if file in past.basis.files and not same:
            yield f"{file}, which it reads, is no longer what it was in the run"


def _of_path(name: str, artifact: Artifact, values: Values) -> Iterator[str]:
    path = values.load(artifact)
    try:
        same = values.store(path)[0].digest == artifact.digest
    except (OSError, PenstockError):
        # it cannot be read
        same = False
    if not same:
        told = "has changed since the run" if path.exists() else "was there in the run, and is gone"
        yield f"what the input {name!r} leads to, {path}, {told}"


def _pickled(argument: Argument, values: Values) -> bool:
    try:
        return any(values.pickled(artifact) is not None for artifact in artifacts_in(argument))
    except PenstockError:
        # its bytes are gone, which loading it will tell
        return False


def _versions(past: Past, argument: Argument) -> str:
    then, here = _python(past), _here()
    if not then or then == here or not _pickled(argument, past.values):
        return ""
    return f"; it is a pickle, made by {then}, and here is {here}"


def _python(past: Past) -> str:
    return past.store.provenance(past.run.run_id).python


def _here() -> str:
    return f"{platform.python_implementation()} {platform.python_version()}"


def _feature(version: str) -> str:
    return version.rpartition(".")[0]


def _source(past: Past, cell: Cell, name: str) -> str:
    """What an input is bound to."""
    node = past.progress_of(cell).node
    if name in node.bindings:
        return describe(node.bindings[name])
    return "an element that it is mapped over"


def _again(past: Past, cell: Cell, name: str | None) -> str:
    """How to come by inputs that are gone."""
    node = past.progress_of(cell).node
    bindings = node.bindings if name is None else {key: node.bindings[key] for key in (name,) if key in node.bindings}
    upstream = dict.fromkeys(each for binding in bindings.values() for each in references(binding))
    if not upstream and node.each is not None:
        upstream = dict.fromkeys(each for over in node.each.over.values() for each in references(over))
    words = ["penstock", "run", past.run.target]
    if not upstream and any(isinstance(binding, Parameter) for binding in bindings.values()):
        return f"It was a parameter of the run: give it again, {shlex.join(words)} -p {name}=..."
    frame = cell[0].rpartition("/")[0]
    named = [f"{frame}/{each}" if frame else each for each in upstream]
    words += [word for each in named for word in ("--refresh", each)]
    return f"Make it again, and replay that run: {shlex.join(words)}"


__all__ = ["check_loadable", "inputs_of", "notes_on"]
