"""External assets observed: their functions asked, and what is new recorded."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from penstock.app.assets import Assets
from penstock.authoring.assets.external import ExternalAsset, observations
from penstock.errors import DefinitionError
from penstock.fingerprint.framing import digest
from penstock.model.asset import Materialization
from penstock.model.fault import fault_of
from penstock.model.occurrence import OWN_SOURCE, Occurrence
from penstock.ports import Store
from penstock.runtime.assets.graph import unknown_asset


def observed(assets: Assets, store: Store, names: Iterable[str] = ()) -> list[dict[str, Any]]:
    """Observe external assets (those that are named, or all that can be), and record the versions that are new. Returns what
    became of each, as data: one whose function raises keeps no other from being observed.

    Raises NotFoundError for an asset that is not there, DefinitionError for one that cannot be observed.
    """
    known = observations(assets.by_name)
    wanted = list(names) or list(known)
    for name in wanted:
        if name not in assets.by_name:
            raise unknown_asset(name, known)
        if name not in known:
            raise DefinitionError(
                f"{name} cannot be observed: it {'has no function for that' if assets.graph[name].external else 'is made here'}",
                where=str(assets.graph[name].location),
                remedy="Observe an external_asset(name, observe=...).",
            )
    return [_observed(known[name], store) for name in wanted]


def _observed(asset: ExternalAsset, store: Store) -> dict[str, Any]:
    document: dict[str, Any] = {
        "asset": asset.name,
        "state": "failed",
        "version": None,
        "data_version": None,
        "error": None,
    }
    try:
        found = asset.observe()
    except Exception as error:
        fault = fault_of(error)
        return {**document, "error": f"{fault.type}: {fault.message}"}
    if found is None:
        return {**document, "state": "nothing"}
    at = time.time()
    version = Materialization(
        asset=asset.name,
        at=at,
        run_id="",
        node="",
        digest=digest("observed", found.version.encode()),
        metadata={**found.metadata, "data_version": found.version},
    )
    new = store.catalog.observe([version])
    for each in new:
        store.agenda.emit([_occurrence(each)])
    latest = store.catalog.latest_of(asset.name, [""])[""]
    return {
        **document,
        "state": "new" if new else "same",
        "version": latest.version,
        "data_version": found.version,
        "metadata": found.metadata,
    }


def _occurrence(version: Materialization) -> Occurrence:
    return Occurrence(
        id=f"observed/{version.asset}/{version.version}",
        source=f"{OWN_SOURCE}/asset/{version.asset}",
        type="asset.materialized",
        at=version.at,
        subject=version.asset,
        data={
            "asset": version.asset,
            "partition": "",
            "version": version.version,
            "run_id": "",
            "digest": version.digest.hex(),
        },
    )


__all__ = ["observed"]
