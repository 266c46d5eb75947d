"""The command that runs pipelines, and the group of all commands."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import click

from penstock import __version__
from penstock.cli.answering import approve, cancel, leave, resume
from penstock.cli.asset_upkeep import assets
from penstock.cli.awaiting import wait
from penstock.cli.backfill import backfill
from penstock.cli.backups import backup, restore
from penstock.cli.collection import gc, tag
from penstock.cli.daemon import up
from penstock.cli.demonstration import demo
from penstock.cli.doctor import doctor
from penstock.cli.emitting import emit
from penstock.cli.explaining import diff, why
from penstock.cli.exporting import convert, export
from penstock.cli.firing import fire
from penstock.cli.inspection import artifacts, graph, logs, runs, show_run
from penstock.cli.planning import plan
from penstock.cli.pools import pools
from penstock.cli.registering import register
from penstock.cli.renewing import retry
from penstock.cli.replaying import replay
from penstock.cli.reporting import CommandLine, json_option
from penstock.cli.target_options import settings_of, target_options
from penstock.cli.triggers import triggers
from penstock.errors import DefinitionError


@click.group(
    cls=CommandLine,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Examples:
  penstock demo                          a training pipeline on real data, to look at and to change
  penstock run pipeline.py -p depth=5    run the pipeline in a file
  penstock runs                          what has run
  penstock show latest                   the last run, task by task""",
)
@click.version_option(__version__, "-V", "--version", message="penstock %(version)s")
def penstock() -> None:
    """Machine-learning pipelines from plain functions: run anywhere, never lost, always explained."""


@penstock.command(
    epilog="""\b
Examples:
  penstock run pipeline.py
  penstock run pipeline.py:training -p threshold=0.95 -p "layers=[64, 32]"
  penstock run package.module:training --config settings.yaml --json
  penstock run pipeline.py --detach                in the background: penstock wait, logs, cancel
  penstock run pipeline.py --resume                where the last run of it was left, or failed

\b
Exit codes:
  0    the run succeeded
  1    the run failed, or was cancelled
  2    the definition, the parameters or the usage are wrong; nothing has run
  3    the run is paused: it waits for an answer (penstock approve)
  130  interrupted"""
)
@target_options
@click.option("--plan", is_flag=True, help="First show what would run, and ask.")
@click.option("-y", "--yes", is_flag=True, help="With --plan: do not ask.")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Put a tag on the run; repeatable.")
@click.option("--resume", is_flag=True, help="Go on with the latest unfinished run of the same, if there is one.")
@click.option("--detach", is_flag=True, help="Leave the run to a process in the background, and print its id.")
@click.option("--wait", is_flag=True, help="Stay with a run that only waits for answers, rather than pause it.")
@click.option("--logs", is_flag=True, help="Show what tasks print and log, live.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@json_option
def run(detach: bool, wait: bool, logs: bool, quiet: bool, **settings: Any) -> None:
    """Run the pipeline in TARGET.

    TARGET is a file (pipeline.py), a file and a name (pipeline.py:training), or a module and a name
    (package.module:training). Progress and logs go to stderr.
    """
    from penstock.cli.running import run_target

    if detach:
        sys.exit(_left(settings))
    code = run_target(
        **settings_of(settings),
        wait=wait or None,
        logs=logs or None,
        progress=not quiet,
    )
    sys.exit(code)


def _left(settings: Mapping[str, Any]) -> int:
    """Leave what was typed to a process in the background. Returns the exit code."""
    from penstock.cli.detaching import arguments_of, detach
    from penstock.cli.running import prepared

    typed = click.get_current_context()
    if settings["plan"] or settings["resume"]:
        _, found = prepared(**settings_of(settings))
        if found is not None:
            return leave(found, typed.params, as_json=settings["as_json"])
    done = dict.fromkeys(("detach", "plan", "yes", "resume"), False)
    arguments = arguments_of(typed.command, {**typed.params, **done})
    return detach("run", [*arguments, "--", settings["target"]], as_json=settings["as_json"])


@penstock.command(
    epilog="""\b
Examples:
  eval "$(penstock completion bash)"             for this shell
  penstock completion zsh > ~/.zfunc/_penstock   for every zsh
  penstock completion fish > ~/.config/fish/completions/penstock.fish"""
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what makes SHELL complete penstock's commands and options."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is None:
        raise DefinitionError(f"there is no completion for {shell}")
    click.echo(kind(penstock, {}, "penstock", "_PENSTOCK_COMPLETE").source())


for command in (plan, why, diff, runs, show_run, logs, graph, artifacts, approve, resume, cancel, pools, demo, doctor):
    penstock.add_command(command)
for command in (export, convert):
    penstock.add_command(command)
for command in (wait, retry, replay, tag, gc, backup, restore, register, emit, fire, triggers, up, assets, backfill):
    penstock.add_command(command)
