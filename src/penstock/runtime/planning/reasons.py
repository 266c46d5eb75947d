"""Why what would run would run: told once for all items of a node that have the same reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, cast

from penstock.kernel.state import NodeProgress, Phase
from penstock.model.options import RunOptions
from penstock.model.run import RunRecord
from penstock.ports import Store
from penstock.runtime.driving.refreshing import Refreshing
from penstock.runtime.explaining.account import Account
from penstock.runtime.explaining.code import Version
from penstock.runtime.explaining.earlier import History
from penstock.runtime.explaining.generations import Generations
from penstock.runtime.explaining.reason import Reason, reason_to_run
from penstock.runtime.explaining.sources import source_of
from penstock.runtime.explaining.wording import moment
from penstock.runtime.generations.keeping import Keeping
from penstock.runtime.planning.plan import Told
from penstock.runtime.planning.rehearsal import Rehearsed
from penstock.values import Values


class Reasons:
    """The reasons of a run that was rehearsed. `versions` are the code of its tasks, by key, `classes` that of classes in
    inputs, by name."""

    def __init__(
        self,
        rehearsed: Rehearsed,
        run: RunRecord,
        store: Store | None,
        values: Values,
        versions: Mapping[str, Version],
        classes: Mapping[str, Version],
        options: RunOptions,
        keeping: Keeping | None = None,
    ) -> None:
        self._rehearsed = rehearsed
        self._generations = None if keeping is None else Generations(keeping)
        self._store = store or cast("Store", _Nothing())
        self._values = values
        self._versions = versions
        self._classes = classes
        self._use_cache = options.cache
        self._refreshing = Refreshing(options.refresh, rehearsed.progress.tasks)
        tasks = rehearsed.progress.tasks.values() if store is not None else ()
        assets = dict.fromkeys(task.asset.name for task in tasks if task.asset is not None)
        self._history = History(self._store, values, run.pipeline, assets=assets)
        self._now = run.started_at

    def of(self, progress: NodeProgress) -> tuple[Told, ...]:
        """Why a node, or those of its items that would run, would run; what holds for most of them first."""
        alike: dict[Any, tuple[Reason, list[str]]] = {}
        for item in _to_run(progress):
            name = progress.cell_id(item)
            reason = self._reason(progress, item, name)
            _, names = alike.setdefault(_kind(reason), (reason, []))
            names.append(name)
        told = [Told(reason, tuple(names)) for reason, names in alike.values()]
        return tuple(sorted(told, key=lambda each: -len(each.tasks)))

    def _reason(self, progress: NodeProgress, item: int, name: str) -> Reason:
        prepared = self._rehearsed.prepared[progress.id, item]
        template = self._rehearsed.nodes.template(progress)
        node = progress.node
        account = Account(
            node=node,
            name=name,
            code=self._versions.get(node.task),
            environment=template.task.environment,
            files={file: self._rehearsed.files.get(file, b"") for file in node.policy.caching.reads},
            inputs={**template.fixed, **prepared.inputs},
            values=self._values,
            store=self._store,
            source=partial(source_of, progress),
            classes=self._classes,
        )
        nodes = self._rehearsed.nodes
        found = self._generations and self._generations.to_run(progress, item, prepared, nodes, account)
        found = found or self._unusable(progress, prepared.fingerprint)
        if found is not None:
            return found
        refreshed = self._refreshing and self._refreshing.covers(progress, item)
        options = {"cache": self._use_cache, "refresh": refreshed}
        return reason_to_run(account, progress.id, prepared.fingerprint, self._history, options, self._now)

    def _unusable(self, progress: NodeProgress, fingerprint: bytes | None) -> Reason | None:
        """What keeps a result that is recorded from being used; None where none is."""
        recorded = None if fingerprint is None else self._rehearsed.recorded.get(fingerprint)
        if recorded is None:
            return None
        lifetime = progress.node.policy.caching.lifetime
        if lifetime is not None and self._now - recorded.created_at > lifetime:
            made = moment(recorded.created_at)
            return Reason(cause="expired", text=f"the result of {made} is older than its lifetime (cache_for)")
        name = self._rehearsed.nodes.fingerprints.contents.gone(recorded.outputs)
        if name is not None:
            return Reason(cause="gone", text=f"there is no {name} now, which is in the recorded result")
        return Reason(cause="gone", text="the bytes of the recorded result are gone or damaged")


def _to_run(progress: NodeProgress) -> Iterable[int]:
    if progress.items is None:
        return (-1,) if progress.phase is Phase.QUEUED else ()
    return [item for item, phase in enumerate(progress.items.phases) if phase == Phase.QUEUED]


def _kind(reason: Reason) -> Any:
    """What is the same for reasons that are told together."""
    return reason.cause, tuple((each.kind, each.name, each.change, each.where) for each in reason.differences)


class _Nothing:
    """A store in which nothing was ever recorded, as far as anybody asks it here."""

    def runs(self, **_: object) -> list[RunRecord]:
        return []


__all__ = ["Reasons"]
