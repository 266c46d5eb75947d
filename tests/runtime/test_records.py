"""What runs leave behind: the cache, the journal."""

from __future__ import annotations

import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sample_runs import (
    branching,
    calls,
    count_calls,
    counted,
    double,
    fail,
    fail_on,
    fail_twice,
    numbers_up_to,
    one,
    run,
    squares_of_known,
    squares_of_unknown,
    states,
    with_retries,
)

import penstock
from penstock import pipeline, task, unmapped, when
from penstock.app import Services
from penstock.cli.targets import load_target
from penstock.kernel import RunProgress, handle
from penstock.model.graph import Graph
from penstock.model.options import RunOptions
from penstock.runtime.run import Run

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture(params=["inline", "processes"])
def executor(request: pytest.FixtureRequest) -> str:
    return request.param


# The cache.


@pipeline
def cached(value: Any = 1):
    return counted(value)


def test_a_second_run_takes_what_is_recorded(executor: str) -> None:
    assert states(run(cached, executor)) == {"counted": "succeeded"}
    second = run(cached, executor)
    assert states(second) == {"counted": "cached"}
    assert second.result == 1
    assert second.task("counted").attempts == 0
    assert calls("counted") == 1


def test_another_input_is_another_computation() -> None:
    run(cached)
    assert states(run(cached, value=2)) == {"counted": "succeeded"}
    assert states(run(cached, value=True)) == {"counted": "succeeded"}
    assert states(run(cached, value=1)) == {"counted": "cached"}


def test_code_that_changed_runs_again_and_what_gets_the_same_does_not() -> None:
    def version(offset: int) -> Run:
        @task
        def compute(number: int) -> int:
            return abs(number) + 0 * offset

        @pipeline
        def versions():
            return counted(compute(-3))

        return run(versions)

    assert states(version(1)) == {"compute": "succeeded", "counted": "succeeded"}
    assert states(version(1)) == {"compute": "cached", "counted": "cached"}
    assert states(version(2)) == {"compute": "succeeded", "counted": "cached"}


def test_a_run_without_the_cache_runs_everything_and_records_it() -> None:
    run(cached)
    assert states(run(cached, cache=False)) == {"counted": "succeeded"}
    assert states(run(cached)) == {"counted": "cached"}
    assert calls("counted") == 2


@pytest.mark.parametrize("way", ["decorator", "options"])
def test_a_task_that_is_not_cached_runs_every_time(way: str) -> None:
    fresh = task(cache=False)(counted.function) if way == "decorator" else counted.options(cache=False)

    @pipeline
    def uncached():
        return double(fresh(1))

    run(uncached)
    assert states(run(uncached)) == {"counted": "succeeded", "double": "cached"}
    assert calls("counted") == 2


def test_failures_are_not_cached() -> None:
    @pipeline
    def failing():
        return fail("no")

    run(failing)
    assert states(run(failing)) == {"fail": "failed"}


@task
def make_large() -> str:
    count_calls("large")
    return "x" * 100_000


@task
def length(text: str) -> int:
    return len(text)


@pipeline
def large():
    return length(make_large())


def test_a_result_whose_bytes_are_gone_is_computed_again(home: Path, executor: str) -> None:
    run(large, executor)
    (blob,) = [file for file in (home / "blobs").rglob("*") if file.is_file() and file.stat().st_size >= 100_000]
    blob.unlink()
    again = run(large, executor)
    assert states(again) == {"make_large": "succeeded", "length": "cached"}
    assert again.task("make_large").output == "x" * 100_000
    assert calls("large") == 2


def test_the_same_computation_twice_in_one_run(executor: str) -> None:
    @pipeline
    def twins():
        return [counted(1), counted(1), counted.options(name="more").map([1, 1, 2, 2])]

    ended = run(twins, executor)
    assert ended.result == [1, 1, [1, 1, 2, 2]]
    again = run(twins, executor)
    assert again.result == [1, 1, [1, 1, 2, 2]]
    assert set(states(again).values()) == {"cached"}


# What is recorded.


@pipeline
def everything():
    lost = double(fail_on.map(numbers_up_to(5), unmapped(2))[0])
    with when(one() == 2):
        skipped = counted(lost)
    return [fail_twice.options(retry_delay=0.01)(), double.options(name="empty").map(numbers_up_to(0)), skipped]


def test_the_journal_alone_gives_the_states_of_the_document(executor: str) -> None:
    run(squares_of_known, executor)
    for subject in (everything, everything, squares_of_known, branching):
        ended = run(subject, executor)
        assert replayed(ended) == states(ended)


def replayed(ended: Run) -> dict[str, str]:
    """The states of nodes and items by the journal."""
    with Services().store() as store:
        progress = RunProgress(msgspec.json.decode(store.graph(ended.run_id), type=Graph))
        for _, events in store.journal(ended.run_id):
            handle(progress, *events)
    found: dict[str, str] = {}
    for name, node in progress.nodes.items():
        if node.items is None:
            found[name] = node.phase.state.value
        else:
            found |= {f"{name}[{item}]": node.phase_of(item).state.value for item in range(len(node.items.phases))}
    return found


def test_every_attempt_is_recorded_once(executor: str) -> None:
    ended = run(squares_of_unknown, executor, count=1000)
    with Services().store() as store:
        attempts = store.attempts(ended.run_id, "double")
    assert Counter((each.item, each.attempt) for each in attempts) == {(item, 1): 1 for item in range(1000)}
    assert all(each.worker > 0 and each.peak_memory > 0 for each in attempts)


def test_metrics_of_every_attempt_are_kept(executor: str) -> None:
    ended = run(with_retries, executor)
    with Services().store() as store:
        logged = [(each.attempt, each.metric.value) for each in store.metrics(ended.run_id)]
    assert logged == [(1, 1.0), (2, 2.0), (3, 3.0)]
    assert ended.metrics == {"attempt": 3.0}


def test_an_empty_pipeline_succeeds() -> None:
    @pipeline
    def empty(value: int = 3):
        return value

    ended = run(empty)
    assert ended.state == "succeeded"
    assert ended.result == 3


def test_the_store_is_sound_after_all_that(home: Path, executor: str) -> None:
    run(everything, executor)
    (database,) = home.glob("*.db*") if list(home.glob("*.db")) else home.glob("*.sqlite*")
    with sqlite3.connect(database) as connection:
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
    connection.close()


def test_options_are_checked() -> None:
    with pytest.raises(penstock.DefinitionError, match="no executor 'threads'"):
        with_retries.options(executor="threads")
    assert RunOptions().executor == "processes"


def test_a_folder_named_in_the_code_does_not_keep_tasks_from_the_cache(tmp_path: Path) -> None:
    (tmp_path / "located.py").write_text(
        "from pathlib import Path\n"
        "from penstock import pipeline, task\n"
        "HERE = Path(__file__).parent\n"
        "@task\n"
        "def name() -> str:\n"
        "    return HERE.name\n"
        "@pipeline\n"
        "def located() -> str:\n"
        "    return name()\n"
    )
    located = load_target(str(tmp_path / "located.py"))
    assert states(run(located)) == {"name": "succeeded"}
    assert states(run(located)) == {"name": "cached"}


def test_a_run_that_the_engine_breaks_off_does_not_stay_running(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: Any) -> None:
        raise penstock.StoreError("the disk is on fire")

    with monkeypatch.context() as patched:
        patched.setattr("penstock.executors.inline.InlineExecutor.poll", broken)
        with pytest.raises(penstock.StoreError, match="on fire"):
            run(squares_of_known)
    with Services().store() as store:
        assert store.find("latest").state == "failed"
