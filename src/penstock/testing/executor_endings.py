"""What every `penstock.ports.Executor` has to do at the end of an attempt, as tests: a part of `ExecutorConformance`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from penstock.authoring.task import Task
from penstock.model.fault import exception_of
from penstock.model.value import Collection
from penstock.model.work import Code, Declined, Done, Erred, Job, NotYet, Told
from penstock.testing import sample_tasks as tasks
from penstock.testing.executor_bench import Bench, End


class EndingConformance:
    """Tests of what tasks ask for, of waits and streams, and of limits."""

    def code_of(self, task: Task[..., Any]) -> Code:
        """How the executor gets at the function of a task."""
        raise NotImplementedError

    # What a task asks for.

    def test_a_task_asks_to_be_skipped(self, bench: Bench) -> None:
        end = bench.end_of(tasks.skip, why="nothing new")
        assert isinstance(end, Declined)
        assert end.reason == "nothing new"
        assert end.usage.worker > 0

    def test_a_task_has_failed_for_good(self, bench: Bench) -> None:
        fault = bench.erred(tasks.give_up, why="no hope").fault
        assert (fault.type, fault.message, fault.retry) == ("penstock.errors.Fail", "no hope", False)

    @pytest.mark.parametrize("after", [None, 2.5])
    def test_a_task_asks_to_be_repeated(self, bench: Bench, after: float | None) -> None:
        fault = bench.erred(tasks.try_again, why="busy", after=after).fault
        assert (fault.message, fault.retry, fault.retry_after) == ("busy", True, after)

    def test_the_kinds_of_an_exception(self, bench: Bench) -> None:
        fault = bench.erred(tasks.fail_with_odd_text).fault
        assert fault.kinds == (
            "builtins.FileNotFoundError",
            "builtins.OSError",
            "builtins.Exception",
            "builtins.BaseException",
        )
        assert (fault.retry, fault.retry_after, fault.cause) == (None, None, "error")

    @pytest.mark.parametrize(("message", "retry"), [("again, please", True), ("not today", False)])
    def test_a_predicate_settles_whether_to_repeat(self, bench: Bench, message: str, retry: bool) -> None:
        end = bench.end_with(tasks.fail, {"retry_if": self.code_of(tasks.is_worth_repeating)}, message=message)
        assert isinstance(end, Erred)
        assert (end.fault.type, end.fault.message, end.fault.retry) == ("ValueError", message, retry)

    def test_a_predicate_that_fails_settles_nothing(self, bench: Bench) -> None:
        end = bench.end_with(tasks.fail, {"retry_if": self.code_of(tasks.is_worth_repeating)}, message="")
        assert isinstance(end, Erred)
        assert (end.fault.type, end.fault.retry) == ("ValueError", None)
        assert bench.texts("notice") == ["retry_if raised LookupError: nothing to go by; the number of retries decides"]

    def test_a_predicate_is_not_asked_about_what_the_task_has_settled(self, bench: Bench) -> None:
        end = bench.end_with(tasks.give_up, {"retry_if": self.code_of(tasks.is_worth_repeating)}, why="again")
        assert isinstance(end, Erred)
        assert end.fault.retry is False

    # Waits.

    @pytest.mark.parametrize("value", [None, False, 0, []])
    def test_a_wait_goes_on_while_there_is_nothing(self, bench: Bench, value: Any) -> None:
        end = bench.end_with(tasks.undeclared, {"waits": True}, value=value)
        assert isinstance(end, NotYet)
        assert end.after is None
        assert end.usage.worker > 0

    def test_a_wait_says_when_to_ask_again(self, bench: Bench) -> None:
        end = bench.end_with(tasks.try_again, {"waits": True}, why="not there", after=7.5)
        assert isinstance(end, NotYet)
        assert end.after == 7.5

    def test_a_wait_is_over_with_what_was_waited_for(self, bench: Bench) -> None:
        end = bench.end_with(tasks.undeclared, {"waits": True}, value={"rows": 3})
        assert _value(bench, end) == {"rows": 3}

    def test_a_wait_may_fail_or_be_skipped(self, bench: Bench) -> None:
        failed = bench.end_with(tasks.fail, {"waits": True}, message="broken")
        assert isinstance(failed, Erred)
        assert isinstance(bench.end_with(tasks.skip, {"waits": True}, why="never"), Declined)

    # Streams.

    @pytest.mark.parametrize("task", [tasks.count_up, tasks.count_up_asynchronously])
    @pytest.mark.parametrize("count", [0, 1, 500])
    def test_what_a_generator_yields(self, bench: Bench, task: Task[..., Any], count: int) -> None:
        end = bench.end_with(task, {"yields": True}, count=count)
        assert isinstance(end, Done)
        yielded = bench.yielded()
        assert [report.index for report in yielded] == list(range(count))
        assert [bench.values.load(report.output) for report in yielded] == list(range(count))
        assert end.outputs == (Collection("list", tuple(report.output for report in yielded)),)
        assert isinstance(bench.reports[-1], Done)

    def test_what_was_yielded_before_a_failure_is_reported(self, bench: Bench) -> None:
        end = bench.end_with(tasks.count_up, {"yields": True}, count=5, fail_at=3)
        assert isinstance(end, Erred)
        assert (end.fault.type, end.fault.message) == ("ValueError", "no 3")
        assert [report.index for report in bench.yielded()] == [0, 1, 2]

    def test_a_value_that_cannot_be_stored_ends_its_stream(self, bench: Bench) -> None:
        end = bench.end_with(tasks.undeclared, {"yields": True}, value=7)
        assert isinstance(end, Erred)
        assert end.fault.type == "TypeError"

    def test_what_can_be_shown_of_a_large_value_is_told(self, bench: Bench) -> None:
        end = bench.end_with(tasks.undeclared, {"yields": True}, value=["x" * 10_000, "y" * 10_000])
        assert isinstance(end, Done)
        told = {each.digest for report in bench.reports if isinstance(report, Told) for each in report.descriptions}
        told |= {each.digest for each in end.descriptions}
        assert told == {report.output.digest for report in bench.yielded()}

    # Limits.

    @pytest.mark.parametrize("task", [tasks.sleep, tasks.spin, tasks.sleep_through_exceptions])
    def test_an_attempt_that_takes_too_long(self, bench: Bench, task: Task[..., Any]) -> None:
        end = bench.end_with(task, {"timeout": 0.2}, seconds=60)
        assert isinstance(end, Erred)
        assert (end.fault.type, end.fault.cause) == ("penstock.TaskTimeoutError", "timeout")
        assert end.fault.message.startswith("the attempt took longer than the 0.2 s that are allowed")
        assert end.fault.kinds[0] == "penstock.errors.TaskTimeoutError"
        assert not end.fault.infrastructure
        assert 0.15 < end.usage.duration < 30
        assert bench.value(tasks.add, left=1) == 101

    def test_a_generator_that_takes_too_long(self, bench: Bench, tmp_path: Path) -> None:
        (tmp_path / "0").touch()
        end = bench.end_with(tasks.pass_on, {"yields": True, "timeout": 0.2}, folder=str(tmp_path), count=3)
        assert isinstance(end, Erred)
        assert end.fault.cause == "timeout"
        assert [report.index for report in bench.yielded()] == [0, 1]

    def test_attempts_within_their_time(self, bench: Bench) -> None:
        work = bench.define(tasks.sleep, timeout=5.0)
        ends = bench.finish(*(Job(work, item, 1, bench.stored({"seconds": 0.01})) for item in range(20)))
        assert all(isinstance(end, Done) for end in ends.values())

    def test_the_time_of_each_attempt_counts_by_itself(self, bench: Bench) -> None:
        work = bench.define(tasks.sleep, timeout=0.5)
        ends = bench.finish(*(Job(work, item, 1, bench.stored({"seconds": 0.1})) for item in range(12)))
        assert all(isinstance(end, Done) for end in ends.values())

    @pytest.mark.parametrize(
        ("message", "told"), [("", "out of memory"), ("Unable to allocate 7 TiB", "Unable to allocate 7 TiB")]
    )
    def test_a_memory_error(self, bench: Bench, message: str, told: str) -> None:
        fault = bench.erred(tasks.run_out_of_memory, message=message).fault
        assert (fault.type, fault.cause, fault.infrastructure) == ("MemoryError", "memory", False)
        assert re.fullmatch(rf"{told} \(the process held [\d.]+ [MG]B, no limit is set\)", fault.message)
        assert isinstance(exception_of(fault), MemoryError)
        assert bench.value(tasks.add, left=1) == 101

    def test_a_memory_error_tells_the_limit(self, bench: Bench) -> None:
        end = bench.end_with(tasks.run_out_of_memory, {}, {"memory": 3_000_000_000}, message="")
        assert isinstance(end, Erred)
        assert end.fault.message.endswith(", 3.0 GB are allowed)")

    @pytest.mark.parametrize(
        ("devices", "seen"),
        [((0,), ["0", "0", "0"]), ((3, 1), ["3,1", "3,1", "3,1"]), ((), ["-1", "-1", "void"])],
    )
    def test_an_attempt_sees_only_its_devices(self, bench: Bench, devices: tuple[int, ...], seen: list[str]) -> None:
        everything = bench.value(tasks.which_devices)
        end = bench.end_with(tasks.which_devices, {}, {"devices": devices})
        assert _value(bench, end) == seen
        assert bench.value(tasks.which_devices) == everything


def _value(bench: Bench, end: End) -> Any:
    assert isinstance(end, Done), end
    return bench.values.load(end.outputs[0])
