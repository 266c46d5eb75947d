"""What a turn is going to record, gathered while it happens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from penstock.kernel.state import NodeProgress, Phase
from penstock.model.asset import CheckResult, Materialization, PartitionChange
from penstock.model.event import AnyEvent, Fault
from penstock.model.identity import Basis
from penstock.model.occurrence import Occurrence
from penstock.model.run import AttemptRecord, NodeState, RunState
from penstock.model.value import Argument, Description
from penstock.model.work import NOTICE, Line, Told
from penstock.ports import Result, Said, Turn

_FRUITFUL = (Phase.SUCCEEDED, Phase.CACHED)


def key_of(progress: NodeProgress, item: int) -> str | None:
    """What an item is called; None where items go by number."""
    keys = None if item < 0 or progress.items is None else progress.items.keys
    return None if keys is None else keys[item]


def end_record(
    progress: NodeProgress,
    item: int,
    state: NodeState,
    at: float,
    *,
    since: float | None = None,
    outputs: tuple[Argument, ...] = (),
    fingerprint: bytes | None = None,
    fault: Fault | None = None,
    reason: str = "",
) -> AttemptRecord:
    """The record of an end without an attempt, at a time; `since` is when it began, where it took any time."""
    return AttemptRecord(
        node=progress.id,
        item=item,
        attempt=0,
        state=state,
        started_at=at if since is None else since,
        duration=0.0 if since is None else max(0.0, at - since),
        fingerprint=fingerprint,
        outputs=outputs,
        fault=fault,
        reason=reason,
        key=key_of(progress, item),
    )


def _is_fruitful(progress: NodeProgress, item: int) -> bool:
    items = progress.items
    return (progress.phase if items is None or item < 0 else items.phases[item]) in _FRUITFUL


class Recorder:
    """What a turn is going to record."""

    __slots__ = (
        "_expected",
        "attempts",
        "checks",
        "claims",
        "classes",
        "descriptions",
        "disclaimed",
        "events",
        "files",
        "materializations",
        "occurrences",
        "partitions",
        "results",
        "said",
        "tasks",
    )

    def __init__(self) -> None:
        self.events: list[AnyEvent] = []
        self._expected: list[tuple[NodeProgress, AttemptRecord]] = []
        self.attempts: list[AttemptRecord] = []
        self.results: dict[bytes, Result] = {}
        self.said: list[Said] = []
        self.descriptions: list[Description] = []
        #: results that attempts which start are to make, and those that attempts which end have not made
        self.claims: dict[bytes, tuple[str, int]] = {}
        self.disclaimed: list[bytes] = []
        #: files that tasks declare that they read -> digests of their content
        self.files: dict[str, bytes] = {}
        #: tasks that have appeared -> digests of their identities
        self.tasks: dict[str, bytes] = {}
        #: classes in inputs -> digests of their identities
        self.classes: dict[str, bytes] = {}
        #: of assets: versions that were made, what checks have found, and where partitions are
        self.materializations: list[Materialization] = []
        self.checks: list[CheckResult] = []
        self.partitions: list[PartitionChange] = []
        #: what others are to hear of
        self.occurrences: list[Occurrence] = []

    def expect(self, progress: NodeProgress, record: AttemptRecord) -> None:
        """Keep the record of a good end that the kernel has yet to agree to: an earlier event of the same turn may have
        led to another one."""
        self._expected.append((progress, record))

    def confirm(self) -> None:
        """Keep those of the records for good that the kernel agreed to."""
        if self._expected:
            self.attempts += [record for progress, record in self._expected if _is_fruitful(progress, record.item)]
            self._expected.clear()

    def forget(self, fingerprint: bytes) -> None:
        """Do not keep a result of this turn for others."""
        if self.results.pop(fingerprint, None) is not None:
            self.disclaimed.append(fingerprint)

    def take_code(self, found: Basis) -> None:
        """Keep what was found out of code."""
        self.tasks.update(found.tasks)
        self.classes.update(found.classes)

    def tell(self, node: str, item: int, report: Told) -> None:
        if report.lines or report.metrics or report.attachments:
            said = Said(node, item, report.attempt, report.lines, report.metrics, report.attachments)
            self.said.append(said)
        self.descriptions += report.descriptions

    def notice(self, node: str, item: int, notices: Sequence[str], at: float) -> None:
        """Keep what penstock itself has to say about a node or an item."""
        if notices:
            lines = tuple(Line(NOTICE, text, at) for text in notices)
            self.said.append(Said(node, item, 0, lines))

    def turn(self, number: int, at: float, token: int, state: RunState, outputs: Mapping[str, Argument]) -> Turn | None:
        """The turn to commit by the driver with a token; None if there is nothing to record."""
        if not (self.events or self.said or self.tasks or self.classes) and state is RunState.RUNNING:
            return None
        return Turn(
            number=number,
            at=at,
            token=token,
            events=self.events,
            attempts=self.attempts,
            results=self.results,
            said=self.said,
            descriptions=self.descriptions,
            claims=self.claims,
            disclaimed=self.disclaimed,
            basis=self._basis(),
            materializations=self.materializations,
            checks=self.checks,
            partitions=self.partitions,
            occurrences=self.occurrences,
            end=None if state is RunState.RUNNING else state,
            outputs=outputs,
        )

    def _basis(self) -> Basis | None:
        if not (self.files or self.tasks or self.classes):
            return None
        return Basis(files=self.files, tasks=self.tasks, classes=self.classes)
