"""A run, for those who started it or look it up."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Any

from penstock.errors import CancelledError, NotFoundError, RunFailedError
from penstock.model.run import FRUITFUL, AttemptRecord, NodeState, RunRecord, RunState, item_id
from penstock.ports import Store
from penstock.runtime import requests
from penstock.runtime.reading.document import run_document
from penstock.runtime.reading.failures import body_fault, exception_for, expiry, handled_nodes, is_handled
from penstock.runtime.reading.questions import question_document
from penstock.values import Values

#: opens the store for as long as it is needed
OpenStore = Callable[[], AbstractContextManager[Store]]


class TaskRun:
    """A node of a run, or one item of a mapped node."""

    def __init__(self, document: Mapping[str, Any], attempt: AttemptRecord | None, values: Values) -> None:
        self._document = document
        self._attempt = attempt
        self._values = values
        #: `train`, `fit[3]`
        self.id: str = document["id"]
        self.state: str = document["state"]
        #: how often it was tried in this run
        self.attempts: int = document["attempts"]
        #: what the item is called, where items do not go by number
        self.key: str | None = document.get("key")
        #: every attempt, where there was more than one: how it ended, how long it took, what it waited before
        self.history: list[dict[str, Any]] = document.get("history", [])
        #: seconds, all attempts together
        self.duration: float = document["duration_s"]
        #: the exception of the last attempt, as text
        self.error: str | None = document["error"]
        #: why it was skipped, cancelled or not reached
        self.reason: str = document.get("reason", "")

    @property
    def outputs(self) -> dict[str, Any]:
        """The values by output name, loaded now; empty where there are none."""
        artifacts = self._attempt.outputs if self._attempt is not None else ()
        names = self._document["outputs"]
        return {name: self._values.load(artifact) for name, artifact in zip(names, artifacts, strict=True)}

    @property
    def output(self) -> Any:
        """The value of the only output. Raises LookupError where there is none or more than one."""
        outputs = self.outputs
        if len(outputs) != 1:
            raise LookupError(f"{self.id} has {len(outputs)} outputs: {', '.join(outputs) or 'it was ' + self.state}")
        return next(iter(outputs.values()))

    def __repr__(self) -> str:
        return f"<{self.id}: {self.state}>"


class Run:
    """One execution of a pipeline. Values are loaded when they are asked for."""

    def __init__(
        self,
        record: RunRecord,
        open_store: OpenStore,
        values: Values,
        restore: Callable[[Mapping[str, Any]], Any] | None = None,
        resume: Callable[[str], Run] | None = None,
    ) -> None:
        self._record = record
        self._open_store = open_store
        self._values = values
        #: makes the value that the pipeline returned from its outputs; without it, a record comes back as a dict
        self._restore = restore or _only_value
        #: whether this process ended it because of Ctrl-C
        self.interrupted = False
        #: goes on with a run that is paused, given its id
        self._resume = resume
        self.run_id = record.run_id
        self.pipeline = record.pipeline
        self.state = record.state
        #: whether it was ended by Ctrl-C, in this process
        self.interrupted = False
        #: in their JSON-able form
        self.parameters = record.parameters

    @property
    def outputs(self) -> dict[str, Any]:
        """What the pipeline returned, by name: the fields of a dict, dataclass or named tuple, else `result`."""
        return {name: self._values.load(argument) for name, argument in self._record.outputs.items()}

    @property
    def result(self) -> Any:
        """The value that the pipeline returned. Raises what `raise_for_state` raises if the run did not succeed."""
        self.raise_for_state()
        return self._restore(self.outputs)

    @cached_property
    def document(self) -> dict[str, Any]:
        """The run as JSON-able data, as `penstock show RUN --json` prints it."""
        with self._open_store() as store:
            return run_document(store, self._values, self._record)

    @property
    def duration(self) -> float | None:
        """Seconds from start to end; None while it runs."""
        return self.document["duration_s"]

    @property
    def metrics(self) -> dict[str, float]:
        """The last value of every metric that tasks logged."""
        return self.document["metrics"]

    @cached_property
    def tasks(self) -> list[TaskRun]:
        """The nodes and items of the run, in the order of the graph."""
        with self._open_store() as store:
            attempts = store.attempts(self.run_id)
        fruitful = {item_id(each.node, each.item, each.key): each for each in attempts if each.state in FRUITFUL}
        return [TaskRun(document, fruitful.get(document["id"]), self._values) for document in self.document["tasks"]]

    def task(self, name: str) -> TaskRun:
        """The node or item of that id. Raises NotFoundError, naming near ones."""
        import difflib

        for task in self.tasks:
            if task.id == name:
                return task
        near = difflib.get_close_matches(name, [task.id for task in self.tasks])
        raise NotFoundError(
            f"run {self.run_id} has no task {name!r}",
            remedy=f"Did you mean {', '.join(near)}?" if near else None,
        )

    @property
    def questions(self) -> list[dict[str, Any]]:
        """The approvals that the run waits for now: `id`, `question`, `fields` to fill in, `inputs` that are shown."""
        with self._open_store() as store:
            return [question_document(each, self._values) for each in requests.questions(store, self.run_id)]

    def approve(self, node: str, *, approved: bool = True, by: str = "", why: str = "", **values: Any) -> Run:
        """Answer the approval `node` of the run (`sign_off`, `sign_off[rf]`), with the values that it asks for.

        Goes on with a run that is paused, and returns it as it is then. Without `by`, the user of this process
        answers. Raises NotFoundError if no such question is open, ParameterError for values that do not fit.
        """
        with self._open_store() as store:
            requests.answer(store, self.run_id, node, approved=approved, values=values, by=by, why=why)
            paused = store.find(self.run_id).state is RunState.PAUSED
        return self._resume(self.run_id) if paused and self._resume is not None else self._again()

    def cancel(self, reason: str = "", *, now: bool = False) -> Run:
        """End the run, wherever it is driven, and wait for that. Returns it as it is then.

        What is under way is stopped; teardowns and exit handlers still run, unless `now` is true.
        """
        with self._open_store() as store:
            requests.cancel(store, self.run_id, reason=reason, now=now)
        return self._again()

    def _again(self) -> Run:
        """The run as it is recorded now."""
        with self._open_store() as store:
            record = store.find(self.run_id)
        return Run(record, self._open_store, self._values, self._restore, self._resume)

    def raise_for_state(self) -> None:
        """Do nothing if the run succeeded; else raise what the body of the pipeline itself has raised, or the first
        failed task's own exception, or one of penstock's."""
        if self.state is RunState.SUCCEEDED:
            return
        if self.state is RunState.PAUSED:
            asked = ", ".join(question["id"] for question in self.questions) or "an answer"
            raise CancelledError(
                f"run {self.run_id} is paused: it waits for {asked}",
                remedy=f"Answer it: run.approve(...), or penstock approve {self.run_id}",
            )
        if self.state is not RunState.FAILED:
            raise CancelledError(
                f"run {self.run_id} was {self.state.value}", remedy=f"See: penstock show {self.run_id}"
            )
        with self._open_store() as store:
            own = body_fault(store, self.run_id)
            if own is not None:
                raise exception_for(f"the body of {self.pipeline}", own, self.run_id)
            if late := expiry(store, self.run_id):
                raise RunFailedError(f"run {self.run_id} failed: {late}", remedy=f"See: penstock show {self.run_id}")
            # attempt 0 is an end without an attempt, and comes last if there is one
            attempts = sorted(store.attempts(self.run_id), key=lambda each: each.attempt or math.inf)
            handled = handled_nodes(store, self.run_id)
        last = {(attempt.node, attempt.item): attempt for attempt in attempts}
        ended = [attempt for attempt in last.values() if attempt.state is NodeState.FAILED]
        failed = [attempt for attempt in ended if not is_handled(attempt.node, handled)]
        first = min(failed, key=lambda attempt: attempt.started_at + attempt.duration, default=None)
        if first is None or first.fault is None:
            raise RunFailedError(f"run {self.run_id} failed", remedy=f"See: penstock show {self.run_id}")
        raise exception_for(item_id(first.node, first.item, first.key), first.fault, self.run_id)

    def __repr__(self) -> str:
        return f"<run {self.run_id} of {self.pipeline}: {self.state.value}>"

    def _repr_html_(self) -> str:
        """A table of the tasks, for notebooks."""
        rows = "".join(
            f"<tr><td>{html.escape(task.id)}</td><td>{task.state}</td><td>{task.duration:.2f} s</td>"
            f"<td>{html.escape(task.error or task.reason)}</td></tr>"
            for task in self.tasks[:200]
        )
        metrics = ", ".join(f"{html.escape(name)} = {value:.4g}" for name, value in self.metrics.items())
        more = f"<p>and {len(self.tasks) - 200} more</p>" if len(self.tasks) > 200 else ""
        return (
            f"<p><b>{html.escape(self.pipeline)}</b> {self.state.value} · {html.escape(self.run_id)}</p>"
            f"<table><tr><th>task</th><th>state</th><th>time</th><th></th></tr>{rows}</table>{more}<p>{metrics}</p>"
        )


def _only_value(outputs: Mapping[str, Any]) -> Any:
    return outputs["result"] if list(outputs) == ["result"] else outputs
