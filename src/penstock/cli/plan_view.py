"""A plan as people see it: a line for each node, why what would run would run, and what it comes to."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from penstock.cli.difference_lines import difference_lines
from penstock.cli.renewal_view import apart
from penstock.observe.measures import counted, size
from penstock.observe.outline import clip
from penstock.runtime.planning.plan import WORDS, in_words

if TYPE_CHECKING:
    from rich.console import RenderableType

Document = Mapping[str, Any]

#: the key or the number of an item, or of the turn of a loop
_BRACKETS = re.compile(r"\[[^\]]*\]")
#: nodes in a row that are told one by one: cached ones, and others of one task in one state
_CACHED, _ALIKE = 3, 6
#: different reasons of one node, names in a row, and lines of a diff that are shown
_REASONS, _NAMES, _LINES = 4, 5, 12
#: what says most of several, first
_FIRST = (
    *("would_run", "asks", "waits", "opaque", "unknown", "would_fail", "upstream_failed", "cancelled"),
    *("cached", "skipped"),
)

_WORDS: Mapping[Any, str] = WORDS
_SINGLE = {"asks": "asks", "would_fail": "would fail", "empty": "nothing to do"}


class _Row:
    """A node, the instances of a node of a body, or several nodes alike, taken together."""

    def __init__(self, tasks: Sequence[Document], name: str = "") -> None:
        self.first = tasks[0]
        self.tasks = tasks
        own = str(self.first["id"])
        self.name = name or (own if len(tasks) == 1 else _BRACKETS.sub("[*]", own))
        self.counts = Counter[str]()
        for task in tasks:
            items = task.get("items")
            self.counts.update(
                {state: items[state] for state in _FIRST if state in items} if items else {task["state"]: 1}
            )
        states = {task["state"] for task in tasks}
        self.state = next((state for state in _FIRST if state in states), str(self.first["state"]))

    @property
    def detail(self) -> str:
        """What stands behind the name."""
        told = self._single() if sum(self.counts.values()) == 1 and not self.first.get("items") else self._several()
        return f"{told}{self._takes()}{self._waits()}"

    def _single(self) -> str:
        note = str(self.first.get("note") or "")
        word = _SINGLE.get(self.state) or str(_WORDS[self.state])
        return f"{word}: {clip(note, 200)}" if note and self.state != "waits" else word

    def _several(self) -> str:
        more = any(task.get("items") and task["items"]["more"] for task in self.tasks)
        note = next((task["note"] for task in self.tasks if task.get("note")), "") if self.state == "would_fail" else ""
        told = in_words(self.counts, nothing="") + (", perhaps more" if more else "")
        return f"{told}: {clip(note, 200)}" if note else told

    def _takes(self) -> str:
        if self.state != "would_run":
            return ""
        seconds = [task["expected_s"] for task in self.tasks if task["expected_s"] is not None]
        memory = [task["expected_memory"] for task in self.tasks if task["expected_memory"]]
        told = [*([about(sum(seconds))] if seconds else []), *([size(max(memory))] if memory else [])]
        return f" ({', '.join(told)})" if told else ""

    def _waits(self) -> str:
        names = dict.fromkeys(
            _BRACKETS.sub("[*]", name) if "/" in name else name for t in self.tasks for name in t["waits_for"]
        )
        return f": waits for {_some(list(names))}" if names else ""

    def reasons(self) -> list[tuple[Document, list[str]]]:
        """Why those that would run would run, with their ids; what holds for most first."""
        alike: dict[Any, tuple[Document, list[str]]] = {}
        for task in self.tasks:
            for reason, ids in _told_of(task):
                _, names = alike.setdefault(_kind(reason), (reason, []))
                names += ids
        return sorted(alike.values(), key=lambda each: -len(each[1]))


def _told_of(task: Document) -> list[tuple[Document, list[str]]]:
    """The reasons of one node, with the ids that they hold for."""
    if "reasons" in task:
        return [(each["reason"], each["which"]) for each in task["reasons"]]
    return [(task["reason"], [task["id"]])] if task["reason"] else []


def plan_view(document: Document) -> RenderableType:
    """A plan, from its document."""
    from rich.console import Group
    from rich.text import Text

    nodes: dict[str, list[Document]] = {}
    for task in document["tasks"]:
        nodes.setdefault(task.get("path") or task["id"], []).append(task)
    rows = list(_folded([_Row(tasks) for tasks in nodes.values()]))
    anew = f", generation {document['generation']}" if document.get("generation") else ""
    head = Text.assemble((str(document["pipeline"]), "bold"), f"{_given(document['parameters'])}{anew}")
    column = max((len(row.name) for row in rows), default=0)
    told = [*_unknown(document), *(apart(document) if anew else ())]
    return Group(
        head,
        Text(),
        *_lines(rows, min(column, 40)),
        *told,
        Text(),
        _summary(document),
        *without_effect(document.get("ignored", ())),
    )


def without_effect(ignored: Sequence[Document]) -> Iterator[RenderableType]:
    """What the file says, where it is written for another system, and what has no effect."""
    from rich.text import Text

    if ignored:
        yield Text()
        yield Text("without effect here:", style="bold")
    for each in ignored:
        yield Text.assemble(f"  {each['what']}  ", (f"{each['where']}{each['why'] and ': '}{each['why']}", "dim"))


def _given(parameters: Document) -> str:
    """What a pipeline is given; of one that makes assets, what was selected."""
    if parameters.keys() >= {"cells", "inputs", "selection"}:
        return f"  {clip(parameters['selection'], 100)}: {counted(len(parameters['cells']), 'asset')}"
    return f"({', '.join(f'{name}={clip(repr(value), 40)}' for name, value in parameters.items())})"


def _folded(rows: Sequence[_Row]) -> Iterator[_Row]:
    """The same rows; many alike that follow one another become one."""
    for (state, _), group in itertools.groupby(rows, key=_alike):
        alike = list(group)
        if len(alike) <= (_CACHED if state == "cached" else _ALIKE):
            yield from alike
        else:
            tasks = [task for row in alike for task in row.tasks]
            # what is in a body counts in its place
            yield _Row(
                [task for task in tasks if not task.get("body")] or tasks, f"{alike[0].name} ... {alike[-1].name}"
            )


def _alike(row: _Row) -> tuple[str, str]:
    return row.state, "" if row.state == "cached" else str(row.first["task"])


def _lines(rows: Sequence[_Row], column: int) -> Iterator[RenderableType]:
    shown: set[Any] = set()
    for row in rows:
        yield _line(row.state, row.name, row.detail, column)
        yield from _reasons(row, shown)


def _line(state: str, name: str, detail: str, column: int) -> RenderableType:
    from penstock.cli.renderables import Marked

    return Marked(state, f"{name:<{column}}", plain=f"  {detail}")


def _reasons(row: _Row, shown: set[Any]) -> Iterator[RenderableType]:
    """Why a row would run. What is in `shown` was told in full before."""
    from rich.text import Text

    reasons = row.reasons()
    several = bool(row.first.get("items")) or len(row.tasks) > 1
    for reason, names in reasons[:_REASONS]:
        yield Text(f"    {_told(reason, names, several=several)}", style="dim")
        differences: Sequence[Document] = reason.get("differences", ())
        if _kind(reason) not in shown:
            shown.add(_kind(reason))
            if len(names) > 1 and any(each["kind"] == "input" for each in differences):
                yield Text(f"      as in {names[0]}:", style="dim")
            yield from difference_lines(differences, indent=6, most=_LINES)
    if len(reasons) > _REASONS:
        rest = sum(len(names) for _, names in reasons[_REASONS:])
        yield Text(f"    and {rest:,} more for other reasons", style="dim")
    for limit in dict.fromkeys(limit for task in row.tasks for limit in task.get("limits", ())):
        if limit not in shown:
            shown.add(limit)
            yield Text(f"    note: {limit}", style="dim")


def _told(reason: Document, names: Sequence[str], *, several: bool) -> str:
    text = "it never ran before" if reason["cause"] == "first" else str(reason["text"])
    if not several:
        return text
    if reason["cause"] == "first":
        text = "never ran before"
    return f"{_named(names)}: {text}" if len(names) <= _NAMES else f"{len(names):,} of them: {text}"


def _unknown(document: Document) -> Iterator[RenderableType]:
    """What cannot be told yet of a pipeline whose nodes appear while it runs, and what its body raises."""
    from rich.text import Text

    from penstock.cli.renderables import Marked

    if document.get("error"):
        yield Marked("would_fail", f"the body of {document['pipeline']} fails: {document['error']}")
    if document.get("dynamic_at"):
        waits = _some(document["waits_for"]) or "what comes before"
        yield Text(
            f"? what follows {document['dynamic_at']} is not yet known: the value of {waits} is used there", "dim"
        )


def _summary(document: Document) -> RenderableType:
    from rich.text import Text

    summary = document["summary"]
    counts = {state: summary[state] for state in WORDS if summary.get(state)}
    told = in_words(counts)
    times = [about(summary["expected_s"])] if summary.get("expected_s") is not None else []
    if times and summary["unmeasured"]:
        times.append(f"without {summary['unmeasured']:,} that never ran before")
    first, *rest = told.split(", ")
    if document.get("kept"):
        rest.append(f"{len(document['kept']):,} of the cached kept from an earlier generation")
    return Text(", ".join([f"{first} ({', '.join(times)})" if times else first, *rest]))


def about(seconds: float) -> str:
    """`about 2 min`: as much as an expectation is worth."""
    if seconds < 1:
        return "less than 1 s"
    if seconds < 59.5:
        return f"about {seconds:.0f} s"
    if seconds < 3570:
        return f"about {seconds / 60:.0f} min"
    return f"about {seconds / 3600:.1f} h"


def _named(names: Sequence[str]) -> str:
    more = len(names) - _NAMES
    return ", ".join(names[:_NAMES]) + (f" and {more:,} more" if more > 0 else "")


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMES]) + (" and others" if len(names) > _NAMES else "")


def _kind(reason: Document) -> Any:
    differences = reason.get("differences", ())
    return reason["cause"], tuple(
        (each["kind"], each["name"], each.get("change"), each.get("where")) for each in differences
    )


__all__ = ["about", "plan_view", "without_effect"]
