"""Plans: what a run would do, before it does it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sample_runs import branching, count_calls, describe, double, fail, numbers_up_to, one, run, total

import penstock
from penstock import DefinitionError, Plan, approval, choose, otherwise, pipeline, repeat, task, value, wait, when
from penstock.cli.plan_view import plan_view
from penstock.cli.renderables import rendered


def plan(subject: penstock.Pipeline[..., Any], **parameters: Any) -> Plan:
    return subject.options(executor="inline", progress=False).plan(**parameters)


def states(planned: Plan) -> dict[str, str]:
    return {task.id: task.state for task in planned.tasks}


def files(home: Path) -> dict[str, bytes]:
    """What is in the folders of a project, but for what SQLite itself keeps beside its file."""
    found = (file for file in home.parent.rglob("*") if file.is_file())
    return {str(file): file.read_bytes() for file in found if not file.name.endswith(("-shm", "-wal"))}


@pytest.fixture(autouse=True)
def in_a_project(home: Path) -> Iterator[None]:
    """Every test has a project of its own, in which planning by itself leaves nothing behind."""
    yield
    assert not home.exists() or (home / "penstock.db").exists()


@task
def add(left: int, right: int) -> int:
    return left + right


@wait
def is_there() -> bool:
    return True


# What is told.


@pipeline
def sums(n: int = 3, more: int = 1) -> int:
    return total(add.partial(right=more).map(left=numbers_up_to(n)))


def test_what_never_ran_would_run_and_what_follows_is_not_known() -> None:
    planned = plan(sums)
    assert states(planned) == {"numbers_up_to": "would_run", "add": "unknown", "total": "unknown"}
    assert [task.waits_for for task in planned.tasks] == [(), ("numbers_up_to",), ("numbers_up_to",)]
    assert planned.task("numbers_up_to").reason is not None
    assert planned.task("numbers_up_to").reason.cause == "first"  # type: ignore[union-attr]
    assert (planned.expected, planned.unmeasured) == (None, 3)
    assert repr(planned) == "<plan of sums: 1 to run, 2 not yet known>"


@task
def placed(name: str) -> str:
    return os.environ.get(name, "nowhere")


def test_what_cannot_be_seen_of_code_that_has_never_run_is_told() -> None:
    @pipeline
    def found(name: str = "PLACE") -> list[str]:
        return [placed(name), placed.options(name="live", cache=False)(name)]

    planned = plan(found)
    [limit] = planned.task("placed").limits
    assert "os.environ reads environment variables" in limit
    assert planned.task("live").limits == ()
    assert planned.document["tasks"][0]["limits"] == [limit]
    assert f"    note: {limit}" in rendered(plan_view(planned.document), width=500).splitlines()
    run(found)
    assert plan(found, name="OTHER").task("placed").limits == ()


def test_what_is_left_out_will_be_skipped_though_what_it_needs_would_fail() -> None:
    @pipeline
    def leaving(n: int = 0) -> None:
        with when(10 / n > 1):
            up_to = numbers_up_to(n)
        with when(n > 5):
            total.options(name="left_out")(up_to)
        with otherwise():
            total.options(name="taken")(up_to)

    planned = plan(leaving)
    assert states(planned) == {"numbers_up_to": "would_fail", "left_out": "skipped", "taken": "upstream_failed"}
    assert planned.task("left_out").note == "the condition n > 5 does not hold"


def test_what_is_recorded_is_cached() -> None:
    run(sums)
    planned = plan(sums)
    assert planned.cached == ["numbers_up_to", "add[0]", "add[1]", "add[2]", "total"]
    assert (planned.would_run, planned.unknown) == ([], [])
    assert repr(planned) == "<plan of sums: nothing to run, 5 cached>"


def test_new_items_of_a_fan_out_are_told_apart() -> None:
    run(sums)
    run(numbers_alone, n=5)
    planned = plan(sums, n=5)
    add = planned.task("add")
    assert add.items is not None
    assert dict(add.items.counts) == {"cached": 3, "would_run": 2}
    assert planned.would_run == ["add[3]", "add[4]"]
    assert [(told.reason.cause, told.tasks) for told in add.reasons] == [("first", ("add[3]", "add[4]"))]
    assert planned.unknown == ["total"]
    assert add.document()["items"] == {
        "count": 5,
        "more": False,
        "cached": 3,
        "would_run": 2,
        "which": {"would_run": ["add[3]", "add[4]"]},
    }


@pipeline
def numbers_alone(n: int) -> list[int]:
    return numbers_up_to(n)


def test_the_reason_names_what_differs() -> None:
    ran = run(sums)
    [told] = plan(sums, more=2).task("add").reasons
    assert told.tasks == ("add[0]", "add[1]", "add[2]")
    assert (told.reason.cause, told.reason.run_id) == ("differs", ran.run_id)
    [difference] = told.reason.differences
    assert (difference.kind, difference.name, difference.before, difference.after) == ("parameter", "more", "1", "2")


def test_items_with_different_reasons_are_told_apart() -> None:
    @pipeline
    def mapped(numbers: list[int]) -> list[int]:
        return add.partial(right=1).map(left=numbers)

    run(mapped, numbers=[1, 2, 3])
    planned = plan(mapped, numbers=[1, 7, 8, 4])
    reasons = planned.task("add").reasons
    assert [(told.reason.cause, told.tasks) for told in reasons] == [
        ("differs", ("add[1]", "add[2]")),
        ("first", ("add[3]",)),
    ]


# Why there is no result.


@task(cache=False)
def never_kept() -> int:
    return 1


@task(cache_for=0.000001)
def short_lived() -> int:
    return 1


@task
def large() -> bytes:
    return b"x" * 10_000


def causes(planned: Plan) -> dict[str, str]:
    return {task.id: task.reason.cause for task in planned.tasks if task.reason is not None}


def test_what_keeps_a_recorded_result_from_being_used(home: Path) -> None:
    @pipeline
    def mixed() -> Any:
        return [one(), never_kept(), short_lived(), large(), double(3)]

    run(mixed)
    for blob in (home / "blobs").rglob("*"):
        if blob.is_file():
            blob.unlink()
    found = causes(plan(mixed.options(refresh=["one"])))
    assert found == {"one": "refreshed", "never_kept": "never_cached", "short_lived": "expired", "large": "gone"}
    assert set(causes(plan(mixed.options(cache=False))).values()) == {"no_cache", "never_cached"}


def test_only_cached_would_fail_where_nothing_is_recorded() -> None:
    planned = plan(sums.options(only_cached=True))
    assert states(planned) == {"numbers_up_to": "would_fail", "add": "upstream_failed", "total": "upstream_failed"}
    assert planned.task("numbers_up_to").note == (
        "numbers_up_to was not run, since only recorded results are to be used, and nothing is recorded of this code with "
        "these inputs. Run it without --only-cached (only_cached=True)"
    )
    assert planned.task("add").note == "numbers_up_to failed"
    assert planned.task("total").note == "add was not reached"


# Shapes.


def test_a_branch_is_decided_as_soon_as_its_condition_is_recorded() -> None:
    assert states(plan(branching))["counted"] == "unknown"
    run(branching)
    planned = plan(branching, threshold=0.9)
    assert states(planned) == {
        "evaluate": "cached",
        "counted": "skipped",
        "apology": "would_run",
        "double": "unknown",
    }
    assert planned.task("counted").note == "the condition evaluate.accuracy >= threshold does not hold"


def test_a_body_is_followed_into() -> None:
    @pipeline
    def part(x: int) -> int:
        return double.options(name="again")(double(x))

    @pipeline
    def whole(numbers: list[int]) -> list[int]:
        return part.options(max_parallel=1).map(x=numbers)

    run(whole, numbers=[1])
    planned = plan(whole, numbers=[1, 5, 6])
    assert states(planned) == {
        "part": "would_run",
        "part[0]/double": "cached",
        "part[0]/again": "cached",
        "part[1]/double": "would_run",
        "part[1]/again": "unknown",
        "part[2]/double": "would_run",
        "part[2]/again": "unknown",
    }
    part_of = planned.task("part")
    assert part_of.items is not None
    assert part_of.items.states == ("cached", "would_run", "would_run")
    assert planned.task("part[1]/again").waits_for == ("part[1]/double",)
    assert planned.task("part[1]/again").path == "part/again"
    assert planned.counts == {"cached": 2, "would_run": 2, "unknown": 2}, "a body counts by what is in it"


def test_a_loop_is_followed_turn_by_turn() -> None:
    @pipeline
    def step(x: int) -> int:
        return double(x)

    @pipeline
    def grown(x: int = 1) -> int:
        return repeat(step, until=lambda result: result >= 5, maximum=9)(x=x)

    run(grown)
    assert plan(grown).cached == ["step[0]/double", "step[1]/double", "step[2]/double"]
    assert plan(grown, x=2).cached == ["step[0]/double", "step[1]/double"]
    assert states(plan(grown, x=3)) == {"step": "would_run", "step[0]/double": "would_run"}


def test_a_dynamic_body_goes_on_until_it_needs_what_is_not_there() -> None:
    @pipeline
    def adapt(n: int = 2) -> str:
        found = 0
        for number in numbers_up_to(n):
            found += value(double(number))
        if value(add(found, 1)) > 3:
            return describe("large")
        return describe("small")

    at = adapt.function.__code__.co_firstlineno
    first = plan(adapt)
    assert (first.would_run, first.waits_for) == (["numbers_up_to"], ("numbers_up_to",))
    assert first.dynamic_at.endswith(f"{Path(__file__).name}:{at + 3}")
    run(adapt)
    assert plan(adapt).dynamic_at == ""
    assert plan(adapt).cached == ["numbers_up_to", "double", "double-2", "add", "describe"]
    later = plan(adapt.options(refresh=["add"]))
    assert (later.would_run, later.waits_for) == (["add"], ("add",))
    assert later.dynamic_at.endswith(f":{at + 5}")
    assert later.document["dynamic_at"] == later.dynamic_at


def test_questions_and_waits_are_told() -> None:
    ask = approval("Ship it?")

    @pipeline
    def shipped() -> Any:
        there = is_there()
        return describe.options(after=[ask(number=one()), there])(1)

    run(one_alone)
    planned = plan(shipped)
    assert sorted(states(planned).values()) == ["asks", "cached", "unknown", "waits"]
    asked = next(task for task in planned.tasks if task.state == "asks")
    assert asked.note == "Ship it?"
    assert len(planned.task("describe").waits_for) == 2


@pipeline
def one_alone() -> int:
    return one()


def test_nothing_to_map_over() -> None:
    run(sums, n=0)
    planned = plan(sums, n=0)
    assert states(planned) == {"numbers_up_to": "cached", "add": "empty", "total": "cached"}


# Failures.


def test_what_is_bound_to_fail_is_told() -> None:
    @pipeline
    def broken() -> int:
        with when(one() / 0 > 1):
            a = double(1)
        with otherwise():
            b = double(2)
        return choose(a, b)

    run(one_alone)
    planned = plan(broken)
    assert states(planned)["double"] == "would_fail"
    assert "ZeroDivisionError" in planned.task("double").note


def test_a_body_that_raises_is_told() -> None:
    @pipeline
    def broken() -> int:
        if value(one()) == 1:
            raise LookupError("there is no such model")
        return one()

    run(one_alone)
    planned = plan(broken)
    assert planned.failure == "LookupError: there is no such model"
    assert planned.document["error"] == planned.failure


def test_a_wrong_definition_is_refused_as_in_a_run() -> None:
    @task(pools={"nowhere": 1})
    def pooled() -> int:
        return 1

    @pipeline
    def wrong() -> int:
        return pooled()

    with pytest.raises(DefinitionError, match="nowhere"):
        plan(wrong)
    with pytest.raises(DefinitionError, match="there is nothing called 'nothing' to refresh"):
        plan(sums.options(refresh=["nothing"]))
    with pytest.raises(DefinitionError, match="there is no such parameter"):
        plan(sums, unknown=1)

    @pipeline
    def inside() -> Any:
        return sums.plan()

    with pytest.raises(DefinitionError, match=r"sums\.plan\(\) is used in the body"):
        plan(inside)


def test_nothing_is_run_and_no_failure_is_recorded() -> None:
    @task
    def counting() -> int:
        return count_calls("counting")

    @pipeline
    def watched() -> int:
        return fail.options(after=counting())("no")

    plan(watched)
    assert not Path("counting").exists()


# What is left behind.


def test_planning_writes_nothing(home: Path) -> None:
    @pipeline
    def stored(text: str) -> Any:
        data = large()
        note = describe(text)
        if value(data):
            return describe.options(name="more")([note, text * 3000])
        return None

    before = files(home)
    plan(stored, text="x" * 10_000)
    assert not home.exists(), "no store is made"
    assert files(home) == before
    run(stored, text="a")
    before = files(home)
    assert plan(stored, text="x" * 10_000).would_run
    assert plan(stored, text="a").would_run == []
    assert files(home) == before


def test_files_that_tasks_are_given_or_declare_are_read_and_no_more(home: Path) -> None:
    given, declared = home.parent / "given.bin", home.parent / "declared.txt"
    given.write_bytes(bytes(9 << 20))
    declared.write_text("one")
    for file in (given, declared):
        os.utime(file, (1_700_000_000, 1_700_000_000))

    @task(reads=str(declared))
    def sized(file: Path) -> int:
        return file.stat().st_size

    @pipeline
    def reading(file: Path = given) -> int:
        return sized(file)

    run(reading)
    declared.write_text("two")
    before = files(home)
    assert [each.kind for each in plan(reading).task("sized").reason.differences] == ["file"]  # type: ignore[union-attr]
    declared.write_text("one")
    given.write_bytes(bytes(10 << 20))
    assert plan(reading).would_run == ["sized"]
    given.write_bytes(bytes(9 << 20))
    declared.write_text("two")
    assert files(home) == before


def test_a_damaged_result_would_be_made_anew_and_is_left_as_it_is(home: Path) -> None:
    @pipeline
    def stored() -> Any:
        return large()

    run(stored)
    [blob] = [file for file in (home / "blobs").rglob("*") if file.is_file()]
    blob.chmod(0o600)
    blob.write_bytes(b"other bytes")
    before = files(home)
    assert causes(plan(stored)) == {"large": "gone"}
    assert files(home) == before
    run(stored)
    accessed = blob.stat().st_atime_ns
    assert plan(stored).cached == ["large"]
    assert blob.stat().st_atime_ns == accessed, "looking does not keep it from being collected"


def test_files_that_a_body_looks_at_are_laid_out_elsewhere(home: Path) -> None:
    @task
    def written() -> Path:
        file = Path("note.txt").absolute()
        file.write_text("hello")
        return file

    @pipeline
    def read() -> str:
        return describe(value(written()).read_text())

    run(read)
    for path in sorted((home / "files").rglob("*"), reverse=True):
        path.chmod(0o700)
        path.unlink() if path.is_file() else path.rmdir()
    before = files(home)
    assert plan(read).cached == ["written", "describe"]
    assert files(home) == before


# Time and memory.


def took(home: Path, seconds: float, memory: int, like: str = "%") -> None:
    """Let the attempts of all runs so far have taken so long, and so much."""
    with sqlite3.connect(home / "penstock.db") as connection:
        connection.execute(
            "UPDATE attempts SET duration = ?, peak_memory = ? WHERE node LIKE ? AND attempt > 0",
            (seconds, memory, like),
        )
    connection.close()


def test_the_expected_time_is_that_of_earlier_runs_on_these_workers(home: Path) -> None:
    run(sums, n=4)
    took(home, 10.0, 5_000_000)
    planned = sums.options(cache=False, workers=2, progress=False).plan(n=4)
    # a list, then whatever is mapped over it, taken to be four as before, then a sum
    assert planned.expected == pytest.approx(10 + 4 * 10 / 2 + 10)
    assert planned.unmeasured == 0
    first = planned.task("numbers_up_to")
    assert (first.expected_s, first.expected_memory) == (10.0, 5_000_000)
    assert planned.task("add").expected_s == pytest.approx(20)
    assert plan(sums, n=4).expected is None, "nothing would run"


def test_the_expected_time_is_no_shorter_than_all_the_work(home: Path) -> None:
    @pipeline
    def wide() -> Any:
        return [double.options(name=f"d{number}")(number) for number in range(6)]

    run(wide)
    took(home, 4.0, 1)
    refreshed = wide.options(cache=False, progress=False)
    assert refreshed.options(workers=2).plan().expected == pytest.approx(12)
    assert refreshed.options(workers=6).plan().expected == pytest.approx(4)
    assert refreshed.options(executor="inline").plan().expected == pytest.approx(24)


def test_what_is_in_bodies_is_measured_by_its_place_in_them(home: Path) -> None:
    @pipeline
    def part(x: int) -> int:
        return double.options(name="again")(double(x))

    @pipeline
    def whole(numbers: list[int]) -> list[int]:
        return part.map(x=numbers)

    run(whole, numbers=[1, 2])
    took(home, 3.0, 7, "part%/double")
    took(home, 5.0, 9, "part%/again")
    planned = whole.options(workers=3, progress=False).plan(numbers=[7, 8, 9])
    assert planned.expected == pytest.approx(8)
    assert planned.task("part[2]/again").expected_memory == 9


# For people.


def test_a_notebook_shows_a_table_of_it() -> None:
    run(sums)
    page = plan(sums, more=2)._repr_html_()
    assert "<td>add</td><td>would run</td>" in page
    assert "parameter more changed" in page
