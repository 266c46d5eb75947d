"""The kinds of values with parts: lists, dicts, records, and unions of kinds."""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, NamedTuple

import msgspec

from penstock.authoring.kinds.conversion import Form, Kind, Mismatch, Problem, nearest, shown
from penstock.authoring.kinds.scalars import NOTHING


class Anything(Kind):
    """No type: data stays as it is; text is read as JSON where it is JSON."""

    rank: ClassVar[int] = 80

    def flat(self) -> bool:
        return True

    def read(self, value: Any, form: Form) -> Any:
        if form is not Form.TEXT:
            return value
        if isinstance(value, (list, dict)):
            return self._each(typing.cast(Any, value))
        try:
            return msgspec.json.decode(value)
        except (msgspec.DecodeError, RecursionError):
            return value

    def _each(self, value: list[Any] | dict[Any, Any]) -> Any:
        if isinstance(value, list):
            return [self.read(item, Form.TEXT) for item in value]
        return {key: self.read(item, Form.TEXT) for key, item in value.items()}


class Items(Kind):
    """A list, a set, or a tuple of any length."""

    item: Kind
    #: makes the result from a list
    make: Callable[[list[Any]], Any]
    takes: tuple[type, ...]
    rank: ClassVar[int] = 50

    def hides(self, within: frozenset[int] = frozenset()) -> bool:
        return self.item.hides(within)

    def read(self, value: Any, form: Form) -> Any:
        given, form = unpacked(self, value, form, commas=self.item.flat())
        if not isinstance(given, self.takes):
            raise self.refuse(value, form)
        items = gather(((f"[{i}]", self.item, item) for i, item in enumerate(given)), form)
        try:
            return self.make(items)
        except TypeError:
            # a set of what cannot be hashed
            raise self.refuse(value, form) from None


class Fixed(Kind):
    """A tuple with a kind for every place."""

    items: tuple[Kind, ...]
    rank: ClassVar[int] = 49

    def hides(self, within: frozenset[int] = frozenset()) -> bool:
        return any(item.hides(within) for item in self.items)

    def read(self, value: Any, form: Form) -> Any:
        given, form = unpacked(self, value, form, commas=all(item.flat() for item in self.items))
        if not isinstance(given, (list, tuple)):
            raise self.refuse(value, form)
        elements = list(typing.cast(Iterable[Any], given))
        if len(elements) != len(self.items):
            raise self.refuse(value, form, f", which has {len(elements)}")
        places = range(len(elements))
        return tuple(gather(((f"[{i}]", self.items[i], elements[i]) for i in places), form))


class Table(Kind):
    """A dict."""

    key: Kind
    value: Kind
    rank: ClassVar[int] = 51

    def hides(self, within: frozenset[int] = frozenset()) -> bool:
        return self.value.hides(within)

    def read(self, value: Any, form: Form) -> dict[Any, Any]:
        given, form = unpacked(self, value, form)
        if not isinstance(given, Mapping):
            raise self.refuse(value, form)
        entries = list(typing.cast(Mapping[Any, Any], given).items())
        # JSON has no other keys than strings
        keyed = Form.TEXT if form is Form.DATA else form
        keys = gather(((f", key {key!r}", self.key, key) for key, _ in entries), keyed)
        values = gather(((f".{key}", self.value, entry) for key, entry in entries), form)
        table = dict(zip(keys, values, strict=True))
        if len(table) < len(entries):
            raise Mismatch(Problem("", f"two of the keys are the same; got {shown(given, form)}"))
        return table


class Field(NamedTuple):
    """A part of a record."""

    kind: Kind
    required: bool


class Fields(Kind):
    """A record: a dataclass, a named tuple or a typed dict. Written as a mapping of its fields."""

    make: Callable[..., Any]
    fields: dict[str, Field]
    #: whether a list can stand for it
    ordered: bool = False
    rank: ClassVar[int] = 45

    def hides(self, within: frozenset[int] = frozenset()) -> bool:
        # one that refers to itself hides nothing by that
        around = within | {id(self)}
        return id(self) not in within and any(field.kind.hides(around) for field in self.fields.values())

    def read(self, value: Any, form: Form) -> Any:
        if self.make is not dict and isinstance(value, self.python):
            return value
        given, form = unpacked(self, value, form)
        if self.ordered and isinstance(given, (list, tuple)):
            given = self._named(list(typing.cast(Iterable[Any], given)), form)
        if not isinstance(given, Mapping):
            raise self.refuse(value, form)
        values = self._values(dict(typing.cast(Mapping[Any, Any], given)), form)
        try:
            return self.make(**values)
        except Exception as error:
            # the class is the user's, and so is what it raises
            raise refused(self.name, error, form) from error

    def _named(self, items: list[Any], form: Form) -> dict[str, Any]:
        if len(items) > len(self.fields):
            raise self.refuse(items, form, f", which has {len(items)}")
        return dict(zip(self.fields, items, strict=False))

    def _values(self, given: dict[Any, Any], form: Form) -> dict[str, Any]:
        known = {name: item for name, item in given.items() if name in self.fields}
        unknown = [name for name in given if name not in known]
        problems = [Problem(f".{name}", f"there is no such field{nearest(name, self.fields)}") for name in unknown]
        problems += [
            Problem(f".{name}", f"missing; it takes {field.kind.words}")
            for name, field in self.fields.items()
            if field.required and name not in known
        ]
        values: list[Any] = []
        try:
            values = gather(((f".{name}", self.fields[name].kind, item) for name, item in known.items()), form)
        except Mismatch as mismatch:
            problems += mismatch.problems
        if problems:
            raise Mismatch(*problems)
        return dict(zip(known, values, strict=True))


class Model(Kind):
    """A pydantic model; what it accepts is its own business."""

    rank: ClassVar[int] = 45

    def read(self, value: Any, form: Form) -> Any:
        if isinstance(value, self.python):
            return value
        given, form = unpacked(self, value, form)
        try:
            return self.python.model_validate(given)
        except Exception as error:
            raise refused(self.name, error, form) from error


def refused(name: str, error: Exception, form: Form) -> Mismatch:
    """What to raise when a class of the user's raised an error instead of making an object."""
    if type(error).__name__ == "ValidationError" and hasattr(error, "errors"):
        details: Any = typing.cast(Any, error).errors(include_url=False)
        return Mismatch(*(_pydantic_problem(detail, form) for detail in details))
    reason = " ".join(str(error).split()) or type(error).__name__
    return Mismatch(Problem("", f"{name} refuses it: {reason}"))


def _pydantic_problem(detail: dict[str, Any], form: Form) -> Problem:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in detail["loc"])
    message = str(detail["msg"])
    message = message[:1].lower() + message[1:]
    given = "" if detail["type"] == "missing" else f"; got {shown(detail['input'], form)}"
    return Problem(path, message + given)


class Either(Kind):
    """A union: the strictest member that takes the value."""

    #: by rank
    members: tuple[Kind, ...]

    def hides(self, within: frozenset[int] = frozenset()) -> bool:
        return any(member.hides(within) for member in self.members)

    def flat(self) -> bool:
        return all(member.flat() for member in self.members)

    def read(self, value: Any, form: Form) -> Any:
        failures: list[Mismatch] = []
        for member in self._ordered(value, form):
            try:
                return member.read(value, form)
            except Mismatch as mismatch:
                failures.append(mismatch)
        if form is Form.TEXT and value == "" and NOTHING in self.members:
            return None
        raise self._complaint(failures) or self.refuse(value, form)

    def _ordered(self, value: Any, form: Form) -> Iterable[Kind]:
        if form is Form.OBJECT:
            return sorted(self.members, key=lambda member: not isinstance(value, member.python))
        if form is Form.TEXT and isinstance(value, str) and not _bracketed(value):
            # a list without brackets would take any text
            return sorted(self.members, key=lambda member: isinstance(member, (Items, Fixed)))
        return self.members

    def _complaint(self, failures: list[Mismatch]) -> Mismatch | None:
        """That of the one member whose shape fits the value, if there is one."""
        fitting = [mismatch for mismatch in failures if mismatch.within]
        return fitting[0] if len(fitting) == 1 else None


def unpacked(kind: Kind, value: Any, form: Form, *, commas: bool = False) -> tuple[Any, Form]:
    """What a text in brackets, or with commas, holds, and in which form; other values as they are.

    JSON holds data. Brackets that are not JSON are read as YAML, in which everything is still text.
    """
    if form is not Form.TEXT or not isinstance(value, str):
        return value, form
    if not _bracketed(value):
        if not commas:
            raise kind.refuse(value, form)
        return [part.strip() for part in value.split(",")] if value.strip() else [], form
    try:
        return msgspec.json.decode(value), Form.DATA
    except (msgspec.DecodeError, RecursionError):
        pass
    # an expensive import that only this rare form needs
    import yaml

    try:
        return yaml.load(value, Loader=yaml.BaseLoader), form
    except (yaml.YAMLError, RecursionError):
        raise kind.refuse(value, form, ", which is neither JSON nor YAML") from None


def _bracketed(text: str) -> bool:
    return text.lstrip().startswith(("[", "{"))


def gather(parts: Iterable[tuple[str, Kind, Any]], form: Form) -> list[Any]:
    """The values of the parts (place, kind, value); raises one Mismatch for all of them."""
    values: list[Any] = []
    problems: list[Problem] = []
    for place, kind, value in parts:
        try:
            values.append(kind.read(value, form))
        except Mismatch as mismatch:
            problems += [Problem(place + problem.path, problem.text) for problem in mismatch.problems]
    if problems:
        raise Mismatch(*problems)
    return values
