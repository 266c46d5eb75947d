"""What is still to be done in a run that another driver had begun."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.kernel.state import NodeProgress, Phase, RunProgress
from penstock.model.instruction import AnyInstruction, Check, Conclude, Decide, Delay, Expand, Grow, Ready, Substitute


def outstanding(run: RunProgress) -> list[AnyInstruction]:
    """The instructions that have not been answered, as far as the state of the run tells; the delays in full.

    Attempts that were under way are not among them: they are for the caller to report as `Lost`. Nor are approvals
    that wait for an answer.
    """
    found: list[AnyInstruction] = [Grow(frame.id) for frame in run.frames.values() if frame.growing]
    for progress in run.nodes.values():
        if progress.phase.ended:
            continue
        if progress.items is None:
            found += _of_cell(progress, -1, progress.phase)
        else:
            for item, phase in enumerate(progress.items.phases):
                found += _of_cell(progress, item, Phase(phase))
    return found


def _of_cell(progress: NodeProgress, item: int, phase: Phase) -> Iterator[AnyInstruction]:
    name = progress.id
    match phase:
        case Phase.DECIDING:
            yield Decide(name)
        case Phase.EXPANDING:
            yield Expand(name)
        case Phase.CHECKING:
            yield Check(name, item, item + 1)
        case Phase.QUEUED if progress.limit is None or item in progress.limit.flying or item < 0:
            yield Ready(name, item, next_attempt(progress, item))
        case Phase.DELAYED:
            assert progress.setbacks is not None
            yield Delay(name, item, next_attempt(progress, item), progress.setbacks.delays[item])
        case Phase.SUBSTITUTING:
            yield Substitute(name, item)
        case Phase.CONCLUDING:
            yield Conclude(name, item, progress.frames[item].turn)
        case _:
            pass


def next_attempt(progress: NodeProgress, item: int) -> int:
    """The number of the attempt that a queued or delayed cell waits to begin."""
    again = progress.setbacks is not None and item in progress.setbacks.again
    return progress.attempts.get(item, 0) + (not again)
