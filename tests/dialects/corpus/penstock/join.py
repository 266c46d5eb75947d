"""Tasks that run because others failed, and that do not mind."""

from __future__ import annotations

from penstock import pipeline, task


@task
def risky() -> int:
    raise ValueError("as told")


@task
def steady() -> int:
    return 1


@task
def repair() -> str:
    return "repaired"


@task
def report() -> str:
    return "all have ended"


@pipeline
def join() -> dict[str, str]:
    first, second = risky.options(decides=False)(), steady()
    repaired = repair.options(join="one_failed", after=[first, second])()
    reported = report.options(join="all_done", after=[first, second])()
    return {"repaired": repaired, "reported": reported}
