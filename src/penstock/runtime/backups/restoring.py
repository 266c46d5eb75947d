"""A backup put back. All that can go wrong with it goes wrong in a folder of its own, before anything is moved."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from penstock.errors import StoreError
from penstock.model.run import RunRecord, RunState
from penstock.ports import Blobs
from penstock.runtime.backups import contents
from penstock.runtime.backups.contents import Manifest
from penstock.runtime.backups.writing import FileStore, Opening, unpack
from penstock.runtime.collecting import folders
from penstock.runtime.orphans import Say, log, orphans

#: what SQLite keeps beside the file
_BESIDE = ("-wal", "-shm")


class Restored(NamedTuple):
    """What was put back."""

    manifest: Manifest
    #: where the state is now that was there before; None where there was none
    aside: Path | None
    #: the runs that were under way when the backup was made, and can be gone on with
    unfinished: list[RunRecord]


def restore(
    home: Path,
    database: Path,
    blobs: Path | None,
    opening: Opening,
    open_blobs: Callable[[Path | None], Blobs],
    path: Path,
    *,
    replace: bool = False,
    say: Say = log,
) -> Restored:
    """Put a backup in the place of what a project has recorded and stored. What is there is moved aside, with `replace`;
    else nothing may be there. Raises StoreError, also where runs are under way; then nothing has changed.

    `blobs` is the folder that blobs are kept in; where they are kept elsewhere (None), those of the backup are added to
    what is there. So is nothing moved that a backup without blobs has no others for. `say` is told if it has to be seen first
    whether the driver of a run lives.
    """
    if not path.exists():
        raise StoreError(f"there is no backup {path}")
    try:
        with (
            folders.alone(home),
            tempfile.TemporaryDirectory(prefix=".restore-", dir=home) as folder,
        ):
            _require_free(database, opening, path, replace=replace, say=say)
            made = Path(folder) / database.name
            stored = None if blobs is None else Path(folder) / blobs.name
            manifest = unpack(path, made, open_blobs(stored))
            with opening(made) as store:
                unfinished = _checked(store, path)
            replaces = blobs is not None and manifest.blobs is not None
            aside = _set_aside(home, [database, blobs] if replaces else [database])
            if blobs is not None and stored is not None and stored.exists():
                stored.rename(blobs)
            made.rename(database)
    except OSError as error:
        raise StoreError(f"cannot put {path} back to {home}: {error.strerror or error}") from error
    return Restored(manifest, aside, unfinished)


def _checked(store: FileStore, path: Path) -> list[RunRecord]:
    """The runs that were under way, in a store that is sound."""
    wrong = store.check()
    if wrong:
        raise contents.not_a_backup(path, wrong[0])
    return store.runs(state=RunState.RUNNING, limit=sys.maxsize)


def _require_free(database: Path, opening: Opening, path: Path, *, replace: bool, say: Say) -> None:
    if not database.exists():
        return
    if not replace:
        raise StoreError(
            f"{database} is there already",
            remedy=f"Have it moved aside, which loses nothing: penstock restore --force {path}",
        )
    # whoever opens and closes it last leaves one file; one that is damaged is moved aside with what is beside it
    try:
        with opening(database) as store:
            gone = {run.run_id for run in orphans(store, say)}
            running = store.runs(state=RunState.RUNNING, limit=sys.maxsize)
            driven = [run for run in running if run.run_id not in gone]
    except StoreError:
        return
    if driven:
        raise StoreError(
            f"run {driven[0].run_id} of {driven[0].pipeline} is under way",
            remedy=f"Wait for its end, or cancel it: penstock cancel {driven[0].run_id}",
        )


def _set_aside(home: Path, paths: Iterable[Path | None]) -> Path | None:
    """Move what is there to a folder of its own."""
    there = [path for path in paths if path is not None and path.exists()]
    if not there:
        return None
    aside = home / f"replaced-{time.strftime('%Y%m%d-%H%M%S')}"
    number = 1
    while aside.exists():
        number += 1
        aside = aside.with_name(f"{aside.name.partition('.')[0]}.{number}")
    aside.mkdir(mode=0o700)
    for path in there:
        for each in (path, *(path.with_name(path.name + more) for more in _BESIDE)):
            if each.exists():
                each.rename(aside / each.name)
    return aside


__all__ = ["Restored", "restore"]
