"""What must hold of a run between any two steps; tests call `validate` after every one."""

from __future__ import annotations

from penstock.kernel.joins import met_early
from penstock.kernel.state import Frame, Items, NodeProgress, Phase, RunProgress

#: phases that a node may reach without having gone on
_AT_REST = (Phase.PENDING, Phase.SKIPPED, Phase.UPSTREAM_FAILED, Phase.CANCELLED)


def validate(run: RunProgress) -> None:
    """Raise AssertionError, naming the node, if the state of a run contradicts itself."""
    for frame in run.frames.values():
        _validate_frame(frame)
    for progress in run.nodes.values():
        _validate_node(run, progress)
        if progress.items is not None:
            _validate_items(progress, progress.items)
    begun = run.started or run.cancelling is not None
    assert run.finished == (begun and run.root.complete), "the run has ended too early, or has not"


def _validate_frame(frame: Frame) -> None:
    unfinished = sum(not progress.phase.ended for progress in frame.nodes.values())
    assert frame.unfinished == unfinished, f"{frame.unfinished} nodes counted as unfinished, {unfinished} are"
    if frame.owner is not None:
        phase = frame.owner.phase_of(frame.item)
        assert frame.owner.frames[frame.item] is frame, f"{frame.id} is not the body of its owner"
        wanted = Phase.CONCLUDING if frame.complete else Phase.OPEN
        assert phase is wanted, f"{frame.id} is executed, and its owner is {phase.name}"


def _validate_node(run: RunProgress, progress: NodeProgress) -> None:
    name = progress.id
    waiting = sum(map(_blocks, progress.upstream, [progress] * len(progress.upstream)))
    assert progress.blockers == waiting, f"{name} counts {progress.blockers} blockers, {waiting} are there"
    if progress.phase not in _AT_REST:
        assert waiting == 0 or met_early(progress), f"{name} went on before its upstream ended"
        if progress.node.join == "all_success" and not _is_of_condition(progress):
            _validate_requirements(progress)
    if run.started and progress.phase is Phase.PENDING:
        assert waiting > 0, f"{name} waits for nothing"
    if progress.node.each is None:
        has_outputs = progress.outputs is not None
        assert has_outputs == progress.phase.fruitful, f"{name} is {progress.phase.name}, outputs: {has_outputs}"
    for item, attempt in progress.attempts.items():
        _validate_attempts(progress, item, attempt)


def _is_of_condition(progress: NodeProgress) -> bool:
    """Whether a node is where it is because of its condition, which may be looked at though what it needs did not run."""
    broken = progress.phase is Phase.FAILED and not progress.attempts and progress.items is None
    return progress.node.guard is not None and (progress.phase is Phase.DECIDING or broken)


def _blocks(upstream: NodeProgress, progress: NodeProgress) -> bool:
    """Whether a node waits for one of its upstream."""
    if upstream.phase.ended:
        return False
    return upstream not in progress.streams or (upstream.items is None and upstream.yielded == 0)


def _validate_requirements(progress: NodeProgress) -> None:
    nodes = progress.frame.nodes
    for names in progress.requirements:
        found = [nodes[name] for name in names]
        assert any(other.phase.fruitful or other in progress.streams for other in found), (
            f"{progress.id} went on without any of {names}"
        )


def _validate_attempts(progress: NodeProgress, item: int, attempt: int) -> None:
    policy = progress.node.policy
    allowed = policy.retries.count + 1 + (item in progress.fallen)
    if progress.setbacks is not None:
        allowed += progress.setbacks.losses.get(item, 0) + progress.setbacks.excused.get(item, 0)
    assert attempt <= allowed, f"{progress.cell_id(item)} was attempted {attempt} times"
    if progress.limit is not None:
        assert len(progress.limit.flying) <= progress.limit.size, f"too many items of {progress.id} are under way"


def _validate_items(progress: NodeProgress, items: Items) -> None:
    name = progress.id
    ended = sum(Phase(phase).ended for phase in items.phases)
    assert items.unfinished == len(items.phases) - ended, f"{name} counts {items.unfinished} unfinished items"
    assert sum(items.counts) == ended, f"{name} counts {sum(items.counts)} ended items, {ended} are"
    assert progress.phase.ended == items.complete, f"{name} is {progress.phase.name} with items left"
    for item, phase in enumerate(items.phases):
        has_outputs = items.outputs[item] is not None
        assert has_outputs == Phase(phase).fruitful, f"{name}[{item}] is {Phase(phase).name}, outputs: {has_outputs}"
