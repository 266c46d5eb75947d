"""The candidates that the training pipeline tries, how each becomes a model, and how its score is noted."""

from dataclasses import dataclass
from typing import Any, Literal

from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler


@dataclass(frozen=True)
class Candidate:
    """A way to learn: an algorithm and its settings."""

    name: str
    algorithm: Literal["logistic", "neighbours", "forest", "boosting"]
    settings: dict[str, Any]


@dataclass(frozen=True)
class Score:
    """How a candidate did in cross-validation: the mean and the deviation of the ROC AUC over the folds."""

    candidate: Candidate
    mean: float
    deviation: float


CANDIDATES = [
    Candidate("logistic regression, C=0.1", "logistic", {"C": 0.1}),
    Candidate("logistic regression, C=1", "logistic", {"C": 1.0}),
    Candidate("logistic regression, C=10", "logistic", {"C": 10.0}),
    Candidate("5 nearest neighbours", "neighbours", {"n_neighbors": 5}),
    Candidate("15 nearest neighbours", "neighbours", {"n_neighbors": 15}),
    Candidate("random forest, 100 trees", "forest", {"n_estimators": 100}),
    Candidate("random forest, 100 small trees", "forest", {"n_estimators": 100, "min_samples_leaf": 5}),
    Candidate("gradient boosting, 100 stumps", "boosting", {"n_estimators": 100, "max_depth": 1}),
]


def new_model(candidate: Candidate, seed: int) -> Pipeline:
    """An unfitted model for a candidate, scaling included."""
    settings = candidate.settings
    match candidate.algorithm:
        case "logistic":
            classifier = LogisticRegression(**settings, max_iter=2_000, random_state=seed)
        case "neighbours":
            classifier = KNeighborsClassifier(**settings)
        case "forest":
            classifier = RandomForestClassifier(**settings, random_state=seed)
        case "boosting":
            classifier = GradientBoostingClassifier(**settings, random_state=seed)
    return make_pipeline(StandardScaler(), classifier)
