"""What a task has made again, compared with what is recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from penstock.errors import PenstockError
from penstock.model.graph import Task, from_json
from penstock.model.run import FRUITFUL, AttemptRecord, NodeState
from penstock.model.value import Argument
from penstock.ports import Store
from penstock.runtime.driving.nodes import Cell
from penstock.runtime.explaining.data import data_difference
from penstock.runtime.explaining.shown import shown
from penstock.runtime.reading.argument_documents import argument_document
from penstock.runtime.reading.cells import Cells
from penstock.runtime.reading.past import Past
from penstock.runtime.replaying.outcome import ComparedOutput
from penstock.values import Values


def recorded_attempt(past: Past, cell: Cell) -> AttemptRecord | None:
    """How the task itself ended; None where it was never reached. What a fallback made is not its own."""
    records = past.attempts.get(cell, [])
    if cell[1] in past.progress_of(cell).fallen:
        records = [each for each in records if each.state not in FRUITFUL]
    last = next((each for each in records if each.attempt == 0), None)
    return last or (records[-1] if records else None)


def noun_of(past: Past, cell: Cell, recorded: AttemptRecord | None) -> Task:
    """The task of a node, as it stood in the run that made its result: the classes of a script are called otherwise
    where it is imported."""
    noun = past.progress.tasks[past.progress_of(cell).node.task]
    fingerprint = None if recorded is None or recorded.state is not NodeState.CACHED else recorded.fingerprint
    if fingerprint is None:
        return noun
    origin = past.store.origins([fingerprint]).get(fingerprint)
    if origin is None or origin.run_id == past.run.run_id:
        return noun
    there = Cells(from_json(past.store.graph(origin.run_id)), ()).origin(origin.node)
    return noun if there is None else msgspec.structs.replace(noun, action=there.task.action)


def by_name(outputs: Sequence[Argument], names: Sequence[str]) -> dict[str, Argument]:
    """Outputs by their names; a value that could only be stored whole is called `result`."""
    return dict(zip(names if len(names) == len(outputs) else ["result"], outputs, strict=False))


def compared(
    name: str, made: Mapping[str, Argument], recorded: Mapping[str, Argument] | None, values: Values, store: Store
) -> tuple[ComparedOutput, ...]:
    """Outputs made again and recorded ones, by name. `name` is what the task is called. Without `recorded`, there is
    nothing to compare with."""
    names = dict.fromkeys([*made, *(recorded or ())])
    return tuple(
        _compared(f"{name}.{each}", each, made.get(each), (recorded or {}).get(each), values, store) for each in names
    )


def _compared(
    called: str, name: str, made: Argument | None, recorded: Argument | None, values: Values, store: Store
) -> ComparedOutput:
    document = None if made is None else argument_document(made, values)
    if made is None or recorded is None:
        known = "" if recorded is None else values.digest(recorded).hex()
        return ComparedOutput(
            name=name, made=document, recorded=known, verdict="unrecorded" if recorded is None else "missing"
        )
    before, after = values.digest(recorded), values.digest(made)
    if before == after:
        return ComparedOutput(name=name, made=document, recorded=before.hex(), verdict="same")
    return ComparedOutput(
        name=name,
        made=document,
        recorded=before.hex(),
        verdict="different" if _has_digest(made, values) else "unknown",
        before=_shown(recorded, values, store),
        after=_shown(made, values, store),
        data=data_difference(called, recorded, made, values),
    )


def _shown(argument: Argument, values: Values, store: Store) -> str:
    try:
        return shown(argument, values, store)
    except PenstockError as error:
        # its bytes are gone, or a class that it needs
        return f"({error.what})"


def _has_digest(made: Argument, values: Values) -> bool:
    """Whether equal values of its kind have the same digest in every process."""
    return values.unhashable(values.store(values.load(made))[0]) is None


def agreed(outputs: Sequence[ComparedOutput]) -> bool | None:
    """Whether all outputs are the recorded ones; None where that cannot be told."""
    verdicts = {each.verdict for each in outputs}
    if verdicts & {"different", "missing"} or verdicts == {"same", "unrecorded"}:
        return False
    return True if verdicts <= {"same"} else None


__all__ = ["agreed", "by_name", "compared", "noun_of", "recorded_attempt"]
