"""One of several ways, by a value that a task returned."""

from __future__ import annotations

from penstock import choose, elif_, otherwise, pipeline, task, when


@task
def quality(rows: int) -> float:
    return rows / 100


@task
def train(kind: str) -> str:
    return f"{kind} model"


@pipeline
def branch(rows: int = 60) -> str:
    share = quality(rows)
    with when(share > 0.8):
        deep = train.options(name="deep")("deep")
    with elif_(share > 0.5):
        shallow = train.options(name="shallow")("shallow")
    with otherwise():
        constant = train.options(name="constant")("constant")
    return choose(deep, shallow, constant)
