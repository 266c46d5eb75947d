"""What an edit is: changes of files, and the tasks that have to run again because of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, Protocol

#: a file, what stands in it now and what is to stand there
Change = tuple[str, str, str]

#: the items of the mapped task
SCORES = "score[0] score[1] score[2]"


class Edit(NamedTuple):
    """Changes made at once. To make a file is to change it from the empty text; to remove one, into it."""

    changes: tuple[Change, ...]
    #: ids of the nodes that run again, all others being taken from the cache
    runs: frozenset[str]
    #: the target to run afterwards
    target: str = "pipeline.py"

    def apply(self, folder: Path) -> None:
        """Edit the project in a folder."""
        for name, old, new in self.changes:
            file = folder / name
            text = file.read_text() if file.exists() else ""
            if old:
                assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in {name}"
            changed = text.replace(old, new) if old else new + text
            # the file may be one with that of another copy
            file.unlink(missing_ok=True)
            file.parent.mkdir(parents=True, exist_ok=True)
            if changed:
                file.write_text(changed)
            elif not any(file.parent.iterdir()):
                file.parent.rmdir()


class Run(Protocol):
    """Runs a target in a folder, with fresh modules."""

    def __call__(self, folder: Path, target: str, *flags: str) -> dict[str, Any]: ...


def edit(runs: str, *changes: Change, target: str | None = None) -> Edit:
    """An edit, with the ids of the nodes that run again in one text."""
    if target is None:
        target = next((name for name, _, _ in changes if name in ("script.py", "notebook.py")), "pipeline.py")
    return Edit(changes, frozenset(runs.split()), target)
