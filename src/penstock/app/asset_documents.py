"""Assets as JSON-able data: what the commands print, and what they draw."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from penstock.app.asset_states import AssetStates, state_of
from penstock.app.assets import Assets
from penstock.errors import NotFoundError, PenstockError
from penstock.model.asset import AssetSpec, CheckResult, Materialization, PartitionState
from penstock.model.graph import from_json
from penstock.model.run import timestamp
from penstock.model.value import Artifact
from penstock.ports import Store
from penstock.runtime.assets.freshness import told
from penstock.values import Values

#: partitions that are listed of an asset
_LISTED = 50


def row(assets: Assets, states: AssetStates, name: str) -> dict[str, Any]:
    """An asset in short."""
    spec = assets.graph[name]
    newest = states.newest(name)
    state = state_of(states, name, spec)
    return {
        "name": name,
        "group": spec.group,
        "kind": "external" if spec.external else "partitioned" if spec.partitions is not None else "plain",
        "state": state,
        "late": states.late(name) is not None,
        "not_passed": states.not_passed(name),
        "trouble": states.trouble(name),
        "may_become_stale": states.above(name) if state == "fresh" and not spec.external else [],
        "latest": None if newest is None else _in_short(newest),
        "partitions": None if spec.partitions is None else counts(states, name),
        "owners": list(spec.owners),
        "tags": list(spec.tags),
        "description": spec.description,
    }


def broken_row(name: str, states: AssetStates) -> dict[str, Any]:
    """An asset that is registered, and of which the code does not load."""
    newest = states.newest(name)
    return {
        "name": name,
        "group": "",
        "kind": "broken",
        "state": "broken",
        "late": False,
        "not_passed": [],
        "trouble": "",
        "may_become_stale": [],
        "latest": None if newest is None else _in_short(newest),
        "partitions": None,
        "owners": [],
        "tags": [],
        "description": "",
    }


def counts(states: AssetStates, name: str) -> dict[str, int]:
    """How many partitions of an asset are in which state."""
    known, keys = states.states(name), states.keys(name)
    found = {state.value: 0 for state in PartitionState}
    for key in keys:
        found[known.get(key, PartitionState.MISSING).value] += 1
    return {"total": len(keys), **found}


def _in_short(version: Materialization) -> dict[str, Any]:
    return {
        "version": version.version,
        "partition": version.partition,
        "at": timestamp(version.at),
        "run_id": version.run_id,
    }


def version_document(
    version: Materialization, store: Store | None = None, values: Values | None = None
) -> dict[str, Any]:
    """A version of an asset; with a store, also what was recorded to show of its value, and with `values`, small values
    themselves."""
    value = version.value
    document = {
        "asset": version.asset,
        **_in_short(version),
        "node": version.node,
        "digest": version.digest.hex(),
        "type": value.type if isinstance(value, Artifact) else None,
        "size": value.size if isinstance(value, Artifact) else None,
        "cached": version.cached,
        "metadata": version.metadata,
        "upstream": [
            {"asset": each.asset, "partition": each.partition, "version": each.version, "digest": each.digest.hex()}
            for each in version.upstream
        ],
    }
    if store is None:
        return document
    found = store.descriptions([version.digest]).get(version.digest)
    preview = None if found is None else found.preview
    if preview is None and values is not None and isinstance(value, Artifact) and value.codec == "data":
        # nothing was recorded, since it is small enough to be shown as it is
        preview = values.preview(value) if value.payload is not None else None
    return {**document, "preview": preview}


def check_document(result: CheckResult) -> dict[str, Any]:
    return {**msgspec.structs.asdict(result), "at": timestamp(result.at)}


def in_full(assets: Assets, states: AssetStates, store: Store | None, name: str, limit: int = 10) -> dict[str, Any]:
    """All that there is to say of an asset."""
    spec = assets.graph[name]
    late = states.late(name)
    stale = states.stale([name])
    versions = [] if store is None else store.catalog.history(name, limit=limit)
    return {
        **row(assets, states, name),
        "metadata": spec.metadata,
        "location": None if spec.location is None else str(spec.location),
        "inputs": [msgspec.to_builtins(each) for each in spec.inputs],
        "consumers": list(assets.graph.downstream[name]),
        "stale": [{"partition": cell.partition, **msgspec.to_builtins(why)} for cell, why in stale.items()],
        "freshness": None
        if spec.freshness is None
        else {"rule": told(spec.freshness), "late_since": timestamp(late) if late else None, "late": late is not None},
        "automation": None if spec.automation is None else msgspec.to_builtins(spec.automation),
        "checks": _checks(spec, store),
        "versions": [version_document(each, store) for each in versions],
        "keys": [] if spec.partitions is None else _keys(states, name),
    }


def _checks(spec: AssetSpec, store: Store | None) -> list[dict[str, Any]]:
    """The checks of an asset, each with what it has found last."""
    results = [] if store is None or not spec.checks else store.catalog.checks(spec.name, limit=20 * len(spec.checks))
    latest: dict[str, CheckResult] = {}
    for result in results:
        latest.setdefault(result.check, result)
    return [
        {
            **msgspec.to_builtins(check),
            "latest": check_document(latest[check.name]) if check.name in latest else None,
        }
        for check in spec.checks
    ]


def _keys(states: AssetStates, name: str) -> list[dict[str, Any]]:
    """The last of the partitions, with their states."""
    known, made = states.states(name), states.latest(name)
    return [
        {
            "partition": key,
            "state": known.get(key, PartitionState.MISSING).value,
            "version": made[key].version if key in made else None,
        }
        for key in states.keys(name)[-_LISTED:]
    ]


# Where versions come from, and what was made from them.


def lineage(assets: Iterable[str], store: Store, version: Materialization) -> dict[str, Any]:
    """A version with all that it was made from and all that was made from it, as far as it is recorded: of each version, its
    run with its parameters, and its code. `assets` are the names of those that could have been made from it."""
    up = _ancestry(store, version)
    down = _descent(store, assets, version)
    every = [*up, version, *down]
    return {
        "asset": version.asset,
        "partition": version.partition,
        "version": version.version,
        "versions": [{**version_document(each), **_origin(store, each)} for each in every],
        "upstream": [_key(each) for each in up],
        "downstream": [_key(each) for each in down],
    }


def _key(version: Materialization) -> dict[str, Any]:
    return {"asset": version.asset, "partition": version.partition, "version": version.version}


def _ancestry(store: Store, version: Materialization) -> list[Materialization]:
    """The versions that one was made from, near and far, the farthest first."""
    found: dict[tuple[str, str, int], Materialization] = {}

    def visit(child: Materialization) -> None:
        for each in child.upstream:
            key = each.asset, each.partition, each.version
            if key in found:
                continue
            there = version_of(store, each.asset, each.partition, each.version)
            if there is not None:
                visit(there)
                found[key] = there

    visit(version)
    return list(found.values())


def _descent(store: Store, assets: Iterable[str], version: Materialization) -> list[Materialization]:
    """The versions that were made from one, near and far."""
    known = {(version.asset, version.partition, version.version)}
    found: list[Materialization] = []
    # in the order of the assets, every one comes behind those that it is made from
    for name in assets:
        for each in reversed(store.catalog.history(name, limit=1000)):
            if any((up.asset, up.partition, up.version) in known for up in each.upstream):
                known.add((each.asset, each.partition, each.version))
                found.append(each)
    return found


def version_of(store: Store, asset: str, partition: str, version: int | None) -> Materialization | None:
    """A version of an asset by its number, or the latest; None where it is not recorded."""
    latest = store.catalog.latest_of(asset, [partition]).get(partition)
    if version is None or (latest is not None and latest.version == version):
        return latest
    versions = store.catalog.history(asset, partition, limit=1_000_000)
    return next((each for each in versions if each.version == version), None)


def _origin(store: Store, version: Materialization) -> dict[str, Any]:
    """The run that made a version, with its parameters, and the code; None for what is no longer recorded."""
    try:
        run = store.find(version.run_id) if version.run_id else None
    except NotFoundError:
        run = None
    if run is None:
        return {"run": None, "code": None}
    return {
        "run": {"run_id": run.run_id, "pipeline": run.pipeline, "parameters": run.parameters, "version": run.version},
        "code": _code(store, version),
    }


def _code(store: Store, version: Materialization) -> dict[str, Any] | None:
    """What the code was that made a version."""
    try:
        graph = from_json(store.graph(version.run_id))
    except PenstockError:
        return None
    node = next((node for node in graph.nodes if node.id == version.node), None)
    digest = None if node is None else store.basis(version.run_id).tasks.get(node.task)
    if digest is None:
        return None
    identity = store.identities([digest]).get(digest)
    return {"digest": digest.hex(), "function": "" if identity is None else identity.function}


def reasons(stale: Mapping[Any, Any]) -> Sequence[dict[str, Any]]:
    """Why cells are stale."""
    return [
        {"asset": cell.asset, "partition": cell.partition, **msgspec.to_builtins(why)} for cell, why in stale.items()
    ]


__all__ = [
    "broken_row",
    "check_document",
    "counts",
    "in_full",
    "lineage",
    "reasons",
    "row",
    "version_document",
    "version_of",
]
