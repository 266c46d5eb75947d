"""The commands that explain runs: why a task is as it is, and in what two runs differ."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penstock.cli.reporting import json_option, print_json, show
from penstock.errors import DefinitionError, NotFoundError, StoreError

if TYPE_CHECKING:
    from penstock.model.run import RunRecord
    from penstock.ports import Store
    from penstock.runtime.reading.past import Past


full_option = click.option("--full", is_flag=True, help="Show long diffs in full.")


@click.command(
    epilog="""\b
Examples:
  penstock why                         every task of the latest run, in short
  penstock why train                   a task of the latest run
  penstock why 20261121-0953 "fit[rf]"
  penstock why latest deploy --json"""
)
@click.argument("run", required=False)
@click.argument("node", required=False)
@full_option
@json_option
def why(run: str | None, node: str | None, full: bool, as_json: bool) -> None:
    """Say why the task NODE of a RUN ran, was cached, failed, was skipped, or what it waits for now.

    A task that ran is compared with the nearest earlier result of it: what of its code, inputs and settings differs.
    RUN is an id, the start of one, or `latest`, which may be left out. Without NODE, every task is told of in short.
    """
    from msgspec import to_builtins

    from penstock.app import Services
    from penstock.cli.why_view import run_why_view, why_view
    from penstock.runtime.explaining.why import Explainer
    from penstock.runtime.reading.past import Past

    with Services().looking() as services, services.existing_store() as store:
        word = run if node is None else None
        record, node = _run_and_node(store, run, node)
        past = Past(store, services.values, record)
        if node is not None and node == word:
            _check_not_a_run(store, past, node)
        explainer = Explainer(past, time.time())
        found = explainer.overview() if node is None else explainer.explain(past.find(node))
        document = to_builtins(found)
    if as_json:
        print_json(document)
    else:
        show(run_why_view(document) if node is None else why_view(document, full=full))


def _run_and_node(store: Store, run: str | None, node: str | None) -> tuple[RunRecord, str | None]:
    """The run and the node that are meant. One name alone is a run, if there is one of it, else a node of the latest."""
    from penstock.cli.named_runs import run_named

    if run is None or node is not None:
        return run_named(store, run or "latest"), node
    try:
        return run_named(store, run), None
    except NotFoundError:
        if _RUN_ID.match(run):
            raise
        return store.find("latest"), run


def _check_not_a_run(store: Store, past: Past, word: str) -> None:
    """Raise NotFoundError for a word that is neither, and more like the name of a run than like that of any node."""
    from penstock.runtime.reading.nearest import nearest

    nodes = [*past.progress.nodes, *map(past.name, past.cells())]
    runs = ["latest", *(each.run_id for each in store.runs(limit=_RUNS))]
    near = nearest(word, [*nodes, *runs], 1)
    if word not in nodes and near and near[0] in runs:
        raise NotFoundError(f"there is no run {word!r}, nor a task of that name", remedy=f"Did you mean {near[0]}?")


#: how many of the latest runs are looked at for one that may be meant
_RUNS = 100
#: what ids of runs begin with
_RUN_ID = re.compile(r"\d{6}")


@click.command(
    epilog="""\b
Examples:
  penstock diff                              the latest run, and the one of its pipeline before it
  penstock diff 20261121-0953                a run, and the latest of its pipeline
  penstock diff 20261121-0953 latest
  penstock diff -o diff.html

\b
Exit codes:
  0    the runs were compared, whether they differ or not"""
)
@click.argument("before", required=False)
@click.argument("after", required=False)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    metavar="FILE",
    help="Write a web page (.html), the text (.txt) or the document (.json) to a file.",
)
@full_option
@json_option
def diff(before: str | None, after: str | None, output: Path | None, full: bool, as_json: bool) -> None:
    """Say in what two runs differ, causes before effects.

    First what changed: parameters, lines of code, packages, data. Then which tasks that touched, what it did to their
    data, and what came of it: metrics and outputs. BEFORE and AFTER are ids, the starts of some, or `latest`.
    """
    from msgspec import to_builtins

    from penstock.app import Services
    from penstock.cli.diff_view import diff_view
    from penstock.runtime.explaining.runs import diff_runs
    from penstock.runtime.reading.past import Past

    _check_format(output)
    with Services().looking() as services, services.existing_store() as store:
        old, new = _two_runs(store, before, after)
        document = to_builtins(diff_runs(Past(store, services.values, old), Past(store, services.values, new)))
    if output is not None:
        _write(document, output)
    if as_json:
        print_json(document)
    elif output is None:
        show(diff_view(document, full=full))


_FORMATS = (".html", ".txt", ".json")


def _check_format(output: Path | None) -> None:
    if output is not None and output.suffix not in _FORMATS:
        raise DefinitionError(
            f"a comparison cannot be written as {output.name}", remedy=f"Use one of {', '.join(_FORMATS)}."
        )


def _two_runs(store: Store, before: str | None, after: str | None) -> tuple[RunRecord, RunRecord]:
    """The runs to compare. With one name, the other is the latest of its pipeline; for that one, the one before it."""
    from penstock.runtime.explaining.pairing import check_two, run_before

    if before is not None and after is not None:
        pair = store.find(before), store.find(after)
        check_two(*pair)
        return pair
    named = store.find(before or "latest")
    [latest] = store.runs(pipeline=named.pipeline, limit=1)
    if latest.started_at > named.started_at:
        return named, latest
    return run_before(store, named), named


def _write(document: dict[str, Any], output: Path) -> None:
    from msgspec import json

    from penstock.cli.diff_page import as_html
    from penstock.cli.diff_view import diff_view
    from penstock.cli.renderables import rendered

    if output.suffix == ".html":
        text = as_html(document)
    elif output.suffix == ".json":
        text = json.format(json.encode(document, enc_hook=str), indent=2).decode() + "\n"
    else:
        text = rendered(diff_view(document, full=True), width=1000)
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StoreError(f"cannot write {output}: {error.strerror or error}") from None
    click.echo(f"wrote {output}", err=True)


__all__ = ["diff", "why"]
