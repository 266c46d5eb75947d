from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from dialect_peers import python_of

Peer = Callable[[str], Path]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave whatever asks a real system to the long ring."""
    for item in items:
        if Path(__file__).parent in item.path.parents and "peer" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def peer() -> Peer:
    """`peer("airflow")` is the Python of an environment in which the real Airflow is installed, which is made where it
    is not there yet. The test is skipped where there is no uv, or no index to install from. `PINS` says what there is."""
    return python_of


#: pipelines in modules whose names other tests use as well
CORPUS = Path(__file__).with_name("corpus")
#: a dialect of another package, with the entry point by which it is found
INSTALLED = Path(__file__).with_name("installed")


@pytest.fixture(autouse=True)
def forgotten(tmp_path_factory: pytest.TempPathFactory) -> Generator[None]:
    """What a test loads from files of its own is forgotten afterwards, as are the folders that it was found in."""
    modules, path = set(sys.modules), list(sys.path)
    yield
    sys.path[:] = path
    places = (str(CORPUS), str(INSTALLED), str(tmp_path_factory.getbasetemp()))
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(places):
            del sys.modules[name]


@pytest.fixture
def toyflow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Generator[Path]:
    """A folder to work in, where the dialect `toyflow` of another package is installed."""
    from penstock.dialects import recognition

    finders = list(sys.meta_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(INSTALLED), *sys.path])
    monkeypatch.setenv("PYTHONPATH", str(INSTALLED))
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / ".penstock"))
    importlib.invalidate_caches()
    recognition.dialects.cache_clear()
    yield tmp_path
    recognition.dialects.cache_clear()
    sys.meta_path[:] = finders
