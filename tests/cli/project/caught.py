"""Failures that are dealt with: by the body of a pipeline, and by a fallback, which fails."""

from __future__ import annotations

from penstock import pipeline, task, value


@task
def primary() -> int:
    raise ValueError("no data today")


@task
def secondary() -> int:
    return 2


@pipeline
def caught() -> int:
    try:
        return value(primary())
    except ValueError:
        return secondary()


@task
def hopeless() -> int:
    raise OSError("no copy either")


@task(fallback=hopeless, retries=1, retry_delay=0)
def read() -> int:
    raise ValueError("no data today")


@pipeline
def fallen() -> int:
    return read()
