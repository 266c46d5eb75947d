"""What upstream is to blame for: nodes and items that were not reached, or were skipped."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from penstock.kernel.state import NodeProgress, Phase
from penstock.model.run import NodeState
from penstock.runtime.driving.nodes import Cell
from penstock.runtime.reading.past import Past

#: how many nodes are named
_NAMED = 10


class Upstream(msgspec.Struct, frozen=True, omit_defaults=True):
    """A node that another one depends on, and how it is."""

    id: str
    state: str
    error: str = ""


def upstream_of(past: Past, cell: Cell) -> Upstream:
    """How a node or an item is."""
    state = past.progress_of(cell).phase_of(cell[1]).state
    fault = past.ledger.faults.get(cell) if state is NodeState.FAILED else None
    return Upstream(past.name(cell), state.value, "" if fault is None else f"{fault.type}: {fault.message}")


def all_upstream(past: Past, cell: Cell) -> tuple[Upstream, ...]:
    """How the nodes are that a node depends on."""
    return tuple(upstream_of(past, each) for each in _before(past, cell)[:_NAMED])


def failed_before(past: Past, cell: Cell) -> tuple[Upstream, ...]:
    """What failed by itself upstream of a node or an item, near or far; in place of a body, what failed inside of it."""
    failed = _roots(past, cell, Phase.FAILED)
    inside = [found for each in failed for found in (failed_inside(past, each) or (upstream_of(past, each),))]
    return tuple(inside[:_NAMED])


def skipped_before(past: Past, cell: Cell) -> list[Cell]:
    """What was skipped by itself upstream of a node or an item, near or far."""
    return _roots(past, cell, Phase.SKIPPED)


def failed_inside(past: Past, cell: Cell) -> tuple[Upstream, ...]:
    """The items of a node, or the nodes of its body, that failed by themselves."""
    found: list[Upstream] = []
    for other in inside_of(past, cell):
        inner = past.progress_of(other)
        if inner.phase_of(other[1]) is Phase.FAILED and not (inner.body is not None and failed_inside(past, other)):
            found.append(upstream_of(past, other))
            if len(found) == _NAMED:
                break
    return tuple(found)


def inside_of(past: Past, cell: Cell) -> Iterator[Cell]:
    """The items of a node, and all that is in its body, at any depth."""
    own = past.progress_of(cell)
    if cell[1] < 0 and own.items is not None:
        yield from ((cell[0], item) for item in range(len(own.items.phases)))
    if own.body is None:
        return
    for other in past.cells():
        if _is_in(past.progress_of(other), own, cell[1]):
            yield other


def _is_in(progress: NodeProgress, owner: NodeProgress, item: int) -> bool:
    frame = progress.frame
    while frame.owner is not None:
        if frame.owner is owner:
            return item < 0 or frame.item == item
        frame = frame.owner.frame
    return False


def _roots(past: Past, cell: Cell, phase: Phase) -> list[Cell]:
    """The nodes and items upstream that are in a phase of themselves: by their own condition, or with none before them
    that are."""
    passing: Callable[[Phase], bool] = (
        (lambda each: each is Phase.SKIPPED)
        if phase is Phase.SKIPPED
        # no failure goes past what was skipped
        else (lambda each: not (each.fruitful or each is Phase.SKIPPED))
    )
    seen = {cell}
    waiting, roots = [cell], dict[Cell, None]()
    while waiting:
        at = waiting.pop(0)
        left_out = at != cell and is_left_out(past, at)
        before = [] if left_out else [each for each in _before(past, at) if passing(_phase(past, each))]
        further = [each for each in before if each not in seen]
        if at != cell and _phase(past, at) is phase and not any(_phase(past, each) is phase for each in before):
            roots[at] = None
        seen.update(further)
        waiting += further
    return list(roots)


def is_left_out(past: Past, cell: Cell) -> bool:
    """Whether a node was skipped because its own condition does not hold."""
    records = past.attempts.get(cell)
    return bool(records) and records[0].attempt == 0 and records[0].reason.startswith("the condition")


def _phase(past: Past, cell: Cell) -> Phase:
    return past.progress_of(cell).phase_of(cell[1])


def _before(past: Past, cell: Cell) -> list[Cell]:
    """What a node or an item depends on; where nothing else is, what its body depends on."""
    progress = past.progress_of(cell)
    found: list[Cell] = []
    for other in progress.upstream:
        taken_over = cell[1] >= 0 and other in progress.streams and other.items is not None
        found.append((other.id, cell[1]) if taken_over and cell[1] < len(_phases(other)) else (other.id, -1))
    return found


def _phases(progress: NodeProgress) -> bytearray:
    return bytearray() if progress.items is None else progress.items.phases


__all__ = [
    "Upstream",
    "all_upstream",
    "failed_before",
    "failed_inside",
    "inside_of",
    "is_left_out",
    "skipped_before",
    "upstream_of",
]
