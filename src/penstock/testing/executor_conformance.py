"""What every `penstock.ports.Executor` has to do, as tests.

An adapter's own tests inherit `ExecutorConformance` and say how an executor is made:

    class TestMyExecutor(ExecutorConformance):
        def make_executor(self, storage: dict[str, Any], parameters: dict[str, Any]) -> Executor:
            return MyExecutor(storage, parameters)
"""

from __future__ import annotations

import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from penstock.app import open_values
from penstock.authoring.task import Task
from penstock.model.fault import exception_of
from penstock.model.value import Artifact, Collection
from penstock.model.work import Code, Done, Erred, Imported, Job, Told, Unstarted
from penstock.ports import Executor
from penstock.testing import sample_tasks as tasks
from penstock.testing.executor_bench import Bench, End, code_of, name_of
from penstock.testing.executor_endings import EndingConformance

#: task, inputs by parameter name, what the function makes of them
_BINDINGS: list[tuple[Task[..., Any], dict[str, Any], list[Any]]] = [
    (tasks.by_position, {"first": 1}, [1, "second", "third"]),
    (tasks.by_position, {"first": 1, "second": 2, "third": 3}, [1, 2, 3]),
    (tasks.by_position, {"first": 1, "third": 3}, [1, "second", 3]),
    (tasks.by_keyword, {"only": 1}, [1, "other"]),
    (tasks.by_keyword, {"other": 2, "only": 1}, [1, 2]),
    (tasks.any_number, {"first": 1}, [1, []]),
    (tasks.any_number, {"first": 1, "rest": (2, 3)}, [1, [2, 3]]),
    (tasks.any_names, {"first": 1}, [1, {}]),
    (tasks.any_names, {"first": 1, "named": {"rest": 2, "work": 3}}, [1, {"rest": 2, "work": 3}]),
    (tasks.all_kinds, {"first": 1, "second": 2}, [1, 2, [], "only", {}]),
    (
        tasks.all_kinds,
        {"first": 1, "second": 2, "rest": (3, 4), "only": 5, "named": {"first": 6, "x": 7}},
        [1, 2, [3, 4], 5, {"first": 6, "x": 7}],
    ),
]


class ExecutorConformance(EndingConformance):
    """Tests of the `Executor` port. A subclass implements `make_executor`, and `code_of` if its workers get at
    functions in a way of their own."""

    def make_executor(self, storage: dict[str, Any], parameters: dict[str, Any]) -> Executor:
        """An executor whose values are those of `penstock.app.open_values(storage)`."""
        raise NotImplementedError

    def code_of(self, task: Task[..., Any]) -> Code:
        """How the executor gets at the function of a task."""
        return code_of(task)

    @pytest.fixture
    def storage(self, tmp_path: Path) -> dict[str, Any]:
        """Where the values of the test are."""
        return {"blobs": str(tmp_path / "blobs"), "workspace": str(tmp_path / "workspace"), "pickle": True}

    @pytest.fixture
    def bench(self, storage: dict[str, Any]) -> Generator[Bench]:
        """The executor, which is closed after the test."""
        executor = self.make_executor(storage, {"depth": 3})
        yield Bench(executor, open_values(storage), self.code_of)
        executor.close(kill=True)

    # Inputs.

    def test_inputs_are_bound_by_name(self, bench: Bench) -> None:
        assert bench.value(tasks.add, right=1, left=2) == 3

    def test_an_input_that_is_not_bound_takes_its_default(self, bench: Bench) -> None:
        assert bench.value(tasks.add, left=2) == 102

    @pytest.mark.parametrize(("task", "inputs", "expected"), _BINDINGS)
    def test_every_kind_of_parameter(
        self, bench: Bench, task: Task[..., Any], inputs: dict[str, Any], expected: Any
    ) -> None:
        assert bench.value(task, **inputs) == expected

    def test_inputs_that_all_jobs_of_a_work_share(self, bench: Bench) -> None:
        work = bench.define(tasks.add, shared={"right": 10})
        ends = bench.finish(*(Job(work, item, 1, bench.stored({"left": item})) for item in range(5)))
        assert [_value(bench, ends[work, item, 1]) for item in range(5)] == [10, 11, 12, 13, 14]

    def test_a_shared_input_that_a_task_changes_is_as_it_was_for_the_next_job(self, bench: Bench) -> None:
        work = bench.define(tasks.take_last, shared={"values": [1, 2, 3]})
        ends = bench.finish(*(Job(work, item, 1, {}) for item in range(4)))
        assert [_value(bench, end) for end in ends.values()] == [3, 3, 3, 3]

    def test_an_input_that_is_put_together_from_many(self, bench: Bench) -> None:
        parts = tuple(bench.values.store(f"{number:05}")[0] for number in range(20_000))
        assert bench.value(tasks.total_length, texts=Collection("list", parts)) == 100_000

    def test_an_input_whose_bytes_are_gone_is_the_fault_of_the_attempt(self, bench: Bench) -> None:
        gone = Artifact("data", "str", b"d" * 32, 10_000, None, b"b" * 32)
        assert "ArtifactMissingError" in bench.erred(tasks.undeclared, value=gone).fault.type
        assert bench.value(tasks.add, left=1) == 101

    # Outputs.

    @pytest.mark.parametrize(
        ("task", "expected"),
        [
            (tasks.a_tuple, [4, "4"]),
            (tasks.a_named_tuple, [4, "4"]),
            (tasks.a_dataclass, [2.0, ["4"]]),
            (tasks.a_dict, [2.0, 1.0]),
        ],
    )
    def test_several_outputs_are_stored_apart(self, bench: Bench, task: Task[..., Any], expected: list[Any]) -> None:
        assert [bench.values.load(output) for output in bench.done(task, number=4).outputs] == expected

    def test_none_is_an_output(self, bench: Bench) -> None:
        assert bench.value(tasks.nothing) is None

    @pytest.mark.parametrize(
        ("task", "value", "told"),
        [
            (tasks.number_declared, None, "number_declared() returned None, but declares int"),
            (tasks.pair_declared, 1, "pair_declared() returned int, but declares a tuple of 2 values"),
            (
                tasks.pair_declared,
                (1, "2", 3),
                "pair_declared() returned a tuple of 3 values, but declares a tuple of 2",
            ),
            (tasks.pair_declared, None, "pair_declared() returned NoneType, but declares a tuple of 2 values"),
            (
                tasks.scores_declared,
                {"train": 1.0, "tests": 2.0},
                "scores_declared() returned a dict with the keys train, tests, but declares a dict with the keys train, test",
            ),
            (tasks.scores_declared, {}, "returned a dict with the keys (none), but declares"),
            (
                tasks.point_declared,
                [1, "2"],
                "point_declared() returned list, but declares a value with the fields x, y",
            ),
        ],
    )
    def test_an_output_other_than_declared(self, bench: Bench, task: Task[..., Any], value: Any, told: str) -> None:
        fault = bench.erred(task, value=value).fault
        assert fault.type == "penstock.errors.OutputError"
        assert told in fault.message
        assert not fault.infrastructure

    def test_an_output_that_cannot_be_stored(self, bench: Bench) -> None:
        fault = bench.erred(tasks.a_lock).fault
        assert fault.type == "penstock.errors.OutputError"
        assert "lock" in fault.message

    def test_large_inputs_and_outputs(self, bench: Bench) -> None:
        texts = bench.value(tasks.strings, count=20_000, length=100)
        assert len(texts) == 20_000
        assert bench.value(tasks.total_length, texts=texts) == 2_000_000

    # Failures.

    def test_an_exception(self, bench: Bench) -> None:
        report = bench.erred(tasks.fail, message="not today")
        assert (report.fault.type, report.fault.message) == ("ValueError", "not today")
        assert not report.fault.infrastructure
        error = exception_of(report.fault)
        assert isinstance(error, ValueError)
        assert error.args == ("not today",)

    def test_the_cause_of_an_exception_is_told(self, bench: Bench) -> None:
        told = bench.erred(tasks.fail_with_cause).fault.traceback
        assert "KeyError: 'the cause'" in told
        assert told.rstrip().endswith("ValueError: the effect")

    @pytest.mark.parametrize(("code", "message"), [(3, "3"), (0, "0"), (None, ""), ("bye", "bye")])
    def test_a_task_that_leaves_has_failed(self, bench: Bench, code: Any, message: str) -> None:
        fault = bench.erred(tasks.leave, code=code).fault
        assert (fault.type, fault.message) == ("SystemExit", message)

    def test_a_keyboard_interrupt_of_the_task_s_own(self, bench: Bench) -> None:
        assert bench.erred(tasks.interrupted).fault.type == "KeyboardInterrupt"

    def test_an_exception_that_cannot_be_pickled(self, bench: Bench) -> None:
        fault = bench.erred(tasks.fail_unpicklably).fault
        assert (fault.type.split(".")[-1], fault.message, fault.pickled) == ("Unpicklable", "it holds a lock", None)

    def test_an_exception_that_cannot_be_made_again(self, bench: Bench) -> None:
        fault = bench.erred(tasks.fail_with_two_arguments).fault
        assert (fault.type.split(".")[-1], fault.message) == ("TwoArguments", "this and that")
        assert exception_of(fault) is None

    def test_an_exception_that_fails_to_tell_its_message(self, bench: Bench) -> None:
        assert bench.erred(tasks.fail_without_message).fault.type.endswith("Unprintable")

    def test_a_message_that_is_not_proper_text(self, bench: Bench) -> None:
        assert "name \\udcff" in bench.erred(tasks.fail_with_odd_text).fault.message

    def test_a_function_that_cannot_be_loaded_fails_its_own_jobs(self, bench: Bench) -> None:
        lost = Job(bench.define(tasks.add, code=Imported("no_such_module", "add")), -1, 1, {})
        sound = bench.job(tasks.add, left=1)
        ends = bench.finish(lost, sound)
        end = ends[name_of(lost)]
        assert isinstance(end, Erred)
        assert end.fault.type == "ModuleNotFoundError"
        assert _value(bench, ends[name_of(sound)]) == 101

    def test_after_failures_the_executor_goes_on(self, bench: Bench) -> None:
        bench.finish(*bench.jobs(tasks.fail, 20, message="not today"))
        assert bench.value(tasks.add, left=1) == 101

    # What is said on the way.

    def test_everything_said_comes_before_the_result_and_in_order(self, bench: Bench) -> None:
        bench.done(tasks.tell_all)
        assert isinstance(bench.reports[-1], Done)
        assert [(m.name, m.value, m.step) for m in bench.metrics()] == [("loss", 0.5, 1), ("loss", 0.25, 2)]
        assert bench.texts("stdout") == ["on stdout", "without a line end"]
        assert bench.texts("stderr") == ["on stderr"]
        assert bench.texts("info") == ["sample: at level info"]
        assert bench.texts("error") == ["sample: at level error", "in two lines"]
        assert [line.stream for line in bench.lines()] == ["stdout", "stderr", "info", "error", "error", "stdout"]

    def test_times_of_what_is_said_lie_within_the_attempt(self, bench: Bench) -> None:
        done = bench.done(tasks.tell_all)
        at = [one.at for one in (*bench.lines(), *bench.metrics())]
        end = done.usage.started_at + done.usage.duration
        # the clock that dates and the one that measures may drift apart a little
        assert all(done.usage.started_at - 0.05 <= when <= end + 0.05 for when in at)

    def test_artifacts_and_progress_are_told(self, bench: Bench) -> None:
        bench.done(tasks.tell_all)
        told = [report for report in bench.reports if isinstance(report, Told)]
        (attachment,) = [attachment for one in told for attachment in one.attachments]
        assert attachment.name == "table"
        assert bench.values.load(attachment.artifact) == {"rows": [1, 2, 3]}
        assert [one.progress for one in told if one.progress is not None][-1] == (3.0, 3.0)

    def test_what_a_failed_attempt_said_is_told(self, bench: Bench) -> None:
        bench.erred(tasks.print_and_fail, text="famous last words")
        assert bench.texts("stdout") == ["famous last words"]

    def test_pieces_become_lines(self, bench: Bench) -> None:
        bench.done(tasks.print_pieces, pieces=["a", "b", "c\nd", "", "\n\n", "e"])
        assert bench.texts("stdout") == ["abc", "d", "", "e"]

    def test_an_unfinished_line_does_not_run_into_the_next_attempt(self, bench: Bench) -> None:
        work = bench.define(tasks.print_pieces)
        bench.finish(*(Job(work, item, 1, bench.stored({"pieces": [f"item {item}"]})) for item in range(20)))
        said = [(r.item, line.text) for r in bench.reports if isinstance(r, Told) for line in r.lines]
        assert sorted(said) == [(item, f"item {item}") for item in range(20)]

    def test_bytes_are_captured_too(self, bench: Bench) -> None:
        bench.done(tasks.print_bytes, data="grüße\nund mehr".encode() + b"\xff")
        assert bench.texts("stdout") == ["grüße", "und mehr\\xff"]

    def test_many_lines_arrive_whole_and_in_order(self, bench: Bench) -> None:
        bench.done(tasks.print_lines, count=5000)
        assert bench.texts("stdout") == [str(number) for number in range(5000)]

    def test_lines_of_threads_do_not_run_into_each_other(self, bench: Bench) -> None:
        bench.done(tasks.print_from_threads, threads=4, count=500)
        told = [text.split() for text in bench.texts("stdout")]
        for thread in range(4):
            assert [int(number) for name, number in told if name == str(thread)] == list(range(500))

    def test_text_that_cannot_be_encoded_does_no_harm(self, bench: Bench) -> None:
        assert bench.value(tasks.log_odd_text) == "logged"
        assert bench.texts("stdout") == ["odd \\udcff text"]
        assert bench.texts("warning") == ["sample: odd \\udcff text"]

    def test_the_context(self, bench: Bench) -> None:
        job = Job(bench.define(tasks.who_am_i), 7, 2, {})
        (end,) = bench.finish(job).values()
        assert _value(bench, end) == ["run-1", "who_am_i", 7, 2, "who_am_i[7]", {"depth": 3}]

    def test_the_scratch_folder_is_gone_after_the_attempt(self, bench: Bench) -> None:
        assert not Path(bench.value(tasks.use_folder)).exists()

    # What is taken.

    def test_usage(self, bench: Bench) -> None:
        before = time.time()
        usage = bench.done(tasks.spin, seconds=0.05).usage
        assert before - 0.01 <= usage.started_at <= time.time()
        assert usage.cpu >= 0.05
        assert usage.duration >= 0.04
        assert usage.worker > 0

    def test_waiting_takes_time_and_no_processor(self, bench: Bench) -> None:
        usage = bench.done(tasks.sleep, seconds=0.2).usage
        assert usage.duration >= 0.2
        assert usage.cpu < usage.duration

    def test_peak_memory(self, bench: Bench) -> None:
        little = bench.done(tasks.spin, seconds=0.01).usage.peak_memory
        much = bench.done(tasks.fill_memory, size=200 << 20).usage.peak_memory
        assert little > 1 << 20
        assert much >= 200 << 20

    def test_a_failed_attempt_has_its_usage_too(self, bench: Bench) -> None:
        usage = bench.erred(tasks.fail, message="").usage
        assert usage.started_at > 0
        assert usage.worker > 0

    # Many jobs.

    def test_every_job_is_answered_once(self, bench: Bench) -> None:
        adding, failing = bench.define(tasks.add), bench.define(tasks.fail)
        jobs = [Job(adding, item, 1, bench.stored({"left": item})) for item in range(1000)]
        jobs += [Job(failing, item, 1, bench.stored({"message": str(item)})) for item in range(0, 1000, 10)]
        ends = bench.finish(*jobs)
        assert len(ends) == 1100
        assert sum(_value(bench, end) for end in ends.values() if isinstance(end, Done)) == 599_500
        faults = [end.fault.message for end in ends.values() if isinstance(end, Erred)]
        assert sorted(faults, key=int) == [str(item) for item in range(0, 1000, 10)]

    def test_attempts_of_one_item_are_told_apart(self, bench: Bench) -> None:
        work = bench.define(tasks.who_am_i)
        ends = bench.finish(*(Job(work, 0, attempt, {}) for attempt in range(1, 6)))
        assert [_value(bench, ends[work, 0, attempt])[3] for attempt in range(1, 6)] == [1, 2, 3, 4, 5]

    def test_many_large_inputs_and_outputs_at_once(self, bench: Bench) -> None:
        text = bench.values.store("x" * 4000)[0]
        texts = Collection("list", (text,) * 100)
        work = bench.define(tasks.undeclared)
        ends = bench.finish(*(Job(work, item, 1, {"value": texts}) for item in range(200)))
        assert all(isinstance(end, Done) for end in ends.values())
        assert len(ends) == 200

    def test_jobs_that_wait_behind_a_long_one_are_given_back(self, bench: Bench) -> None:
        bench.finish(*bench.jobs(tasks.add, 100, left=1))
        bench.submit(*bench.jobs(tasks.sleep, 6, seconds=0.5))
        bench.wait_for(lambda: any(isinstance(report, Unstarted) for report in bench.reports))

    def test_jobs_that_pile_up_behind_a_long_one_later_are_given_back(self, bench: Bench) -> None:
        bench.submit(*bench.jobs(tasks.sleep, 3, seconds=0.5))
        bench.poll(0)
        bench.submit(*bench.jobs(tasks.sleep, 3, seconds=0.5))
        bench.wait_for(lambda: any(isinstance(report, Unstarted) for report in bench.reports))

    # Its own life.

    def test_there_is_room_at_first_and_nothing_to_report(self, bench: Bench) -> None:
        assert bench.executor.room() > 0
        assert bench.executor.poll(0) == []

    def test_waiting_for_nothing_ends_in_time(self, bench: Bench) -> None:
        bench.done(tasks.add, left=1)
        assert bench.executor.poll(0.01) == []

    def test_poll_without_timeout_waits_for_a_report(self, bench: Bench) -> None:
        bench.submit(bench.job(tasks.sleep, seconds=0.1))
        (report,) = bench.executor.poll(None)
        assert isinstance(report, Done)

    @pytest.mark.parametrize("kill", [False, True])
    def test_closing_is_possible_at_any_time_and_twice(self, storage: dict[str, Any], kill: bool) -> None:
        unused = self.make_executor(storage, {})
        unused.close(kill=kill)
        busy = Bench(self.make_executor(storage, {}), open_values(storage), self.code_of)
        busy.submit(*busy.jobs(tasks.sleep, 2, seconds=0.1))
        busy.executor.close(kill=kill)
        busy.executor.close(kill=kill)


def _value(bench: Bench, end: End) -> Any:
    assert isinstance(end, Done), end
    return bench.values.load(end.outputs[0])
