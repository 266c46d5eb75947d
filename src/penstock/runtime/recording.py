"""What a turn is going to record, gathered while it happens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from penstock.model.event import AnyEvent
from penstock.model.run import AttemptRecord, NodeState, RunState
from penstock.model.value import Argument, Description
from penstock.model.work import NOTICE, Line, Report, Told, Usage
from penstock.ports import Result, Said, Turn
from penstock.runtime.nodes import Prepared


def attempt_record(
    node: str, report: Report, state: NodeState, usage: Usage, prepared: Prepared, outputs: Any = (), fault: Any = None
) -> AttemptRecord:
    """The record of an attempt that was reported to have ended."""
    return AttemptRecord(
        node=node,
        item=report.item,
        attempt=report.attempt,
        state=state,
        started_at=usage.started_at,
        duration=usage.duration,
        cpu=usage.cpu,
        peak_memory=usage.peak_memory,
        worker=usage.worker,
        fingerprint=prepared.fingerprint,
        outputs=outputs,
        fault=fault,
    )


class Recorder:
    """What a turn is going to record."""

    __slots__ = ("attempts", "descriptions", "events", "results", "said")

    def __init__(self) -> None:
        self.events: list[AnyEvent] = []
        self.attempts: list[AttemptRecord] = []
        self.results: dict[bytes, Result] = {}
        self.said: list[Said] = []
        self.descriptions: list[Description] = []

    def tell(self, node: str, report: Told) -> None:
        if report.lines or report.metrics or report.attachments:
            said = Said(node, report.item, report.attempt, report.lines, report.metrics, report.attachments)
            self.said.append(said)
        self.descriptions += report.descriptions

    def notice(self, node: str, item: int, notices: Sequence[str], at: float) -> None:
        """Keep what the storing of inputs had to say."""
        if notices:
            lines = tuple(Line(NOTICE, text, at) for text in notices)
            self.said.append(Said(node, item, 0, lines))

    def turn(self, number: int, at: float, state: RunState, outputs: Mapping[str, Argument]) -> Turn | None:
        """The turn to commit; None if there is nothing to record."""
        if not self.events and not self.said:
            return None
        return Turn(
            number=number,
            at=at,
            events=self.events,
            attempts=self.attempts,
            results=self.results,
            said=self.said,
            descriptions=self.descriptions,
            end=None if state is RunState.RUNNING else state,
            outputs=outputs,
        )
