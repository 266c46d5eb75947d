"""The artifacts that an argument is made of."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.model.value import Argument, Artifact, Collection, Record


def artifacts_in(argument: Argument) -> Iterator[Artifact]:
    """All artifacts of an argument, in order; of a part of something, those of the whole."""
    if isinstance(argument, Artifact):
        yield argument
    elif isinstance(argument, (Collection, Record)):
        for item in argument.items:
            yield from artifacts_in(item)
    else:
        yield from artifacts_in(argument.of)
