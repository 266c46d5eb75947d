"""What must hold of a run between any two steps; tests call `validate` after every one."""

from __future__ import annotations

from penstock.kernel.state import Items, NodeProgress, Phase, RunProgress
from penstock.model.run import item_id


def validate(run: RunProgress) -> None:
    """Raise AssertionError, naming the node, if the state of a run contradicts itself."""
    unfinished = 0
    for name, progress in run.nodes.items():
        unfinished += not progress.phase.ended
        _validate_node(run, name, progress)
        if progress.items is not None:
            _validate_items(name, progress, progress.items)
    assert run.unfinished == unfinished, f"{run.unfinished} nodes counted as unfinished, {unfinished} are"


def _validate_node(run: RunProgress, name: str, progress: NodeProgress) -> None:
    upstream = [run.nodes[other] for other in progress.node.upstream()]
    waiting = sum(not other.phase.ended for other in upstream)
    assert progress.blockers == waiting, f"{name} counts {progress.blockers} blockers, {waiting} are there"
    if progress.phase not in (Phase.PENDING, Phase.SKIPPED, Phase.UPSTREAM_FAILED, Phase.CANCELLED):
        assert waiting == 0, f"{name} went on before its upstream ended"
        for names in progress.requirements:
            assert any(run.nodes[other].phase.fruitful for other in names), f"{name} went on without any of {names}"
    if run.started and progress.phase is Phase.PENDING:
        assert waiting > 0, f"{name} waits for nothing"
    if progress.node.each is None:
        has_outputs = progress.outputs is not None
        assert has_outputs == progress.phase.fruitful, f"{name} is {progress.phase.name}, outputs: {has_outputs}"
    for item, count in progress.attempts.items():
        assert count <= progress.node.policy.retries + 1, f"{item_id(name, item)} was attempted {count} times"


def _validate_items(name: str, progress: NodeProgress, items: Items) -> None:
    ended = sum(Phase(phase).ended for phase in items.phases)
    assert items.unfinished == len(items.phases) - ended, f"{name} counts {items.unfinished} unfinished items"
    assert sum(items.counts) == ended, f"{name} counts {sum(items.counts)} ended items, {ended} are"
    assert progress.phase.ended == (items.unfinished == 0), f"{name} is {progress.phase.name} with items left"
    for item, phase in enumerate(items.phases):
        has_outputs = items.outputs[item] is not None
        assert has_outputs == Phase(phase).fruitful, f"{name}[{item}] is {Phase(phase).name}, outputs: {has_outputs}"
