"""Backfills as people see them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from penstock.cli.moments import shown
from penstock.observe.measures import counted, duration
from penstock.observe.outline import clip

if TYPE_CHECKING:
    from rich.console import RenderableType

Document = Mapping[str, Any]

#: cells of the bar, and characters of a reason
_BAR, _REASON = 40, 100
#: runs that have failed, of which are told
_TOLD = 20
#: from how many stages on a plan tells of each
_STAGES = 2
#: runs above which it is worth while to make several partitions in each
_MANY = 1_000
_DONE = ("succeeded", "failed", "skipped")


def plan_view(document: Document) -> RenderableType:
    """What a backfill would consist of."""
    from rich.console import Group
    from rich.text import Text

    from penstock.cli.renderables import pairs

    what = document["pipeline"] or document["assets"]
    rows = [("runs", _runs(document))]
    if document["runs"]:
        if len(document["stages"]) < _STAGES:
            rows.append(("which", _stretch(document["first"], document["last"], document["zone"])))
        rows.append(("at once", f"at most {document['at_most']}"))
        rows.append(("takes", _takes(document)))
    rows += [("note", note) for note in document["notes"]]
    if document["assets"] and document["runs"] > _MANY:
        rows.append(("note", f"{document['runs']:,} runs, each with a start of its own: fewer with --batch 50"))
    head = [Text.assemble("backfill of ", (what, "bold")), pairs(rows)]
    return Group(*head, *_stages(document))


def _stages(document: Document) -> Iterator[RenderableType]:
    """What is made one after the other, if there is more than one."""
    from rich.text import Text

    from penstock.cli.renderables import columns

    if len(document["stages"]) < _STAGES:
        return
    rows = [
        {
            "makes": ", ".join(stage["assets"]),
            "runs": f"{stage['runs']:,}",
            "partitions": _share(stage),
            "which": _stretch(stage["first"] or "", stage["last"] or "", None),
            "made from": ", ".join(stage["made_from"]),
        }
        for stage in document["stages"]
    ]
    yield Text()
    yield columns(rows, right=("runs",), wrap=("makes", "made from"))


def _share(stage: Document) -> str:
    made, named = stage["partitions"], stage["named"]
    if made is None:
        return ""
    return f"{made:,}" if made == named else f"{made:,} of {named:,}"


def _runs(document: Document) -> str:
    runs, named, parts = document["runs"], document["named"], document["partitions"]
    if named is None or len(document["stages"]) >= _STAGES:
        return f"{runs:,}"
    of = f"{parts:,} of {named:,} partitions" if parts != named else counted(parts, "partition")
    why = "" if "all" in document["which"].split(", ") else f" ({document['which'].replace(', ', ' or ')})"
    return f"{runs:,}, over {of}{why}"


def _takes(document: Document) -> str:
    if document["expected_s"] is None:
        return "not known: there is no run to go by"
    each = "" if document["each_s"] is None else f", by {duration(document['each_s'])} a run"
    return f"about {duration(document['expected_s'])}{each}"


def backfill_table(documents: Sequence[Document]) -> RenderableType:
    """Backfills in a table, in the order given."""
    from rich.text import Text

    from penstock.cli.renderables import columns

    if not documents:
        return Text("no backfills yet; begin one: penstock backfill NAME --partitions A..B")
    rows = [
        {
            "backfill": document["backfill_id"],
            "state": document["state"],
            "of": clip(document["pipeline"] or document["assets"], 40),
            "runs": _span(document),
            "done": f"{_done(document):,} of {document['total']:,}",
            "running": _count(document, "running"),
            "failed": _count(document, "failed"),
            "begun": document["created_at"][:16].replace("T", " "),
        }
        for document in documents
    ]
    return columns(rows, right=("done", "running", "failed"), wrap=("of", "runs"))


def _count(document: Document, state: str) -> str:
    count = document["progress"][state]
    return f"{count:,}" if count else ""


def _done(document: Document) -> int:
    """Runs that have ended otherwise than by being cancelled."""
    return sum(document["progress"][state] for state in _DONE)


def _span(document: Document) -> str:
    first, last = document["request"].get("first", ""), document["request"].get("last", "")
    return clip(_stretch(first, last, document["request"].get("zone")), 60)


def _stretch(first: str, last: str, zone: str | None) -> str:
    first, last = _keyed(first, zone), _keyed(last, zone)
    return first if first == last else f"{first} to {last}"


def _keyed(key: str, zone: str | None) -> str:
    """A key as people read it; one that is a time, by the clocks of the schedule's zone."""
    return shown(datetime.fromisoformat(key).timestamp(), zone) if key and zone else key


def backfill_view(document: Document) -> RenderableType:
    """A backfill in full."""
    from rich.console import Group

    return Group(*_parts(document))


def _parts(document: Document) -> Iterator[RenderableType]:
    from rich.text import Text

    from penstock.cli.renderables import columns, pairs, titled

    name, done = document["backfill_id"], _done(document)
    yield Text.assemble((name, "bold"), f"  {document['state']}")
    filled = round(_BAR * done / max(1, document["total"]))
    yield Text.assemble(("#" * filled, "green"), ("-" * (_BAR - filled), "dim"), f"  {done:,} of {document['total']:,}")
    told = ", ".join(f"{count:,} {state}" for state, count in document["progress"].items() if count)
    rows = [
        ("of", document["pipeline"] or document["assets"]),
        ("runs", _span(document)),
        ("states", told or "none"),
        ("at once", f"at most {document['at_most']}"),
        ("begun", f"{document['created_at']} by {document['created_by'] or 'somebody'}"),
        ("ended", document["finished_at"] or ""),
        ("tags", ", ".join(document["tags"])),
        ("tried again", ", ".join(document.get("retries") or [])),
        ("go on", f"penstock backfill resume {name}" if document["state"] == "paused" else ""),
    ]
    yield pairs([row for row in rows if row[1]])
    failed: list[Document] = document.get("failures") or []
    unmade: list[Document] = document.get("unmade") or []
    for title, found in (("failed", failed), ("not made", unmade)):
        if found:
            yield from titled(title, columns(_listed(document, found), wrap=("for", "why")))
            more = len(found) - _TOLD
            yield from [Text(f"{more:,} more")] if more > 0 else []
    if (failed or unmade) and not document.get("retries"):
        yield Text(f"\nagain: penstock backfill retry {name}")


def _listed(document: Document, found: Sequence[Document]) -> list[dict[str, str]]:
    """Runs of which nothing came, with why."""
    return [
        {
            "run": each["run_id"],
            "for": _keyed(each["key"], document["request"].get("zone")),
            "why": clip(each["reason"].partition("\n")[0], _REASON),
        }
        for each in found[:_TOLD]
    ]


__all__ = ["backfill_table", "backfill_view", "plan_view"]
