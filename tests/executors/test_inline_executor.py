"""The executor that works in this process."""

from __future__ import annotations

from typing import Any

from penstock.app import open_values
from penstock.authoring.task import Task
from penstock.executors.inline import InlineExecutor
from penstock.model.work import Code, Local
from penstock.testing import sample_tasks
from penstock.testing.executor_conformance import ExecutorConformance

FUNCTIONS = {task.name: task.function for task in vars(sample_tasks).values() if isinstance(task, Task)}


class TestInlineExecutor(ExecutorConformance):
    def make_executor(self, storage: dict[str, Any], parameters: dict[str, Any]) -> InlineExecutor:
        return InlineExecutor(open_values(storage), parameters, FUNCTIONS)

    def code_of(self, task: Task[..., Any]) -> Code:
        return Local(task.name)
