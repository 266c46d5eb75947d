"""A small pipeline that makes one value of every family, and writes to stdout in every way there is."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from beside import halved

from penstock import current, otherwise, pipeline, task, unmapped, when

print("printed while the file is loaded")


@dataclass(frozen=True)
class Parts:
    train: pd.DataFrame
    test: pd.DataFrame


@task
def ingest(rows: int) -> pd.DataFrame:
    print(f"ingesting {rows} rows")
    os.write(1, b"written by the system call\n")
    subprocess.run(["echo", "written by a child"], check=True)
    return pd.DataFrame({"x": np.arange(rows, dtype=float), "y": np.arange(rows) % 2, "name": ["a [bold] name"] * rows})


@task
def split(data: pd.DataFrame) -> Parts:
    middle = halved(len(data))
    return Parts(data.iloc[:middle], data.iloc[middle:])


@task
def fit(strength: float, data: pd.DataFrame) -> Any:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=strength).fit(data[["x"]], data["y"])
    current().log_metric("score", float(model.score(data[["x"]], data["y"])))
    return model


@task
def best(models: list[Any]) -> Any:
    current().log_metric("candidates", len(models))
    return models[0]


@task
def matrix(data: pd.DataFrame) -> np.ndarray:
    return data[["x", "y"]].to_numpy()


@task
def draw(data: pd.DataFrame) -> Any:
    from matplotlib.figure import Figure

    figure = Figure()
    axes = figure.subplots()
    axes.plot(data["x"])
    current().log_artifact("curve", figure)
    return figure


@task
def accuracy(data: pd.DataFrame) -> float:
    return 0.875


@task
def publish(score: float) -> str:
    return f"published at {score}"


@task
def refuse(score: float) -> str:
    return f"refused at {score}"


@task
def report(score: float) -> Path:
    path = Path(current().folder, "report.txt")
    path.write_text(f"score {score}\n", encoding="utf-8")
    return path


@pipeline
def training(rows: int = 20, threshold: float = 0.5, strengths: list[float] = [0.1, 1.0, 10.0]) -> Any:  # noqa: B006
    """Make one value of every family."""
    parts = split(ingest(rows))
    model = best(fit.map(strengths, unmapped(parts.train)))
    score = accuracy(parts.test)
    with when(score >= threshold):
        publish(score)
    with otherwise():
        refuse(score)
    matrix(parts.test)
    draw(parts.test)
    return {"model": model, "score": score, "report": report(score)}
