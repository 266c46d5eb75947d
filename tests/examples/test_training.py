"""The main example: its tasks as plain functions, and the whole of it as a user runs it."""

from __future__ import annotations

import dataclasses
import importlib
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from penstock.ml import Column, InvalidDataError, ModelRegistry

#: the long ring: the whole example, several times
pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "training"
TASKS = (
    *("ingest", "validate", "engineer_features", "split", "score", "pick_best"),
    *("train", "evaluate", "register", "refuse", "report"),
)
MODULES = ("pipeline", "cancer_report", "cancer_candidates")


@pytest.fixture(scope="module")
def example() -> Iterator[Any]:
    """The pipeline's module, imported from its folder like a user's own."""
    sys.path.insert(0, str(EXAMPLE))
    yield importlib.import_module("pipeline")
    sys.path.remove(str(EXAMPLE))
    for name in MODULES:
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def data(example: Any) -> pd.DataFrame:
    return example.ingest()


@pytest.fixture(scope="module")
def parts(example: Any, data: pd.DataFrame) -> Any:
    return example.split(example.engineer_features(data), 0.25, 7)


@pytest.fixture(scope="module")
def logistic(example: Any) -> Any:
    return example.Candidate("logistic", "logistic", {"C": 1.0})


@pytest.fixture(scope="module")
def quality(example: Any, parts: Any, logistic: Any) -> Any:
    return example.evaluate(example.train(logistic, parts.train, 7), parts.test)


def test_the_data_are_those_of_the_field(data: pd.DataFrame) -> None:
    assert data.shape == (569, 31)
    assert data["diagnosis"].value_counts().to_dict() == {"benign": 357, "malignant": 212}


def test_good_data_pass_as_they_are(example: Any, data: pd.DataFrame) -> None:
    checked = example.validate(data)
    pd.testing.assert_frame_equal(checked.data, data)
    assert (checked.summary.rows, checked.summary.missing) == (569, 0)


@pytest.mark.parametrize(
    ("column", "value", "problem"),
    [
        ("mean radius", -1.0, "below 0.01"),
        ("worst area", 1e6, "above 10000"),
        ("area error", np.nan, "has no value in 0.2% of its rows"),
        ("diagnosis", "unclear", "are none of 'benign', 'malignant'"),
    ],
)
def test_bad_data_stop_at_the_column(example: Any, data: pd.DataFrame, column: str, value: Any, problem: str) -> None:
    bad = data.copy()
    bad.loc[3, column] = value
    with pytest.raises(InvalidDataError, match=f"column '{column}' .*{re.escape(problem)}"):
        example.validate(bad)


def test_a_column_of_another_type_stops_too(example: Any, data: pd.DataFrame) -> None:
    with pytest.raises(InvalidDataError, match=r"column 'mean area' has dtype (str|object), not float"):
        example.validate(data.assign(**{"mean area": "large"}))


def test_features_of_a_row_depend_on_that_row_alone(example: Any, data: pd.DataFrame) -> None:
    features = example.engineer_features(data)
    assert list(features.columns[-4:]) == ["radius contrast", "texture contrast", "area contrast", "roundness"]
    assert np.isfinite(features.drop(columns="diagnosis").to_numpy(dtype=float)).all()
    pd.testing.assert_frame_equal(example.engineer_features(data[100:110]), features[100:110])


def test_the_split_keeps_every_row_once_and_the_balance(data: pd.DataFrame, parts: Any) -> None:
    assert sorted([*parts.train.index, *parts.test.index]) == list(data.index)
    assert len(parts.test) == 143
    for part in (parts.train, parts.test):
        assert (part["diagnosis"] == "malignant").mean() == pytest.approx(212 / 569, abs=0.01)


def test_the_candidates_are_of_several_kinds_and_all_learn(example: Any, parts: Any) -> None:
    assert len(example.CANDIDATES) >= 6
    assert len({candidate.algorithm for candidate in example.CANDIDATES}) >= 2
    assert len({candidate.name for candidate in example.CANDIDATES}) == len(example.CANDIDATES)
    scores = [example.score(candidate, parts.train, 3, 7) for candidate in example.CANDIDATES]
    assert all(score.mean > 0.95 for score in scores)


def test_tasks_are_deterministic(example: Any, parts: Any) -> None:
    forest = example.Candidate("forest", "forest", {"n_estimators": 5})
    assert example.score(forest, parts.train, 3, 7) == example.score(forest, parts.train, 3, 7)
    assert example.score(forest, parts.train, 3, 7) != example.score(forest, parts.train, 3, 8)


def test_the_best_score_wins_and_of_equals_the_first(example: Any) -> None:
    names = {"a": 0.8, "b": 0.9, "c": 0.9}
    scores = [example.Score(example.Candidate(name, "logistic", {}), mean, 0.0) for name, mean in names.items()]
    assert example.pick_best(scores).name == "b"


def test_the_model_is_judged_on_rows_it_has_not_seen(parts: Any, quality: Any) -> None:
    assert set(quality.metrics) == {"accuracy", "f1", "recall", "roc_auc"}
    assert list(quality.predictions.index) == list(parts.test.index)
    right = (quality.predictions["probability"] >= 0.5) == quality.predictions["malignant"]
    assert quality.metrics["accuracy"] == pytest.approx(right.mean())


def test_registering_again_adds_nothing(example: Any, parts: Any, logistic: Any, quality: Any, tmp_path: Path) -> None:
    model = example.train(logistic, parts.train, 7)
    outcomes = [example.register(model, quality.metrics, 0.9, str(tmp_path)) for _ in range(2)]
    assert outcomes[0] == outcomes[1]
    assert outcomes[0].registered
    (version,) = ModelRegistry(tmp_path).versions("breast-cancer")
    assert version.metrics == quality.metrics
    assert len(version.metadata["features"]) == 34
    loaded = ModelRegistry(tmp_path).load("breast-cancer")
    assert (
        loaded.predict_proba(parts.test.drop(columns="diagnosis"))
        == model.predict_proba(parts.test.drop(columns="diagnosis"))
    ).all()


def test_a_refusal_gives_the_reason(example: Any, quality: Any) -> None:
    outcome = example.refuse(quality.metrics, 0.999)
    assert not outcome.registered
    assert outcome.reasons == (f"accuracy is {quality.metrics['accuracy']:.4g}, less than 0.999",)


@pytest.mark.parametrize("registered", [True, False])
def test_the_report_is_one_file_with_everything_in_it(
    example: Any, data: pd.DataFrame, logistic: Any, quality: Any, registered: bool
) -> None:
    scores = [
        example.Score(logistic, 0.9912, 0.01),
        example.Score(dataclasses.replace(logistic, name="<other>"), 0.98, 0.02),
    ]
    outcome = example.Outcome(registered, ("accuracy is what it is",), "breast-cancer version 1 in registry")
    summary = example.validate(data).summary
    page = example.report(summary, scores, logistic, quality, outcome).read_text(encoding="utf-8")
    assert ("The model is registered" in page) is registered
    assert ("The model is not registered" in page) is not registered
    assert "Accuracy is what it is." in page
    assert "data:image/png;base64," in page
    assert not re.search(r'(src|href)=(?!"?data:)', page)
    assert "&lt;other&gt;" in page
    assert "0.9912" in page
    assert "569" in page


class Runs:
    """Four runs in one project, one after the other."""

    def __init__(self, training: Any, folder: Path) -> None:
        self.registry = folder / "registry"
        self.home = folder / ".penstock"
        training = training.options(home=self.home)
        self.first = training.run(registry=str(self.registry))
        self.second = training.run(registry=str(self.registry))
        self.strict = training.run(registry=str(self.registry), threshold=0.999)
        self.versions = ModelRegistry(self.registry).versions("breast-cancer")
        shutil.rmtree(self.registry)
        self.again = training.run(registry=str(self.registry))


@pytest.fixture(scope="module")
def runs(example: Any, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(example.training, tmp_path_factory.mktemp("project"))


def states(run: Any) -> dict[str, str]:
    """Node -> its state; the items of the fan-out, which must be in one state, count as one."""
    found: dict[str, set[str]] = {}
    for task in run.document["tasks"]:
        found.setdefault(task["id"].partition("[")[0], set()).add(task["state"])
    assert all(len(several) == 1 for several in found.values())
    return {node: state for node, (state,) in found.items()}


def test_the_first_run_does_everything_and_registers(runs: Runs) -> None:
    assert runs.first.state == "succeeded"
    assert states(runs.first) == dict.fromkeys(TASKS, "succeeded") | {"refuse": "skipped"}
    assert len(runs.versions) == 1
    assert runs.versions[0].run_id == runs.first.run_id
    assert runs.first.metrics["accuracy"] == runs.versions[0].metrics["accuracy"] >= 0.9


def test_the_second_run_only_looks_into_the_registry(runs: Runs) -> None:
    assert states(runs.second) == dict.fromkeys(TASKS, "cached") | {"register": "succeeded", "refuse": "skipped"}


def test_another_threshold_takes_the_other_branch(runs: Runs) -> None:
    assert runs.strict.state == "succeeded"
    changed = {"register": "skipped", "refuse": "succeeded", "report": "succeeded"}
    assert states(runs.strict) == dict.fromkeys(TASKS, "cached") | changed
    page = runs.strict.result.report.read_text(encoding="utf-8")
    assert "The model is not registered" in page
    assert "less than 0.999" in page


def test_a_deleted_version_comes_back(runs: Runs) -> None:
    assert states(runs.again)["register"] == "succeeded"
    (version,) = ModelRegistry(runs.registry).versions("breast-cancer")
    assert version.digest == runs.versions[0].digest


def test_a_stricter_rule_is_not_answered_from_the_cache(
    example: Any, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(example.RULES, "worst perimeter", Column(dtype="float", maximum=200))
    run = example.training.options(home=runs.home, executor="inline").run(registry=str(runs.registry))
    assert run.state == "failed"
    assert run.task("ingest").state == "cached"
    assert "column 'worst perimeter' has" in (run.task("validate").error or "")
    assert run.task("split").state == "upstream_failed"
