"""Runs that failed go on with what they have, and tasks of runs are run again, from Python."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from penstock import (
    Approval,
    Outcome,
    approval,
    current,
    find_run,
    on_exit,
    pipeline,
    repeat,
    scope,
    task,
    wait,
    when,
)
from penstock.app import Services
from penstock.errors import DefinitionError, NotFoundError, StoreError
from penstock.model.generation import Choice, recorded
from penstock.model.graph import from_json
from penstock.model.run import RunState
from penstock.runtime.surroundings.processes import driver_name, this_process


def note(name: str) -> None:
    with Path("calls").open("a") as file:
        file.write(f"{name}\n")


def calls() -> Counter[str]:
    """What was called since this was last asked."""
    file = Path("calls")
    found = Counter(file.read_text().split("\n")[:-1]) if file.exists() else Counter[str]()
    file.unlink(missing_ok=True)
    return found


def mend() -> None:
    Path("mended").touch()


def check() -> None:
    if not Path("mended").exists():
        raise ValueError("not yet")


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "state"))


def inline(of: Any) -> Any:
    return of.options(executor="inline", progress=False)


def states(run: Any) -> dict[str, str]:
    return {each.id: each.state for each in run.tasks}


@task(cache=False)
def load(n: int) -> list[int]:
    note("load")
    current().log_metric("rows", n)
    return list(range(n))


@task(effects=True)
def send(rows: list[int]) -> int:
    note("send")
    current().log_artifact("sent", rows)
    return len(rows)


@task
def train(rows: list[int], sent: int) -> int:
    note("train")
    check()
    return sum(rows) + sent


@task
def report(score: int) -> str:
    note("report")
    return f"score {score}"


@pipeline
def training(n: int = 3) -> str:
    rows = load(n)
    return report(train(rows, send(rows)))


def test_a_failed_run_goes_on_with_what_it_has() -> None:
    run = inline(training).run(n=4)
    assert run.state == "failed"
    run.tag("release")
    calls()
    mend()
    again = inline(training).resume()
    assert (again.run_id, again.state, again.result) == (run.run_id, "succeeded", "score 10")
    assert calls() == {"train": 1, "report": 1}
    assert states(again) == {"load": "cached", "send": "cached", "train": "succeeded", "report": "succeeded"}
    assert again.parameters == {"n": 4}
    assert again.tags == ("release",)
    # what the kept ones logged still shows
    assert again.metrics == {"rows": 4.0}
    assert [each["name"] for each in again.document["artifacts"]] == ["sent"]
    document = {each["id"]: each for each in again.document["tasks"]}
    assert (document["load"]["kept_from"], document["load"]["reason"]) == (1, "kept from generation 1")
    assert document["load"]["cached_from"] == f"{run.run_id}.1"
    assert (again.document["generation"], again.document["generations"]) == (2, 2)


def test_earlier_generations_stay() -> None:
    run = inline(training).run()
    mend()
    again = inline(training).resume(run.run_id)
    earlier = find_run(f"{run.run_id}.1")
    assert (earlier.state, earlier.task("train").state) == ("failed", "failed")
    assert earlier.document["generations"] == 2
    assert [each.id for each in again.diff().tasks] == [each.id for each in again.diff(earlier).tasks]
    assert {"train", "report"} <= {each.id for each in again.diff().tasks}
    with Services().existing_store() as store:
        assert [each.run_id for each in store.runs()] == [run.run_id]
    with pytest.raises(StoreError, match="generation 1 of run") as refused:
        inline(training).retry(earlier.run_id)
    assert run.run_id in (refused.value.remedy or "")


def test_why_tells_of_generations() -> None:
    inline(training).run()
    mend()
    run = inline(training).resume()
    assert run.why("load").summary.startswith("kept from generation 1: its code, inputs and settings")
    assert run.why("train").summary == "it ran because it failed in generation 1: ValueError: not yet"
    assert run.why("report").summary == "it ran because it was not reached in generation 1"
    again = run.retry("train")
    assert again.why("train").summary == "it ran because it was to run again (retry)"
    assert again.why("report").summary == "it ran because it depends on what was to run again (retry)"
    assert again.why("send").summary.startswith("kept from generation 1")


def test_a_cell_that_was_kept_twice_tells_where_it_was_made() -> None:
    inline(training).run()
    mend()
    inline(training).resume()
    run = inline(training).retry("latest", "report")
    document = {each["id"]: each.get("kept_from") for each in run.document["tasks"]}
    assert document == {"load": 1, "send": 1, "train": 2, "report": None}
    assert run.metrics == {"rows": 3.0}
    assert run.document["earlier"] == [f"{run.run_id}.1", f"{run.run_id}.2"]


def test_what_is_to_be_kept_or_made_anew() -> None:
    run = inline(training).run()
    mend()
    calls()
    inline(training).resume(run.run_id, invalidate="load")
    # what it returns is the same, and so is what follows from it
    assert calls() == {"load": 1, "train": 1, "report": 1}
    inline(training).retry(run.run_id, "send", keep=["train", "report"])
    assert calls() == {"send": 1}
    assert find_run().why("train").summary.endswith("(--keep)")


def test_choices_that_cannot_be() -> None:
    run = inline(training).run()
    resume = inline(training).resume
    with pytest.raises(DefinitionError, match="there is nothing called 'lod' to keep") as unknown:
        resume(run.run_id, keep="lod")
    assert unknown.value.remedy == "Did you mean load?"
    with pytest.raises(DefinitionError, match="nothing called 'x' to invalidate"):
        resume(run.run_id, invalidate="x")
    with pytest.raises(DefinitionError, match="load is to be kept and to be invalidated"):
        resume(run.run_id, keep="l*", invalidate="load")
    with pytest.raises(DefinitionError, match="load is to be kept and to be run again"):
        inline(training).retry(run.run_id, "load", keep="load")
    with pytest.raises(DefinitionError, match=r"there is nothing to keep of train .* it is failed"):
        resume(run.run_id, keep="train")
    with pytest.raises(NotFoundError, match="no task 'trian'") as near:
        inline(training).retry(run.run_id, "trian")
    assert near.value.remedy == "Did you mean train?"
    with pytest.raises(DefinitionError, match="was looked up"):
        find_run().retry()
    assert find_run().document["generation"] == 1


def test_a_run_that_succeeded_is_retried_and_not_resumed() -> None:
    mend()
    run = inline(training).run()
    with pytest.raises(StoreError, match="has ended: it succeeded") as ended:
        inline(training).resume(run.run_id)
    assert "penstock retry" in (ended.value.remedy or "")
    with pytest.raises(NotFoundError, match="nothing failed"):
        run.retry()
    calls()
    assert run.retry("train").result == "score 6"
    assert calls() == {"train": 1, "report": 1}


def test_a_cancelled_run_goes_on() -> None:
    run = inline(releasing).run()
    assert run.cancel("enough").state == "cancelled"
    calls()
    mend()
    again = inline(releasing).resume(run.run_id)
    assert (again.state, states(again)["arrived"]) == ("paused", "cached")
    assert calls() == {}
    assert again.approve("sign_off", by="ada").result == "ada"


@task(cache=False)
def first(n: int) -> int:
    note("first")
    return n + 1


# Fan-outs, bodies, loops.


@task(cache=False)
def fit(x: int) -> int:
    note(f"fit {x}")
    if x == 3:
        check()
    return 10 * x


@task(cache=False)
def score(x: int) -> int:
    note(f"score {x}")
    return x + 1


@task(cache=False)
def total(xs: list[int]) -> int:
    note("total")
    return sum(xs)


@task(cache=False)
def choices() -> dict[str, int]:
    note("choices")
    return {"c": 4, "a": 1, "b": 2, "d": 3} if Path("mended").exists() else {"a": 1, "b": 2, "d": 3}


@task(cache=False)
def total_of(xs: Any) -> int:
    note("total")
    return sum(xs.values())


@pipeline
def keyed() -> int:
    return total_of(fit.map(x=choices()))


@pipeline
def numbered() -> int:
    return total(score.map(x=fit.map(x=[1, 2, 3])))


def test_items_are_the_same_by_what_they_are_called() -> None:
    run = inline(keyed).run()
    calls()
    mend()
    again = inline(keyed).resume(run.run_id, invalidate="choices")
    assert again.result == 100
    assert calls() == {"choices": 1, "fit 3": 1, "fit 4": 1, "total": 1}
    assert again.task("fit[a]").state == again.task("fit[b]").state == "cached"


def test_items_that_are_taken_over_one_by_one_depend_on_them_one_by_one() -> None:
    run = inline(numbered).run()
    assert calls() == {"fit 1": 1, "fit 2": 1, "fit 3": 1, "score 10": 1, "score 20": 1}
    mend()
    again = inline(numbered).retry(run.run_id)
    assert again.result == 63
    assert calls() == {"fit 3": 1, "score 30": 1, "total": 1}
    again.retry("fit[1]")
    assert calls() == {"fit 2": 1, "score 20": 1, "total": 1}


@pipeline
def fold(x: int) -> int:
    return score(fit(x))


@pipeline
def folds() -> int:
    return total(fold.map(x=[1, 2]))


def test_what_is_in_a_body_runs_again_with_all_that_depends_on_it() -> None:
    run = inline(folds).run()
    calls()
    run.retry("fold[1]/score")
    assert calls() == {"score 20": 1, "total": 1}
    run = find_run()
    inline(folds).retry(run.run_id, "fold[0]")
    assert calls() == {"fit 1": 1, "score 10": 1, "total": 1}
    inline(folds).retry(run.run_id, "fold*/fit")
    assert calls() == {"fit 1": 1, "fit 2": 1, "score 10": 1, "score 20": 1, "total": 1}


@pipeline
def step(x: int) -> int:
    return score(x)


@pipeline
def looped() -> int:
    return total([repeat(step, maximum=4, carry="x", name="steps")(x=0), first(1)])


def test_the_later_turns_of_a_loop_depend_on_those_before() -> None:
    run = inline(looped).run()
    calls()
    run.retry("steps[2]/score")
    assert calls() == {"score 2": 1, "score 3": 1, "total": 1}


@pipeline
def climbing() -> int:
    x = first(0)
    side = score(100)
    if x > 0:
        x = fit(x)
    if side > 0:
        x = score(x)
    return x


def test_what_a_dynamic_body_calls_depends_on_what_it_has_used() -> None:
    run = inline(climbing).run()
    assert run.result == 11
    calls()
    again = run.retry("first")
    assert calls() == {"first": 1, "fit 1": 1, "score 10": 1}
    assert again.why("fit").summary == "it ran because it depends on what was to run again (retry)"
    again.retry("score")
    assert calls() == {"score 100": 1, "score 10": 1}


@task(cache=False)
def yielding(n: int) -> Any:
    note("yielding")
    yield from range(1, n + 1)


@pipeline
def streamed() -> int:
    return total(fit.map(x=yielding(3)))


def test_a_generator_that_has_ended_is_kept() -> None:
    run = inline(streamed).run()
    calls()
    mend()
    assert inline(streamed).resume(run.run_id).result == 60
    assert calls() == {"fit 3": 1, "total": 1}


# People, waits, skips, fallbacks.


@wait(poll=0.01)
def arrived() -> bool:
    note("asked")
    return True


@pipeline
def releasing() -> str:
    there = arrived()
    answer = approval("Ship it?", name="sign_off")(there=there)
    return shipped(answer, second(there))


@task(cache=False)
def second(there: Any) -> int:
    check()
    return 1


@task(cache=False)
def shipped(answer: Approval, there: int) -> str:
    return answer.by


def test_answers_and_waits_stay() -> None:
    run = inline(releasing).run()
    assert run.state == "paused"
    with pytest.raises(StoreError, match="is paused, and has not ended"):
        run.retry()
    ended = run.approve("sign_off", by="ada", why="good")
    assert ended.state == "failed"
    calls()
    mend()
    again = inline(releasing).resume(run.run_id)
    assert again.result == "ada"
    assert calls() == {}
    assert states(again)["sign_off"] == states(again)["arrived"] == "cached"
    told = next(each for each in again.document["tasks"] if each["id"] == "sign_off")
    assert (told["approval"]["by"], told["approval"]["why"]) == ("ada", "good")


@task(cache=False, fallback=7)
def guarded() -> int:
    note("guarded")
    check()
    return 1


@pipeline
def careful() -> int:
    x = guarded()
    with when(x == 1):
        report(x)
    return second_of(x)


@task(cache=False)
def second_of(x: int) -> int:
    check()
    return x


def test_fallbacks_are_taken_back_and_skips_decided_anew() -> None:
    run = inline(careful).run()
    assert states(run)["report"] == "skipped"
    calls()
    mend()
    again = inline(careful).resume(run.run_id)
    assert (again.result, again.task("report").output) == (1, "score 1")
    assert calls() == {"guarded": 1, "report": 1}


# Scopes and handlers.


@task(cache=False)
def set_up(n: int) -> str:
    note("set up")
    return "cluster"


@task(cache=False)
def take_down(cluster: str) -> None:
    note("take down")


@scope
def cluster(n: int) -> Any:
    made = set_up(n)
    yield made
    take_down(made)


@task(cache=False)
def prepare(cluster: str) -> int:
    note("prepare")
    return 1


@task(cache=False)
def compute(cluster: str, x: int) -> int:
    note("compute")
    check()
    return x


@task(cache=False)
def publish(x: int) -> int:
    note("publish")
    if not Path("published").exists():
        raise ValueError("not published")
    return x


@pipeline
def in_scope() -> int:
    with cluster(3) as made:
        x = compute(made, prepare(made))
    return publish(x)


def test_what_was_taken_down_is_set_up_again_where_something_is_left_to_do() -> None:
    run = inline(in_scope).run()
    assert calls() == {"set up": 1, "prepare": 1, "compute": 1, "take down": 1}
    mend()
    again = inline(in_scope).resume(run.run_id)
    assert calls() == {"set up": 1, "compute": 1, "take down": 1, "publish": 1}
    assert again.why("set_up").summary.endswith("what it sets up was taken down in generation 1")
    Path("published").touch()
    assert inline(in_scope).resume(run.run_id).result == 1
    # nothing is left to be done in the scope
    assert calls() == {"publish": 1}


@task(cache=False)
def notify(outcome: Outcome) -> str:
    note("notify")
    return outcome.state


@pipeline
def watched() -> int:
    with on_exit(notify):
        return publish(first(1))


def test_handlers_run_at_the_end_of_each_generation() -> None:
    run = inline(watched).run()
    assert calls() == {"first": 1, "publish": 1, "notify": 1}
    Path("published").touch()
    again = inline(watched).resume(run.run_id)
    assert calls() == {"publish": 1, "notify": 1}
    assert again.task("notify").output == "succeeded"


# Whoever drives it.


def left(run: Any, choice: Choice) -> None:
    """Begin the next generation of a run, by a driver that is gone before it did anything."""
    with Services().existing_store() as store:
        record = store.find(run.run_id)
        provenance = store.provenance(run.run_id)
        provenance.configuration.update(recorded(choice))
        driver = driver_name(2**22 - 1)
        anew = msgspec.structs.replace(record, state=RunState.RUNNING, finished_at=None, driver=driver, outputs={})
        store.regenerate(anew, from_json(store.graph(run.run_id)), provenance, store.basis(run.run_id))


def test_a_generation_that_was_left_goes_on_with_the_choice_that_it_was_begun_with() -> None:
    mend()
    run = inline(training).run()
    left(run, Choice(again=("send",)))
    calls()
    again = inline(training).resume(run.run_id)
    assert (again.state, again.document["generation"]) == ("succeeded", 2)
    assert calls() == {"send": 1, "train": 1, "report": 1}


def test_a_run_whose_driver_is_gone_is_ended_before_it_is_retried() -> None:
    mend()
    run = inline(training).run()
    left(run, Choice())
    with pytest.raises(DefinitionError, match="has not ended"):
        inline(training).resume(run.run_id, keep="load")
    calls()
    again = inline(training).retry(run.run_id)
    assert (again.state, again.document["generation"]) == ("succeeded", 3)
    assert find_run(f"{run.run_id}.2").state == "failed"
    assert calls() == {}


def test_a_run_under_way_is_refused() -> None:
    mend()
    run = inline(training).run()
    left(run, Choice())
    with Services().existing_store() as store:
        store.reopen(run.run_id, this_process())
    with pytest.raises(StoreError, match="is under way"):
        inline(training).retry(run.run_id, "train")
    with Services().existing_store() as store:
        assert store.find(run.run_id).generation == 2


def test_what_was_not_reached_since_is_kept_from_before_that() -> None:
    run = inline(training).run()
    left(run, Choice())
    calls()
    mend()
    again = inline(training).retry(run.run_id)
    assert (again.state, again.document["generation"]) == ("succeeded", 3)
    assert calls() == {"train": 1, "report": 1}
    assert {each.reason for each in again.tasks if each.state == "cached"} == {"kept from generation 1"}


def test_what_was_to_run_again_and_was_not_is_still_to() -> None:
    mend()
    run = inline(training).run()
    left(run, Choice(again=("send",)))
    calls()
    again = inline(training).retry(run.run_id)
    # what follows comes from the cache, as far as it may
    assert calls() == {"send": 1}
    assert again.state == "succeeded"
