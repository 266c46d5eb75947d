"""What stands for a name of another system that penstock has no counterpart of.

Files import more than what they run uses: what only stands under `if __name__ == "__main__":`, or in another pipeline, must
not keep one from being run. So such a name may be imported; a pipeline that uses it does not begin, and anything else that
is done with it stops there and then.
"""

from __future__ import annotations

import ast
import linecache
import sys
from collections.abc import Iterable
from types import CodeType
from typing import Any

from penstock.authoring.source import caller, is_own
from penstock.errors import NotCoveredError
from penstock.model.graph import Ignored
from penstock.model.place import Location


class Uncovered:
    """A name that was imported, and that nothing is to be done with: `name` in full, in the dialect of that name, with what
    is to be done instead."""

    def __init__(self, dialect: str, name: str, remedy: str = "") -> None:
        # by a name of our own, since every other one is asked of what it stands for
        self.__dict__["penstock"] = (dialect, name, remedy, caller())

    def __reduce__(self) -> Any:
        return type(self), self.__dict__["penstock"][:3]

    def __getattr__(self, name: str) -> Any:
        # what penstock asks of everything that it looks into is no use
        if name.startswith("__") or is_own(sys._getframe(1).f_code.co_filename):  # pyright: ignore[reportPrivateUsage]
            raise AttributeError(name)
        raise self.error(caller())

    def __call__(self, *_: Any, **__: Any) -> Any:
        raise self.error(caller())

    def __mro_entries__(self, _: tuple[Any, ...]) -> Any:
        raise self.error(caller())

    def __or__(self, _: object) -> Any:
        # in an annotation
        return Any

    __ror__ = __or__

    def error(self, where: Location | None = None, user: str = "") -> NotCoveredError:
        """The error that it is used: by `user`, at a line, or at the one that imports it."""
        from penstock.dialects.foreign import not_covered
        from penstock.dialects.recognition import named

        dialect, name, remedy, imported = self.__dict__["penstock"]
        found = not_covered(named(dialect), f"{name}, which {user} uses," if user else name, remedy)
        return NotCoveredError(found.what, where=str(where or imported), remedy=found.remedy)

    def noted(self) -> Ignored:
        """What plans tell where it is not used."""
        _, name, _, where = self.__dict__["penstock"]
        return Ignored(name, where, "it is not covered, and what is run does not use it")


def unused(found: Iterable[Any]) -> tuple[Ignored, ...]:
    """What plans tell of those of some values that are not covered, each once."""
    return tuple(dict.fromkeys(each.noted() for each in found if isinstance(each, Uncovered)))


def names_in(code: CodeType) -> set[str]:
    """The names that some code takes from around it, that of the functions inside it included."""
    names = {*code.co_names, *code.co_freevars}
    for each in code.co_consts:
        if isinstance(each, CodeType):
            names |= names_in(each)
    return names


def cells_of(function: Any) -> dict[str, Any]:
    """What a function takes from the functions around it."""
    found: dict[str, Any] = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        try:
            found[name] = cell.cell_contents
        except ValueError:
            continue
    return found


def is_tried() -> bool:
    """Whether the user's line at hand stands in a `try`: the file is ready to do without what it imports there."""
    frame = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    while is_own(frame.f_code.co_filename) and frame.f_back is not None:
        frame = frame.f_back
    try:
        tree = ast.parse("".join(linecache.getlines(frame.f_code.co_filename)))
    except SyntaxError:
        return False
    return any(
        each.body[0].lineno <= frame.f_lineno <= (each.body[-1].end_lineno or 0)
        for each in ast.walk(tree)
        if isinstance(each, ast.Try) and each.handlers
    )


__all__ = ["Uncovered", "cells_of", "is_tried", "names_in", "unused"]
