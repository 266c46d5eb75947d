"""Words that explanations have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from penstock.runtime.explaining.difference import Difference, Kind

#: how many of a kind are named
_NAMED = 3


def listed(names: Sequence[str], most: int = _NAMED) -> str:
    """`a`, `a and b`, `a, b and c`, `a, b, c and 4 more`."""
    shown = list(names) if len(names) <= most else [*names[:most], f"{len(names) - most:,} more"]
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def moment(seconds: float) -> str:
    """A time, in seconds since the epoch, as clocks here show it: `2026-11-21 17:08:20`."""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def named(differences: Sequence[Difference]) -> str:
    """What differs, in a few words: `features:clean (features.py:12), parameter depth and inputs a and b`."""
    kinds: dict[Kind, list[Difference]] = {}
    for each in differences:
        kinds.setdefault(each.kind, []).append(each)
    return listed([_WORDS[kind](found) for kind, found in kinds.items()], len(kinds))


def _several(noun: str) -> Callable[[Sequence[Difference]], str]:
    def told(found: Sequence[Difference]) -> str:
        return f"{noun if len(found) == 1 else noun + 's'} {listed([each.name for each in found])}"

    return told


def _inputs(found: Sequence[Difference]) -> str:
    names = [f"{each.name} ({each.source})" if each.source else each.name for each in found]
    return f"{'input' if len(found) == 1 else 'inputs'} {listed(names)}"


def _definitions(found: Sequence[Difference]) -> str:
    return listed([_definition(each) for each in found])


def _definition(found: Difference) -> str:
    told = ", ".join(filter(None, (found.where, f"in the input {found.within}" if found.within else "")))
    return f"{found.name} ({told})" if told else found.name


def _from_to(word: str) -> Callable[[Sequence[Difference]], str]:
    def told(found: Sequence[Difference]) -> str:
        each = found[0]
        return f"{word} ({each.before or 'none'} -> {each.after or 'none'})"

    return told


def _packages(found: Sequence[Difference]) -> str:
    names = [f"{each.name} ({each.before or 'none'} -> {each.after or 'none'})" for each in found]
    return f"{'package' if len(found) == 1 else 'packages'} {listed(names)}"


_WORDS: dict[Kind, Callable[[Sequence[Difference]], str]] = {
    "parameter": _several("parameter"),
    "code": _definitions,
    "constant": _definitions,
    "task": _several("task"),
    "package": _packages,
    "python": _from_to("Python"),
    "environment": lambda _: "its environment",
    "version": _from_to("its version"),
    "file": _several("file"),
    "setting": _several("setting"),
    "input": _inputs,
}

__all__ = ["listed", "moment", "named"]
