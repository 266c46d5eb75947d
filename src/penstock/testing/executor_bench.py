"""An executor on the bench: gives it jobs as a runtime does, and keeps everything that it reports."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from msgspec import structs

from penstock.authoring import importable
from penstock.authoring.task import Task
from penstock.model.value import Argument
from penstock.model.work import (
    AnyReport,
    Code,
    Declined,
    Done,
    Erred,
    Job,
    Line,
    Metric,
    NotYet,
    Told,
    Unstarted,
    Work,
    Yield,
)
from penstock.ports import Executor
from penstock.values import Values

#: seconds after which an answer is given up on, far above what any of them takes
_PATIENCE = 60.0

#: how an attempt can end
End = Done | Erred | Declined | NotYet

#: work, item and attempt
Name = tuple[int, int, int]


class Bench:
    """An executor under test. `code_of` says how it gets at the function of a task."""

    def __init__(self, executor: Executor, values: Values, code_of: Callable[[Task[..., Any]], Code]) -> None:
        self.executor = executor
        self.values = values
        #: everything that was reported, in order
        self.reports: list[AnyReport] = []
        self._code_of = code_of
        self._works = 0
        self._open: Counter[Name] = Counter()

    # Going in.

    def define(
        self, task: Task[..., Any], *, code: Code | None = None, shared: dict[str, Any] | None = None, **more: Any
    ) -> int:
        """Make a task known, with inputs that all of its jobs share, and `more` that is to be set of its `Work`.
        Returns the number of the work."""
        self._works += 1
        noun = task.noun
        work = Work(
            number=self._works,
            run_id="run-1",
            node=noun.name,
            task=noun.name,
            code=code or self._code_of(task),
            ports=noun.inputs,
            outputs=noun.outputs,
            record=noun.record,
            inputs=self.stored(shared or {}),
        )
        self.executor.define(structs.replace(work, **more))
        return self._works

    def stored(self, inputs: dict[str, Any]) -> dict[str, Argument]:
        """Inputs as they are handed over; what is stored already stays as it is."""
        return {n: v if isinstance(v, Argument) else self.values.store(v)[0] for n, v in inputs.items()}

    def job(self, task: Task[..., Any], **inputs: Any) -> Job:
        """A job that is the only one of its work."""
        return Job(self.define(task), -1, 1, self.stored(inputs))

    def jobs(self, task: Task[..., Any], count: int, **inputs: Any) -> list[Job]:
        """So many jobs of one work, all with the same inputs."""
        work, stored = self.define(task), self.stored(inputs)
        return [Job(work, item, 1, stored) for item in range(count)]

    def submit(self, *jobs: Job) -> None:
        self._open.update(map(name_of, jobs))
        self.executor.submit(jobs)

    # Coming out.

    def poll(self, timeout: float = 0.2) -> list[AnyReport]:
        """Take in what was reported, and check that every answer is to a job that waits for one."""
        reports = self.executor.poll(timeout)
        self.reports += reports
        for report in reports:
            # threads that a task has left behind may speak after its end
            if not isinstance(report, (Told, Yield)):
                assert self._open[name_of(report)] > 0, f"nobody waits for {report}"
                self._open[name_of(report)] -= 1
        return reports

    def finish(self, *jobs: Job) -> dict[Name, End]:
        """Submit jobs as there is room, again where they come back unstarted, until none is without an answer."""
        ends: dict[Name, End] = {}
        waiting = list(jobs)
        known = {name_of(job): job for job in jobs}
        deadline = time.monotonic() + _PATIENCE
        while waiting or self._open.total():
            assert time.monotonic() < deadline, f"never answered: {+self._open or waiting}"
            room = max(0, self.executor.room())
            if ready := waiting[:room]:
                del waiting[:room]
                self.submit(*ready)
            for report in self.poll():
                if isinstance(report, End):
                    ends[name_of(report)] = report
                elif isinstance(report, Unstarted):
                    waiting.append(known[name_of(report)])
        return ends

    def wait_for(self, condition: Callable[[], Any]) -> None:
        """Poll until a condition holds."""
        deadline = time.monotonic() + _PATIENCE
        while not condition():
            assert time.monotonic() < deadline, "it never came to that"
            self.poll(0.01)

    # Both at once.

    def end_of(self, task: Task[..., Any], **inputs: Any) -> End:
        """Make one attempt."""
        (end,) = self.finish(self.job(task, **inputs)).values()
        return end

    def done(self, task: Task[..., Any], **inputs: Any) -> Done:
        """Make one attempt, which must succeed."""
        end = self.end_of(task, **inputs)
        assert isinstance(end, Done), end
        return end

    def erred(self, task: Task[..., Any], **inputs: Any) -> Erred:
        """Make one attempt, which must fail."""
        end = self.end_of(task, **inputs)
        assert isinstance(end, Erred), end
        return end

    def value(self, task: Task[..., Any], **inputs: Any) -> Any:
        """The only output of one attempt."""
        (output,) = self.done(task, **inputs).outputs
        return self.values.load(output)

    def end_with(
        self, task: Task[..., Any], work: dict[str, Any], job: dict[str, Any] | None = None, **inputs: Any
    ) -> End:
        """Make one attempt, with more that is to be set of its `Work` and of its `Job`."""
        attempt = Job(self.define(task, **work), -1, 1, self.stored(inputs), **(job or {}))
        (end,) = self.finish(attempt).values()
        return end

    # What was said.

    def lines(self) -> list[Line]:
        return [line for told in self._told() for line in told.lines]

    def texts(self, stream: str) -> list[str]:
        """The lines of one stream."""
        return [line.text for line in self.lines() if line.stream == stream]

    def yielded(self) -> list[Yield]:
        return [report for report in self.reports if isinstance(report, Yield)]

    def metrics(self) -> list[Metric]:
        return [metric for told in self._told() for metric in told.metrics]

    def _told(self) -> list[Told]:
        return [report for report in self.reports if isinstance(report, Told)]


def code_of(task: Task[..., Any]) -> Code:
    """How a process of its own gets at the function of a task."""
    return importable.code_of(task.function, task.name)


def name_of(thing: Job | AnyReport) -> Name:
    """Work, item and attempt of a job, or of a report about one."""
    return thing.work, thing.item, thing.attempt
