"""The executor of warm worker processes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from penstock.app import open_values
from penstock.executors.processes import ProcessExecutor
from penstock.model.work import Done, Imported, Job, WorkerSettings
from penstock.testing import sample_tasks as tasks
from penstock.testing.executor_bench import Bench, code_of
from penstock.testing.executor_conformance import ExecutorConformance


def process_executor(
    storage: dict[str, Any], parameters: dict[str, Any] | None = None, size: int = 2
) -> ProcessExecutor:
    settings = WorkerSettings(
        values="penstock.app:open_values",
        storage=storage,
        path=tuple(sys.path),
        modules=(Imported("penstock.testing.sample_tasks", "add"),),
        parameters=parameters or {},
    )
    return ProcessExecutor(settings, size)


def test_what_a_generator_yields_is_reported_at_once(tmp_path: Path) -> None:
    storage = {"blobs": str(tmp_path / "blobs"), "workspace": str(tmp_path / "workspace"), "pickle": True}
    bench = Bench(process_executor(storage), open_values(storage), code_of)
    work = bench.define(tasks.pass_on, yields=True)
    bench.submit(Job(work, -1, 1, bench.stored({"folder": str(tmp_path), "count": 3})))
    for number in range(3):
        bench.wait_for(lambda number=number: len(bench.yielded()) == number + 1)
        (tmp_path / str(number)).touch()
    (end,) = bench.finish().values()
    assert isinstance(end, Done)
    bench.executor.close()


class TestProcessExecutor(ExecutorConformance):
    def make_executor(self, storage: dict[str, Any], parameters: dict[str, Any]) -> ProcessExecutor:
        return process_executor(storage, parameters)
