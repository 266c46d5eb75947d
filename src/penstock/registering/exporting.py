"""A pipeline of the user's, written in a dialect."""

from __future__ import annotations

import reprlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from penstock.app import Pipeline
from penstock.authoring.pipeline import Composition, Definition
from penstock.authoring.source import DIALECT, nearby
from penstock.authoring.triggers.trigger import Trigger
from penstock.dialects import Account, Export, Written
from penstock.dialects.recognition import dialects, named, writable
from penstock.errors import DefinitionError
from penstock.model.graph import Graph, Ignored, PipelineAction
from penstock.model.trigger import Trigger as TriggerNoun
from penstock.registering.composing import composing
from penstock.registering.loading import reading_of

#: the grades that a strict export refuses
LOSSES = ("changed", "opaque")


class Exported(NamedTuple):
    """A pipeline in a dialect."""

    pipeline: str
    #: name of the dialect
    dialect: str
    written: Written
    #: what the file that it was read from says, and what has no effect in penstock
    ignored: tuple[Ignored, ...] = ()

    @property
    def losses(self) -> list[str]:
        """The nodes that do not say the same any more; `the pipeline` for what belongs to it as a whole."""
        found = (each.node or "the pipeline" for each in self.written.accounts if each.grade in LOSSES)
        return list(dict.fromkeys(found))


def exported(
    pipeline: Pipeline[..., Any], dialect: str, texts: Sequence[str] = (), stem: str = "", *, draft: bool = False
) -> Exported:
    """A pipeline in a dialect, together with the triggers of its file that start it. `texts` are values of parameters that
    shape it, as `NAME=VALUE`, and `stem` is that of the file that it is to be written to. As a `draft` in penstock's own
    Python, what cannot be written is left to be finished, with its source as a comment.

    Raises DefinitionError for a dialect that there is not, or that is only read, for a graph that is not complete before
    it runs, and for what the dialect cannot say.
    """
    from penstock.authoring.kinds.parameters import parse_assignments

    write = named(dialect).write
    if write is None:
        raise DefinitionError(
            f"penstock reads {dialects()[dialect].title}, and does not write it",
            remedy=f"Written are: {', '.join(writable())}.",
        )
    parameters = pipeline.signature.resolve(given={}, texts=parse_assignments(texts), partial=True)
    with composing(pipeline):
        definition = pipeline.define(parameters)
    export = Export(definition, tuple(_triggers_of(pipeline)), stem, draft)
    if not draft:
        _check_bodies(_whole(export, pipeline))
    written = write(export)
    accounts = (*written.accounts, *(() if written.verbatim else _fixed(definition)))
    written = written._replace(text=f"{written.text.rstrip()}\n", accounts=accounts)
    _check_accounts(definition, written, dialect)
    return Exported(pipeline.name, dialect, written, pipeline.ignored)


def _whole(export: Export, pipeline: Composition[..., Any]) -> Graph:
    """The graph that is to be written. Raises DefinitionError, with what to do, for one of which a part appears only while
    it runs."""
    try:
        return export.whole()
    except DefinitionError as problem:
        module = sys.modules.get(pipeline.function.__module__)
        file = getattr(module, "__file__", None)
        if not getattr(module, DIALECT, "") or file is None:
            raise
        remedy = (
            f"penstock convert {nearby(file)} -o FILE writes it as penstock's own Python. Keep the choice in the graph there, "
            "with when(...) for an if and .map(...) for a loop over what a task returns, and export that."
        )
        raise DefinitionError(problem.what, where=problem.where, remedy=remedy) from None


def _check_bodies(graph: Graph) -> None:
    """Raise DefinitionError for a body of which a part appears only while it runs."""
    for key, task in graph.tasks.items():
        if isinstance(task.action, PipelineAction) and task.action.dynamic:
            node = next((each for each in graph.nodes if each.task == key), None)
            raise DefinitionError(
                f"{task.name if node is None else node.id} is a body whose tasks appear while it runs, so that no file could "
                "hold it",
                where="" if node is None else str(node.location),
                remedy="Keep its choices in the graph: when(...) for an if, .map(...) for a loop.",
            )


def _check_accounts(definition: Definition, written: Written, dialect: str) -> None:
    """Raise DefinitionError for nodes of which nobody says how they were written: none is lost silently."""
    told = {each.node for each in written.accounts}
    missing = [node.id for node in definition.graph.nodes if node.id not in told]
    if missing:
        raise DefinitionError(
            f"the dialect {dialect!r} does not say how it has written {', '.join(missing)}",
            remedy="This is a fault in the package that has the dialect; please report it there.",
        )


def _fixed(definition: Definition) -> Iterator[Account]:
    """What is to be said of a graph that its body has made for certain values of the parameters."""
    if definition.read:
        names = ", ".join(definition.read)
        values = ", ".join(f"{name}={reprlib.repr(definition.parameters[name])}" for name in definition.read)
        where = next(iter(definition.read.values()))
        how = f"its body uses the value of {names} ({where}), and is written as it is for {values} (-p for another)"
        yield Account("", "changed", how)


def _triggers_of(pipeline: Composition[..., Any]) -> Iterator[TriggerNoun]:
    """The triggers in the file of a pipeline that start it."""
    module = sys.modules.get(pipeline.function.__module__)
    if module is None:
        return
    reading = reading_of(module)
    known = vars(module) if reading is None else reading.triggers
    for name, each in known.items():
        if isinstance(each, Trigger) and each.composition is not None and each.composition.name == pipeline.name:
            yield each.named(name).noun


def put(written: Written, file: Path, *, replace: bool = False) -> list[Path]:
    """Write it to a file, and what belongs beside that into the same folder. Returns the files.

    Raises DefinitionError for a file that is there already, unless it may be replaced; nothing is written then.
    """
    if file.is_dir():
        raise DefinitionError(f"{file} is a folder", remedy=f"Name a file in it: {file / 'pipeline'}.")
    texts = {file: written.text}
    for name, text in written.files.items():
        if PurePath(name).is_absolute() or ".." in PurePath(name).parts:
            raise DefinitionError(f"a file that belongs beside {file} leads out of its folder: {name}")
        texts[file.parent / name] = text
    there = [] if replace else [each for each in texts if each.exists()]
    if there:
        raise DefinitionError(
            f"there is already {', '.join(map(str, there))}", remedy="Name another file, or replace it: --force."
        )
    for path, text in texts.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        except OSError as error:
            raise DefinitionError(f"cannot write {path}: {error.strerror}") from None
    return list(texts)


__all__ = ["LOSSES", "Exported", "exported", "put"]
