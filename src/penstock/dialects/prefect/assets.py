"""Prefect's assets: a task that makes one is a task."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from penstock.dialects.prefect.artifacts import log_artifact
from penstock.dialects.prefect.event_patterns import HOLDER
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
    """Prefect's decorator: make a function a task that makes assets, which is an event for each of them."""
    from penstock.dialects.prefect.tasks import task

    keys = tuple(str(getattr(each, "key", each)) for each in assets)
    told = {
        name: [*_listed(options.get(name)), Told(keys, end)]
        for name, end in (("on_completion", "succeeded"), ("on_failure", "failed"))
    }

    def decorate(function: Callable[..., Any]) -> Any:
        found = task(**{**options, **told})(function)
        named = ", ".join(map(repr, keys))
        found.ignored += (
            note(f"the task {found.name!r}: materialize({named})", "lineage goes by what tasks are given"),
        )
        return found

    return decorate


class Told:
    """Tells the world that assets were made, or that they were not; what is taken from the cache was made before."""

    def __init__(self, keys: tuple[str, ...], end: str) -> None:
        self._keys = keys
        self._end = end
        self.__name__ = "materialization"

    def __call__(self, _: Any, run: Any, __: Any) -> None:
        # events of the user's own are a part of the public face, which stands above the dialects
        emit = importlib.import_module("penstock").emit
        for key in self._keys if run.run_count else ():
            emit(f"prefect.asset.materialization.{self._end}", {HOLDER: {"run_id": run.flow_run_id}}, subject=key)


def _listed(given: Any) -> list[Any]:
    return list(given) if isinstance(given, (list, tuple)) else [given] * (given is not None)  # pyright: ignore[reportUnknownArgumentType]


def add_asset_metadata(asset: Any, metadata: Any) -> None:
    """Log something that a task says of an asset."""
    log_artifact(f"asset {getattr(asset, 'key', asset)}", metadata)


__all__ = ["Asset", "AssetProperties", "add_asset_metadata", "materialize"]
