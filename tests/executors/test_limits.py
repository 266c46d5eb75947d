"""Stopping, time and memory in worker processes: what goes too far is ended, with all that it has started."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

import fatal_tasks as fatal
import pytest
from test_inline_executor import FUNCTIONS
from test_process_executor import process_executor
from test_worker_deaths import is_alive, wait_until

from penstock.app import open_values
from penstock.executors.inline import InlineExecutor
from penstock.executors.watching.deaths import KernelKills, fault_of_death
from penstock.executors.watching.descendants import SPARED, end_trees, tree
from penstock.model.work import Done, Erred, Job, Local, Told, Unstarted
from penstock.testing import sample_tasks as tasks
from penstock.testing.executor_bench import Bench, code_of, name_of

#: the long ring: real kills, real limits
pytestmark = pytest.mark.slow

MEGABYTE = 1_000_000


@pytest.fixture
def storage(tmp_path: Path) -> dict[str, Any]:
    return {"blobs": str(tmp_path / "blobs"), "workspace": str(tmp_path / "workspace"), "pickle": True}


@pytest.fixture
def bench(storage: dict[str, Any]) -> Generator[Bench]:
    """Two workers."""
    executor = process_executor(storage)
    yield Bench(executor, open_values(storage), code_of)
    executor.close(kill=True)


@pytest.fixture
def single(storage: dict[str, Any]) -> Generator[Bench]:
    """One worker."""
    executor = process_executor(storage, size=1)
    yield Bench(executor, open_values(storage), code_of)
    executor.close(kill=True)


def pids_in(folder: Path) -> list[int]:
    return [int(text) for file in folder.glob("*.pid") if (text := file.read_text().strip())]


def erred(end: Any) -> Erred:
    assert isinstance(end, Erred), end
    return end


# Whole trees of processes.


def test_stopping_ends_all_that_the_task_has_started(bench: Bench, tmp_path: Path) -> None:
    job = bench.job(fatal.start_daemons, folder=str(tmp_path), seconds=600.0)
    bench.submit(job)
    bench.wait_for(lambda: len(pids_in(tmp_path)) == 5)
    pids = pids_in(tmp_path)
    assert all(map(is_alive, pids))
    bench.executor.stop(job)
    assert erred(bench.finish()[name_of(job)]).fault.message.startswith("the attempt was stopped")
    assert not any(map(is_alive, pids))


def test_a_timeout_ends_all_that_the_task_has_started(bench: Bench, tmp_path: Path) -> None:
    end = erred(bench.end_with(fatal.start_daemons, {"timeout": 2.0}, folder=str(tmp_path), seconds=600.0))
    assert end.fault.cause == "timeout"
    pids = pids_in(tmp_path)
    assert len(pids) == 5
    assert not any(map(is_alive, pids))


@pytest.mark.parametrize("code", [0, 3])
def test_a_worker_s_death_ends_all_that_the_task_has_started(bench: Bench, tmp_path: Path, code: int) -> None:
    report = bench.erred(fatal.leave_with_daemons, folder=str(tmp_path), code=code)
    assert f"exit code {code}" in report.fault.message
    pids = pids_in(tmp_path)
    assert len(pids) == 5
    assert not any(map(is_alive, pids))


def test_what_a_task_left_running_outlives_a_worker_that_is_let_go(bench: Bench, tmp_path: Path) -> None:
    bench.done(fatal.start_daemons, folder=str(tmp_path), seconds=0.0)
    wait_until(lambda: len(pids_in(tmp_path)) == 5)
    bench.executor.close()
    pids = [int((tmp_path / f"{name}.pid").read_text()) for name in ("daemon", "inner", "shell", "fork")]
    assert all(map(is_alive, pids))
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


_DRIVER = """
import sys, time
sys.path[:0] = {path!r}
import fatal_tasks as fatal
from test_process_executor import process_executor
from penstock.app import open_values
from penstock.testing.executor_bench import Bench, code_of
storage = {storage!r}
bench = Bench(process_executor(storage), open_values(storage), code_of)
bench.submit(bench.job(fatal.start_daemons, folder={folder!r}, seconds=600.0))
bench.submit(bench.job(fatal.write_scratch, folder={folder!r}))
bench.wait_for(lambda: False)
"""


def test_a_driver_that_is_killed_leaves_nothing_behind(storage: dict[str, Any], tmp_path: Path) -> None:
    script = _DRIVER.format(path=sys.path, storage=storage, folder=str(tmp_path))
    driver = subprocess.Popen([sys.executable, "-c", script])
    wait_until(lambda: len(pids_in(tmp_path)) == 5 and (tmp_path / "scratch").exists())
    driver.kill()
    driver.wait()
    wait_until(lambda: not any(map(is_alive, pids_in(tmp_path))))
    scratch = Path((tmp_path / "scratch").read_text())
    wait_until(lambda: not scratch.parent.exists())


def test_a_process_that_cleans_up_is_spared(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    start = f"{SPARED}=1 sh -c 'echo $$ > {told}; exec sleep 600' & sleep 600"
    shell = subprocess.Popen(["sh", "-c", start], start_new_session=True)
    wait_until(lambda: told.exists() and told.read_text().strip())
    wait_until(lambda: len(tree(shell.pid)) == 3)
    spared = int(told.read_text())
    (other,) = set(tree(shell.pid)) - {shell.pid, spared}
    end_trees([shell.pid])
    shell.wait()
    wait_until(lambda: not is_alive(other))
    assert is_alive(spared)
    os.kill(spared, signal.SIGKILL)


# What was written half.


def test_the_scratch_folder_of_a_stopped_attempt_is_gone(bench: Bench, tmp_path: Path) -> None:
    job = bench.job(fatal.write_scratch, folder=str(tmp_path))
    bench.submit(job)
    bench.wait_for((tmp_path / "scratch").exists)
    scratch = Path((tmp_path / "scratch").read_text())
    assert (scratch / "half.txt").exists()
    bench.executor.stop(job)
    bench.finish()
    assert not scratch.exists()
    assert not scratch.parent.exists()


def test_half_written_blobs_of_a_stopped_attempt_are_gone(bench: Bench, tmp_path: Path) -> None:
    job = bench.job(fatal.store_half, told=str(tmp_path / "storing"))
    bench.submit(job)
    bench.wait_for((tmp_path / "storing").exists)
    bench.executor.stop(job)
    assert isinstance(bench.finish()[name_of(job)], Erred)
    assert list((tmp_path / "blobs").glob("tmp/*")) == []


# Time.


def test_time_counts_from_when_the_attempt_begins(single: Bench) -> None:
    slow = single.job(tasks.sleep, seconds=0.6)
    work = single.define(tasks.add, timeout=0.3)
    ends = single.finish(slow, *(Job(work, item, 1, single.stored({"left": item})) for item in range(3)))
    assert all(isinstance(end, Done) for end in ends.values())


def test_waiting_for_a_report_ends_with_the_attempt_s_time(single: Bench) -> None:
    single.submit(Job(single.define(tasks.sleep, timeout=0.3), -1, 1, single.stored({"seconds": 600.0})))
    (report,) = single.executor.poll(None)
    assert erred(report).fault.cause == "timeout"
    assert 0.3 <= erred(report).usage.duration < 30


def test_a_timeout_costs_no_other_attempt(bench: Bench) -> None:
    work = bench.define(tasks.sleep, timeout=0.4)
    long = [Job(work, item, 1, bench.stored({"seconds": 600.0})) for item in range(4)]
    short = [Job(work, item, 1, bench.stored({"seconds": 0.001})) for item in range(4, 40)]
    ends = bench.finish(*(job for pair in zip(long, short, strict=False) for job in pair), *short[4:])
    assert {erred(ends[name_of(job)]).fault.cause for job in long} == {"timeout"}
    assert all(isinstance(ends[name_of(job)], Done) for job in short)


def test_a_stop_that_comes_too_late_costs_no_other_attempt(single: Bench) -> None:
    work, stored = single.define(tasks.sleep), single.stored({"seconds": 0.002})
    for turn in range(1, 21):
        first, *others = jobs = [Job(work, item, turn, stored) for item in range(3)]
        single.submit(*jobs)
        single.poll(0.002)
        single.executor.stop(first)
        names = set(map(name_of, jobs))
        single.wait_for(lambda names=names: names <= answers(single).keys())
        assert all(isinstance(answers(single)[name_of(job)], (Done, Unstarted)) for job in others)
        assert single.value(tasks.add, left=turn) == 100 + turn


def answers(bench: Bench) -> dict[Any, Any]:
    return {name_of(report): report for report in bench.reports if not isinstance(report, Told)}


def test_inline_time_is_not_limited_in_other_threads(storage: dict[str, Any]) -> None:
    bench = Bench(InlineExecutor(open_values(storage), {}, FUNCTIONS), open_values(storage), lambda t: Local(t.name))
    ends: list[Any] = []
    thread = threading.Thread(target=lambda: ends.append(bench.end_with(tasks.sleep, {"timeout": 0.05}, seconds=0.2)))
    thread.start()
    thread.join()
    assert isinstance(ends[0], Done)


def test_inline_time_tells_the_place_and_leaves_the_alarm_as_it_was(storage: dict[str, Any]) -> None:
    rung: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, at: rung.append(number))
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    try:
        executor = InlineExecutor(open_values(storage), {}, {"hold_memory": fatal.hold_memory.function})
        bench = Bench(executor, open_values(storage), lambda task: Local(task.name))
        fault = erred(bench.end_with(fatal.hold_memory, {"timeout": 0.05}, size=1)).fault
        assert "time.sleep(seconds)" in fault.traceback
        assert "penstock/executors" not in fault.traceback
        assert fault.traceback.rstrip().endswith(f"penstock.TaskTimeoutError: {fault.message}")
        assert not rung
        wait_until(lambda: rung)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


# Memory.


def test_an_attempt_that_uses_too_much_memory(bench: Bench) -> None:
    end = erred(bench.end_with(fatal.hold_memory, {}, {"memory": 200 * MEGABYTE}, size=300 * MEGABYTE))
    assert (end.fault.type, end.fault.cause, end.fault.infrastructure) == ("penstock.OutOfMemoryError", "memory", False)
    assert re.fullmatch(
        r"the attempt used [\d.]+ MB of memory, 200 MB are allowed \(worker process \d+\)", end.fault.message
    )
    assert end.usage.peak_memory > 200 * MEGABYTE
    assert bench.value(tasks.add, left=1) == 101


def test_memory_within_the_limit(bench: Bench) -> None:
    end = bench.end_with(fatal.hold_memory, {}, {"memory": 400 * MEGABYTE}, size=200 * MEGABYTE, seconds=0.3)
    assert isinstance(end, Done)


def test_the_memory_of_child_processes_counts(bench: Bench) -> None:
    end = bench.end_with(
        fatal.hold_memory_elsewhere, {}, {"memory": 300 * MEGABYTE}, size=120 * MEGABYTE, share=MEGABYTE
    )
    assert erred(end).fault.cause == "memory"


def test_memory_that_child_processes_share_counts_once(bench: Bench) -> None:
    end = bench.end_with(
        fatal.hold_memory_elsewhere, {}, {"memory": 400 * MEGABYTE}, size=MEGABYTE, share=200 * MEGABYTE
    )
    assert isinstance(end, Done)


def test_files_in_memory_do_not_count(bench: Bench, tmp_path: Path) -> None:
    file = tmp_path / "large"
    file.write_bytes(b"x" * 300 * MEGABYTE)
    end = bench.end_with(fatal.read_mapped, {}, {"memory": 200 * MEGABYTE}, path=str(file), seconds=0.3)
    assert isinstance(end, Done)
    assert bench.values.load(end.outputs[0]) == 300 * MEGABYTE


def test_after_a_memory_error_the_worker_is_replaced(single: Bench) -> None:
    first = single.value(fatal.pid)
    failing = single.job(fatal.raise_memory_error)
    others = single.jobs(fatal.pid, 5)
    ends = single.finish(failing, *others)
    assert erred(ends[name_of(failing)]).fault.cause == "memory"
    assert erred(ends[name_of(failing)]).usage.worker == first
    assert single.value(fatal.pid) != first


def test_memory_that_others_left_behind_is_not_held_against_an_attempt(single: Bench) -> None:
    first = single.value(fatal.leak, size=200 * MEGABYTE)
    end = single.end_with(fatal.hold_memory, {}, {"memory": 300 * MEGABYTE}, size=150 * MEGABYTE, seconds=0.2)
    assert isinstance(end, Done)
    assert end.usage.worker != first
    assert any(isinstance(report, Unstarted) for report in single.reports)


def test_a_new_worker_is_given_its_chance_however_large_it_is(single: Bench) -> None:
    end = single.end_with(fatal.pid, {}, {"memory": 1})
    assert isinstance(end, (Done, Erred))
    assert not any(isinstance(report, Unstarted) for report in single.reports)


def test_kills_by_the_kernel_are_counted(tmp_path: Path) -> None:
    counter = tmp_path / "memory.events"
    counter.write_text("low 0\noom 1\noom_kill 1\n")
    kills = KernelKills([tmp_path / "missing", counter, Path("/proc/vmstat")])
    assert not kills.any_new()
    counter.write_text("low 0\noom 2\noom_kill 2\n")
    assert kills.any_new()
    assert not kills.any_new()


def test_a_worker_that_the_kernel_killed_for_want_of_memory() -> None:
    fault = fault_of_death(signal.SIGKILL, 17, out_of_memory=True)
    assert (fault.type, fault.cause, fault.infrastructure) == ("penstock.OutOfMemoryError", "memory", False)
    assert "ran out of memory" in fault.message
    assert fault_of_death(signal.SIGTERM, 17, out_of_memory=True).cause == "error"


def test_a_worker_that_was_not_there_yet_has_no_number() -> None:
    assert fault_of_death(signal.SIGTERM, 17).message == "the worker was ended by SIGTERM (worker process 17)"
    assert fault_of_death(signal.SIGTERM, 0).message == "the worker was ended by SIGTERM"


# Devices.


def test_code_that_has_seen_devices_is_given_no_others(single: Bench) -> None:
    work = single.define(fatal.pid)
    seen: dict[Any, Any] = {}
    for attempt, devices in enumerate([None, (0,), (0,), (1,), (), None], start=1):
        (end,) = single.finish(Job(work, -1, attempt, {}, devices=devices)).values()
        assert isinstance(end, Done)
        seen[attempt] = single.values.load(end.outputs[0])
    assert seen[2] == seen[3]
    assert len(set(seen.values())) == 5


def test_jobs_with_different_devices_at_once(bench: Bench) -> None:
    work = bench.define(tasks.which_devices)
    jobs = [Job(work, item, 1, {}, devices=(item % 4,)) for item in range(40)]
    before = len(tree(os.getpid()))
    ends = bench.finish(*jobs)
    for job in jobs:
        end = ends[name_of(job)]
        assert isinstance(end, Done)
        assert bench.values.load(end.outputs[0])[0] == str(job.item % 4)
    assert len(tree(os.getpid())) - before < 20
