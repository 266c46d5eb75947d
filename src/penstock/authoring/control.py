"""Branches and what goes with them: `when`, `otherwise`, `choose`, `unmapped`."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, TypeVar

from penstock.authoring.building import Building, Unmapped, current_building
from penstock.authoring.ref import Ref
from penstock.authoring.source import caller
from penstock.errors import DefinitionError
from penstock.model.expression import Apply, Choose

T = TypeVar("T")


@contextmanager
def when(condition: Any) -> Generator[None]:
    """Run the tasks called in the block only if a condition holds.

    The condition is an expression over refs (`quality["accuracy"] >= threshold`; combine with `&`, `|`, `~`), or a
    plain bool. Where it does not hold, the tasks and what depends on them are skipped. Raises DefinitionError outside
    a pipeline.
    """
    building = _required("when")
    with building.guarded(building.expression(condition)):
        yield


@contextmanager
def otherwise() -> Generator[None]:
    """Run the tasks called in the block only if the condition of the `when` right before does not hold.

    Raises DefinitionError where there is no such `when`.
    """
    building = _required("otherwise")
    condition = building.last_condition()
    if condition is None:
        raise DefinitionError(
            "otherwise() does not follow a when(...)",
            where=str(caller()),
            remedy="Put it right after the block of `with when(...):`, at the same depth.",
        )
    with building.guarded(Apply("not", (condition,))):
        yield
    building.last_condition()


def choose(*options: T) -> T:
    """The value of the first option that ran: how branches meet again.

    The ref is skipped if all options were skipped, and fails if one of them failed and none ran. Outside a pipeline it
    is the first option that is not None. Raises DefinitionError for no options.
    """
    if not options:
        raise DefinitionError("choose() was given nothing to choose from", where=str(caller()))
    building = current_building()
    if building is None:
        return next((option for option in options if option is not None), options[0])
    expressions = tuple(building.expression(option) for option in options)
    return Ref(Choose(expressions), building)  # pyright: ignore[reportReturnType]


def unmapped(value: T) -> T:
    """A value that every item of `task.map(...)` gets as it is, though it could be mapped over."""
    return Unmapped(value)  # pyright: ignore[reportReturnType]


def _required(name: str) -> Building:
    building = current_building()
    if building is None:
        raise DefinitionError(
            f"{name}() is used outside a pipeline",
            where=str(caller()),
            remedy="Use it in the body of a function decorated with @pipeline; in plain code, use if.",
        )
    return building
