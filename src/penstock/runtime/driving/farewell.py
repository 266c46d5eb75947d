"""What others are to hear of a run that ends: the event of its end, recorded in its last turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from penstock.kernel import RunProgress
from penstock.kernel.state import Phase
from penstock.model.occurrence import OWN_SOURCE, Occurrence
from penstock.model.run import RunRecord, RunState
from penstock.model.value import Argument
from penstock.ports import LoggedAttachment, LoggedMetric, Said, Store
from penstock.runtime.driving.recording import Recorder
from penstock.runtime.reading.argument_documents import plain_value
from penstock.runtime.reading.origins import logged_in
from penstock.values import Values

#: bytes, as JSON, of a parameter or an output that is told
_SMALL: Final = 8192
#: nodes and items of a run for which it is looked up what those that were not made in it had logged
_LOOKED_UP: Final = 500
_ENDS: Final = (RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED)


def farewell(
    store: Store,
    run: RunRecord,
    state: RunState,
    turn: Recorder,
    at: float,
    *,
    progress: RunProgress | None = None,
    outputs: Mapping[str, Argument] | None = None,
    values: Values | None = None,
) -> None:
    """Add the event of the end of a run to its last turn; nothing for a state that is no end.

    Of parameters and outputs those are told that are small and JSON-able; of metrics the last values, by name, and of logged
    artifacts the names. What cached nodes had logged is told in runs of up to 500 nodes and items.
    """
    if state not in _ENDS:
        return
    metrics, attachments = _logged(store, run, turn, progress)
    shown = {} if values is None else {name: plain_value(each, values) for name, each in (outputs or {}).items()}
    data = {
        "run_id": run.run_id,
        "pipeline": run.pipeline,
        "state": state.value,
        "tags": list(store.tags([run.run_id]).get(run.run_id, ())),
        "outputs": _small({name: value for name, (plain, value) in shown.items() if plain}),
        "metrics": {each.metric.name: each.metric.value for each in metrics},
        "artifacts": sorted({each.attachment.name for each in attachments}),
        "parameters": _small(run.parameters),
    }
    turn.occurrences.append(
        Occurrence(
            id=f"{run.run_id}.{run.generation}",
            source=f"{OWN_SOURCE}/run/{run.pipeline}",
            type=f"run.{state.value}",
            at=at,
            subject=run.pipeline,
            data=data,
        )
    )


def _logged(
    store: Store, run: RunRecord, turn: Recorder, progress: RunProgress | None
) -> tuple[Sequence[LoggedMetric], Sequence[LoggedAttachment]]:
    """What the nodes of a run have logged; last what is yet to be recorded."""
    late: Sequence[Said] = turn.said
    if progress is not None and _has_results_of_others(run, progress):
        metrics, attachments, _ = logged_in(store, run.run_id, [*store.attempts(run.run_id), *turn.attempts])
    else:
        metrics, attachments = store.metrics(run.run_id), store.attachments(run.run_id)
    return (
        [*metrics, *(LoggedMetric(each.node, each.item, each.attempt, it) for each in late for it in each.metrics)],
        [
            *attachments,
            *(LoggedAttachment(each.node, each.item, each.attempt, it) for each in late for it in each.attachments),
        ],
    )


def _has_results_of_others(run: RunRecord, progress: RunProgress) -> bool:
    """Whether it is to be looked up what was logged where the results of nodes were made."""
    nodes = progress.nodes.values()
    if sum(1 if each.items is None else len(each.items.phases) for each in nodes) > _LOOKED_UP:
        return False
    return run.generation > 1 or any(
        each.phase is Phase.CACHED or (each.items is not None and Phase.CACHED in each.items.phases) for each in nodes
    )


def _small(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if len(msgspec.json.encode(value)) <= _SMALL}


__all__ = ["farewell"]
