"""What a value is made of: whether it is plain data, and which functions and classes it holds."""

from __future__ import annotations

import functools
import io
import pickle
import sys
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any, Final, cast

_ATOMS: Final = frozenset({type(None), bool, int, float, complex, str, bytes, bytearray, range})
_CONTAINERS: Final = (list, tuple, set, frozenset, dict)


def class_of(value: Any) -> type[Any]:
    """The type of a value, whatever the value itself says that its class is."""
    return cast("type[Any]", type(value))


def is_logger(kind: type[Any]) -> bool:
    """Whether a class is one of loggers. Where nobody has loaded `logging`, none is."""
    logging = sys.modules.get("logging")
    return logging is not None and issubclass(kind, logging.Logger | logging.LoggerAdapter)


def is_plain(value: Any) -> bool:
    """Whether a value is made of numbers, texts and the containers of Python alone."""
    stack, seen = [value], set[int]()
    while stack:
        item: Any = stack.pop()
        kind = class_of(item)
        if kind in _ATOMS:
            continue
        if kind not in _CONTAINERS:
            return False
        if id(item) not in seen:
            seen.add(id(item))
            # most lists are of atoms: looking at their types costs a fraction of looking at each
            stack.extend(_odd(item))
            if kind is dict:
                stack.extend(_odd(item.values()))
    return True


def _odd(items: Any) -> Any:
    return () if _ATOMS.issuperset(map(type, items)) else items


def orders_of(value: Any) -> list[list[Any]]:
    """The keys of the dicts in plain data, in their order, where there is more than one to a dict."""
    orders: list[list[Any]] = []
    stack, seen = [value], set[int]()
    while stack:
        item: Any = stack.pop()
        kind = class_of(item)
        # sets hold nothing that could hold a dict
        if kind not in (list, tuple, dict) or id(item) in seen:
            continue
        seen.add(id(item))
        if kind is dict and len(item) > 1:
            orders.append(list(item))
        stack.extend(_odd(item.values() if kind is dict else item))
    return orders


def items_of(value: Any) -> Iterator[tuple[str, Any]]:
    """The elements of a container, each with a name; in an order that is the same in every process."""
    kind = class_of(value)
    if issubclass(kind, dict):
        for number, (key, item) in enumerate(value.items()):
            if isinstance(key, str):
                yield f"[{key!r}]", item
            else:
                yield f"<{number}>", key
                yield f"[<{number}>]", item
    else:
        elements: Any = sorted(value, key=_order) if issubclass(kind, set | frozenset) else value
        for number, item in enumerate(elements):
            yield f"[{number}]", item


def _order(item: Any) -> str:
    name = getattr(item, "__qualname__", None)
    return f"{type(item).__name__} {name if isinstance(name, str) else repr(item)}"


def state_of(value: Any) -> dict[str, Any]:
    """The attributes of an object; what it has only remembered (`cached_property`) is left out."""
    kind = class_of(value)
    state: dict[str, Any] = {}
    for base in kind.__mro__:
        slots: Any = base.__dict__.get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else slots:
            if not slot.startswith("__") and hasattr(value, slot):
                state[slot] = getattr(value, slot)
    held: Any = getattr(value, "__dict__", {})
    for name, item in held.items():
        if not isinstance(getattr(kind, name, None), functools.cached_property):
            state[name] = item
    return state


def code_within(value: Any) -> list[Callable[..., Any]]:
    """The functions and classes that a value of somebody else's type holds, as pickling it would come by them.

    Raises whatever pickling raises.
    """
    finder = _Finder()
    finder.dump(value)
    return finder.found


class _Finder(pickle.Pickler):
    """Pickles to nowhere; large buffers are not even copied."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), protocol=5, buffer_callback=lambda _: None)
        self.found: list[Callable[..., Any]] = []

    def persistent_id(self, obj: Any) -> int | None:
        if isinstance(obj, FunctionType | type):
            self.found.append(obj)
            return len(self.found)
        return None
