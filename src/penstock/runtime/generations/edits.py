"""What was edited of the code that a run was left with, before somebody goes on with it."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence

import msgspec

from penstock.model.event import CancelRequested
from penstock.model.graph import Graph
from penstock.model.identity import Basis
from penstock.model.request import CancelAsked
from penstock.model.run import FRUITFUL, AttemptRecord, NodeState, RunRecord, RunState
from penstock.ports import Store
from penstock.runtime.codes import Codes
from penstock.runtime.driving.nodes import Cell
from penstock.runtime.dynamic.resuming import check_same
from penstock.runtime.hooks.line import Complaint
from penstock.runtime.inputs.constants import with_stored_constants
from penstock.runtime.reading.past import Past
from penstock.runtime.reading.questions import open_questions
from penstock.values import Values

#: names that are told
_NAMED = 5


class Edits:
    """The code of a run that was left, compared with that of now. `anew` says that the run is to begin anew, since what has
    finished was made by other code; `held` are the keys of tasks that have been attempted by what is not, or may not be,
    the code of now; `told` is what to say of results that stay."""

    def __init__(
        self, codes: Codes, *, anew: bool = False, held: Collection[str] = (), told: Sequence[Complaint] = ()
    ) -> None:
        self._codes = codes
        self.anew, self.held, self._told = anew, held, told

    def keep_new(self, store: Store) -> Basis:
        """Keep the code that was identified since the last time. Returns the digests, without those of tasks whose recorded
        code is to stay."""
        found = self._codes.keep_new(store)
        if not self.held:
            return found
        return msgspec.structs.replace(
            found, tasks={key: digest for key, digest in found.tasks.items() if key not in self.held}
        )

    def take_complaints(self) -> Sequence[Complaint]:
        """What there is to tell, once."""
        told, self._told = self._told, ()
        return told


def edits_of(store: Store, values: Values, run: RunRecord, graph: Graph, codes: Codes) -> Edits:
    """What was edited of the code of a run that was left or is paused. `graph` and `codes` are those of now, identified.

    Raises DefinitionError if the pipeline is another one by now.
    A run that is paused, that is about to end, or to which somebody has given an answer, does not begin anew.
    """
    check_same(store, run, with_stored_constants(graph, values))
    edited = _edited(store, run, codes)
    if not edited:
        return Edits(codes)
    past = Past(store, values, run)
    cells = {
        cell: edited.keys() & set(_tasks(past, cell))
        for cell, ended in past.attempts.items()
        if any(map(_counts, ended))
    }
    held = frozenset(key for keys in cells.values() for key in keys)
    known = [cell for cell, keys in cells.items() if any(edited[key] for key in keys)]
    if not known:
        return Edits(codes, held=held)
    if run.state is RunState.RUNNING and not _is_spoken_for(past):
        return Edits(codes, anew=True, held=held)
    names = list(
        dict.fromkeys(cell[0] for cell in known if any(each.state in FRUITFUL for each in past.attempts[cell]))
    )
    return Edits(codes, held=held, told=(Complaint("", -1, 0, _stays(run, names)),) if names else ())


def _edited(store: Store, run: RunRecord, codes: Codes) -> Mapping[str, bool]:
    """The keys of the tasks whose code is another one now, and of those of which that is not known: false."""
    before, now = store.basis(run.run_id).tasks, codes.identities
    found = {key: True for key, digest in before.items() if key in now and now[key].digest != digest}
    # what dynamic bodies have called is not called again yet
    later = {key: digest for key, digest in before.items() if key not in now}
    were = store.identities(set(later.values())) if later else {}
    for key, digest in later.items():
        was = were.get(digest)
        known = None if was is None or was.edited or was.altered else codes.digest_of(was.function)
        if known != digest:
            found[key] = known is not None
    return found


def _tasks(past: Past, cell: Cell) -> Iterator[str]:
    """The keys of the tasks that were attempted for a node or an item."""
    progress = past.progress_of(cell)
    yield progress.node.task
    fallback = progress.node.fallback
    if cell[1] in progress.fallen and fallback is not None and fallback.task is not None:
        yield fallback.task


def _counts(record: AttemptRecord) -> bool:
    """Whether an attempt has ended by what the code of the task did."""
    if record.state is NodeState.FAILED:
        return record.attempt > 0 and not (record.fault is not None and record.fault.infrastructure)
    return record.state in FRUITFUL


def _is_spoken_for(past: Past) -> bool:
    """Whether somebody has ended the run, or answered it, and no driver has followed that to its end yet."""
    if any(isinstance(event, CancelRequested) for _, events in past.journal for event in events):
        return True
    asked = {question.id for question in open_questions(past.progress, past.ledger)}
    return any(
        isinstance(request, CancelAsked) or request.node in asked for _, request in past.store.requests(past.run.run_id)
    )


def _stays(run: RunRecord, names: list[str]) -> str:
    listed = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else "")
    one = len(names) == 1
    edited = "was edited since it ran; its result stays" if one else "were edited since they ran; their results stay"
    again = shlex.join(["penstock", "retry", run.run_id, *names[:_NAMED]])
    return f"{listed} {edited}. To make {'it' if one else 'them'} anew: {again}, once the run has ended"


__all__ = ["Edits", "edits_of"]
