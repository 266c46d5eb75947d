"""Fixtures for pytest: import one into a `conftest.py` to have it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from penstock.testing.postgres import Cluster, UnavailableError


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[Cluster]:
    """A PostgreSQL server for all tests; those that need it are skipped where none is installed."""
    try:
        with Cluster.start() as cluster:
            yield cluster
    except UnavailableError as error:
        pytest.skip(f"{error.what} {error.remedy or ''}")


__all__ = ["postgres_cluster"]
