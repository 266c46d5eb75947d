"""Values that may come from elsewhere: `${load.rows}`, a text with such places in it, lists and mappings of these."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from functools import reduce
from typing import Any, NamedTuple, cast

import msgspec

from penstock.dialects.yaml.expressions import ExpressionError, parse
from penstock.dialects.yaml.literals import Tagged, literal, read_literal
from penstock.dialects.yaml.names import SPACES, Names, Value
from penstock.dialects.yaml.phrases import Unspeakable, phrase
from penstock.dialects.yaml.source import Mark, Part
from penstock.model import expression as model
from penstock.model.expression import (
    Apply,
    Choose,
    Constant,
    Ended,
    Expression,
    Get,
    Input,
    Item,
    Mapping,
    Outcome,
    Output,
    Parameter,
    Sequence,
    Stored,
)
from penstock.model.value import Artifact

#: the tag of an expression that is written part by part
_BY_PARTS = "!expression"
_PATH = re.compile(r"[^\W\d][\w-]*(?:/[\w-]+)*(?:\.[^\W\d]\w*)+")
_REFERENCE = re.compile(r"[^\W\d][\w-]*(?:/[\w-]+)*(?:\.[^\W\d]\w*)?")
Find = Callable[[str], Any]


class Piece(NamedTuple):
    """A stretch of a text, and the expression that follows it in `${...}`, if any, with its place in the text."""

    text: str
    inside: str | None = None
    offset: int = 0


def pieces(text: str) -> list[Piece]:
    """What a text with places is made of; `$${` stands for `${` itself. Raises ExpressionError for one that does not end."""
    found: list[Piece] = []
    plain, place = "", 0
    while place < len(text):
        if text.startswith("$${", place):
            plain, place = f"{plain}${{", place + 3
        elif text.startswith("${", place):
            end, inner = _end_of(text, place + 2)
            double = text.startswith("${{", place) and inner.startswith("{") and inner.endswith("}")
            found.append(Piece(plain, inner[1:-1] if double else inner, place + (3 if double else 2)))
            plain, place = "", end
        else:
            plain, place = plain + text[place], place + 1
    if plain or not found:
        found.append(Piece(plain))
    return found


def _end_of(text: str, start: int) -> tuple[int, str]:
    depth, quote, place = 1, "", start
    while place < len(text):
        character = text[place]
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in "{}":
            depth += 1 if character == "{" else -1
            if depth == 0:
                return place + 1, text[start:place]
        place += 1
    raise ExpressionError("${ has no }", start - 2, "Write $${ where a dollar and a brace are meant.")


def escaped(text: str) -> str:
    """A text as it is, in a place where `${` would begin an expression."""
    return text.replace("${", "$${")


def _mark_in(part: Part, offset: int) -> Mark:
    mark = part.text_mark
    return Mark(mark.line, mark.column + offset) if part.in_one_line else part.mark


def read_expression(part: Part, names: Names, find: Find) -> Expression | None:
    """The expression of a condition: a text, with or without `${}` around it, true or false. What is wrong is noted."""
    if part.tag == "bool":
        return Constant(part.flag())
    if part.tag == _BY_PARTS:
        return _by_parts(part, find)
    text = part.text()
    if text is None:
        return None
    stripped = text.strip()
    start = text.index(stripped)
    for opening, closing in (("${{", "}}"), ("${", "}")):
        if stripped.startswith(opening) and stripped.endswith(closing):
            return expression_in(part, stripped[len(opening) : -len(closing)], start + len(opening), names)
    return expression_in(part, text, 0, names)


def expression_in(part: Part, text: str, offset: int, names: Names) -> Expression | None:
    """The expression in a text that stands in a part. What is wrong is noted, with a caret."""
    found = value_in(part, text, offset, names)
    return None if found is None else found.expression


def value_in(part: Part, text: str, offset: int, names: Names) -> Value | None:
    """The same with what is known of its value."""
    try:
        return parse(text, names)
    except ExpressionError as error:
        told = f"{part.called or 'the expression'}: {error.what}\n  {_one_line(text)}\n  {' ' * error.offset}^"
        part.problems.add(_mark_in(part, offset + error.offset), told, error.remedy)
        return None


def _one_line(text: str) -> str:
    return text.replace("\n", " ").rstrip()


def read_value(part: Part, names: Names, find: Find, *, bare: bool = True) -> Expression | None:
    """What an input is given: a value as it stands, `${...}`, a text with such in it, or, with `bare`, only the name of a
    stage, of an output of one, or of a parameter. What is wrong is noted."""
    if part.tag == _BY_PARTS:
        return _by_parts(part, find)
    if part.is_text:
        return _read_text(part, names, bare=bare)
    if part.is_list:
        items = [read_value(each, names, find, bare=False) for each in part.items()]
        if all(isinstance(each, Constant) for each in items):
            return Constant([cast(Constant, each).value for each in items])
        return Sequence(tuple(each for each in items if each is not None))
    if part.is_mapping and all(key.is_text for key, _ in part.pairs()):
        found: dict[str, Expression] = {}
        for name, value in part.fields().items():
            given = read_value(value, names, find, bare=False)
            if given is not None:
                found[name] = given
        if all(isinstance(each, Constant) for each in found.values()):
            return Constant({name: cast(Constant, each).value for name, each in found.items()})
        return Mapping(found)
    return Constant(read_literal(part, find))


def _read_text(part: Part, names: Names, *, bare: bool) -> Expression | None:
    text = part.written
    if _REFERENCE.fullmatch(text):
        found = _referred(text, names)
        if found is not None and bare:
            return found
        if found is not None and "." in text:
            part.refuse(
                f"{text!r} may be a text, or an output of a stage",
                f"Write ${{{text}}} for the output, ${{'{text}'}} for the text.",
            )
            return None
    doubt = _doubt(text, names)
    if doubt is not None:
        part.refuse(*doubt)
        return None
    try:
        found_pieces = pieces(text)
    except ExpressionError as error:
        part.problems.add(_mark_in(part, error.offset), error.what, error.remedy)
        return None
    if len(found_pieces) == 1 and found_pieces[0].inside is None:
        return Constant(found_pieces[0].text)
    if len(found_pieces) == 1 and not found_pieces[0].text:
        only = found_pieces[0]
        return expression_in(part, only.inside or "", only.offset, names)
    return _joined(part, found_pieces, names)


def _referred(text: str, names: Names) -> Expression | None:
    """The output or parameter that a mere name is taken for: `load`, `load.rows`, `epochs`."""
    if "." in text:
        stage, _, output = text.rpartition(".")
        known = names.stages.get(stage)
        if known is None or (output == "result" and known.task.record is not None):
            return None
        if output not in {"result", *known.aliases, *(port.name for port in known.task.outputs)}:
            return None
        text = f"stages[{stage!r}].{output}"
    elif len(names.meanings(text)) != 1:
        return None
    try:
        return parse(text, names).expression
    except ExpressionError:
        return None


def _doubt(text: str, names: Names) -> tuple[str, str] | None:
    """Why it is not clear that a text with points is meant as a text, and what to do: it all but names something."""
    if _PATH.fullmatch(text) is None or (_REFERENCE.fullmatch(text) and _referred(text, names) is not None):
        return None
    first, second, *_ = text.split(".")
    space = SPACES.get(first)
    if space is not None and first not in names.all():
        meant = text if second in names.of(space) else ""
    else:
        meant = _meant(text, first, second, names)
    if not meant:
        return None
    if meant == text:
        return (
            f"{text!r} may be a text, or a part of {first}",
            f"Write ${{{text}}} for the part, ${{'{text}'}} for the text.",
        )
    return (
        f"there is no {text!r}; did you mean {meant!r}?",
        f"Write {meant}; or ${{'{text}'}} where the text is meant.",
    )


def _meant(text: str, first: str, second: str, names: Names) -> str:
    """The part of an output that a text names, or all but names; empty where it names nothing."""
    stage = next(iter(get_close_matches(first, names.stages, n=1, cutoff=0.7)), "")
    if not stage:
        return ""
    outputs = names.stages[stage].parts
    output = next(iter(get_close_matches(second, outputs, n=1, cutoff=0.7)), "")
    return ".".join((stage, output, *text.split(".")[2:])) if output else ""


def _joined(part: Part, found: list[Piece], names: Names) -> Expression | None:
    """A text with places in it: all of it is put together."""
    parts: list[Expression] = []
    for each in found:
        if each.text:
            parts.append(Constant(each.text))
        if each.inside is None:
            continue
        value = value_in(part, each.inside, each.offset, names)
        if value is None:
            return None
        if value.kind in (int, float, bool, list, dict):
            what = f"{each.inside} is no text, and is put into one"
            part.problems.add(_mark_in(part, each.offset), what, "Give it by itself, and let the task make the text.")
            return None
        parts.append(value.expression)
    return reduce(lambda one, other: Apply("add", (one, other)), parts)


# Writing.


def write_value(expression: Expression, names: Names) -> Any:
    """What stands for the value of an input in YAML. Raises Unwritable for a constant that it cannot hold."""
    match expression:
        case Constant(value):
            return _escaped_literal(value, names, top=True)
        case Sequence(items, "list") if not all(isinstance(each, Constant) for each in items):
            return [write_value(each, names) for each in items]
        case Mapping(items) if not all(isinstance(each, Constant) for each in items.values()):
            return {name: write_value(each, names) for name, each in items.items()}
        case _:
            return _spoken(expression, names)


def _spoken(expression: Expression, names: Names) -> Any:
    try:
        text = phrase(expression, names)
        if parse(text, names).expression == expression:
            # what begins with a brace of its own is not to look like ${{ }}
            return f"${{ {text} }}" if text.startswith("{") else f"${{{text}}}"
    except (Unspeakable, ExpressionError):
        pass
    return Tagged(_BY_PARTS, _parts_of(expression))


def write_expression(expression: Expression, names: Names) -> Any:
    """What stands for a condition in YAML. Raises Unwritable for a constant that it cannot hold."""
    if isinstance(expression, Constant) and type(expression.value) is bool:
        return expression.value
    spoken = _spoken(expression, names)
    return spoken[2:-1].strip() if isinstance(spoken, str) else spoken


def _escaped_literal(value: Any, names: Names, *, top: bool = False) -> Any:
    if type(value) is str:
        taken = _REFERENCE.fullmatch(value) and _referred(value, names) is not None
        taken = (taken and (top or "." in value)) or _doubt(value, names) is not None
        return f"${{{value!r}}}" if taken else escaped(value)
    if type(value) is list:
        return [_escaped_literal(each, names) for each in cast("list[Any]", value)]
    if type(value) is dict and all(type(key) is str for key in cast("dict[Any, Any]", value)):
        return {key: _escaped_literal(each, names) for key, each in cast("dict[str, Any]", value).items()}
    return literal(value)


def _parts_of(expression: Expression) -> dict[str, Any]:
    """An expression, part by part."""
    match expression:
        case Constant(value):
            return {"constant": literal(value)}
        case Stored(artifact):
            return {"stored": msgspec.to_builtins(artifact)}
        case Parameter(name) | Item(name) | Input(name):
            return {type(expression).__name__.lower(): name}
        case Output(node, port):
            return {"output": [node] if port is None else [node, port]}
        case Ended(node, states):
            return {"ended": [node, *states]}
        case Outcome(nodes):
            return {"outcome": list(nodes)}
        case Get(of, key, attribute):
            return {"attribute" if attribute else "entry": key, "of": _parts_of(of)}
        case Apply(name, arguments):
            return {"apply": name, "of": _several_parts(arguments)}
        case Choose(options):
            return {"choose": _several_parts(options)}
        case Sequence(items, kind):
            return {kind: _several_parts(items)}
        case Mapping(items):
            return {"mapping": {name: _parts_of(each) for name, each in items.items()}}


def _several_parts(expressions: Iterable[Expression]) -> list[dict[str, Any]]:
    return [_parts_of(each) for each in expressions]


def _by_parts(part: Part, find: Find) -> Expression | None:
    data = Part(part.node, part.problems, part.called)
    try:
        return _expression_of(_plain(data, find))
    except (LookupError, TypeError, ValueError, msgspec.MsgspecError) as error:
        part.refuse(f"this is no expression by parts: {error}", "Write it as a text: ${load.rows}.")
        return None


def _plain(part: Part, find: Find) -> Any:
    return {key.written: read_literal(value, find) for key, value in part.pairs()}


#: the parts that have no expressions in them
_LEAVES: dict[str, Callable[[Any], Expression]] = {
    "constant": Constant,
    "stored": lambda artifact: Stored(msgspec.convert(artifact, Artifact)),
    "parameter": Parameter,
    "item": Item,
    "input": Input,
    "output": lambda names: Output(*names),
    "ended": lambda names: Ended(names[0], tuple(names[1:])),
    "outcome": lambda names: Outcome(tuple(names)),
}


def _expression_of(data: Any) -> Expression:
    kind = next(iter(data))
    if kind in _LEAVES:
        return _LEAVES[kind](data[kind])
    match data:
        case {"attribute": key, "of": of}:
            return Get(_expression_of(of), key, attribute=True)
        case {"entry": key, "of": of}:
            return Get(_expression_of(of), key)
        case {"apply": name, "of": arguments}:
            return Apply(name, _expressions_of(arguments))
        case {"choose": options}:
            return Choose(_expressions_of(options))
        case {"list": items}:
            return model.Sequence(_expressions_of(items))
        case {"tuple": items}:
            return model.Sequence(_expressions_of(items), "tuple")
        case {"mapping": items}:
            return Mapping({name: _expression_of(each) for name, each in items.items()})
        case _:
            raise ValueError(f"{data!r} is nothing that there is")


def _expressions_of(parts: Iterable[Any]) -> tuple[Expression, ...]:
    return tuple(_expression_of(each) for each in parts)


__all__ = [
    "Find",
    "Piece",
    "escaped",
    "expression_in",
    "pieces",
    "read_expression",
    "read_value",
    "write_expression",
    "write_value",
]
