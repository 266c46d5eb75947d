"""What the tests of the store port start from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.ports import Store
from penstock.testing.records import graph, provenance, run_record


class StoreCase:
    """A store to test. A subclass implements `make_store`."""

    def make_store(self, folder: Path) -> Store:
        """A store that is kept in, or named after, a folder of the test's own; every call opens the same one."""
        raise NotImplementedError

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        """An open store without runs."""
        store = self.make_store(tmp_path)
        yield store
        store.close()

    @pytest.fixture
    def run_id(self, store: Store) -> str:
        """A run in the store that has just been created."""
        store.create(run_record(), graph(), provenance())
        return "run-1"


__all__ = ["StoreCase"]
