"""The command that makes one task of a past run again."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import click

from penstock.cli.named_runs import run_named
from penstock.cli.reporting import FAILED, SUCCEEDED, json_option, print_json, show, stdout_kept_clean

if TYPE_CHECKING:
    from penstock.authoring.pipeline import Definition
    from penstock.model.run import Provenance, RunRecord


class _Command(click.Command):
    """Takes `--pdb` without a value wherever it stands."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, ["--pdb=auto" if each == "--pdb" else each for each in args])


@click.command(
    cls=_Command,
    epilog="""\b
Examples:
  penstock replay latest train
  penstock replay latest "fit[rf]" --pdb
  penstock replay 20261121-0953 train --code today --compare

\b
Exit codes:
  0  the task returned; with --compare: it did what is recorded
  1  the task raised; with --compare: it did something else
  2  it cannot be made again: nothing has run""",
)
@click.argument("run")
@click.argument("node")
@click.option(
    "--code",
    type=click.Choice(["stored", "today"]),
    default=None,
    help="The code of the run, or that of today; default: today's where it does the same.",
)
@click.option(
    "--pdb",
    type=click.Choice(["auto", "start", "error"]),
    default=None,
    metavar="[=start|error]",
    help="Enter the debugger at the task's first line, or where it raises; default: the latter for what failed in the run.",
)
@click.option(
    "--compare/--no-compare", default=None, help="Fail if it does anything else than in the run; or do not compare."
)
@click.option("--target", default=None, metavar="FILE", help="Where the pipeline is today, if it has moved.")
@json_option
def replay(
    run: str,
    node: str,
    code: Any,
    pdb: Any,
    compare: bool | None,
    target: str | None,
    as_json: bool,
) -> None:
    """Make the task NODE of a RUN again, here, with the inputs that it had.

    NODE is a node (train), an item (fit[3], fit[rf]), or a node inside another (fold[rf]/fit). What the task prints and
    logs is shown while it runs, and its outputs are compared with those that are recorded. Nothing is recorded by it.
    """
    from penstock.app import Services
    from penstock.cli.replay_view import replay_view
    from penstock.cli.targets import make_importable

    services = Services()
    with services.existing_store() as store:
        record = run_named(store, run)
        provenance = store.provenance(record.run_id)
    define = _definition(record, provenance, target)
    replayer = services.replayer(define, prefers_defined=target is not None)
    with ExitStack() as surroundings:
        if as_json:
            surroundings.enter_context(stdout_kept_clean())
        surroundings.enter_context(_logs_shown())
        make_importable([str(services.project.folder), *provenance.source])
        made = replayer.replay(record, node, code, pdb, compare=compare is not False)
    if as_json:
        print_json(made.document)
    else:
        show(replay_view(made.document))
    differs = compare is True and made.same is False
    # with --compare, what failed in the run has to fail again
    failed = made.error is not None and not (compare is True and made.same)
    sys.exit(FAILED if failed or differs else SUCCEEDED)


def _definition(record: RunRecord, provenance: Provenance, target: str | None) -> Callable[[], Definition]:
    """Gives the pipeline of a run as it is today, with the parameters of the run."""
    known: list[Definition] = []

    def define() -> Definition:
        from penstock.cli.targets import load_target, target_of

        if not known:
            pipeline = load_target(target or target_of(record, provenance))
            source = f"run {record.run_id}"
            values = pipeline.signature.resolve(given={}, config=record.parameters, config_source=source)
            known.append(pipeline.begin(values))
            body = known[0].body
            if body is not None:
                body.stop()
        return known[0]

    return define


@contextmanager
def _logs_shown() -> Generator[None]:
    """What is logged in the block is shown on stderr, when it is."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)


__all__ = ["replay"]
