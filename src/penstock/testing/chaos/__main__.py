"""`python -m penstock.testing.chaos`: kills a pipeline again and again, and looks whether anything was lost."""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

if TYPE_CHECKING:
    from penstock.testing.chaos.trial import Outcome


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--trials", default=100, show_default=True, type=click.IntRange(1))
@click.option("--seed", default=1, show_default=True, type=int)
@click.option("--trial", "only", type=click.IntRange(0), help="Only the trial with this number: plays one again.")
@click.option("--beside", default=2, show_default=True, type=click.IntRange(1), help="Trials beside each other.")
@click.option("--postgres", is_flag=True, help="Keep the runs in a PostgreSQL server, which is started for it.")
@click.option("--blobs", metavar="URL", help="Keep artifacts in a bucket, those of each trial apart.")
@click.option("--summary", "form", default="text", type=click.Choice(["text", "json"]), show_default=True)
@click.option("--folder", type=click.Path(path_type=Path), help="Where trials take place; those that fail stay there.")
def main(
    trials: int,
    seed: int,
    only: int | None,
    beside: int,
    form: str,
    folder: Path | None,
    postgres: bool,
    blobs: str | None,
) -> None:
    """Run a pipeline, kill its processes at named points and at random moments, go on with it, and compare what comes of it with
    a run that nothing happened to. The exit code is 1 if anything was lost."""
    if importlib.util.find_spec("pyarrow") is None:
        raise click.UsageError(
            "the pipeline that is killed needs the package pyarrow, which is not installed: "
            "pip install 'penstock[frames]'"
        )
    from penstock.testing.chaos.harness import chaos, table

    at = folder or Path(tempfile.mkdtemp(prefix="penstock-chaos-"))
    at.mkdir(parents=True, exist_ok=True)
    numbers = range(trials) if only is None else [only]

    def told(outcome: Outcome) -> None:
        if outcome.problems or only is not None:
            story = "; ".join(outcome.story)
            click.echo(f"trial {outcome.number} ({story}): {'; '.join(outcome.problems) or 'all is well'}", err=True)
            again = f"--seed {seed} --trial {outcome.number} --folder {at}{' --postgres' if postgres else ''}{f' --blobs {blobs}' if blobs else ''}"
            click.echo(f"  again: python -m penstock.testing.chaos {again}", err=True)

    with _stores(postgres, blobs) as variables:
        summary = chaos(numbers, seed, at.absolute(), beside=beside, told=told, variables=variables)
    click.echo(msgspec.json.encode(summary).decode() if form == "json" else table(summary))
    if not summary.failed and folder is None:
        at.rmdir()
    sys.exit(1 if summary.failed else 0)


@contextmanager
def _stores(postgres: bool, blobs: str | None) -> Generator[Callable[[str], Mapping[str, str]]]:
    """The variables that say where the runs and the artifacts of a trial are kept, by its name, for the block."""

    def kept(name: str) -> dict[str, str]:
        return {"PENSTOCK_BLOBS": f"{blobs}/{name}"} if blobs else {}

    if not postgres:
        yield kept
        return
    from penstock.testing.postgres import Cluster

    with Cluster.start() as cluster:
        yield lambda name: {"PENSTOCK_STORE": cluster.database(name), **kept(name)}


if __name__ == "__main__":
    main(prog_name="python -m penstock.testing.chaos")
