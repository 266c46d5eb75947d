"""Why a node of a run that was begun anew runs in this generation, or has the result of an earlier one."""

from __future__ import annotations

from penstock.errors import PenstockError
from penstock.kernel.state import NodeProgress, Phase
from penstock.model.generation import origin_of
from penstock.model.run import AttemptRecord
from penstock.runtime.driving.nodes import Nodes, Prepared
from penstock.runtime.explaining.account import Account, Comparison, account_of
from penstock.runtime.explaining.reason import Cause, Reason
from penstock.runtime.explaining.wording import named
from penstock.runtime.generations.keeping import Keeping, Verdict

#: how a node ended in the generation before that has no result to keep -> in words
_ENDS = {
    Phase.UPSTREAM_FAILED: "it was not reached in",
    Phase.CANCELLED: "it was cancelled in",
    Phase.SKIPPED: "what was skipped is decided anew, and it was in",
}


class Generations:
    """Tells the reasons of one generation."""

    def __init__(self, keeping: Keeping) -> None:
        self._keeping = keeping
        self._earlier = keeping.earlier
        self._comparison = Comparison()
        past = self._earlier.past
        self._before = f"generation {past.run.generation}"
        #: the id of the generation before
        self._run_id = past.run.run_id

    def to_run(
        self, progress: NodeProgress, item: int, prepared: Prepared, nodes: Nodes, account: Account
    ) -> Reason | None:
        """Why an attempt is made; None where the generation before has nothing to do with it."""
        verdict = self._keeping.verdict(progress, item, prepared, nodes)
        if verdict.record is not None and self._keeping.dependents and _in_dynamic_body(progress):
            # what its body had used before is not recorded
            return self._told("again", "it depends on what was to run again (retry)")
        if verdict.record is not None:
            return self._told("gone", f"what {self._before} has made of it is gone or cannot be loaded now")
        match verdict.cause:
            case "chosen":
                return self._told("again", "it was to run again (retry)")
            case "dependent":
                return self._told("again", "it depends on what was to run again (retry)")
            case "invalidated":
                return self._told("invalidated", "it was to be made anew (--invalidate)")
            case "undone":
                ends = "it is done at the end of each generation"
                why = ends if progress.final else f"what it sets up was taken down in {self._before}"
                return self._told("undone", why)
            case "changed":
                return self._changed(verdict, account)
            case "unfinished":
                return self._unfinished(verdict)

    def kept(self, record: AttemptRecord, verdict: Verdict) -> str:
        """Why a result is that of an earlier generation."""
        text = f"kept from generation {origin_of(record)}"
        if verdict.by_choice:
            return f"{text}, because it was to be kept whatever has changed (--keep)"
        if verdict.record is None:
            return text
        return f"{text}: its code, inputs and settings are as they were there"

    def _told(self, cause: Cause, text: str) -> Reason:
        return Reason(cause=cause, text=text, run_id=self._run_id)

    def _changed(self, verdict: Verdict, account: Account) -> Reason:
        assert verdict.found is not None
        made = verdict.found.earlier.made(verdict.found.cell, verdict.found.record)
        generation = f"generation {made.past.run.generation}"
        try:
            found = tuple(self._comparison.differences(account_of(made.past, made.cell), account))
        except (PenstockError, LookupError):
            found = ()
        what = named(found) if found else "something that is not recorded"
        text = f"{what} changed since {generation}"
        return Reason(cause="invalidated", text=text, run_id=made.past.run.run_id, differences=found)

    def _unfinished(self, verdict: Verdict) -> Reason | None:
        if verdict.before is None:
            return None
        node, item = verdict.before
        progress = self._earlier.past.progress.nodes[node]
        phase, fault = progress.phase_of(item), self._earlier.past.ledger.faults.get(verdict.before)
        why = "" if fault is None else f": {fault.type}: {fault.message}"
        if item in progress.fallen:
            return self._told("failed_before", f"it failed in {self._before}, and a fallback took its place{why}")
        if phase is Phase.FAILED:
            return self._told("failed_before", f"it failed in {self._before}{why}")
        if phase in _ENDS:
            return self._told("unfinished", f"{_ENDS[phase]} {self._before}")
        return self._told("unfinished", f"it had not ended in {self._before}")


def _in_dynamic_body(progress: NodeProgress) -> bool:
    """Whether the body of a pipeline has called a node that may have used values before."""
    owner = progress.frame.owner
    return owner is None or (owner.body is not None and owner.body.dynamic) or _in_dynamic_body(owner)


__all__ = ["Generations"]
