"""Several processes that register in one registry at once.

Apart from the other tests of the registry, because what this module imports is imported by every racer.
"""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from penstock.ml import ModelRegistry


def register_all(folder: str, models: list[Any], barrier: Any) -> list[int]:
    barrier.wait()
    registry = ModelRegistry(folder)
    return [registry.register("number", model).version for model in models]


def raced(folder: Path, shares: list[list[Any]]) -> list[list[int]]:
    """Register in as many processes as there are shares, all at once. Returns the versions they were given."""
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(len(shares), mp_context=context) as pool:
        barrier = manager.Barrier(len(shares))
        racers = [pool.submit(register_all, str(folder), models, barrier) for models in shares]
        return [racer.result() for racer in racers]


def test_racing_processes_lose_no_model_and_leave_no_gap(tmp_path: Path) -> None:
    found = raced(tmp_path, [[f"model {racer}-{i}" for i in range(15)] for racer in range(4)])
    assert sorted(version for versions in found for version in versions) == list(range(1, 61))
    registry = ModelRegistry(tmp_path)
    kept = {registry.load("number", version.version) for version in registry.versions("number")}
    assert kept == {f"model {racer}-{i}" for racer in range(4) for i in range(15)}
    assert sorted(path.name for path in (tmp_path / "number").iterdir()) == sorted(map(str, range(1, 61)))


def test_racing_processes_register_the_same_model_once(tmp_path: Path) -> None:
    found = raced(tmp_path, [[f"model {i}" for i in range(15)] for _ in range(4)])
    assert found == [list(range(1, 16))] * 4
    assert len(ModelRegistry(tmp_path).versions("number")) == 15
