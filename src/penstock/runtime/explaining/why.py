"""Why a node of a run is as it is: why it ran, was cached, failed, was skipped, or what it waits for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import msgspec

from penstock.errors import PenstockError
from penstock.kernel.state import NodeProgress, Phase
from penstock.model.generation import earlier_id, origin_of
from penstock.model.run import AttemptRecord, NodeState, RunState, item_id
from penstock.runtime.driving.nodes import Cell, Prepared
from penstock.runtime.driving.refreshing import Refreshing
from penstock.runtime.explaining.account import account_of
from penstock.runtime.explaining.conditions import condition_text
from penstock.runtime.explaining.earlier import History
from penstock.runtime.explaining.failing import Failing, failing_of
from penstock.runtime.explaining.generations import Generations
from penstock.runtime.explaining.reason import Reason, reason_to_run
from penstock.runtime.explaining.told import lines_of
from penstock.runtime.explaining.upstream import (
    Upstream,
    all_upstream,
    failed_before,
    failed_inside,
    inside_of,
    is_left_out,
    skipped_before,
)
from penstock.runtime.explaining.waiting import Waiting, waits_of
from penstock.runtime.explaining.wording import listed, moment
from penstock.runtime.generations.keeping import Keeping, keeping_of
from penstock.runtime.reading.causes import cause_text
from penstock.runtime.reading.history import fallback_used
from penstock.runtime.reading.origins import origins_of
from penstock.runtime.reading.past import Past
from penstock.runtime.reading.questions import approval_document

#: different things that the items of one node wait for which are told
_WAITS = 3
#: how a state is told of several
_WORDS: Mapping[str, str] = {
    "succeeded": "ran",
    "cached": "taken from the cache",
    "upstream_failed": "not reached",
}


class CachedFrom(msgspec.Struct, frozen=True):
    """Where a result from the cache was made."""

    run_id: str
    #: what the node or the item was called there
    id: str
    #: hexadecimal
    fingerprint: str


class Told(msgspec.Struct, frozen=True):
    """What holds for several nodes or items."""

    #: in a sentence; empty where there is nothing to say
    text: str
    state: str
    #: their ids
    which: tuple[str, ...]
    #: why they ran, of one of them
    ran: Reason | None = None


class Explanation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a node, or an item of one, is as it is. What does not apply is absent."""

    run_id: str
    id: str
    task: str
    state: str
    #: all of it in a sentence
    summary: str
    #: why an attempt had to be made
    ran: Reason | None = None
    cached: CachedFrom | None = None
    failed: Failing | None = None
    #: what it depends on: of what was not reached, that which is to blame; of what waits, that which has not ended
    upstream: tuple[Upstream, ...] = ()
    #: what it waits for now, and what would end that
    waits_for: tuple[Waiting, ...] = ()
    #: of a node with items or a body: state -> how many items, or nodes inside, are in it
    items: dict[str, int] = {}
    #: and why these are as they are, what holds for most of them first
    inside: tuple[Told, ...] = ()
    #: what cannot be seen of its code, so that changes of it go unnoticed
    limits: tuple[str, ...] = ()

    def __repr__(self) -> str:
        ran = () if self.ran is None else self.ran.differences
        lines = [line.text for each in ran for line in lines_of(msgspec.to_builtins(each), most=None)]
        waits = [wait.remedy for wait in self.waits_for if wait.remedy]
        inside = [f"{listed(each.which)}: {each.text}" for each in self.inside if each.text]
        told = [self.summary, *(f"  {line}" for line in (*lines, *waits, *inside))]
        return "\n  ".join([f"{self.id} of run {self.run_id}: {self.state}", *told])


class RunExplanation(msgspec.Struct, frozen=True, kw_only=True):
    """Why the nodes of a run are as they are, in short."""

    run_id: str
    pipeline: str
    state: str
    #: every node, those of bodies once for all of their instances: id without items and turns -> what there is to say
    tasks: dict[str, tuple[Told, ...]]
    #: what started it, where it was no person
    cause: str = ""

    def __repr__(self) -> str:
        lines = [
            f"{path if len(told) == 1 else listed(each.which)}: {each.state}{f', {each.text}' if each.text else ''}"
            for path, told in self.tasks.items()
            for each in told
        ]
        return "\n  ".join([f"{self.pipeline} {self.run_id}: {self.state}", *lines])


#: parts of an explanation by name
Parts = dict[str, Any]


class Explainer:
    """Explains the nodes of a run. `now` is in seconds since the epoch."""

    def __init__(self, past: Past, now: float) -> None:
        self._past = past
        self._now = now
        self._tellers: dict[Phase, Callable[[Cell, NodeProgress], Parts]] = {
            Phase.CACHED: self._cached,
            Phase.SUCCEEDED: self._succeeded,
            Phase.FAILED: self._failed,
            Phase.SKIPPED: self._skipped,
            Phase.UPSTREAM_FAILED: self._upstream_failed,
            Phase.CANCELLED: self._cancelled,
        }

    def explain(self, cell: Cell) -> Explanation:
        """Why a node or an item is as it is."""
        progress = self._past.progress_of(cell)
        phase = progress.phase_of(cell[1])
        identity = self._past.identity(cell)
        inside = [each for each in inside_of(self._past, cell) if self._past.progress_of(each).body is None]
        told = self._of_several(inside) if inside else {}
        told |= self._tellers.get(phase, self._waiting)(cell, progress)
        return Explanation(
            run_id=self._past.run.run_id,
            id=self._past.name(cell),
            task=self._past.progress.tasks[progress.node.task].name,
            state=phase.state.value,
            limits=() if identity is None else identity.limits,
            **told,
        )

    def overview(self) -> RunExplanation:
        """Why all nodes are as they are, in short."""
        paths: dict[str, list[Cell]] = {}
        for cell in self._past.cells():
            if self._past.progress_of(cell).body is None:
                paths.setdefault(_path(self._past.progress_of(cell)), []).append(cell)
        run = self._past.run
        return RunExplanation(
            run_id=run.run_id,
            pipeline=run.pipeline,
            state=run.state.value,
            tasks={path: self._together(cells) for path, cells in paths.items()},
            cause="" if run.cause is None else cause_text(run.cause),
        )

    # Several at once.

    def _of_several(self, cells: list[Cell]) -> Parts:
        states = Counter(self._past.progress_of(each).phase_of(each[1]).state.value for each in cells)
        return {"items": dict(states), "inside": self._together(cells)}

    def _together(self, cells: Iterable[Cell]) -> tuple[Told, ...]:
        """What there is to say of nodes and items, once for those of which the same is to be said."""
        alike: dict[Any, tuple[str, NodeState, Reason | None, list[str]]] = {}
        for cell in cells:
            progress = self._past.progress_of(cell)
            state = progress.phase_of(cell[1]).state
            text, reason = self._in_short(cell, progress)
            key = (state, text) if reason is None else (state, reason.cause, _kinds(reason))
            alike.setdefault(key, (text, state, reason, []))[3].append(self._past.name(cell))
        told = [
            Told(_of_all(text, reason, names), state.value, tuple(names), reason)
            for text, state, reason, names in alike.values()
        ]
        return tuple(sorted(told, key=lambda each: -len(each.which)))

    def _in_short(self, cell: Cell, progress: NodeProgress) -> tuple[str, Reason | None]:
        phase = progress.phase_of(cell[1])
        if phase is Phase.CACHED or (progress.items is None and progress.node.each is not None and phase.fruitful):
            return "", None
        if phase is Phase.SUCCEEDED:
            told = self._ran(cell, progress)
            reason: Reason | None = told.get("ran")
            return (told["summary"] if reason is None else reason.text), reason
        if phase is Phase.FAILED:
            return failing_of(self._past, cell).error, None
        return self._tellers.get(phase, self._waiting)(cell, progress)["summary"], None

    # What ended well.

    def _cached(self, cell: Cell, progress: NodeProgress) -> Parts:
        if cell[1] < 0 and progress.items is not None:
            return {"summary": self._summed_up(progress)}
        record = self._last(cell)
        if origin_of(record):
            return self._kept(cell, progress, record)
        fingerprint = record.fingerprint or b""
        origin = self._past.store.origins([fingerprint]).get(fingerprint)
        if origin is None:
            return {"summary": "its code, inputs and settings are those of a recorded result, whose run is gone"}
        there = CachedFrom(origin.run_id, self._name_there(origin.run_id, origin.node, origin.item), fingerprint.hex())
        where = "this run" if origin.run_id == self._past.run.run_id else f"run {origin.run_id}"
        return {
            "summary": f"its code, inputs and settings are those of {there.id} in {where}, whose result it has",
            "cached": there,
        }

    def _kept(self, cell: Cell, progress: NodeProgress, record: AttemptRecord) -> Parts:
        """Why a result is that of an earlier generation."""
        if self._keeping is None:
            return {"summary": record.reason}
        try:
            prepared = Prepared(self._past.inputs(cell), record.fingerprint)
            verdict = self._keeping.verdict(progress, cell[1], prepared, self._past.nodes)
        except (PenstockError, LookupError):
            return {"summary": record.reason}
        summary = Generations(self._keeping).kept(record, verdict)
        origin = origins_of(self._past.store, self._past.run.run_id, [record]).get(cell)
        if origin is None:
            return {"summary": summary}
        name = self._name_there(origin.run_id, origin.node, origin.item)
        return {"summary": summary, "cached": CachedFrom(origin.run_id, name, (record.fingerprint or b"").hex())}

    @cached_property
    def _keeping(self) -> Keeping | None:
        keeping = keeping_of(self._past.store, self._past.values, self._past.run)
        if keeping is not None:
            keeping.attach(self._past.progress.tasks)
        return keeping

    def _name_there(self, run_id: str, node: str, item: int) -> str:
        """What a node or an item is called in another run."""
        if item < 0:
            return node
        records = self._past.store.attempts(run_id, node)
        return item_id(node, item, next((each.key for each in records if each.item == item), None))

    def _succeeded(self, cell: Cell, progress: NodeProgress) -> Parts:
        if progress.node.each is not None and cell[1] < 0:
            return {"summary": self._summed_up(progress) if progress.items else "there was nothing to map over"}
        if progress.body is not None:
            return {"summary": f"all {'turns' if progress.node.loop else 'tasks'} inside of it have ended"}
        return self._ran(cell, progress)

    def _summed_up(self, progress: NodeProgress) -> str:
        assert progress.items is not None
        if progress.body is not None:
            return f"its {len(progress.items.phases):,} items have ended"
        counts = Counter(Phase(phase).state.value for phase in progress.items.phases)
        if len(counts) == 1:
            [(state, count)] = counts.items()
            which = "its one item" if count == 1 else f"all of its {count:,} items"
            return f"{which} {_word(state, count)}"
        return f"of its items, {listed([f'{count:,} {_word(state, count)}' for state, count in counts.items()], 9)}"

    def _ran(self, cell: Cell, progress: NodeProgress) -> Parts:
        """Why an attempt was made."""
        if self._past.is_approval(cell):
            return {"summary": self._answered(cell, progress)}
        records = self._past.attempts.get(cell, [])
        tried = [record for record in records if record.attempt > 0]
        if not tried:
            return {"summary": "it did not run"}
        reason = self._reason(cell, _telling(tried))
        if isinstance(reason, str):
            return {"summary": f"it ran; what it was made of is not known: {reason}"}
        summary = f"it ran because {reason.text}"
        fallback = fallback_used(progress.node, records)
        fault = next((each.fault for each in reversed(records) if each.fault is not None), None)
        if fallback is not None and fault is not None:
            instead = (
                "its fallback value" if fallback == "value" else f"the task {self._past.progress.tasks[fallback].name}"
            )
            summary += f"; it failed with {fault.type}: {fault.message}, and {instead} took its place"
        elif len(tried) > 1 and fault is not None:
            summary += f"; attempt {tried[-1].attempt} succeeded, those before failed, the last with {fault.type}"
        return {"summary": summary, "ran": reason}

    def _reason(self, cell: Cell, record: AttemptRecord) -> Reason | str:
        """Why an attempt was made; else what keeps that from being known."""
        try:
            account = account_of(self._past, cell)
        except (PenstockError, LookupError) as error:
            return str(error.args[0]) if error.args else type(error).__name__
        if self._keeping is not None:
            prepared = Prepared(dict(account.inputs), record.fingerprint)
            generations, nodes = Generations(self._keeping), self._past.nodes
            found = generations.to_run(self._past.progress_of(cell), cell[1], prepared, nodes, account)
            if found is not None:
                return found
        refreshed = self._refreshing.covers(self._past.progress_of(cell), cell[1])
        options = {**self._options, "refresh": refreshed}
        return reason_to_run(account, cell[0], record.fingerprint, self._history, options, record.started_at)

    @cached_property
    def _history(self) -> History:
        past = self._past
        assets = dict.fromkeys(task.asset.name for task in past.progress.tasks.values() if task.asset is not None)
        return History(past.store, past.values, past.run.pipeline, before=past.run, assets=assets)

    @cached_property
    def _options(self) -> Mapping[str, Any]:
        return self._past.store.provenance(self._past.run.run_id).configuration

    @cached_property
    def _refreshing(self) -> Refreshing:
        return Refreshing(self._options.get("refresh", ()), self._past.progress.tasks)

    def _answered(self, cell: Cell, progress: NodeProgress) -> str:
        outputs = progress.outputs if cell[1] < 0 or progress.items is None else progress.items.outputs[cell[1]]
        run_id, kept = self._past.run.run_id, origin_of(self._last(cell))
        requests = self._past.store.requests(earlier_id(self._past.run, kept) if kept else run_id)
        answer = approval_document(self._past.name(cell), outputs or (), requests, self._past.values)
        if answer is None:
            return "somebody answered its question"
        how = "approved" if answer["approved"] else "rejected"
        record = self._last(cell)
        at = moment(record.started_at + record.duration)
        return f"{answer['by']} {how} it at {at}" + (f": {answer['why']}" if answer["why"] else "")

    # What did not.

    def _failed(self, cell: Cell, progress: NodeProgress) -> Parts:
        caught = "; the body of the pipeline went on after it" if progress.handled else ""
        inside = failed_inside(self._past, cell)
        if inside:
            return {"summary": f"{listed([each.id for each in inside])} failed{caught}", "upstream": inside}
        failing = failing_of(self._past, cell)
        told: Parts = {"summary": failing.text + caught, "failed": failing}
        tried = [record for record in self._past.attempts.get(cell, ()) if record.attempt > 0]
        if tried and progress.body is None:
            reason = self._reason(cell, _telling(tried))
            told["ran"] = None if isinstance(reason, str) else reason
        return told

    def _skipped(self, cell: Cell, progress: NodeProgress) -> Parts:
        record, node = self._last(cell), progress.node
        if record.attempt > 0 and node.wait is None:
            why = f": {record.reason}" if record.reason else ""
            return {"summary": f"the task itself asked to be skipped{why}"}
        if node.guard is not None and is_left_out(self._past, cell):
            return {"summary": f"its condition does not hold: {condition_text(self._past, progress, node.guard)}"}
        if not isinstance(node.join, str):
            return {"summary": f"its join condition does not hold: {condition_text(self._past, progress, node.join)}"}
        roots = skipped_before(self._past, cell)
        if record.reason.endswith("was skipped") and roots:
            return {"summary": self._skipped_with(cell, roots[0]), "upstream": all_upstream(self._past, cell)}
        summary = record.reason or f"its join rule {node.join} is not met"
        joined = record.reason.startswith("its join rule")
        return {"summary": summary, "upstream": all_upstream(self._past, cell) if joined else ()}

    def _skipped_with(self, cell: Cell, root: Cell) -> str:
        near = any(each.id == root[0] for each in self._past.progress_of(cell).upstream)
        depends = "it depends on" if near else "it depends, by way of others, on"
        why = self._skipped(root, self._past.progress_of(root))["summary"]
        return f"{depends} {self._past.name(root)}, which was skipped: {why}"

    def _upstream_failed(self, cell: Cell, progress: NodeProgress) -> Parts:
        blamed = failed_before(self._past, cell)
        named = listed([each.id for each in blamed])
        reason = f"{named} failed" if named else self._last(cell).reason
        return {"summary": f"it was not reached, because {reason}", "upstream": blamed}

    def _cancelled(self, cell: Cell, progress: NodeProgress) -> Parts:
        record = self._last(cell)
        begun = any(each.attempt for each in self._past.attempts.get(cell, ()))
        how = "it was stopped" if begun else "it was not begun"
        return {"summary": f"{how}: {record.reason or self._past.progress.cancelling or 'the run was cancelled'}"}

    # What has not ended.

    def _waiting(self, cell: Cell, progress: NodeProgress) -> Parts:
        phase = progress.phase_of(cell[1])
        if self._past.run.state not in (RunState.RUNNING, RunState.PAUSED):
            return {"summary": f"the run ended before it was reached: it {self._past.run.state.value}"}
        waits = self._waits(cell, progress)
        if waits and waits[0].kind == "driver":
            return {"summary": waits[0].text, "waits_for": waits}
        if phase is Phase.RUNNING:
            return {"summary": self._running(cell, progress)}
        if phase is Phase.OPEN:
            return {"summary": "what is inside of it is under way", "waits_for": waits}
        return {"summary": waits[0].text if waits else "it is about to start", "waits_for": waits}

    def _waits(self, cell: Cell, progress: NodeProgress) -> tuple[Waiting, ...]:
        """What it waits for; of a node whose items or body are under way, what those wait for."""
        if progress.phase_of(cell[1]) is not Phase.OPEN:
            return waits_of(self._past, cell, self._now)
        found: dict[tuple[str, str], Waiting] = {}
        for other in inside_of(self._past, cell):
            inner = self._past.progress_of(other)
            if inner.body is not None or inner.phase_of(other[1]).ended or inner.phase_of(other[1]) is Phase.PENDING:
                continue
            for wait in waits_of(self._past, other, self._now):
                named = wait if wait.kind == "driver" else _of(self._past.name(other), wait)
                found.setdefault((wait.kind, wait.text), named)
            if len(found) >= _WAITS:
                break
        return tuple(found.values())

    def _running(self, cell: Cell, progress: NodeProgress) -> str:
        number = progress.attempts.get(cell[1], 1)
        since = self._past.started.get(cell)
        attempt = "it" if number == 1 else f"attempt {number}"
        return f"{attempt} is running" if since is None else f"{attempt} has been running since {moment(since)}"

    def _last(self, cell: Cell) -> AttemptRecord:
        """How a node or an item ended: an end without an attempt, if there is one, is the last word."""
        records = self._past.attempts.get(cell)
        if not records:
            return AttemptRecord(node=cell[0], item=cell[1], attempt=0, state=NodeState.PENDING)
        return records[0] if records[0].attempt == 0 else records[-1]


def _of(name: str, wait: Waiting) -> Waiting:
    return msgspec.structs.replace(wait, text=f"{name}: {wait.text}")


def _kinds(reason: Reason) -> Any:
    """What is the same for reasons that are told together."""
    return tuple((each.kind, each.name, each.change, each.where) for each in reason.differences)


def _of_all(text: str, reason: Reason | None, names: Sequence[str]) -> str:
    """A text on one of several of which the same is to be said, as it holds for all of them."""
    if reason is not None and reason.cause == "first" and len(names) > 1:
        return text.removesuffix(names[0]) + "them"
    return text


def _word(state: str, count: int) -> str:
    word = _WORDS.get(state, state)
    return word if state in ("succeeded", "failed") else f"{'was' if count == 1 else 'were'} {word}"


def _path(progress: NodeProgress) -> str:
    """The id without items and turns."""
    owner = progress.frame.owner
    return progress.node.id if owner is None else f"{_path(owner)}/{progress.node.id}"


def _telling(tried: Sequence[AttemptRecord]) -> AttemptRecord:
    """The first attempt that tells what it was made of: one that was lost together with its driver does not."""
    return next((record for record in tried if record.fingerprint is not None), tried[0])


__all__ = ["CachedFrom", "Explainer", "Explanation", "RunExplanation", "Told"]
