"""What stands for a name of Prefect's that penstock has no counterpart of.

Files import more than their flows use: what only stands under `if __name__ == "__main__":`, or in another flow, must not
keep a flow from being run. So such a name may be imported; a flow that uses it does not begin, and anything else that is
done with it stops there and then.
"""

from __future__ import annotations

import ast
import linecache
import sys
from typing import Any

from penstock.authoring.source import caller, is_own
from penstock.dialects.prefect.noting import not_covered
from penstock.errors import NotCoveredError
from penstock.model.graph import Ignored

#: what only Prefect 1 had
_FIRST = {"prefect.Parameter", "prefect.case", "prefect.mapped", "prefect.executors", "prefect.run_configs",
          "prefect.storage", "prefect.triggers", "prefect.engine.signals", "prefect.tasks.core"}  # fmt: skip


class Uncovered:
    """A name that was imported, and that nothing is to be done with."""

    def __init__(self, name: str, near: str = "") -> None:
        # by names of our own, since every other one is asked of what it stands for
        self.__dict__["penstock"] = (name, near, caller())

    def __reduce__(self) -> Any:
        return missing, tuple(self.__dict__["penstock"][0].rsplit(".", 1))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise not_covered(*self.__dict__["penstock"][:2])

    def __call__(self, *_: Any, **__: Any) -> Any:
        raise not_covered(*self.__dict__["penstock"][:2])

    def __mro_entries__(self, _: tuple[Any, ...]) -> Any:
        raise not_covered(*self.__dict__["penstock"][:2])

    def error(self) -> NotCoveredError:
        """The error that it is used, at the line that imports it."""
        name, near, where = self.__dict__["penstock"]
        found = not_covered(name, near)
        return NotCoveredError(found.what, where=str(where), remedy=found.remedy)

    def noted(self) -> Ignored:
        """What plans tell where it is not used."""
        name, _, where = self.__dict__["penstock"]
        return Ignored(name, where, "it is not covered, and what is run does not use it")


def missing(module: str, name: str) -> Any:
    """What stands for a name in a module. Raises NotCoveredError for what only Prefect 1 has, and where the file is ready to
    do without it."""
    from penstock.authoring.kinds.conversion import nearest
    from penstock.dialects.prefect.vocabulary import vocabulary

    full = f"{module}.{name}"
    if any(full == each or full.startswith(f"{each}.") for each in _FIRST):
        raise not_covered(full, "It is of Prefect 1: write the file for Prefect 2 or 3, or for penstock.")
    close = nearest(name, [each for each in vocabulary().get(module, ()) if not each.startswith("_")])
    near = close.removeprefix("; ").capitalize()
    if _is_tried():
        raise not_covered(full, near)
    return Uncovered(full, near)


def _is_tried() -> bool:
    """Whether the user's line at hand stands in a `try`."""
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


__all__ = ["Uncovered", "missing"]
