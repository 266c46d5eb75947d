"""Tags, and the removal of what is not kept, as commands."""

from __future__ import annotations

import contextlib
import re
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from command_line import Answer
from contract import check_run
from test_terminal import Terminal

from penstock.cli.commands import penstock as commands

PAGE = Path(__file__).parents[2] / "docs" / "command-line.md"
#: removes all that it can
ALL = ("gc", "--keep", "0", "--grace", "0", "--no-cache-of-removed")


def penstock(*arguments: str, cwd: Path) -> Answer:
    """Run a command in this process, which is quicker."""
    with contextlib.chdir(cwd):
        ended = CliRunner().invoke(commands, arguments)
    return Answer(ended.exit_code, ended.stdout, ended.stderr)


def asked(folder: Path, *arguments: str) -> Answer:
    answer = penstock(*arguments, cwd=folder)
    assert answer.code == 0, answer.err
    return answer


def run(folder: Path, value: int, *options: str) -> str:
    """Run a small pipeline. Returns the id of the run."""
    return asked(
        folder, "run", "steps.py", "-p", f"value={value}", *options, "--executor", "inline", "--json"
    ).document["run_id"]


@pytest.fixture(scope="module")
def tagged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A folder in which two runs are, the first of them with tags."""
    folder = tmp_path_factory.mktemp("tagged")
    shutil.copy(Path(__file__).parent / "project" / "steps.py", folder)
    return folder, [run(folder, 1, "--tag", "release", "--tag", "a b"), run(folder, 2)]


def removed(folder: Path, *options: str) -> dict[str, Any]:
    return asked(folder, "gc", "--grace", "0", *options, "--json").document


def test_a_driver_elsewhere_that_is_silent_is_told(folder: Path) -> None:
    run_id = run(folder, 1)
    with contextlib.closing(sqlite3.connect(folder / ".penstock" / "penstock.db")) as connection, connection:
        change = "UPDATE runs SET state = 'running', driver = 'elsewhere:7@00000000-1', started_at = 1, beat_at = 1"
        connection.execute(change)
        connection.execute("UPDATE journal SET at = 1")
    answer = asked(folder, *ALL)
    assert f"run {run_id} is under way" in answer.out
    assert "was not heard of for" in answer.out and f"penstock cancel {run_id}" in answer.out
    assert removed(folder)["unheard_s"] > 3600


# Tags.


def test_tags_are_put_on_at_the_start(tagged: tuple[Path, list[str]]) -> None:
    folder, (first, second) = tagged
    document = asked(folder, "show", first, "--json").document
    check_run(document)
    assert document["tags"] == ["a b", "release"]
    assert asked(folder, "show", second, "--json").document["tags"] == []
    assert re.search(r"^ *tags +a b, release$", asked(folder, "show", first).out, re.MULTILINE)
    assert "tags" not in asked(folder, "show", second).out


def test_runs_shows_tags_and_finds_by_them(tagged: tuple[Path, list[str]]) -> None:
    folder, (first, second) = tagged
    documents = asked(folder, "runs", "--json").document
    assert [(each["run_id"], each["tags"]) for each in documents] == [(second, []), (first, ["a b", "release"])]
    assert "a b, release" in asked(folder, "runs").out
    assert [
        each["run_id"] for each in asked(folder, "runs", "--tag", "release", "--limit", "1", "--json").document
    ] == [first]
    assert asked(folder, "runs", "--tag", "other", "--json").document == []
    assert asked(folder, "runs", "--tag", "other").out == "no runs with the tag other\n"


def test_tags_are_put_on_and_taken_off(tagged: tuple[Path, list[str]]) -> None:
    folder, (_, second) = tagged
    assert asked(folder, "tag").out == f"run {second}: no tags\n"
    assert asked(folder, "tag", second, "pinned", "x", "pinned").out == f"run {second}: pinned, x\n"
    answer = asked(folder, "tag", "latest", "--remove", "x", "--remove", "pinned", "--remove", "never", "--json")
    assert answer.document == {"run_id": second, "tags": []}


def test_tags_of_an_earlier_generation_are_those_of_the_run(folder: Path) -> None:
    run_id = run(folder, 1)
    asked(folder, "retry", run_id, "number", "--quiet")
    answer = asked(folder, "tag", f"{run_id}.1", "pinned")
    assert answer.out == f"run {run_id}: pinned\n"
    assert f"{run_id}.1 is an earlier generation" in answer.err
    assert removed(folder, "--keep", "0")["runs"] == []
    assert asked(folder, "tag", f"{run_id}.1", "--remove", "pinned", "--json").document == {
        "run_id": run_id,
        "tags": [],
    }


@pytest.mark.parametrize("word", ["", " x", "a\nb", "x" * 101])
def test_what_cannot_be_a_tag_is_refused(tagged: tuple[Path, list[str]], word: str) -> None:
    folder, (first, _) = tagged
    for command in (("tag", first, word), ("run", "steps.py", "--tag", word)):
        answer = penstock(*command, cwd=folder)
        assert answer.code == 2
        assert "cannot be a tag" in answer.err
    assert len(asked(folder, "runs", "--json").document) == 2
    assert asked(folder, "tag", first, "--json").document["tags"] == ["a b", "release"]


def test_a_run_that_is_not_there_has_no_tags(tagged: tuple[Path, list[str]]) -> None:
    answer = penstock("tag", "1999", "x", cwd=tagged[0])
    assert answer.code == 2
    assert "there is no run '1999'" in answer.err


# Collection.


def test_what_goes_is_foretold_and_told(folder: Path) -> None:
    runs = [run(folder, value) for value in (1, 2, 3)]
    asked(folder, "tag", runs[0], "pinned")
    foretold = removed(folder, "--keep", "1", "--no-cache-of-removed", "--dry-run")
    assert foretold["dry_run"]
    assert foretold["runs"] == [runs[1]]
    assert foretold["kept_runs"] == 2
    assert foretold["removed"]["runs"] == {"count": 1, "bytes": None}
    assert foretold["removed"]["results"]["count"] > 0
    assert len(asked(folder, "runs", "--json").document) == 3
    # there is no terminal, so nobody is asked
    told = removed(folder, "--keep", "1", "--no-cache-of-removed")
    assert told == {**foretold, "dry_run": False}
    assert [each["run_id"] for each in asked(folder, "runs", "--json").document] == [runs[2], runs[0]]
    check_run(asked(folder, "show", runs[0], "--json").document)
    again = asked(folder, "gc", "--keep", "1", "--no-cache-of-removed", "--grace", "0")
    assert again.out.splitlines() == ["nothing to remove", "2 runs stay"]


def test_what_stays_for_now_is_told(folder: Path) -> None:
    runs = [run(folder, value) for value in (1, 2, 3)]
    assert asked(folder, "gc", "--keep", "1").out.splitlines() == [
        "nothing to remove",
        "3 runs stay, 2 of them for now: they ended less than 1 h 00 min ago (--grace)",
    ]
    document = asked(folder, "gc", "--keep", "1", "--json").document
    assert (document["kept_runs"], document["in_grace"], document["grace_s"]) == (3, 2, 3600)
    lines = asked(folder, "gc", "--keep", "1", "--grace", "0", "--dry-run").out.splitlines()
    left = re.fullmatch(r"(\d+) results of the runs that go stay in the cache \(--no-cache-of-removed\)", lines[-1])
    assert lines[-2] == "1 run stays"
    document = removed(folder, "--keep", "1")
    assert document["runs"] == [runs[1], runs[0]] and document["in_grace"] == 0
    assert left is not None and document["kept_results"] == int(left[1]) > 0


def test_the_settings_say_what_is_kept(folder: Path) -> None:
    (folder / "penstock.toml").write_text('[gc]\nkeep = 1\nkeep_tags = ["release"]\ngrace = 0\n')
    runs = [run(folder, 1, "--tag", "release"), run(folder, 2), run(folder, 3)]
    assert asked(folder, "gc", "--dry-run", "--json").document["runs"] == [runs[1]]
    assert asked(folder, "gc", "--dry-run", "--keep", "5", "--json").document["runs"] == []
    other = asked(folder, "gc", "--dry-run", "--keep-tag", "other", "--json").document
    assert other["runs"] == [runs[1], runs[0]]


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("keep = -1", "'gc.keep' takes a whole number from 0 up, not -1"),
        ('older_than = "a year"', "'gc.older_than' takes a length of time such as"),
        ('keep_tags = "x"', "'gc.keep_tags' takes a list of texts, not 'x'"),
        ("cache_of_removed = 1", "'gc.cache_of_removed' takes true or false, not 1"),
        ("keeps = 3", "there is no setting 'gc.keeps'"),
    ],
)
def test_wrong_settings_are_refused(tmp_path: Path, setting: str, told: str) -> None:
    (tmp_path / "penstock.toml").write_text(f"[gc]\n{setting}\n")
    answer = penstock("gc", cwd=tmp_path)
    assert answer.code == 2
    assert told in " ".join(answer.err.split())


def test_wrong_ages_are_refused(tmp_path: Path) -> None:
    answer = penstock("gc", "--older-than", "soon", cwd=tmp_path)
    assert answer.code == 2
    assert "'soon' is no length of time: write 30d, 12h or 90min." in answer.err


def test_where_nothing_has_run_nothing_goes(tmp_path: Path) -> None:
    assert asked(tmp_path, "gc").out.splitlines() == ["nothing to remove", "0 runs stay"]
    assert list(tmp_path.iterdir()) == []


def test_on_a_terminal_it_asks(folder: Path) -> None:
    run(folder, 1)
    for key, left in ((b"n\r", 1), (b"y\r", 0)):
        terminal = Terminal(*ALL, cwd=folder)
        terminal.read_until("It cannot be undone. [y/N]:")
        assert "would be removed" in terminal.shown
        terminal.press(key)
        assert terminal.finish() == 0
        assert ("nothing was removed" in terminal.shown) == bool(left)
        assert len(asked(folder, "runs", "--json").document) == left


def test_with_yes_it_does_not_ask(folder: Path) -> None:
    run(folder, 1)
    terminal = Terminal(*ALL, "--yes", cwd=folder)
    assert terminal.finish() == 0
    assert "undone" not in terminal.shown
    assert re.search(r"runs +1\b", terminal.shown)
    assert asked(folder, "runs", "--json").document == []


def test_the_page_lists_every_option_of_gc() -> None:
    section = PAGE.read_text(encoding="utf-8").partition("| option of `gc` |")[2].partition("\n\n")[0]
    documented = set(re.findall(r"^\| `(-[\w-]+)", section, re.MULTILINE))
    options = [option for option in commands.commands["gc"].params if isinstance(option, click.Option)]
    assert documented == {option.opts[0] for option in options} - {"--json"}
