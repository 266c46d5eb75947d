"""The commands that back up what a project has recorded and stored, and put it back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penstock.cli.reporting import json_option, print_json

if TYPE_CHECKING:
    from penstock.runtime.backups.contents import Manifest


@click.command(
    epilog="""\b
Examples:
  penstock backup penstock.tar.gz          one compressed file
  penstock backup /backups/monday          a folder
  penstock backup nightly.tar.gz --force --json

\b
It is written while pipelines run, as of one moment; read once more when it is written; and there whole, or not at all. Only
you can read it. Where the store is in PostgreSQL, use pg_dump."""
)
@click.argument("path", metavar="FILE_OR_FOLDER", type=click.Path(path_type=Path))
@click.option(
    "--blobs/--no-blobs",
    default=None,
    help="With the stored values that records refer to, or without; default: with, unless they are in an object store.",
)
@click.option("--force", is_flag=True, help="Replace what is there.")
@json_option
def backup(path: Path, blobs: bool | None, force: bool, as_json: bool) -> None:
    """Back up all that is recorded, and the stored values it refers to.

    The backup is a compressed archive if its name ends in .tar.gz, .tgz or .tar (the last one is not compressed), and else a
    folder.
    """
    from penstock import __version__
    from penstock.app import Services
    from penstock.observe.measures import counted, size

    made = Services().back_up(path, version=__version__, blobs=blobs, replace=force)
    if as_json:
        lost = [address.hex() for address in made.lost]
        print_json({"path": str(made.path.absolute()), "bytes": made.size, **_document(made.manifest), "lost": lost})
        return
    click.echo(f"{made.path}: {_contents(made.manifest)}, {size(made.size)}")
    if made.lost:
        click.echo(
            f"{counted(len(made.lost), 'stored value')} of them {'was' if len(made.lost) == 1 else 'were'} gone or damaged "
            "before; what needs them runs again",
            err=True,
        )


@click.command(
    epilog="""\b
Examples:
  penstock restore penstock.tar.gz
  penstock restore /backups/monday --force     what is there now is moved aside, and kept

\b
The whole backup is checked before anything is moved. Files laid out, environments of tasks and hashes are not part of it:
they are made anew."""
)
@click.argument("path", metavar="FILE_OR_FOLDER", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Also where something is recorded already; that is moved aside, and kept.")
@json_option
def restore(path: Path, force: bool, as_json: bool) -> None:
    """Put back what `penstock backup` has written.

    Nothing may be under way in the project. Runs that were under way when the backup was made can be resumed.
    """
    from penstock.app import Services
    from penstock.cli.running import say

    services = Services()
    restored = services.restore(path, replace=force, say=say)
    runs = [run.run_id for run in restored.unfinished]
    if as_json:
        aside = None if restored.aside is None else str(restored.aside)
        home = str(services.project.home)
        print_json({"home": home, **_document(restored.manifest), "replaced": aside, "unfinished": runs})
        return
    click.echo(f"{services.project.home}: {_contents(restored.manifest)}")
    if restored.aside is not None:
        click.echo(f"what was there is in {restored.aside}; remove it when it is not needed any more")
    for run_id in runs:
        click.echo(f"run {run_id} was under way: penstock resume {run_id}")


def _document(manifest: Manifest) -> dict[str, Any]:
    from penstock.model.run import timestamp

    made_at = timestamp(manifest.made_at)
    return {"penstock": manifest.penstock, "made_at": made_at, "runs": manifest.runs, "blobs": manifest.blobs}


def _contents(manifest: Manifest) -> str:
    from penstock.model.run import timestamp
    from penstock.observe.measures import counted

    stored = "no stored values" if manifest.blobs is None else counted(manifest.blobs, "stored value")
    return f"{counted(manifest.runs, 'run')}, {stored}, as of {timestamp(manifest.made_at)}"


__all__ = ["backup", "restore"]
