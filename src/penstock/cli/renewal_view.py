"""What a run that begins anew keeps of the generation before, as people see it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from penstock.cli.difference_lines import difference_lines
from penstock.observe.measures import counted

if TYPE_CHECKING:
    from rich.console import RenderableType

Document = Mapping[str, Any]

#: names in a row, reasons, and lines of a diff that are shown
_NAMES, _REASONS, _LINES = 8, 10, 12
#: an item that goes by its number
_ITEM = re.compile(r"(.+)\[(\d+)\]")


def renewal_view(document: Document, run_id: str) -> RenderableType:
    """What is kept, and what the code of now invalidates, from the document of the plan."""
    from rich.console import Group

    return Group(*_lines(document, run_id))


def _lines(document: Document, run_id: str) -> Iterator[RenderableType]:
    from rich.text import Text

    kept: Sequence[str] = document["kept"]
    yield Text(f"run {run_id}, generation {document['generation']}: {counted(len(kept), 'result')} kept", "bold")
    if kept:
        yield Text(f"  kept: {_named(kept)}")
    reasons = list(_alike(document["invalidated"]))
    for reason, names in reasons[:_REASONS]:
        yield Text(f"  invalidated: {_named(names)}: {reason['text']}")
        yield from difference_lines(reason.get("differences", ()), indent=4, most=_LINES)
    if len(reasons) > _REASONS:
        yield Text(f"  and {sum(len(names) for _, names in reasons[_REASONS:]):,} more for other reasons")
    yield from apart(document)
    unknown = document["summary"]["unknown"]
    if unknown:
        yield Text(f"  {counted(unknown, 'task')} to be decided when it is their turn")


def apart(document: Document) -> Iterator[RenderableType]:
    """What is no longer in the pipeline, and what was not in it before."""
    from rich.text import Text

    if document["dropped"]:
        yield Text(f"  dropped: {_named(_ranges(document['dropped']))}, no longer in the pipeline")
    if document["new"]:
        yield Text(f"  new: {_named(document['new'])}")


def _ranges(names: Sequence[str]) -> list[str]:
    """The names, with items in a row taken together: `fit[0..2]`."""
    found: list[tuple[str, int, int] | str] = []
    for name in names:
        item = _ITEM.fullmatch(name)
        if item is None:
            found.append(name)
            continue
        node, number = item[1], int(item[2])
        last = found[-1] if found else ""
        if isinstance(last, tuple) and (last[0], last[2]) == (node, number - 1):
            found[-1] = node, last[1], number
        else:
            found.append((node, number, number))
    return [each if isinstance(each, str) else _range(*each) for each in found]


def _range(node: str, first: int, last: int) -> str:
    return f"{node}[{first}]" if first == last else f"{node}[{first}..{last}]"


def _alike(invalidated: Sequence[Document]) -> Iterator[tuple[Document, list[str]]]:
    """The reasons, each once, with what they hold for."""
    found: dict[Any, tuple[Document, list[str]]] = {}
    for each in invalidated:
        reason = each["reason"]
        where = tuple((one["kind"], one["name"], one.get("where")) for one in reason.get("differences", ()))
        found.setdefault((reason["text"], where), (reason, []))[1].append(each["id"])
    yield from found.values()


def _named(names: Sequence[str]) -> str:
    more = len(names) - _NAMES
    return ", ".join(names[:_NAMES]) + (f" and {more:,} more" if more > 0 else "")


__all__ = ["apart", "renewal_view"]
