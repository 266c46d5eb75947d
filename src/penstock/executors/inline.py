"""Attempts in this process, one after the other: for tests and debuggers."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from penstock.executors.attempts.attempt import Attempts
from penstock.executors.attempts.capture import Capture
from penstock.executors.attempts.telling import Telling
from penstock.model.work import AnyReport, Job, Unstarted, Work, WorkerSettings
from penstock.values import Values

#: how much work is taken in ahead, in seconds and in jobs
_AHEAD = 0.005
_MOST_AHEAD = 256
#: after how long what has not begun is given back, in seconds
_STUCK = 0.02


class InlineExecutor:
    """Runs jobs in the calling thread while it is polled. What tasks print is also written where it would go.

    Limits of time are kept in the main thread only, on systems that have interval timers; compiled code is only
    interrupted when it returns. Limits of memory are not kept, and devices are chosen for code that has not used any
    before: for all of these, a process of its own is needed. `settings` are needed for tasks with a Python environment
    of their own.
    """

    def __init__(
        self,
        values: Values,
        parameters: Mapping[str, Any],
        functions: Mapping[str, Callable[..., Any]],
        settings: WorkerSettings | None = None,
    ) -> None:
        self._jobs: deque[Job] = deque()
        self._told: list[AnyReport] = []
        self._telling = Telling(self._told.append)
        self._attempts = Attempts(values, parameters, self._telling, functions, alarms=True, settings=settings)
        self._capture = Capture(self._telling.speaker, through=True)
        #: whether user code runs right now
        self._busy = False
        #: seconds that a job takes of late
        self._pace = _AHEAD

    def define(self, work: Work) -> None:
        self._attempts.define(work)

    def room(self, *, shared: bool = False) -> int:
        return max(1, min(_MOST_AHEAD, int(_AHEAD / self._pace))) - len(self._jobs)

    def submit(self, jobs: Sequence[Job]) -> None:
        self._jobs.extend(jobs)

    def poll(self, timeout: float | None) -> list[AnyReport]:
        if not self._jobs:
            if timeout:
                time.sleep(timeout)
            return []
        reports: list[AnyReport] = []
        until = time.monotonic() + _STUCK
        with self._capture.active():
            # one at least, however long it took to come here: who has a single job waits for its end
            while self._jobs and (not reports or time.monotonic() < until):
                reports += self._reports_of(self._jobs.popleft())
        # whether they are still wanted is for the caller to say: it may have been interrupted
        reports += [Unstarted(job.work, job.item, job.attempt) for job in self._jobs]
        self._jobs.clear()
        return reports

    def _reports_of(self, job: Job) -> list[AnyReport]:
        """Make an attempt. Returns what it said and how it ended."""
        speech = self._telling.begin(job, self._attempts.values)
        self._busy = True
        end = self._attempts.make(job)
        self._busy = False
        self._capture.flush()
        self._telling.end(speech)
        self._pace = max(end.usage.duration, 0.7 * self._pace)
        reports = [*self._told, end]
        self._told.clear()
        return reports

    def stop(self, job: Job) -> None:
        """Nothing to do: no job runs between two polls."""

    def interrupt(self) -> None:
        if self._busy:
            raise KeyboardInterrupt

    def close(self, *, kill: bool = False) -> None:
        self._jobs.clear()
        self._attempts.close()
