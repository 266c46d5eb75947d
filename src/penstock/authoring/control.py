"""Branches, groups and what goes with them: `when`, `switch`, `continue_if`, `choose`, `group`, `unmapped`."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from functools import reduce
from typing import Any, TypeVar

from penstock.authoring.blocks import Block
from penstock.authoring.building import Unmapped, current_building, required_building
from penstock.authoring.decorated import check_name
from penstock.authoring.ref import Ref
from penstock.authoring.source import caller
from penstock.errors import DefinitionError
from penstock.model.expression import Apply, Choose, Constant, Expression

T = TypeVar("T")

_INSTEAD = "; in plain code, use if"


@contextmanager
def when(condition: Any) -> Generator[None]:
    """Run the tasks called in the block only if a condition holds.

    The condition is an expression over refs (`quality["accuracy"] >= threshold`; combine with `&`, `|`, `~`), over how
    tasks ended (`failed(load)`), or a plain bool. Where it does not hold, the tasks and what depends on them are
    skipped. `elif_` and `otherwise` may follow. Raises DefinitionError outside a pipeline.
    """
    building = required_building("when", _INSTEAD)
    with building.blocks.open(building.expression(condition)):
        yield


@contextmanager
def elif_(condition: Any) -> Generator[None]:
    """Run the tasks called in the block only if a condition holds, and none of the branches right before does.

    Raises DefinitionError where it follows neither a `when` nor an `elif_`.
    """
    building = required_building("elif_", _INSTEAD)
    before = _branches_before("elif_")
    holds = building.expression(condition)
    with building.blocks.open(Apply("and", (Apply("not", (before,)), holds))):
        yield
    building.blocks.set_ended(Apply("or", (before, holds)))


@contextmanager
def otherwise() -> Generator[None]:
    """Run the tasks called in the block only if none of the branches right before (`when`, `elif_`) is taken.

    Raises DefinitionError where there is none.
    """
    building = required_building("otherwise", _INSTEAD)
    before = _branches_before("otherwise")
    with building.blocks.open(Apply("not", (before,))):
        yield
    building.blocks.set_ended(None)


def _branches_before(name: str) -> Expression:
    condition = required_building(name).blocks.take_ended()
    if condition is None:
        raise DefinitionError(
            f"{name}() does not follow a when(...)",
            where=str(caller()),
            remedy="Put it right after the block of `with when(...):`, at the same depth.",
        )
    return condition


class Switch:
    """Branches by name. See `switch`."""

    def __init__(self, choice: Expression) -> None:
        self._choice = choice
        self._taken: list[Expression] = []
        self._names: set[Any] = set()
        self._closed = False

    @contextmanager
    def case(self, *names: Any) -> Generator[None]:
        """Run the tasks called in the block only if the choice is one of these names, or has one of them in it."""
        self._check_open()
        twice = next((name for name in names if name in self._names), None)
        if not names or twice is not None:
            raise DefinitionError(
                "case() is given no name" if not names else f"there are two cases for {twice!r}", where=str(caller())
            )
        self._names.update(names)
        tests: list[Expression] = [Apply("selects", (self._choice, Constant(name))) for name in names]
        condition = reduce(_either, tests)
        self._taken.append(condition)
        building = required_building("case", _INSTEAD)
        with building.blocks.open(condition):
            yield
        building.blocks.set_ended(None)

    @contextmanager
    def default(self) -> Generator[None]:
        """Run the tasks called in the block only if none of the cases above is taken."""
        self._check_open()
        if not self._taken:
            raise DefinitionError(
                "default() comes before any case(...)", where=str(caller()), remedy="Put it after the last case."
            )
        self._closed = True
        building = required_building("default", _INSTEAD)
        with building.blocks.open(Apply("not", (reduce(_either, self._taken),))):
            yield
        building.blocks.set_ended(None)

    def _check_open(self) -> None:
        if self._closed:
            raise DefinitionError("default() has to be the last of the branches of a switch", where=str(caller()))


def _either(one: Expression, other: Expression) -> Expression:
    return Apply("or", (one, other))


def switch(choice: Any) -> Switch:
    """Branches by name: `s = switch(ref)`, then `with s.case("a"):`, `with s.case("b", "c"):`, `with s.default():`.

    Where the choice is a list, a tuple or a set, all cases in it are taken. Raises DefinitionError outside a pipeline.
    """
    return Switch(required_building("switch", _INSTEAD).expression(choice))


def continue_if(condition: Any) -> None:
    """Skip the rest of the block it stands in (a `with` block, or the body of the pipeline) unless a condition holds.

    Raises DefinitionError outside a pipeline.
    """
    building = required_building("continue_if", _INSTEAD)
    building.blocks.narrow(building.expression(condition))


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


@contextmanager
def group(name: str) -> Generator[Block]:
    """Put the tasks called in the block in a group: they are called `name/...`, and shown together.

    The handle stands for all of them in `>>`, `<<`, `chain`, `cross` and `after=`. Raises DefinitionError outside a
    pipeline, and for a name that cannot be part of an id.
    """
    check_name(name)
    with required_building("group").grouped(name) as block:
        yield block


def unmapped(value: T) -> T:
    """A value that every item of `task.map(...)` gets as it is, though it could be mapped over."""
    return Unmapped(value)  # pyright: ignore[reportReturnType]
