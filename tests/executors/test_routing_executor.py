"""The executor that is made of several."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import crowded_tasks as crowded
import pytest
from msgspec import structs
from test_concurrent_executor import concurrent_executor, settings_for
from test_inline_executor import FUNCTIONS

from penstock.app import open_values
from penstock.executors.concurrent import ConcurrentExecutor
from penstock.executors.inline import InlineExecutor
from penstock.executors.processes import ProcessExecutor
from penstock.executors.routing import RoutingExecutor, kind_of
from penstock.executors.workers.server import Server
from penstock.model.action import Environment
from penstock.model.work import Done, Erred, Job, Local, Unstarted, Work
from penstock.testing import sample_tasks as tasks
from penstock.testing.executor_bench import Bench, code_of, name_of
from penstock.testing.executor_conformance import ExecutorConformance


def routing_executor(storage: dict[str, Any], parameters: dict[str, Any] | None = None) -> RoutingExecutor:
    """With one server that starts the workers of all kinds."""
    settings = settings_for(storage, parameters)
    server = Server(settings)
    return RoutingExecutor(
        {
            "process": ProcessExecutor(settings, 2, server),
            "thread": ConcurrentExecutor(settings, 4, server),
            "loop": ConcurrentExecutor(settings, 8, server),
        }
    )


@pytest.mark.slow
class TestRoutingExecutor(ExecutorConformance):
    """With work of one kind only, it is an executor like any other."""

    def make_executor(self, storage: dict[str, Any], parameters: dict[str, Any]) -> RoutingExecutor:
        return routing_executor(storage, parameters)

    test_jobs_that_wait_behind_a_long_one_are_given_back = None  # pyright: ignore[reportAssignmentType]
    test_jobs_that_pile_up_behind_a_long_one_later_are_given_back = None  # pyright: ignore[reportAssignmentType]


@pytest.fixture
def storage(tmp_path: Path) -> dict[str, Any]:
    return {"blobs": str(tmp_path / "blobs"), "workspace": str(tmp_path / "workspace"), "pickle": True}


@pytest.fixture
def bench(storage: dict[str, Any]) -> Generator[Bench]:
    executor = routing_executor(storage)
    yield Bench(executor, open_values(storage), code_of)
    executor.close(kill=True)


def of_kind(bench: Bench, kind: Any) -> list[Any]:
    return [report for report in bench.reports if isinstance(report, kind)]


def test_each_kind_of_work_has_a_process_of_its_own(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "enough").touch()
    inputs = bench.stored({"path": str(tmp_path / "enough")})
    pids: dict[str, set[int]] = {}
    for run_in, task in (
        ("process", crowded.wait_for_in_thread),
        ("thread", crowded.wait_for_in_thread),
        ("loop", crowded.wait_for),
    ):
        work = bench.define(task, run_in=run_in)
        ends = bench.finish(*(Job(work, item, 1, inputs) for item in range(20)))
        assert all(isinstance(end, Done) for end in ends.values())
        pids[run_in] = {end.usage.worker for end in ends.values()}
    assert len(pids["thread"]) == len(pids["loop"]) == 1
    parents = {
        Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1] for each in pids.values() for pid in each
    }
    assert len(parents) == 1
    assert not pids["process"] & pids["thread"] | pids["thread"] & pids["loop"] | pids["loop"] & pids["process"]


def test_kinds_do_not_wait_for_each_other(bench: Bench, tmp_path: Path) -> None:
    inputs = bench.stored({"path": str(tmp_path / "enough")})
    processes = bench.define(crowded.wait_for_in_thread)
    bench.submit(*(Job(processes, item, 1, inputs) for item in range(2)))
    loop = bench.define(crowded.nap, run_in="loop")
    bench.submit(*(Job(loop, item, 1, bench.stored({"seconds": 0.01})) for item in range(20)))
    bench.wait_for(lambda: len(of_kind(bench, Done)) == 20)
    assert {report.work for report in of_kind(bench, Done)} == {loop}
    (tmp_path / "enough").touch()
    assert len(bench.finish()) == 2


def test_a_death_of_one_kind_costs_no_other(bench: Bench, tmp_path: Path) -> None:
    waiting = bench.define(crowded.wait_for, run_in="loop")
    bench.submit(Job(waiting, -1, 1, bench.stored({"path": str(tmp_path / "enough")})))
    for run_in in ("process", "thread"):
        lethal = bench.define(crowded.kill_itself, run_in=run_in)
        bench.submit(Job(lethal, -1, 1, {}))
        bench.wait_for(lambda lethal=lethal: any(end.work == lethal for end in of_kind(bench, Erred)))
    (tmp_path / "enough").touch()
    (end,) = bench.finish().values()
    assert isinstance(end, Done)
    assert len(of_kind(bench, Erred)) == 2


def test_room_is_told_by_kind(bench: Bench, tmp_path: Path) -> None:
    executor = bench.executor
    assert isinstance(executor, RoutingExecutor)
    before = executor.room()
    assert executor.room(shared=True) == 4 + 8
    work = bench.define(crowded.wait_for, run_in="loop")
    inputs = bench.stored({"path": str(tmp_path / "enough")})
    bench.submit(*(Job(work, item, 1, inputs) for item in range(10)))
    assert (executor.room(), executor.room(shared=True)) == (before, 4)
    (tmp_path / "enough").touch()
    assert len(bench.finish()) == 10
    # what one executor has no room for waits here, and never comes back
    assert not of_kind(bench, Unstarted)
    assert executor.room(shared=True) == 4 + 8


def test_stopping_what_is_under_way_and_what_waits(bench: Bench, tmp_path: Path) -> None:
    work = bench.define(crowded.sleep_long, run_in="loop")
    jobs = [Job(work, item, 1, bench.stored({"folder": str(tmp_path)})) for item in range(10)]
    bench.submit(*jobs)
    bench.wait_for(lambda: len(list(tmp_path.glob("begun-*"))) == 8)
    for job in reversed(jobs):
        bench.executor.stop(job)
    ends = bench.finish()
    assert set(ends) == set(map(name_of, jobs))
    assert all(isinstance(end, Erred) and "stopped" in end.fault.message for end in ends.values())
    assert len(list(tmp_path.glob("begun-*"))) == 8


def test_work_with_an_environment_has_a_process_of_its_own() -> None:
    nothing: dict[str, Any] = {}
    work = Work(1, "run-1", "nap", "nap", code_of(crowded.nap), (), (), None, nothing, run_in="loop")
    assert kind_of(work) == "loop"
    assert kind_of(structs.replace(work, environment=Environment(requirements=("numpy",)))) == "process"


def test_with_an_executor_that_cannot_be_waited_for(storage: dict[str, Any]) -> None:
    values = open_values(storage)
    inline = InlineExecutor(values, {}, FUNCTIONS)
    executor = RoutingExecutor({"process": inline, "loop": concurrent_executor(storage)})
    bench = Bench(executor, values, code_of)
    here = bench.define(tasks.add, code=Local("add"))
    there = bench.define(crowded.nap, run_in="loop")
    ends = bench.finish(
        *(Job(here, item, 1, bench.stored({"left": item})) for item in range(50)),
        *(Job(there, item, 1, bench.stored({"seconds": 0.01})) for item in range(50)),
    )
    assert len(ends) == 100
    assert all(isinstance(end, Done) for end in ends.values())
    executor.close()
