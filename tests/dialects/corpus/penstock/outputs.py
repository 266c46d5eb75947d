"""Several outputs by name, each of which goes elsewhere."""

from __future__ import annotations

from typing import NamedTuple

from penstock import pipeline, task


class Split(NamedTuple):
    train: list[int]
    test: list[int]


@task
def split(rows: list[int], share: float) -> Split:
    cut = int(len(rows) * share)
    return Split(rows[:cut], rows[cut:])


@task
def fit(rows: list[int]) -> float:
    return sum(rows) / len(rows)


@task
def score(model: float, rows: list[int]) -> float:
    return sum(row - model for row in rows)


@pipeline
def outputs(share: float = 0.5) -> dict[str, float]:
    parts = split([1, 2, 3, 4], share)
    model = fit(parts.train)
    return {"model": model, "score": score(model, parts.test)}
