from __future__ import annotations

from pathlib import Path

import pytest

from penstock.blobs.local import LocalBlobs
from penstock.values import Values


@pytest.fixture
def blobs(tmp_path: Path) -> LocalBlobs:
    return LocalBlobs(tmp_path / "blobs")


@pytest.fixture
def values(blobs: LocalBlobs, tmp_path: Path) -> Values:
    return Values(blobs, workspace=tmp_path / "workspace")


@pytest.fixture
def trip(values: Values):
    """A value after it was stored and loaded again."""

    def there_and_back(value: object, *, output: bool = False) -> object:
        return values.load(values.store(value, output=output)[0])

    return there_and_back


@pytest.fixture
def digest(values: Values):
    """The digest under which a value is stored."""
    return lambda value: values.store(value)[0].digest
