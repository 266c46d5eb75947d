"""Attempts that are ended while they run, and what the run makes of it."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from graphs import Bench, Ended, graph, node
from sample_runs import run, states

from penstock import pipeline, task
from penstock.app import Services
from penstock.kernel import VERSION
from penstock.model.event import RunStarted
from penstock.model.expression import Constant, Input, Item
from penstock.model.graph import Each
from penstock.model.policy import RunPolicy
from penstock.model.request import CancelAsked
from penstock.model.run import RunState
from penstock.runtime import requests
from penstock.runtime.ending import end_as_cancelled
from penstock.runtime.surroundings.processes import this_process


@task
def sleep(seconds: float) -> float:
    Path("sleeping").touch()
    time.sleep(seconds)
    return seconds


@task
def after(seconds: float) -> float:
    return seconds


@pytest.mark.usefixtures("home")
def test_all_attempts_together_are_given_up_in_the_middle_of_one() -> None:
    @pipeline
    def slow():
        return sleep.options(total_timeout=0.3, retries=5)(30.0)

    began = time.monotonic()
    ended = run(slow, "processes")
    assert time.monotonic() - began < 10
    assert states(ended) == {"sleep": "failed"}
    assert ended.task("sleep").attempts == 1
    assert "allowed in all" in (ended.task("sleep").error or "")


@pytest.mark.usefixtures("home")
def test_a_run_that_is_cancelled_from_elsewhere_stops_what_runs() -> None:
    @pipeline
    def slow():
        return after(sleep(30.0))

    asked: list[float] = []

    def cancel() -> None:
        while not Path("sleeping").exists():
            time.sleep(0.01)
        with Services().store() as store:
            asked.append(time.monotonic())
            store.ask(store.find("latest").run_id, CancelAsked("enough", "ada", time.time()))

    canceller = threading.Thread(target=cancel)
    canceller.start()
    ended = run(slow, "processes")
    canceller.join()
    assert ended.state == "cancelled"
    assert time.monotonic() - asked[0] < 2
    assert states(ended) == {"sleep": "cancelled", "after": "cancelled"}


def one() -> int:
    return 1


def runs_at_once(bench: Bench, **details: Any) -> Any:
    whole = graph(node("one", "one"), result=Constant(1), policy=RunPolicy(concurrency=1))
    return bench.driver(whole, {"one": one}, **details)


def test_a_run_waits_for_others_of_its_pipeline(bench: Bench) -> None:
    first = runs_at_once(bench)
    assert first.admission.enter()
    second = runs_at_once(bench)
    bench.store.ask(second.run.run_id, CancelAsked("enough", "ada", 1.0))
    assert second.drive() is RunState.CANCELLED
    assert Ended(bench, second).states == {"one": "cancelled"}
    (told,) = [logged.line.text for _, logged in bench.store.lines(second.run.run_id)]
    assert told.startswith("the run waits for ")
    assert first.run.run_id in told


def test_who_ends_a_run_is_told_that_its_driver_does_not_answer(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "_SILENCE", 0.05)
    run_id = runs_at_once(bench).run.run_id
    bench.store.reopen(run_id, this_process(), "test")
    told: list[str] = []

    def say(text: str) -> None:
        told.append(text)
        end_as_cancelled(bench.store, bench.store.find(run_id), "it was killed")

    assert requests.cancel(bench.store, run_id, say=say).run.state is RunState.CANCELLED
    assert [type(asked) for _, asked in bench.store.requests(run_id)] == [CancelAsked]
    [text] = told
    assert "has not answered for" in text
    assert f"penstock resume {run_id} --take-over" in text


def test_a_run_that_never_began_begins_when_it_is_resumed(bench: Bench) -> None:
    first = runs_at_once(bench)
    assert first.admission.enter()
    second = runs_at_once(bench)

    def broken(_: Any) -> Any:
        raise KeyboardInterrupt

    second.executor.poll = broken
    with pytest.raises(KeyboardInterrupt):
        second.drive()
    first.admission.close()
    third = runs_at_once(bench, record=bench.store.reopen(second.run.run_id, "another"))
    assert third.resume() is RunState.SUCCEEDED
    assert Ended(bench, third).journal[0] == RunStarted(VERSION)


def test_an_input_that_is_not_given_breaks_the_node_in_the_body(bench: Bench) -> None:
    from graphs import body

    inner = body(node("one", "show", {"x": Input("absent")}), result=Constant(1))
    outer = node("fold", "inner", {"x": Item("x")}, each=Each({"x": Constant([1])}))
    ended = bench.run(graph(outer), {"inner": inner, "show": lambda x: x})
    assert "gives its body no input 'absent'" in ended.fault("fold[0]/one")
