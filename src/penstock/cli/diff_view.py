"""In what two runs differ, as people see it: causes before effects."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from penstock.cli.difference_lines import difference_lines
from penstock.observe.marks import mark
from penstock.observe.measures import counted, duration
from penstock.observe.outline import clip
from penstock.runtime.explaining.told import MOST

if TYPE_CHECKING:
    from rich.console import RenderableType

Document = Mapping[str, Any]

#: rows of tasks, of changes, and of columns of one frame that are listed
_TASKS, _CHANGES, _COLUMNS = 40, 20, 10
#: characters of a value
_VALUE = 80


def diff_view(document: Document, *, full: bool = False) -> RenderableType:
    """A comparison of two runs, from its document. With `full`, long diffs are not cut."""
    from rich.console import Group

    return Group(*_parts(document, full))


def _parts(document: Document, full: bool) -> Iterator[RenderableType]:
    from rich.console import Group
    from rich.text import Text

    from penstock.cli.renderables import pairs, titled

    yield pairs(heading(document))
    if is_same(document):
        yield Text()
        yield Text(same_text(document))
    if document["causes"]:
        yield from titled(
            "what changed", Group(*difference_lines(document["causes"], most=None if full else MOST, hint="--full"))
        )
    elif document["tasks"]:
        yield from titled("what changed", Text(NO_CAUSE))
    if document["consequences"]:
        yield from titled(
            FOLLOWING, Group(*difference_lines(document["consequences"], most=None if full else MOST, hint="--full"))
        )
    if is_unexplained(document):
        yield from _circumstances(document)
    if document["tasks"]:
        yield from titled(f"tasks ({_counts(document)})", pairs(task_lines(document)))
    if document["data"]:
        yield from titled("data", Group(*(Text(line) for line in data_lines(document))))
    for title in ("metrics", "outputs"):
        if document[title]:
            yield from titled(title, pairs(change_lines(document[title])))
    if not is_unexplained(document):
        yield from _circumstances(document)


FOLLOWING = "what follows from that, or may"
NO_CAUSE = "nothing that counts: of the same code and inputs, a task made something else"


def _circumstances(document: Document) -> Iterator[RenderableType]:
    from penstock.cli.renderables import pairs, titled

    if document["circumstances"]:
        yield from titled(CIRCUMSTANCES, pairs(change_lines(document["circumstances"])))


CIRCUMSTANCES = "circumstances, which do not count for the cache"


def heading(document: Document) -> list[tuple[str, str]]:
    """The two runs: id, and pipeline and state."""
    names, states = document["pipelines"], document["states"]
    return [(document["before"], f"{names[0]} {states[0]}"), (document["after"], f"{names[1]} {states[1]}")]


def is_same(document: Document) -> bool:
    """Whether nothing differs of what counts, nor of what came of it."""
    return not any(document[part] for part in ("causes", "consequences", "tasks", "metrics", "outputs"))


def same_text(document: Document) -> str:
    """What there is to say where nothing differs."""
    if not document["same"]:
        return f"nothing to compare yet{_unfinished(document)}"
    return f"nothing differs: {counted(document['same'], 'task')} with the same code, inputs and results" + _unfinished(
        document
    )


def is_unexplained(document: Document) -> bool:
    """Whether tasks made something else though nothing that counts differs: then circumstances may be to blame."""
    return bool(document["tasks"]) and not document["causes"]


def _counts(document: Document) -> str:
    return f"{len(document['tasks']):,} touched, {document['same']:,} the same{_unfinished(document)}"


def _unfinished(document: Document) -> str:
    return f", {document['unfinished']:,} yet to end" if document["unfinished"] else ""


def task_lines(document: Document) -> list[tuple[str, str]]:
    """The tasks that were touched, each with what happened to it; items and turns alike in one row."""
    rows: dict[tuple[str, str], list[Document]] = {}
    for task in document["tasks"]:
        rows.setdefault((task["path"], "; ".join(_task_parts(task))), []).append(task)
    lines = [(_row_name(path, tasks), text) for (path, text), tasks in rows.items()]
    if len(lines) <= _TASKS:
        return lines
    return [*lines[:_TASKS], ("", f"and {len(lines) - _TASKS:,} more")]


def _row_name(path: str, tasks: Sequence[Document]) -> str:
    if len(tasks) == 1:
        return str(tasks[0]["id"])
    if len(tasks) <= 3:
        return ", ".join(task["id"] for task in tasks)
    return f"{path} ({len(tasks):,} times)"


def _task_parts(task: Document) -> Iterator[str]:
    before, after = task.get("before", ""), task.get("after", "")
    if not before or not after:
        yield f"new, {mark(after).word}" if not before else "gone"
        return
    changed = before != after and bool({before, after} - {"succeeded", "cached"})
    if changed:
        yield f"{mark(before).word} -> {mark(after).word}" + (
            f" ({clip(task['error'], _VALUE)})" if task.get("error") else ""
        )
    if condition := task.get("condition"):
        yield f"its condition {condition}"
    causes, upstream = task.get("causes") or (), task.get("because_of") or ()
    if causes:
        yield f"{', '.join(dict.fromkeys(_cause(each) for each in causes))} changed"
    if upstream:
        yield f"other inputs from {', '.join(upstream)}"
    if outputs := task.get("outputs"):
        told = "another result" if list(outputs) == ["result"] else f"other outputs: {', '.join(outputs)}"
        yield told if causes or upstream or changed else f"{told} of the same code and inputs"
    elif not changed and "failed" not in (before, after):
        yield "the same result"
    yield from _times(task)


def _times(task: Document) -> Iterator[str]:
    was: float = task.get("duration_before_s") or 0.0
    now: float = task.get("duration_after_s") or 0.0
    if was and now and max(was, now) > 1 and not 0.8 < was / now < 1.25:
        yield f"{duration(was)} -> {duration(now)}"


def _cause(each: Document) -> str:
    kind, name = str(each["kind"]), str(each["name"])
    return name if kind in ("code", name) else f"{kind} {name}"


def data_lines(document: Document) -> Iterator[str]:
    """What differs in frames."""
    for each in document["data"]:
        rows = each["rows"]
        columns: Sequence[Document] = each.get("columns") or ()
        told = [f"{rows[0]:,} rows" if rows[0] == rows[1] else f"{rows[0]:,} -> {rows[1]:,} rows"]
        if each.get("same"):
            told.append(f"{counted(each['same'], 'column')} the same")
        if each.get("told"):
            told.append(f"{counted(each['told'], 'column')} changed as before")
        yield f"{each['id']}: {', '.join(told)}"
        yield from (f"  {column['name']}: {', '.join(_column_parts(column))}" for column in columns[:_COLUMNS])
        if len(columns) > _COLUMNS:
            yield f"  and {len(columns) - _COLUMNS:,} more (--json has all)"


def _column_parts(column: Document) -> Iterator[str]:
    before, after = column.get("type_before", ""), column.get("type_after", "")
    if not before or not after:
        yield f"new ({after})" if not before else f"gone ({before})"
        return
    if before != after:
        yield f"type {before} -> {after}"
    statistics: Mapping[str, Sequence[Any]] = column.get("statistics") or {}
    for name, (was, now) in statistics.items():
        if not _is_as_good_as(was, now):
            yield f"{name} {_exact(was, now)} -> {_exact(now, was)}"
    if column.get("shift") is not None:
        yield f"shift {column['shift']:.2f}"
    elif before == after and not statistics:
        yield "other values"


def _is_as_good_as(was: Any, now: Any) -> bool:
    """Whether numbers differ by no more than the order in which they were summed up."""
    return isinstance(was, float) and isinstance(now, float) and math.isclose(was, now, rel_tol=1e-9)


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "-" if value is None else str(value)


def change_lines(changes: Sequence[Document]) -> list[tuple[str, str]]:
    """Names, with what they were and are."""
    lines = [(str(each["name"]), change_text(each)) for each in changes[:_CHANGES]]
    if len(changes) > _CHANGES:
        lines.append(("", f"and {len(changes) - _CHANGES:,} more (--json has all)"))
    return lines


def change_text(change: Document) -> str:
    """`0.93 -> 0.81  (-0.12)`."""
    before, after = change.get("before"), change.get("after")
    if type(before) in (int, float) and type(after) in (int, float):
        was, now = float(before or 0), float(after or 0)
        return f"{_exact(before, after)} -> {_exact(after, before)}  ({now - was:+.4g})"
    return f"{clip(_number(before), _VALUE)} -> {clip(_number(after), _VALUE)}"


def _exact(value: Any, other: Any) -> str:
    """A number with as many digits as tell it from the other one."""
    if not (isinstance(value, float) and isinstance(other, float)):
        return str(value) if isinstance(value, int) else _number(value)
    return next((text for digits in (4, 6, 9) if (text := f"{value:.{digits}g}") != f"{other:.{digits}g}"), repr(value))


__all__ = [
    "CIRCUMSTANCES",
    "FOLLOWING",
    "NO_CAUSE",
    "change_lines",
    "change_text",
    "data_lines",
    "diff_view",
    "heading",
    "is_same",
    "is_unexplained",
    "same_text",
    "task_lines",
]
