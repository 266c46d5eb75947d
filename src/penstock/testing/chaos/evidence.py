"""What is left of a run: by its own records, and by the notes of its tasks, which penstock knows nothing of."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from penstock.testing.chaos.noting import NOTES
from penstock.testing.chaos.reference import FAILING, TIMED

#: what Python writes for a moment to see whether a folder is one for temporary files
_PROBE = re.compile("[a-z0-9_]{8}")

#: node and item
Cell = tuple[str, int]


class Result(msgspec.Struct):
    """The results of a run: the digests of all outputs by task, and those of the run itself."""

    state: str
    tasks: dict[str, dict[str, str]]
    outputs: dict[str, Any]


class Note(NamedTuple):
    """A line of the notes."""

    what: str
    cell: Cell


def notes(folder: Path) -> list[Note]:
    """What the tasks have noted down so far, in order."""
    path = folder / NOTES
    found: list[Note] = []
    for line in path.read_text().splitlines() if path.exists() else []:
        what, node, item, _, _ = line.split()
        found.append(Note(what, (node, int(item))))
    return found


def recorded(run_id: str) -> set[Cell]:
    """The attempts of a run in the project at hand that are recorded as successful."""
    from penstock.services import Services

    with Services().existing_store() as store:
        return {
            (attempt.node, attempt.item)
            for attempt in store.attempts(run_id)
            if attempt.attempt > 0 and attempt.state == "succeeded"
        }


def the_run() -> tuple[str, str] | None:
    """The id and the state of the one run of the project at hand; None if there is none."""
    from penstock.services import Services

    services = Services()
    if not services.has_store:
        return None
    with services.store() as store:
        runs = store.runs()
        return (runs[0].run_id, runs[0].state.value) if runs else None


def result(run_id: str) -> Result:
    """The results of a run of the project at hand."""
    from penstock import find_run

    run = find_run(run_id)
    document = run.document
    tasks = {
        task["id"]: {name: "" if task["id"] in TIMED else output["digest"] for name, output in task["outputs"].items()}
        for task in document["tasks"]
    }
    return Result(document["state"], tasks, msgspec.to_builtins(document["outputs"], enc_hook=str))


def journals(run_id: str) -> list[str]:
    """What the journals of a run and of its earlier generations come to."""
    from penstock.services import Services

    with Services().existing_store() as store:
        last = store.find(run_id).generation
        ids = [f"{run_id}.{number}" for number in range(1, last)] + [run_id]
        return [hashlib.sha256(msgspec.json.encode(store.journal(each))).hexdigest() for each in ids]


def differences(expected: Result, found: Result) -> list[str]:
    """In what results differ from those of the undisturbed run."""
    if found.state != expected.state:
        return [f"the run {found.state}, and not {expected.state}"]
    different = [name for name in expected.tasks if found.tasks.get(name) != expected.tasks[name]]
    told = [f"{name} is missing" if name not in found.tasks else f"{name} has another result" for name in different]
    told += [f"{name} should not be there" for name in found.tasks.keys() - expected.tasks.keys()]
    if found.outputs != expected.outputs:
        told.append(f"the outputs are {found.outputs}")
    return told


def missing(expected: list[Note], found: list[Note]) -> list[str]:
    """Attempts that ended in the undisturbed run and never did in this one."""
    ended = {note.cell for note in found if note.what == "ended"}
    return [
        f"{node}[{item}] never ended"
        for what, (node, item) in expected
        if what == "ended" and (node, item) not in ended
    ]


def repeated(found: list[Note]) -> Counter[Cell]:
    """Attempts that ended more than once, and how many times more: their processes died before that was recorded."""
    ends = Counter(note.cell for note in found if note.what == "ended")
    return Counter({cell: count - 1 for cell, count in ends.items() if count > 1})


def broken_off(found: list[Note]) -> int:
    """How many attempts began and did not end, without those that fail by design."""
    counts = Counter(note.what for note in found if note.cell[0] not in FAILING)
    return counts["began"] - counts["ended"]


def unsound() -> list[str]:
    """What is wrong with the project at hand: with its store, or with what is recorded and not stored."""
    from penstock.services import Services
    from penstock.values.parts import artifacts_in

    services = Services()
    with services.existing_store() as store:
        found = list(store.check())
        artifacts = {artifact for argument in store.arguments() for artifact in artifacts_in(argument)}
    gone = [artifact for artifact in artifacts if not services.values.available(artifact)]
    return found + [f"the bytes of a {artifact.type} that is recorded are gone" for artifact in gone]


def litter(home: Path, temporary: Path) -> list[str]:
    """Files that nobody will read any more, after a collection."""
    folders = (home / "blobs" / "tmp", home / "blobs" / "trash", home / "logs", temporary)
    found = (path for folder in folders if folder.is_dir() for path in folder.iterdir())
    return [str(path) for path in found if path.parent != temporary or not _PROBE.fullmatch(path.name)]


__all__ = [
    "Cell",
    "Note",
    "Result",
    "broken_off",
    "differences",
    "journals",
    "litter",
    "missing",
    "notes",
    "recorded",
    "repeated",
    "result",
    "the_run",
    "unsound",
]
