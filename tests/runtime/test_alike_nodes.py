"""Nodes that are alike, as a loop of calls makes them, have a work in common, and nothing else."""

from __future__ import annotations

import threading
import time
from contextvars import copy_context
from typing import Any

import pytest

from penstock import current, pipeline, task
from penstock.app import Services
from penstock.model.event import Started
from penstock.model.work import Told
from penstock.observe.tally import Tally
from penstock.ports import Turn

pytestmark = pytest.mark.usefixtures("home")


@task
def speak(word: str, times: int = 1) -> str:
    print(word)
    current().log_metric("length", len(word))
    return f"{current().node}:{word * times}"


@task
def late(word: str) -> str:
    """Says something when its attempt is over."""

    def say() -> None:
        time.sleep(0.05)
        print(word)

    threading.Thread(target=copy_context().run, args=(say,)).start()
    return word


@task
def last(words: list[str]) -> list[str]:
    time.sleep(0.3)
    return words


@task(retries=1)
def stumble(word: str) -> str:
    if current().attempt == 1:
        raise ValueError(word)
    return word


@pipeline
def talk() -> Any:
    return [speak("a"), speak("bc"), speak(speak("d"), times=2)]


@pipeline
def talk_late() -> Any:
    return last([late("x"), late("y")])


@pipeline
def stumbling() -> Any:
    return [stumble(word) for word in "pqr"]


def said(run_id: str) -> set[tuple[str, int, str]]:
    with Services().store() as store:
        return {(each.node, each.item, each.line.text) for _, each in store.lines(run_id)}


@pytest.mark.parametrize("executor", ["inline", "processes"])
def test_each_has_its_inputs_and_what_it_said(executor: str) -> None:
    run = talk.options(executor=executor).run()
    names = ["speak", "speak-2", "speak-3", "speak-4"]
    assert run.result == ["speak:a", "speak-2:bc", "speak-4:speak-3:dspeak-3:d"]
    assert said(run.run_id) == {
        ("speak", -1, "a"),
        ("speak-2", -1, "bc"),
        ("speak-3", -1, "d"),
        ("speak-4", -1, "speak-3:d"),
    }
    with Services().store() as store:
        assert [(each.node, each.item, each.attempt) for each in store.attempts(run.run_id)] == [
            (name, -1, 1) for name in names
        ]
        assert {each.node for each in store.metrics(run.run_id)} == set(names)
    again = talk.options(executor=executor).run()
    assert [again.task(name).state for name in names] == ["cached"] * 4


def test_what_is_said_after_an_end_is_known_by_its_node() -> None:
    run = talk_late.options(executor="processes", workers=1).run()
    assert said(run.run_id) == {("late", -1, "x"), ("late-2", -1, "y")}


def test_one_fails_and_is_repeated_without_the_others() -> None:
    run = stumbling.options(executor="inline").run()
    assert run.result == ["p", "q", "r"]
    assert [run.task(name).attempts for name in ("stumble", "stumble-2", "stumble-3")] == [2, 2, 2]


def test_a_call_alone_has_the_fingerprint_of_one_among_many() -> None:
    @pipeline
    def alone() -> Any:
        return speak("bc")

    talk.options(executor="inline").run()
    assert alone.options(executor="inline").run().task("speak").state == "cached"


def test_what_is_told_of_progress_is_told_of_a_cell() -> None:
    tally = Tally(talk.graph())
    tally.take(Turn(number=0, at=1.0, events=[Started("speak", -1, 1), Started("speak-2", -1, 1)]), ())
    tally.take(Turn(number=1, at=2.0), [Told(0, 7, 1, progress=(3, 4), cell=("speak-2", -1))])
    assert tally.nodes["speak-2"].progress == {("speak-2", -1): (3, 4)}
    assert tally.nodes["speak"].progress == {}
