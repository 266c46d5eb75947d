"""The artifacts of a run: what its tasks returned and logged, by name."""

from __future__ import annotations

import difflib
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from penstock.errors import DefinitionError, NotFoundError, OutputError
from penstock.model.graph import PipelineAction, from_json
from penstock.model.run import FRUITFUL, RunRecord
from penstock.model.value import Artifact
from penstock.ports import Store
from penstock.runtime.reading.argument_documents import argument_document
from penstock.runtime.reading.cells import Cells
from penstock.runtime.reading.origins import logged_in
from penstock.values import Values


class NamedArtifact(NamedTuple):
    """An artifact of a run and what it goes by: `train`, `split.test`, `fit[3]`, `evaluate.curve`."""

    name: str
    task: str
    output: str
    artifact: Artifact


def run_artifacts(store: Store, run: RunRecord) -> list[NamedArtifact]:
    """The artifacts of a run: outputs of its tasks in the order of the graph, then what was logged."""
    every = store.attempts(run.run_id)
    cells = Cells(from_json(store.graph(run.run_id)), every)
    found: list[NamedArtifact] = []
    fruitful = [attempt for attempt in every if attempt.state in FRUITFUL]
    for attempt in sorted(fruitful, key=lambda each: cells.position(each.node, each.item)):
        origin = cells.origin(attempt.node)
        # the result of a body is put together from what its nodes made, or is one of those
        if origin is None or isinstance(origin.task.action, PipelineAction):
            continue
        ports = [port.name for port in origin.task.outputs]
        names = ports if len(ports) == len(attempt.outputs) else ["result"]
        task = cells.name(attempt.node, attempt.item)
        for output, artifact in zip(names, attempt.outputs, strict=False):
            if isinstance(artifact, Artifact):
                found.append(NamedArtifact(task if output == "result" else f"{task}.{output}", task, output, artifact))
    for logged in logged_in(store, run.run_id, every).attachments:
        task = cells.name(logged.node, logged.item)
        name = logged.attachment.name
        found.append(NamedArtifact(f"{task}.{name}", task, name, logged.attachment.artifact))
    return found


def find_artifact(store: Store, run: RunRecord, name: str) -> NamedArtifact:
    """The artifact of a run by its name, its output's or its logged name alone where that is enough, the name of an
    output of the run, or the start of its digest. Raises NotFoundError, naming near ones."""
    every = run_artifacts(store, run)
    returned = run.outputs.get(name)
    digest = returned.digest if isinstance(returned, Artifact) else None
    for matches in (
        [each for each in every if each.name == name],
        [each for each in every if each.output == name],
        [each for each in every if each.artifact.digest == digest][:1],
        [each for each in every if len(name) >= 4 and each.artifact.digest.hex().startswith(name)][:1],
    ):
        if len(matches) == 1:
            return matches[0]
    near = _near(name, every)
    raise NotFoundError(
        f"run {run.run_id} has no artifact {name!r}",
        remedy=f"It has: {', '.join(near[:5])}. See all: penstock artifacts list {run.run_id}" if near else None,
    )


def artifact_document(named: NamedArtifact, values: Values) -> dict[str, Any]:
    """An artifact as JSON-able data."""
    return {
        "name": named.name,
        "task": named.task,
        "output": named.output,
        **argument_document(named.artifact, values),
    }


def preview_of(store: Store, values: Values, named: NamedArtifact) -> dict[str, Any]:
    """The preview recorded with an artifact; made now for small ones."""
    digest = named.artifact.digest
    recorded = store.descriptions([digest]).get(digest)
    return recorded.preview if recorded is not None else values.preview(named.artifact)


def export(named: NamedArtifact, values: Values, path: Path, *, force: bool = False) -> Path:
    """Write an artifact to a file, or into a folder under its own name. Returns where it went.

    Raises DefinitionError if something is there already (unless forced), if the place cannot be written, or for a
    suffix that is not known for such a value.
    """
    folder, name = (path, _file_name(named, values)) if path.is_dir() else (path.parent, path.name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # drafted beside its place, because only the one who writes it knows its suffix
        with tempfile.TemporaryDirectory(prefix=".penstock-", dir=folder) as draft:
            made = values.export(named.artifact, Path(draft, name))
            return _moved(made, folder / made.name, force=force)
    except OutputError as error:
        raise DefinitionError(error.what, remedy=error.remedy) from None
    except OSError as error:
        raise DefinitionError(f"cannot write {path}: {error.strerror or error}") from None


def _file_name(named: NamedArtifact, values: Values) -> str:
    """What to call the file of an artifact: a file keeps its name, other values are called as in the run."""
    if named.artifact.codec == "file":
        return values.load(named.artifact).name
    return named.name.replace("/", "-").replace(".", "-")


def _moved(made: Path, target: Path, *, force: bool) -> Path:
    if target.exists() and not force:
        raise DefinitionError(f"{target} exists", remedy="Choose another place, or add --force.")
    if target.is_dir():
        shutil.rmtree(target)
    return made.replace(target)


def _near(name: str, every: Sequence[NamedArtifact]) -> list[str]:
    """Names of artifacts like one that is not there."""
    called = {each.name: (each.name, each.task, each.task.partition("[")[0]) for each in every}
    close = set(difflib.get_close_matches(name, dict.fromkeys(word for words in called.values() for word in words), 5))
    return [each for each, words in called.items() if close.intersection(words) or name in each] or list(called)
