"""A plan carried out in plain Python, in order, with nothing of the engine: what every run of it must come to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from penstock.testing.simulation.plans import (
    Plan,
    Step,
    approves,
    failures_of,
    is_skipped,
    rejection,
    result_of,
    spare_of,
    yields_of,
)

SUCCEEDED, FAILED, SKIPPED, UPSTREAM_FAILED = "SUCCEEDED", "FAILED", "SKIPPED", "UPSTREAM_FAILED"
_BAD = (FAILED, UPSTREAM_FAILED)


@dataclass(frozen=True)
class End:
    """How a step, or an item of one, ended, and with which value."""

    state: str
    value: Any = None
    #: of a step whose items others may take over one by one
    items: tuple[End, ...] | None = None


class Reading:
    """How every node and item of a plan must end, by its id."""

    def __init__(self, plan: Plan) -> None:
        self.ends: dict[str, End] = {}
        self.failed = self._frame(plan.steps, "", None).state == FAILED

    def _frame(self, steps: Sequence[Step], prefix: str, x: Any) -> End:
        """Go through a body. Returns how it ended."""
        ends: dict[str, End] = {}
        for step in steps:
            ends[step.name] = self.ends[f"{prefix}{step.name}"] = self._step(step, prefix, ends, x)
        if any(step.decides and ends[step.name].state == FAILED for step in steps):
            return End(FAILED)
        return End(SUCCEEDED, ends[steps[-1].name].value)

    def _step(self, step: Step, prefix: str, ends: dict[str, End], x: Any) -> End:
        source = ends[step.over] if isinstance(step.over, str) else None
        streams = source is not None and source.items is not None
        groups = [[ends[name] for name in group] for group in step.upstream]
        if source is not None and not streams:
            groups.append([source])
        stopped = _joined(step.join, groups)
        on = ends[step.guard.lstrip("!")] if step.guard else End(SKIPPED)
        if on.state == SUCCEEDED and (on.value % 2 != 0) != (step.guard[0] == "!"):
            # whatever else was before it: it was left out
            stopped = SKIPPED
        if stopped is not None:
            return End(stopped)
        inputs = {f"a{place}": _read(read, ends, x) for place, read in enumerate(step.reads)}
        if step.over is None:
            return self._cell(step, f"{prefix}{step.name}", inputs, inputs.get("a0", step.salt))
        elements = source.items or () if source is not None else [End(SUCCEEDED, number) for number in step.over]
        return self._items(step, f"{prefix}{step.name}", inputs, elements, source)

    def _items(self, step: Step, id: str, inputs: dict[str, Any], elements: Sequence[End], source: End | None) -> End:
        items: list[End] = []
        for number, element in enumerate(elements):
            stopped = _joined("all_success", [[element]])
            name = f"{id}[{number}]"
            end = End(stopped) if stopped else self._cell(step, name, {**inputs, "x": element.value}, element.value)
            self.ends[name] = end
            items.append(end)
        states = [end.state for end in items]
        values = [end.value for end in items if end.state == SUCCEEDED]
        if states.count(FAILED) > step.threshold:
            return End(FAILED, None, tuple(items))
        if UPSTREAM_FAILED in states and source is not None and source.state != SUCCEEDED:
            return End(UPSTREAM_FAILED, None, tuple(items))
        if states and states.count(SKIPPED) == len(states):
            return End(SKIPPED, None, tuple(items))
        return End(SUCCEEDED, values, tuple(items))

    def _cell(self, step: Step, id: str, inputs: dict[str, Any], x: Any) -> End:
        match step.kind:
            case "approval":
                if approves(step) or rejection(step) == "return":
                    return End(SUCCEEDED, approves(step))
                return End(SKIPPED if rejection(step) == "skip" else FAILED)
            case "body":
                return self._frame(step.body, f"{id}/", x)
            case "loop":
                return self._loop(step, id, x)
            case "generator":
                made = yields_of(step, inputs)
                return End(SUCCEEDED, made, tuple(End(SUCCEEDED, each) for each in made))
            case _:
                return _attempted(step, inputs)

    def _loop(self, step: Step, id: str, x: Any) -> End:
        end = End(FAILED)
        for turn in range(1 + step.salt % 3):
            end = self._frame(step.body, f"{id}[{turn}]/", x)
            if end.state == FAILED:
                return end
            x = end.value
        return end


def _read(read: str, ends: dict[str, End], x: Any) -> Any:
    if read == "x":
        return x
    ran = [ends[name] for name in read.split("|") if ends[name].state == SUCCEEDED]
    return ran[0].value if ran else None


def _attempted(step: Step, inputs: dict[str, Any]) -> End:
    """What the attempts at a task come to, its fallback included."""
    failures = failures_of(step, inputs)
    if failures is not None and failures <= step.retries:
        return End(SKIPPED) if is_skipped(step, inputs) else End(SUCCEEDED, result_of(step, inputs))
    if step.fallback == "value":
        return End(SUCCEEDED, -1)
    return End(SUCCEEDED, spare_of(inputs)) if step.fallback == "task" else End(FAILED)


def _joined(join: str, groups: Sequence[Sequence[End]]) -> str | None:
    """How a step ends because of what ended before it, if it does."""
    states = [end.state for group in groups for end in group]
    if join == "all_done" or (join == "none_failed" and not any(state in _BAD for state in states)):
        return None
    missing = [end.state for group in groups if all(end.state != SUCCEEDED for end in group) for end in group]
    if join == "all_success" and not missing:
        return None
    blamed = missing if join == "all_success" else states
    return UPSTREAM_FAILED if any(state in _BAD for state in blamed) else SKIPPED


__all__ = ["End", "Reading"]
