"""Values in the text of a command: as one argument, or in a line for the shell, where no value is ever read as code."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, NamedTuple

from penstock.errors import OutputError, SecretError
from penstock.model.template import Piece, pieces
from penstock.secrets import Secret
from penstock.values.codec import type_name
from penstock.values.jsonable import NotJsonable, jsonable

#: texts that mean themselves to a shell, inside quotes and outside
_HARMLESS = re.compile(r"[A-Za-z0-9_@%+=:,./-]+")


def rendered(template: str, inputs: Mapping[str, Any], *, revealing: bool = False) -> str:
    """A template with its inputs in their places; with `revealing`, secrets among them by their values.

    Raises OutputError for a value that has no text, SecretError for a secret that is not to be shown there, or missing.
    """

    def given(name: str) -> Any:
        value = inputs[name]
        return value.reveal() if revealing and isinstance(value, Secret) else value

    return "".join(
        piece.text + ("" if piece.name is None else _text(piece, given(piece.name))) for piece in pieces(template)
    )


class ShellText(NamedTuple):
    """Lines for the shell, and the variables that they need."""

    text: str
    variables: dict[str, str]
    #: the lines as a person would type them
    shown: str


def rendered_for_shell(template: str, inputs: Mapping[str, Any]) -> ShellText:
    """A template for the shell with its inputs in their places.

    What a shell could take for more than text goes by a variable, whatever quotes the place stands in.
    """
    parts: list[str] = []
    shown: list[str] = []
    variables: dict[str, str] = {}
    open_: list[str] = []
    for piece in pieces(template):
        parts.append(piece.text)
        shown.append(piece.text)
        _pass_over(piece.text, open_)
        if piece.name is None:
            continue
        text = _text(piece, inputs[piece.name])
        expansion = _EXPANSIONS.get(open_[-1], _PLAIN) if open_ else _PLAIN
        shown.append(text if piece.raw or expansion != _PLAIN else shlex.quote(text))
        if piece.raw or _HARMLESS.fullmatch(text):
            parts.append(text)
            continue
        name = f"penstock_{len(variables)}"
        variables[name] = text
        parts.append(expansion % name)
    return ShellText("".join(parts), variables, "".join(shown))


#: by what a place stands in
_EXPANSIONS = {'"': "${%s}", "'": "'\"${%s}\"'"}
_PLAIN = '"${%s}"'
#: what matters to quotes in a shell's text: an escape, a substitution, a comment, a quote, a parenthesis
_MARKS = re.compile(r"""\\.|\$\(|(?:^|(?<=[\s;&|(]))#[^\n]*|["'()]""", re.DOTALL)
_QUOTE = re.compile("'")


def _pass_over(text: str, open_: list[str]) -> None:
    """Bring up to date, over a stretch of the shell's text, what is open: quotes and parentheses, outermost first."""
    at = 0
    while True:
        inside = open_[-1] if open_ else ""
        mark = _MARKS.search(text, at) if inside != "'" else _QUOTE.search(text, at)
        if mark is None:
            return
        found, at = mark.group(), mark.end()
        if found == inside != "(" or (inside == "(" and found == ")"):
            open_.pop()
        elif found == "$(":
            open_.append("(")
        elif inside == '"' and found.startswith("#"):
            # no comment: look at what follows the sign
            at = mark.start() + 1
        elif inside != '"' and found in ("'", '"', "("):
            open_.append(found)


def _text(piece: Piece, value: Any) -> str:
    if isinstance(value, Secret) and piece.name:
        raise SecretError(
            f"the secret {piece.name!r} would stand in the command itself, where all users of the machine can read it",
            remedy=f'Hand it over in a variable: environment={{"{piece.name.upper()}": "{{{piece.name}}}"}}, or in a '
            f'file: files={{"{piece.name}": "{piece.name}.txt"}}.',
        )
    try:
        text = format(value, piece.spec) if piece.spec else _plain(value)
    except NotJsonable:
        raise OutputError(
            f"the input {piece.name!r} is a {type_name(type(value))}, which has no text to put into a command",
            remedy=f'Hand it over in a file: files={{"{piece.name}": "{piece.name}.csv"}}, '
            "with a suffix for the format (csv, parquet, json, npy, joblib, ...).",
        ) from None
    except (ValueError, TypeError) as error:
        raise OutputError(f"the input {piece.name!r} cannot be formatted as {piece.spec!r}: {error}") from None
    if "\0" in text:
        raise OutputError(
            f"the input {piece.name!r} has a zero byte in it, which no argument of a program can hold",
            remedy=f'Hand it over in a file: files={{"{piece.name}": "{piece.name}.txt"}}.',
        )
    return text


def _plain(value: Any) -> str:
    """The text for a value: text itself, absolute paths, numbers, true and false, nothing for None, JSON for others.

    Raises NotJsonable.
    """
    if value is None:
        return ""
    if isinstance(value, PurePath):
        return str(value)
    number = getattr(value, "item", None)
    plain = jsonable(number() if number is not None and getattr(value, "ndim", None) == 0 else value)
    return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)


__all__ = ["ShellText", "rendered", "rendered_for_shell"]
