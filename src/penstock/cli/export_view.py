"""How a pipeline was written in a dialect, and a file beside its native form, as people see them."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from penstock.cli.plan_view import without_effect
from penstock.model.graph import ignored_document

if TYPE_CHECKING:
    from rich.console import RenderableType

    from penstock.registering.exporting import Exported

_GRADES = ("exact", "equivalent", "changed", "opaque")
#: what of a side-by-side is told by colour
_GONE, _NEW = "red", "green"


def report(found: Exported) -> RenderableType:
    """What became of each node, what it comes to, and what had no effect to begin with."""
    from rich.console import Group
    from rich.text import Text

    from penstock.cli.renderables import columns

    accounts = found.written.accounts
    rows = [{"node": each.node or "(the pipeline)", "grade": each.grade, "how": each.how} for each in accounts]
    counts = Counter(each.grade for each in accounts if each.node)
    told = ", ".join(f"{counts[grade]} {grade}" for grade in _GRADES if counts[grade]) or "no nodes"
    table = [columns(rows, wrap=("how",)), Text()] if rows else []
    return Group(
        *table, Text(f"{found.pipeline} in {found.dialect}: {told}"), *without_effect(ignored_document(found.ignored))
    )


def unified_diff(file: str, text: str, native: str) -> str:
    """The file and its native form as a unified diff."""
    lines = difflib.unified_diff(text.splitlines(), native.splitlines(), file, "in penstock", lineterm="", n=1000)
    return "".join(f"{line}\n" for line in lines)


def side_by_side(file: str, text: str, native: str) -> RenderableType:
    """The file and its native form in two columns, with what is in both on one height."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False, expand=True)
    for title in (file, "in penstock"):
        table.add_column(Text(title, style="bold"), ratio=1, overflow="fold")
    for left, right in paired(text.splitlines(), native.splitlines()):
        same = left == right
        table.add_row(
            Text(left or "", style="" if same else _GONE),
            Text(right or "", style="" if same else _NEW),
        )
    return table


def paired(left: Sequence[str], right: Sequence[str]) -> Iterator[tuple[str | None, str | None]]:
    """The lines of two texts, side by side; None beside a line that the other one has nothing for."""
    for kind, a, b, c, d in difflib.SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        if kind == "equal":
            yield from zip(left[a:b], right[c:d], strict=True)
            continue
        for number in range(max(b - a, d - c)):
            yield (
                left[a + number] if number < b - a else None,
                right[c + number] if number < d - c else None,
            )


__all__ = ["paired", "report", "side_by_side", "unified_diff"]
