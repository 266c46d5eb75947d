"""What is written for Airflow and Prefect runs there, and gives what it gives here."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.app import Pipeline
from penstock.dialects import Export
from penstock.dialects.recognition import named
from penstock.registering.loading import load_module, pipelines_in

FOLDER = Path(__file__).with_name("written")
#: each takes a second or more there
THERE = {
    "airflow": (
        *("branches", "dicts", "exits_whole", "fallbacks", "joined", "loop_of_pipelines", "named_items"),
        *("nested_maps", "parts", "products", "scoped", "skipping", "sub_pipelines", "switched", "zipped"),
        *("environments", "mapped_records"),
    ),
    "prefect": (
        *("bodies", "branches", "fallbacks", "joined", "loops", "named_items", "parts", "partials", "products"),
        *("scoped", "skipping"),
    ),
}


def shapes() -> dict[str, Pipeline[..., Any]]:
    found = pipelines_in(load_module(str(FOLDER / "shapes.py")))
    return {name: each for name, each in found.items() if not any(port.required for port in each.signature.parameters)}


def write_all(dialect: str, names: list[str], folder: Path) -> None:
    write = named(dialect).write
    assert write is not None
    for name in names:
        pipeline = shapes()[name]
        definition = pipeline.define(pipeline.signature.resolve(given={}))
        (folder / f"{name}.py").write_text(write(Export(definition)).text)


def run_there(python: Path, dialect: str, folder: Path, tmp_path: Path) -> dict[str, Any]:
    results = tmp_path / "results.json"
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [python, FOLDER / f"{dialect}_runner.py", folder, results],
        # as if its environment were activated: Airflow's virtualenv tasks look for python
        env={**kept, "PATH": os.pathsep.join((str(python.parent), os.environ["PATH"]))},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert results.exists(), done.stderr[-3000:]
    return json.loads(results.read_text())


def run_here(name: str, tmp_path: Path) -> Any:
    run = shapes()[name].options(executor="inline", progress=False, logs=False, home=tmp_path / "home").run()
    outputs = json.loads(json.dumps(run.outputs))
    return outputs["result"] if set(outputs) == {"result"} else outputs


def both(dialect: str, python: Path, tmp_path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What came of pipelines there, and their outputs here."""
    names = list(THERE[dialect])
    folder = tmp_path / "files"
    folder.mkdir()
    write_all(dialect, names, folder)
    found = run_there(python, dialect, folder, tmp_path)
    assert {name: each["error"] for name, each in found.items() if "error" in each} == {}
    return found, {name: run_here(name, tmp_path) for name in names}


@pytest.mark.filterwarnings("ignore")
def test_what_is_written_for_airflow_gives_there_what_it_gives_here(
    peer: Callable[[str], Path], tmp_path: Path
) -> None:
    found, here = both("airflow", peer("airflow"), tmp_path)
    assert {name: each["outputs"] for name, each in found.items()} == here
    assert {each["state"] for each in found.values()} == {"success"}
    states = found["branches"]["states"]
    taken = {name: states[name] for name in ("say", "say-2", "shout", "chosen")}
    assert taken == {"say": "skipped", "say-2": "success", "shout": "skipped", "chosen": "success"}


@pytest.mark.filterwarnings("ignore")
def test_what_is_written_for_prefect_gives_there_what_it_gives_here(
    peer: Callable[[str], Path], tmp_path: Path
) -> None:
    found, here = both("prefect", peer("prefect"), tmp_path)
    assert {name: each["outputs"] for name, each in found.items()} == here
