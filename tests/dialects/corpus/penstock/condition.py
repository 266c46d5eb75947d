"""Something that is only done where an output of another task says so."""

from __future__ import annotations

from penstock import pipeline, task, when


@task
def evaluate() -> dict[str, float]:
    return {"accuracy": 0.9, "loss": 0.3}


@task
def register(accuracy: float) -> str:
    return f"registered at {accuracy}"


@task
def alarm() -> str:
    return "too bad"


@pipeline
def condition(threshold: float = 0.8) -> str:
    metrics = evaluate()
    with when(metrics["accuracy"] >= threshold):
        registered = register(metrics["accuracy"])
    with when(metrics["loss"] > 0.5):
        alarm()
    return registered
