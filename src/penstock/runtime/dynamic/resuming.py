"""Whether a pipeline is still the one that a run was begun with."""

from __future__ import annotations

from penstock.errors import DefinitionError
from penstock.model.graph import Graph, Node, from_json
from penstock.model.run import RunRecord, RunState
from penstock.ports import Store
from penstock.runtime.dynamic.calls import difference


def check_same(store: Store, run: RunRecord, graph: Graph) -> None:
    """Raise DefinitionError if a pipeline is defined differently from when the run was begun. What its tasks do may
    have changed: a failed one may have been repaired."""
    before = from_json(store.graph(run.run_id))
    for old, new in zip(before.nodes, graph.nodes, strict=False):
        if (told := difference(old, new, before.tasks, graph.tasks)) is not None:
            raise _changed(run, new, told)
    shared = min(len(before.nodes), len(graph.nodes))
    # what a dynamic body goes on to call is compared as it is called again
    for old in () if graph.dynamic_at is not None else before.nodes[shared:]:
        raise _changed(run, old, f"{old.id} is no longer called")
    for new in graph.nodes[shared:]:
        raise _changed(run, new, f"{new.id} is new")


#: whether the run is paused -> what to do
_REMEDIES = {
    False: "Begin it anew, with the results that it has: penstock retry {run}",
    True: "End it, and begin it anew with the results that it has: penstock cancel {run} --now, then penstock retry {run}",
}


def _changed(run: RunRecord, node: Node, told: str) -> DefinitionError:
    return DefinitionError(
        f"{run.pipeline} is no longer the pipeline that run {run.run_id} was begun with: {told}",
        where=str(node.location),
        remedy=_REMEDIES[run.state is RunState.PAUSED].format(run=run.run_id),
    )
