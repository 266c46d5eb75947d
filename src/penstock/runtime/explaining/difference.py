"""One thing in which two computations differ."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

Kind = Literal[
    "parameter",
    "code",
    "constant",
    "task",
    "package",
    "python",
    "environment",
    "version",
    "file",
    "setting",
    "input",
]

#: causes before effects: the order in which differences are told
KINDS: tuple[Kind, ...] = get_args(Kind)


class Difference(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing in which two computations differ."""

    kind: Kind
    #: `features.cleaning:normalise` for code, `threshold` for a parameter or an input, `pandas` for a package; for a
    #: `task`, how the pipeline calls it, `train` or `train.depth`
    name: str
    change: Literal["changed", "added", "removed"] = "changed"
    #: what it was and is, for people; empty where the diff tells, or where it is not known
    before: str = ""
    after: str = ""
    #: `file:line` of the first line that differs, as it is now; as it was, where it is gone
    where: str = ""
    #: of code: the lines of a unified diff, without its header
    diff: tuple[str, ...] = ()
    #: of an input: what it is bound to, such as `clean.rows`
    source: str = ""
    #: of code that is in a value: the input that has it
    within: str = ""


def in_order(differences: list[Difference]) -> list[Difference]:
    """Causes before effects, else as they are."""
    return sorted(differences, key=lambda each: KINDS.index(each.kind))


__all__ = ["KINDS", "Difference", "Kind", "in_order"]
