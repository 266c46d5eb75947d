"""The commands about partitions of assets, and about why an asset is made by itself, or is not."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from penstock.cli.assets import assets, files_option, opened
from penstock.cli.reporting import json_option, print_json, show
from penstock.errors import DefinitionError, NotFoundError
from penstock.model.firing import AUTOMATING
from penstock.model.run import timestamp

if TYPE_CHECKING:
    from penstock.model.partition import DynamicPartitions
    from penstock.services import Services

STATES = ("missing", "running", "materialized", "failed")


@assets.command(
    epilog="""\b
Examples:
  penstock assets partitions sales                    how many are in which state
  penstock assets partitions sales --state failed     which ones have failed
  penstock assets partitions sales --keys A..B --json
  penstock assets partitions customers --add acme --add globex
  penstock assets partitions customers --remove acme"""
)
@click.argument("name")
@click.option("--state", type=click.Choice(STATES), default=None, help="List those in a state.")
@click.option("--keys", multiple=True, metavar="KEY", help="List these: a key, A..B, latest, stale...; repeatable.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="List the last so many.")
@click.option("--add", multiple=True, metavar="KEY", help="Add a key to dynamic partitions; repeatable.")
@click.option("--remove", multiple=True, metavar="KEY", help="Take a key out of dynamic partitions; repeatable.")
@files_option
@json_option
def partitions(
    name: str,
    state: str | None,
    keys: tuple[str, ...],
    limit: int,
    add: tuple[str, ...],
    remove: tuple[str, ...],
    files: tuple[str, ...],
    as_json: bool,
) -> None:
    """Count the partitions of an asset by their states, list them, add and remove dynamic ones.

    What was made of a partition that is removed stays recorded.
    """
    from penstock.app.asset_documents import counts

    with opened(files) as project:
        of = project.assets.graph[name].partitions
        if of is None:
            raise DefinitionError(f"{name} has no partitions", where=str(project.assets.graph[name].location))
        if add or remove:
            changed = _changed(project.services, _dynamic(name, of), add, remove)
            print_json(changed) if as_json else click.echo(_told(changed))
            return
        known = project.states.states(name)
        document: dict[str, Any] = {"asset": name, **counts(project.states, name)}
        if state or keys:
            meant = project.states.chosen(keys or ("all",))(name)
            found = [(key, known.get(key, "missing")) for key in meant]
            rows = [{"partition": key, "state": str(each)} for key, each in found if state in (None, each)]
            document["keys"] = rows[-limit:]
            document["left_off"] = max(0, len(rows) - limit)
    print_json(document) if as_json else _show(document)


def _show(document: dict[str, Any]) -> None:
    from rich.console import Group
    from rich.text import Text

    from penstock.cli.renderables import columns

    told = ", ".join(f"{document[state]:,} {state}" for state in STATES if document[state])
    parts: list[Any] = [Text(f"{document['asset']}: {document['total']:,} partitions" + (f": {told}" if told else ""))]
    if document.get("keys"):
        parts += [Text(), columns(document["keys"])]
    if document.get("left_off"):
        parts.append(Text(f"and {document['left_off']:,} before them: --limit"))
    show(Group(*parts))


def _dynamic(name: str, of: Any) -> DynamicPartitions:
    from penstock.model.partition import DynamicPartitions, ManyDimensions

    if isinstance(of, ManyDimensions):
        found = [each for each in of.dimensions.values() if isinstance(each, DynamicPartitions)]
        of = found[0] if len(found) == 1 else of
    if not isinstance(of, DynamicPartitions):
        raise DefinitionError(
            f"the partitions of {name} are what its code says", remedy='Those of dynamic("...") are added and removed.'
        )
    return of


def _changed(
    services: Services, of: DynamicPartitions, add: tuple[str, ...], remove: tuple[str, ...]
) -> dict[str, Any]:
    from penstock.runtime.reading.nearest import nearest
    from penstock.triggers.partitions import check_key

    for key in add:
        # assets with several dimensions may share them
        check_key(key, dimension=True)
    with services.store() as store:
        known = set(store.catalog.dynamic_partitions(of.name))
        absent = [key for key in remove if key not in known]
        if absent:
            near = nearest(absent[0], known)
            raise NotFoundError(
                f"{of.name} has no partition {absent[0]!r}; nothing was changed",
                remedy=f"Did you mean {' or '.join(near)}?" if near else f"There are {len(known):,}.",
            )
        added = store.catalog.add_partitions(of.name, add)
        removed = store.catalog.remove_partitions(of.name, remove)
        return {
            "name": of.name,
            "added": added,
            "removed": removed,
            "total": len(store.catalog.dynamic_partitions(of.name)),
        }


def _told(changed: dict[str, Any]) -> str:
    what = [f"{len(changed[each])} {each}" for each in ("added", "removed") if changed[each]]
    return f"{changed['name']}: {', '.join(what) or 'nothing to change'}; {changed['total']:,} in all"


@assets.command(
    epilog="""\b
Examples:
  penstock assets automation features
  penstock assets automation features --json"""
)
@click.argument("name")
@files_option
@json_option
def automation(name: str, files: tuple[str, ...], as_json: bool) -> None:
    """Say when an asset is made by itself, what was decided the last time, and why."""
    with opened(files) as project:
        rule = project.assets.graph[name].automation
        if rule is None:
            raise DefinitionError(
                f"{name} is not made by itself",
                where=str(project.assets.graph[name].location),
                remedy="Say when: @asset(automation=eager()).",
            )
        known = [] if project.store is None else project.store.agenda.standings([f"{AUTOMATING}{name}"])
    cursor: dict[str, Any] = (known[0].cursor or {}) if known else {}
    document = {
        "asset": name,
        "rules": list(rule.rules),
        "decided_at": timestamp(known[0].looked_at) if known and known[0].looked_at else None,
        "started_at": timestamp(known[0].fired_at) if known and known[0].fired_at else None,
        "next_at": timestamp(known[0].next_at) if known and known[0].next_at else None,
        "decisions": [
            {"partition": partition, "made": made, "reason": reason}
            for partition, made, reason in cursor.get("said", [])
        ],
    }
    print_json(document) if as_json else _show_automation(document)


_WORDS = {
    "eager": "when something that it is made from has a new version",
    "ready": "when all that it is made from has a new version",
    "missing": "when it was never made",
    "schedule": "at the times of its schedule",
    "code": "when its code has changed",
}


def _show_automation(document: dict[str, Any]) -> None:
    from rich.console import Group
    from rich.text import Text

    from penstock.cli.moments import away
    from penstock.cli.renderables import columns, pairs, titled

    rows = [("made", "; ".join(_WORDS[each] for each in document["rules"]))]
    for name, field in (("decided", "decided_at"), ("started", "started_at"), ("next", "next_at")):
        if document[field]:
            from datetime import datetime

            at = datetime.fromisoformat(document[field]).timestamp()
            rows.append((name, f"{document[field]}, {away(at, time.time())}"))
    parts: list[Any] = [Text(document["asset"], style="bold"), pairs(rows)]
    if document["decisions"]:
        listed = [
            {"partition": each["partition"], "": "made" if each["made"] else "not made", "since": each["reason"]}
            for each in document["decisions"]
        ]
        parts += titled("the last decision", columns(listed, wrap=("since",)))
    else:
        parts.append(Text("nothing was decided yet: penstock up decides, about what is registered"))
    show(Group(*parts))


__all__ = ["assets", "automation", "partitions"]
