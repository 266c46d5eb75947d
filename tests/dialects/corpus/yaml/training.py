from typing import Any


def load() -> list[int]:
    return [3, 1, 2]


def train(rows: list[int], epochs: int):
    return {"weights": sorted(rows), "epochs": epochs}, {"loss": 1 / epochs}


def evaluate(model: dict[str, Any], metrics: dict[str, float]) -> dict[str, Any]:
    return {"metrics": {"accuracy": 1 - metrics["loss"], "size": len(model["weights"])}}


def deploy(model: dict[str, Any]) -> str:
    return f"{len(model['weights'])} weights"
