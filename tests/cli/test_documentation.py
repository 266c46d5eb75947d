from __future__ import annotations

import re
from pathlib import Path

import click

from penstock.cli.commands import penstock

PAGE = Path(__file__).parents[2] / "docs" / "command-line.md"


def table(title: str) -> dict[str, str]:
    """The rows of the first table below a heading of the page, by what is in code in their first cell."""
    section = PAGE.read_text(encoding="utf-8").partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([^`]+)` \| (.*) \|$", section, re.MULTILINE)
    assert rows
    return dict(rows)


def test_the_page_lists_every_command() -> None:
    shown = {name for name, command in penstock.commands.items() if not command.hidden}
    assert {name.split()[0] for name in table("Commands")} == shown


def test_the_page_lists_every_option_of_run() -> None:
    options = [option for option in penstock.commands["run"].params if isinstance(option, click.Option)]
    documented = {name.split()[0] for name in table("`run`")}
    assert documented == {option.opts[0] for option in options}


def test_the_page_lists_every_exit_code() -> None:
    from penstock.cli.reporting import FAILED, INTERRUPTED, PAUSED, SUCCEEDED, WRONG

    assert {int(code) for code in table("Exit codes")} == {SUCCEEDED, FAILED, WRONG, PAUSED, INTERRUPTED}


def test_the_page_lists_every_option_of_approve() -> None:
    section = PAGE.read_text(encoding="utf-8").partition("| option of `approve` |")[2].partition("\n\n")[0]
    documented = set(re.findall(r"`(-[\w-]+)", section))
    shared = {"--executor", "--workers", "--target", "--logs", "-q", "--json"}
    options = [option for option in penstock.commands["approve"].params if isinstance(option, click.Option)]
    assert documented == {option.opts[0] for option in options} - shared
