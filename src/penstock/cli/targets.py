"""From what a user names on the command line to a pipeline: a file, a module, or a registered name."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from penstock.app import ASSETS, Pipeline
from penstock.dialects.recognition import in_dialect, split_dialect
from penstock.errors import NotFoundError, TargetError
from penstock.model.run import Provenance, RunRecord
from penstock.registering.loading import exists, is_path, load_pipeline, near_files, split_target

if TYPE_CHECKING:
    from penstock.model.registration import Definition


class Named(NamedTuple):
    """A pipeline that was named."""

    pipeline: Pipeline[..., Any]
    #: what loads it
    target: str
    #: of the registered pipeline; None for what was named by its file or module
    version: int | None = None


def load_target(target: str) -> Pipeline[..., Any]:
    """The pipeline that a target names; see `find_target`."""
    return find_target(target).pipeline


def find_target(target: str) -> Named:
    """The pipeline that a target names: `file.py`, `file.py:name`, `package.module:name`, `package.module`, or the name of
    a registered pipeline. Where there is a file or a module of that name, it is that.

    Raises TargetError if it does not exist, does not load, or does not name exactly one pipeline.
    """
    place, name = split_target(target)
    if name or is_path(place) or exists(place):
        return Named(load_pipeline(target), target)
    dialect, rest = split_dialect(target)
    if dialect is not None:
        raise TargetError(
            f"there is no file or module {rest!r} to read in the dialect {dialect!r}",
            remedy=near_files(Path(rest))
            or "A registered pipeline is read in the dialect that it was registered in: leave out --dialect.",
        )
    definition = _registered(target)
    return Named(load_pipeline(definition.target), definition.target, definition.version)


def _registered(name: str) -> Definition:
    """The registered pipeline of a name. Raises TargetError, naming near ones."""
    from penstock.app import Services

    services = Services()
    with services.store_as_it_is() as store:
        try:
            if store is not None:
                definition = store.agenda.definition("pipeline", name)
                if not definition.retired:
                    return definition
        except NotFoundError as error:
            remedy = error.remedy
        else:
            remedy = None if store is None else "It was registered once, and is retired: its file no longer has it."
    raise TargetError(
        f"there is no file, module or registered pipeline {name!r}",
        remedy=remedy
        or near_files(Path(name))
        or "Name a file (pipeline.py), a module that can be imported (package.module:name), or what is registered "
        "(penstock register FILE).",
    )


def target_of(run: RunRecord, provenance: Provenance) -> str:
    """What names the pipeline of a run, from any folder: the file that it was in, and its name there."""
    place, name = split_target(run.target)
    dialect, place = split_dialect(place)
    if not provenance.source or run.target.startswith(ASSETS):
        return run.target
    files = [file for file in provenance.source if Path(file).name == Path(place).name]
    if is_path(place):
        file = next(iter(files), None)
        return run.target if file is None else in_dialect(f"{file}:{name}" if name else file, dialect)
    # started from Python, where a module says nothing of the pipeline's name
    return f"{next(iter(provenance.source))}:{name or run.pipeline}"


def make_importable(places: Iterable[str]) -> None:
    """Let files and folders be imported from, so that values of the classes defined there can be loaded."""
    import sys

    for place in places:
        folder = str(Path(place) if Path(place).is_dir() else Path(place).parent)
        if folder not in sys.path:
            sys.path.append(folder)
