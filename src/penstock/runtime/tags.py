"""The tags of runs: words of the user's own, by which runs are found and kept."""

from __future__ import annotations

from collections.abc import Iterable

from penstock.errors import DefinitionError

#: characters
_LONGEST = 100


def checked_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """The tags, each once. Raises DefinitionError for what cannot be one: an empty text, one with blanks at its ends or
    with a line end, one of more than 100 characters."""
    found = tuple(dict.fromkeys(tags))
    for tag in found:
        if type(tag) is not str or not tag or tag != tag.strip() or not tag.isprintable() or len(tag) > _LONGEST:
            raise DefinitionError(
                f"{tag!r} cannot be a tag", remedy="A tag is a word or a few, such as release or 2026-q4."
            )
    return found


__all__ = ["checked_tags"]
