"""What a file says and what has no effect here, gathered where it is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from penstock.authoring.source import caller
from penstock.dialects import foreign
from penstock.errors import DefinitionError, NotCoveredError
from penstock.model.graph import Ignored
from penstock.model.place import Location


def ignored(owner: str, options: Mapping[str, Any], reasons: Mapping[str, str]) -> tuple[Ignored, ...]:
    """Those of the options that were given and have no effect, with the reasons, by name."""
    where = caller()
    return tuple(
        Ignored(f"{owner}: {name}={_short(options[name])}", where, why)
        for name, why in reasons.items()
        if options.get(name) is not None
    )


def _short(value: Any) -> str:
    text = getattr(value, "__name__", None) or repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def note(owner: str, why: str) -> Ignored:
    """Something without effect, at the line of the user's file."""
    return Ignored(owner, caller(), why)


def not_covered(what: str, remedy: str = "", where: Location | None = None) -> NotCoveredError:
    """The error that something has no counterpart: at a line of the user's file, else at the one at hand."""
    from penstock.dialects.prefect import DIALECT

    found = foreign.not_covered(DIALECT, what, remedy)
    return found if where is None else NotCoveredError(found.what, where=str(where), remedy=found.remedy)


def check_known(owner: str, options: Mapping[str, Any], known: Iterable[str]) -> None:
    """Raise DefinitionError for an option that Prefect does not have."""
    from penstock.authoring.kinds.conversion import nearest

    names = tuple(known)
    unknown = next((name for name in options if name not in names), None)
    if unknown is not None:
        raise DefinitionError(
            f"{owner} has no option {unknown!r}{nearest(unknown, names)}",
            where=str(caller()),
            remedy=f"Its options are: {', '.join(names)}.",
        )


__all__ = ["check_known", "ignored", "not_covered", "note"]
