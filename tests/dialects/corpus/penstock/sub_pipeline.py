"""A pipeline that is a part of another one, twice."""

from __future__ import annotations

from penstock import group, pipeline, task


@task
def load(name: str) -> list[int]:
    return [len(name)]


@task
def both(left: list[int], right: list[int]) -> list[int]:
    return left + right


@pipeline
def features(name: str) -> list[int]:
    with group("sources"):
        main, other = load.options(name="main")(name), load.options(name="other")(f"{name}!")
    return both(main, other)


@pipeline
def sub_pipeline() -> list[int]:
    return both(features.options(name="sales")("sales"), features.options(name="stock")("stock"))
