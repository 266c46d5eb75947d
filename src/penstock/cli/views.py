"""Runs as people see them: after a run, in lists, one by one; and errors.

Every view takes the run document (`run --json`), or a list of them, and returns something that a rich console
prints; `rendered` makes plain text of it. Keys that a document lacks are left out of the view.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.errors import PenstockError
from penstock.model.run import NodeState
from penstock.observe.faults import headline, plain
from penstock.observe.marks import mark
from penstock.observe.measures import counted, duration, number, size
from penstock.observe.outline import clip

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

__all__ = ["error_view", "next_steps", "run_table", "run_view", "summary"]

Document = Mapping[str, Any]

#: different failures of one task that are shown with their traceback
_TRACEBACKS = 3
#: items that are named where several failed in the same way
_NAMES = 5
#: items of one mapped task that are listed one by one
_ITEMS = 20


def summary(document: Document) -> RenderableType:
    """What to say when a run has ended: how, its metrics, its outputs and how many tasks did what; of a failed run
    each failed task with the user's traceback."""
    from rich.console import Group
    from rich.text import Text

    failures = _failures(document)[1:]
    space = [Text()] if failures else []
    headline = _headline(document)
    return Group(*failures, *space, *headline, *_metrics(document), *_outputs(document), *_task_counts(document))


def run_table(documents: Sequence[Document]) -> RenderableType:
    """Runs in a table, in the order given; where there is room, with their first metrics."""
    from rich.text import Text

    from penstock.cli.renderables import ByWidth, Marked, columns

    if not documents:
        return Text("no runs yet")
    rows = [
        {
            "run": str(document.get("run_id", "")),
            "pipeline": str(document.get("pipeline", "")),
            "state": Marked(_state(document), mark(_state(document)).word),
            "started": _when(document.get("started_at")),
            "duration": _duration_of(document),
            "tasks": _tasks_in_short(document.get("tasks") or ()),
            "metrics": ", ".join(f"{name} {value}" for name, value in _values(document.get("metrics"))[:2]),
        }
        for document in documents
    ]
    narrow = [{name: value for name, value in row.items() if name != "metrics"} for row in rows]
    right = ("duration",)
    return ByWidth(columns(narrow, right=right), columns(rows, right=right, wrap=("metrics",)), limit=100)


def run_view(document: Document) -> RenderableType:
    """A run in full: parameters, every task with what it took, metrics, outputs, failures."""
    from rich.console import Group
    from rich.text import Text

    from penstock.cli.renderables import pairs, titled

    parts = _headline(document)
    if facts := [(name, value) for name, value in _facts(document).items() if value]:
        parts.append(pairs(facts))
    if parameters := document.get("parameters"):
        parts += titled("parameters", pairs((name, _short(value)) for name, value in parameters.items()))
    if tasks := document.get("tasks"):
        parts += [Text(), _task_table(tasks)]
    if artifacts := document.get("artifacts"):
        logged = [(f"{each.get('task', '')}.{each.get('name', '')}", described(each)) for each in artifacts]
        return Group(
            *parts, *_metrics(document), *_outputs(document), *titled("artifacts", pairs(logged)), *_failures(document)
        )
    return Group(*parts, *_metrics(document), *_outputs(document), *_failures(document))


def next_steps(steps: Sequence[tuple[str, str]], title: str = "next") -> RenderableType:
    """Commands worth trying, each with what it is for."""
    from rich.console import Group

    from penstock.cli.renderables import pairs, titled

    return Group(*titled(title, pairs(steps)))


def error_view(error: PenstockError) -> Text:
    """An error in at most three parts: what happened, where, what to do."""
    from rich.text import Text

    first, *rest = error.what.splitlines() or [""]
    text = Text.assemble(("error: ", "bold red"), (first, "bold"), _below(rest))
    if error.where:
        text.append("\n  at ").append(error.where, style="cyan")
    if error.remedy:
        advice, *more = error.remedy.splitlines()
        text.append(f"\n  {advice}{_below(more)}", style="green")
    return text


def _below(lines: Sequence[str]) -> str:
    """Lines below the first one of a message, indented unless the message itself did that."""
    indent = "" if all(line.startswith("  ") for line in lines) else "  "
    return "".join(f"\n{indent}{line}" for line in lines)


def _headline(document: Document) -> list[RenderableType]:
    """`✓ training succeeded in 12 s  run 7f3a`."""
    from penstock.cli.renderables import Marked

    state = _state(document)
    took = _duration_of(document)
    joint = "in" if state == NodeState.SUCCEEDED else "after"
    words = [str(document.get("pipeline", "run")), mark(state).word, f"{joint} {took}" if took else ""]
    run = f"  run {document['run_id']}" if document.get("run_id") else ""
    return [Marked(state, " ".join(word for word in words if word), plain=run)]


def _facts(document: Document) -> dict[str, str]:
    """When, of what and on what a run was."""
    provenance: Document = document.get("provenance") or {}
    commit = str(provenance.get("git_commit") or "")[:12]
    penstock = f"penstock {provenance['penstock']}" if provenance.get("penstock") else ""
    surroundings = (provenance.get("python"), penstock, provenance.get("platform"))
    return {
        "started": _when(document.get("started_at")),
        "target": str(document.get("target") or ""),
        "commit": f"{commit} and changes" if commit and provenance.get("git_dirty") else commit,
        "with": ", ".join(str(each) for each in surroundings if each),
    }


def _metrics(document: Document) -> list[RenderableType]:
    from penstock.cli.renderables import pairs, titled

    metrics = _values(document.get("metrics"))
    return titled("metrics", pairs(metrics)) if metrics else []


def _outputs(document: Document) -> list[RenderableType]:
    from penstock.cli.renderables import pairs, titled

    outputs: Mapping[str, Document] = document.get("outputs") or {}
    # a pipeline that returns nothing is not worth a line
    told = [(name, described(value)) for name, value in outputs.items() if value.get("value", ...) is not None]
    return titled("outputs", pairs(told)) if told else []


def _task_counts(document: Document) -> list[RenderableType]:
    from rich.text import Text

    tasks = document.get("tasks") or ()
    return [Text(), Text(f"{counted(len(tasks), 'task')}: {_counts(tasks)}")] if tasks else []


def _failures(document: Document) -> list[RenderableType]:
    """Each failed task with its traceback, behind an empty line; of a mapped one the first few items."""
    parts: list[RenderableType] = []
    failed = [task for task in document.get("tasks") or () if task.get("state") == NodeState.FAILED]
    for node, items in groupby(failed, key=_node_of):
        parts += _failures_of(node, list(items))
    return parts


def _failures_of(node: str, tasks: list[Document]) -> Iterator[RenderableType]:
    """Items that failed in the same way are told together."""
    from rich.padding import Padding
    from rich.text import Text

    from penstock.cli.renderables import Marked

    alike: dict[tuple[str, str], list[str]] = {}
    for task in tasks:
        alike.setdefault((_message(task), plain(task.get("traceback") or "")), []).append(str(task.get("id", "?")))
    for (message, traceback), names in list(alike.items())[:_TRACEBACKS]:
        listed = ", ".join(names[:_NAMES]) + (f" and {len(names) - _NAMES:,} more" if len(names) > _NAMES else "")
        # the last line of a traceback is the message
        said = f": {message}" if message and message not in traceback else ""
        yield Text()
        yield Marked(NodeState.FAILED, f"{listed} failed{said}")
        if traceback:
            yield Padding(Text(traceback.strip("\n")), (0, 0, 0, 2))
    if len(alike) > _TRACEBACKS:
        rest = sum(len(names) for names in list(alike.values())[_TRACEBACKS:])
        yield Text(f"  and {counted(rest, 'more item')} of {node} failed")


def _task_table(tasks: Sequence[Document]) -> Table:
    from penstock.cli.renderables import columns

    rows = [row for node, items in groupby(tasks, key=_node_of) for row in _task_rows(node, list(items))]
    return columns(rows, right=("attempts", "duration", "cpu", "memory"), wrap=("note",))


def _task_rows(node: str, tasks: list[Document]) -> Iterator[Mapping[str, Any]]:
    """A row for each task; for many items of one task a row of counts, and rows for those that failed."""
    if len(tasks) <= _ITEMS:
        yield from map(_task_row, tasks)
        return
    failed = [task for task in tasks if task.get("state") == NodeState.FAILED]
    yield _collapsed_row(node, tasks)
    yield from map(_task_row, failed[:_ITEMS])


def _task_row(task: Document) -> Mapping[str, Any]:
    from penstock.cli.renderables import Marked

    attempts = task.get("attempts") or 0
    ran = attempts > 0
    return {
        "task": str(task.get("id", "")),
        "state": Marked(_state(task), mark(_state(task)).word),
        "attempts": str(attempts) if attempts > 1 else "",
        "duration": _duration_of(task) if ran else "",
        "cpu": duration(task["cpu_s"]) if ran and task.get("cpu_s") is not None else "",
        "memory": size(task["peak_memory_bytes"]) if ran and task.get("peak_memory_bytes") else "",
        "note": _message(task) or str(task.get("reason") or ""),
    }


def _collapsed_row(node: str, tasks: list[Document]) -> Mapping[str, Any]:
    from penstock.cli.renderables import Marked

    states = {_state(task) for task in tasks}
    worst = next((state for state in _FROM_WORST if state in states), NodeState.PENDING)
    memory = max(task.get("peak_memory_bytes") or 0 for task in tasks)
    cpu = sum(task.get("cpu_s") or 0.0 for task in tasks)
    return {
        "task": f"{node}[*]",
        "state": Marked(worst, mark(worst).word),
        "attempts": "",
        "duration": duration(sum(task.get("duration_s") or 0.0 for task in tasks)),
        "cpu": duration(cpu) if cpu else "",
        "memory": size(memory) if memory else "",
        "note": f"{counted(len(tasks), 'item')}: {_counts(tasks)}",
    }


#: the state that stands for many items
_FROM_WORST = (
    NodeState.FAILED,
    NodeState.RUNNING,
    NodeState.CANCELLED,
    NodeState.UPSTREAM_FAILED,
    NodeState.WAITING,
    NodeState.PENDING,
    NodeState.SUCCEEDED,
    NodeState.CACHED,
    NodeState.SKIPPED,
)

_SAID = {NodeState.SUCCEEDED: "ran", NodeState.UPSTREAM_FAILED: "not run"}


def _counts(tasks: Iterable[Document]) -> str:
    """`8 ran, 2 cached, 1 skipped`."""
    states = Counter(_state(task) for task in tasks)
    order = [NodeState.SUCCEEDED, NodeState.CACHED, *(state for state in NodeState if state in states)]
    return ", ".join(
        f"{states[state]:,} {_SAID.get(state, state.value)}" for state in dict.fromkeys(order) if states[state]
    )


def _tasks_in_short(tasks: Sequence[Document]) -> str:
    """How many tasks, and of those that failed, else of the cached ones, how many."""
    states = Counter(_state(task) for task in tasks)
    told = next((state for state in (NodeState.FAILED, NodeState.CACHED) if states[state]), None)
    return f"{len(tasks):,}, {states[told]:,} {told}" if told else f"{len(tasks):,}" if tasks else ""


def _node_of(task: Document) -> str:
    """The node that a task of the document is, or is an item of: `fit` for `fit[3]`."""
    node = task.get("node")
    return str(node) if node else str(task.get("id", "")).partition("[")[0]


def _state(document: Document) -> str:
    return str(document.get("state", ""))


def _duration_of(document: Document) -> str:
    seconds = document.get("duration_s")
    return duration(seconds) if seconds is not None else ""


def _when(moment: object) -> str:
    """A moment in RFC 3339, in the local time of who reads it."""
    if not isinstance(moment, str):
        return ""
    try:
        return datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return moment


def _message(task: Document) -> str:
    """The first line of the error: `ValueError: bad depth`."""
    return headline(str(task.get("error") or ""))


def _values(metrics: Mapping[str, float] | None) -> list[tuple[str, str]]:
    """Metrics by name; what many items of a task logged alike is told once, with its range."""
    alike: dict[str, dict[str, float]] = {}
    for name, value in (metrics or {}).items():
        alike.setdefault(_ITEM.sub("[*].", name, 1), {})[name] = value
    return [
        (common, _range(list(values.values()))) if len(values) > 1 else (name, number(value))
        for common, values in alike.items()
        for name, value in list(values.items())[:1]
    ]


#: where the name of a metric says which item of a task it is of: `fit[3].score`
_ITEM = re.compile(r"\[[^\]]*\]\.")


def _range(values: Sequence[float]) -> str:
    """`0.6000 to 0.7100, 12 items`."""
    numbers = [value for value in values if not math.isnan(value)] or values
    least, most = number(min(numbers)), number(max(numbers))
    return f"{least if least == most else f'{least} to {most}'}, {counted(len(values), 'item')}"


def _short(value: object) -> str:
    return clip(value if isinstance(value, str) else repr(value), 200)


def described(output: Document) -> str:
    """An output in a line: the file it is in, if it has a `path`; else its value if that is known; else what it is."""
    taken = size(output["size"]) if output.get("size") is not None else ""
    if path := output.get("path"):
        return f"{nearby(path)}  ({taken})" if taken else nearby(path)
    if "value" in output:
        return _short(output["value"])
    return ", ".join(word for word in (str(output.get("type") or ""), taken) if word)


def nearby(path: str) -> str:
    """A path as people write it in the working folder."""
    place = Path(path)
    return str(place.relative_to(Path.cwd())) if place.is_relative_to(Path.cwd()) else path
