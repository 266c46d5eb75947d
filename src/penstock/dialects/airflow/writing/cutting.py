"""A file without what only some of its statements need."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator

from penstock.dialects.code.formatting import wrapped_import
from penstock.dialects.code.modules import Module, bound, free


class Cut:
    """The statements at the top level of a module, of which some are taken out: those that are given, those but the `own`
    that work with what they made, and what nobody else uses; not what the own need. Comments right above a statement go
    with it."""

    def __init__(self, module: Module, out: Collection[int], own: Collection[int]) -> None:
        self._module = module
        self._statements = module.tree.body
        self._binds = [tuple(dict.fromkeys(bound(each))) for each in self._statements]
        self._reads = [frozenset(free(each)) for each in self._statements]
        #: the statements that are taken out, by their numbers
        self.out = set(out)
        self._own = frozenset(own)
        self._follow()
        self.out -= {each for each in self.out if self._shares(each)}
        self._spare()
        self._forget()

    def _follow(self) -> None:
        """Take out what works with something that a statement which is out has made: `a >> b`."""
        for number, statement in enumerate(self._statements):
            if number in self.out | self._own or isinstance(statement, _DEFINING):
                continue
            makers = (self._maker(name, number) for name in self._reads[number])
            if any(maker in self.out for maker in makers):
                self.out.add(number)

    def _maker(self, name: str, before: int) -> int | None:
        """The statement that a name has its value of, at a statement."""
        return next((each for each in reversed(range(before)) if name in self._binds[each]), None)

    def _spare(self) -> None:
        """Leave in what others need all the same."""
        while True:
            read = self._read(each for each in self._numbers() if each not in self.out)
            made = {name for each in self._numbers() if each not in self.out for name in self._binds[each]}
            needed = {each for each in self.out for name in self._binds[each] if name in read - made}
            if not needed:
                return
            self.out -= needed

    def _forget(self) -> None:
        """Take out what was there for these alone."""
        while True:
            left = [each for each in self._numbers() if each not in self.out]
            before = self._read(self.out)
            idle = {
                each
                for each in left
                if isinstance(self._statements[each], _PLAIN)
                and not self._shares(each)
                and (names := self._binds[each])
                and before.issuperset(names)
                and self._read(other for other in left if other != each).isdisjoint(names)
            }
            if not idle:
                return
            self.out |= idle

    def _shares(self, number: int) -> bool:
        """Whether a statement stands on a line with one that is left."""
        lines = set(_lines(self._statements[number]))
        left = (each for each in self._numbers() if each != number and each not in self.out)
        return any(not lines.isdisjoint(_lines(self._statements[each])) for each in left)

    def _numbers(self) -> range:
        return range(len(self._statements))

    def _read(self, numbers: Iterable[int]) -> frozenset[str]:
        return frozenset(name for each in numbers for name in self._reads[each])

    def text(self) -> str:
        """What is left, as it stands."""
        lines: list[str | None] = list(self._module.lines)
        for number in sorted(self.out):
            self._remove(lines, *self._span(number))
        left = self._read(each for each in self._numbers() if each not in self.out)
        for number, statement in enumerate(self._statements):
            if number not in self.out and isinstance(statement, ast.ImportFrom) and not self._shares(number):
                self._narrow(lines, statement, left)
        return "\n".join(line for line in lines if line is not None) + "\n"

    def _span(self, number: int) -> tuple[int, int]:
        """The first line of a statement, decorators and comments right above it included, and its last."""
        statement = self._statements[number]
        decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
        first = min([statement.lineno, *(each.lineno for each in decorators)]) - 1
        while first and self._module.lines[first - 1].startswith("#") and first > 1:
            first -= 1
        return first, statement.end_lineno or statement.lineno

    def _remove(self, lines: list[str | None], first: int, last: int) -> None:
        lines[first:last] = [None] * (last - first)
        left = [number for number in range(first) if lines[number] is not None]
        above = next((each for each, number in enumerate(reversed(left)) if lines[number]), len(left))
        # as many blank lines as there are above it go with it
        for number in range(last, min(last + above, len(lines))):
            if lines[number]:
                break
            lines[number] = None

    def _narrow(self, lines: list[str | None], statement: ast.ImportFrom, read: Collection[str]) -> None:
        """Leave only those names in an import that somebody reads, where others were read by what is out."""
        before = self._read(self.out)
        kept = [each for each in statement.names if (each.asname or each.name) in read or not _gone(each, before)]
        if len(kept) == len(statement.names) or not kept:
            return
        listed = [each.name if each.asname is None else f"{each.name} as {each.asname}" for each in kept]
        first, last = statement.lineno - 1, statement.end_lineno or statement.lineno
        text = wrapped_import("." * statement.level + (statement.module or ""), listed)
        lines[first:last] = [text, *[None] * (last - first - 1)]


def _gone(name: ast.alias, before: Collection[str]) -> bool:
    return (name.asname or name.name) in before


def numbers_at(module: Module, lines: Iterable[int]) -> set[int]:
    """The statements at the top level that some lines are in."""
    wanted = set(lines)
    return {number for number, each in enumerate(module.tree.body) if wanted.intersection(_lines(each))}


def _lines(statement: ast.stmt) -> Iterator[int]:
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    first = min([statement.lineno, *(each.lineno for each in decorators)])
    return iter(range(first, (statement.end_lineno or statement.lineno) + 1))


#: what only makes something for others to use
_DEFINING = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_PLAIN = (*_DEFINING, ast.Assign, ast.AnnAssign)

__all__ = ["Cut", "numbers_at"]
