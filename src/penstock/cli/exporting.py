"""The commands that write a pipeline in a dialect, and that show a file beside its native form."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penstock.cli.dialect_option import Listing, dialect_option, writable
from penstock.cli.reporting import WRONG, json_option, print_json, show, stdout_kept_clean
from penstock.errors import DefinitionError

if TYPE_CHECKING:
    from penstock.app import Pipeline
    from penstock.registering.exporting import Exported

parameter_option = click.option(
    "-p", "--parameter", "assignments", multiple=True, metavar="NAME=VALUE", help="A parameter that shapes the graph."
)
strict_option = click.option(
    "--strict", is_flag=True, help="Write nothing if anything would not say quite the same, or only be carried along."
)
force_option = click.option("--force", is_flag=True, help="Replace files that are there.")


@click.command(
    epilog="""\b
Examples:
  penstock export pipeline.py --to airflow -o dags/training.py
  penstock export pipeline.py:training --to yaml               on stdout
  penstock export dag.py --to kfp -o pipeline.yaml --strict

\b
Exit codes:
  0  it is written
  2  it cannot be written, or with --strict: not without a change"""
)
@click.argument("target")
@click.option("--to", "to", cls=Listing, listed=writable, required=True, metavar="NAME", help="The dialect.")
@click.option("-o", "--output", type=click.Path(path_type=Path), default=None, help="Write to a file.")
@parameter_option
@strict_option
@force_option
@dialect_option
@json_option
def export(
    target: str,
    to: str,
    output: Path | None,
    assignments: tuple[str, ...],
    strict: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Write the pipeline in TARGET in the dialect of another system, or in penstock's own.

    What becomes of each node is told: it is exact, or equivalent (another construct does the same), changed (it does not
    quite do the same), or opaque (carried along for the system that it came from). A body that uses the value of a parameter
    is written as it is for that value, which -p sets. Without -o, the text goes to stdout and this report to stderr. What the
    dialect cannot say at all is an error, and nothing is written.
    """
    with stdout_kept_clean():
        found = _exported(_pipeline(target), to, assignments, output)
    sys.exit(_answered(found, output, strict=strict, force=force, as_json=as_json))


@click.command(
    epilog="""\b
Examples:
  penstock convert dag.py                        two columns: the file, and the same in penstock
  penstock convert dag.py --unified              the same as a diff
  penstock convert dag.py:etl -o etl.py          only the new file"""
)
@click.argument("target", metavar="FILE")
@click.option("-o", "--output", type=click.Path(path_type=Path), default=None, help="Write the native form to a file.")
@click.option("-u", "--unified", is_flag=True, help="Show a unified diff; what is not a terminal gets that anyway.")
@parameter_option
@strict_option
@force_option
@dialect_option
@json_option
def convert(
    target: str,
    output: Path | None,
    unified: bool,
    assignments: tuple[str, ...],
    strict: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Show the pipeline in FILE, which is written for another system, beside its form in penstock's own Python.

    What becomes of each node is told on stderr, as by penstock export. What penstock has no form for is opaque: a task that
    is to be finished, with what it was as a comment.
    """
    from penstock.cli.export_view import side_by_side, unified_diff
    from penstock.dialects.recognition import NATIVE

    with stdout_kept_clean():
        pipeline = _pipeline(target)
        file, text = _source(pipeline, target)
        found = _exported(pipeline, NATIVE, assignments, output, draft=True)
    if output is not None or (strict and found.losses):
        sys.exit(_answered(found, output, strict=strict, force=force, as_json=as_json))
    if as_json:
        diff = unified_diff(file, text, found.written.text)
        print_json({**_document(found, None), "file": file, "source": text, "diff": diff})
        return
    if unified or not sys.stdout.isatty():
        click.echo(unified_diff(file, text, found.written.text), nl=False)
    else:
        show(side_by_side(file, text, found.written.text))
    _report(found, to_stderr=True)


def _pipeline(target: str) -> Pipeline[..., Any]:
    from penstock.cli.targets import load_target

    return load_target(target)


def _exported(
    pipeline: Pipeline[..., Any], to: str, assignments: tuple[str, ...], output: Path | None, *, draft: bool = False
) -> Exported:
    from penstock.registering.exporting import exported

    return exported(pipeline, to, assignments, "" if output is None else output.name.partition(".")[0], draft=draft)


def _source(pipeline: Pipeline[..., Any], target: str) -> tuple[str, str]:
    """The file of a pipeline, and its text. Raises DefinitionError for one that is penstock's own."""
    from penstock.authoring.source import DIALECT, nearby

    module = sys.modules.get(pipeline.function.__module__)
    file = getattr(module, "__file__", None)
    if not getattr(module, DIALECT, "") or file is None:
        raise DefinitionError(
            f"{target} is written for penstock already",
            remedy="To write it for another system: penstock export --to NAME.",
        )
    return nearby(file), Path(file).read_text(errors="replace")


def _answered(found: Exported, output: Path | None, *, strict: bool, force: bool, as_json: bool) -> int:
    """Write what was asked for, and report. Returns the exit code."""
    from penstock.registering.exporting import put

    refused = strict and bool(found.losses)
    files = [] if refused or output is None else put(found.written, output, replace=force)
    if as_json:
        print_json({**_document(found, None if refused else files), "refused": refused})
    else:
        if output is None and not refused:
            click.echo(found.written.text.encode(), nl=False)
        _report(found, to_stderr=output is None)
        for file in files:
            click.echo(f"wrote {file}", err=True)
        if output is None and not refused and found.written.files:
            click.echo(f"beside it belong {', '.join(found.written.files)}, which -o FILE writes as well", err=True)
    if refused:
        click.echo(f"nothing is written: {', '.join(found.losses)} would not be the same", err=True)
    return WRONG if refused else 0


def _report(found: Exported, *, to_stderr: bool) -> None:
    from penstock.cli.export_view import report

    show(report(found), sys.stderr if to_stderr else None)


def _document(found: Exported, files: list[Path] | None) -> dict[str, Any]:
    from penstock.model.graph import ignored_document

    return {
        "pipeline": found.pipeline,
        "dialect": found.dialect,
        "text": found.written.text,
        "beside": dict(found.written.files),
        "files": [str(file) for file in files or ()],
        "accounts": [{"node": each.node, "grade": each.grade, "how": each.how} for each in found.written.accounts],
        "ignored": ignored_document(found.ignored),
    }


__all__ = ["convert", "export"]
