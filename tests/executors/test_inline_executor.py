"""The executor that works in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.app import open_values
from penstock.authoring.task import Task
from penstock.executors import inline
from penstock.executors.inline import InlineExecutor
from penstock.model.work import Code, Done, Job, Local, Unstarted
from penstock.testing import sample_tasks
from penstock.testing.executor_bench import Bench
from penstock.testing.executor_conformance import ExecutorConformance

if TYPE_CHECKING:
    import pytest

FUNCTIONS = {task.name: task.function for task in vars(sample_tasks).values() if isinstance(task, Task)}


class TestInlineExecutor(ExecutorConformance):
    def make_executor(self, storage: dict[str, Any], parameters: dict[str, Any]) -> InlineExecutor:
        return InlineExecutor(open_values(storage), parameters, FUNCTIONS)

    def code_of(self, task: Task[..., Any]) -> Code:
        return Local(task.name)

    def test_one_job_is_made_however_late_it_is(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(inline, "_STUCK", 0.0)
        work = bench.define(sample_tasks.add)
        jobs = [Job(work, item, 1, bench.stored({"left": item})) for item in range(2)]
        bench.executor.submit(jobs)
        assert [type(report) for report in bench.executor.poll(None)] == [Done, Unstarted]
