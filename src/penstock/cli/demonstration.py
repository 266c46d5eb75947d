"""`penstock demo`: the training example, written where the user wants it, and run."""

from __future__ import annotations

import importlib.util
import os
import shlex
import sys
from pathlib import Path

import click

from penstock.cli.reporting import json_option, show
from penstock.errors import DefinitionError

#: what the example imports
_NEEDED = ("sklearn", "pandas", "pyarrow", "matplotlib")


@click.command(
    epilog="""\b
Examples:
  penstock demo                a folder penstock-demo here
  penstock demo ~/try-it"""
)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=Path("penstock-demo"))
@json_option
def demo(folder: Path, as_json: bool) -> None:
    """Write a training pipeline on real data into FOLDER, and run it."""
    from penstock.cli.running import run_target
    from penstock.cli.views import next_steps

    _check_needs()
    written = write_example(folder)
    for file in written:
        click.echo(f"wrote {file}", err=True)
    os.chdir(folder)
    code = run_target("pipeline.py", as_json=as_json, progress=True)
    if not as_json:
        show(next_steps(_further(folder), "the demo"))
    sys.exit(code)


def _check_needs() -> None:
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise DefinitionError(
            f"the demo needs {', '.join(missing)}", remedy="Install penstock with its extras `ml` and `frames`."
        )


def write_example(folder: Path) -> list[Path]:
    """Copy the training example into a folder. Files that are there already are left as they are.

    Returns the files written. Raises DefinitionError if the folder cannot be written.
    """
    written: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for source in sorted(example_folder().iterdir()):
            target = folder / source.name
            if source.is_file() and not target.exists():
                target.write_bytes(source.read_bytes())
                written.append(target)
    except OSError as error:
        raise DefinitionError(f"cannot write the example into {folder}: {error.strerror or error}") from None
    return written


def example_folder() -> Path:
    """Where the example comes with this installation: in the package, or beside it in a checkout."""
    package = Path(__file__).parent.parent
    for folder in (package / "examples" / "training", package.parent.parent / "examples" / "training"):
        if folder.is_dir():
            return folder
    raise DefinitionError("this installation of penstock has no examples")


def _further(folder: Path) -> list[tuple[str, str]]:
    return [
        (shlex.join(["cd", str(folder)]), "the example is yours: read it, change it"),
        ("penstock run pipeline.py", "again: unchanged tasks come from the cache"),
        ("penstock run pipeline.py -p threshold=0.999", "the gate closes: nothing is registered"),
    ]
