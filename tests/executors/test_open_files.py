"""Runs in one process, such as a notebook's, leave no open files behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock import pipeline, task

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are listed by Linux")


@task
def double(number: int) -> int:
    return 2 * number


@pipeline
def doubled(number: int) -> int:
    return double(number)


@pytest.mark.parametrize("executor", ["inline", "processes"])
def test_a_run_closes_what_it_opens(executor: str, tmp_path: Path) -> None:
    ready = doubled.options(executor=executor, workers=1, home=tmp_path / "state", progress=False)
    counts: list[int] = []
    for number in (1, 2, 2):
        assert ready.run(number=number).result == 2 * number
        counts.append(len(list(Path("/proc/self/fd").iterdir())))
    assert counts[1:] == counts[:1] * 2
