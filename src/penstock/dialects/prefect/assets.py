"""Prefect's assets: a task that makes one is a task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from penstock.dialects.prefect.artifacts import log_artifact
from penstock.dialects.prefect.noting import note


class Asset:
    """Something that tasks make, by its address."""

    def __init__(self, key: str, properties: Any = None) -> None:
        self.key = key
        self.properties = properties

    def add_metadata(self, metadata: Any) -> None:
        """Say something of it, in a task that makes it: it is logged."""
        add_asset_metadata(self, metadata)

    def __repr__(self) -> str:
        return f"Asset({self.key!r})"


class AssetProperties:
    """What people are told of an asset."""

    def __init__(self, **properties: Any) -> None:
        self.__dict__.update(properties)


def materialize(*assets: Any, by: str | None = None, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Prefect's decorator: make a function a task that makes assets."""
    from penstock.dialects.prefect.tasks import task

    def decorate(function: Callable[..., Any]) -> Any:
        found = task(**options)(function)
        told = ", ".join(repr(getattr(each, "key", each)) for each in assets)
        found.ignored += (
            note(f"the task {found.name!r}: materialize({told})", "lineage goes by what tasks are given"),
        )
        return found

    return decorate


def add_asset_metadata(asset: Any, metadata: Any) -> None:
    """Log something that a task says of an asset."""
    log_artifact(f"asset {getattr(asset, 'key', asset)}", metadata)


__all__ = ["Asset", "AssetProperties", "add_asset_metadata", "materialize"]
