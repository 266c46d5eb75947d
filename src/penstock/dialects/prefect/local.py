"""What Prefect keeps on a server, kept here in environment variables and in a file: variables and blocks.

A variable is looked up in `PREFECT_VARIABLE_<NAME>`, a block in `PREFECT_BLOCK_<TYPE>_<NAME>` (upper case, with `_` for
anything else), as JSON or as text; then in `prefect.local.json`, in the working folder or in one above it:
`{"variables": {"name": ...}, "blocks": {"type/name": {...}}}`. `PREFECT_LOCAL_STATE` names another file.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from pathlib import Path
from typing import Any

FILE = "prefect.local.json"


def variable_of(*parts: str) -> str:
    """The environment variable for something."""
    return "_".join(re.sub(r"\W|-", "_", each).upper() for each in ("PREFECT", *parts))


def parsed(text: str) -> Any:
    """JSON, or the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def state_file() -> Path:
    """The file that holds variables and blocks; where there is none yet, in the working folder."""
    named = os.environ.get("PREFECT_LOCAL_STATE")
    if named:
        return Path(named)
    folder = Path.cwd()
    return next((each / FILE for each in (folder, *folder.parents) if (each / FILE).is_file()), folder / FILE)


def whole(section: str) -> Any:
    """All that the file has of a section."""
    file = state_file()
    return json.loads(file.read_text()).get(section, {}) if file.is_file() else {}


def stored(section: str, name: str) -> Any:
    """What the file has under a name. Raises KeyError."""
    return whole(section)[name]


def store(section: str, name: str, value: Any) -> None:
    """Put something into the file."""
    file = state_file()
    state: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {}
    part = state.setdefault(section, {})
    if name in part and part[name] == value:
        return
    part[name] = value
    # several processes may load one file that does so
    with tempfile.NamedTemporaryFile("w", dir=file.parent, prefix=f".{file.stem}.", delete=False) as other:
        json.dump(state, other, indent=2)
    Path(other.name).replace(file)


__all__ = ["FILE", "parsed", "state_file", "store", "stored", "variable_of", "whole"]
