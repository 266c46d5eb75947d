"""One of each shape whose tasks have histories: repeated, replaced, inside bodies, repeated bodies."""

from __future__ import annotations

from collections.abc import Sized

from penstock import current, pipeline, repeat, task


@task(retries=2, retry_delay=0.01)
def flaky() -> int:
    if current().attempt < 2:
        raise OSError("busy")
    return 1


@task(fallback=7)
def hopeless() -> int:
    raise RuntimeError("no")


@task
def fit(x: int, scale: int) -> int:
    print(f"fitting {x}")
    return x * scale


@task
def score(fitted: int) -> int:
    if fitted == 6:
        raise ValueError("six")
    return fitted + 1


@pipeline
def fold(x: int, scale: int) -> int:
    return score(fit(x, scale))


@task
def bump(n: int) -> int:
    return n + 1


@pipeline
def grow(n: int) -> int:
    return bump(n)


@task
def counted(scores: Sized) -> int:
    return len(scores)


@pipeline
def shapes() -> dict[str, int]:
    flaky()
    hopeless()
    scores = fold.options(failure_threshold=1).partial(scale=3).map(x={"a": 1, "b/c": 2, "d": 3})
    return {"scores": counted(scores), "grown": repeat(grow, until=lambda n: n >= 3, maximum=5)(n=0)}
