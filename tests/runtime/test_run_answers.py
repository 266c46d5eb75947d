"""Runs that are asked, answered and ended from Python."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock import Approval, approval, pipeline, task
from penstock.errors import CancelledError, NotFoundError, ParameterError


@task
def train() -> str:
    return "model-7"


@task
def deploy(model: str, answer: Approval) -> str:
    return f"{model} at {answer.values['traffic']}"


@pipeline
def release() -> str:
    model = train()
    answer = approval("Ship it?", name="sign_off", form={"traffic": float})(model=model)
    return deploy(model, answer)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path))


def test_a_paused_run_is_answered_and_goes_on() -> None:
    run = release.options(executor="inline").run()
    assert run.state == "paused"
    [question] = run.questions
    assert (question["id"], question["inputs"]) == ("sign_off", {"model": "model-7"})
    with pytest.raises(CancelledError, match="paused: it waits for sign_off"):
        assert run.result
    with pytest.raises(NotFoundError, match="sign_of"):
        run.approve("sign_of", traffic=0.5)
    with pytest.raises(ParameterError, match="traffic"):
        run.approve("sign_off", traffic="much")
    ended = run.approve("sign_off", traffic=0.5, by="ada")
    assert run.questions == []
    assert (run.run_id, run.state) == (ended.run_id, "paused")
    assert ended.result == "model-7 at 0.5"
    assert ended.task("sign_off").state == "succeeded"
    with pytest.raises(NotFoundError, match="succeeded"):
        ended.approve("sign_off", traffic=1.0)


def test_a_paused_run_is_ended() -> None:
    run = release.options(executor="inline").run()
    ended = run.cancel("not needed")
    assert ended.state == "cancelled"
    assert ended.task("deploy").reason == "not needed"
    assert ended.questions == []
    assert ended.cancel().state == "cancelled"
