"""Triggers, their coming times and what they have started, as people see them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from penstock.cli.moments import away, shown
from penstock.observe.outline import clip

if TYPE_CHECKING:
    from rich.console import RenderableType

Document = Mapping[str, Any]

#: characters of a sentence in a table
_WIDE = 60
#: and where a table has many columns
_NARROW = 36


def trigger_table(documents: Sequence[Document], now: float) -> RenderableType:
    """Triggers in a table, in the order given."""
    from rich.text import Text

    from penstock.cli.renderables import columns

    if not documents:
        return Text("no triggers yet; make some known: penstock register FILE")
    rows = [
        {
            "trigger": document["name"],
            "starts": _starts(document),
            "when": clip(document["when"], _NARROW),
            "last fired": _ago(document["fired_at"], now),
            "its run": "" if document["last"] is None else _state(document["last"]),
            "next": shown(_seconds(document["next_at"]), document["zone"]) if document["enabled"] else "off",
            "note": clip(document["note"], _NARROW),
        }
        for document in documents
    ]
    return columns(rows, wrap=("when", "note"))


def trigger_view(document: Document, now: float) -> RenderableType:
    """A trigger in full."""
    from rich.console import Group

    return Group(*_parts(document, now))


def _parts(document: Document, now: float) -> Iterator[RenderableType]:
    from rich.text import Text

    from penstock.cli.renderables import pairs, titled

    zone = document["zone"]
    yield Text.assemble((document["name"], "bold"), f"  {'on' if document['enabled'] else 'off'}")
    if document["description"]:
        yield Text(document["description"].partition("\n")[0])
    limits: Document = document["limits"]
    facts = {
        "starts": _starts(document),
        "when": document["when"],
        "last fired": _moment(document["fired_at"], zone, now),
        "its run": _last(document["last"]),
        "next": _moment(document["next_at"], zone, now),
        "at most": ""
        if limits["at_most"] is None
        else f"{limits['at_most']} at once, further ones: {limits['overlap']}",
        "after success": "a run starts once the one before has succeeded" if limits["after_success"] else "",
        "condition": f"{document['condition']}()" if document["condition"] else "",
        "missed": limits["missed"] if document["kind"] == "schedule" else "",
        "version": str(document["version"]),
        "at": document["location"],
    }
    yield pairs((name, value) for name, value in facts.items() if value)
    if document["parameters"]:
        yield from titled("parameters", pairs((name, str(value)) for name, value in document["parameters"].items()))
    if document["reasons"]:
        yield from titled("why", pairs((each, "") for each in document["reasons"]))
    if document["firings"]:
        yield from titled("firings", firing_table(document["firings"], several=False))


def firing_table(documents: Sequence[Document], *, several: bool) -> RenderableType:
    """Firings in a table; of `several` triggers, with their names."""
    from rich.text import Text

    from penstock.cli.renderables import columns

    if not documents:
        return Text("nothing has fired")
    rows = [
        {
            "run": document["run_id"],
            **({"trigger": document["trigger"]} if several else {}),
            "for": clip(document["key"], _WIDE),
            "state": _state(document),
            "fired": shown(_seconds(document["created_at"])),
            "reason": clip(document["reason"], _WIDE),
        }
        for document in documents
    ]
    return columns(rows, wrap=("for", "reason"))


def times_table(documents: Sequence[Document], now: float, *, several: bool) -> RenderableType:
    """Coming times in a table, with the data interval of each."""
    from rich.text import Text

    from penstock.cli.renderables import columns

    if not documents:
        return Text("there are no coming times")
    rows = [
        {
            **({"trigger": document["trigger"]} if several else {}),
            "at": shown(_seconds(document["at"]), document["zone"]),
            "from now": away(_seconds(document["at"]) or 0.0, now),
            "carried out": shown(_seconds(document["due"]), document["zone"])
            if document["due"] != document["at"]
            else "",
            "UTC": shown(_seconds(document["at"])) if document["zone"] != "UTC" else "",
            "data from": shown(_seconds(document["interval"][0]), document["zone"]),
        }
        for document in documents
    ]
    return columns(rows)


def proposals_view(document: Document) -> RenderableType:
    """What a trigger would start."""
    from rich.console import Group

    return Group(*_proposals(document))


def _proposals(document: Document) -> Iterator[RenderableType]:
    from rich.text import Text

    from penstock.cli.renderables import pairs, titled

    runs: Sequence[Document] = document["runs"]
    if not document["enabled"]:
        yield Text(f"{document['trigger']} is switched off; were it on:", style="yellow")
    if document["fault"]:
        yield Text(f"{document['trigger']} failed when it was asked: {document['fault']}", style="red")
    elif not runs:
        yield Text(f"{document['trigger']} would start nothing: {document['why']}")
    for run in runs:
        what = run["pipeline"] or f"the assets {run['assets']}"
        yield Text.assemble(f"{document['trigger']} would start ", (what, "bold"), f" for {run['key']}")
        if run["fault"]:
            yield Text(f"  but no run could be made of it: {run['fault']}", style="red")
        elif run["refused"]:
            yield Text(f"  but its condition does not let it: {run['refused']}", style="yellow")
        cause: Document = run["cause"]
        about = {"about": cause["logical_time"] or "", "partition": ", ".join(cause["partitions"])}
        facts = {**about, "tags": ", ".join(run["tags"])}
        if any(facts.values()):
            yield pairs((f"  {name}", value) for name, value in facts.items() if value)
        if run["parameters"]:
            yield from titled("parameters", pairs((name, repr(value)) for name, value in run["parameters"].items()))


def _starts(document: Document) -> str:
    return document["pipeline"] or f"assets {document['assets']}"


def _last(firing: Document | None) -> str:
    return "" if firing is None else f"{firing['run_id']} {_state(firing)}"


def _state(firing: Document) -> str:
    return firing["run_state"] or firing["state"]


def _seconds(text: str | None) -> float | None:
    return None if text is None else datetime.fromisoformat(text).timestamp()


def _ago(text: str | None, now: float) -> str:
    seconds = _seconds(text)
    return "" if seconds is None else away(seconds, now)


def _moment(text: str | None, zone: str, now: float) -> str:
    seconds = _seconds(text)
    return "" if seconds is None else f"{shown(seconds, zone)}, {away(seconds, now)}"


__all__ = ["firing_table", "proposals_view", "times_table", "trigger_table", "trigger_view"]
