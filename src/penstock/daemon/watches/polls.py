"""The look-outs by what they look at."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from penstock.daemon.inquiries import Poll
from penstock.daemon.watches.files import look_at_files
from penstock.daemon.watches.objects import look_at_objects
from penstock.daemon.watches.rows import look_at_rows


def polls(folder: Path) -> Mapping[str, Poll]:
    """What looks at files, objects and rows; relative paths start from a folder."""
    return {
        "files": partial(look_at_files, folder),
        "objects": look_at_objects,
        "rows": partial(look_at_rows, folder),
    }


__all__ = ["polls"]
