"""When a recorded result is used, and what makes it another one."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sample_runs import calls, count_calls, states

import penstock
from penstock import DefinitionError, current, pipeline, repeat, task, unmapped
from penstock.app import Services
from penstock.runtime.run import Run

pytestmark = pytest.mark.usefixtures("home")


@task
def count(value: Any = 1) -> Any:
    count_calls("count")
    return value


@task
def double(number: int) -> int:
    return 2 * number


@task
def fit(depth: int, seed: int = 0, verbose: bool = False) -> int:
    count_calls("fit")
    return depth


def run(subject: penstock.Pipeline[..., Any], parameters: dict[str, Any] | None = None, **options: Any) -> Run:
    return subject.options(executor="inline", progress=False, **options).run(**(parameters or {}))


def one(node: Any) -> penstock.Pipeline[..., Any]:
    """A pipeline of one node, which a function makes."""

    @pipeline(name="one")
    def made() -> Any:
        return node()

    return made


def notices(ended: Run) -> list[str]:
    with Services().store() as store:
        return [line.line.text for _, line in store.lines(ended.run_id) if line.line.stream == "notice"]


def age(seconds: float) -> None:
    """Let everything in the cache be older."""
    with closing(sqlite3.connect(Services().project.database)) as connection, connection:
        connection.execute("UPDATE results SET created_at = created_at - ?", (seconds,))


def runs() -> list[Any]:
    with Services().store() as store:
        return store.runs()


def state(subject: Any, **options: Any) -> str:
    """How the one node of a pipeline ended."""
    (found,) = states(run(subject, **options)).values()
    return found


# Of a task.


def test_a_result_is_used_for_its_lifetime_and_then_replaced() -> None:
    fresh = one(count.options(cache_for="1h"))
    assert state(fresh) == "succeeded"
    age(3000)
    assert state(fresh) == "cached"
    age(1000)
    assert state(one(count)) == "cached"
    assert state(fresh) == "succeeded"
    assert state(fresh) == "cached"
    assert calls("count") == 2


def test_a_version_is_a_part_of_the_code() -> None:
    assert state(one(count)) == "succeeded"
    assert state(one(count.options(version="2"))) == "succeeded"
    assert state(one(count.options(version="2"))) == "cached"
    assert state(one(count.options(version="3"))) == "succeeded"
    assert state(one(count.options(version=None))) == "cached"


def test_ignored_inputs_do_not_count() -> None:
    quick = fit.options(cache_ignore=["verbose"])
    assert state(one(lambda: quick(1, verbose=True))) == "succeeded"
    assert state(one(lambda: quick(1, verbose=False))) == "cached"
    assert state(one(lambda: quick(1))) == "cached"
    assert state(one(lambda: quick(2))) == "succeeded"
    assert run(one(lambda: quick.map([1, 3, 2], verbose=unmapped(True)))).result == [1, 3, 2]
    assert calls("fit") == 3


def test_a_key_counts_in_place_of_the_inputs() -> None:
    keyed = fit.options(cache_key=lambda depth, seed: depth // 10 + seed)
    assert state(one(lambda: keyed(11))) == "succeeded"
    assert run(one(lambda: keyed(12))).result == 11
    assert state(one(lambda: keyed(12, seed=1))) == "succeeded"
    assert state(one(lambda: keyed(21, seed=0))) == "cached"
    assert run(one(lambda: keyed.map([12, 33]))).result == [11, 33]
    assert run(one(lambda: keyed.map([38, 14]))).result == [33, 11]


def test_a_key_may_take_all_inputs_and_is_called_with_the_values_of_earlier_tasks() -> None:
    def key(**inputs: Any) -> list[str]:
        seen.append(inputs)
        return sorted(inputs)

    seen: list[dict[str, Any]] = []
    keyed = fit.options(cache_key=key)
    assert run(one(lambda: keyed(double(4), verbose=True))).result == 8
    assert seen == [{"depth": 8, "seed": 0, "verbose": True}]
    assert states(run(one(lambda: keyed(double(5), verbose=True)))) == {"double": "succeeded", "fit": "cached"}


def test_a_key_that_fails_is_the_failure_of_its_node() -> None:
    def key(depth: int) -> int:
        return 1 // depth

    ended = run(one(lambda: [fit.options(cache_key=key)(0), count()]))
    assert states(ended) == {"fit": "failed", "count": "succeeded"}
    with pytest.raises(ZeroDivisionError):
        _ = ended.result
    with Services().store() as store:
        (fault,) = [each.fault for each in store.attempts(ended.run_id) if each.fault is not None]
    assert "return 1 // depth" in fault.traceback
    assert "src/penstock" not in fault.traceback


@pytest.mark.parametrize(("answer", "message"), [(None, "returned None"), ((i for i in ()), "cannot be hashed")])
def test_a_key_has_to_be_something_that_counts(answer: Any, message: str) -> None:
    ended = run(one(lambda: fit.options(cache_key=lambda depth: answer)(1)))
    assert message in str(ended.task("fit").error)
    assert calls("fit") == 0


@pytest.mark.parametrize("place", ["table.txt", "folder"])
def test_what_a_task_reads_counts(tmp_path: Path, place: str) -> None:
    file = tmp_path / place / "table.txt" if place == "folder" else tmp_path / place
    file.parent.mkdir(exist_ok=True)

    def write(text: str) -> None:
        file.write_text(text)

    reading = one(count.options(reads=[place]))
    write("1")
    assert state(reading) == "succeeded"
    assert state(reading) == "cached"
    write("2")
    assert state(reading) == "succeeded"
    write("1")
    assert state(reading) == "cached"
    if place == "folder":
        (file.parent / ".hidden").write_text("x")
        assert state(reading) == "cached"
        (file.parent / "more.txt").write_text("x")
        assert state(reading) == "succeeded"


def test_what_was_read_is_recorded(tmp_path: Path) -> None:
    (tmp_path / "table.txt").write_text("1")
    ended = run(one(count.options(reads="table.txt")))
    with Services().store() as store:
        assert list(store.basis(ended.run_id).files) == [str(tmp_path / "table.txt")]


def test_a_file_that_is_not_there_is_told_before_anything_runs() -> None:
    with pytest.raises(DefinitionError, match=r"count reads .*gone\.txt, and there is no such file"):
        run(one(count.options(reads="gone.txt")))
    assert runs() == []


@task
def write_file(text: str, to: str) -> str:
    Path(to).write_text(text)
    return to


def test_a_file_may_be_made_by_an_earlier_task(tmp_path: Path) -> None:
    @pipeline
    def made(text: str, to: str = "made.txt") -> Any:
        written = write_file.options(cache=False)(text, to)
        return count.options(reads="made.txt", after=written)()

    assert states(run(made, {"text": "a"})) == {"write_file": "succeeded", "count": "succeeded"}
    assert states(run(made, {"text": "a"})) == {"write_file": "succeeded", "count": "cached"}
    assert states(run(made, {"text": "b"})) == {"write_file": "succeeded", "count": "succeeded"}
    (tmp_path / "made.txt").unlink()
    ended = run(made, {"text": "b", "to": "other.txt"})
    assert states(ended) == {"write_file": "succeeded", "count": "failed"}
    assert "which cannot be read: No such file" in str(ended.task("count").error)


def test_a_body_sees_the_file_as_it_is_in_every_turn() -> None:
    Path("turn.txt").write_text("0")

    @task(cache=False)
    def change(number: int) -> int:
        Path("turn.txt").write_text(str(number + 1))
        return number + 1

    @task(reads="turn.txt")
    def look(constant: int) -> str:
        return Path("turn.txt").read_text()

    @pipeline
    def turn(number: int) -> dict[str, Any]:
        changed = change(number)
        return {"number": changed, "seen": look.options(after=changed)(7)}

    @pipeline
    def turning() -> Any:
        return repeat(turn, maximum=3, carry=["number"])(number=0)["seen"]

    assert run(turning).result == "3"


def test_effects_are_never_cached() -> None:
    sending = one(count.options(effects=True))
    assert (state(sending), state(sending)) == ("succeeded", "succeeded")
    assert state(one(count)) == "succeeded"
    assert state(one(count.options(effects=True))) == "succeeded"
    assert run(one(count.options(effects=True)), only_cached=True).state == "failed"


def test_what_is_refreshed_runs_and_is_recorded_again() -> None:
    @task
    def draw() -> int:
        return count_calls("draw")

    found = [run(one(draw.options(refresh=anew))).result for anew in (False, False, True, False)]
    assert found == [1, 1, 2, 2]


def test_options_come_from_the_defaults_of_a_pipeline_too() -> None:
    @pipeline(defaults={"version": "a", "cache_ignore": ["verbose"], "cache_for": 60, "effects": False})
    def whole(verbose: bool) -> Any:
        return fit(1, verbose=verbose), count.options(version="b")()

    assert set(states(run(whole, {"verbose": True})).values()) == {"succeeded"}
    assert set(states(run(whole, {"verbose": False})).values()) == {"cached"}
    assert state(one(lambda: fit(1, verbose=True))) == "succeeded"


# Of what ended otherwise.


def test_the_same_output_stops_the_wave() -> None:
    @task
    def rounded(number: float) -> int:
        return round(number)

    @pipeline
    def waves(number: float) -> int:
        return double(count(rounded(number)))

    run(waves, {"number": 2.1})
    second = run(waves, {"number": 1.9})
    assert states(second) == {"rounded": "succeeded", "count": "cached", "double": "cached"}


def test_failed_attempts_and_fallbacks_are_not_cached() -> None:
    @task
    def flaky(value: int) -> int:
        if count_calls("failures") < 3:
            raise ValueError("not yet")
        return value

    @task
    def negative(value: int) -> int:
        return -value

    assert run(one(lambda: flaky.options(fallback=negative)(5))).result == -5
    assert run(one(lambda: flaky.options(fallback=0)(5))).result == 0
    ended = run(one(lambda: flaky(5)))
    assert (ended.result, states(ended)) == (5, {"flaky": "succeeded"})
    assert state(one(lambda: flaky(5))) == "cached"


def test_the_same_computation_is_the_same_wherever_it_stands() -> None:
    @pipeline
    def part(n: int) -> Any:
        return fit(n, seed=3)

    run(one(lambda: fit(7, seed=3)))
    assert states(run(one(lambda: fit.map([7], seed=unmapped(3)))))["fit[0]"] == "cached"
    assert states(run(one(lambda: fit.map_kwargs([{"seed": 3, "depth": 7}]))))["fit[0]"] == "cached"
    assert states(run(one(lambda: part.map([7]))))["part[0]/fit"] == "cached"
    assert calls("fit") == 1


@task
def large(size: int) -> bytes:
    count_calls("large")
    return bytes(size)


def test_a_result_that_is_damaged_is_made_again_and_replaced(home: Path) -> None:
    sizes = one(lambda: large(100_000))
    run(sizes)
    (blob,) = [file for file in (home / "blobs").rglob("*") if file.is_file() and file.stat().st_size >= 100_000]
    blob.chmod(0o600)
    blob.write_bytes(b"x" * blob.stat().st_size)
    assert run(sizes).result == bytes(100_000)
    assert state(sizes) == "cached"
    assert calls("large") == 2


# What cannot be hashed.


def odd(factor: int) -> Callable[[int], int]:
    """A function that has no digest of its own."""

    def again(n: int) -> int:
        return again(n - 1) * factor if n else 1

    return again


@task
def apply(function: Callable[[int], int], times: int = 3) -> int:
    count_calls("apply")
    return function(times)


def test_an_input_that_cannot_be_hashed_runs_uncached_and_says_so() -> None:
    applied = one(lambda: apply(odd(2)))
    first, second = run(applied), run(applied)
    assert (first.result, states(first), states(second)) == (8, {"apply": "succeeded"}, {"apply": "succeeded"})
    (told,) = [text for text in notices(second) if "uncached" in text]
    assert "its input 'function'" in told
    assert "cache_key=" in told
    ways: list[Any] = [{"cache_key": lambda times: times}, {"cache_ignore": ["function"]}]
    for way in ways:
        counted = one(lambda way=way: apply.options(**way)(odd(2)))
        assert (state(counted), state(counted)) == ("succeeded", "cached")


def test_items_that_cannot_be_hashed_are_told_of_once() -> None:
    ended = run(one(lambda: [apply.map([odd(1), odd(2)], times=unmapped(2)), count([odd(3)])]))
    told = sorted(text.split(":")[0] for text in notices(ended) if "uncached" in text)
    assert told == ["apply runs uncached", "count runs uncached"]


def test_an_output_that_cannot_be_hashed_is_told_of() -> None:
    @task
    def makes() -> Callable[[int], int]:
        return odd(2)

    applied = one(lambda: apply(makes()))
    first = run(applied)
    assert first.result == 8
    assert any("runs again whenever this task does" in text for text in notices(first))
    assert states(run(applied)) == {"makes": "cached", "apply": "cached"}


def test_why_it_ran_counts_the_age_from_the_attempt_that_made_the_result() -> None:
    fresh = one(count.options(cache_for="1h"))
    made, taken = run(fresh), run(fresh)
    assert taken.task("count").state == "cached"
    age(4000)
    with closing(sqlite3.connect(Services().project.database)) as connection, connection:
        connection.execute("UPDATE attempts SET started_at = started_at - 4000 WHERE state = 'succeeded'")
    ran = run(fresh)
    reason = ran.why("count").ran
    assert reason is not None
    assert (reason.cause, reason.run_id) == ("expired", taken.run_id)
    assert "is older than 1 h (cache_for)" in reason.text
    with Services().store() as store:
        store.remove([made.run_id])
    # the result that was made then has another in its place, and nothing tells how old it was
    reason = penstock.find_run(ran.run_id).why("count").ran
    assert reason is not None
    took = f"the result that run {taken.run_id} took from the cache is older than 1 h by now, or gone (cache_for)"
    assert reason.text == took


# Of a run.


@pipeline
def inner(n: int) -> int:
    return double(count(n))


@pipeline
def several() -> Any:
    return fit.map({"one": 1, "two": 2}), inner.map([3, 4]), count.options(name="lone")(5)


def refreshed(*patterns: str, of: Any = several) -> set[str]:
    ended = run(of, refresh=patterns)
    return {name for name, found in states(ended).items() if found == "succeeded" and ended.task(name).attempts}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("fit", {"fit[one]", "fit[two]"}),
        ("fit[1]", {"fit[two]"}),
        ("fit[one]", {"fit[one]"}),
        ("count", {"lone", "inner[0]/count", "inner[1]/count"}),
        ("inner/count", {"inner[0]/count", "inner[1]/count"}),
        ("inner[1]/count", {"inner[1]/count"}),
        ("inner[1]", {"inner[1]/count", "inner[1]/double"}),
        ("inner", {"inner[0]/count", "inner[0]/double", "inner[1]/count", "inner[1]/double"}),
        ("l?ne", {"lone"}),
        ("*/d*", {"inner[0]/double", "inner[1]/double"}),
    ],
)
def test_a_run_refreshes_what_a_pattern_means(pattern: str, expected: set[str]) -> None:
    run(several)
    found = {name for name in refreshed(pattern) if "/" in name or name not in ("inner[0]", "inner[1]")}
    assert found == expected


def test_a_run_refreshes_all() -> None:
    run(several)
    assert calls("count") == 3
    for everything in (True, "*"):
        run(several, refresh=everything)
    assert calls("count") == 9
    assert set(states(run(several)).values()) == {"cached", "succeeded"}
    assert calls("count") == 9


def test_a_pattern_that_means_nothing_is_refused() -> None:
    with pytest.raises(DefinitionError, match=r"nothing called 'fitt' to refresh in several; did you mean 'fit'\?"):
        run(several, refresh=["fit", "fitt"])
    with pytest.raises(DefinitionError, match="nothing called 'zzz'") as caught:
        run(several, refresh="zzz")
    assert "fit, inner, inner/count, count" in str(caught.value)
    assert runs() == []
    with pytest.raises(DefinitionError, match="refresh must be the ids of nodes"):
        several.options(refresh=[3])  # pyright: ignore[reportArgumentType]


def test_a_pattern_that_was_not_met_is_told_of_where_it_could_not_be_known_before() -> None:
    @pipeline
    def dynamic() -> Any:
        return double(2) if count(1) else fit(1)

    ended = run(dynamic, refresh=["fit", "double", "nothing"])
    assert ended.state == "succeeded"
    told = [text for text in notices(ended) if "refreshed" in text]
    assert [text.split(" was")[0] for text in told] == ["nothing called 'fit'", "nothing called 'nothing'"]
    patterns = ["fit[9]", "inner[7]", "inner[7]/count", "lone[1]"]
    assert notices(run(several, refresh=patterns)) == [
        f"nothing called {pattern!r} was reached, so that nothing was refreshed for it; {advice}"
        for pattern, advice in zip(
            patterns,
            [
                "there are fit[one], fit[two]",
                "there are inner[0], inner[1]",
                "there are inner[0]/count, inner[1]/count",
                "there is lone",
            ],
            strict=True,
        )
    ]


def test_only_cached_runs_nothing() -> None:
    run(one(lambda: count(1)))
    both = one(lambda: [count(1), double(count.options(name="other")(2)), fit.options(cache=False)(3)])
    ended = run(both, only_cached=True)
    assert states(ended) == {"count": "cached", "other": "failed", "double": "upstream_failed", "fit": "failed"}
    told = str(ended.task("other").error)
    assert "other was not run, since only recorded results are to be used, and nothing is recorded" in told
    assert "Run it without --only-cached (only_cached=True)." in told
    assert "it is never cached (cache=False)" in str(ended.task("fit").error)
    assert (calls("count"), calls("fit")) == (1, 0)


def test_only_cached_takes_no_fallback_and_no_old_result() -> None:
    assert run(one(lambda: count.options(fallback=2)(1)), only_cached=True).state == "failed"
    fresh = one(lambda: count.options(cache_for=60)(1))
    run(fresh)
    assert state(fresh, only_cached=True) == "cached"
    age(100)
    ended = run(fresh, only_cached=True)
    assert "older than 1 min (cache_for)" in str(ended.task("count").error)


@pytest.mark.parametrize("other", [{"refresh": "fit"}, {"cache": False}])
def test_only_cached_contradicts_what_asks_for_running(other: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError, match="only_cached runs nothing"):
        several.options(only_cached=True, **other)


def test_a_result_is_taken_with_what_it_logged_when_it_was_made() -> None:
    @task(cache_for="1d")
    def logs() -> int:
        current().log_metric("accuracy", 0.5)
        return 1

    run(one(logs))
    again = run(one(logs))
    assert (states(again), again.metrics) == ({"logs": "cached"}, {"accuracy": 0.5})
