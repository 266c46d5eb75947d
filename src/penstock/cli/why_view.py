"""Why the nodes of a run are as they are, as people see it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from penstock.cli.difference_lines import difference_lines
from penstock.observe.faults import plain
from penstock.observe.marks import mark
from penstock.observe.measures import duration
from penstock.observe.outline import clip
from penstock.runtime.explaining.told import MOST

if TYPE_CHECKING:
    from rich.console import RenderableType

Document = Mapping[str, Any]

#: ids in a row, and characters of a sentence in the overview
_NAMES, _WIDE = 4, 200
#: different things that are told of one node, in full and in the overview
_TOLD, _IN_SHORT = 10, 3
#: what says most of several, first
_FIRST = ("failed", "running", "waiting", "pending", "succeeded", "upstream_failed", "cancelled", "skipped", "cached")


def why_view(document: Document, *, full: bool = False) -> RenderableType:
    """An explanation: the sentence first, then what it rests on. With `full`, long diffs are not cut."""
    from rich.console import Group

    return Group(*_parts(document, full))


def _parts(document: Document, full: bool) -> Iterator[RenderableType]:
    from rich.padding import Padding
    from rich.text import Text

    from penstock.cli.renderables import Marked

    state = document["state"]
    yield Marked(state, f"{document['id']} of run {document['run_id']}: {mark(state).word}")
    yield Padding(Text(document["summary"]), (0, 0, 0, 2))
    ran: Document = document.get("ran") or {}
    failed: Document = document.get("failed") or {}
    if traceback := plain(failed.get("traceback") or "").strip("\n"):
        yield Padding(Text(traceback, style="dim"), (0, 0, 0, 4))
    yield from _attempts(failed)
    if state == "failed" and ran:
        yield Padding(Text(f"it ran because {ran['text']}"), (0, 0, 0, 2))
    yield from difference_lines(ran.get("differences") or (), indent=4, most=None if full else MOST, hint="--full")
    yield from _inside(document, full)
    yield from _others(document)
    yield from _limits(document)


def _attempts(failed: Document) -> Iterator[RenderableType]:
    from rich.text import Text

    attempts: list[Document] = failed.get("attempts") or []
    if len(attempts) > 1:
        for each in attempts:
            took = duration(each["duration_s"])
            yield Text(f"    attempt {each['attempt']}: {each['state']} after {took}  {each['error'] or ''}".rstrip())
    if said := failed.get("not_repeated"):
        yield Text(f"  not tried again: {said}")


def _inside(document: Document, full: bool) -> Iterator[RenderableType]:
    """Why the items, or the nodes inside, are as they are."""
    from rich.text import Text

    inside: Sequence[Document] = document.get("inside") or ()
    told = [each for each in inside if each["text"]]
    for each in told[:_TOLD]:
        yield Text(f"    {_which(each['which'])}: {_told(each)}")
        ran: Document = each.get("ran") or {}
        differences: Sequence[Document] = ran.get("differences") or ()
        if len(each["which"]) > 1 and any(difference["kind"] == "input" for difference in differences):
            yield Text(f"      as in {each['which'][0]}:", style="dim")
        yield from difference_lines(differences, indent=6, most=None if full else MOST, hint="--full")
    if len(told) > _TOLD:
        rest = sum(len(each["which"]) for each in told[_TOLD:])
        yield Text(f"    and {rest:,} more for other reasons (--json has all)", style="dim")
    cached = sum(len(each["which"]) for each in inside if each["state"] == "cached")
    if cached and told:
        yield Text(f"    {cached:,} taken from the cache", style="dim")


def _told(each: Document) -> str:
    return f"{'ran because ' if each.get('ran') else ''}{clip(each['text'], _WIDE)}"


def _which(names: Sequence[str]) -> str:
    more = len(names) - _NAMES
    return ", ".join(names[:_NAMES]) + (f" and {more:,} more" if more > 0 else "")


def _others(document: Document) -> Iterator[RenderableType]:
    from rich.text import Text

    waits: Sequence[Document] = document.get("waits_for") or ()
    for number, each in enumerate(waits):
        if number or each["text"] != document["summary"]:
            yield Text(f"  {each['text']}")
        if each.get("remedy"):
            yield Text(f"    {each['remedy']}", style="green")
    if waits:
        return
    told = {name for each in document.get("inside") or () for name in each["which"]}
    upstream: Sequence[Document] = [each for each in document.get("upstream") or () if each["id"] not in told]
    for each in upstream:
        error = f": {each['error']}" if each.get("error") else ""
        yield Text(f"    {each['id']} {mark(each['state']).word}{error}")


def _limits(document: Document) -> Iterator[RenderableType]:
    from rich.text import Text

    limits: Sequence[str] = document.get("limits") or ()
    if limits:
        yield Text()
        yield Text("changes of this go unnoticed, since it cannot be seen in the code:", style="dim")
        yield from (Text(f"  {limit}", style="dim") for limit in limits)


# A whole run.


def run_why_view(document: Document) -> RenderableType:
    """Why all nodes of a run are as they are: a line for each, and one for each thing there is to say of it."""
    from rich.console import Group

    return Group(*_lines(document))


def _lines(document: Document) -> Iterator[RenderableType]:
    from rich.text import Text

    from penstock.cli.renderables import Marked

    tasks: Mapping[str, Sequence[Document]] = document["tasks"]
    ran = [each["ran"] for told in tasks.values() for each in told if each["ran"]]
    compared = {reason["run_id"] for reason in ran if reason.get("run_id")}
    head = Text.assemble((str(document["pipeline"]), "bold"), f"  {document['run_id']}: {document['state']}")
    yield head
    if document.get("cause"):
        yield Text(f"started by {document['cause']}")
    since = ""
    if len(compared) == 1:
        since = f" since run {next(iter(compared))}"
        yield Text(f"compared with run {next(iter(compared))}", style="dim")
    yield Text()
    column = min(max(map(len, tasks), default=0), 40)
    for path, told in tasks.items():
        state = _state(told)
        alone = len(told) == 1
        detail = _said(told[0], since) if alone else _counts(told)
        yield Marked(state, f"{path:<{column}}", plain=f"  {detail}")
        if not alone:
            yield from _reasons(told, since)


def _state(told: Sequence[Document]) -> str:
    states = {each["state"] for each in told}
    return next((state for state in _FIRST if state in states), "pending")


def _counts(told: Sequence[Document]) -> str:
    counts = Counter[str]()
    for each in told:
        counts[each["state"]] += len(each["which"])
    return ", ".join(f"{counts[state]:,} {_verb(state)}" for state in _FIRST if counts[state])


def _verb(state: str) -> str:
    return "ran" if state == "succeeded" else mark(state).word


def _said(each: Document, since: str) -> str:
    """What there is to say of one, or of many of which it is the same."""
    count = len(each["which"])
    state = f"{count:,} {_verb(each['state'])}" if count > 1 else _verb(each["state"])
    text = _short(each, since)
    return f"{state}: {text}" if text else state


def _short(each: Document, since: str) -> str:
    text = str(each["text"])
    ran: Document = each.get("ran") or {}
    if ran.get("cause") == "first":
        return "never ran before"
    return clip(text.removesuffix(since) if since else text, _WIDE)


def _reasons(told: Sequence[Document], since: str) -> Iterator[RenderableType]:
    from rich.text import Text

    said = [each for each in told if each["text"]]
    for each in said[:_IN_SHORT]:
        yield Text(f"    {_which(each['which'])}: {_short(each, since)}", style="dim")
    if len(said) > _IN_SHORT:
        rest = sum(len(each["which"]) for each in said[_IN_SHORT:])
        yield Text(f"    and {rest:,} more for other reasons", style="dim")


__all__ = ["run_why_view", "why_view"]
