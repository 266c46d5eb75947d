"""The collection: everything goes that nothing kept refers to.

It is safe beside runs that are under way. A run uses something stored in two steps: it writes it or finds it to be
there, which is noted on the thing itself, and it records that it did, which makes it reached. Between the two only the
note keeps it. So what was noted since the earliest run that is under way has begun stays in any case, and the records
are read only after it is settled what may go and which runs are under way. Then whatever a run uses is either noted
late enough, or was recorded before the records were read; a run that begins later notes everything late enough. The
*grace* is for those of whom there is no run to tell: one that is about to begin and has stored its parameters, a clock
on another machine that is behind.

Records go first, and what they alone refer to afterwards. A collection that is killed leaves things that nothing refers
to, which the next one finds.
"""

from __future__ import annotations

import heapq
import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import msgspec

from penstock.model.action import Environment
from penstock.model.graph import from_json
from penstock.model.run import NodeState, RunRecord, RunState, item_id
from penstock.model.value import Argument
from penstock.ports import Blobs, Store
from penstock.runtime.collecting import agenda, folders
from penstock.runtime.collecting.reach import Reach, arguments_of, reached_from
from penstock.runtime.collecting.retention import Retention
from penstock.runtime.collecting.selection import Selection, select
from penstock.runtime.reading.drivers import driver_document
from penstock.runtime.surroundings.processes import has_lost_its_driver
from penstock.runtime.surroundings.project import BEGUN, Project
from penstock.values.hashes import unused_hashes
from penstock.values.parts import artifacts_in

#: entries of the cache that are dropped in one transaction, for which running pipelines may have to wait
_PIECE = 1000
#: what is counted besides records
_KINDS = ("blobs", "files", "environments", "hashes", "unfinished", "journals")
#: how many of the largest things are told
_LARGEST = 5


class Thing(NamedTuple):
    """Something that takes space, and what it is, for people."""

    kind: str
    name: str
    size: int


class Kind(msgspec.Struct):
    """How much of one kind goes. `size` is in bytes; None where that cannot be told."""

    count: int = 0
    size: int | None = 0


class Collected(msgspec.Struct):
    """What a collection has removed, or, a dry one, would remove."""

    dry: bool
    #: `runs`, `results`, `versions`, `events`, `firings`, `blobs`, `files`, `environments`, `hashes`, `unfinished`; and `journals`, which lose only in size
    kinds: dict[str, Kind] = {}
    largest: list[Thing] = []
    #: ids of the runs that go
    runs: list[str] = []
    #: how many runs stay
    kept: int = 0
    #: how many of them stay only because they ended less than `grace` seconds ago
    in_grace: int = 0
    grace: float = 0.0
    #: how many results of the runs that go stay in the cache
    left: int = 0
    #: the run under way for whose sake all stays that was used since it began; None where there is none
    beside: str | None = None
    #: for how many seconds its driver was not heard of, where nobody here can see that and it is longer than it should be
    unheard: float | None = None

    def add(self, thing: Thing) -> None:
        """Count something that goes."""
        kind = self.kinds[thing.kind]
        kind.count += 1
        kind.size = (kind.size or 0) + thing.size
        self.largest = heapq.nlargest(_LARGEST, [*self.largest, thing], key=lambda each: each.size)

    @property
    def size(self) -> int:
        """All bytes."""
        return sum(kind.size or 0 for kind in self.kinds.values())

    @property
    def empty(self) -> bool:
        return not any(kind.count for kind in self.kinds.values())

    @property
    def loses_nothing(self) -> bool:
        """Whether journals are made smaller at most."""
        return not any(kind.count for name, kind in self.kinds.items() if name != "journals")


def _none_left(before: float) -> Iterable[tuple[int, Path]]:
    return ()


class Collector:
    """Collects what a project has recorded and stored. `name_of` tells what the environment of a task is filed under,
    `scratch` the scratch folders of attempts that have not been changed since a time, with the processes they are of."""

    def __init__(
        self,
        store: Store,
        blobs: Blobs,
        project: Project,
        name_of: Callable[[Environment], str],
        scratch: Callable[[float], Iterable[tuple[int, Path]]] = _none_left,
    ) -> None:
        self._store = store
        self._blobs = blobs
        self._project = project
        self._name_of = name_of
        self._scratch = scratch

    def collect(self, retention: Retention, *, dry: bool = False) -> Collected:
        """Remove what is not kept, or with `dry` only tell what that is. Raises StoreError, also where another
        collection is under way."""
        if dry:
            return self._collected(retention, Collected(dry))
        with folders.alone(self._project.home):
            return self._collected(retention, Collected(dry))

    def leftovers(self, before: float, *, dry: bool = False) -> Collected:
        """Remove what processes were writing when they died, unless it has changed since the time `before`, or with `dry`
        only tell what that is. Raises StoreError."""
        collected = Collected(dry, {"unfinished": Kind()})
        self._clear_up(before, collected)
        return collected

    def _collected(self, retention: Retention, collected: Collected) -> Collected:
        # why this is safe, which depends on the order of the steps, is told at the top of this module
        now = time.time()
        earliest = self._earliest_under_way()
        before = min(now - retention.grace, math.inf if earliest is None else earliest.started_at)
        collected.kinds = {name: Kind() for name in _KINDS}
        self._clear_up(now - retention.grace, collected)
        addresses = list(self._blobs.addresses())
        laid_out = folders.laid_out(self._project.workspace)
        environments = folders.environments(self._project.environments)
        selection = select(self._store, retention, now)
        collected.runs = [run.run_id for run in selection.runs]
        collected.kept = len(selection.kept)
        collected.in_grace, collected.grace = selection.in_grace, retention.grace
        collected.left = selection.left
        if earliest is not None:
            collected.beside = earliest.run_id
            collected.unheard = driver_document(self._store, earliest)["unheard_s"]
        counts = {"runs": len(selection.runs), "results": len(selection.fingerprints)}
        counts |= agenda.forget(self._store, retention, now, dry=collected.dry)
        collected.kinds = {**{name: Kind(count, None) for name, count in counts.items()}, **collected.kinds}
        names = self._names(selection.runs)
        if not collected.dry:
            self._forget(selection)
            self._collect_logs(selection.kept, before, alone=earliest is None)
        reach = Reach(self._blobs)
        for argument in self._remaining(selection) if collected.dry else self._store.arguments():
            reach.add(argument)
        self._collect_blobs((each for each in addresses if each not in reach.addresses), names, before, collected)
        needed = {digest.hex()[:32] for digest in reach.files}
        self._collect_files((path for name, path in laid_out.items() if name not in needed), before, collected)
        since = min(before, now - retention.cache_older_than)
        self._collect_environments(environments, selection.kept, since, collected)
        self._collect_hashes(before, since, collected)
        self._compact(now - retention.compact_older_than, collected)
        if not collected.dry:
            self._store.sweep(before)
        return collected

    def _earliest_under_way(self) -> RunRecord | None:
        """The earliest run that somebody drives.

        A driver elsewhere counts as there, however long it was not heard of: one that was suspended comes back, and records
        what it has stored long before. It is kept from that only by whoever takes the run over, or ends it.
        """
        running = self._store.runs(state=RunState.RUNNING, limit=sys.maxsize)
        driven = (run for run in running if not has_lost_its_driver(self._store, run))
        return min(driven, key=lambda run: run.started_at, default=None)

    def _clear_up(self, before: float, collected: Collected) -> None:
        """Remove what processes were writing when they died, and put back what they were about to remove."""
        for process, size in self._blobs.unfinished(before).items():
            if not _is_alive(process):
                collected.add(Thing("unfinished", f"blobs of process {process}", size))
                if not collected.dry:
                    self._blobs.discard(process)
        made = (folders.drafts(folder, before) for folder in (self._project.workspace, self._project.environments))
        for process, path in chain(*made, self._scratch(before)):
            if not _is_alive(process):
                collected.add(Thing("unfinished", path.name, folders.size_of(path)))
                if not collected.dry:
                    folders.remove(path)

    def _names(self, runs: Iterable[RunRecord]) -> dict[bytes, str]:
        """What the blobs of runs are, for people."""
        names: dict[bytes, str] = {}
        for run in runs:
            for attempt in self._store.attempts(run.run_id):
                if attempt.state is NodeState.SUCCEEDED:
                    task = item_id(attempt.node, attempt.item, attempt.key)
                    for artifact in (each for argument in attempt.outputs for each in artifacts_in(argument)):
                        name = f"{artifact.type} of {task}, run {run.run_id}"
                        names |= dict.fromkeys(reached_from(artifact, self._blobs), name)
        return names

    def _forget(self, selection: Selection) -> None:
        """Drop what is recorded, in transactions that nobody has to wait for long."""
        for run in selection.runs:
            self._store.remove([run.run_id])
            (self._project.logs / f"{run.run_id}.log").unlink(missing_ok=True)
        fingerprints = list(selection.fingerprints)
        for start in range(0, len(fingerprints), _PIECE):
            self._store.forget(fingerprints[start : start + _PIECE])

    def _collect_logs(self, kept: Iterable[RunRecord], before: float, *, alone: bool) -> None:
        """Remove what is left of runs in the background that are gone, or that never began, unless it has changed since
        the time `before`. What has no run yet may be that of any that is under way, so it stays if there are some."""
        ids = {run.run_id for run in kept}
        for path in folders.files(self._project.logs, before):
            if path.stem not in ids and (alone or not path.name.startswith(BEGUN)):
                folders.remove_file(path)

    def _remaining(self, selection: Selection) -> Iterator[Argument]:
        """What would still be referred to."""
        for result in self._store.results():
            if result.fingerprint not in selection.fingerprints:
                yield from result.outputs
        for run in selection.kept:
            yield from arguments_of(self._store, run)

    def _collect_blobs(
        self, addresses: Iterable[bytes], names: Mapping[bytes, str], before: float, collected: Collected
    ) -> None:
        for address in addresses:
            if size := self._blobs.collect(address, before, dry=collected.dry):
                collected.add(Thing("blobs", names.get(address, address.hex()[:16]), size))

    def _collect_files(self, paths: Iterable[Path], before: float, collected: Collected) -> None:
        for path in paths:
            name = next((each.name for each in path.iterdir()), path.name)
            size = folders.remove_if_unused(path, before, dry=collected.dry)
            if size is not None:
                collected.add(Thing("files", name, size))

    def _collect_environments(
        self, found: Mapping[str, Path], kept: Iterable[RunRecord], since: float, collected: Collected
    ) -> None:
        if not found:
            return
        used = {name for run in kept if (run.finished_at or math.inf) >= since for name in self._environments_of(run)}
        for name, path in found.items():
            if name not in used and (size := folders.remove_environment(path, since, dry=collected.dry)) is not None:
                collected.add(Thing("environments", name, size))

    def _collect_hashes(self, before: float, since: float, collected: Collected) -> None:
        for path, name in unused_hashes(self._project.hashes, before, since):
            with suppress(FileNotFoundError):
                collected.add(Thing("hashes", f"hash of {name}", path.stat().st_size))
            if not collected.dry:
                folders.remove_file(path)

    def _compact(self, before: float, collected: Collected) -> None:
        going = set(collected.runs)
        for run_id in self._store.compactable(before):
            # what goes is still there when nothing is really removed
            if run_id.partition(".")[0] in going:
                continue
            if saved := self._store.compact(run_id, dry=collected.dry):
                collected.add(Thing("journals", f"journal of run {run_id}", saved))

    def _environments_of(self, run: RunRecord) -> set[str]:
        tasks = from_json(self._store.graph(run.run_id)).tasks.values()
        return {self._name_of(task.environment) for task in tasks if task.environment is not None}


def _is_alive(process: int) -> bool:
    """Whether there is a process of this machine with that id; it may be another one by now."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


__all__ = ["Collected", "Collector", "Kind", "Thing"]
