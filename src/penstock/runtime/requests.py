"""What other processes do about a run: answer its questions, and end it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple

from penstock.authoring.kinds.parameters import to_json
from penstock.authoring.tasks.approvals import check_answer
from penstock.errors import NotFoundError, StoreError
from penstock.model.graph import from_json
from penstock.model.request import AnswerGiven, CancelAsked
from penstock.model.run import NodeState, RunRecord, RunState, shown_driver
from penstock.ports import Store
from penstock.runtime.ending import end_as_cancelled
from penstock.runtime.orphans import Say, log, watching
from penstock.runtime.reading.cells import Cells
from penstock.runtime.reading.questions import Question, open_questions
from penstock.runtime.reading.replay import replayed
from penstock.runtime.surroundings.leases import Fate, Watch
from penstock.runtime.surroundings.processes import has_lost_its_driver, this_process

#: seconds between two looks at a run that is to end
_LOOK = 0.1
#: seconds without a turn of the run after which its driver is said to be silent
_SILENCE = 5.0
_ENDED = (RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED)


def person() -> str:
    """Who asks, where nobody says: the user of this process."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "somebody"


# Answers.


def questions(store: Store, run_id: str) -> list[Question]:
    """The questions of a run that wait for an answer; none of a run that has ended."""
    if store.find(run_id).state in _ENDED:
        return []
    now = replayed(store, run_id, from_json(store.graph(run_id)))
    given = {request.node for _, request in store.requests(run_id) if isinstance(request, AnswerGiven)}
    return [each for each in open_questions(now.progress, now.ledger) if each.id not in given]


def answer(
    store: Store,
    run_id: str,
    name: str,
    *,
    approved: bool = True,
    values: Mapping[str, Any] | None = None,
    by: str = "",
    why: str = "",
    texts: bool = False,
) -> AnswerGiven:
    """Answer the question called `name`. Returns what was recorded; the driver of the run takes it from there.

    With `texts`, the values are as typed. Raises NotFoundError if no such question is open or its deadline has passed,
    ParameterError for values that do not fit the form; then nothing is recorded.
    """
    question = _asked(store, run_id, name)
    _check_in_time(store, run_id, question)
    action = question.action
    # who rejects need not fill in the form, and what is filled in must fit all the same
    checked = check_answer(action, values or {}, texts=texts) if approved or values else {}
    filled_in = {key: to_json(value) for key, value in checked.items()}
    given = AnswerGiven(name, approved, by or person(), time.time(), why, filled_in)
    store.ask(run_id, given)
    return given


def overdue(store: Store) -> list[RunRecord]:
    """The runs that are paused although the deadline of one of their questions has passed, oldest first."""
    now = time.time()
    paused = store.runs(state=RunState.PAUSED, limit=sys.maxsize)
    deadlines = {run.run_id: [each.deadline_at for each in questions(store, run.run_id)] for run in paused}
    return [run for run in reversed(paused) if any(at is not None and at <= now for at in deadlines[run.run_id])]


def _asked(store: Store, run_id: str, name: str) -> Question:
    asked = {question.id: question for question in questions(store, run_id)}
    if name in asked:
        return asked[name]
    state = store.find(run_id).state
    _check_unanswered(store, run_id, name, state)
    if not asked:
        raise NotFoundError(
            f"run {run_id} has no open question" + (f": it has {_PAST[state]}" if state in _ENDED else ""),
            remedy=f"See: penstock show {run_id}",
        )
    from difflib import get_close_matches

    near = get_close_matches(name, asked, 1)
    listed = f"Did you mean {near[0]!r}?" if near else f"Open are: {', '.join(asked)}."
    raise NotFoundError(f"run {run_id} has no open question {name!r}", remedy=listed)


def _check_unanswered(store: Store, run_id: str, name: str, state: RunState) -> None:
    for _, given in store.requests(run_id):
        if isinstance(given, AnswerGiven) and given.node == name:
            raise NotFoundError(
                f"{name} of run {run_id} is answered: {given.by} {'approved' if given.approved else 'rejected'} it on "
                f"{_local(given.at)}" + (f", and the run has {_PAST[state]}" if state in _ENDED else ""),
                remedy=f"See: penstock show {run_id}",
            )


def _check_in_time(store: Store, run_id: str, question: Question) -> None:
    deadline, default = question.deadline_at, question.action.default
    if deadline is None or time.time() < deadline:
        return
    then = f"counts it as {_COUNTED[default]}" if default else "lets it fail"
    if is_over(store, store.find(run_id)):
        remedy = f"penstock resume {run_id} {then}."
    else:
        remedy = f"The run {then}. See: penstock show {run_id}"
    raise NotFoundError(
        f"{question.id} of run {run_id} had to be answered by {_local(deadline)}: its deadline has passed",
        remedy=remedy,
    )


def _local(moment: float) -> str:
    return datetime.fromtimestamp(moment).astimezone().strftime("%Y-%m-%d %H:%M:%S")


_COUNTED = {"approve": "approved", "reject": "rejected"}
_PAST = {RunState.SUCCEEDED: "succeeded", RunState.FAILED: "failed", RunState.CANCELLED: "been cancelled"}


# The end.


class Ending(NamedTuple):
    """How a run came to its end when somebody asked for that."""

    run: RunRecord
    #: whether it had ended before
    before: bool
    #: what was under way and was stopped: `train`, `fit[rf]`
    stopped: tuple[str, ...] = ()
    #: how many nodes and items were not begun
    unbegun: int = 0


def is_over(store: Store, run: RunRecord) -> bool:
    """Whether nobody drives a run that has not ended: it is paused, or its driver is gone."""
    return run.state is RunState.PAUSED or has_lost_its_driver(store, run)


def cancel(
    store: Store,
    run_id: str,
    *,
    reason: str = "",
    by: str = "",
    now: bool = False,
    go_on: Callable[[RunRecord], Any] | None = None,
    say: Say = log,
) -> Ending:
    """End a run, whoever drives it, and wait until it has ended.

    Attempts under way are stopped, nothing new starts but teardowns and exit handlers; with `now`, not even those. A
    run that nobody drives is ended here: by `go_on`, where there are teardowns to run, which the caller knows how to;
    else by recording its end. `say` is told if it has to be seen first whether the driver lives, and once if that does not
    answer.
    """
    run = store.find(run_id)
    if run.state in _ENDED:
        return Ending(run, before=True)
    by = by or person()
    request = CancelAsked(reason or f"{by} asked for it", by, time.time(), now)
    # the turns are counted first, so that none is missed
    silence = _Silence(store, run)
    store.ask(run.run_id, request)
    watch, told = Watch(store), False
    while (run := store.find(run.run_id)).state not in _ENDED:
        fate = watch.fate(run)
        if fate is Fate.UNKNOWN and not told:
            say(watching(run))
            told = True
        if run.state is RunState.PAUSED or fate is Fate.GONE:
            if go_on is not None and not now and _has_last_words(store, run):
                go_on(run)
                continue
            # it may have been taken over by somebody else, who sees the request then
            with suppress(StoreError):
                end_as_cancelled(store, store.reopen(run.run_id, this_process(), run.driver), request.reason)
        else:
            if silence.lasts():
                say(_unanswered(run))
            time.sleep(_LOOK)
    return _ending(store, run)


class _Silence:
    """Whether the driver of a run has recorded nothing since it was asked for something. That it says that it lives is no
    answer: another thread does."""

    def __init__(self, store: Store, run: RunRecord) -> None:
        self._store = store
        self._run_id = run.run_id
        self._turns = store.pulse(run.run_id).turns
        self._until = time.monotonic() + _SILENCE
        self._over = False

    def lasts(self) -> bool:
        """Whether it has lasted for long by now; True once."""
        if self._over or time.monotonic() < self._until:
            return False
        self._over = True
        return self._store.pulse(self._run_id).turns == self._turns


def _unanswered(run: RunRecord) -> str:
    return (
        f"{shown_driver(run.driver)} has not answered for {_SILENCE:.0f} s; it may hang. Take the run over with penstock "
        f"resume {run.run_id} --take-over, or end that process"
    )


def _has_last_words(store: Store, run: RunRecord) -> bool:
    """Whether something is to run even in a run that is cancelled."""
    progress = replayed(store, run.run_id, from_json(store.graph(run.run_id))).progress
    return any(each.node.final and not each.phase.ended for each in progress.nodes.values())


def _ending(store: Store, run: RunRecord) -> Ending:
    attempts = store.attempts(run.run_id)
    cells = Cells(from_json(store.graph(run.run_id)), attempts)
    tried = {(record.node, record.item) for record in attempts if record.attempt > 0}
    cancelled = [record for record in attempts if record.state is NodeState.CANCELLED]
    stopped = [record for record in cancelled if (record.node, record.item) in tried]
    return Ending(
        run,
        before=False,
        stopped=tuple(cells.name(record.node, record.item) for record in stopped),
        unbegun=len(cancelled) - len(stopped),
    )


__all__ = ["Ending", "answer", "cancel", "is_over", "overdue", "person", "questions"]
