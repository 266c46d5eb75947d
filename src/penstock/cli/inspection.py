"""The commands that look at runs, graphs and artifacts."""

from __future__ import annotations

import difflib
import shlex
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from penstock.cli.dialect_option import dialect_option
from penstock.cli.named_runs import run_named
from penstock.cli.reporting import json_option, print_json, show, stdout_kept_clean
from penstock.errors import DefinitionError, NotFoundError
from penstock.model.graph import Graph
from penstock.model.run import NodeState, RunState, item_id, timestamp
from penstock.ports import LoggedLine, Store

if TYPE_CHECKING:
    from penstock.runtime.reading.artifacts import NamedArtifact
    from penstock.values import Values

FORMATS = ("text", "mermaid", "json", "svg", "html")
#: seconds between two looks at a run that is followed
_LOOK = 0.3


@click.command(
    epilog="""\b
Examples:
  penstock runs
  penstock runs --pipeline training --state failed --limit 5
  penstock runs --tag release
  penstock runs --json"""
)
@click.option("--pipeline", default=None, help="Only runs of this pipeline.")
@click.option(
    "--state", type=click.Choice([state.value for state in RunState]), default=None, help="Only runs in this state."
)
@click.option("--tag", default=None, help="Only runs with this tag.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="At most so many.")
@json_option
def runs(pipeline: str | None, state: str | None, tag: str | None, limit: int, as_json: bool) -> None:
    """List runs, the newest first."""
    from penstock.app import Services
    from penstock.cli.views import run_table
    from penstock.runtime.reading.document import run_header
    from penstock.runtime.reading.drivers import driver_document

    services = Services()
    documents: list[dict[str, Any]] = []
    if services.has_store:
        with services.store() as store:
            # which runs have a tag is known of those that are found, so that all are looked through for one
            found = store.runs(pipeline=pipeline, state=state, limit=limit if tag is None else sys.maxsize)
            tags = store.tags([run.run_id for run in found])
            tagged = [run for run in found if tag is None or tag in tags.get(run.run_id, ())]
            documents = [
                run_header(run, tags.get(run.run_id, ())) | driver_document(store, run) for run in tagged[:limit]
            ]
    if as_json:
        print_json(documents)
    elif tag is not None and not documents:
        click.echo(f"no runs with the tag {tag}")
    else:
        show(run_table(documents))


@click.command(
    "show",
    epilog="""\b
Examples:
  penstock show latest
  penstock show 20261121-0953          the start of an id will do
  penstock show latest --json""",
)
@click.argument("run", default="latest")
@json_option
def show_run(run: str, as_json: bool) -> None:
    """Show a RUN in full: parameters, tasks, metrics, outputs, failures.

    RUN is an id, the start of one, or `latest`.
    """
    from penstock.app import Services
    from penstock.cli.views import run_view
    from penstock.runtime.reading.document import provenance_document, run_document

    services = Services()
    with services.existing_store() as store:
        record = run_named(store, run)
        document = run_document(store, services.values, record)
        document["provenance"] = provenance_document(store.provenance(record.run_id))
    if as_json:
        print_json(document)
    else:
        show(run_view(document))


@click.command(
    epilog="""\b
Examples:
  penstock logs latest
  penstock logs latest train
  penstock logs latest "fit[3]" --follow"""
)
@click.argument("run", default="latest")
@click.argument("task", required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on until the run has ended.")
@json_option
def logs(run: str, task: str | None, follow: bool, as_json: bool) -> None:
    """Print what the tasks of a RUN printed and logged, or only one TASK of it."""
    from penstock.app import Services

    with Services().existing_store() as store:
        record = run_named(store, run)
        wanted = _wanted(store, record.run_id, task)
        lines = _lines(store, record.run_id, wanted, follow=follow)
        names = _Names(store, record.run_id)
        if as_json:
            print_json([_line_document(logged, names.of(logged)) for logged in lines])
            return
        silent = True
        for logged in lines:
            # what is about the run as a whole has no name
            name = names.of(logged)
            click.echo(f"{name} | {logged.line.text}" if name else logged.line.text)
            silent = False
        if silent:
            click.echo(_silence(store, record.run_id, task), err=True)
        if follow and store.find(record.run_id).state is RunState.RUNNING:
            click.echo(
                f"run {record.run_id} is unfinished, and the process that drove it is gone: "
                f"penstock resume {record.run_id}",
                err=True,
            )


def _lines(store: Store, run_id: str, wanted: Wanted, *, follow: bool) -> Iterator[LoggedLine]:
    """The lines of a run so far; with `follow`, until nobody drives it any longer."""
    from penstock.runtime.surroundings.leases import Fate, Watch

    after, watch = 0, Watch(store)
    while True:
        # asked for first, so that no line from before the end is missed
        run = store.find(run_id)
        running = run.state is RunState.RUNNING and watch.fate(run) is not Fate.GONE
        for number, logged in store.lines(run_id, wanted.node, after):
            after = number
            if wanted.item is None or wanted.item == logged.item:
                yield logged
        if not follow or not running:
            return
        time.sleep(_LOOK)


class Wanted(NamedTuple):
    """A node, or one item of it; None for all."""

    node: str | None
    item: int | None


def _wanted(store: Store, run_id: str, task: str | None) -> Wanted:
    """Whose lines to print. Raises NotFoundError for a task that the run does not have."""
    if task is None:
        return Wanted(None, None)
    attempts = store.attempts(run_id)
    cells = {item_id(each.node, each.item, each.key): each for each in attempts}
    if task in cells and cells[task].item >= 0:
        return Wanted(cells[task].node, cells[task].item)
    nodes = {node.id: node for node in _graph(store, run_id).nodes}
    if task in nodes or task in cells or any(each.node == task for each in attempts):
        return Wanted(task, None)
    known = [name for name in cells if name.startswith(f"{task.partition('[')[0]}[")] or list(nodes)
    near = set(difflib.get_close_matches(task, known)) or known[:5]
    raise NotFoundError(
        f"run {run_id} has no task {task!r}", remedy=f"It has: {', '.join(each for each in known if each in near)}."
    )


class _Names:
    """What the nodes and items of a run are called; asked for again as the run goes on."""

    def __init__(self, store: Store, run_id: str) -> None:
        self._store = store
        self._run_id = run_id
        self._keys: dict[tuple[str, int], str | None] = {}

    def of(self, logged: LoggedLine) -> str:
        cell = logged.node, logged.item
        if logged.item >= 0 and cell not in self._keys:
            self._keys |= {(each.node, each.item): each.key for each in self._store.attempts(self._run_id, logged.node)}
        return item_id(*cell, self._keys.get(cell))


def _silence(store: Store, run_id: str, task: str | None) -> str:
    """Why there is nothing to print."""
    from penstock.runtime.reading.origins import origins_of

    attempts = [
        each for each in store.attempts(run_id) if task in (None, each.node, item_id(each.node, each.item, each.key))
    ]
    cached = [each for each in attempts if each.state is NodeState.CACHED]
    origin = next(iter(origins_of(store, run_id, cached).values()), None)
    if len(cached) < len(attempts) or origin is None:
        return "nothing was printed or logged"
    whose = f"{task} was" if task else "all tasks were"
    return (
        f"{whose} taken from the cache; see: {shlex.join(['penstock', 'logs', origin.run_id, *filter(None, [task])])}"
    )


def _line_document(logged: LoggedLine, name: str) -> dict[str, Any]:
    line = logged.line
    return {
        "task": name,
        "attempt": logged.attempt,
        "stream": line.stream,
        "at": timestamp(line.at),
        "text": line.text,
    }


def _graph(store: Store, run_id: str) -> Graph:
    from penstock.model.graph import from_json

    return from_json(store.graph(run_id))


@click.command(
    epilog="""\b
Examples:
  penstock graph pipeline.py
  penstock graph pipeline.py -f html -o graph.html
  penstock graph --run latest -f svg -o graph.svg      with the states of a run"""
)
@click.argument("target", required=False)
@click.option("--run", "run_name", default=None, help="The graph of a recorded run, with its states.")
@click.option(
    "-f", "--format", "form", type=click.Choice(FORMATS), default=None, help="Default: by the file's suffix, else text."
)
@click.option("-o", "--output", type=click.Path(path_type=Path), default=None, help="Write to a file.")
@click.option(
    "-p", "--parameter", "assignments", multiple=True, metavar="NAME=VALUE", help="A parameter that shapes the graph."
)
@dialect_option
@json_option
def graph(
    target: str | None,
    run_name: str | None,
    form: str | None,
    output: Path | None,
    assignments: tuple[str, ...],
    as_json: bool,
) -> None:
    """Draw the pipeline in TARGET, or that of a recorded run."""
    if (target is None) == (run_name is None):
        raise DefinitionError("graph needs a TARGET or --run, and only one of them")
    form = "json" if as_json else form or _form_of(output)
    drawn, states = (
        _graph_of_run(run_name) if run_name is not None else (_graph_of_target(target or "", assignments), None)
    )
    text = _drawn(drawn, states, form).rstrip("\n") + "\n"
    if output is None:
        click.echo(text.encode(), nl=False)
        return
    try:
        output.write_text(text, "utf-8")
    except OSError as error:
        raise DefinitionError(f"cannot write {output}: {error.strerror}") from None
    click.echo(f"wrote {output}", err=True)


def _form_of(output: Path | None) -> str:
    suffixes = {".mmd": "mermaid", ".md": "mermaid", ".json": "json", ".svg": "svg", ".html": "html"}
    return "text" if output is None else suffixes.get(output.suffix, "text")


def _graph_of_target(target: str, assignments: tuple[str, ...]) -> Graph:
    from penstock.authoring.kinds.parameters import parse_assignments
    from penstock.cli.targets import load_target
    from penstock.registering.composing import composing

    texts = parse_assignments(assignments)
    with stdout_kept_clean():
        pipeline = load_target(target)
        parameters = pipeline.signature.resolve(given={}, texts=texts, partial=True)
        with composing(pipeline):
            return pipeline.define(parameters).graph


def _graph_of_run(name: str) -> tuple[Graph, dict[str, str]]:
    """The graph of a recorded run, and the state of every node."""
    from penstock.app import Services
    from penstock.runtime.reading.document import run_document

    services = Services()
    with services.existing_store() as store:
        record = run_named(store, name)
        document = run_document(store, services.values, record)
        states: dict[str, str] = {}
        for task in document["tasks"]:
            node = task.get("path") or task["node"]
            states[node] = _worse(states.get(node), task["state"])
        return _graph(store, record.run_id), states


_WORST_FIRST = (
    "failed",
    "running",
    "waiting",
    "cancelled",
    "upstream_failed",
    "pending",
    "succeeded",
    "cached",
    "skipped",
)


def _worse(one: str | None, other: str) -> str:
    return other if one is None else min(one, other, key=_WORST_FIRST.index)


def _drawn(graph: Graph, states: dict[str, str] | None, form: str) -> str:
    from penstock.cli import drawing
    from penstock.model.graph import to_json

    if form == "json":
        return to_json(graph).decode()
    if form == "text":
        return drawing.as_text(graph)
    if form == "mermaid":
        return drawing.as_mermaid(graph)
    return drawing.as_svg(graph, states) if form == "svg" else drawing.as_html(graph, states)


@click.group(
    epilog="""\b
Examples:
  penstock artifacts list latest
  penstock artifacts show latest split.train
  penstock artifacts export latest train -o model.pkl"""
)
def artifacts() -> None:
    """List, show and export what tasks made."""


@artifacts.command(
    "list",
    epilog="""\b
Examples:
  penstock artifacts list
  penstock artifacts list 20261121-0953 --json""",
)
@click.argument("run", default="latest")
@json_option
def list_artifacts(run: str, as_json: bool) -> None:
    """List the artifacts of a RUN (default: the latest)."""
    from penstock.app import Services
    from penstock.cli.artifact_views import artifact_table
    from penstock.runtime.reading.artifacts import artifact_document, run_artifacts

    services = Services()
    with services.existing_store() as store:
        rows = [artifact_document(each, services.values) for each in run_artifacts(store, run_named(store, run))]
    if as_json:
        print_json(rows)
    else:
        show(artifact_table(rows))


@artifacts.command(
    "show",
    short_help="Show a preview of an artifact.",
    epilog="""\b
Examples:
  penstock artifacts show latest split.train
  penstock artifacts show latest "fit[3]" --json""",
)
@click.argument("run")
@click.argument("name")
@json_option
def show_artifact(run: str, name: str, as_json: bool) -> None:
    """Show a preview of the artifact NAME of a RUN: `train`, `split.test`, `fit[3]`, or the start of a digest."""
    from penstock.cli.artifact_views import artifact_table, preview
    from penstock.runtime.reading.artifacts import artifact_document, preview_of

    with _found_artifact(run, name) as (store, values, found):
        shown = preview_of(store, values, found)
        row = artifact_document(found, values)
    if as_json:
        print_json({**row, "preview": shown})
        return
    show(artifact_table([row]))
    show(preview(shown))


@artifacts.command(
    "export",
    short_help="Write an artifact to a file.",
    epilog="""\b
Examples:
  penstock artifacts export latest split.train -o train.csv
  penstock artifacts export latest report -o reports/""",
)
@click.argument("run")
@click.argument("name")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default=Path(), help="A file, or a folder; default: here."
)
@click.option("--force", is_flag=True, help="Replace what is there.")
@json_option
def export_artifact(run: str, name: str, output: Path, force: bool, as_json: bool) -> None:
    """Write the artifact NAME of a RUN to a file.

    The suffix decides the form: frames as .parquet or .csv, arrays as .npy or .csv, figures as .png, .svg or .pdf,
    estimators as .joblib or .pkl, data as .json. Without one, the first of these is taken.
    """
    from penstock.runtime.reading.artifacts import export

    with _found_artifact(run, name) as (_, values, found):
        written = export(found, values, output, force=force)
    if as_json:
        print_json({"path": str(written)})
    else:
        click.echo(f"wrote {written}")


@contextmanager
def _found_artifact(run: str, name: str) -> Generator[tuple[Store, Values, NamedArtifact]]:
    """An artifact of a run, in surroundings in which it can be loaded."""
    from penstock.app import Services
    from penstock.cli.targets import make_importable
    from penstock.runtime.reading.artifacts import find_artifact

    services = Services()
    with services.existing_store() as store, stdout_kept_clean():
        record = run_named(store, run)
        found = find_artifact(store, record, name)
        make_importable([str(services.project.folder), *store.provenance(record.run_id).source])
        yield store, services.values, found
