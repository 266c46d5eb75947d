"""The event of the end of a run, recorded in its last turn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from penstock import Secret, current, pipeline, task
from penstock.errors import RunFailedError
from penstock.model.occurrence import Occurrence
from penstock.model.run import RunState
from penstock.runtime.ending import end_as_broken, end_as_cancelled
from penstock.services import Services
from penstock.triggers.templates import OWN_FIELDS


@task
def train(depth: int) -> dict[str, Any]:
    current().log_metric("accuracy", 0.5)
    current().log_metric("accuracy", 0.75)
    current().log_artifact("model", {"depth": depth})
    return {"depth": depth}


@task(cache=False)
def again(large: int) -> bytes:
    current().log_metric("size", large)
    return b"x" * large


@task
def broken(found: dict[str, Any]) -> None:
    current().log_metric("tried", 1)
    raise ValueError("no")


@pipeline
def training(depth: int = 3, note: str = ""):
    return {"found": train(depth), "large": again(100_000)}


@pipeline
def failing(depth: int = 3):
    return broken(train(depth))


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "state"))


def told() -> list[Occurrence]:
    with Services().store() as store:
        return [each for _, each in store.agenda.occurrences() if each.type.startswith("run.")]


def test_a_run_that_succeeds_tells_what_came_of_it() -> None:
    run = training.options(executor="inline").run(depth=4, note="x" * 10_000)
    (end,) = told()
    assert (end.id, end.type) == (f"{run.run_id}.1", "run.succeeded")
    assert (end.source, end.subject) == ("penstock/run/training", "training")
    assert set(end.data) == set(OWN_FIELDS["run.succeeded"])
    # what is large is left out
    assert end.data == {
        "run_id": run.run_id,
        "pipeline": "training",
        "state": "succeeded",
        "tags": [],
        "outputs": {"found": {"depth": 4}},
        "metrics": {"accuracy": 0.75, "size": 100_000.0},
        "artifacts": ["model"],
        "parameters": {"depth": 4},
    }


def test_what_cached_nodes_had_logged_is_told_again() -> None:
    for _ in range(2):
        training.options(executor="inline").run()
    first, second = told()
    assert first.id != second.id
    assert second.data["metrics"] == first.data["metrics"]
    assert second.data["artifacts"] == ["model"]


def test_a_plan_tells_nothing() -> None:
    training.options(executor="inline").run()
    training.plan()
    failing.plan()
    assert len(told()) == 1


def test_a_run_that_fails_and_goes_on_ends_twice() -> None:
    run = failing.options(executor="inline").run()
    assert run.state == "failed"
    failing.options(executor="inline").resume(run.run_id)
    first, second = told()
    assert (first.type, second.type) == ("run.failed", "run.failed")
    assert [first.id, second.id] == [f"{run.run_id}.1", f"{run.run_id}.2"]
    assert first.data["metrics"] == {"accuracy": 0.75, "tried": 1.0}
    assert second.data["metrics"] == {"accuracy": 0.75, "tried": 1.0}
    assert first.data["outputs"] == {}


@pytest.mark.parametrize(("state", "type"), [(RunState.FAILED, "run.failed"), (RunState.CANCELLED, "run.cancelled")])
def test_a_run_that_others_end_is_told_as_well(state: RunState, type: str) -> None:
    run = failing.options(executor="inline").run()
    with Services().store() as store:
        record = msgspec.structs.replace(store.find(run.run_id), state=RunState.RUNNING, finished_at=None)
        graph = failing.graph()
        begun = store.regenerate(record, graph, store.provenance(run.run_id))
        if state is RunState.FAILED:
            end_as_broken(store, begun, RunFailedError("its process is gone"))
        else:
            end_as_cancelled(store, begun, "by somebody")
        assert store.find(run.run_id).state is state
    _, end = told()
    assert (end.type, end.id) == (type, f"{run.run_id}.2")
    assert end.data["parameters"] == {"depth": 3}


def test_secrets_are_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_HERE", "canary-token")

    @task
    def use(token: Secret) -> str:
        return token.reveal()[:3]

    @pipeline
    def secretive(token: Secret):
        return use(token)

    secretive.options(executor="inline").run(token=Secret("env:TOKEN_HERE"))
    (end,) = told()
    assert "canary" not in repr(end)
    assert end.data["parameters"] == {"token": "env:TOKEN_HERE"}
