"""Whether versions of assets are as they would be made now: by their code, what they are made from, and their environment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from penstock.authoring.pipeline import Definition
from penstock.errors import PenstockError
from penstock.kernel import RunProgress
from penstock.kernel.state import NodeProgress
from penstock.model.asset import Materialization
from penstock.ports import Store
from penstock.runtime.assets.cells import AssetCell
from penstock.runtime.codes import Codes
from penstock.runtime.driving.ledger import Ledger
from penstock.runtime.driving.nodes import Nodes, Prepared
from penstock.runtime.explaining.account import Account, Comparison, account_of
from penstock.runtime.explaining.code import Version
from penstock.runtime.explaining.difference import Difference
from penstock.runtime.explaining.wording import named
from penstock.runtime.reading.past import Past
from penstock.values import Values


class Stale(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a version is not what would be made now."""

    #: in a sentence
    text: str
    #: assets of which there is another version than the one that it was made from
    upstream: tuple[str, ...] = ()
    #: in what else it differs, causes first
    differences: tuple[Difference, ...] = ()


class Staleness:
    """Compares versions with what would be made now. `definition` has a node for every cell that is asked about, made from
    what is stored; `codes` are identified."""

    def __init__(
        self,
        definition: Definition,
        codes: Codes,
        store: Store,
        values: Values,
        current: Mapping[AssetCell, Materialization],
    ) -> None:
        self._codes = codes
        self._store = store
        self._values = values
        #: the latest versions of all that the cells are made from
        self._current = current
        self._progress = RunProgress(definition.graph)
        self._nodes = Nodes(
            "",
            self._progress,
            codes.tasks,
            definition.parameters,
            values,
            Ledger(self._progress),
            definition.attached,
            codes.code_of,
        )
        self._comparison = Comparison()
        self._pasts: dict[str, Past | None] = {}

    def of(self, cells: Iterable[AssetCell], versions: Mapping[AssetCell, Materialization]) -> dict[AssetCell, Stale]:
        """Those of the cells whose version is not what would be made now, with why."""
        found = ((cell, self._stale(cell, versions[cell])) for cell in cells)
        return {cell: stale for cell, stale in found if stale is not None}

    def _stale(self, cell: AssetCell, version: Materialization) -> Stale | None:
        progress = self._progress.nodes[cell.id]
        template = self._nodes.template(progress)
        prepared = self._nodes.prepared(progress, template, -1)
        upstream = list(self._changed(version))
        if prepared.fingerprint is None or version.fingerprint is None:
            # what is never cached has no fingerprint: what it was made from can be compared, and its code
            differences = [
                each for each in self._differences(cell, progress, prepared, version) if each.kind != "input"
            ]
            if not upstream and not differences:
                return None
        elif prepared.fingerprint == version.fingerprint:
            return None
        else:
            differences = self._differences(cell, progress, prepared, version)
        return _told(version, upstream, differences)

    def _changed(self, version: Materialization) -> Iterator[tuple[str, int, int]]:
        """What the version was made from of which there is another one now: its name, the version then and now."""
        for each in version.upstream:
            now = self._current.get(AssetCell(each.asset, each.partition))
            if now is not None and now.digest != each.digest:
                yield AssetCell(each.asset, each.partition).id, each.version, now.version

    def _differences(
        self, cell: AssetCell, progress: NodeProgress, prepared: Prepared, version: Materialization
    ) -> list[Difference]:
        past = self._past(version.run_id)
        if past is None:
            return []
        try:
            before = account_of(past, (version.node, version.item))
            return self._comparison.differences(before, self._account(cell, progress, prepared))
        except (PenstockError, LookupError):
            return []

    def _past(self, run_id: str) -> Past | None:
        if run_id not in self._pasts:
            try:
                self._pasts[run_id] = Past(self._store, self._values, self._store.find(run_id))
            except PenstockError:
                # runs are removed, and versions outlive them
                self._pasts[run_id] = None
        return self._pasts[run_id]

    def _account(self, cell: AssetCell, progress: NodeProgress, prepared: Prepared) -> Account:
        template = self._nodes.template(progress)
        identity = self._codes.identities.get(progress.node.task)
        text_of = self._codes.texts.get
        read = self._nodes.fingerprints.read
        return Account(
            node=progress.node,
            name=cell.id,
            code=None if identity is None else Version(identity, text_of),
            environment=template.task.environment,
            files={file: read.get(file, b"") for file in progress.node.policy.caching.reads},
            inputs={**template.fixed, **prepared.inputs},
            values=self._values,
            store=self._store,
            classes={name: Version(each, text_of) for name, each in self._codes.classes.items()},
        )


def _told(
    version: Materialization, upstream: Sequence[tuple[str, int, int]], differences: Sequence[Difference]
) -> Stale:
    moved = {name.partition("@")[0] for name, _, _ in upstream}
    # an input of which another version is told of is not told of again
    inputs = [each for each in differences if each.kind == "input"]
    rest = [each for each in differences if each.kind != "input" or not upstream]
    told = [
        f"{name} is at version {now}, and it was made from {f'version {then}' if then else 'another'}"
        for name, then, now in upstream
    ]
    if rest:
        told.append(f"{named(rest)} changed since version {version.version}")
    if not told:
        what = (
            "it was made from something else than the latest version of what it is made from"
            if inputs
            else (
                f"its code, its environment or a setting changed since version {version.version}, of which no more is recorded"
            )
        )
        told.append(what)
    return Stale(text="; ".join(told), upstream=tuple(sorted(moved)), differences=tuple(rest))


def to_document(stale: Stale) -> dict[str, Any]:
    """Why, as JSON-able data."""
    return msgspec.to_builtins(stale)


__all__ = ["Stale", "Staleness", "to_document"]
