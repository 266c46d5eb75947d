"""The commands about what is kept: tags of runs, and the removal of what nothing needs any more."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from penstock.cli.named_runs import run_named
from penstock.cli.reporting import json_option, print_json, show

if TYPE_CHECKING:
    from rich.console import RenderableType

    from penstock.runtime.collecting.collection import Collected
    from penstock.runtime.collecting.retention import Retention
    from penstock.runtime.surroundings.project import Project


def _age(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    """A length of time, in seconds."""
    from penstock.runtime.collecting.retention import age

    try:
        return None if value is None else age(value)
    except ValueError as error:
        raise click.BadParameter(f"{error}: write 30d, 12h or 90min.", context, parameter) from None


@click.command(
    epilog="""\b
Examples:
  penstock gc --dry-run                    what would go, and how much space it takes
  penstock gc --keep 20                    all runs but the last 20 of each pipeline
  penstock gc --older-than 30d --keep 5    runs of more than 30 days ago, but not the last 5 of a pipeline
  penstock gc --yes --json                 in a job that runs every night

\b
What is not said here comes from [tool.penstock.gc] in the settings. If neither says which runs to keep, they are the last
100 of each pipeline and those of the last 30 days."""
)
@click.option("--keep", type=click.IntRange(0), default=None, metavar="COUNT", help="Keep the last runs of a pipeline.")
@click.option("--older-than", callback=_age, default=None, metavar="AGE", help="Keep runs that are not older.")
@click.option("--keep-tag", "keep_tags", multiple=True, metavar="TAG", help="Keep runs with the tag; repeatable.")
@click.option(
    "--cache-older-than",
    callback=_age,
    default=None,
    metavar="AGE",
    help="Keep results in the cache that are not older, or were used since; default: 30d.",
)
@click.option(
    "--no-cache-of-removed", is_flag=True, help="Remove results from the cache when the run goes they are of."
)
@click.option(
    "--compact-older-than",
    callback=_age,
    default=None,
    metavar="AGE",
    help="Make the journals of runs smaller that ended longer ago, without loss; default: 1d.",
)
@click.option(
    "--keep-versions", type=click.IntRange(1), default=None, metavar="COUNT", help="Keep the last versions of an asset."
)
@click.option(
    "--versions-older-than",
    callback=_age,
    default=None,
    metavar="AGE",
    help="Keep versions of assets that are not older; default: 30d.",
)
@click.option(
    "--events-older-than",
    callback=_age,
    default=None,
    metavar="AGE",
    help="Keep events, and firings of triggers, that are not older; default: 30d.",
)
@click.option(
    "--grace", callback=_age, default=None, metavar="AGE", help="Keep what was written or used so lately; default: 1h."
)
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@json_option
def gc(dry_run: bool, yes: bool, as_json: bool, no_cache_of_removed: bool, **flags: Any) -> None:
    """Remove old runs, and all that nothing needs then: results, files, environments. Compress the journals of others.

    Runs that are under way or paused stay, and so do those with the tag `pinned`. It can go on beside running pipelines.
    """
    from penstock.app import Services
    from penstock.runtime.collecting.collection import Collected

    services = Services()
    given = {name: value for name, value in flags.items() if value is not None and value != ()}
    kept = _retention(services.project, {**given, **({"cache_of_removed": False} if no_cache_of_removed else {})})
    collected = Collected(dry_run)
    if services.has_store:
        with services.store() as store:
            collector = services.collector(store)
            asks = not (dry_run or yes) and _on_terminal()
            collected = collector.collect(kept, dry=dry_run or asks)
            if asks and _agreed(collected):
                # found out anew, for somebody may have taken their time to answer
                collected = collector.collect(kept)
    if as_json:
        print_json(_document(collected))
    elif collected.dry and not dry_run:
        click.echo("nothing was removed", err=True)
    else:
        show(_view(collected))


def _retention(project: Project, given: dict[str, Any]) -> Retention:
    from penstock.runtime.collecting.retention import retention

    return retention({**project.settings.get("gc", {}), **given})


def _on_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def _agreed(collected: Collected) -> bool:
    """Whether what would go may go."""
    if collected.loses_nothing:
        return True
    show(_view(collected), sys.stderr)
    return click.confirm("Remove all this? It cannot be undone.", err=True)


#: kind -> what it is called
_KINDS = {
    "runs": "runs",
    "results": "results in the cache",
    "versions": "versions of assets",
    "events": "events",
    "firings": "firings of triggers",
    "blobs": "stored values",
    "files": "files laid out",
    "environments": "environments",
    "hashes": "hashes of files",
    "unfinished": "left by dead processes",
    "journals": "journals made smaller",
}


def _view(collected: Collected) -> RenderableType:
    """What goes, for people."""
    from rich.console import Group
    from rich.text import Text

    from penstock.cli.renderables import columns, titled
    from penstock.observe.measures import size

    stays = [Text(line) for line in _staying(collected)]
    if collected.beside is not None:
        stays += [Text(line) for line in _held_back(collected.beside, collected.unheard)]
    if collected.empty:
        return Group(Text("nothing to remove"), *stays)
    kinds = [
        {"": _KINDS[name], "count": f"{kind.count:,}", "size": size(kind.size) if kind.size else ""}
        for name, kind in collected.kinds.items()
        if kind.count
    ]
    parts = titled("would be removed" if collected.dry else "removed", columns(kinds, right=("count", "size")))[1:]
    if collected.largest:
        largest = [{"size": size(thing.size), "largest": f"{thing.name}"} for thing in collected.largest]
        parts += [Text(), *titled("the largest", columns(largest, right=("size",), wrap=("largest",)))[1:]]
    freed = "would be freed" if collected.dry else "freed"
    return Group(*parts, Text(), Text(f"{size(collected.size)} {freed}", style="bold"), *stays)


def _held_back(run_id: str, unheard: float | None) -> Iterator[str]:
    """That a run under way keeps things from being removed."""
    from penstock.observe.measures import duration

    yield f"run {run_id} is under way: all that was used since it began stays"
    if unheard is not None:
        yield f"  the process that drives it was not heard of for {duration(unheard)}; if it is gone, end the run, or go on:"
        yield f"  penstock cancel {run_id}, or penstock resume {run_id}"


def _staying(collected: Collected) -> Iterator[str]:
    """What stays, and why it does where that may be unexpected."""
    from penstock.observe.measures import counted, duration

    runs = f"{counted(collected.kept, 'run')} {'stays' if collected.kept == 1 else 'stay'}"
    if collected.in_grace:
        only = "for now" if collected.in_grace == collected.kept else f"{collected.in_grace:,} of them for now"
        runs += f", {only}: they ended less than {duration(collected.grace)} ago (--grace)"
    yield runs
    if collected.left:
        of = "the run that goes" if len(collected.runs) == 1 else "the runs that go"
        stay = "stays" if collected.left == 1 else "stay"
        yield f"{counted(collected.left, 'result')} of {of} {stay} in the cache (--no-cache-of-removed)"


def _document(collected: Collected) -> dict[str, Any]:
    """What goes, as JSON-able data."""
    return {
        "dry_run": collected.dry,
        "bytes": collected.size,
        "removed": {name: {"count": kind.count, "bytes": kind.size} for name, kind in collected.kinds.items()},
        "largest": [{"kind": thing.kind, "name": thing.name, "bytes": thing.size} for thing in collected.largest],
        "runs": collected.runs,
        "kept_runs": collected.kept,
        "in_grace": collected.in_grace,
        "grace_s": collected.grace,
        "kept_results": collected.left,
        "under_way": collected.beside,
        "unheard_s": collected.unheard,
    }


@click.command(
    epilog="""\b
Examples:
  penstock tag latest                      which tags it has
  penstock tag latest pinned               penstock gc never removes it
  penstock tag 20261121-0953 release --remove pinned
  penstock runs --tag release              runs with a tag"""
)
@click.argument("run", default="latest")
@click.argument("tags", nargs=-1, metavar="[TAG]...")
@click.option("--remove", multiple=True, metavar="TAG", help="Take a tag off; repeatable.")
@json_option
def tag(run: str, tags: tuple[str, ...], remove: tuple[str, ...], as_json: bool) -> None:
    """Show the tags of a RUN, put TAGs on it, or take some off.

    RUN is an id, the start of one, or `latest`. All generations of a run have the same tags.
    """
    from penstock.app import Services
    from penstock.model.generation import root_of
    from penstock.runtime.tags import checked_tags

    added = checked_tags(tags)
    with Services().existing_store() as store:
        record = run_named(store, run)
        tagged = root_of(record.run_id)
        found = store.tag(tagged, add=added, remove=remove)
    if as_json:
        print_json({"run_id": tagged, "tags": list(found)})
    else:
        if tagged != record.run_id:
            click.echo(f"tags are of the run as a whole, and {record.run_id} is an earlier generation of it", err=True)
        click.echo(f"run {tagged}: {', '.join(found) or 'no tags'}")


__all__ = ["gc", "tag"]
