"""Functions of the user's that are told what happens in a run: `on_start`, `on_success`, `on_failure` and the others.

They are called after what they are told of was committed, and can neither break the run nor hold it up.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from penstock.authoring.options.hooks import Attached, Hooks
from penstock.kernel import Phase, RunProgress
from penstock.kernel.state import NodeProgress
from penstock.model.event import (
    Answered,
    Concluded,
    Failed,
    Hit,
    Lost,
    RunStarted,
    Skipped,
    Started,
    Substituted,
    Succeeded,
)
from penstock.model.graph import Graph
from penstock.model.run import AttemptRecord, NodeState, RunRecord, RunState
from penstock.model.work import AnyReport
from penstock.ports import Clock, Turn
from penstock.runtime.hooks.line import Call, Complaint, HookContext, Line

__all__ = ["HookCalls", "HookContext"]

_log = logging.getLogger("penstock.hooks")

#: how many failed tasks the message of a failed run names
_NAMED = 5


class HookCalls:
    """Calls the hooks of a run; an observer of it.

    `attached` holds the hooks of nodes as a definition has them, and may grow; `pipeline` and `deadline` (seconds from
    the start of the run) are those of the pipeline. A hook that takes longer than `limit` seconds is told of, and those
    after it go on without waiting for it; `close` waits up to `wait` seconds for what is left.

    `follow` must be called with the state of the run before the run begins. `take_complaints` hands over what went
    wrong; what nobody takes before the end, and what goes wrong after it, is logged.
    """

    def __init__(
        self,
        attached: Mapping[tuple[str, str], Attached],
        pipeline: Hooks,
        parameters: Mapping[str, Any],
        clock: Clock,
        *,
        deadline: float | None = None,
        limit: float = 30.0,
        wait: float = 30.0,
    ) -> None:
        self._attached = attached
        self._pipeline = pipeline
        self._parameters = parameters
        self._clock = clock
        self._deadline = deadline
        self._wait = wait
        self._line = Line(limit)
        self._run: RunRecord | None = None
        self._progress: RunProgress | None = None
        #: nodes whose deadlines are known
        self._seen = 0
        #: what was told already of whom, where it might come up again
        self._told: set[tuple[str, int, str]] = set()

    def follow(self, progress: RunProgress) -> None:
        """Say what the state of the run is; it is read whenever something has happened."""
        self._progress = progress

    # The observer.

    def watch(self, run: RunRecord, graph: Graph) -> None:
        self._run = run
        if self._deadline is not None:
            context = self._run_context("deadline", "running", run.started_at + self._deadline)
            self._set_deadline(self._deadline, self._pipeline, context, self._unless_ended)

    def turn(self, turn: Turn, reports: Sequence[AnyReport]) -> None:
        self._line.look_after()
        if turn.events:
            self._tell(turn)
        self._find_deadlines()
        if turn.end is not None and turn.end is not RunState.PAUSED:
            self._end_run(turn.end, turn.at)

    def _tell(self, turn: Turn) -> None:
        """Tell of a turn in the order of its events; then of the ends that follow from others."""
        ends: dict[tuple[str, int], list[AttemptRecord]] = {}
        for record in turn.attempts:
            ends.setdefault((record.node, record.item), []).append(record)
        for event in turn.events:
            if isinstance(event, Started):
                self._begin(event, turn.at)
            elif isinstance(event, RunStarted):
                self._line.add(self._pipeline.start, self._run_context("start", "running", turn.at))
            elif isinstance(event, _ENDING) and (records := ends.get((event.node, event.item))):
                self._end(records.pop(0))
        for records in ends.values():
            for record in records:
                self._end(record)

    def settle(self) -> None:
        """Wait for what is due so far, for as long as `close` would."""
        self._line.wait(self._wait)

    def take_complaints(self) -> list[Complaint]:
        """What went wrong since this was last asked. What is about the pipeline as a whole is logged instead."""
        return self._line.take_complaints()

    def close(self) -> None:
        left = self._line.wait(self._wait)
        self._line.close()
        for complaint in self._line.take_complaints():
            _log.warning("%s%s", complaint.node and f"{complaint.node}: ", complaint.text)
        if left:
            _log.warning("%d hooks have not ended %g seconds after the run; they were given up", left, self._wait)

    # What happened.

    def _begin(self, event: Started, at: float) -> None:
        hooks, progress = self._hooks_of(event.node)
        if hooks.start and self._is_news(event.node, event.item, "start"):
            context = self._context("start", progress, event.item, attempt=event.attempt, state="running")
            self._line.add(hooks.start, replace(context, started_at=_time(at)))

    def _end(self, record: AttemptRecord) -> None:
        hooks, progress = self._hooks_of(record.node)
        if hooks is _NONE:
            return
        event = self._event_of(record, progress)
        functions = getattr(hooks, event) if event else ()
        if not functions or (event != "retry" and not self._is_news(record.node, record.item, event)):
            return
        context = self._context(
            event,
            progress,
            record.item,
            key=record.key,
            attempt=record.attempt,
            state=record.state.value,
            reason=record.reason,
            duration=record.duration,
            started_at=_time(record.started_at),
        )
        if event == "cancel":
            # an attempt that was stopped on request is recorded as lost, which says nothing to people
            stopped = record.reason or self._required_progress.cancelling or ""
            context = replace(context, state=NodeState.CANCELLED.value, reason=stopped)
        elif record.fault is not None:
            fault = record.fault
            context = replace(context, error_type=fault.type, error_message=fault.message, traceback=fault.traceback)
        self._line.add(functions, context)

    def _event_of(self, record: AttemptRecord, progress: NodeProgress) -> str:
        """What to call it that an attempt, or a node without one, has ended so; empty for what no hook is told."""
        if record.state is not NodeState.FAILED or record.attempt == 0:
            return _ENDS.get(record.state, "")
        phase = progress.phase_of(record.item)
        latest = record.attempt == progress.attempts.get(record.item, 0)
        if phase is Phase.FAILED and latest:
            return "failure"
        if phase is Phase.CANCELLED and latest:
            return "cancel"
        # with a fallback to come, the task itself has failed for good
        fallen = record.item in progress.fallen and (record.node, record.item, "failure") not in self._told
        return "failure" if fallen else "retry"

    def _end_run(self, state: RunState, at: float) -> None:
        event = _RUN_ENDS[state]
        functions = getattr(self._pipeline, event)
        if functions:
            failed = [progress.id for progress in self._required_progress.nodes.values() if progress.fatal]
            context = self._run_context(event, state.value, at)
            if state is RunState.FAILED and failed:
                more = f" and {len(failed) - _NAMED} more" if len(failed) > _NAMED else ""
                context = replace(context, error_message=f"{', '.join(failed[:_NAMED])}{more} failed")
            if state is RunState.CANCELLED:
                context = replace(context, reason=self._required_progress.cancelling or "")
            self._line.add(functions, context)

    def _is_news(self, node: str, item: int, event: str) -> bool:
        if (node, item, event) in self._told:
            return False
        self._told.add((node, item, event))
        return True

    # Deadlines.

    def _find_deadlines(self) -> None:
        """Take note of the deadlines of nodes that have appeared."""
        nodes = self._required_progress.nodes
        if len(nodes) == self._seen:
            return
        # from their end, so that a run that grows node by node does not go through all of them each time
        new = list(islice(reversed(nodes.values()), max(0, len(nodes) - self._seen)))[::-1]
        self._seen = len(nodes)
        for progress in new:
            deadline = progress.node.policy.deadline
            hooks, _ = self._hooks_of(progress.id)
            if deadline is not None and hooks.deadline:
                context = self._context("deadline", progress, -1)
                self._set_deadline(deadline, hooks, context, lambda p=progress: _unended(p.phase))

    def _set_deadline(self, seconds: float, hooks: Hooks, context: HookContext, state: Callable[[], str]) -> None:
        left = self._required_run.started_at + seconds - self._clock.now()
        reason = f"it has not ended {seconds:g} seconds after the start of the run"
        for function in hooks.deadline:
            self._line.add_later(time.monotonic() + left, Call(function, replace(context, reason=reason)), state)

    def _unless_ended(self) -> str:
        return "" if self._required_progress.finished else "running"

    # What is told.

    @property
    def _required_run(self) -> RunRecord:
        assert self._run is not None
        return self._run

    @property
    def _required_progress(self) -> RunProgress:
        assert self._progress is not None
        return self._progress

    def _hooks_of(self, node: str) -> tuple[Hooks, NodeProgress]:
        progress = self._required_progress.nodes[node]
        owner = progress.frame.owner
        attached = self._attached.get(("" if owner is None else owner.node.task, progress.node.id))
        return _NONE if attached is None else attached.hooks, progress

    def _context(self, event: str, progress: NodeProgress, item: int, **details: Any) -> HookContext:
        run = self._required_run
        task = self._required_progress.tasks.get(progress.node.task)
        items = progress.items
        if item >= 0 and items is not None and items.keys is not None and details.get("key") is None:
            details["key"] = items.keys[item]
        return HookContext(
            event,
            run.run_id,
            run.pipeline,
            self._parameters,
            node=progress.id,
            task=progress.node.task if task is None else task.name,
            item=None if item < 0 else item,
            **details,
        )

    def _run_context(self, event: str, state: str, at: float) -> HookContext:
        run = self._required_run
        return HookContext(
            event,
            run.run_id,
            run.pipeline,
            self._parameters,
            state=state,
            duration=max(0.0, at - run.started_at),
            started_at=_time(run.started_at),
        )


_NONE = Hooks()
#: events that come with the record of an end
_ENDING = (Answered, Concluded, Failed, Hit, Lost, Skipped, Substituted, Succeeded)
_ENDS = {
    NodeState.SUCCEEDED: "success",
    NodeState.CACHED: "success",
    NodeState.FAILED: "failure",
    NodeState.SKIPPED: "skip",
    NodeState.CANCELLED: "cancel",
}
_RUN_ENDS = {RunState.SUCCEEDED: "success", RunState.FAILED: "failure", RunState.CANCELLED: "cancel"}


def _unended(phase: Phase) -> str:
    return "" if phase.ended else phase.state.value


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
