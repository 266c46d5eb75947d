"""Train, judge and register a classifier that tells malignant from benign breast tumours.

The data are the 569 cases that scikit-learn ships. Run it with `penstock run pipeline.py`, or `python pipeline.py`.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import accuracy_score, f1_score, recall_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.pipeline import Pipeline

import cancer_report
from cancer_candidates import CANDIDATES, Candidate, Score, new_model
from penstock import choose, current, otherwise, pipeline, task, unmapped, when
from penstock.ml import Column, ModelRegistry, ValidationReport, check_frame, gate

TARGET = "diagnosis"

#: measure -> the range in which its mean, its error and its worst value must lie
RANGES = {
    "radius": (0.01, 100),
    "texture": (0.01, 100),
    "perimeter": (0.1, 1_000),
    "area": (1, 10_000),
} | dict.fromkeys(("smoothness", "compactness", "concavity", "concave points", "symmetry", "fractal dimension"), (0, 2))
RULES = {
    column: Column(dtype="float", minimum=least, maximum=most)
    for measure, (least, most) in RANGES.items()
    for column in (f"mean {measure}", f"{measure} error", f"worst {measure}")
} | {TARGET: Column(dtype="text", allowed=("benign", "malignant"), least_share=0.2)}


@dataclass(frozen=True)
class Checked:
    """Data that keep to the rules, and what the check counted."""

    data: pd.DataFrame
    summary: ValidationReport


@dataclass(frozen=True)
class Split:
    """The rows to learn from and the rows to judge by."""

    train: pd.DataFrame
    test: pd.DataFrame


@dataclass(frozen=True)
class Quality:
    """How the model does on rows it has not seen; `predictions` has the truth and the probability, row by row."""

    metrics: dict[str, float]
    predictions: pd.DataFrame


@dataclass(frozen=True)
class Outcome:
    """What became of the model, and why. `model` names the version in the registry; empty if there is none."""

    registered: bool
    reasons: tuple[str, ...]
    model: str = ""


@dataclass(frozen=True)
class Trained:
    """What the pipeline returns."""

    metrics: dict[str, float]
    outcome: Outcome
    report: Path


@task
def ingest() -> pd.DataFrame:
    """Load the cases: 30 measurements each, and the diagnosis."""
    bunch: Any = load_breast_cancer(as_frame=True)
    diagnosis = np.where(bunch.target == 0, "malignant", "benign")
    return bunch.data.assign(**{TARGET: diagnosis})


@task
def validate(data: pd.DataFrame) -> Checked:
    """Let the data pass only if every column keeps to its rule; the error names those that do not."""
    return Checked(data, check_frame(data, RULES, least_rows=200))


@task
def engineer_features(data: pd.DataFrame) -> pd.DataFrame:
    """Add how much the worst cells stand out, and how round the cells are.

    Each row is computed from itself alone, so nothing leaks from the rows to test on into those to learn from.
    """
    contrasts = {f"{of} contrast": data[f"worst {of}"] / data[f"mean {of}"] for of in ("radius", "texture", "area")}
    roundness = 4 * math.pi * data["mean area"] / data["mean perimeter"] ** 2
    return data.assign(**contrasts, roundness=roundness)


@task
def split(data: pd.DataFrame, test_share: float, seed: int) -> Split:
    """Set rows aside for the evaluation, with the same share of each diagnosis."""
    parts: Any = train_test_split(data, test_size=test_share, random_state=seed, stratify=data[TARGET])
    return Split(*parts)


@task
def score(candidate: Candidate, train: pd.DataFrame, folds: int, seed: int) -> Score:
    """Cross-validate one candidate."""
    x, y = features_and_labels(train)
    found: list[float] = []
    for fit, check in StratifiedKFold(folds, shuffle=True, random_state=seed).split(x, y):
        model = new_model(candidate, seed).fit(x.iloc[fit], y[fit])
        found.append(float(roc_auc_score(y[check], model.predict_proba(x.iloc[check])[:, 1])))
        current().progress(len(found), folds)
    current().log_metric("cv_roc_auc", float(np.mean(found)))
    return Score(candidate, float(np.mean(found)), float(np.std(found)))


@task
def pick_best(scores: list[Score]) -> Candidate:
    """The candidate with the highest mean score; of equals, the first."""
    return max(scores, key=lambda each: each.mean).candidate


@task
def train(candidate: Candidate, data: pd.DataFrame, seed: int) -> Pipeline:
    """Fit the chosen candidate to all rows there are to learn from."""
    return new_model(candidate, seed).fit(*features_and_labels(data))


@task
def evaluate(model: Pipeline, test: pd.DataFrame) -> Quality:
    """Judge the model by rows that it has not seen."""
    x, truth = features_and_labels(test)
    probability = model.predict_proba(x)[:, 1]
    metrics = {
        "accuracy": float(accuracy_score(truth, probability >= 0.5)),
        "f1": float(f1_score(truth, probability >= 0.5)),
        "recall": float(recall_score(truth, probability >= 0.5)),
        "roc_auc": float(roc_auc_score(truth, probability)),
    }
    for name, value in metrics.items():
        current().log_metric(name, value)
    return Quality(metrics, pd.DataFrame({"malignant": truth, "probability": probability}, index=test.index))


# Registering changes the world outside the run, so it is never taken from the cache: if somebody deleted the version, it
# comes back. The registry knows a model by its content, so running this again adds nothing; and as it returns the same,
# the report after it still comes from the cache. The folder is a text: a Path would count by what is in it, which changes.
@task(cache=False)
def register(model: Pipeline, metrics: dict[str, float], threshold: float, registry: str) -> Outcome:
    """Keep the model as a version in the registry."""
    metadata = {"features": list(model.feature_names_in_), "positive_class": "malignant", "threshold": threshold}
    version = ModelRegistry(registry).register("breast-cancer", model, metrics=metrics, metadata=metadata)
    reasons = gate(metrics, {"accuracy": f">= {threshold}"}).reasons
    return Outcome(True, reasons, f"{version.name} version {version.version} in {version.folder}")


@task
def refuse(metrics: dict[str, float], threshold: float) -> Outcome:
    """Say why the model is not registered."""
    return Outcome(False, gate(metrics, {"accuracy": f">= {threshold}"}).reasons)


@task
def report(data: ValidationReport, scores: list[Score], best: Candidate, quality: Quality, outcome: Outcome) -> Path:
    """Write one HTML page that shows the decision and what led to it."""
    figure = cancer_report.draw(quality.predictions)
    current().log_artifact("figure", figure)
    page = cancer_report.render(
        registered=outcome.registered,
        reasons=outcome.reasons,
        model=outcome.model,
        metrics=quality.metrics,
        figure=figure,
        scores=scores,
        best=best,
        data=data,
        tested=len(quality.predictions),
    )
    path = Path(current().folder, "report.html")
    path.write_text(page, encoding="utf-8")
    return path


def features_and_labels(data: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    """The columns to learn from, and whether each case is malignant."""
    return data.drop(columns=TARGET), (data[TARGET] == "malignant").to_numpy(dtype=bool)


@pipeline
def training(
    threshold: float = 0.9, test_share: float = 0.25, folds: int = 5, seed: int = 7, registry: str = "registry"
) -> Trained:
    """Train the best of several candidates and register it if its accuracy reaches the threshold."""
    checked = validate(ingest())
    parts = split(engineer_features(checked.data), test_share, seed)

    scores = score.map(CANDIDATES, train=unmapped(parts.train), folds=unmapped(folds), seed=unmapped(seed))
    best = pick_best(scores)
    model = train(best, parts.train, seed)
    quality = evaluate(model, parts.test)

    with when(quality.metrics["accuracy"] >= threshold):
        registered = register(model, quality.metrics, threshold, registry)
    with otherwise():
        refused = refuse(quality.metrics, threshold)
    outcome = choose(registered, refused)

    return Trained(quality.metrics, outcome, report(checked.summary, scores, best, quality, outcome))


if __name__ == "__main__":
    print(training().outcome)
