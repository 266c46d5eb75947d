"""Braces that are the user's own: in all texts of a workflow, Argo takes two of them for the start of a value."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from typing import Any

#: how what Argo fills in begins
_OWN = re.compile(r"\{\{(?:=|(?:inputs|tasks|workflow)\.|item\b)")


def hidden(source: str) -> str:
    """The source of a Python program without two braces in a row, which does the same.

    In texts an escape stands for the first brace; of a raw text the prefix goes where nothing depends on it. What cannot be
    said otherwise stays as it is (see `shown`).
    """
    if "{{" not in source:
        return source
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found = source
    for first, last, is_text in reversed(list(_places(source))):
        begin, end = (starts[row - 1] + column for row, column in (first, last))
        piece = source[begin:end]
        found = found[:begin] + (_escaped(piece) if is_text else piece.replace("{{", "{ {")) + found[end:]
    return found


def _places(source: str) -> Iterator[tuple[tuple[int, int], tuple[int, int], bool]]:
    """Where texts and comments begin and end."""
    depth, begun = 0, (0, 0)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        kind = tokenize.tok_name[token.type]
        if kind == "FSTRING_START":
            begun = token.start if depth == 0 else begun
            depth += 1
        elif kind == "FSTRING_END":
            depth -= 1
            if depth == 0:
                yield begun, token.end, True
        elif depth == 0 and kind in ("STRING", "COMMENT"):
            yield token.start, token.end, kind == "STRING"


def _escaped(text: str) -> str:
    if "{{" not in text:
        return text
    prefix = text[: re.search(r"['\"]", text).start()]  # pyright: ignore[reportOptionalMemberAccess]
    rest = text[len(prefix) :]
    if "r" in prefix.lower():
        if "\\" in rest:
            return text
        prefix = re.sub("[rR]", "", prefix)
    # in an f-string, two of them stand for one
    return prefix + rest.replace("{{", "\\x7b" if "f" in prefix.lower() else "\\x7b{")


def shown(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Places in a manifest where two braces are the user's own, with their texts."""
    if isinstance(value, str):
        if "{{" in _OWN.sub("", value):
            yield path, value
    elif isinstance(value, dict):
        for key, each in value.items():  # pyright: ignore[reportUnknownVariableType]
            yield from shown(each, f"{path}.{key}" if path else str(key))  # pyright: ignore[reportUnknownArgumentType]
    elif isinstance(value, list):
        for each in value:  # pyright: ignore[reportUnknownVariableType]
            name = each.get("name") if isinstance(each, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
            yield from shown(each, f"{path}[{name}]" if name else path)


__all__ = ["hidden", "shown"]
