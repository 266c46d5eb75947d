"""Attempts that share a process: at once, each by itself, and ended one by one."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import crowded_tasks as crowded
import pytest
from test_concurrent_executor import concurrent_executor

from penstock.app import open_values
from penstock.authoring.task import Task
from penstock.errors import WorkerLostError
from penstock.model.work import Done, Erred, Job, NotYet, Pickled, Told, Unstarted
from penstock.testing import sample_tasks as tasks
from penstock.testing.executor_bench import Bench, code_of, name_of

#: the long ring: many attempts in one process, which is killed now and then
pytestmark = pytest.mark.slow


@pytest.fixture
def storage(tmp_path: Path) -> dict[str, Any]:
    return {"blobs": str(tmp_path / "blobs"), "workspace": str(tmp_path / "workspace"), "pickle": True}


@pytest.fixture
def bench(storage: dict[str, Any]) -> Generator[Bench]:
    executor = concurrent_executor(storage, size=200)
    yield Bench(executor, open_values(storage), code_of)
    executor.close(kill=True)


def items(
    bench: Bench, task: Task[..., Any], number: int, more: dict[str, Any] | None = None, /, **inputs: Any
) -> list[Job]:
    """Jobs of one work, made on the loop if the task is asynchronous, else in threads. `more` is set of the work."""
    run_in = "loop" if task.asynchronous else "thread"
    work = bench.define(task, run_in=run_in, **(more or {}))
    return [Job(work, item, 1, bench.stored(inputs)) for item in range(number)]


def values(bench: Bench, ends: dict[Any, Any]) -> list[Any]:
    assert all(isinstance(end, Done) for end in ends.values()), ends
    return [bench.values.load(end.outputs[0]) for end in ends.values()]


def begun(folder: Path, count: int) -> Any:
    return lambda: len(list(folder.glob("begun-*"))) == count


def of_kind(bench: Bench, kind: Any) -> list[Any]:
    return [report for report in bench.reports if isinstance(report, kind)]


def is_answered(bench: Bench, count: int) -> bool:
    """Whether there are answers to so many jobs."""
    return len(of_kind(bench, (Done, Erred, Unstarted))) == count


# At once.


@pytest.mark.parametrize(("task", "count"), [(crowded.nap, 200), (crowded.nap_in_thread, 64)])
def test_many_sleep_at_once(bench: Bench, task: Task[..., Any], count: int) -> None:
    most = values(bench, bench.finish(*items(bench, task, count, seconds=0.2)))
    assert len(most) == count
    assert max(most) > count / 2


def test_no_more_than_the_size_at_once(storage: dict[str, Any]) -> None:
    executor = concurrent_executor(storage, size=5)
    bench = Bench(executor, open_values(storage), code_of)
    assert executor.room() == 5
    jobs = items(bench, crowded.nap, 12, seconds=0.02)
    bench.submit(*jobs[:7])
    assert executor.room() == -2
    bench.submit(*jobs[7:])
    bench.wait_for(lambda: is_answered(bench, 12))
    unstarted = {name_of(report) for report in of_kind(bench, Unstarted)}
    ended = {name_of(report) for report in of_kind(bench, Done)}
    assert ended | unstarted == {name_of(job) for job in jobs}
    assert len(ended) >= 5
    assert max(values(bench, {name_of(end): end for end in of_kind(bench, Done)})) <= 5
    executor.close()


def test_both_kinds_at_once_in_one_process(bench: Bench, tmp_path: Path) -> None:
    jobs = [
        *items(bench, crowded.wait_for, 3, path=str(tmp_path / "enough")),
        *items(bench, crowded.wait_for_in_thread, 3, path=str(tmp_path / "enough")),
    ]
    bench.submit(*jobs, *items(bench, crowded.nap_in_thread, 1, seconds=0.0))
    bench.wait_for(lambda: of_kind(bench, Done))
    assert not any(name_of(job) in map(name_of, of_kind(bench, Done)) for job in jobs)
    (tmp_path / "enough").touch()
    pids = values(bench, bench.finish())
    assert len(pids) == 6
    assert len(set(pids)) == 1


def test_what_ends_first_is_reported_first(bench: Bench, tmp_path: Path) -> None:
    (long,) = items(bench, crowded.wait_for, 1, path=str(tmp_path / "enough"))
    short = items(bench, crowded.nap, 5, seconds=0.01)
    bench.submit(long, *short)
    bench.wait_for(lambda: len(of_kind(bench, Done)) == 5)
    (tmp_path / "enough").touch()
    assert list(bench.finish()) == [name_of(long)]


def test_threads_share_what_a_pickled_function_refers_to(bench: Bench) -> None:
    import cloudpickle

    seen: list[int] = []

    def count() -> int:
        seen.append(1)
        return len(seen)

    work = bench.define(tasks.nothing, code=Pickled(cloudpickle.dumps(count)), run_in="thread")
    ends = bench.finish(*(Job(work, item, 1, {}) for item in range(10)))
    assert sorted(values(bench, ends)) == list(range(1, 11))


# Each by itself.


@pytest.mark.parametrize("task", [crowded.chatter, crowded.chatter_in_thread])
def test_everything_said_lands_at_its_attempt(bench: Bench, task: Task[..., Any]) -> None:
    jobs = items(bench, task, 20, count=10)
    ends = bench.finish(*jobs)
    assert values(bench, ends) == [[name[1], 1] for name in ends]
    for item in range(20):
        told = [report for report in bench.reports if isinstance(report, Told) and report.item == item]
        texts = [(line.stream, line.text) for report in told for line in report.lines]
        assert [text for stream, text in texts if stream == "stdout"] == [
            *(f"{item} {number}" for number in range(10)),
            f"the end of {item}",
        ]
        assert [text for stream, text in texts if stream == "info"] == [
            f"chatter: {item} {number}" for number in range(10)
        ]
        metrics = [metric for report in told for metric in report.metrics]
        assert [(metric.value, metric.step) for metric in metrics] == [(item, number) for number in range(10)]
        (attachment,) = [attachment for report in told for attachment in report.attachments]
        assert bench.values.load(attachment.artifact) == [item] * 10


def test_everything_said_comes_before_the_end(bench: Bench) -> None:
    bench.finish(*items(bench, crowded.chatter, 20, count=10))
    for item in range(20):
        own = [report for report in bench.reports if report.item == item]
        assert isinstance(own[-1], Done)
        assert len(of_kind(bench, Done)) == 20


def test_context_variables_are_those_of_the_attempt(bench: Bench) -> None:
    work = bench.define(crowded.pass_the_word, run_in="loop")
    ends = bench.finish(*(Job(work, item, 1, bench.stored({"word": f"word {item}"})) for item in range(10)))
    for (_, item, _), end in ends.items():
        assert isinstance(end, Done)
        assert bench.values.load(end.outputs[0]) == [f"word {item}"] * 4
    said = sorted((report.item, line.text) for report in of_kind(bench, Told) for line in report.lines)
    assert said == [(item, f"in the pool: word {item}") for item in range(10)]


def test_a_thread_without_a_context_speaks_for_the_only_attempt(bench: Bench) -> None:
    work = bench.define(crowded.speak_from_a_thread, run_in="thread")
    (end,) = bench.finish(Job(work, 4, 1, bench.stored({"word": "hello"}))).values()
    assert values(bench, {0: end}) == [["speak_from_a_thread[4]"]]
    assert bench.texts("stdout") == ["hello"]
    assert bench.texts("info") == ["thread: hello"]
    assert [metric.name for metric in bench.metrics()] == ["loudness"]


def test_a_thread_without_a_context_speaks_for_nobody_among_many(bench: Bench, tmp_path: Path) -> None:
    bench.submit(*items(bench, crowded.wait_for, 2, path=str(tmp_path / "enough")))
    work = bench.define(crowded.speak_from_a_thread, run_in="thread")
    bench.submit(Job(work, 4, 1, bench.stored({"word": "hello"})))
    bench.wait_for(lambda: of_kind(bench, Done))
    (end,) = of_kind(bench, Done)
    assert values(bench, {0: end}) == [[""]]
    assert bench.lines() == []
    assert bench.metrics() == []
    (tmp_path / "enough").touch()
    bench.finish()


def test_an_exception_is_that_of_its_attempt_alone(bench: Bench) -> None:
    failing = items(bench, crowded.fail_in_time, 5, message="not today")
    sound = items(bench, crowded.nap, 5, seconds=0.02)
    ends = bench.finish(*failing, *sound)
    for job in failing:
        end = ends[name_of(job)]
        assert isinstance(end, Erred)
        assert (end.fault.type, end.fault.message, end.fault.infrastructure) == ("ValueError", "not today", False)
        assert "fail_in_time" in end.fault.traceback
        assert "penstock/executors" not in end.fault.traceback
    assert all(isinstance(ends[name_of(job)], Done) for job in sound)


def test_the_processor_time_is_the_attempt_s_own(bench: Bench) -> None:
    (busy,) = items(bench, crowded.spin, 1, seconds=0.2)
    idle = items(bench, crowded.nap, 5, seconds=0.2)
    ends = bench.finish(busy, *idle)
    assert ends[name_of(busy)].usage.cpu >= 0.2
    assert all(ends[name_of(job)].usage.cpu < 0.1 for job in idle)


def test_a_wait_on_the_loop(bench: Bench) -> None:
    (end,) = bench.finish(*items(bench, crowded.is_there, 1, {"waits": True})).values()
    assert isinstance(end, NotYet)


def test_tasks_that_were_left_behind_are_cancelled(bench: Bench, tmp_path: Path) -> None:
    ends = bench.finish(*items(bench, crowded.leave_a_task_behind, 1, folder=str(tmp_path)))
    assert values(bench, ends) == ["Task-"]
    assert (tmp_path / "cancelled").exists()


# Ended one by one.


@pytest.mark.parametrize("task", [crowded.sleep_long, crowded.sleep_long_in_thread])
def test_stopping_an_attempt_ends_it_alone(bench: Bench, task: Task[..., Any], tmp_path: Path) -> None:
    jobs = items(bench, task, 3, folder=str(tmp_path))
    (other,) = items(bench, crowded.wait_for, 1, path=str(tmp_path / "enough"))
    bench.submit(other, *jobs)
    bench.wait_for(begun(tmp_path, 3))
    bench.executor.stop(jobs[1])
    bench.wait_for(lambda: of_kind(bench, Erred))
    (end,) = of_kind(bench, Erred)
    assert name_of(end) == name_of(jobs[1])
    assert (end.fault.type, end.fault.infrastructure) == ("penstock.WorkerLostError", True)
    assert end.fault.message == f"the attempt was stopped (worker process {end.usage.worker})"
    assert [file.name for file in tmp_path.glob("ended-*")] == ["ended-1"]
    (tmp_path / "enough").touch()
    bench.wait_for(lambda: of_kind(bench, Done))
    assert values(bench, {0: of_kind(bench, Done)[0]}) == [end.usage.worker]
    bench.executor.stop(jobs[0])
    bench.executor.stop(jobs[2])
    assert len(bench.finish()) == 2


@pytest.mark.parametrize("task", [crowded.hold_on, crowded.stand_still, crowded.block])
def test_an_attempt_that_does_not_end_is_ended_with_the_process(
    bench: Bench, task: Task[..., Any], tmp_path: Path
) -> None:
    other, another = items(bench, crowded.wait_for_in_thread, 2, path=str(tmp_path / "enough"))
    (stubborn,) = items(bench, task, 1, folder=str(tmp_path))
    bench.submit(other, stubborn, another)
    bench.wait_for(begun(tmp_path, 1))
    bench.executor.stop(stubborn)
    bench.wait_for(lambda: len(of_kind(bench, Unstarted)) == 2)
    (end,) = of_kind(bench, Erred)
    assert name_of(end) == name_of(stubborn)
    assert end.fault.message.startswith("the attempt was stopped")
    assert {name_of(report) for report in of_kind(bench, Unstarted)} == {name_of(other), name_of(another)}
    (tmp_path / "enough").touch()
    again = values(bench, bench.finish(other, another))
    assert end.usage.worker not in again


@pytest.mark.parametrize("task", [crowded.chatter, crowded.chatter_in_thread])
def test_stopping_many_while_they_talk_harms_no_others(bench: Bench, task: Task[..., Any]) -> None:
    assert bench.value(tasks.add, left=1) == 101
    jobs = items(bench, task, 1000, count=5)
    for start in range(0, 1000, 50):
        bench.wait_for(lambda: bench.executor.room() >= 50)
        bench.submit(*jobs[start : start + 50])
        bench.poll(0.005)
        for job in jobs[start : start + 50 : 3]:
            bench.executor.stop(job)
    ends = bench.finish()
    assert not of_kind(bench, Unstarted)
    stopped = {name_of(job) for start in range(0, 1000, 50) for job in jobs[start : start + 50 : 3]}
    failed = {name_of(end) for end in of_kind(bench, Erred)}
    assert failed
    assert failed <= stopped
    assert all("stopped" in end.fault.message for end in ends.values() if isinstance(end, Erred))


def test_what_has_yielded_is_lost_with_the_process(bench: Bench, tmp_path: Path) -> None:
    (stream,) = items(bench, crowded.count_up, 1, {"yields": True}, folder=str(tmp_path), count=3)
    (stubborn,) = items(bench, crowded.hold_on, 1, folder=str(tmp_path))
    bench.submit(stream, stubborn)
    bench.wait_for(lambda: (tmp_path / "yielded").exists() and begun(tmp_path, 1)())
    bench.executor.stop(stubborn)
    bench.wait_for(lambda: len(of_kind(bench, Erred)) == 2)
    assert [report.index for report in bench.yielded()] == [0, 1, 2]
    (lost,) = [report for report in of_kind(bench, Erred) if name_of(report) == name_of(stream)]
    assert lost.fault.infrastructure
    assert "because of another attempt" in lost.fault.message


def test_stopping_a_job_that_waits(storage: dict[str, Any], tmp_path: Path) -> None:
    executor = concurrent_executor(storage, size=1)
    bench = Bench(executor, open_values(storage), code_of)
    first, second = items(bench, crowded.wait_for, 2, path=str(tmp_path / "enough"))
    bench.submit(first, second)
    executor.stop(second)
    bench.wait_for(lambda: of_kind(bench, Erred))
    assert [name_of(report) for report in of_kind(bench, Erred)] == [name_of(second)]
    (tmp_path / "enough").touch()
    assert list(bench.finish()) == [name_of(first)]
    executor.close()


@pytest.mark.parametrize("task", [crowded.sleep_long, crowded.sleep_long_in_thread, crowded.block])
def test_the_time_of_an_attempt_is_over(bench: Bench, task: Task[..., Any], tmp_path: Path) -> None:
    (late,) = items(bench, task, 1, {"timeout": 0.3}, folder=str(tmp_path))
    (end,) = bench.finish(late).values()
    assert isinstance(end, Erred)
    assert (end.fault.type, end.fault.cause) == ("penstock.TaskTimeoutError", "timeout")
    assert (
        end.fault.message
        == f"the attempt took longer than the 0.3 s that are allowed (worker process {end.usage.worker})"
    )
    assert not end.fault.infrastructure
    assert end.usage.duration >= 0.25


def test_the_place_that_a_late_attempt_had_got_to_is_told(bench: Bench, tmp_path: Path) -> None:
    for task in (crowded.sleep_long, crowded.sleep_long_in_thread):
        (end,) = bench.finish(*items(bench, task, 1, {"timeout": 0.2}, folder=str(tmp_path))).values()
        assert isinstance(end, Erred)
        assert f"in {task.name}" in end.fault.traceback
        assert end.fault.traceback.endswith(f"{end.fault.type}: {end.fault.message}\n")


# Death.


def test_all_that_were_under_way_are_lost_with_the_process(bench: Bench, tmp_path: Path) -> None:
    others = items(bench, crowded.wait_for, 3, path=str(tmp_path / "enough"))
    (lethal,) = items(bench, crowded.kill_itself, 1)
    bench.submit(*others, lethal)
    bench.wait_for(lambda: len(of_kind(bench, Erred)) == 4)
    for end in of_kind(bench, Erred):
        assert (end.fault.type, end.fault.infrastructure) == ("penstock.WorkerLostError", True)
        assert "SIGKILL" in end.fault.message
        assert "4 attempts were under way" in end.fault.message
    assert bench.value(tasks.add, left=1) == 101


def test_what_the_process_was_not_given_yet_survives_it(storage: dict[str, Any]) -> None:
    executor = concurrent_executor(storage, size=1)
    bench = Bench(executor, open_values(storage), code_of)
    lethal, *others = [*items(bench, crowded.kill_itself, 1), *items(bench, crowded.nap, 3, seconds=0.0)]
    bench.submit(lethal, *others)
    bench.wait_for(lambda: is_answered(bench, 4))
    assert [name_of(end) for end in of_kind(bench, Erred)] == [name_of(lethal)]
    returned = set(map(name_of, of_kind(bench, Unstarted)))
    bench.finish(*(job for job in others if name_of(job) in returned))
    assert {name_of(end) for end in of_kind(bench, Done)} == set(map(name_of, others))
    executor.close()


def test_a_crash_of_the_only_attempt_is_its_own_fault(bench: Bench) -> None:
    (end,) = bench.finish(*items(bench, crowded.crash, 1)).values()
    assert isinstance(end, Erred)
    assert "segmentation fault" in end.fault.message
    assert not end.fault.infrastructure


def test_the_process_is_killed_while_idle(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "enough").touch()
    for _ in range(5):
        (pid,) = values(bench, bench.finish(*items(bench, crowded.wait_for, 1, path=str(tmp_path / "enough"))))
        os.kill(pid, signal.SIGKILL)
        bench.wait_for(lambda pid=pid: not is_alive(pid))
    assert bench.value(tasks.add, left=1) == 101


def test_a_process_that_cannot_start_is_told_of(storage: dict[str, Any]) -> None:
    storage["blobs"] = None
    executor = concurrent_executor(storage)
    bench = Bench(executor, open_values(storage | {"blobs": storage["workspace"]}), code_of)
    bench.submit(bench.job(tasks.add, left=1))
    with pytest.raises(WorkerLostError, match="the process that starts workers ended with exit code 1"):
        bench.wait_for(lambda: False)
    executor.close()


def test_closing_leaves_no_process_behind(storage: dict[str, Any], tmp_path: Path) -> None:
    executor = concurrent_executor(storage)
    bench = Bench(executor, open_values(storage), code_of)
    (tmp_path / "enough").touch()
    pids = values(bench, bench.finish(*items(bench, crowded.wait_for, 1, path=str(tmp_path / "enough"))))
    bench.submit(*items(bench, crowded.stand_still, 3, folder=str(tmp_path)))
    bench.wait_for(begun(tmp_path, 3))
    executor.close(kill=True)
    deadline = time.monotonic() + 30
    while any(map(is_alive, pids)):
        assert time.monotonic() < deadline, "it lives on"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
