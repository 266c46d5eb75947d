"""Files that a pipeline names by relative paths."""

from __future__ import annotations

from pathlib import Path

from penstock.authoring.source import caller


def named_file(name: str) -> Path | None:
    """The file or folder that the user's line means by a path, absolute; None where there is none.

    A relative path starts from the folder of the file with that line, or else from the working folder.
    """
    beside = Path(caller().file).parent / name
    found = next((path for path in (beside, Path(name)) if path.exists()), None)
    return None if found is None else found.absolute()
