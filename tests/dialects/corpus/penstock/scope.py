"""Setup and teardown around a task."""

from __future__ import annotations

from collections.abc import Iterator

from penstock import pipeline, scope, task


@task
def make_cluster(size: int) -> str:
    return f"cluster of {size}"


@task(cache=False)
def drop_cluster(cluster: str) -> str:
    return f"{cluster} dropped"


@task
def train(cluster: str) -> str:
    return f"trained on a {cluster}"


@scope
def cluster(size: int) -> Iterator[str]:
    handle = make_cluster(size)
    yield handle
    drop_cluster(handle)


@pipeline
def scoped(size: int = 3) -> str:
    with cluster(size) as handle:
        return train(handle)
