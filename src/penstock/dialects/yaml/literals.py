"""Values in YAML: those of JSON as they are, others of Python's under a tag."""

from __future__ import annotations

import base64
import math
import sys
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple, cast
from uuid import UUID

from penstock.dialects.yaml.source import Part
from penstock.secrets import Secret


class Tagged(NamedTuple):
    """A value that is written under a tag."""

    tag: str
    value: Any


#: tag -> the class, how it is written, how it is read again
_TEXTS: dict[str, tuple[type, Callable[[Any], str], Callable[[str], Any]]] = {
    "!bytes": (
        bytes,
        lambda value: base64.b64encode(value).decode(),
        lambda text: base64.b64decode(text, validate=True),
    ),
    "!datetime": (datetime, datetime.isoformat, datetime.fromisoformat),
    "!date": (date, date.isoformat, date.fromisoformat),
    "!time": (time, time.isoformat, time.fromisoformat),
    "!decimal": (Decimal, str, Decimal),
    "!uuid": (UUID, str, UUID),
    "!path": (type(Path()), str, Path),
    "!complex": (complex, str, complex),
    "!secret": (Secret, lambda value: value.reference, Secret),
    "!range": (
        range,
        lambda value: f"{value.start}:{value.stop}:{value.step}",
        lambda text: range(*map(int, text.split(":"))),
    ),
    "!seconds": (timedelta, lambda value: repr(value.total_seconds()), lambda text: timedelta(seconds=float(text))),
}
_LISTS: dict[str, Any] = {"!tuple": tuple, "!set": set, "!frozenset": frozenset}
#: a value by the name of what holds it: a class, a function, a member of an Enum
_NAMED = "!name"


class Unwritable(Exception):
    """A value that YAML cannot hold; the message says which."""


def literal(value: Any) -> Any:
    """What stands for a value in YAML, tags and all. Raises Unwritable."""
    kind = cast(Any, type(value))
    if value is None or kind in (bool, int, float, str):
        return value
    if kind is list:
        return [literal(each) for each in value]
    if kind is dict:
        return {_key(key): literal(each) for key, each in value.items()}
    for tag, (known, write, _) in _TEXTS.items():
        if kind is known:
            return Tagged(tag, write(value))
    for tag, known in _LISTS.items():
        if kind is known:
            return Tagged(tag, [literal(each) for each in (value if kind is tuple else _in_order(value))])
    name = _name_of(value)
    if name is not None:
        return Tagged(_NAMED, name)
    raise Unwritable(f"a {kind.__module__}.{kind.__qualname__}")


def _key(key: Any) -> Any:
    if key is None or type(key) in (bool, int, str) or (type(key) is float and math.isfinite(key)):
        return key
    raise Unwritable(f"a dict with the key {key!r}")


def _in_order(values: Any) -> list[Any]:
    return sorted(values, key=lambda each: (type(each).__name__, repr(each)))


def _name_of(value: Any) -> str | None:
    """What a class, a function or a member of an Enum is found by."""
    if isinstance(value, Enum):
        module, qualname = type(value).__module__, f"{type(value).__qualname__}.{value.name}"
    else:
        module, qualname = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(qualname, str) or module == "__main__":
        return None
    found: Any = sys.modules.get(module)
    for name in qualname.split("."):
        found = getattr(found, name, None)
    return f"{module}:{qualname}" if found is value else None


def tag_of(kind: Any) -> str:
    """The tag of a text that stands for a value of a class; empty where there is none."""
    return next(
        (tag for tag, (known, _, _) in _TEXTS.items() if isinstance(kind, type) and issubclass(known, kind)), ""
    )


def read_literal(part: Part, find: Callable[[str], Any]) -> Any:
    """The value that a part stands for. `find` imports what `!name` names. What is wrong is noted."""
    scalar = _SCALARS.get(part.tag)
    if scalar is not None:
        return scalar(part)
    if part.is_list:
        return [read_literal(each, find) for each in part.items()]
    if part.is_mapping:
        found: dict[Any, Any] = {}
        for key, value in part.pairs():
            name = read_literal(key, find)
            try:
                if name in found:
                    key.refuse(f"{name!r} is there twice")
                found[name] = read_literal(value, find)
            except TypeError:
                key.refuse("a list or a mapping cannot be a key")
        return found
    return _tagged(part, find)


def _tagged(part: Part, find: Callable[[str], Any]) -> Any:
    tag = part.tag
    try:
        if tag in _LISTS and not part.written:
            return _LISTS[tag](read_literal(each, find) for each in part.items())
        if tag in _TEXTS:
            return _TEXTS[tag][2](part.written)
        if tag == _NAMED:
            return find(part.written)
    except Exception as error:
        part.refuse(f"{part.written or 'this'} is no {tag.removeprefix('!')}: {error}")
        return None
    tags = ", ".join((*_TEXTS, *_LISTS, _NAMED))
    part.refuse(f"there is no tag {tag}", f"There are: {tags}.")
    return None


def _float(part: Part) -> float:
    text = part.written.lower()
    return float(text.replace(".inf", "inf").replace(".nan", "nan"))


_SCALARS: dict[str, Callable[[Part], Any]] = {
    "str": lambda part: part.written,
    "null": lambda part: None,
    "bool": Part.flag,
    "int": Part.whole,
    "float": _float,
}

__all__ = ["Tagged", "Unwritable", "literal", "read_literal", "tag_of"]
