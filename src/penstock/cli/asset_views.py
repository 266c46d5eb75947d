"""Assets as people see them: in a table, in full, with their versions, checks and lineage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from penstock.cli.task_views import when
from penstock.observe.measures import counted, number, size
from penstock.observe.outline import clip

if TYPE_CHECKING:
    from rich.console import RenderableType

    from penstock.model.graph import Graph

Document = Mapping[str, Any]

#: the symbols of states, by those of tasks
_MARKS = {"fresh": "succeeded", "stale": "upstream_failed", "missing": "pending", "late": "failed", "broken": "failed"}
#: reasons of one asset, and partitions, that are shown
_REASONS, _PARTITIONS = 10, 12


def asset_table(rows: Sequence[Document]) -> RenderableType:
    """Assets in a table, by group."""
    from rich.text import Text

    from penstock.cli.renderables import columns

    if not rows:
        return Text("no assets")
    return columns([_row(row) for row in sorted(rows, key=lambda row: row["group"])], right=("version",))


def _row(row: Document) -> dict[str, Any]:
    from penstock.cli.renderables import Marked

    latest = row["latest"]
    words = [row["state"], *(["late"] if row["late"] else [])]
    failed = f"did not pass: {', '.join(row['not_passed'])}" if row["not_passed"] else ""
    note = f"may become stale: {', '.join(row['may_become_stale'][:3])}" if row["may_become_stale"] else ""
    return {
        "asset": row["name"],
        "group": row["group"],
        "state": Marked(_MARKS["late" if row["late"] or failed else row["state"]], ", ".join(words)),
        "version": "" if latest is None or row["partitions"] else str(latest["version"]),
        "made": "" if latest is None else when(latest["at"]),
        "partitions": _counts(row["partitions"]),
        "note": "; ".join(filter(None, (failed, row["trouble"], "external" if row["kind"] == "external" else note))),
    }


def _counts(counts: Document | None) -> str:
    if counts is None:
        return ""
    told = [f"{counts['materialized']:,} of {counts['total']:,}"]
    told += [f"{counts[state]:,} {state}" for state in ("failed", "running") if counts[state]]
    return ", ".join(told)


def late_table(documents: Sequence[Document]) -> RenderableType:
    """What is late, since when, and by which rule."""
    from rich.text import Text

    from penstock.cli.renderables import columns

    if not documents:
        return Text("nothing is late")
    return columns(
        [
            {
                "asset": each["name"],
                "late since": when(each["freshness"]["late_since"]) or "it was never made",
                "latest": "" if each["latest"] is None else when(each["latest"]["at"]),
                "rule": each["freshness"]["rule"],
                "owners": ", ".join(each["owners"]),
            }
            for each in documents
        ]
    )


def asset_view(document: Document) -> RenderableType:
    """An asset in full."""
    from rich.console import Group
    from rich.text import Text

    from penstock.cli.renderables import Marked, pairs, titled

    late = " and late" if document["late"] else ""
    head: list[RenderableType] = [
        Marked(_MARKS["late" if late else document["state"]], f"{document['name']} is {document['state']}{late}")
    ]
    if document["description"]:
        head.append(Text(document["description"]))
    parts: list[RenderableType] = [*head, Text(), pairs(_facts(document))]
    if document["stale"]:
        parts += titled("stale because", _reasons(document["stale"]))
    if document["checks"]:
        parts += titled("checks", check_table([_as_result(each) for each in document["checks"]]))
    if document["versions"]:
        parts += titled("versions", version_table(document["versions"]))
    if document["keys"]:
        parts += titled("partitions", _partitions(document["keys"], document["partitions"]))
    return Group(*parts)


def _facts(document: Document) -> list[tuple[str, str]]:
    inputs = [each["asset"] for each in document["inputs"]]
    freshness = document["freshness"]
    facts = {
        "group": document["group"],
        "owners": ", ".join(document["owners"]),
        "tags": ", ".join(document["tags"]),
        "defined at": document["location"] or "",
        "made from": ", ".join(inputs),
        "made into": ", ".join(document["consumers"]),
        "partitions": _counts(document["partitions"]),
        "fresh": "" if freshness is None else freshness["rule"],
        "made by itself": ", ".join(cast(Document, document["automation"] or {}).get("rules", ())),
        "may become stale": ", ".join(document["may_become_stale"]),
        "trouble": document["trouble"],
    }
    facts |= {str(name): clip(str(value), 200) for name, value in document["metadata"].items()}
    return [(name, value) for name, value in facts.items() if value]


def _reasons(reasons: Sequence[Document]) -> RenderableType:
    from rich.text import Text

    lines = [
        f"{each['partition']}: {each['text']}" if each["partition"] else each["text"] for each in reasons[:_REASONS]
    ]
    if len(reasons) > _REASONS:
        lines.append(f"and {counted(len(reasons) - _REASONS, 'more partition')}")
    return Text("\n".join(lines))


def _as_result(check: Document) -> Document:
    latest = check["latest"]
    if latest is not None:
        return cast(Document, latest)
    return {"check": check["name"], "passed": None, **{name: check[name] for name in ("severity", "blocking")}}


def _partitions(keys: Sequence[Document], counts: Document) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    from penstock.cli.renderables import columns

    shown = keys[-_PARTITIONS:]
    table = columns(
        [
            {
                "partition": each["partition"],
                "state": each["state"],
                "version": "" if each["version"] is None else str(each["version"]),
            }
            for each in shown
        ],
        right=("version",),
    )
    before = counts["total"] - len(shown)
    return Group(table, Text(f"and {counted(before, 'partition')} before")) if before > 0 else table


def why_view(document: Document) -> RenderableType:
    """Why an asset is stale, or not."""
    from rich.console import Group
    from rich.text import Text

    from penstock.cli.difference_lines import difference_lines
    from penstock.cli.renderables import Marked

    name, state = document["name"], document["state"]
    parts: list[RenderableType] = [Marked(_MARKS[state], f"{name} is {state}")]
    for each in document["reasons"][:_REASONS]:
        parts.append(Text(f"  {each['partition']}: {each['text']}" if each["partition"] else f"  {each['text']}"))
        parts += difference_lines(each.get("differences", ()), indent=4)
    if document["may_become_stale"]:
        parts.append(Text(f"  it may become stale: {', '.join(document['may_become_stale'])} will be made first"))
    if not document["reasons"] and state == "fresh":
        parts.append(Text("  its code, what it is made from and its environment are as they were"))
    if state == "missing":
        parts.append(Text(f"  it was never made: penstock assets materialize +{name}"))
    return Group(*parts)


def version_table(versions: Sequence[Document]) -> RenderableType:
    """Versions, with what was logged of them."""
    from rich.text import Text

    from penstock.cli.renderables import columns

    if not versions:
        return Text("no versions")
    return columns(
        [
            {
                "version": str(each["version"]),
                "partition": each["partition"],
                "made": when(each["at"]),
                "run": each["run_id"] or "observed",
                "made from": ", ".join(map(_short, each["upstream"])),
                "metadata": _metadata(each["metadata"]),
                "value": _value(each),
            }
            for each in versions
        ],
        right=("version",),
        wrap=("made from", "metadata"),
    )


def _short(version: Document) -> str:
    """A version of an asset in a word: `raw@3`, `sales@2026-03-01@2`."""
    return "@".join(filter(None, (version["asset"], version["partition"], str(version["version"]))))


def _metadata(metadata: Mapping[str, Any]) -> str:
    told = {
        name: number(value) if isinstance(value, (int, float)) else str(value)
        for name, value in metadata.items()
        if name != "artifacts"
    }
    return ", ".join(f"{name} {clip(value, 40)}" for name, value in told.items())


def _value(version: Document) -> str:
    """The value in a few words."""
    preview: Document = version.get("preview") or {}
    if preview.get("kind") == "frame":
        return f"{counted(preview.get('rows', 0), 'row')}"
    if preview.get("kind") == "data" and "value" in preview:
        return clip(repr(preview["value"]), 60)
    told = version.get("type") or ""
    return f"{told}, {size(version['size'])}" if told and version.get("size") is not None else told


def check_table(results: Sequence[Document]) -> RenderableType:
    """What checks have found."""
    from rich.text import Text

    from penstock.cli.renderables import Marked, columns

    if not results:
        return Text("no checks")
    words = {True: ("succeeded", "passed"), False: ("failed", "did not pass"), None: ("pending", "not yet made")}
    return columns(
        [
            {
                "check": each["check"],
                "partition": each.get("partition", ""),
                "state": Marked(*words[each["passed"]]),
                "severity": f"{each['severity']}{', blocking' if each['blocking'] else ''}",
                "at": when(each["at"]) if "at" in each else "",
                "run": each.get("run_id", ""),
                "message": clip(each.get("message", ""), 200),
            }
            for each in results
        ],
        wrap=("message",),
    )


def observation_table(found: Sequence[Document]) -> RenderableType:
    """What became of observations."""
    from rich.text import Text

    from penstock.cli.renderables import Marked, columns

    if not found:
        return Text("no external assets that can be observed")
    marks = {"new": "succeeded", "same": "cached", "nothing": "skipped", "failed": "failed"}
    return columns(
        [
            {
                "asset": each["asset"],
                "state": Marked(marks[each["state"]], each["state"]),
                "version": "" if each["version"] is None else str(each["version"]),
                "data version": clip(each["data_version"] or "", 60),
                "error": clip(each["error"] or "", 200),
            }
            for each in found
        ],
        right=("version",),
        wrap=("error",),
    )


# Lineage.


def lineage_view(document: Document) -> RenderableType:
    """What a version was made from, itself, and what was made from it, each with its run and its code."""
    from rich.console import Group
    from rich.text import Text

    from penstock.cli.renderables import columns, titled

    by_key = {_short(each): each for each in document["versions"]}
    parts: list[RenderableType] = []
    own = _short(document)
    for title, keys in (
        ("made from", [_short(each) for each in document["upstream"]]),
        (own, [own]),
        ("made into", [_short(each) for each in document["downstream"]]),
    ):
        rows = [_origin(by_key[key], key) for key in keys]
        parts += titled(title, columns(rows, wrap=("parameters",)) if rows else Text("nothing"))
    return Group(*parts[1:])


def _origin(version: Document, key: str) -> dict[str, str]:
    run, code = version["run"], version["code"]
    parameters = {} if run is None else {n: v for n, v in run["parameters"].items() if n not in ("cells", "inputs")}
    return {
        "version": key,
        "made": when(version["at"]),
        "run": version["run_id"] or "observed",
        "parameters": clip(", ".join(f"{name}={value}" for name, value in parameters.items()), 200),
        "code": "" if code is None else f"{code['function']} {code['digest'][:8]}".strip(),
        "from": ", ".join(map(_short, version["upstream"])),
    }


def lineage_page(document: Document) -> str:
    """The lineage of a version as a page that loads nothing from anywhere."""
    from penstock.cli.drawing import as_html

    return as_html(_drawn(document))


def _drawn(document: Document) -> Graph:
    """Versions as the nodes of a graph."""
    from penstock.model.action import PythonAction
    from penstock.model.expression import Output
    from penstock.model.graph import Graph, Node, Port, Task
    from penstock.model.place import Location

    known = {_short(each) for each in document["versions"]}
    tasks: dict[str, Task] = {}
    nodes: list[Node] = []
    for each in document["versions"]:
        key = _short(each)
        code: Document = each["code"] or {}
        module, _, qualname = str(code.get("function", "")).partition(":")
        place = Location(each["run_id"] or "observed", 0)
        sources = [_short(up) for up in each["upstream"] if _short(up) in known]
        action = PythonAction(module, qualname or each["asset"], place)
        ports = tuple(Port(source) for source in sources)
        tasks[key] = Task(key, action, ports, (Port("result"),), description=f"made {each['at']} by {each['run_id']}")
        nodes.append(Node(key, key, {source: Output(source) for source in sources}, place))
    return Graph(f"lineage of {_short(document)}", (), tasks, tuple(nodes))
