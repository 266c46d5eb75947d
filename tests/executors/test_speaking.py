"""Whose is what is said where nobody told: in threads, after the end, and in runs within runs."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import crowded_tasks as crowded
import pytest
from test_process_executor import process_executor

from penstock.app import open_values
from penstock.executors.attempts.capture import Capture
from penstock.executors.attempts.telling import Telling
from penstock.executors.context import current
from penstock.model.value import Artifact
from penstock.model.work import Done, Job, Told, Yield
from penstock.testing.executor_bench import Bench, code_of
from penstock.values import Values


@pytest.fixture
def storage(tmp_path: Path) -> dict[str, Any]:
    return {"blobs": str(tmp_path / "blobs"), "workspace": str(tmp_path / "workspace"), "pickle": True}


@pytest.fixture
def values(storage: dict[str, Any]) -> Values:
    return open_values(storage)


@pytest.fixture
def bench(storage: dict[str, Any]) -> Generator[Bench]:
    executor = process_executor(storage)
    yield Bench(executor, open_values(storage), code_of)
    executor.close(kill=True)


def test_a_thread_of_a_task_speaks_for_it_and_finds_it(bench: Bench) -> None:
    work = bench.define(crowded.speak_from_a_thread)
    ends = bench.finish(*(Job(work, item, 1, bench.stored({"word": f"word {item}"})) for item in range(10)))
    for (_, item, _), end in ends.items():
        assert isinstance(end, Done)
        assert bench.values.load(end.outputs[0]) == [f"speak_from_a_thread[{item}]"]
    told = [report for report in bench.reports if isinstance(report, Told)]
    assert sorted((one.item, line.text) for one in told for line in one.lines if line.stream == "stdout") == [
        (item, f"word {item}") for item in range(10)
    ]
    assert sorted(one.item for one in told for _ in one.metrics) == list(range(10))


def test_outside_a_worker_a_thread_without_a_context_finds_nothing() -> None:
    assert current().id == ""


class Ear:
    """Keeps what is handed on."""

    def __init__(self) -> None:
        self.heard: list[Told | Yield] = []

    def lines(self) -> list[tuple[int, str]]:
        return [(told.work, line.text) for told in self.heard if isinstance(told, Told) for line in told.lines]


def test_a_run_within_an_attempt_of_another_run(values: Values) -> None:
    outer, inner = Ear(), Ear()
    outer_telling, inner_telling = Telling(outer.heard.append), Telling(inner.heard.append)
    outer_capture = Capture(outer_telling.speaker, through=False)
    inner_capture = Capture(inner_telling.speaker, through=True)
    with outer_capture.active():
        speech = outer_telling.begin(Job(1, -1, 1, {}), values)
        print("before")
        with inner_capture.active():
            inner_speech = inner_telling.begin(Job(2, -1, 1, {}), values)
            print("within")
            inner_telling.end(inner_speech)
        print("after")
        outer_telling.end(speech)
    assert outer.lines() == [(1, "before"), (1, "within"), (1, "after")]
    assert inner.lines() == [(2, "within")]


def test_what_is_said_after_the_end_is_of_the_last(values: Values) -> None:
    ear = Ear()
    telling = Telling(ear.heard.append)
    capture = Capture(telling.speaker, through=False)
    with capture.active():
        telling.end(telling.begin(Job(1, -1, 1, {}), values))
        print("late")
        second = telling.begin(Job(2, -1, 1, {}), values)
        print("in time")
        telling.end(second)
    assert ear.lines() == [(1, "late"), (2, "in time")]


def test_what_nobody_says_is_not_lost(values: Values, capsys: pytest.CaptureFixture[str]) -> None:
    telling = Telling(lambda report: None)
    capture = Capture(telling.speaker, through=False)
    with capture.active():
        print("is anybody there?")
    assert capsys.readouterr().out == "is anybody there?\n"


def test_what_is_yielded_comes_after_what_was_said_before(values: Values) -> None:
    ear = Ear()
    telling = Telling(ear.heard.append)
    capture = Capture(telling.speaker, through=False)
    artifact: Artifact = values.store(1)[0]
    with capture.active():
        speech = telling.begin(Job(1, 0, 1, {}), values)
        print("first")
        telling.yielded(0, artifact, None)
        print("second")
        telling.end(speech)
    assert [type(report) for report in ear.heard] == [Told, Yield, Told]
