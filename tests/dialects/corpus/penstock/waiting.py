"""Something that waits, and what comes after it."""

from __future__ import annotations

from penstock import pipeline, task, wait_for_duration


@task
def answer() -> int:
    return 42


@pipeline
def waiting() -> int:
    return answer.options(after=wait_for_duration(0.02))()
