"""Changes to a text by positions, which leave all else of it as it stands."""

from __future__ import annotations

import ast
import io
import tokenize
from itertools import accumulate

from penstock.dialects.code.modules import FunctionNode

#: line (from 1) and column (in bytes, from 0), as syntax trees count them
Position = tuple[int, int]


class Overlap(Exception):
    """Two changes are about the same piece of a text."""


class Edits:
    """Pieces of a source that are replaced."""

    def __init__(self, source: str) -> None:
        self._text = source.encode()
        self._lines = [0, *accumulate(len(line) for line in self._text.splitlines(keepends=True))]
        #: (from, to, in which order it was given) -> what takes its place
        self._found: list[tuple[int, int, int, bytes]] = []

    def insert(self, at: Position, text: str) -> None:
        """Put a text there; nothing for an empty one."""
        if text:
            self.replace(at, at, text)

    def replace(self, start: Position, end: Position, text: str) -> None:
        """Put a text in the place of another."""
        self._found.append((self._at(start), self._at(end), len(self._found), text.encode()))

    def by_place(self, call: ast.Call, names: tuple[str, ...]) -> bool:
        """Let a call give its arguments by place, of parameters in this order. False where it gives others, or in another."""
        given = [*names[: len(call.args)], *(each.arg for each in call.keywords)]
        if given != list(names[: len(given)]):
            return False
        for each in call.keywords:
            start = self._at((each.lineno, each.col_offset))
            self._found.append((start, self._text.index(b"=", start) + 1, len(self._found), b""))
        return True

    def function(self, definition: FunctionNode, first: ast.stmt) -> tuple[str, list[str]]:
        """What follows the name of a function up to its body, and the lines from a statement of its body on."""
        head = self._text[self._at((definition.lineno, definition.col_offset)) : self._at((first.lineno, 0))].decode()
        signature = _up_to_colon(head[head.index(definition.name) + len(definition.name) :])
        start = self._at((self._commented(definition, first), 0))
        end = self._lines[definition.end_lineno or 0]
        indentation = first.col_offset
        text = self._changed(start, end)
        lines = [
            line[indentation:] if not line[:indentation].strip() else line.strip() for line in text.rstrip().split("\n")
        ]
        return signature, [line.rstrip() for line in lines]

    def lines(self, first: int, last: int) -> str:
        """The text of some lines (from 1, the last one included) with the changes."""
        return self._changed(self._lines[first - 1], self._lines[last])

    def begins_line(self, statement: ast.stmt) -> bool:
        """Whether there is nothing before a statement on its line."""
        line = self._at((statement.lineno, 0))
        return not self._text[line : line + statement.col_offset].strip()

    def _commented(self, definition: FunctionNode, first: ast.stmt) -> int:
        """The line that the comments above a statement begin on."""
        line = first.lineno
        lines = self._text.splitlines()
        while line - 1 > definition.lineno and lines[line - 2].strip().startswith(b"#"):
            line -= 1
        return line

    def _at(self, position: Position) -> int:
        return self._lines[position[0] - 1] + position[1]

    def _changed(self, start: int, end: int) -> str:
        parts: list[bytes] = []
        done = start
        for first, last, _, text in sorted(self._found):
            if first < done:
                raise Overlap
            parts += [self._text[done:first], text]
            done = last
        return b"".join([*parts, self._text[done:end]]).decode()


def _up_to_colon(text: str) -> str:
    """The text up to the colon that ends the head of a definition."""
    starts = [0, *accumulate(len(line) for line in text.splitlines(keepends=True))]
    depth = 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        depth += (token.string in ("(", "[", "{")) - (token.string in (")", "]", "}"))
        if token.type == tokenize.OP and token.string == ":" and depth == 0:
            return text[: starts[token.end[0] - 1] + token.end[1]]
    raise ValueError("a definition has no colon")


__all__ = ["Edits", "Overlap", "Position"]
