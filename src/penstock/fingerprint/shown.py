"""Values in a few words, for people: shortened, and without what looks like a secret."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from enum import Enum
from itertools import islice
from types import FunctionType, ModuleType
from typing import Any, Final

from penstock.fingerprint.contents import class_of

HIDDEN: Final = "(hidden)"

_LONGEST: Final = 200
#: levels of containers within containers that are shown
_DEPTH: Final = 4
#: elements up to which a set is shown in an order that is the same in every process
_SORTED: Final = 1000

_BRACKETS: Final[dict[type[Any], str]] = {list: "[]", tuple: "()", set: "{}", frozenset: "{}"}
#: modules of types that say of themselves what they are, in few words and without anything that they only refer to
_TELLING: Final = frozenset({"datetime", "decimal", "fractions", "ipaddress", "pathlib", "re", "uuid", "zoneinfo"})

_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SECRET: Final = ("password", "passwd", "passphrase", "pwd", "token", "secret", "key", "credential")


def is_secret(name: str) -> bool:
    """Whether what has this name is likely to be a secret: one of its words ends like `password`, `token` or `key`."""
    words = (word.lower().removesuffix("s") for word in _WORDS.findall(name))
    return any(word.endswith(_SECRET) for word in words)


def shown(value: Any) -> str:
    """A value in at most some 200 characters. Never fails, and does not look at all of a large one."""
    return _shortened(_pieces(value, _DEPTH))


def expression(node: ast.expr) -> str:
    """The same of the source of a value."""
    return _shortened((ast.unparse(node),)) if _is_short(node) and not _names_secret(node) else ""


def _shortened(pieces: Iterable[str]) -> str:
    text = ""
    for piece in pieces:
        text += piece
        if len(text) > _LONGEST:
            return f"{text[: _LONGEST - 3]}..."
    return text


def _pieces(value: Any, depth: int) -> Iterator[str]:
    kind = class_of(value)
    if kind in _BRACKETS or kind is dict:
        yield from _container(value, kind, depth) if depth else ("...",)
    elif kind in (str, bytes, bytearray):
        yield repr(value[:_LONGEST])
    elif kind is int and value.bit_length() > 4 * _LONGEST:
        # Python refuses to write very long integers in decimal
        yield f"{value:#x}"
    elif kind in (int, float, complex, bool, type(None), range) or kind.__module__ in _TELLING:
        yield repr(value)
    elif issubclass(kind, Enum):
        yield f"{kind.__name__}.{value.name}"
    elif kind is FunctionType or isinstance(value, type):
        yield value.__qualname__
    elif issubclass(kind, ModuleType):
        yield value.__name__
    else:
        yield _told(value, kind)


def _container(value: Any, kind: type[Any], depth: int) -> Iterator[str]:
    if kind is dict:
        yield "{"
        for number, (key, item) in enumerate(value.items()):
            yield ", " if number else ""
            yield from _pieces(key, depth - 1)
            yield ": "
            yield from (HIDDEN,) if isinstance(key, str) and is_secret(key) else _pieces(item, depth - 1)
        yield "}"
        return
    items = value
    if kind in (set, frozenset) and len(value) <= _SORTED:
        items = sorted(value, key=lambda item: _shortened(_pieces(item, depth - 1)))
    opening, closing = _BRACKETS[kind]
    yield opening
    # what is not shown is not even looked at
    for number, item in enumerate(islice(items, _LONGEST)):
        yield ", " if number else ""
        yield from _pieces(item, depth - 1)
    yield f",{closing}" if kind is tuple and len(value) == 1 else closing


def _told(value: Any, kind: type[Any]) -> str:
    """The type, and of an array or a frame its shape."""
    try:
        shape = getattr(value, "shape", None)
    except Exception:
        shape = None
    return f"{kind.__qualname__} of shape {shape}" if type(shape) is tuple else f"{kind.__qualname__}(...)"


def _is_short(node: ast.expr) -> bool:
    return len(list(islice(ast.walk(node), _LONGEST))) < _LONGEST


def _names_secret(node: ast.expr) -> bool:
    """Whether part of an expression goes by a name that looks like that of a secret."""
    names = [each.arg for each in ast.walk(node) if isinstance(each, ast.keyword) and each.arg is not None]
    keys = [key for each in ast.walk(node) if isinstance(each, ast.Dict) for key in each.keys]
    names += [key.value for key in keys if isinstance(key, ast.Constant) and isinstance(key.value, str)]
    return any(map(is_secret, names))
