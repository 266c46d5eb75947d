"""What the decorators have in common: which functions they take, and under which names."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ClassVar, Generic, ParamSpec, Self, TypeVar, cast

from penstock.authoring.source import caller, found_by_name, location_of
from penstock.errors import DefinitionError

P = ParamSpec("P")
R = TypeVar("R")

#: the flags of code that is suspended: of generators, coroutines, both at once (see `inspect.CO_GENERATOR`)
_SUSPENDED = 0x20 | 0x80 | 0x200


class Decorated(Generic[P, R]):
    """A function under one of penstock's decorators. It keeps the function's name, docstring and signature."""

    #: what it is called in messages
    role: ClassVar[str]
    __name__: str
    __wrapped__: Callable[P, R]

    def __init__(self, function: Callable[P, R], name: str) -> None:
        #: the function itself
        self.function = function
        self.name = name
        functools.update_wrapper(self, function)  # pyright: ignore[reportArgumentType]

    def __reduce__(self) -> Any:
        # a plain pickle of the function would find this object under its name, and give up
        if found_by_name(self.function.__module__, self.function.__qualname__) is self:
            return self.function.__qualname__
        return (object.__new__, (type(self),), vars(self))

    def __copy__(self) -> Self:
        # by `__reduce__`, it would be this one again
        made = object.__new__(type(self))
        made.__dict__.update(self.__dict__)
        return made

    def __repr__(self) -> str:
        return f"<{self.role} {self.name} at {location_of(self.function)}>"


class Uncalled:
    """Something that is no value itself, and gives one only when it is called."""

    #: how it is written, without the call
    written: ClassVar[str]


def check_function(function: Any, decorator: str) -> None:
    """Raise DefinitionError for anything but a plain function."""
    if isinstance(function, Decorated):
        decorated = cast(Decorated[..., Any], function)
        raise DefinitionError(
            f"@{decorator} is given {decorated.name}, which is a {decorated.role} already",
            where=str(caller()),
            remedy="Use one decorator only.",
        )
    if not callable(function) or not hasattr(function, "__name__") or isinstance(function, type):
        raise DefinitionError(
            f"@{decorator} needs a function, and got {function!r}",
            where=str(caller()),
            remedy="Write a small function around it.",
        )
    if decorator != "task" and _is_suspended(function):
        raise DefinitionError(
            f"{function.__name__}() is a coroutine or a generator, which @{decorator} cannot take",
            where=str(location_of(function)),
            remedy="Compose tasks in a plain function; tasks may be coroutines and generators.",
        )


def _is_suspended(function: Any) -> bool:
    code = getattr(function, "__code__", None)
    return code is not None and bool(code.co_flags & _SUSPENDED)


def check_name(name: str | None) -> None:
    """Raise DefinitionError for a name that cannot be part of a node's id; None is no name."""
    if name is not None and (not name or any(c in name for c in "/[]") or not name.isprintable()):
        raise DefinitionError(f"a name cannot be empty or contain '/', '[' or ']': {name!r}", where=str(caller()))
