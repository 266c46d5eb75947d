"""A file with assets that can be edited, and what is recorded of them."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from penstock.app import Services
from penstock.app.asset_states import AssetStates
from penstock.app.assets import Assets, assets_in, materialize
from penstock.model.asset import CheckResult, Materialization
from penstock.model.occurrence import Occurrence
from penstock.registering.loading import load_module
from penstock.runtime.run import Run

SALES = """
    from pathlib import Path

    from penstock import CheckOutcome, asset, current, external_asset

    orders = external_asset("orders", observe=Path("orders.txt").read_text)

    @asset(group="raw", owners=["ada"])
    def raw() -> list:
        return [1, 2, 3]

    @asset(group="features", tags=["daily"], deps=["orders"])
    def features(raw: list, factor: int = 2) -> list:
        current().log_metric("rows", len(raw))
        return [each * factor for each in raw]

    @features.check(blocking=True)
    def positive(features):
        return CheckOutcome(all(each > 0 for each in features), "all of them", {"count": len(features)})

    @features.check(severity="warn")
    def long(features):
        return len(features) > 10

    @asset
    def report(features: list) -> int:
        return sum(features)
"""


class AssetProject:
    """A folder with `things.py`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stamp = 1_700_000_000
        (folder / "orders.txt").write_text("1")
        self.write(SALES)

    @property
    def file(self) -> Path:
        return self.folder / "things.py"

    def write(self, source: str) -> None:
        """Put another text into the file, at another second."""
        self.file.write_text(textwrap.dedent(source))
        self._stamp += 1
        os.utime(self.file, (self._stamp, self._stamp))

    def edit(self, before: str, after: str) -> None:
        text = self.file.read_text()
        assert before in text
        self.write(text.replace(before, after))

    @property
    def assets(self) -> Assets:
        return Assets(assets_in(load_module(str(self.file))), [str(self.file)])

    def make(self, *selection: str, **options: Any) -> Run:
        return materialize(*selection, assets=assets_in(load_module(str(self.file))), executor="inline", **options)

    def read(self, look: Callable[[Any], Any]) -> Any:
        with Services().existing_store() as store:
            return look(store)

    def versions(self, name: str) -> list[Materialization]:
        """Newest first."""
        return self.read(lambda store: store.catalog.history(name))

    def checks(self, name: str) -> list[CheckResult]:
        return self.read(lambda store: store.catalog.checks(name))

    def occurrences(self) -> list[Occurrence]:
        return [each for _, each in self.read(lambda store: store.agenda.occurrences(type="asset.materialized"))]

    def stale(self) -> dict[str, str]:
        """Cells that are stale, and why."""

        def look(store: Any) -> dict[str, str]:
            found = AssetStates(self.assets, store).stale()
            return {cell.id: stale.text for cell, stale in found.items()}

        return self.read(look)


def states(run: Run) -> dict[str, str]:
    return {task.id: task.state for task in run.tasks}
