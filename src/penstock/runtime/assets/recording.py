"""What a run records of assets, in the turns in which it happens: versions, checks, and where partitions are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from penstock.authoring.assets.cells import check_id, partition_in
from penstock.authoring.assets.checks import PARTITION, outcome_of
from penstock.errors import PenstockError
from penstock.kernel.state import NodeProgress, Phase
from penstock.model.asset import (
    AssetInput,
    AssetSpec,
    Check,
    CheckResult,
    Materialization,
    PartitionChange,
    PartitionState,
    Upstream,
)
from penstock.model.event import Started
from penstock.model.expression import Constant
from penstock.model.graph import Task
from penstock.model.occurrence import OWN_SOURCE, Occurrence
from penstock.model.outcome import CheckOutcome
from penstock.model.run import FRUITFUL, AttemptRecord, NodeState, RunRecord
from penstock.model.value import Argument, Collection
from penstock.ports import Catalog, Store
from penstock.runtime.driving.nodes import Nodes
from penstock.runtime.driving.recording import Recorder
from penstock.runtime.inputs.resolve import MissingError
from penstock.values import Values

#: how many versions are looked through for the one that something was made from
_LOOKED_THROUGH = 50
_UNDONE = frozenset({NodeState.FAILED, NodeState.CANCELLED, NodeState.SKIPPED})


class Checked(NamedTuple):
    """What a node checks."""

    asset: AssetSpec
    check: Check
    node: str


class AssetRecorder:
    """Adds to turns what there is to record of assets. In a run that makes none it does nothing."""

    def __init__(self, run: RunRecord, nodes: Nodes, store: Store, values: Values) -> None:
        self._run = run
        self._nodes = nodes
        self._store = store
        self._values = values
        self._tasks = nodes.run.tasks
        #: how many tasks there were when it was last looked which of them are assets
        self._seen = 0
        self._assets: dict[str, AssetSpec] = {}
        #: metrics and artifacts that the attempts under way have logged, by node
        self._logged: dict[str, dict[str, Any]] = {}
        #: the versions that this run has made, by asset and partition
        self._made: dict[tuple[str, str], Materialization] = {}
        #: nodes that check something, as far as they were asked for
        self._checks: dict[str, Checked | None] = {}

    def take(self, turn: Recorder, at: float) -> None:
        """Add to a turn what follows from what happened in it."""
        if len(self._tasks) != self._seen:
            self._seen = len(self._tasks)
            self._assets = {key: task.asset for key, task in self._tasks.items() if task.asset is not None}
            self._checks.clear()
        if not self._assets:
            return
        for event in turn.events:
            if isinstance(event, Started) and (spec := self._asset_of(event.node)) is not None:
                self._logged.pop(event.node, None)
                self._change(turn, spec, event.node, PartitionState.RUNNING, at)
        self._note(turn)
        for record in turn.attempts:
            self._ended(turn, record, at)

    def _asset_of(self, node: str) -> AssetSpec | None:
        return self._assets.get(self._nodes.run.nodes[node].node.task)

    def _note(self, turn: Recorder) -> None:
        for said in turn.said:
            if not (said.metrics or said.attachments) or self._asset_of(said.node) is None:
                continue
            logged = self._logged.setdefault(said.node, {})
            logged.update((metric.name, metric.value) for metric in said.metrics)
            if said.attachments:
                artifacts = {each.name: each.artifact.digest.hex() for each in said.attachments}
                logged["artifacts"] = {**logged.get("artifacts", {}), **artifacts}

    def _ended(self, turn: Recorder, record: AttemptRecord, at: float) -> None:
        progress = self._nodes.run.nodes[record.node]
        spec = self._assets.get(progress.node.task)
        if spec is None:
            checked = self._checked(progress)
            if checked is not None:
                self._answered(turn, checked, progress, record, at)
        elif record.state in FRUITFUL:
            if progress.phase.fruitful:
                self._version(turn, spec, progress, record, at)
        elif record.state in _UNDONE and progress.phase.ended and (record.attempt or progress.phase is Phase.FAILED):
            self._change(turn, spec, progress.id, PartitionState.FAILED, at)

    # Versions.

    def _change(self, turn: Recorder, spec: AssetSpec, node: str, state: PartitionState, at: float) -> None:
        partition = self._partition(spec, self._nodes.run.nodes[node])
        turn.partitions.append(PartitionChange(spec.name, partition, state, self._run.run_id, at))

    def _partition(self, spec: AssetSpec, progress: NodeProgress) -> str:
        """The partition that a node makes."""
        if spec.partitions is None:
            return ""
        known = partition_in(progress.node.id)
        if known or PARTITION not in progress.node.bindings:
            return known
        return str(self._nodes.resolver.load(self._inputs(progress)[PARTITION]))

    def _inputs(self, progress: NodeProgress) -> Mapping[str, Argument]:
        template = self._nodes.template(progress)
        return {**template.fixed, **self._nodes.prepared(progress, template, -1).inputs}

    def _version(
        self, turn: Recorder, spec: AssetSpec, progress: NodeProgress, record: AttemptRecord, at: float
    ) -> None:
        catalog = self._store.catalog
        partition = self._partition(spec, progress)
        value = self._nodes.resolver.output(progress.frame, progress.node.id, None)
        before = catalog.latest_of(spec.name, [partition]).get(partition)
        metadata = self._logged.pop(progress.id, {})
        cached = record.state is NodeState.CACHED
        if cached and record.fingerprint is not None:
            metadata = _metadata_of(catalog, spec.name, partition, record.fingerprint)
        made = Materialization(
            asset=spec.name,
            partition=partition,
            at=at,
            run_id=self._run.run_id,
            node=progress.id,
            fingerprint=record.fingerprint,
            digest=self._values.digest(value),
            value=value,
            upstream=tuple(self._upstream(spec, progress, partition)),
            metadata=metadata,
            cached=cached,
        )
        turn.materializations.append(made)
        if before is not None and _is_same(before, made):
            self._made[spec.name, partition] = before
            return
        version = 1 if before is None else before.version + 1
        self._made[spec.name, partition] = msgspec.structs.replace(made, version=version)
        turn.occurrences.append(self._occurrence(made, version))

    def _occurrence(self, made: Materialization, version: int) -> Occurrence:
        return Occurrence(
            id=f"{made.run_id}.{self._run.generation}/{made.node}",
            source=f"{OWN_SOURCE}/asset/{made.asset}",
            type="asset.materialized",
            at=made.at,
            subject=made.asset,
            data={
                "asset": made.asset,
                "partition": made.partition,
                "version": version,
                "run_id": made.run_id,
                "digest": made.digest.hex(),
            },
        )

    # What versions were made from.

    def _upstream(self, spec: AssetSpec, progress: NodeProgress, partition: str) -> Iterator[Upstream]:
        try:
            inputs = self._inputs(progress)
        except (MissingError, PenstockError):
            return
        for each in spec.inputs:
            name = each.parameter or each.asset
            if name in inputs:
                yield from self._sources(each, progress, name, inputs[name], partition)

    def _sources(
        self, each: AssetInput, progress: NodeProgress, name: str, argument: Argument, partition: str
    ) -> Iterator[Upstream]:
        """The versions that an input is."""
        bound = progress.node.bindings.get(name)
        if each.parameter is None and isinstance(bound, Constant):
            # of what is made elsewhere, the digest itself is the input
            digests = {"": bytes.fromhex(bound.value)} if bound.value else {}
        elif isinstance(argument, Collection) and argument.kind == "dict" and self._has(each.asset, argument.keys):
            digests = {key: self._values.digest(item) for key, item in zip(argument.keys, argument.items, strict=True)}
        else:
            digests = {partition: self._values.digest(argument)}
        for key, digest in digests.items():
            found = self._with_digest(each.asset, key, digest)
            if found is not None:
                yield Upstream(each.asset, found.version, digest, found.partition)

    def _has(self, asset: str, keys: tuple[str, ...]) -> bool:
        """Whether these are partitions of an asset."""
        known = [key for key in keys if (asset, key) not in self._made]
        return bool(keys) and (not known or bool(self._store.catalog.latest_of(asset, known)))

    def _with_digest(self, asset: str, partition: str, digest: bytes) -> Materialization | None:
        """The newest version with this content: of the partition, or of any other."""
        catalog = self._store.catalog
        for key in dict.fromkeys((partition, "")):
            made = self._made.get((asset, key)) or catalog.latest_of(asset, [key]).get(key)
            if made is not None and made.digest == digest:
                return made
        own = (made for (name, _), made in self._made.items() if name == asset)
        every = (*own, *catalog.history(asset, limit=_LOOKED_THROUGH))
        return next((made for made in every if made.digest == digest), None)

    # Checks.

    def _checked(self, progress: NodeProgress) -> Checked | None:
        """What a node checks; None where it is no check."""
        if progress.id not in self._checks:
            self._checks[progress.id] = self._found(progress)
        return self._checks[progress.id]

    def _found(self, progress: NodeProgress) -> Checked | None:
        found = checked_by(progress, self._tasks)
        return None if found is None else Checked(*found)

    def _answered(
        self, turn: Recorder, checked: Checked, progress: NodeProgress, record: AttemptRecord, at: float
    ) -> None:
        if record.state in FRUITFUL:
            try:
                outcome = outcome_of(self._nodes.resolver.load(record.outputs[0]))
            except (TypeError, PenstockError) as error:
                outcome = CheckOutcome(False, str(error))
        elif record.state is NodeState.FAILED and progress.phase is Phase.FAILED:
            outcome = CheckOutcome(
                False, "" if record.fault is None else f"{record.fault.type}: {record.fault.message}"
            )
        else:
            return
        if not outcome.passed and record.fingerprint is not None:
            # what it looked at may be mended, and its fingerprint does not tell
            turn.forget(record.fingerprint)
        turn.checks.append(
            CheckResult(
                asset=checked.asset.name,
                check=checked.check.name,
                partition=self._partition(checked.asset, self._nodes.run.nodes[checked.node]),
                passed=outcome.passed,
                severity=checked.check.severity,
                blocking=checked.check.blocking,
                at=at,
                run_id=self._run.run_id,
                message=outcome.message,
                metadata=outcome.metadata,
            )
        )


def checked_by(progress: NodeProgress, tasks: Mapping[str, Task]) -> tuple[AssetSpec, Check, str] | None:
    """What a node checks: the asset, the check, and the node that makes it; None where it is no check."""
    for each in progress.upstream:
        spec = tasks[each.node.task].asset
        for check in () if spec is None else spec.checks:
            if spec is not None and progress.node.id == check_id(each.node.id, check.name):
                return spec, check, each.id
    return None


def _is_same(before: Materialization, made: Materialization) -> bool:
    return (before.fingerprint, before.digest) == (made.fingerprint, made.digest)


def _metadata_of(catalog: Catalog, asset: str, partition: str, fingerprint: bytes) -> dict[str, Any]:
    """What was logged when a result was made that is taken from the cache."""
    versions = catalog.history(asset, partition, limit=_LOOKED_THROUGH)
    nothing: dict[str, Any] = {}
    return next((each.metadata for each in versions if each.fingerprint == fingerprint), nothing)


__all__ = ["AssetRecorder"]
