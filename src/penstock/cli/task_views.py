"""The tasks of a run as people see them: a table, why some failed, how often they were tried, who approved."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from penstock.model.run import NodeState
from penstock.observe.faults import headline, plain
from penstock.observe.marks import HANDLED, mark
from penstock.observe.measures import counted, duration, size

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

Document = Mapping[str, Any]

#: different failures of one task that are shown with their traceback
_TRACEBACKS = 3
#: items that are named where several failed in the same way
_NAMES = 5
#: items of one mapped task that are listed one by one
_ITEMS = 20
#: tasks whose attempts are told one by one
_HISTORIES = 10
#: the key or the number of an item, or of the turn of a loop
_BRACKETS = re.compile(r"\[[^\]]*\]")


def failures(document: Document) -> list[RenderableType]:
    """Each failed task with its traceback, behind an empty line; of a mapped one the first few items. Last what made the
    run itself fail. What the body has caught is left out."""
    parts: list[RenderableType] = []
    failed = [task for task in document.get("tasks") or () if state_of(task) == NodeState.FAILED]
    # what failed in a body says why the body did
    inner = {task.get("node", "").rpartition("/")[0] for task in failed if task.get("path")}
    bodies = inner | {frame.rpartition("[")[0] for frame in inner}
    failed = [task for task in failed if task.get("traceback") or task.get("id") not in bodies]
    for node, items in _by_node(failed).items():
        parts += _failures_of(node, items)
    return parts + list(_own_failure(document))


def _own_failure(document: Document) -> Iterator[RenderableType]:
    """What the body of the pipeline raised, or why else a run failed that no task has made fail."""
    from rich.padding import Padding
    from rich.text import Text

    from penstock.cli.renderables import Marked

    traceback = plain(document.get("traceback") or "").strip("\n")
    if traceback:
        yield Text()
        yield Marked(NodeState.FAILED, f"the body of {document.get('pipeline', 'the pipeline')} failed")
        yield Padding(Text(traceback), (0, 0, 0, 2))
    elif message := _message(document):
        yield Text()
        yield Marked(NodeState.FAILED, message)


def _failures_of(node: str, tasks: list[Document]) -> Iterator[RenderableType]:
    """Items that failed in the same way are told together."""
    from rich.padding import Padding
    from rich.text import Text

    from penstock.cli.renderables import Marked

    alike: dict[tuple[str, str], list[str]] = {}
    firsts = {str(task.get("id", "?")): task.get("first_error") for task in tasks}
    for task in tasks:
        alike.setdefault((_message(task), plain(task.get("traceback") or "")), []).append(str(task.get("id", "?")))
    for (message, traceback), names in list(alike.items())[:_TRACEBACKS]:
        listed = ", ".join(names[:_NAMES]) + (f" and {len(names) - _NAMES:,} more" if len(names) > _NAMES else "")
        # the last line of a traceback is the message
        said = f": {message}" if message and message not in traceback else ""
        if first := firsts[names[0]]:
            said = f": {headline(first)}; then its fallback failed{said}"
        yield Text()
        yield Marked(NodeState.FAILED, f"{listed} failed{said}")
        if traceback:
            yield Padding(Text(traceback.strip("\n")), (0, 0, 0, 2))
    if len(alike) > _TRACEBACKS:
        rest = sum(len(names) for names in list(alike.values())[_TRACEBACKS:])
        yield Text(f"  and {counted(rest, 'more item')} of {node} failed")


def task_table(tasks: Sequence[Document]) -> Table:
    """A row for each task, in the order given; for many items of one node, a row of counts and those that failed."""
    from penstock.cli.renderables import columns

    return columns(list(_task_rows(tasks)), right=("attempts", "duration", "cpu", "memory"), wrap=("note",))


def _task_rows(tasks: Sequence[Document]) -> Iterator[Mapping[str, Any]]:
    groups = _by_node(tasks)
    told: set[str] = set()
    for task in tasks:
        node = _node_of(task)
        if len(groups[node]) <= _ITEMS:
            yield _task_row(task)
        elif node not in told:
            told.add(node)
            failed = [each for each in groups[node] if each.get("state") == NodeState.FAILED]
            yield _collapsed_row(groups[node])
            yield from map(_task_row, failed[:_ITEMS])


def _task_row(task: Document) -> Mapping[str, Any]:
    from penstock.cli.renderables import Marked

    attempts = task.get("attempts") or 0
    ran = attempts > 0 or (task.get("duration_s") or 0.0) > 0
    return {
        "task": str(task.get("id", "")),
        "state": Marked(state_of(task), mark(state_of(task)).word),
        "attempts": _tries(attempts, task.get("lost") or 0),
        "duration": duration_of(task) if ran else "",
        "cpu": duration(task["cpu_s"]) if attempts and task.get("cpu_s") is not None else "",
        "memory": size(task["peak_memory_bytes"]) if ran and task.get("peak_memory_bytes") else "",
        "note": _note(task),
    }


def _tries(attempts: int, lost: int) -> str:
    """How often a task was tried, where that was more than once; lost workers apart."""
    return f"{attempts - lost} + {lost} lost" if lost else str(attempts) if attempts > 1 else ""


def _note(task: Document) -> str:
    """What else there is to say of a task, in a line."""
    if fallback := task.get("fallback"):
        return "failed; its fallback value is used" if fallback == "value" else f"failed; {_bare(fallback)} ran instead"
    if waits := task.get("waits_for"):
        return _WAITS.get(waits, "")
    if first := task.get("first_error"):
        return f"{headline(first)}; in its fallback: {_message(task)}"
    return _message(task) or str(task.get("reason") or "")


def _bare(key: str) -> str:
    return re.split(r"[.:]", key)[-1]


_WAITS = {"room": "waits for room", "time": "waits to be repeated", "approval": "waits for an answer"}


def _collapsed_row(tasks: list[Document]) -> Mapping[str, Any]:
    from penstock.cli.renderables import Marked

    states = {state_of(task) for task in tasks}
    worst = next((state for state in _FROM_WORST if state in states), NodeState.PENDING)
    memory = max(task.get("peak_memory_bytes") or 0 for task in tasks)
    cpu = sum(task.get("cpu_s") or 0.0 for task in tasks)
    return {
        "task": _BRACKETS.sub("[*]", str(tasks[0].get("id", ""))),
        "state": Marked(worst, mark(worst).word),
        "attempts": "",
        "duration": duration(sum(task.get("duration_s") or 0.0 for task in tasks)),
        "cpu": duration(cpu) if cpu else "",
        "memory": size(memory) if memory else "",
        "note": f"{counted(len(tasks), 'item')}: {counts(tasks)}",
    }


#: the state that stands for many items
_FROM_WORST = (
    NodeState.FAILED,
    HANDLED,
    NodeState.RUNNING,
    NodeState.CANCELLED,
    NodeState.UPSTREAM_FAILED,
    NodeState.WAITING,
    NodeState.PENDING,
    NodeState.SUCCEEDED,
    NodeState.CACHED,
    NodeState.SKIPPED,
)

_SAID: Mapping[str, str] = {
    NodeState.SUCCEEDED: "ran",
    NodeState.UPSTREAM_FAILED: "not run",
    HANDLED: mark(HANDLED).word,
}


def counts(tasks: Iterable[Document]) -> str:
    """`8 ran, 2 cached, 1 skipped`."""
    states = Counter(state_of(task) for task in tasks)
    order: list[str] = [NodeState.SUCCEEDED, NodeState.CACHED, *NodeState, HANDLED]
    return ", ".join(f"{states[state]:,} {_SAID.get(state, state)}" for state in dict.fromkeys(order) if states[state])


def _node_of(task: Document) -> str:
    """The node that a task of the document is, or is an item of: `fit` for `fit[3]`, `fold/fit` for `fold[3]/fit[rf]`."""
    path = task.get("path") or task.get("node")
    return str(path) if path else str(task.get("id", "")).partition("[")[0]


def _by_node(tasks: Iterable[Document]) -> dict[str, list[Document]]:
    found: dict[str, list[Document]] = {}
    for task in tasks:
        found.setdefault(_node_of(task), []).append(task)
    return found


def state_of(document: Document) -> str:
    """The state of a run or a task; `handled` of a failure that the body has caught."""
    return HANDLED if document.get("handled") else str(document.get("state", ""))


def duration_of(document: Document) -> str:
    seconds = document.get("duration_s")
    return duration(seconds) if seconds is not None else ""


def _message(task: Document) -> str:
    """The first line of the error: `ValueError: bad depth`."""
    return headline(str(task.get("error") or ""))


def when(moment: object, *, seconds: bool = False) -> str:
    """A moment in RFC 3339, in the local time of who reads it."""
    if not isinstance(moment, str):
        return ""
    try:
        return (
            datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M")
        )
    except ValueError:
        return moment


def history(tasks: Sequence[Document]) -> list[RenderableType]:
    """Every attempt at the tasks that were tried more than once; of many such tasks the first."""
    from rich.text import Text

    from penstock.cli.renderables import pairs, titled

    repeated = [task for task in tasks if task.get("history")]
    if not repeated:
        return []
    rows = [
        (str(task["id"]) if number == 0 else "", _attempt_line(attempt))
        for task in repeated[:_HISTORIES]
        for number, attempt in enumerate(task["history"])
    ]
    more = len(repeated) - _HISTORIES
    rest = [Text(f"  and {counted(more, 'more task')} tried more than once")] if more > 0 else []
    return [*titled("attempts", pairs(rows)), *rest]


def _attempt_line(attempt: Document) -> str:
    """`2  failed after 0.3 s, 1.0 s later: OSError: busy`."""
    word = "lost" if attempt.get("lost") else _SAID.get(attempt["state"], attempt["state"])
    waited = f", {duration(attempt['waited_s'])} later" if attempt["waited_s"] >= 0.001 else ""
    said = f": {headline(attempt['error'])}" if attempt["error"] else ""
    return f"{attempt['attempt']}  {word} {'for' if word == 'ran' else 'after'} {duration(attempt['duration_s'])}{waited}{said}"


def answers(tasks: Sequence[Document]) -> list[RenderableType]:
    """Who approved what, and when."""
    from penstock.cli.renderables import pairs, titled

    rows = [(str(task["id"]), _answer_line(task["approval"])) for task in tasks if task.get("approval")]
    return titled("approvals", pairs(rows)) if rows else []


def _answer_line(answer: Document) -> str:
    """`approved by ada, 2026-11-21 13:06: looks good (traffic = 0.1)`."""
    word = "approved" if answer["approved"] else "rejected"
    why = f": {answer['why']}" if answer["why"] else ""
    values = ", ".join(f"{name} = {value!r}" for name, value in answer["values"].items())
    return f"{word} by {answer['by']}, {when(answer['at'])}{why}{f' ({values})' if values else ''}"


__all__ = ["answers", "counts", "duration_of", "failures", "history", "state_of", "task_table", "when"]
