"""From annotations to the kinds of values that they stand for."""

from __future__ import annotations

import collections.abc as abc
import dataclasses
import inspect
import math
import os
import sys
import types
import typing
from collections.abc import Iterable
from enum import Enum
from pathlib import Path, PurePath
from typing import Any

from penstock.authoring.kinds.compounds import Anything, Either, Field, Fields, Fixed, Items, Model, Table
from penstock.authoring.kinds.conversion import Kind
from penstock.authoring.kinds.scalars import NOTHING, SCALARS, SECRET, Choice, Enumeration, Instance, Nothing, path_kind
from penstock.secrets import Secret


def kind_of(annotation: Any, known: dict[Any, Kind] | None = None) -> Kind:
    """The kind of values that an annotation stands for; `known` are the classes under way, for recursive ones.

    Raises TypeError when the annotation is no type, or when one inside it cannot be resolved.
    """
    known = {} if known is None else known
    hint = _bare(annotation)
    if hint is Any or hint is object or hint is inspect.Parameter.empty:
        return Anything("Any", "anything", object)
    if hint is None or hint is types.NoneType:
        return NOTHING
    arguments = typing.get_args(hint)
    origin = typing.get_origin(hint) or hint
    if origin is typing.Literal:
        name = f"Literal[{', '.join(map(repr, arguments))}]"
        return Choice(name, one_of(arguments), (), arguments)
    if origin in (typing.Union, types.UnionType):
        return either(*(kind_of(member, known) for member in arguments))
    if not isinstance(origin, type):
        raise TypeError(f"{hint!r} is not a type of which a value can be given")
    if origin is Secret:
        return SECRET
    return SCALARS.get(origin) or _container(origin, arguments, known) or _class(origin, known)


def _bare(hint: Any) -> Any:
    """A type without what surrounds it: `Annotated`, `Required`, `NewType`, an alias, a type variable."""
    if typing.get_origin(hint) in (typing.Annotated, typing.Required, typing.NotRequired, typing.Final):
        return _bare(typing.get_args(hint)[0])
    if isinstance(hint, typing.NewType):
        return _bare(hint.__supertype__)
    if isinstance(hint, typing.TypeVar):
        return _bare(hint.__bound__ or Any)
    # an alias by the statement `type X = ...`, of Python 3.12
    return _bare(hint.__value__) if type(hint).__name__ == "TypeAliasType" else hint


def either(*kinds: Kind) -> Kind:
    """The union of some kinds."""
    real = [kind for kind in kinds if not isinstance(kind, Nothing)]
    words = " or ".join(dict.fromkeys(kind.words for kind in real)) + (", or none" if len(real) < len(kinds) else "")
    python = tuple(kind.python for kind in kinds)
    return Either(
        " | ".join(kind.name for kind in kinds), words, python, tuple(sorted(kinds, key=lambda kind: kind.strictness()))
    )


def one_of(options: Iterable[Any]) -> str:
    """The words for a choice: `one of: fast, slow`."""
    return f"one of: {', '.join(map(plain, options))}"


def plain(option: Any) -> str:
    """An option as one types it."""
    if option is None or isinstance(option, bool):
        return str(option).lower()
    return str(enumerated(option)) if isinstance(option, Enum) else str(option)


def enumerated(member: Enum) -> Any:
    """How a member is written as data: its value if that is text or a number that is no other member's name, else its
    name."""
    value = member.value
    written = type(value) in (str, int, bool) or (isinstance(value, float) and math.isfinite(value))
    return value if written and type(member).__members__.get(str(value), member) is member else member.name


_LISTS: tuple[type, ...] = (list, abc.Sequence, abc.MutableSequence, abc.Collection, abc.Iterable)


_SETS: tuple[type, ...] = (set, abc.Set, abc.MutableSet)


_TABLES: tuple[type, ...] = (dict, abc.Mapping, abc.MutableMapping)


def _container(origin: type, arguments: tuple[Any, ...], known: dict[Any, Kind]) -> Kind | None:
    if origin not in {tuple, frozenset, *_LISTS, *_SETS, *_TABLES}:
        return None
    kinds = [kind_of(argument, known) for argument in arguments if argument is not ...]
    inside = ", ".join(kind.name for kind in kinds) + (", ..." if ... in arguments else "")
    name = f"{origin.__name__}[{inside}]" if inside else origin.__name__
    item = kinds[0] if kinds else kind_of(Any)
    if origin is tuple and len(kinds) == len(arguments) > 0:
        return Fixed(name, f"a list of {len(kinds)} ({name})", origin, tuple(kinds))
    if origin is tuple or origin in _LISTS:
        make = tuple if origin is tuple else list
        return Items(name, f"a list ({name})", origin, item, make, (list, tuple))
    if origin in _SETS or origin is frozenset:
        make = frozenset if origin is frozenset else set
        return Items(name, f"a list ({name})", origin, item, make, (list, tuple, abc.Set))
    return Table(name, f"a mapping ({name})", origin, item, kinds[1] if kinds else kind_of(Any))


def _class(origin: Any, known: dict[Any, Kind]) -> Kind:
    name = origin.__name__
    if origin in known:
        return known[origin]
    if issubclass(origin, Enum):
        return Enumeration(name, one_of(origin), origin)
    if issubclass(origin, PurePath) or origin is os.PathLike:
        return path_kind(origin if issubclass(origin, PurePath) else Path)
    if dataclasses.is_dataclass(origin) or typing.is_typeddict(origin) or _is_named_tuple(origin):
        return _record(origin, known)
    if (model := pydantic_model()) and issubclass(origin, model):
        return Model(name, f"a mapping ({name})", origin)
    if getattr(origin, "_is_protocol", False) and not getattr(origin, "_is_runtime_protocol", False):
        # Python cannot tell whether an object follows it
        return Anything(name, f"an object like {name}", object)
    return Instance(name, f"an object of class {name}", origin)


def pydantic_model() -> Any:
    """The root of pydantic's models, if somebody has imported it."""
    pydantic: Any = sys.modules.get("pydantic.main")
    return pydantic and pydantic.BaseModel


def _record(origin: Any, known: dict[Any, Kind]) -> Kind:
    name, make = origin.__name__, dict if typing.is_typeddict(origin) else origin
    # known before its fields are, since they may refer to it
    record = known[origin] = Fields(name, f"a mapping ({name})", make, make, {}, _is_named_tuple(origin))
    hints = _hints(origin)
    required = required_fields(origin, hints)
    record.words = f"a mapping ({name}: {', '.join(required)})"
    record.fields |= {field: Field(kind_of(hints.get(field, Any), known), must) for field, must in required.items()}
    return record


def _is_named_tuple(origin: Any) -> bool:
    return hasattr(origin, "_fields") and issubclass(origin, tuple)


def required_fields(origin: Any, hints: dict[str, Any]) -> dict[str, bool]:
    """The fields of a record, and whether each must be given."""
    if _is_named_tuple(origin):
        return {name: name not in origin._field_defaults for name in origin._fields}
    if dataclasses.is_dataclass(origin):
        return {field.name: _has_no_default(field) for field in dataclasses.fields(origin) if field.init}
    # a typed dict does not see its own markers where annotations are strings
    marked = {typing.Required: True, typing.NotRequired: False}
    return {name: marked.get(typing.get_origin(hint), name in origin.__required_keys__) for name, hint in hints.items()}


def _has_no_default(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _hints(origin: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(origin, include_extras=True)
    except Exception as error:
        raise TypeError(f"the fields of {origin.__qualname__} ({origin.__module__}): {error}") from error
