"""Gathers what a running attempt says, and hands it on in batches."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from penstock.model.value import Description
from penstock.model.work import Attachment, Job, Line, Metric, Told
from penstock.values import Values

#: how long something said may wait to be handed on, in seconds
_PROMPT = 0.1
#: how many lines are handed on at a time
_BATCH = 200


class _Batch:
    """What was said and has not been handed on."""

    __slots__ = ("attachments", "descriptions", "lines", "metrics", "progress")

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.metrics: list[Metric] = []
        self.attachments: list[Attachment] = []
        self.descriptions: list[Description] = []
        self.progress: tuple[float, float] | None = None

    def __bool__(self) -> bool:
        return bool(self.lines or self.metrics or self.attachments or self.progress)


class Telling:
    """The listener of the attempt at hand. With `prompt`, a thread sees to it that nothing waits for long."""

    def __init__(self, values: Values, hand_on: Callable[[Told], None], *, prompt: bool = False) -> None:
        self._values = values
        self._hand_on = hand_on
        self._prompt = prompt
        self._lock = threading.RLock()
        self._waiting = threading.Event()
        self._thread: threading.Thread | None = None
        self._job: Job | None = None
        self._batch = _Batch()

    def begin(self, job: Job) -> None:
        """From now on, what is said is said by this job."""
        self._job = job

    def line(self, line: Line) -> None:
        with self._lock:
            self._batch.lines.append(line)
            if len(self._batch.lines) >= _BATCH:
                self.flush()
        self._soon()

    def metric(self, metric: Metric) -> None:
        with self._lock:
            self._batch.metrics.append(metric)
        self._soon()

    def artifact(self, name: str, value: Any) -> None:
        artifact, description = self._values.store(value, output=True)
        with self._lock:
            self._batch.attachments.append(Attachment(name, artifact))
            if description is not None:
                self._batch.descriptions.append(description)
        self._soon()

    def progress(self, done: float, total: float) -> None:
        with self._lock:
            self._batch.progress = (done, total)
        self._soon()

    def flush(self) -> None:
        """Hand on everything said so far."""
        # handed on under the lock: who comes second must not report the end of the attempt before this is out
        with self._lock:
            if self._job is not None and self._batch:
                said, self._batch = self._batch, _Batch()
                self._hand_on(_told(self._job, said))

    def _soon(self) -> None:
        if not self._prompt:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="penstock-telling", daemon=True)
            self._thread.start()
        self._waiting.set()

    def _watch(self) -> None:
        while True:
            self._waiting.wait()
            time.sleep(_PROMPT)
            self._waiting.clear()
            self.flush()


def _told(job: Job, said: _Batch) -> Told:
    return Told(
        job.work,
        job.item,
        job.attempt,
        tuple(said.lines),
        tuple(said.metrics),
        tuple(said.attachments),
        tuple(said.descriptions),
        said.progress,
    )
