"""The executor that makes many attempts at once in one process, held to what every executor has to do."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from msgspec import structs

from penstock.executors.concurrent import ConcurrentExecutor
from penstock.model.work import Done, Imported, Work, WorkerSettings
from penstock.testing import sample_tasks as tasks
from penstock.testing.executor_bench import Bench
from penstock.testing.executor_conformance import ExecutorConformance


def settings_for(storage: dict[str, Any], parameters: dict[str, Any] | None = None) -> WorkerSettings:
    return WorkerSettings(
        values="penstock.app:open_values",
        storage=storage,
        path=tuple(sys.path),
        modules=(Imported("penstock.testing.sample_tasks", "add"),),
        parameters=parameters or {},
    )


def concurrent_executor(
    storage: dict[str, Any], parameters: dict[str, Any] | None = None, size: int = 64
) -> ConcurrentExecutor:
    return ConcurrentExecutor(settings_for(storage, parameters), size)


class OnLoop(ConcurrentExecutor):
    """Makes every attempt on the loop, also those at functions that are not asynchronous."""

    def define(self, work: Work) -> None:
        super().define(structs.replace(work, run_in="loop"))


class Shared(ExecutorConformance):
    """What holds where attempts share a process."""

    test_an_attempt_sees_only_its_devices = None  # pyright: ignore[reportAssignmentType]

    @pytest.mark.parametrize("devices", [(0,), (), None])
    def test_all_attempts_see_the_same_devices(self, bench: Bench, devices: tuple[int, ...] | None) -> None:
        everything = bench.value(tasks.which_devices)
        end = bench.end_with(tasks.which_devices, {}, {"devices": devices})
        assert isinstance(end, Done)
        assert bench.values.load(end.outputs[0]) == everything


@pytest.mark.slow
class TestThreads(Shared):
    def make_executor(self, storage: dict[str, Any], parameters: dict[str, Any]) -> ConcurrentExecutor:
        return concurrent_executor(storage, parameters, size=3)


@pytest.mark.slow
class TestLoop(Shared):
    def make_executor(self, storage: dict[str, Any], parameters: dict[str, Any]) -> ConcurrentExecutor:
        return OnLoop(settings_for(storage, parameters), size=3)
