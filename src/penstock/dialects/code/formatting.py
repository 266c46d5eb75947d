"""Values and calls as Python text, and lines broken where they are too long."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from enum import Enum
from math import isfinite
from pathlib import PurePath
from typing import Any, cast
from uuid import UUID
from zoneinfo import ZoneInfo

#: characters
WIDTH = 120
INDENT = "    "

_OPENING, _CLOSING = "([{", ")]}"


class Unwritable(Exception):
    """A value cannot be written as Python text; the message says what it is."""


class Imports:
    """The imports of a file: what is used of which module, and modules as a whole."""

    def __init__(self) -> None:
        self._names: dict[str, dict[str, str]] = {}
        self._modules: dict[str, str] = {}
        #: small functions that the file needs besides, by their names (see `helpers`)
        self.helpers: set[str] = set()

    def name(self, module: str, name: str, alias: str = "") -> str:
        """Import a name of a module. Returns what it is called in the file."""
        self._names.setdefault(module, {})[alias or name] = name
        return alias or name

    def module(self, module: str, alias: str = "") -> str:
        """Import a module. Returns what it is called in the file."""
        self._modules[alias or module] = module
        return alias or module

    def kept(self) -> Any:
        """What is imported now, for `take_back`."""
        return {key: dict(each) for key, each in self._names.items()}, dict(self._modules), set(self.helpers)

    def take_back(self, kept: Any) -> None:
        """Import what was imported when `kept` was asked for."""
        self._names, self._modules, self.helpers = kept

    @property
    def bound(self) -> frozenset[str]:
        """The names that the imports bind."""
        names = {name for each in self._names.values() for name in each}
        return frozenset(names | {name.partition(".")[0] for name in self._modules})

    def text(self) -> str:
        """The lines of the imports, in the order of formatters: `__future__`, the standard library, others, each sorted."""
        groups: dict[int, list[tuple[Any, str]]] = {}
        for alias, module in self._modules.items():
            line = f"import {module}" if alias == module else f"import {module} as {alias}"
            groups.setdefault(_rank(module), []).append(((0, module), line))
        for module, names in self._names.items():
            listed = [
                name if alias == name else f"{name} as {alias}"
                for alias, name in sorted(names.items(), key=lambda pair: _sorting(pair[1]))
            ]
            line = wrapped_import(module, listed)
            groups.setdefault(_rank(module), []).append(((1, module), line))
        return "\n\n".join("\n".join(line for _, line in sorted(group)) for _, group in sorted(groups.items()))


def _sorting(name: str) -> tuple[int, str]:
    return (0 if name.isupper() else 1 if name[:1].isupper() else 2, name)


def _rank(module: str) -> int:
    import sys

    root = module.partition(".")[0]
    return 0 if module == "__future__" else 1 if root in sys.stdlib_module_names else 2


def wrapped_import(module: str, listed: Sequence[str]) -> str:
    """The line, or lines, that import names of a module."""
    line = f"from {module} import {', '.join(listed)}"
    if len(line) <= WIDTH:
        return line
    return "\n".join((f"from {module} import (", *(f"{INDENT}{each}," for each in listed), ")"))


def literal(value: Any, imports: Imports) -> str:
    """A value as a Python expression. Raises Unwritable for one that has no such form."""
    kind = cast(Any, type(value))
    writer = _WRITERS.get(kind)
    if writer is not None:
        return writer(value, imports)
    if isinstance(value, PurePath):
        return f"{imports.name('pathlib', 'Path')}({quoted(str(value))})"
    if isinstance(value, Enum) and kind.__module__ not in ("__main__", "builtins"):
        raise Unwritable(f"a member of {kind.__qualname__}")
    raise Unwritable(f"an object of class {kind.__module__}.{kind.__qualname__}")


def quoted(text: str) -> str:
    """A text in double quotes, unless it has more of these in it than of single ones."""
    plain = repr(text)
    if '"' in text:
        return plain
    return plain if plain.startswith('"') else f'"{plain[1:-1]}"'


def _number(value: Any, imports: Imports) -> str:
    return repr(value) if isfinite(value) else f'float("{value!r}")'


def _listed(opening: str, closing: str, empty: str = "") -> Callable[[Any, Imports], str]:
    def write(value: Iterable[Any], imports: Imports) -> str:
        parts = [literal(each, imports) for each in value]
        if not parts:
            return empty or f"{opening}{closing}"
        trailing = "," if opening == "(" and len(parts) == 1 else ""
        return f"{opening}{', '.join(parts)}{trailing}{closing}"

    return write


def _set(value: Any, imports: Imports) -> str:
    parts = sorted(literal(each, imports) for each in value)
    return f"{{{', '.join(parts)}}}" if parts else "set()"


def _frozen(value: Any, imports: Imports) -> str:
    return f"frozenset({_set(value, imports)})" if value else "frozenset()"


def _dict(value: Mapping[Any, Any], imports: Imports) -> str:
    return mapping((literal(key, imports), literal(each, imports)) for key, each in value.items())


def mapping(pairs: Iterable[tuple[str, str]]) -> str:
    """A dict of texts of expressions."""
    return f"{{{', '.join(f'{key}: {each}' for key, each in pairs)}}}"


def _datetime(value: datetime, imports: Imports) -> str:
    parts = [value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond]
    while len(parts) > 3 and not parts[-1]:
        parts.pop()
    zone = _zone(value.tzinfo, imports)
    name = imports.name("datetime", "datetime")
    return f"{name}({', '.join(map(str, parts))}{f', tzinfo={zone}' if zone else ''})"


def _zone(zone: tzinfo | None, imports: Imports) -> str:
    if zone is None:
        return ""
    if isinstance(zone, ZoneInfo) and zone.key != "UTC":
        return f"{imports.name('zoneinfo', 'ZoneInfo')}({quoted(zone.key)})"
    offset = zone.utcoffset(None)
    if offset is None and str(zone) not in ("UTC",):
        raise Unwritable(f"a time in the zone {zone}")
    name = imports.name("datetime", "timezone")
    return f"{name}.utc" if not offset else f"{name}({_length(offset, imports)})"


def _date(value: date, imports: Imports) -> str:
    return f"{imports.name('datetime', 'date')}({value.year}, {value.month}, {value.day})"


def _time(value: time, imports: Imports) -> str:
    zone = _zone(value.tzinfo, imports)
    parts = f"{value.hour}, {value.minute}, {value.second}, {value.microsecond}"
    return f"{imports.name('datetime', 'time')}({parts}{f', tzinfo={zone}' if zone else ''})"


_UNITS = (("days", 86400), ("hours", 3600), ("minutes", 60), ("seconds", 1))


def _length(value: timedelta, imports: Imports) -> str:
    return length(value.total_seconds(), imports)


def length(seconds: float, imports: Imports) -> str:
    """A length of time as a `timedelta`, in the largest unit that it is a whole number of."""
    name = imports.name("datetime", "timedelta")
    unit, size = next((each for each in _UNITS if seconds % each[1] == 0), _UNITS[-1])
    return f"{name}({unit}={number(seconds / size)})" if seconds else f"{name}(0)"


def number(value: float) -> str:
    """A number, without a point where it is whole."""
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def _constructed(module: str, name: str) -> Callable[[Any, Imports], str]:
    return lambda value, imports: f"{imports.name(module, name)}({quoted(str(value))})"


_WRITERS: dict[Any, Callable[[Any, Imports], str]] = {
    type(None): lambda value, imports: "None",
    bool: lambda value, imports: repr(value),
    int: lambda value, imports: repr(value),
    float: _number,
    complex: lambda value, imports: repr(value),
    str: lambda value, imports: quoted(value),
    bytes: lambda value, imports: repr(value) if b'"' in value else f'b"{repr(value)[2:-1]}"',
    list: _listed("[", "]"),
    tuple: _listed("(", ")"),
    set: _set,
    frozenset: _frozen,
    dict: _dict,
    range: lambda value, imports: repr(value),
    datetime: _datetime,
    date: _date,
    time: _time,
    timedelta: _length,
    Decimal: _constructed("decimal", "Decimal"),
    UUID: _constructed("uuid", "UUID"),
}


def call(name: str, arguments: Iterable[str]) -> str:
    """A call, on one line."""
    return f"{name}({', '.join(arguments)})"


def keywords(given: Mapping[str, str]) -> list[str]:
    """Arguments by name."""
    return [f"{name}={text}" for name, text in given.items()]


def docstring(text: str) -> list[str]:
    """The lines of a docstring; none for no text."""
    lines = text.strip().replace("\\", "\\\\").replace('"""', r"\"\"\"").splitlines()
    if not lines:
        return []
    if len(lines) == 1:
        ending = " " if lines[0].endswith('"') else ""
        return [f'"""{lines[0]}{ending}"""']
    return [f'"""{lines[0]}', *lines[1:], '"""']


def block(lines: Iterable[str]) -> list[str]:
    """Lines, one level deeper."""
    return [f"{INDENT}{line}" if line else line for line in lines]


def broken(lines: Iterable[str]) -> list[str]:
    """Lines of generated code, with those that are too long broken in their brackets."""
    return [part for line in lines for part in _broken(line)]


def _broken(line: str, trailing: bool = False) -> list[str]:
    if len(line) <= WIDTH or line.lstrip().startswith(("#", '"""')):
        return [line]
    span = _last_brackets(line)
    if span is None:
        return [line]
    begin, end = span
    indent = line[: len(line) - len(line.lstrip())]
    inside = line[begin + 1 : end]
    parts = [inside.strip()] if _is_comprehension(inside) else _split(inside)
    head, tail = line[: begin + 1], line[end:]
    one = f"{indent}{INDENT}{inside.strip()}"
    if len(one) <= WIDTH and not inside.rstrip().endswith(",") and not _named(inside, line[begin]):
        return [head, one, f"{indent}{tail}"]
    called = line[begin] != "(" or line[:begin][-1:].isalnum() or line[:begin][-1:] in "_)]"
    single = len(parts) == 1 and (parts[0].startswith("*") or _is_comprehension(inside) or not called)
    comma = "" if single else ","
    found = [each for part in parts for each in _broken(f"{indent}{INDENT}{part}{comma}")]
    return [head, *found, f"{indent}{tail}"]


def _named(inside: str, bracket: str) -> bool:
    """Whether what is in brackets is a list of several keyword arguments or pairs, which reads better line by line."""
    parts = _split(inside)
    return len(parts) > 3 and (bracket == "{" or all("=" in part.partition("(")[0] for part in parts))


def _last_brackets(line: str) -> tuple[int, int] | None:
    """The outermost pair of brackets that is closed last, where there is something in it."""
    found: tuple[int, int] | None = None
    stack: list[int] = []
    for place, letter in _code(line):
        if letter in _OPENING:
            stack.append(place)
        elif letter in _CLOSING and stack:
            begin = stack.pop()
            if not stack and place > begin + 1:
                found = (begin, place)
    return found


def _is_comprehension(inside: str) -> bool:
    depth, plain = 0, ""
    for _, letter in _code(inside):
        depth += (letter in _OPENING) - (letter in _CLOSING)
        plain += "" if depth else letter
    return " for " in plain


def _split(inside: str) -> list[str]:
    """The parts between the outermost commas."""
    parts: list[str] = []
    begin = depth = 0
    for place, letter in _code(inside):
        depth += (letter in _OPENING) - (letter in _CLOSING)
        if letter == "," and not depth:
            parts.append(inside[begin:place].strip())
            begin = place + 1
    rest = inside[begin:].strip()
    return [*parts, rest] if rest else parts


def _code(text: str) -> Iterable[tuple[int, str]]:
    """The characters of a text that do not stand in literals, with their places."""
    quote = ""
    escaped = False
    for place, letter in enumerate(text):
        if quote:
            if escaped:
                escaped = False
            elif letter == "\\":
                escaped = True
            elif letter == quote:
                quote = ""
        elif letter in "\"'":
            quote = letter
        else:
            yield place, letter


def module_text(imports: Imports, parts: Iterable[str], about: str = "") -> str:
    """A file: a docstring, the imports, and its parts, which are set apart."""
    head = "\n".join(docstring(about))
    listed = [part.strip("\n") for part in parts if part.strip()]
    top = "\n\n".join(each for each in (head, imports.text()) if each)
    whole = top
    before = ""
    for part in listed:
        gap = "\n\n\n" if _defines(part) or _defines(before) else "\n" if before and "\n" not in before else "\n\n"
        whole += f"{gap}{part}" if whole else part
        before = part
    return f"{whole}\n"


def _defines(part: str) -> bool:
    return any(line.startswith(("def ", "class ", "@", "async def ", "if __name__")) for line in part.splitlines())
