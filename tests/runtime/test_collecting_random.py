"""The collection over random projects: all that is still recorded loads, and everything else is gone."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from collected import Yard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.model.run import RunState
from penstock.model.value import Argument, Artifact
from penstock.runtime.collecting.retention import PINNED, retention
from penstock.runtime.collecting.selection import outdated
from penstock.runtime.reading.origins import logged_in
from penstock.testing.records import fingerprint

#: how many values, results and nodes the runs of a project share
_VALUES, _RESULTS, _NODES = 6, 4, 3

#: what a value is: plain data that stays in the row or does not, an array, a frame, a file, a folder, or one of others
leaves = st.sampled_from(["small", "text", "array", "frame", "file", "folder"]).flatmap(
    lambda kind: st.tuples(st.just(kind), st.integers(0, 3))
)
specs = st.recursive(leaves, lambda inner: st.lists(inner, min_size=1, max_size=3), max_leaves=6)

nodes = st.integers(0, _NODES - 1)
runs = st.fixed_dictionaries(
    {
        "days": st.integers(0, 60),
        "pipeline": st.sampled_from("ab"),
        "state": st.sampled_from([RunState.SUCCEEDED, RunState.FAILED, RunState.PAUSED]),
        "tags": st.lists(st.sampled_from([PINNED, "release"]), max_size=1),
        "outputs": st.dictionaries(nodes, st.integers(0, _VALUES - 1)),
        # node -> the result that it has made, or taken from the cache
        "results": st.dictionaries(nodes, st.integers(0, _RESULTS - 1), max_size=2),
        "logs": st.dictionaries(nodes, st.integers(0, _VALUES - 1), max_size=1),
        "parameters": st.lists(st.integers(0, _VALUES - 1), max_size=1),
    }
)
retentions = st.fixed_dictionaries(
    {"grace": st.just(0), "cache_of_removed": st.booleans(), "cache_older_than": st.sampled_from(["5d", "40d"])},
    optional={
        "keep": st.integers(0, 3),
        "older_than": st.sampled_from(["0", "10d", "30d"]),
        "keep_tags": st.just(["release"]),
    },
)


def made(spec: Any, folder: Path) -> Any:
    """The value of a spec."""
    if isinstance(spec, list):
        return [made(each, folder) for each in spec]
    kind, seed = spec
    path = folder / f"{kind}-{seed}"
    match kind:
        case "small":
            return seed
        case "text":
            return f"text {seed} " * 1000
        case "array":
            return np.full(1000, float(seed))
        case "frame":
            return pd.DataFrame({"a": range(1000), "b": seed})
        case "file":
            path.write_text(f"file {seed} " * 1000)
        case _:
            path.mkdir(exist_ok=True)
            for number in range(seed):
                (path / f"{number}.txt").write_text(f"folder {seed} " * 500 * number)
    return path


def content(value: Any) -> Any:
    """What a value is, so that two can be compared."""
    if isinstance(value, list):
        return [content(each) for each in value]
    if isinstance(value, Path):
        files = sorted(path for path in value.rglob("*") if path.is_file()) if value.is_dir() else [value]
        return [(path.relative_to(value.parent), path.read_text()) for path in files]
    if isinstance(value, (np.ndarray, pd.DataFrame)):
        return type(value).__name__, value.shape, value.to_csv() if isinstance(value, pd.DataFrame) else value.tolist()
    return value


class Random:
    """A project with random runs in it."""

    def __init__(self, folder: Path, values: list[Any], drawn: list[dict[str, Any]]) -> None:
        self.yard = Yard(folder)
        originals = [made(spec, folder) for spec in values]
        self.contents = [content(original) for original in originals]
        self.artifacts = [self.yard.put(original) for original in originals]
        known: dict[int, Argument] = {}
        for number, run in sorted(enumerate(drawn), key=lambda each: -each[1]["days"]):
            self._record(f"run-{number}", run, known)

    def _record(self, run_id: str, run: dict[str, Any], known: dict[int, Argument]) -> None:
        outputs: dict[str, Argument] = {}
        results: dict[str, bytes] = {}
        cached: dict[str, bytes] = {}
        for node, value in run["outputs"].items():
            result = run["results"].get(node)
            name = f"n{node}"
            outputs[name] = self.artifacts[value]
            if result is not None:
                outputs[name] = known.get(result, outputs[name])
                (cached if result in known else results)[name] = fingerprint(result)
                known[result] = outputs[name]
        self.yard.record(
            run_id,
            outputs,
            days=run["days"],
            pipeline=run["pipeline"],
            state=run["state"],
            results=results,
            cached=cached,
            logs={f"n{node}": self.artifacts[value] for node, value in run["logs"].items()},
            parameters={f"p{value}": self.artifacts[value] for value in run["parameters"]},
        )
        self.yard.store.tag(run_id, add=run["tags"])

    def shown(self, run_id: str) -> Any:
        """What a run shows of what was logged."""
        logged = logged_in(self.yard.store, run_id, self.yard.store.attempts(run_id))
        return sorted(map(repr, logged.metrics)), sorted(map(repr, logged.attachments))

    def check_all_is_there(self) -> None:
        """Everything recorded loads, and is what it was."""
        values = self.yard.new_values()
        recorded = list(self.yard.store.arguments())
        for argument in recorded:
            assert isinstance(argument, Artifact)
            assert content(values.load(argument)) == self.contents[self.artifacts.index(argument)]

    def check_nothing_else_is(self) -> None:
        recorded = list(self.yard.store.arguments())
        assert self.yard.addresses == self.yard.needed(recorded)
        left = [path for path in self.yard.project.blobs.rglob("*") if path.is_file()]
        assert len(left) == len(self.yard.addresses)


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.data_too_large, HealthCheck.too_slow])
@given(
    values=st.lists(specs, min_size=_VALUES, max_size=_VALUES),
    drawn=st.lists(runs, min_size=1, max_size=6),
    kept=retentions,
    again=retentions,
)
def test_what_is_recorded_loads_and_everything_else_is_gone(
    values: list[Any], drawn: list[dict[str, Any]], kept: dict[str, Any], again: dict[str, Any]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        project = Random(Path(folder), values, drawn)
        yard = project.yard
        # a folder is laid out for everything that has files
        project.check_all_is_there()
        for each in (kept, again):
            shown = {run_id: project.shown(run_id) for run_id in yard.runs}
            before, tags = yard.store.runs(limit=100), yard.store.tags(yard.runs)
            foreseen = yard.collect(retention(each), dry=True)
            collected = yard.collect(retention(each))
            foreseen.dry = False
            assert collected == foreseen
            going = {run.run_id for run in outdated(before, tags, retention(each), time.time())}
            assert {run.run_id for run in before} - yard.runs <= going
            assert {run_id: project.shown(run_id) for run_id in yard.runs} == {
                run_id: shown[run_id] for run_id in yard.runs
            }
            project.check_nothing_else_is()
            project.check_all_is_there()
            if not yard.runs:
                break
        yard.store.close()
