"""Resources, pools and limits in real runs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from sample_runs import run, states

from penstock import pipeline, task
from penstock.app import Services
from penstock.errors import DefinitionError

if TYPE_CHECKING:
    from running import Project


class Span(NamedTuple):
    """When an attempt ran, and the devices that it saw."""

    began: float
    ended: float
    devices: str


def overlap(one: Span, other: Span) -> bool:
    return one.began < other.ended and other.began < one.ended


def most_at_once(spans: Iterable[Span]) -> int:
    spans = list(spans)
    return max(sum(other.began <= span.began < other.ended for other in spans) for span in spans)


@task
def work(number: int, seconds: float = 0.05) -> Span:
    began = time.monotonic()
    time.sleep(seconds)
    return Span(began, time.monotonic(), os.environ.get("CUDA_VISIBLE_DEVICES", "all"))


@pytest.fixture
def settings(home: Path) -> Path:
    """The file with the settings of the project."""
    return home.parent / "penstock.toml"


def notices(run_id: str) -> list[tuple[str, int, str]]:
    """What penstock has said, but for what it cannot see of the code."""
    with Services().store() as store:
        lines = [logged for _, logged in store.lines(run_id) if logged.line.stream == "notice"]
    told = [(logged.node, logged.item, logged.line.text) for logged in lines]
    return [each for each in told if "os.environ" not in each[2]]


def test_each_attempt_sees_only_the_devices_it_was_given(settings: Path) -> None:
    settings.write_text("[machine]\ngpus = [3, 5]\n")

    @pipeline
    def training():
        return work.options(gpu=1).map(range(4)), work.options(name="both", gpu=2)(9), work.options(name="none")(8)

    fitted, both, none = run(training, "processes").result
    assert {span.devices for span in fitted} == {"3", "5"}
    assert both.devices == "3,5"
    assert none.devices == "-1"
    for device in "35":
        assert most_at_once(span for span in [*fitted, both] if device in span.devices) == 1


def test_an_attempt_that_takes_all_cores_has_no_other_beside_it(settings: Path) -> None:
    @pipeline
    def training():
        return work.map(range(6)), work.options(name="wide", cpu=2)(9)

    settings.write_text("[machine]\ncpu = 2\n")
    small, wide = run(training, "processes").result
    assert not any(overlap(wide, each) for each in small)


def test_more_than_the_machine_runs_alone_and_says_so_once(settings: Path) -> None:
    settings.write_text("[machine]\ncpu = 2\nmemory = '8GB'\ngpus = 0\n")

    @pipeline
    def training():
        return work.map(range(6)), work.options(name="huge", gpu=1, cpu=64).map([1, 2])

    ended = run(training, "processes")
    small, huge = ended.result
    assert not any(overlap(big, each) for big in huge for each in [*small, *huge] if each is not big)
    told = [each for each in notices(ended.run_id) if "alone" in each[2]]
    assert told == [("huge", 0, "asks for 64 cores of 2, 1 GPU of 0; runs alone with what there is")]


def test_strict_resources_are_refused_before_anything_runs(settings: Path) -> None:
    settings.write_text("[machine]\ngpus = 1\n")

    @pipeline
    def training():
        return work(1), work.options(gpu=2, strict=True)(2)

    with pytest.raises(DefinitionError, match="'work-2' asks for 2 GPUs of 1 on this machine") as raised:
        run(training)
    assert "test_admission_runs.py" in (raised.value.where or "")
    with Services().store() as store:
        assert store.runs() == []


def test_a_pool_without_a_size_is_refused_also_in_a_dynamic_body(settings: Path) -> None:
    @pipeline
    def static():
        return work.options(pools=["db"])(1)

    @pipeline
    def dynamic():
        if work(1).ended > 0:
            return work.options(name="reading", pools=["db"])(2)
        return None

    with pytest.raises(DefinitionError, match="nobody has said how large"):
        run(static)
    ended = run(dynamic)
    assert ended.state == "failed"
    with pytest.raises(DefinitionError, match="'reading' takes 1 of the pool 'db'"):
        _ = ended.result
    settings.write_text("[pools]\ndb = 1\n")
    assert run(static).state == "succeeded"
    assert run(dynamic).state == "succeeded"


def test_limits_of_tasks_tags_and_pools_hold_within_a_run(settings: Path) -> None:
    settings.write_text("[pools]\ndb = 1\n[limits]\ntasks.work = 4\ntags.slow = 1\n")

    @pipeline
    def training():
        return (
            work.options(pools={"db": 1}).map(range(3)),
            work.options(name="tagged", tags=["slow"]).map(range(3)),
            work.options(name="single", concurrency=9).map(range(3)),
        )

    by_pool, by_tag, others = run(training, "processes").result
    assert most_at_once(by_pool) == most_at_once(by_tag) == 1
    assert len(others) == 3
    with Services().store() as store:
        assert {pool.name: (pool.size, pool.held) for pool in store.pools()} == {
            "db": (1, ()),
            "tag:slow": (1, ()),
            "task:work": (4, ()),
        }


def test_priorities_decide_what_starts_first(home: Path) -> None:
    order: list[int] = []

    @task(cache=False)
    def note(number: int) -> int:
        order.append(number)
        return number

    @pipeline
    def ranked():
        for number, priority in enumerate([0, -1, 5, 0, 5]):
            note.options(priority=priority, cpu=1)(number)

    assert set(states(run(ranked)).values()) == {"succeeded"}
    assert order == [2, 4, 0, 3, 1]


SHARED = """
    import time
    from penstock import pipeline, task

    @task(cache=False, concurrency=1)
    def fit(number: int) -> tuple[float, float]:
        began = time.monotonic()
        time.sleep(0.05)
        return began, time.monotonic()

    @task(cache=False)
    def span() -> tuple[float, float]:
        began = time.monotonic()
        time.sleep(0.1)
        return began, time.monotonic()

    @pipeline(concurrency=1)
    def alone():
        return [span()]

    @pipeline
    def train():
        return fit.map(range(4))
"""


@pytest.mark.parametrize("name", ["alone", pytest.param("train", marks=pytest.mark.slow)])
def test_limits_hold_for_all_runs_of_a_store(project: Project, name: str) -> None:
    import json

    project.write("shared.py", SHARED)
    processes = [project.start("-m", "penstock", "run", f"shared.py:{name}", "--json") for _ in range(2)]
    told = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], told
    results = [json.loads(out)["outputs"]["result"]["value"] for out, _ in told]
    spans = [Span(began, ended, "") for result in results for began, ended in result]
    assert len(spans) == (2 if name == "alone" else 8)
    assert most_at_once(spans) == 1
