"""A task that was made again, as people see it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from penstock.observe.faults import plain
from penstock.observe.marks import mark
from penstock.observe.measures import duration, number, size

if TYPE_CHECKING:
    from rich.console import RenderableType

Document = Mapping[str, Any]

_CODES = {"today": "the present code", "stored": "the code of the run"}
_VERDICTS = {
    "same": "same as in the run",
    "different": "differs from the run",
    "unknown": "cannot be compared: values of its type have no digest that stays the same",
    "missing": "recorded in the run, and not made now",
    "unrecorded": "",
}
#: how a task ended that did not succeed, where it does not say what was done to it
_ENDED = {"failed": "failed", "upstream_failed": "was not reached"}
_LONGEST = 60
#: columns of a frame that are told of
_COLUMNS = 10


def replay_view(document: Document) -> RenderableType:
    """How it went: in a line, then what is to be known about it, then its outputs."""
    from rich.console import Group

    return Group(*_parts(document))


def _parts(document: Document) -> Iterator[RenderableType]:
    from rich.padding import Padding
    from rich.text import Text

    from penstock.cli.renderables import Marked

    took = duration(document["duration_s"])
    then: Document = document["recorded"] or {}
    before = f" ({_before(then)})" if then else ""
    yield Marked(
        document["state"],
        f"{document['id']} of run {document['run_id']}: {document['state']} in {took}",
        plain=f"{before}, with {_CODES[document['code']]}",
    )
    for note in document["notes"]:
        yield Padding(Text(note, style="yellow"), (0, 0, 0, 2))
    if document["reason"]:
        yield Padding(Text(document["reason"]), (0, 0, 0, 2))
    if document["error"]:
        yield from _failure(document, then)
    for output in document["outputs"]:
        yield from _output(output)
    for name, value in document["metrics"].items():
        yield Text(f"  metric {name} = {number(value)}")


def _before(then: Document) -> str:
    if then["state"] == "succeeded":
        return f"in the run {duration(then['duration_s'])}"
    state = then["state"]
    return f"in the run it {_ENDED.get(state) or f'was {mark(state).word}'}"


def _failure(document: Document, then: Document) -> Iterator[RenderableType]:
    from rich.padding import Padding
    from rich.text import Text

    told = plain(document["traceback"]).strip("\n") or plain(document["error"])
    yield Padding(Text(told), (0, 0, 0, 4))
    if document["same"]:
        yield Text("  it failed so in the run, too")
    elif then.get("error"):
        yield Text(f"  in the run it failed otherwise: {plain(then['error'])}", style="yellow")


def _output(output: Document) -> Iterator[RenderableType]:
    from rich.text import Text

    made: Document | None = output.get("made")
    verdict = output.get("verdict", "unrecorded")
    style = {"same": "green", "different": "red", "missing": "red"}.get(verdict, "")
    told = f"  {output['name']}  {_shown(made)}" if made is not None else f"  {output['name']}"
    yield Text.assemble(told, (f"  {_VERDICTS[verdict]}".rstrip(), style))
    if verdict in ("different", "unknown"):
        yield Text(f"    in the run: {output['before']}")
        yield Text(f"    now:        {output['after']}")
    yield from (Text(f"    {line}") for line in _frame(output.get("data")))


def _shown(made: Document) -> str:
    if "value" in made:
        text = repr(made["value"])
        if len(text) <= _LONGEST:
            return f"{made['type']}  {text}"
    return f"{made['type']}  {made['digest'][:8]}  {size(made['size'])}"


def _frame(data: Document | None) -> Iterator[str]:
    """In what two frames differ."""
    if data is None:
        return
    rows = data["rows"]
    if rows[0] != rows[1]:
        yield f"rows: {rows[0]:,} -> {rows[1]:,}"
    columns = data.get("columns", ())
    for column in columns[:_COLUMNS]:
        old, new = column.get("type_before", ""), column.get("type_after", "")
        if old != new:
            yield f"{column['name']}: {old or 'not there'} -> {new or 'gone'}"
            continue
        changes = [
            f"{name} {_short(was)} -> {_short(now)}" for name, (was, now) in column.get("statistics", {}).items()
        ]
        yield f"{column['name']}: {', '.join(changes) or 'other values'}"
    if len(columns) > _COLUMNS:
        yield f"and {len(columns) - _COLUMNS} more columns"


def _short(value: Any) -> str:
    return number(value) if isinstance(value, (int, float)) else str(value)


__all__ = ["replay_view"]
