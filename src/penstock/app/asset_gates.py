"""Versions of assets of which a check has said that they are not as they should be."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from penstock.errors import NotFoundError
from penstock.model.asset import CheckResult, Materialization
from penstock.ports import Store

if TYPE_CHECKING:
    from penstock.model.asset import AssetSpec

#: results that are looked through, of one partition and of all of an asset
_OF_ONE, _OF_ALL = 200, 20_000


def not_passed(store: Store, asset: str, versions: Iterable[Materialization]) -> list[CheckResult]:
    """What the checks of versions of an asset, each of another partition, have found last and what has not passed."""
    by_key = {each.partition: each for each in versions}
    if not by_key:
        return []
    only = next(iter(by_key)) if len(by_key) == 1 else None
    latest: dict[tuple[str, str], CheckResult] = {}
    for result in store.catalog.checks(asset, only, limit=_OF_ALL if only is None else _OF_ONE):
        version = by_key.get(result.partition)
        if version is not None and result.at >= version.at:
            latest.setdefault((result.partition, result.check), result)
    return [each for each in latest.values() if not each.passed]


def holds_back(result: CheckResult) -> bool:
    """Whether what is made from a version that a check has not let pass is not to be made."""
    return result.blocking and result.severity == "error" and not result.passed


def check_passed(store: Store, asset: str, versions: Iterable[Materialization], spec: AssetSpec | None = None) -> None:
    """Raise NotFoundError for a version that did not pass a blocking check, and so is not to be taken as the latest."""
    versions = list(versions)
    if spec is not None and not any(check.blocking for check in spec.checks):
        return
    failed = next(filter(holds_back, not_passed(store, asset, versions)), None)
    if failed is None:
        return
    version = next(each for each in versions if each.partition == failed.partition)
    told = f" of the partition {failed.partition}" if failed.partition else ""
    raise NotFoundError(
        f"{asset} version {version.version}{told} did not pass its blocking check {failed.check}"
        f"{f': {failed.message}' if failed.message else ''}",
        remedy=f"Mend it, or the check, and make it again: penstock assets materialize {asset}. A version by its number can "
        f"be loaded all the same: load_asset({asset!r}, version={version.version}).",
    )


__all__ = ["check_passed", "holds_back", "not_passed"]
