"""The flags of `run` that say what of the cache may be used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from contract import states

from penstock.cli.commands import penstock

FILE = """\
from penstock import pipeline, task

@task
def first(x: int) -> int:
    return x

@task
def second(x: int) -> int:
    return x + 1

@pipeline
def main(x: int = 1) -> list[int]:
    return second.map([first(x), 5])

@pipeline
def picky() -> int:
    return first(1)

picky = picky.options(only_cached=True)
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flags.py").write_text(FILE)
    return tmp_path


def run(*flags: str, target: str = "flags.py:main", code: int = 0) -> dict[str, str]:
    """The states of the tasks of a run under flags."""
    ended = CliRunner().invoke(penstock, ["run", target, "--executor", "inline", "--json", *flags])
    assert ended.exit_code == code, ended.output
    return states(json.loads(ended.stdout))


def test_refresh_names_what_is_to_run_anew(project: Path) -> None:
    run()
    assert set(run().values()) == {"cached"}
    again = run("--refresh", "first", "--refresh", "second[1]")
    assert again == {"first": "succeeded", "second[0]": "cached", "second[1]": "succeeded"}
    assert set(run("--refresh-all").values()) == {"succeeded"}
    assert set(run().values()) == {"cached"}


def test_only_cached_runs_nothing(project: Path) -> None:
    assert run("--only-cached", code=1) == {"first": "failed", "second": "upstream_failed"}
    run()
    assert set(run("--only-cached").values()) == {"cached"}


def test_what_is_not_cached_has_no_log_to_look_at(project: Path) -> None:
    words = ["run", "flags.py:main", "-p", "x=3", "--executor", "inline", "--only-cached"]
    told = CliRunner().invoke(penstock, words).stdout.partition("next\n")[2].splitlines()
    assert [" ".join(line.split()) for line in told] == [
        "penstock run flags.py:main -p x=3 --executor inline without --only-cached: what is missing is made",
        "penstock plan flags.py:main -p x=3 --executor inline what that would run, and why",
    ]
    assert CliRunner().invoke(penstock, ["plan", *words[1:-1]]).exit_code == 0


@pytest.mark.parametrize("other", [["--no-cache"], ["--refresh", "first"], ["--refresh-all"]])
def test_flags_that_contradict_each_other_are_refused(project: Path, other: list[str]) -> None:
    ended = CliRunner().invoke(penstock, ["run", "flags.py:main", "--only-cached", *other])
    assert ended.exit_code == 2
    assert f"--only-cached runs nothing, and {other[0]} asks for tasks to be run" in ended.stderr


def test_flags_go_before_what_the_file_says(project: Path) -> None:
    assert run(target="flags.py:picky", code=1) == {"first": "failed"}
    assert run("--no-cache", target="flags.py:picky") == {"first": "succeeded"}
    assert run("--refresh", "first", target="flags.py:picky") == {"first": "succeeded"}


def test_a_name_that_is_not_there_is_refused_with_the_nearest(project: Path) -> None:
    ended = CliRunner().invoke(penstock, ["run", "flags.py:main", "--refresh", "secnd"])
    assert ended.exit_code == 2
    assert "there is nothing called 'secnd' to refresh in main; did you mean 'second'?" in ended.stderr
    assert not (project / ".penstock" / "blobs").exists()
