"""How nodes ended, as exit handlers and others that ask for it see it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from penstock.kernel.state import Frame, NodeProgress, Phase, RunProgress
from penstock.model.event import Fault
from penstock.model.outcome import Failure, Outcome

_FAILED = (Phase.FAILED, Phase.UPSTREAM_FAILED)


def outcome_of(
    run: RunProgress, frame: Frame, nodes: Iterable[str], faults: Mapping[tuple[str, int], Fault], run_id: str
) -> Outcome:
    """How the nodes of a frame ended. `faults` is the latest fault of each node or item that had one."""
    every = [frame.nodes[name] for name in nodes]
    phases = [progress.phase for progress in every]
    cells = [(progress, item, phase) for progress in every for item, phase in _cells(progress)]
    succeeded = sum(phase.fruitful for _, _, phase in cells)
    return Outcome(
        state=_state(phases, every),
        succeeded=succeeded,
        failures=tuple(_failures(run, every, faults)),
        skipped=tuple(
            progress.cell_id(item)
            for progress, item, phase in cells
            if phase in (Phase.SKIPPED, Phase.UPSTREAM_FAILED, Phase.CANCELLED)
        ),
        run_id=run_id,
    )


def _cells(progress: NodeProgress) -> Iterator[tuple[int, Phase]]:
    if progress.items is None:
        yield -1, progress.phase
    else:
        yield from ((item, Phase(phase)) for item, phase in enumerate(progress.items.phases))


def _state(phases: list[Phase], every: list[NodeProgress]) -> str:
    if any(phase in _FAILED for phase in phases):
        return "failed"
    cut_short = (progress.items is not None and progress.items.counts[Phase.CANCELLED] for progress in every)
    if Phase.CANCELLED in phases or any(cut_short):
        return "cancelled"
    return "succeeded" if not phases or any(phase.fruitful for phase in phases) else "skipped"


def _failures(
    run: RunProgress, every: Iterable[NodeProgress], faults: Mapping[tuple[str, int], Fault]
) -> Iterator[Failure]:
    """What failed: nodes and items; in place of a body, what failed in it."""
    for progress in every:
        keys = None if progress.items is None else progress.items.keys
        for item, phase in _cells(progress):
            if phase is not Phase.FAILED:
                continue
            fault = faults.get((progress.id, item))
            inside = list(_failures(run, _in_body(run, progress, item), faults)) if progress.body is not None else []
            if fault is None and inside:
                yield from inside
                continue
            key = "" if item < 0 else str(item) if keys is None else keys[item]
            told = ("", "") if fault is None else (fault.type, fault.message)
            yield Failure(progress.cell_id(item), key, *told)


def _in_body(run: RunProgress, owner: NodeProgress, item: int) -> list[NodeProgress]:
    """The nodes of a body, those of all turns of a loop."""
    return [each for each in run.nodes.values() if each.frame.owner is owner and each.frame.item == item]
