"""Answers that say more or less than was asked: a predicate that tells the wait, a rejection without the form."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from penstock import Approval, approval, current, pipeline, task


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path))


def soon(error: BaseException) -> bool | timedelta:
    return timedelta(0) if "busy" in str(error) else False


@task(retries=5, retry_delay=3600, retry_if=soon)
def query(failures: list[str]) -> int:
    attempt = current().attempt
    if attempt <= len(failures):
        raise RuntimeError(failures[attempt - 1])
    return attempt


@pipeline
def querying(failures: list[str]) -> int:
    return query(failures)


def test_a_predicate_tells_the_wait() -> None:
    quiet = querying.options(executor="inline", progress=False, logs=False)
    assert quiet.run(failures=["busy", "busy"]).result == 3
    ended = quiet.run(failures=["busy", "wrong"])
    assert (ended.task("query").state, ended.task("query").attempts) == ("failed", 2)


@task
def decide(answer: Approval) -> list[object]:
    return [answer.approved, answer.values]


@pipeline
def release() -> list[object]:
    form = {"traffic": float, "note": (str, "none")}
    return decide(approval("Ship it?", name="sign_off", form=form, on_reject="return")())


def test_who_rejects_need_not_fill_in_the_form() -> None:
    run = release.options(executor="inline", progress=False, logs=False).run()
    assert run.approve("sign_off", approved=False, by="ada").result == [False, {}]
