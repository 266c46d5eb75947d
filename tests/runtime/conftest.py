from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from graphs import Bench
from running import Project


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    project = Project(tmp_path)
    yield project
    project.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A store for graphs that are made by hand."""
    bench = Bench(tmp_path)
    yield bench
    bench.store.close()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project for pipelines of the test's own process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "state"))
    return tmp_path / "state"
