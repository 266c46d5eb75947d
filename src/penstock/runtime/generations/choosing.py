"""What somebody wants kept, made anew or run again, looked up in the generation that it is about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from penstock.errors import DefinitionError, NotFoundError, RunFailedError, StoreError
from penstock.kernel.state import Phase
from penstock.model.generation import Choice, is_earlier, root_of
from penstock.model.run import RunRecord, RunState
from penstock.ports import Store
from penstock.runtime.driving.nodes import Cell
from penstock.runtime.driving.refreshing import Refreshing
from penstock.runtime.ending import end_as_broken
from penstock.runtime.generations.dependents import Dependents
from penstock.runtime.generations.keeping import Keeping
from penstock.runtime.orphans import Say, check_undriven
from penstock.runtime.reading.nearest import nearest
from penstock.runtime.reading.past import Past
from penstock.runtime.surroundings.processes import this_process
from penstock.values import Values

#: ids that are named
_NAMED = 5


def check_latest(run: RunRecord) -> None:
    """Raise StoreError for an earlier generation of a run."""
    if is_earlier(run):
        latest = root_of(run.run_id)
        raise StoreError(
            f"{run.run_id} is generation {run.generation} of run {latest}, which has gone on since",
            remedy=f"Name the run itself: {latest}",
        )


def check_over(store: Store, run: RunRecord, choice: Choice, say: Say, *, take_over: bool = False) -> None:
    """Raise StoreError for what cannot begin anew: an earlier generation, a run that is paused or that somebody drives, and,
    where nothing is to run again, one that has succeeded. With `take_over`, it does not matter who drives it."""
    check_latest(run)
    if run.state is RunState.PAUSED:
        raise StoreError(
            f"run {run.run_id} is paused, and has not ended",
            remedy=f"Go on with it: penstock resume {run.run_id}\n"
            f"To begin it anew, end it first: penstock cancel {run.run_id} --now",
        )
    if run.state is RunState.SUCCEEDED and choice.again is None:
        raise StoreError(
            f"run {run.run_id} has ended: it succeeded",
            remedy=f"To run tasks of it again: penstock retry {run.run_id} TASK",
        )
    if not take_over:
        check_undriven(store, run, say)


def end_if_left(store: Store, run: RunRecord) -> None:
    """Record the end of a run whose driver is gone."""
    if run.state is RunState.RUNNING:
        left = store.reopen(run.run_id, this_process(), run.driver)
        end_as_broken(store, left, RunFailedError("the process that drove it was gone"))


def proposed(store: Store, values: Values, run: RunRecord, choice: Choice) -> Keeping:
    """What would decide for a run if it was begun anew. Raises as `settled` does."""
    past = Past(store, values, run)
    return Keeping(past, settled(past, choice))


def settled(past: Past, choice: Choice) -> Choice:
    """A choice about a run that has ended, with the names of what is to run again.

    Raises NotFoundError for what is not there, naming near ones, and DefinitionError for patterns that choose nothing,
    or two things at once.
    """
    cells = list(past.cells())
    again = None if choice.again is None else _again(past, cells, choice.again)
    kept = _chosen(past, cells, choice.keep, "keep")
    anew = _chosen(past, cells, choice.invalidate, "invalidate")
    dependents = Dependents(again or ())
    for cell in kept:
        chosen = dependents.named(past.progress_of(cell), cell[1])
        if chosen or cell in anew:
            other = "to be run again" if chosen else "to be invalidated"
            raise DefinitionError(f"{past.name(cell)} is to be kept and {other}", remedy="Choose one of them.")
    keeping = Keeping(past, Choice())
    keeping.attach(past.progress.tasks)
    for pattern in choice.keep:
        found = _chosen(past, cells, (pattern,), "keep")
        if not any(keeping.find(past.progress_of(cell), cell[1]) for cell in found):
            states = {past.progress_of(cell).phase_of(cell[1]).state.value for cell in found}
            raise DefinitionError(
                f"there is nothing to keep of {pattern} in run {past.run.run_id}: it is {' and '.join(sorted(states))}",
                remedy="Leave it out; it runs.",
            )
    return msgspec.structs.replace(choice, again=again)


def _again(past: Past, cells: Sequence[Cell], wanted: tuple[str, ...]) -> tuple[str, ...]:
    """The names of what is to run again: what was asked for, or what failed by itself."""
    if not wanted:
        failed = [cell for cell in cells if _failed_itself(past, cell)]
        if not failed and past.run.state is RunState.SUCCEEDED:
            raise NotFoundError(
                f"nothing failed in run {past.run.run_id}",
                remedy=f"Name what is to run again: penstock retry {past.run.run_id} TASK",
            )
        return tuple(map(past.name, failed))
    return tuple(dict.fromkeys(name for each in wanted for name in _named(past, cells, each)))


def _failed_itself(past: Past, cell: Cell) -> bool:
    """Whether it failed, or a fallback took its place; of what has a body, what failed is inside of it."""
    progress = past.progress_of(cell)
    failed = progress.phase_of(cell[1]) is Phase.FAILED or cell[1] in progress.fallen
    return failed and (progress.body is None or cell in past.ledger.faults)


def _named(past: Past, cells: Sequence[Cell], wanted: str) -> Iterable[str]:
    """The names of what is meant by one, or by a pattern. Raises NotFoundError, naming near ones."""
    try:
        return (past.name(past.find(wanted)),)
    except NotFoundError:
        found = _matched(past, cells, wanted)
        if not found:
            raise
        return map(past.name, found)


def _chosen(past: Past, cells: Sequence[Cell], patterns: Iterable[str], verb: str) -> dict[Cell, None]:
    """The nodes and items that patterns mean. Raises DefinitionError for one that means nothing."""
    chosen: dict[Cell, None] = {}
    for pattern in patterns:
        found = _matched(past, cells, pattern)
        if not found:
            names = list(dict.fromkeys([*past.progress.nodes, *map(past.name, cells)]))
            near = nearest(pattern, names, _NAMED)
            listed = f"{', '.join(names[:_NAMED])}{', ...' if len(names) > _NAMED else ''}"
            raise DefinitionError(
                f"there is nothing called {pattern!r} to {verb} in run {past.run.run_id}",
                remedy=f"Did you mean {' or '.join(near)}?" if near else f"There are: {listed or 'none'}",
            )
        chosen.update(dict.fromkeys(found))
    return chosen


def _matched(past: Past, cells: Sequence[Cell], pattern: str) -> list[Cell]:
    matching = Refreshing((pattern,), past.progress.tasks)
    return [cell for cell in cells if matching.covers(past.progress_of(cell), cell[1])]


__all__ = ["check_latest", "check_over", "end_if_left", "proposed", "settled"]
