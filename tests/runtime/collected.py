"""Projects for tests of the collection: recorded by hand, with real values in a real store."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from penstock.blobs.local import LocalBlobs
from penstock.executors.environments import digest_of
from penstock.model.event import RunStarted, Succeeded
from penstock.model.graph import Graph
from penstock.model.identity import Basis
from penstock.model.run import NodeState, RunState
from penstock.model.value import Argument, Artifact
from penstock.model.work import Attachment, Metric
from penstock.ports import Result, Said, Store, Turn
from penstock.runtime.collecting.collection import Collected, Collector
from penstock.runtime.collecting.retention import Retention
from penstock.runtime.surroundings.project import Project
from penstock.stores.sqlite import SqliteStore
from penstock.testing.records import attempt, graph, provenance, run_record
from penstock.values import Values
from penstock.values.parts import artifacts_in

DAY = 86_400.0
#: keeps nothing by itself
NOTHING = Retention(keep=0, older_than=None, cache_of_removed=False, grace=0.0)


class Yard:
    """A project with a store, values, and runs that are recorded in one go."""

    def __init__(self, folder: Path) -> None:
        self.project = Project(folder, folder / "home", {})
        self.store: Store = SqliteStore(self.project.database)
        self.blobs = LocalBlobs(self.project.blobs)
        self.values = self.new_values()

    def new_values(self) -> Values:
        """Values that remember nothing."""
        return Values(LocalBlobs(self.project.blobs), workspace=self.project.workspace)

    def put(self, value: Any) -> Artifact:
        return self.values.store(value, output=True)[0]

    def record(
        self,
        run_id: str,
        outputs: Mapping[str, Argument] | None = None,
        *,
        days: float = 0.0,
        state: RunState | None = RunState.SUCCEEDED,
        results: Mapping[str, bytes] | None = None,
        cached: Mapping[str, bytes] | None = None,
        logs: Mapping[str, Artifact] | None = None,
        parameters: Mapping[str, Argument] | None = None,
        shape: Graph | None = None,
        pipeline: str = "training",
        driver: str = "",
    ) -> None:
        """Record a run of so many days ago. `outputs` are those of its nodes; `results` and `cached` say under which
        fingerprint they are in the cache, made by this run or taken from there; `logs` are logged by nodes, each with
        a metric. Without a state it is under way."""
        at = time.time() - days * DAY
        made = {**(outputs or {})}
        record = run_record(run_id, pipeline=pipeline, started_at=at, driver=driver)
        self.store.create(record, shape or graph(), provenance(), Basis(parameters=dict(parameters or {})))
        cached, results = cached or {}, results or {}
        turn = Turn(
            number=0,
            at=at,
            events=[RunStarted(), *(Succeeded(node, -1, 1, (output,)) for node, output in made.items())],
            attempts=[
                attempt(
                    node,
                    number=0 if node in cached else 1,
                    state=NodeState.CACHED if node in cached else NodeState.SUCCEEDED,
                    started_at=at,
                    fingerprint=cached.get(node, results.get(node)),
                    outputs=(output,),
                )
                for node, output in made.items()
            ],
            results={key: Result(node, -1, 1, (made[node],)) for node, key in results.items()},
            said=[
                Said(node, -1, 1, metrics=(Metric("score", 1.0),), attachments=(Attachment("plot", each),))
                for node, each in (logs or {}).items()
            ],
            end=state,
            outputs=made if state is RunState.SUCCEEDED else {},
        )
        self.store.commit(run_id, turn)

    def collect(self, retention: Retention = NOTHING, *, dry: bool = False) -> Collected:
        return Collector(self.store, LocalBlobs(self.project.blobs), self.project, digest_of).collect(
            retention, dry=dry
        )

    @property
    def runs(self) -> set[str]:
        return {run.run_id for run in self.store.runs(limit=1000)}

    @property
    def fingerprints(self) -> set[bytes]:
        return {result.fingerprint for result in self.store.results()}

    @property
    def addresses(self) -> set[bytes]:
        return set(self.blobs.addresses())

    def needed(self, arguments: Iterable[Argument]) -> set[bytes]:
        """The blobs that arguments are kept in."""
        artifacts = (artifact for each in arguments for artifact in artifacts_in(each))
        return {address for artifact in artifacts for address in self.values.addresses(artifact)}


__all__ = ["DAY", "NOTHING", "Yard"]
