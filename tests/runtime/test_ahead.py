"""What is begun ahead of a run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from penstock import pipeline, task

if TYPE_CHECKING:
    import pytest


@task
def doubled(x: int) -> int:
    return 2 * x


@task
def variable(x: int) -> str:
    return os.environ["SET_BY_THE_BODY"]


@pipeline
def all_doubled(x: int) -> int:
    return doubled(x)


@pipeline
def one_variable(x: int) -> str:
    os.environ["SET_BY_THE_BODY"] = "as the body says"
    return variable(x)


def children() -> str:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text()


def test_nothing_is_left_of_it_where_all_is_cached(tmp_path: Path) -> None:
    pipeline = all_doubled.options(home=tmp_path, executor="processes", workers=1, progress=False)
    before = children()
    assert [pipeline(1), pipeline(1)] == [2, 2]
    assert children() == before


def test_workers_have_the_variables_that_the_body_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SET_BY_THE_BODY", "as it was")
    pipeline = one_variable.options(home=tmp_path, executor="processes", workers=1, progress=False)
    assert pipeline(1) == "as the body says"
