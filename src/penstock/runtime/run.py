"""A run, for those who started it or look it up."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, overload

from penstock.errors import CancelledError, DefinitionError, NotFoundError, RunFailedError
from penstock.model.generation import Choice, root_of
from penstock.model.run import FRUITFUL, AttemptRecord, NodeState, RunRecord, RunState, item_id
from penstock.ports import Store
from penstock.runtime import requests
from penstock.runtime.reading.document import run_document
from penstock.runtime.reading.failures import body_fault, exception_for, expiry, handled_nodes, is_handled
from penstock.runtime.reading.questions import question_document
from penstock.runtime.surroundings.processes import has_lost_its_driver
from penstock.runtime.tags import checked_tags
from penstock.values import Values

if TYPE_CHECKING:
    from penstock.runtime.explaining.runs import RunDiff
    from penstock.runtime.explaining.why import Explanation, RunExplanation
    from penstock.runtime.reading.past import Past
    from penstock.runtime.replaying.outcome import Replay
    from penstock.runtime.replaying.replayer import Replayer

#: opens the store for as long as it is needed
OpenStore = Callable[[], AbstractContextManager[Store]]


class TaskRun:
    """A node of a run, or one item of a mapped node."""

    def __init__(self, document: Mapping[str, Any], attempt: AttemptRecord | None, values: Values, run: Run) -> None:
        self._document = document
        self._attempt = attempt
        self._values = values
        self._run = run
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
    def inputs(self) -> dict[str, Any]:
        """The values that the task was given, by name, loaded now. Raises LookupError where what should have made them
        did not run, and NotFoundError where nothing is kept of the code."""
        past = self._run.past
        return {name: self._values.load(argument) for name, argument in past.inputs(past.find(self.id)).items()}

    @property
    def outputs(self) -> dict[str, Any]:
        """The values by output name, loaded now; empty where there are none."""
        artifacts = self._attempt.outputs if self._attempt is not None else ()
        if not artifacts:
            return {}
        names = self._document["outputs"]
        return {name: self._values.load(artifact) for name, artifact in zip(names, artifacts, strict=True)}

    @property
    def output(self) -> Any:
        """The value of the only output. Raises LookupError where there is none or more than one."""
        outputs = self.outputs
        if len(outputs) != 1:
            raise LookupError(f"{self.id} has {len(outputs)} outputs: {', '.join(outputs) or 'it was ' + self.state}")
        return next(iter(outputs.values()))

    def replay(
        self,
        code: Literal["stored", "today"] | None = None,
        *,
        pdb: bool | Literal["start", "error"] = False,
    ) -> Replay:
        """Make the task again, in this process, with the inputs that it had, and compare. Nothing is recorded.

        `code` says which: that of the run, or that of today; by default, today's where it does the same as that of the
        run, and else that of the run. `pdb` enters the debugger: at the first line of the function, or where it raises;
        true is the latter for a task that failed in the run. What the task raises is in the `error` of the result.

        Raises DefinitionError for what cannot be made again (an approval, a whole pipeline, code or inputs that are gone),
        and CancelledError where the debugger was left.
        """
        return self._run.replay(self.id, code, pdb=pdb)

    def why(self) -> Explanation:
        """Why it is as it is now: see `Run.why`."""
        return self._run.why(self.id)

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
        replayer: Callable[[], Replayer] | None = None,
        renew: Callable[[str, Choice], Run] | None = None,
    ) -> None:
        self._record = record
        self._open_store = open_store
        self._values = values
        #: makes the value that the pipeline returned from its outputs; without it, a record comes back as a dict
        self._restore = restore or _only_value
        #: goes on with a run that is paused, given its id
        self._resume = resume
        #: makes what makes its tasks again
        self._replayer = replayer
        #: begins a run anew, given its id
        self._renew = renew
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
        documents = self.document["tasks"]
        return [TaskRun(document, fruitful.get(document["id"]), self._values, self) for document in documents]

    def task(self, name: str) -> TaskRun:
        """The node or item of that id. Raises NotFoundError, naming near ones."""
        from penstock.runtime.reading.nearest import nearest

        for task in self.tasks:
            if task.id == name:
                return task
        near = nearest(name, [task.id for task in self.tasks])
        raise NotFoundError(
            f"run {self.run_id} has no task {name!r}",
            remedy=f"Did you mean {', '.join(near)}?" if near else None,
        )

    @cached_property
    def past(self) -> Past:
        """The run read back with the inputs of everything that ran in it."""
        from penstock.runtime.reading.past import Past

        with self._open_store() as store:
            past = Past(store, self._values, self._record)
            # the rest of what inputs take is read by now
            _ = past.identities
        return past

    def replay(
        self,
        name: str,
        code: Literal["stored", "today"] | None = None,
        *,
        pdb: bool | Literal["start", "error"] = False,
    ) -> Replay:
        """Make a node or an item of the run again: see `TaskRun.replay`. Raises NotFoundError, naming near ones."""
        assert self._replayer is not None
        stop = "auto" if pdb is True else pdb or None
        return self._replayer().replay(self._record, name, code, stop)

    @overload
    def why(self, node: str) -> Explanation: ...
    @overload
    def why(self, node: None = None) -> RunExplanation: ...
    def why(self, node: str | None = None) -> Explanation | RunExplanation:
        """Why a node or an item of the run, by its id, is as it is now: why it ran, was taken from the cache, failed, was
        skipped, or what it waits for; without `node`, all of them in short. Raises NotFoundError, naming near ones."""
        import time

        from penstock.runtime.explaining.why import Explainer
        from penstock.runtime.reading.past import Past

        with self._open_store() as store:
            past = Past(store, self._values, store.find(self.run_id))
            explainer = Explainer(past, time.time())
            return explainer.overview() if node is None else explainer.explain(past.find(node))

    def diff(self, before: Run | str | None = None) -> RunDiff:
        """In what this run differs from another one (a run, or the id of one), causes before effects; by default, from the
        run of its pipeline before it. Raises NotFoundError if there is none, DefinitionError for the run itself."""
        from penstock.runtime.explaining.pairing import check_two, run_before
        from penstock.runtime.explaining.runs import diff_runs
        from penstock.runtime.reading.past import Past

        with self._open_store() as store:
            record = store.find(self.run_id)
            if before is None:
                other = run_before(store, record)
            else:
                other = store.find(before if isinstance(before, str) else before.run_id)
            check_two(other, record)
            return diff_runs(Past(store, self._values, other), Past(store, self._values, record))

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags that the run has now, sorted."""
        with self._open_store() as store:
            return store.tags([root_of(self.run_id)]).get(root_of(self.run_id), ())

    def tag(self, *tags: str, remove: Iterable[str] = ()) -> tuple[str, ...]:
        """Put tags on the run, and take some off. Returns those that it has then, sorted. All generations of a run have the
        same.

        A run with the tag `pinned` is never removed by `penstock gc`. Raises DefinitionError for what cannot be a tag.
        """
        added = checked_tags(tags)
        with self._open_store() as store:
            found = store.tag(root_of(self.run_id), add=added, remove=remove)
        # it tells the tags
        self.__dict__.pop("document", None)
        return found

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

    def retry(self, *nodes: str, keep: Sequence[str] = (), invalidate: Sequence[str] = ()) -> Run:
        """Run nodes again (`train`, `fit[3]`, `fit[rf]`, or patterns; by default, those that failed), and all that depends
        on them, as the next generation of the run. Returns it as it is then.

        What else is finished is kept, unless its code or its inputs changed; `keep` and `invalidate` (patterns) say
        otherwise. Raises NotFoundError for a node that is not there, StoreError for a run that has not ended, and
        DefinitionError for a run that was looked up: `retry` of its pipeline knows the code.
        """
        if self._renew is None:
            raise DefinitionError(
                f"run {self.run_id} was looked up, and does not know its code",
                remedy=f"Use that of its pipeline: {self.pipeline}.retry({self.run_id!r}), "
                f"or penstock retry {self.run_id}",
            )
        return self._renew(self.run_id, Choice(keep=tuple(keep), invalidate=tuple(invalidate), again=nodes))

    def cancel(self, reason: str = "", *, now: bool = False) -> Run:
        """End the run, wherever it is driven, and wait for that. Returns it as it is then.

        What is under way is stopped; teardowns and exit handlers still run, unless `now` is true.
        """
        with self._open_store() as store:
            requests.cancel(store, self.run_id, reason=reason, now=now)
        return self._again()

    @property
    def orphaned(self) -> bool:
        """Whether the run is under way by its record, and the process that drove it is gone: `pipeline.resume` goes on with
        it. Of a process on another machine that cannot be told at once; it counts as there."""
        with self._open_store() as store:
            return has_lost_its_driver(store, store.find(self.run_id))

    def _again(self) -> Run:
        """The run as it is recorded now."""
        with self._open_store() as store:
            record = store.find(self.run_id)
        return Run(record, self._open_store, self._values, self._restore, self._resume, self._replayer, self._renew)

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
                raise exception_for(f"the body of {self.pipeline}", own, self.run_id, self._values.trust)
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
        raise exception_for(item_id(first.node, first.item, first.key), first.fault, self.run_id, self._values.trust)

    def __repr__(self) -> str:
        return f"<run {self.run_id} of {self.pipeline}: {self.state.value}>"

    def _repr_html_(self) -> str:
        """A table of the tasks, for notebooks."""
        from html import escape

        rows = "".join(
            f"<tr><td>{escape(task.id)}</td><td>{task.state}</td><td>{task.duration:.2f} s</td>"
            f"<td>{escape(task.error or task.reason)}</td></tr>"
            for task in self.tasks[:200]
        )
        metrics = ", ".join(f"{escape(name)} = {value:.4g}" for name, value in self.metrics.items())
        more = f"<p>and {len(self.tasks) - 200} more</p>" if len(self.tasks) > 200 else ""
        return (
            f"<p><b>{escape(self.pipeline)}</b> {self.state.value} · {escape(self.run_id)}</p>"
            f"<table><tr><th>task</th><th>state</th><th>time</th><th></th></tr>{rows}</table>{more}<p>{metrics}</p>"
        )


def _only_value(outputs: Mapping[str, Any]) -> Any:
    return outputs["result"] if list(outputs) == ["result"] else outputs
