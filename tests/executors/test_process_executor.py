"""The executor of warm worker processes."""

from __future__ import annotations

import sys
from typing import Any

from penstock.executors.processes import ProcessExecutor
from penstock.model.work import Imported, WorkerSettings
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


class TestProcessExecutor(ExecutorConformance):
    def make_executor(self, storage: dict[str, Any], parameters: dict[str, Any]) -> ProcessExecutor:
        return process_executor(storage, parameters)
