"""What it means to read a value as one of a type: every type that a parameter can have is a `Kind`.

Kinds find everything that is wrong with a value, not only the first thing, and say it in words; this is why they take
lists, dataclasses and the like apart themselves and leave only the leaves to msgspec, which stops at the first error,
knows no enumeration of mixed values, and no union of date and path.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from enum import Enum
from typing import Any, ClassVar, NamedTuple

import msgspec


class Form(Enum):
    """How a value arrives."""

    #: typed by a person, on the command line or in an environment variable: strings have yet to be read
    TEXT = "text"
    #: from a configuration file: a string is a string, or stands for what JSON cannot hold (a date, a path)
    DATA = "data"
    #: from Python: as data, and what already has one of the right types stays what it is
    OBJECT = "object"


class Problem(NamedTuple):
    """One thing that is wrong. `path` leads to it inside the value: `.candidates[2].depth`, empty for the whole."""

    path: str
    text: str


class Mismatch(Exception):
    """A value is not of its kind."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__(problems)
        self.problems = problems
        #: whether the value as such is of the kind, and the problems lie in its parts
        self.within = all(problem.path for problem in problems)


class Kind(msgspec.Struct):
    """A type that a parameter can have."""

    #: as one writes it: `list[Path]`
    name: str
    #: what is expected, for people: `a whole number`
    words: str
    #: the class of the values, as far as there is one
    python: Any
    rank: ClassVar[int] = 40

    def strictness(self) -> int:
        """The place in a union: what takes least (the lowest number) is tried first."""
        return self.rank

    def flat(self) -> bool:
        """Whether a list of it can be written as text with commas."""
        return False

    def hides(self, within: frozenset[int] = frozenset()) -> bool:
        """Whether what is given for it is not to be shown, right or wrong. `within` are the ids of records around it."""
        return False

    def read(self, value: Any, form: Form) -> Any:
        """The value as one of this kind. Raises Mismatch with everything that is wrong with it."""
        raise NotImplementedError

    def refuse(self, value: Any, form: Form, remark: str = "") -> Mismatch:
        """What to raise for a value that is something else altogether."""
        given = "something else, which is not shown" if self.hides() else shown(value, form)
        return Mismatch(Problem("", f"expected {self.words}; got {given}{remark}"))


def shown(value: Any, form: Form) -> str:
    """A value that was given, for people, in at most a line."""
    short = shortened(repr(value))
    if form is Form.TEXT:
        return short
    if form is Form.OBJECT:
        return f"{short} ({type(value).__name__})" if value is not None else "None"
    match value:
        case None | True | False:
            return {None: "null", True: "true", False: "false"}[value]
        case str():
            return f"the text {short}"
        case int() | float():
            return f"the number {short}"
        case date():
            return f"the date {value}"
        case Mapping():
            return f"the mapping {short}"
        case _:
            return f"the {type(value).__name__} {short}"


def shortened(text: str) -> str:
    """The beginning of a text, in one line."""
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:57]}..."


def listed(faults: Sequence[str], of: str) -> str:
    """All that is wrong with something, one to a line: `2 problems with the answer:` and so on."""
    count = "1 problem" if len(faults) == 1 else f"{len(faults)} problems"
    return "\n  ".join([f"{count} with {of}:", *faults])


def nearest(name: Any, known: Iterable[str]) -> str:
    """Advice for a name that is not known: `; did you mean 'depth'?`, or nothing."""
    import difflib

    close = difflib.get_close_matches(str(name), list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
