"""Stored values in a few words."""

from __future__ import annotations

from typing import Any

from penstock.model.value import Argument, Artifact, Collection, Record
from penstock.ports import Store
from penstock.runtime.reading.argument_documents import argument_type, plain_value
from penstock.values import Values

_LONGEST = 80


def shown(argument: Argument, values: Values, store: Store) -> str:
    """What a value is, in one line: itself where it is small, else its type, its extent, and the start of its digest.

    Nothing large is loaded for it.
    """
    small, value = plain_value(argument, values)
    if isinstance(argument, Artifact) and argument.codec == "path":
        # the path may be the same, and what is there another
        return f"{values.load(argument)} ({argument.digest.hex()[:8]})"
    if small:
        text = repr(value)
        return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
    return f"{argument_type(argument)}{_extent(argument, store)} ({values.digest(argument).hex()[:8]})"


def _extent(argument: Argument, store: Store) -> str:
    """` of 120 rows and 4 columns`, ` of shape (3, 4)`; empty where it is not known."""
    if isinstance(argument, (Collection, Record)):
        return f" of {len(argument.items)}"
    if not isinstance(argument, Artifact):
        return ""
    description = store.descriptions([argument.digest]).get(argument.digest)
    preview: dict[str, Any] = {} if description is None else description.preview
    if preview.get("kind") == "frame":
        return f" of {preview['rows']} rows and {preview['width']} columns"
    if "shape" in preview:
        return f" of shape {tuple(preview['shape'])}"
    return ""


__all__ = ["shown"]
