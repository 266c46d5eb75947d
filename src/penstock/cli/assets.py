"""The commands of assets: what there is, how it is, and how it is made."""

from __future__ import annotations

import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from penstock.cli.reporting import json_option, print_json, show, show_error, stdout_kept_clean
from penstock.cli.target_options import run_options, settings_of
from penstock.errors import DefinitionError, NotFoundError, PenstockError

if TYPE_CHECKING:
    from penstock.app.asset_states import AssetStates
    from penstock.app.assets import Assets
    from penstock.cli.running import Asked
    from penstock.model.asset import Materialization
    from penstock.ports import Store
    from penstock.services import Services

files_option = click.option(
    "-f",
    "--file",
    "files",
    multiple=True,
    metavar="TARGET",
    help="A file, folder or module with assets; repeatable. Default: what is registered.",
)
#: results of checks that are looked through for those of a run
_TOLD = 1000
#: how many partitions of an asset are looked at whether they are stale, where that is told in passing
_COMPARED = 100
partition_option = click.option("--partition", default=None, metavar="KEY", help="Of an asset with partitions.")


class Project(NamedTuple):
    """The assets of a project, how they are, and where that is recorded."""

    services: Services
    assets: Assets
    store: Store | None
    states: AssetStates


@contextmanager
def opened(files: Sequence[str]) -> Generator[Project]:
    """The assets that are meant, in surroundings in which their values can be loaded."""
    from penstock.app import Services
    from penstock.app.asset_states import AssetStates
    from penstock.registering.assets import project_assets

    services = Services()
    with stdout_kept_clean():
        assets = project_assets(services, files)
        tell_faults(assets)
        with services.existing_store() if services.has_store else nullcontext() as store:
            yield Project(services, assets, store, AssetStates(assets, store, most=_COMPARED))


def tell_faults(assets: Assets) -> None:
    """Say on stderr what is wrong with registered files; the rest goes on."""
    for fault in assets.faults:
        show_error(fault)


@click.group(
    invoke_without_command=True,
    epilog="""\b
Examples:
  penstock assets                                what there is, and how it is
  penstock assets materialize +report            report, and all that it is made from
  penstock assets materialize "stale()"          what is not as it would be made now
  penstock assets why features                   why it is stale
  penstock assets list -f pipelines/             those of a folder, registered or not""",
)
@json_option
@click.pass_context
def assets(context: click.Context, as_json: bool) -> None:
    """Look at assets, and make them: named data products, in versions. Without a command: list them.

    They are those that are registered (penstock register), or else those of `-f TARGET`.
    """
    if context.invoked_subcommand is None:
        _list((), (), as_json=as_json)


@assets.command(
    "list",
    epilog="""\b
Examples:
  penstock assets list
  penstock assets list "group:features stale()"
  penstock assets list -f pipeline.py --json""",
)
@click.argument("selection", nargs=-1)
@files_option
@json_option
def list_assets(selection: tuple[str, ...], files: tuple[str, ...], as_json: bool) -> None:
    """List assets (of a SELECTION): whether they are fresh, stale, missing or late, and their latest versions."""
    _list(selection, files, as_json=as_json)


def _list(selection: Sequence[str], files: Sequence[str], *, as_json: bool) -> None:
    from penstock.app.asset_documents import broken_row, row
    from penstock.cli.asset_views import asset_table
    from penstock.runtime.assets.selecting import select

    with opened(files) as project:
        states = project.states
        names = select(_text(selection) or "*", project.assets.graph, states.selectors)
        rows = [row(project.assets, states, name) for name in names]
        if not selection:
            rows += [broken_row(name, states) for name in project.assets.broken]
    if as_json:
        print_json(rows)
    else:
        show(asset_table(rows))


@assets.command(
    epilog="""\b
Examples:
  penstock assets late
  penstock assets late --json

\b
Exit codes:
  0  nothing is late
  1  something is"""
)
@files_option
@json_option
def late(files: tuple[str, ...], as_json: bool) -> None:
    """List the assets that are older than their rule of freshness allows."""
    from penstock.app.asset_documents import in_full
    from penstock.cli.asset_views import late_table

    with opened(files) as project:
        names = [name for name in project.assets.graph if project.states.late(name) is not None]
        found = [in_full(project.assets, project.states, project.store, name, 0) for name in names]
    if as_json:
        print_json(found)
    else:
        show(late_table(found))
    sys.exit(1 if found else 0)


@assets.command(
    "show",
    epilog="""\b
Examples:
  penstock assets show features
  penstock assets show features --json""",
)
@click.argument("name")
@files_option
@json_option
def show_asset(name: str, files: tuple[str, ...], as_json: bool) -> None:
    """Show an asset in full: what it is, what it is made from, its versions, checks, freshness and partitions."""
    from penstock.app.asset_documents import in_full
    from penstock.cli.asset_views import asset_view

    with opened(files) as project:
        _ = project.assets.graph[name]
        document = in_full(project.assets, project.states, project.store, name)
    if as_json:
        print_json(document)
    else:
        show(asset_view(document))


@assets.command(
    epilog="""\b
Examples:
  penstock assets why features
  penstock assets why features --partition 2026-03-01 --json"""
)
@click.argument("name")
@partition_option
@files_option
@json_option
def why(name: str, partition: str | None, files: tuple[str, ...], as_json: bool) -> None:
    """Say why an asset is stale, and whether it may become so by what it is made from."""
    from penstock.app.asset_documents import reasons, row
    from penstock.cli.asset_views import why_view

    with opened(files) as project:
        _ = project.assets.graph[name]
        stale = project.states.stale([name])
        found = reasons({cell: why for cell, why in stale.items() if partition in (None, cell.partition)})
        document = {**row(project.assets, project.states, name), "reasons": found}
    if as_json:
        print_json(document)
    else:
        show(why_view(document))


# Made.


@assets.command(
    epilog="""\b
Examples:
  penstock assets materialize features
  penstock assets materialize +report --plan
  penstock assets materialize "tag:daily & stale()"
  penstock assets materialize sales --partition 2026-03-01..2026-03-07
  penstock assets materialize "*" --partition missing -f pipelines/

\b
Selections:
  name  +name (with what it is made from)  name+ (with what is made from it)  2+name  data_*
  group:G  tag:T  owner:O  kind:K  stale()  missing()  late()
  spaces and commas: all of several; &: in both; - or not: not

\b
Exit codes: those of run."""
)
@click.argument("selection", nargs=-1, required=True)
@click.option(
    "--partition",
    "partitions",
    multiple=True,
    metavar="KEY",
    help="Of assets with partitions: a key, A..B, latest, missing, failed, stale, all; repeatable.",
)
@files_option
@run_options
@click.option("--plan", is_flag=True, help="First show what would run, and ask.")
@click.option("-y", "--yes", is_flag=True, help="With --plan: do not ask.")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Put a tag on the run; repeatable.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@json_option
def materialize(plan: bool, yes: bool, tags: tuple[str, ...], quiet: bool, as_json: bool, **settings: Any) -> None:
    """Make the assets of a SELECTION, each once it has what it is made from.

    What is not selected is taken as it was made last. What is cached is not made again.
    """
    from penstock.app import launch
    from penstock.cli.planning import agree, check_askable
    from penstock.cli.running import begun, told

    if plan:
        check_askable(yes=yes)
    asked, target = _asked(settings, progress=not quiet)
    if not asked.parameters["cells"]:
        click.echo("there is nothing to make", err=True)
        if as_json:
            print_json(asked.parameters)
        return
    if plan:
        agree(asked, yes=yes)
    with stdout_kept_clean():
        ended = begun(
            asked.pipeline,
            asked.options,
            lambda observers: launch(
                asked.pipeline, asked.parameters, asked.options, target=target, observers=observers, tags=tags
            ),
        )
    _tell_checks(ended, asked.parameters["cells"])
    again = _again(settings)
    sys.exit(told(ended, target, again, progress=bool(asked.options.progress), as_json=as_json))


@assets.command(
    epilog="""\b
Examples:
  penstock assets plan +report
  penstock assets plan "stale()" --json"""
)
@click.argument("selection", nargs=-1, required=True)
@click.option("--partition", "partitions", multiple=True, metavar="KEY", help="As for materialize.")
@files_option
@run_options
@json_option
def plan(as_json: bool, **settings: Any) -> None:
    """Tell what making the assets of a SELECTION would do now, and why, without running anything."""
    from penstock.cli.plan_view import plan_view
    from penstock.cli.planning import planned

    asked, _ = _asked(settings)
    document = planned(asked)
    if as_json:
        print_json(document)
    else:
        show(plan_view(document))


def _asked(settings: dict[str, Any], **flags: Any) -> tuple[Asked, str]:
    """What was typed, as a pipeline with its parameters, and what loads it again."""
    from penstock.app import Services
    from penstock.app.assets import AssetPipeline, prepared
    from penstock.cli.running import Asked, options_of
    from penstock.registering.assets import project_assets

    how = settings_of(
        {name: value for name, value in settings.items() if name not in ("selection", "partitions", "files")}
    )
    given = {name: value for name, value in {**how, **flags}.items() if value is not None}
    with stdout_kept_clean():
        known = project_assets(Services(), settings["files"])
        tell_faults(known)
        options = options_of(AssetPipeline(known), given)
        pipeline, parameters = prepared(
            known, _text(settings["selection"]), partitions=settings["partitions"], options=options
        )
    return Asked(pipeline, parameters, options), known.target


def _tell_checks(ended: Any, cells: list[str]) -> None:
    """Say on stderr which checks did not pass in a run."""
    from penstock.app import Services
    from penstock.app.assets import parsed

    with Services().existing_store() as store:
        for name in dict.fromkeys(parsed(each).asset for each in cells):
            for each in reversed(store.catalog.checks(name, limit=_TOLD)):
                if each.run_id == ended.run_id and not each.passed:
                    subject = f"{name}@{each.partition}" if each.partition else name
                    told = f": {each.message}" if each.message else ""
                    click.echo(f"! {subject}: {each.check} did not pass{told}", err=True)


def _text(selection: Sequence[str]) -> str:
    return " ".join(selection)


def _again(settings: dict[str, Any]) -> str:
    """What to type to make the same again."""
    import shlex

    words = ["penstock", "assets", "materialize", *settings["selection"]]
    words += [word for key in settings["partitions"] for word in ("--partition", key)]
    words += [word for file in settings["files"] for word in ("-f", file)]
    return shlex.join(words)


@assets.command(
    epilog="""\b
Examples:
  penstock assets observe
  penstock assets observe orders --json

\b
Exit codes:
  0  all were observed
  1  one of them could not be"""
)
@click.argument("names", nargs=-1)
@files_option
@json_option
def observe(names: tuple[str, ...], files: tuple[str, ...], as_json: bool) -> None:
    """Ask the functions of external assets (NAMES, or all) which versions there are, and record those that are new."""
    from penstock.app import Services
    from penstock.app.observing import observed
    from penstock.cli.asset_views import observation_table
    from penstock.registering.assets import project_assets

    services = Services()
    with stdout_kept_clean():
        known = project_assets(services, files)
        tell_faults(known)
        with services.store() as store:
            found = observed(known, store, names)
    if as_json:
        print_json(found)
    else:
        show(observation_table(found))
    sys.exit(1 if any(each["error"] for each in found) else 0)


# Looked at.


@assets.command(
    epilog="""\b
Examples:
  penstock assets history features
  penstock assets history sales --partition 2026-03-01 --limit 5"""
)
@click.argument("name")
@partition_option
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="At most so many.")
@json_option
def history(name: str, partition: str | None, limit: int, as_json: bool) -> None:
    """List the versions of an asset, the newest first: their runs, what was logged of them, what they were made from."""
    from penstock.app import Services
    from penstock.app.asset_documents import version_document
    from penstock.cli.asset_views import version_table

    services = Services()
    with services.existing_store() as store:
        _check_known(store, name)
        found = [
            version_document(each, store, services.values)
            for each in store.catalog.history(name, partition, limit=limit)
        ]
    if as_json:
        print_json(found)
    else:
        show(version_table(found))


@assets.command(
    epilog="""\b
Examples:
  penstock assets checks features
  penstock assets checks features --json"""
)
@click.argument("name")
@partition_option
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="At most so many.")
@json_option
def checks(name: str, partition: str | None, limit: int, as_json: bool) -> None:
    """List what the checks of an asset have found, the newest first."""
    from penstock.app import Services
    from penstock.app.asset_documents import check_document
    from penstock.cli.asset_views import check_table

    with Services().existing_store() as store:
        _check_known(store, name)
        found = [check_document(each) for each in store.catalog.checks(name, partition, limit=limit)]
    if as_json:
        print_json(found)
    else:
        show(check_table(found))


@assets.command(
    epilog="""\b
Examples:
  penstock assets lineage report
  penstock assets lineage report@3 --html lineage.html
  penstock assets lineage sales@2026-03-01 --json"""
)
@click.argument("name")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), default=None, help="Draw it into a file.")
@json_option
def lineage(name: str, html: Path | None, as_json: bool) -> None:
    """Show what a version of an asset was made from, and what was made from it: NAME, NAME@VERSION, NAME@PARTITION.

    Of each version, with its run, the parameters of that, and the code.
    """
    from penstock.app import Services
    from penstock.app.asset_documents import lineage
    from penstock.cli.asset_views import lineage_page, lineage_view

    with Services().existing_store() as store:
        version = _version(store, name)
        document = lineage(_in_order(store), store, version)
    if html is not None:
        try:
            html.write_text(lineage_page(document), "utf-8")
        except OSError as error:
            raise DefinitionError(f"cannot write {html}: {error.strerror}") from None
        click.echo(f"wrote {html}", err=True)
    if as_json:
        print_json(document)
    elif html is None:
        show(lineage_view(document))


@assets.command(
    epilog="""\b
Examples:
  penstock assets value features
  penstock assets value report@3 -o report.html"""
)
@click.argument("name")
@click.option("-o", "--output", type=click.Path(path_type=Path), default=None, help="Write it to a file or folder.")
@click.option("--force", is_flag=True, help="Replace what is there.")
@json_option
def value(name: str, output: Path | None, force: bool, as_json: bool) -> None:
    """Show the value of an asset (NAME, NAME@VERSION, NAME@PARTITION), or write it to a file, as `penstock artifacts` does."""
    from penstock.app import Services
    from penstock.app.asset_documents import version_document
    from penstock.cli.artifact_views import preview
    from penstock.cli.targets import make_importable
    from penstock.model.value import Artifact
    from penstock.runtime.reading.artifacts import NamedArtifact, export, preview_of

    services = Services()
    with services.existing_store() as store, stdout_kept_clean():
        version = _version(store, name)
        artifact = version.value
        if not isinstance(artifact, Artifact):
            raise NotFoundError(
                f"{name} is not one value"
                if artifact is not None
                else f"{name} is made elsewhere: only its version is known, {version.digest.hex()[:12]}",
                remedy="Load it: penstock.load_asset(...)." if artifact is not None else None,
            )
        try:
            source = store.provenance(version.run_id).source
        except PenstockError:
            source = {}
        make_importable([str(services.project.folder), *source])
        found = NamedArtifact(version.asset, version.node, "result", artifact)
        shown = preview_of(store, services.values, found)
        written = None if output is None else export(found, services.values, output, force=force)
    if as_json:
        print_json({**version_document(version), "preview": shown, "path": None if written is None else str(written)})
    elif written is not None:
        click.echo(f"wrote {written}")
    else:
        show(preview(shown))


def _check_known(store: Store, name: str) -> None:
    """Raise NotFoundError for an asset of which nothing was ever recorded."""
    from penstock.runtime.assets.graph import unknown_asset

    if not store.catalog.history(name, limit=1) and not store.catalog.checks(name, limit=1):
        known = _in_order(store)
        if name not in known:
            raise unknown_asset(name, known, None if known else "Nothing was ever made.")


def _in_order(store: Store) -> list[str]:
    """The assets of which there are versions, each behind those that it was made from."""
    from graphlib import CycleError, TopologicalSorter

    made_from: dict[str, set[str]] = {}
    for each in store.catalog.latest():
        made_from.setdefault(each.asset, set()).update(up.asset for up in each.upstream)
    try:
        return list(TopologicalSorter(made_from).static_order())
    except CycleError:
        # versions of different times, between which the assets have changed places
        return sorted(made_from)


def _version(store: Store, text: str) -> Materialization:
    """The version that is meant by `NAME`, `NAME@VERSION`, `NAME@PARTITION` or `NAME@PARTITION@VERSION`. Raises
    NotFoundError, naming near ones."""
    from penstock.app.asset_documents import version_of
    from penstock.runtime.assets.graph import unknown_asset

    name, _, rest = text.partition("@")
    partition, _, number = rest.rpartition("@")
    readings: list[tuple[str, int | None]] = [(rest, None)]
    if number.isdecimal():
        readings.append((partition, int(number)))
    for key, version in readings:
        found = version_of(store, name, key, version)
        if found is not None:
            return found
    known = {each.asset: each.partition for each in store.catalog.latest()}
    if name not in known:
        raise unknown_asset(name, known, None if known else "Nothing was ever made.")
    if not rest and known[name]:
        raise NotFoundError(f"{name} has partitions", remedy=f"Name one: {name}@{known[name]}.")
    raise NotFoundError(f"there is no {text}", remedy=f"See what there is: penstock assets history {name}")


__all__ = ["assets"]
