"""The process of a fork server that is begun ahead of the run."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from pathlib import Path
from sys import path
from typing import Any

import pytest
from test_concurrent_executor import settings_for

from penstock.app import open_values
from penstock.executors.processes import ProcessExecutor
from penstock.executors.workers.server import Server
from penstock.executors.workers.spare import Spare
from penstock.model.work import Done
from penstock.testing import sample_tasks as tasks
from penstock.testing.executor_bench import Bench, code_of


@pytest.fixture
def storage(tmp_path: Path) -> dict[str, Any]:
    return {"blobs": str(tmp_path / "blobs"), "workspace": str(tmp_path / "workspace"), "pickle": True}


@pytest.fixture
def others() -> set[int]:
    """Processes that other tests have started."""
    return children()


@pytest.fixture
def spare(others: set[int]) -> Generator[Spare]:
    spare = Spare(path)
    yield spare
    spare.close()


@pytest.fixture
def bench(storage: dict[str, Any], spare: Spare) -> Generator[Bench]:
    settings = settings_for(storage)
    executor = ProcessExecutor(settings, 1, Server(settings, spare))
    yield Bench(executor, open_values(storage), code_of)
    executor.close(kill=True)


def children() -> set[int]:
    return set(map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()))


def worker_of(bench: Bench) -> int:
    (end,) = bench.finish(bench.job(tasks.add, left=1, right=2)).values()
    assert isinstance(end, Done)
    return end.usage.worker


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_workers_are_forked_from_it(others: set[int], bench: Bench) -> None:
    (begun,) = children() - others
    assert parent_of(worker_of(bench)) == begun
    assert children() - others == {begun}


def test_one_that_is_not_needed_is_gone(others: set[int], spare: Spare) -> None:
    assert len(children() - others) == 1
    spare.close()
    assert not children() - others
    spare.close()


def test_one_that_was_killed_meanwhile_is_replaced(others: set[int], bench: Bench) -> None:
    (begun,) = children() - others
    os.kill(begun, signal.SIGKILL)
    assert parent_of(worker_of(bench)) not in (begun, os.getpid())
