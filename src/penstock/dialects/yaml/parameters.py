"""The parameters of a pipeline."""

from __future__ import annotations

import inspect
from keyword import iskeyword
from typing import Any, Literal, NamedTuple, cast

from penstock.authoring.kinds.annotations import kind_of
from penstock.authoring.kinds.causes import FromCause
from penstock.authoring.kinds.conversion import Form, Mismatch, nearest
from penstock.dialects.yaml.inputs import Find
from penstock.dialects.yaml.literals import read_literal
from penstock.dialects.yaml.source import Fields, Part
from penstock.dialects.yaml.types import NAMES, annotation

#: keys of a parameter that is a mapping
KEYS = ("name", "type", "default", "required", "choices", "description")
_CAUSES = ("logical_time", "interval_start", "interval_end", "partition")


class Declared(NamedTuple):
    """A parameter as the signature of a function has it."""

    name: str
    kind: Any
    default: Any = inspect.Parameter.empty
    #: what the file says of it
    described: Part | None = None

    @property
    def parameter(self) -> inspect.Parameter:
        return inspect.Parameter(self.name, inspect.Parameter.KEYWORD_ONLY, default=self.default, annotation=self.kind)


def read_parameters(part: Part, find: Find) -> list[Declared]:
    """Parameters from `{epochs: 10, threshold: {type: float, default: 0.8}}`, or a list of names and mappings. What is wrong is
    noted."""
    if part.is_list:
        named = [
            (
                each.fields(KEYS)["name"].written if each.is_mapping and "name" in each.fields(KEYS) else each.written,
                each,
            )
            for each in part.items()
        ]
    else:
        named = [(name, value) for name, value in part.fields().items()]
    found: list[Declared] = []
    for name, value in named:
        if not name.isidentifier() or iskeyword(name):
            value.refuse(
                f"{name!r} cannot be the name of a parameter", "Use letters, digits and _, and no word of Python's."
            )
        elif part.is_list and not value.is_mapping:
            found.append(Declared(name, Any))
        else:
            declared = _declared(name, value, find)
            if declared is not None:
                found.append(declared._replace(described=_description(value)))
    return found


def _description(part: Part) -> Part | None:
    if not part.is_mapping or not {key.written for key, _ in part.pairs()} <= set(KEYS):
        return None
    return next((value for key, value in part.pairs() if key.written == "description"), None)


def _declared(name: str, part: Part, find: Find) -> Declared | None:
    if part.is_mapping:
        keys = {key.written for key, _ in part.pairs()}
        if keys & {"type", "default", "required", "choices"} or (part.pairs() and keys <= set(KEYS)):
            return _described(name, part.fields(KEYS, f"the parameter {name!r}"), part, find)
    if part.is_text and part.written in NAMES:
        what = f"the default of {name!r} is the text {part.written!r}, or its type"
        part.refuse(what, f"Write {name}: {{type: {part.written}}}, or {name}: {{type: str, default: {part.written}}}.")
        return None
    if part.is_text and (cause := _cause(part.written)) is not None:
        return Declared(name, _moment(), cause)
    value = read_literal(part, find)
    return Declared(name, Any if value is None else type(value), value)


def _described(name: str, fields: Fields, part: Part, find: Find) -> Declared | None:
    kind: Any = Any
    if "type" in fields:
        text = fields["type"].text()
        if text is None:
            return None
        try:
            kind = annotation(text, find)
            kind_of(kind)
        except Exception as error:
            near = nearest(text, NAMES)
            fields["type"].refuse(
                f"{text!r} is no type of a parameter{near}", f"{error}. Types: {', '.join(NAMES)}; or module:Class."
            )
            return None
    if "choices" in fields:
        choices = tuple(read_literal(each, find) for each in fields["choices"].items())
        kind = cast(Any, Literal)[choices] if choices else kind
    required = fields["required"].flag() if "required" in fields else "default" not in fields
    if required and "default" in fields:
        fields["default"].refuse(f"{name!r} is required, and has a default", "Take one of them away.")
    if required:
        return Declared(name, kind)
    if "default" not in fields:
        return Declared(name, kind, None)
    given = fields["default"]
    if given.is_text and (cause := _cause(given.written)) is not None:
        return Declared(name, kind, cause)
    value = read_literal(given, find)
    if value is None:
        return Declared(name, kind, None)
    if "type" not in fields and "choices" not in fields:
        kind = cast(Any, type(value))
    try:
        return Declared(name, kind, kind_of(kind).read(value, Form.DATA))
    except Mismatch as mismatch:
        told = "; ".join(f"{path}{text}" for path, text in mismatch.problems)
        given.refuse(f"the default of {name!r} is not of its type: {told}")
        return None


def _cause(text: str) -> FromCause | None:
    """A default that stands for a part of the cause of a run: `${logical_time}`."""
    inside = text[2:-1] if text.startswith("${") and text.endswith("}") else ""
    return FromCause(cast(Any, inside)) if inside in _CAUSES else None


def _moment() -> Any:
    from datetime import datetime

    return datetime


__all__ = ["KEYS", "Declared", "read_parameters"]
