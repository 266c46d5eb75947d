"""Workers that die, are killed, get stuck, or leave something behind."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import fatal_tasks as fatal
import pytest
from test_process_executor import process_executor

from penstock.app import open_values
from penstock.authoring.task import Task
from penstock.errors import WorkerLostError
from penstock.model.value import Artifact, Collection
from penstock.model.work import Done, Erred, Job, Told, Unstarted
from penstock.testing import sample_tasks as tasks
from penstock.testing.executor_bench import Bench, End, code_of, name_of

#: the long ring: workers that are killed
pytestmark = pytest.mark.slow


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


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def wait_until(condition: Any) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.01)


#: task, inputs, what is told, whether the worker was ended from outside
DEATHS = [
    (fatal.leave_at_once, {"code": 3}, "the worker left with exit code 3 in the middle of the task", False),
    (fatal.leave_at_once, {"code": 0}, "the worker left with exit code 0 in the middle of the task", False),
    (fatal.kill_itself, {}, "the worker was killed (SIGKILL) from outside", True),
    (fatal.end_itself, {"number": signal.SIGTERM}, "the worker was ended by SIGTERM", True),
    (fatal.end_itself, {"number": signal.SIGHUP}, "the worker was ended by SIGHUP", True),
    (fatal.crash, {}, "the worker crashed with a segmentation fault (SIGSEGV), in compiled code", False),
    (fatal.abort, {}, "the worker aborted (SIGABRT), in compiled code", False),
    (
        fatal.end_itself,
        {"number": signal.SIGBUS},
        "the worker crashed with a bus error (SIGBUS), in compiled code",
        False,
    ),
    (
        fatal.end_itself,
        {"number": signal.SIGFPE},
        "the worker crashed with an arithmetic error (SIGFPE), in compiled code",
        False,
    ),
    (
        fatal.end_itself,
        {"number": signal.SIGILL},
        "the worker crashed with an illegal instruction (SIGILL), in compiled code",
        False,
    ),
]


@pytest.mark.parametrize(("task", "inputs", "reason", "outside"), DEATHS)
def test_a_death_fails_its_attempt_and_no_other(
    bench: Bench, task: Task[..., Any], inputs: dict[str, Any], reason: str, outside: bool
) -> None:
    before = bench.jobs(tasks.add, 20, left=1)
    lethal = bench.job(task, **inputs)
    after = bench.jobs(tasks.add, 20, left=2)
    ends = bench.finish(*before, lethal, *after)
    assert len(ends) == 41
    dead = ends.pop(name_of(lethal))
    assert isinstance(dead, Erred)
    assert dead.fault.type == "penstock.WorkerLostError"
    assert dead.fault.message == f"{reason} (worker process {dead.usage.worker})"
    assert dead.fault.infrastructure is outside
    assert dead.fault.cause == "error"
    assert dead.fault.kinds[0] == "penstock.errors.WorkerLostError"
    assert all(isinstance(end, Done) for end in ends.values())
    assert bench.value(tasks.add, left=3) == 103


def test_jobs_that_shared_a_message_with_a_death_run_all_the_same(single: Bench) -> None:
    lethal = single.job(fatal.kill_itself)
    others = single.jobs(tasks.add, 10, left=1)
    single.submit(*others[:5], lethal, *others[5:])
    single.wait_for(lambda: len([r for r in single.reports if not isinstance(r, Told)]) == 11)
    returned = set(map(name_of, of_kind(single, Unstarted)))
    assert returned
    single.finish(*(job for job in (lethal, *others) if name_of(job) in returned))
    assert [name_of(report) for report in of_kind(single, Erred)] == [name_of(lethal)]
    assert sorted(map(name_of, of_kind(single, Done))) == sorted(map(name_of, others))


def of_kind(bench: Bench, kind: type) -> list[Any]:
    return [report for report in bench.reports if isinstance(report, kind)]


def test_many_deaths_in_a_row(bench: Bench) -> None:
    lethal = bench.jobs(fatal.leave_at_once, 20, code=1)
    ends = bench.finish(*lethal, *bench.jobs(tasks.add, 20, left=1))
    assert sum(isinstance(end, Erred) for end in ends.values()) == 20
    assert sum(isinstance(end, Done) for end in ends.values()) == 20


def test_a_worker_that_is_killed_while_idle_is_replaced(single: Bench) -> None:
    for _ in range(6):
        pid = single.value(fatal.pid)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda pid=pid: not is_alive(pid))
        assert single.value(fatal.pid) != pid


def test_a_worker_that_dies_after_its_task(bench: Bench) -> None:
    for _ in range(5):
        assert bench.value(fatal.die_later, seconds=0.02) == "done"
        time.sleep(0.03)
        assert bench.value(tasks.add, left=1) == 101


def test_the_second_attempt_runs_in_another_worker(bench: Bench) -> None:
    work = bench.define(fatal.die_on_first_attempt)
    (first,) = bench.finish(Job(work, -1, 1, {})).values()
    (second,) = bench.finish(Job(work, -1, 2, {})).values()
    assert isinstance(first, Erred)
    assert isinstance(second, Done)
    assert bench.values.load(second.outputs[0]) == 2
    assert first.usage.worker != second.usage.worker


def test_workers_that_cannot_start_are_told_of(storage: dict[str, Any]) -> None:
    storage["blobs"] = None
    executor = process_executor(storage)
    bench = Bench(executor, open_values(storage | {"blobs": storage["workspace"]}), code_of)
    bench.submit(bench.job(tasks.add, left=1))
    with pytest.raises(WorkerLostError, match="the process that starts workers ended with exit code 1"):
        bench.wait_for(lambda: False)
    executor.close()


@pytest.mark.parametrize("busy", [False, True])
def test_the_process_that_starts_workers_is_killed_and_replaced(bench: Bench, busy: bool) -> None:
    server, worker = bench.value(fatal.parent), bench.value(fatal.pid)
    if busy:
        bench.submit(*bench.jobs(tasks.sleep, 2, seconds=60))
        bench.poll(0.1)
    before = len(bench.reports)
    os.kill(server, signal.SIGKILL)
    if busy:
        bench.wait_for(lambda: len(bench.reports) >= before + 2)
        ends = bench.reports[before:]
        assert all(isinstance(end, Unstarted) or (isinstance(end, Erred) and end.fault.infrastructure) for end in ends)
    wait_until(lambda: not is_alive(server))
    assert bench.value(tasks.add, left=1) is not None
    assert bench.value(fatal.parent) != server
    wait_until(lambda: not is_alive(worker))
    bench.executor.close()


def test_closing_leaves_no_process_behind(bench: Bench) -> None:
    pids = {bench.value(fatal.parent), *(bench.value(fatal.pid) for _ in range(5))}
    bench.executor.close()
    assert not any(map(is_alive, pids))


def test_closing_kills_what_runs_and_what_it_has_started(bench: Bench, tmp_path: Path) -> None:
    bench.submit(*bench.jobs(fatal.sleep_and_tell, 2, folder=str(tmp_path), seconds=600))
    bench.wait_for(lambda: len(list(tmp_path.glob("*-*"))) == 2)
    pids = [int(file.name.split("-")[1]) for file in tmp_path.glob("*-*")]
    bench.executor.close(kill=True)
    wait_until(lambda: not any(map(is_alive, pids)))


# Stopping.


def test_stopping_a_job_ends_it_alone(bench: Bench, tmp_path: Path) -> None:
    jobs = bench.jobs(fatal.sleep_and_tell, 2, folder=str(tmp_path), seconds=0.5)
    bench.submit(*jobs)
    bench.wait_for(lambda: len(list(tmp_path.glob("*-*"))) == 2)
    bench.executor.stop(jobs[0])
    ends = bench.finish()
    stopped = ends[name_of(jobs[0])]
    assert isinstance(stopped, Erred)
    assert stopped.fault.message.startswith("the attempt was stopped")
    assert isinstance(ends[name_of(jobs[1])], Done)


def test_stopping_a_job_that_waits_spares_the_one_before_it(single: Bench, tmp_path: Path) -> None:
    first, second = single.jobs(fatal.sleep_and_tell, 2, folder=str(tmp_path), seconds=0.5)
    single.submit(first)
    single.wait_for(lambda: list(tmp_path.glob("0-*")))
    single.submit(second)
    single.executor.stop(second)
    ends = single.finish()
    assert isinstance(ends[name_of(first)], Done)
    stopped = ends[name_of(second)]
    assert isinstance(stopped, Erred)
    assert stopped.fault.message.startswith("the attempt was stopped")
    assert not list(tmp_path.glob("1-*"))


def test_stopping_a_job_gives_back_those_behind_it(single: Bench, tmp_path: Path) -> None:
    long = single.job(fatal.sleep_and_tell, folder=str(tmp_path), seconds=600)
    short = single.jobs(tasks.add, 3, left=1)
    single.submit(long, *short)
    single.wait_for(lambda: list(tmp_path.glob("*-*")))
    single.executor.stop(long)
    single.wait_for(lambda: len(of_kind(single, Erred)) + len(of_kind(single, Unstarted)) == 4)
    assert [name_of(report) for report in of_kind(single, Erred)] == [name_of(long)]
    assert len(single.finish(*short)) == 3


def test_stopping_a_job_that_has_ended_does_nothing(bench: Bench) -> None:
    job = bench.job(tasks.add, left=1)
    bench.finish(job)
    bench.executor.stop(job)
    assert bench.value(tasks.add, left=2) == 102


# Recalling.


def test_jobs_behind_a_long_one_go_to_an_idle_worker(bench: Bench, tmp_path: Path) -> None:
    warm = bench.jobs(tasks.add, 200, left=1)
    bench.finish(*warm)
    long = bench.job(tasks.sleep_until, path=str(tmp_path / "enough"))
    short = bench.jobs(tasks.add, 9, left=2)
    ends = finish_before(bench, long, short)
    assert all(isinstance(end, Done) for end in ends)
    (tmp_path / "enough").touch()
    bench.wait_for(lambda: any(name_of(report) == name_of(long) for report in of_kind(bench, Done)))


def finish_before(bench: Bench, long: Job, short: list[Job]) -> list[End]:
    """Submit jobs so that some wait behind a long one, and see them all through without it."""
    known = {name_of(job): job for job in short}
    ends: list[End] = []
    bench.submit(long, *short)
    deadline = time.monotonic() + 60
    while len(ends) < len(short):
        assert time.monotonic() < deadline, "the long job holds the others up"
        for report in bench.poll():
            assert name_of(report) in known or isinstance(report, Told)
            if isinstance(report, Unstarted):
                bench.submit(known[name_of(report)])
            elif isinstance(report, End):
                ends.append(report)
    return ends


def test_a_long_job_that_talks_does_not_hold_up_others(bench: Bench, tmp_path: Path) -> None:
    bench.finish(*bench.jobs(tasks.add, 200, left=1))
    long = bench.job(fatal.chat, folder=str(tmp_path))
    assert len(finish_before(bench, long, bench.jobs(tasks.add, 9, left=2))) == 9
    (tmp_path / "enough").touch()
    bench.wait_for(lambda: any(name_of(report) == name_of(long) for report in of_kind(bench, Done)))


def test_jobs_are_not_put_behind_a_long_one(bench: Bench, tmp_path: Path) -> None:
    bench.finish(*bench.jobs(tasks.add, 200, left=1))
    bench.submit(bench.job(tasks.sleep_until, path=str(tmp_path / "enough")))
    bench.wait_for(lambda: not bench.poll(0.1))
    bench.submit(*bench.jobs(tasks.add, 1, left=1))
    bench.submit(*bench.jobs(tasks.add, 20, left=1))
    bench.wait_for(lambda: len(of_kind(bench, Done)) == 221)
    assert not of_kind(bench, Unstarted)
    (tmp_path / "enough").touch()


# Large messages.


def test_a_fifty_megabyte_list(bench: Bench) -> None:
    texts = bench.done(tasks.strings, count=500_000, length=100).outputs[0]
    assert isinstance(texts, Artifact)
    assert texts.size >= 50_000_000
    assert bench.value(tasks.total_length, texts=texts) == 50_000_000


def test_both_directions_full_at_once(bench: Bench) -> None:
    text = bench.values.store("x" * 4000)[0]
    large = Collection("list", (text,) * 250)
    work = bench.define(fatal.print_large, shared={"size": 1_000_000})
    jobs = [Job(work, item, 1, {"large": large}) for item in range(24)]
    bench.submit(*jobs)
    known = {name_of(job): job for job in jobs}
    ended: list[Done] = []
    while len(ended) < len(jobs):
        for report in bench.poll():
            if isinstance(report, Unstarted):
                bench.submit(known[name_of(report)])
            elif isinstance(report, Done):
                ended.append(report)
    assert sum(map(len, bench.texts("stdout"))) == 24_000_000


def test_what_a_worker_gives_back_is_known_before_a_later_job_ends(single: Bench) -> None:
    assert isinstance(single.end_of(fatal.be_slow_to_return), Done)
    long, returned, later = (single.job(tasks.sleep, seconds=seconds) for seconds in (0.3, 0.0, 0.0))
    single.submit(long, returned)
    single.wait_for(lambda: any(name_of(report) == name_of(long) for report in single.reports))
    single.submit(later)
    single.wait_for(lambda: any(name_of(report) == name_of(later) for report in single.reports))
    ends = [name_of(report) for report in single.reports if not isinstance(report, Told)]
    assert ends.index(name_of(returned)) < ends.index(name_of(later))


# Processes of the tasks' own.


def test_a_forked_child_does_not_speak_for_the_worker(bench: Bench) -> None:
    assert bench.value(fatal.talk_through_a_fork, lines=1000) == 0
    assert bench.texts("stdout") == ["before", "after"]
    assert bench.metrics() == []
    assert bench.value(tasks.add, left=1) == 101


def test_a_death_is_noticed_though_children_live_on_and_they_are_killed(bench: Bench, tmp_path: Path) -> None:
    report = bench.erred(fatal.leave_a_child_behind, file=str(tmp_path / "pids"))
    assert "exit code 3" in report.fault.message
    pids = [int(word) for word in (tmp_path / "pids").read_text().split()]
    assert len(pids) == 3
    wait_until(lambda: not any(map(is_alive, pids)))


def test_a_task_that_closes_all_descriptors_costs_itself_only(bench: Bench) -> None:
    assert isinstance(bench.end_of(fatal.close_everything), Erred)
    assert bench.value(tasks.add, left=1) == 101
