"""Gathers what running attempts say, each for itself, and hands it on in batches."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextvars import ContextVar, Token
from typing import Any

from msgspec import structs

from penstock.model.value import Artifact, Description
from penstock.model.work import Attachment, Job, Line, Metric, Told, Yield
from penstock.secrets import masking
from penstock.values import Values

#: how long something said may wait to be handed on, in seconds
_PROMPT = 0.1
#: how many lines are handed on at a time
_BATCH = 200


class Speech:
    """What one attempt has said, and has not been handed on."""

    __slots__ = (
        "attachments",
        "descriptions",
        "job",
        "lines",
        "metrics",
        "outer",
        "progress",
        "telling",
        "token",
        "values",
    )

    def __init__(self, telling: Telling, job: Job, values: Values) -> None:
        self.telling = telling
        self.job = job
        self.values = values
        #: of the attempt that runs the pipeline which this one is of
        self.outer = _speech.get()
        self.token: Token[Speech | None] | None = None
        self._clear()

    def _clear(self) -> None:
        self.lines: list[Line] = []
        self.metrics: list[Metric] = []
        self.attachments: list[Attachment] = []
        self.descriptions: list[Description] = []
        self.progress: tuple[float, float] | None = None

    def line(self, line: Line) -> None:
        self.telling.add(self, line)

    def take(self) -> Told | None:
        """Everything said since this was last asked; None if that is nothing."""
        if not (self.lines or self.metrics or self.attachments or self.descriptions or self.progress):
            return None
        told = Told(
            self.job.work,
            self.job.item,
            self.job.attempt,
            tuple(self.lines),
            tuple(self.metrics),
            tuple(self.attachments),
            tuple(self.descriptions),
            self.progress,
            self.job.cell,
        )
        self._clear()
        return _masked(told) if masking.active() else told


def _masked(told: Told) -> Told:
    """The same without the secrets that this process has read."""
    mask = masking.mask
    return structs.replace(
        told,
        lines=tuple(structs.replace(line, text=mask(line.text)) for line in told.lines),
        metrics=tuple(structs.replace(metric, name=mask(metric.name)) for metric in told.metrics),
        attachments=tuple(structs.replace(each, name=mask(each.name)) for each in told.attachments),
    )


_speech: ContextVar[Speech | None] = ContextVar("penstock_speech", default=None)


class Telling:
    """The listener of all the attempts that one executor has in this process.

    Whose something is, the context (`contextvars`) tells in which it is said: that in which the attempt began, or a
    copy of it. What is said elsewhere, as in a thread that a task has started itself, is taken to be of the only
    attempt under way, or if there is none, of the last. With `prompt`, a thread sees to it that nothing waits for long.
    """

    def __init__(self, hand_on: Callable[[Told | Yield], None], *, prompt: bool = False) -> None:
        self._hand_on = hand_on
        self._prompt = prompt
        self._lock = threading.RLock()
        self._waiting = threading.Event()
        self._thread: threading.Thread | None = None
        self._under_way: dict[Speech, None] = {}
        self._last: Speech | None = None
        #: those that have said something which was not handed on
        self._unheard: dict[Speech, None] = {}

    def begin(self, job: Job, values: Values) -> Speech:
        """From now on, what is said in this context is said by this job. `values` stores what it logs."""
        speech = Speech(self, job, values)
        with self._lock:
            if not self._prompt and self._unheard:
                self._flush_all()
            self._under_way[speech] = None
            self._last = speech
        speech.token = _speech.set(speech)
        return speech

    def end(self, speech: Speech) -> None:
        """Hand on everything that a job has said; it is over. In the context that it began in."""
        with self._lock:
            if speech in self._unheard:
                self.flush(speech)
            self._under_way.pop(speech, None)
        if speech.token is not None:
            _speech.reset(speech.token)
            speech.token = None

    def speaker(self) -> Speech | None:
        """Whoever speaks here; None if that cannot be told."""
        speech = _speech.get()
        while speech is not None and speech.telling is not self:
            speech = speech.outer
        if speech is not None:
            return speech
        with self._lock:
            if len(self._under_way) == 1:
                return next(iter(self._under_way))
            return None if self._under_way else self._last

    # What a listener is told.

    def line(self, line: Line) -> None:
        speech = self.speaker()
        if speech is not None:
            self.add(speech, line)

    def metric(self, metric: Metric) -> None:
        self._say(lambda speech: speech.metrics.append(metric))

    def artifact(self, name: str, value: Any) -> None:
        speech = self.speaker()
        if speech is None:
            return
        artifact, description = speech.values.store(value, output=True)
        with self._lock:
            speech.attachments.append(Attachment(name, artifact))
            if description is not None:
                speech.descriptions.append(description)
            self._soon(speech)

    def progress(self, done: float, total: float) -> None:
        def keep(speech: Speech) -> None:
            speech.progress = (done, total)

        self._say(keep)

    def yielded(self, index: int, output: Artifact, description: Description | None) -> None:
        """Hand on what a generator has yielded, after everything said before."""
        speech = self.speaker()
        assert speech is not None
        with self._lock:
            if description is not None:
                speech.descriptions.append(description)
            self.flush(speech)
            self._hand_on(Yield(speech.job.work, speech.job.item, speech.job.attempt, index, output))

    def pass_on(self, report: Told | Yield) -> None:
        """Hand on what an attempt has said that is made elsewhere on behalf of one here."""
        with self._lock:
            self._hand_on(report)

    def _say(self, keep: Callable[[Speech], None]) -> None:
        speech = self.speaker()
        if speech is not None:
            with self._lock:
                keep(speech)
                self._soon(speech)

    def add(self, speech: Speech, line: Line) -> None:
        """Take in a line of somebody's."""
        with self._lock:
            speech.lines.append(line)
            self._soon(speech)
            if len(speech.lines) >= _BATCH:
                self.flush(speech)

    # Handing it on.

    def flush(self, speech: Speech) -> None:
        """Hand on everything that a job has said so far."""
        # handed on under the lock: who comes second must not report the end of the attempt before this is out
        with self._lock:
            self._unheard.pop(speech, None)
            told = speech.take()
            if told is not None:
                self._hand_on(told)

    def _flush_all(self) -> None:
        for speech in list(self._unheard):
            self.flush(speech)

    def _soon(self, speech: Speech) -> None:
        self._unheard[speech] = None
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
            with self._lock:
                self._flush_all()
