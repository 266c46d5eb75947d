"""What goes wrong says what it was and where it stands, also where no line of the user's is under way."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from shape_tasks import increment, run, same, states, up_to

from penstock import DefinitionError, HookContext, RunFailedError, command, pipeline, repeat, task, when
from penstock.cli.renderables import rendered
from penstock.cli.views import summary

HERE = Path(__file__).name


@pipeline
def raising() -> int:
    x = same(1)
    if x > 0:
        raise LookupError("half-way through")
    return x


@pytest.mark.parametrize(
    ("build", "told"),
    [
        (lambda: same.map(same(7)), "same-2 cannot be mapped over x, which is int, not a list: 7"),
        (lambda: same.map(same("abc")), "cannot be mapped over x, which is str, not a list: 'abc'"),
    ],
)
def test_what_cannot_be_mapped_over_is_shown(build: Any, told: str) -> None:
    @pipeline
    def mapped() -> object:
        return build()

    ended = run(mapped)
    assert ended.state == "failed"
    message = next(each.error for each in ended.tasks if each.state == "failed") or ""
    assert told in message
    assert HERE in message


def test_a_condition_that_raises_is_named() -> None:
    @pipeline
    def compared() -> int:
        with when(same(up_to(3)) > 2):
            return same(1)

    assert "in the condition same > 2" in _traceback(compared, "same-2")


def test_a_key_that_raises_is_named() -> None:
    @pipeline
    def keyed() -> list[int]:
        return same.options(key=lambda x: x["name"]).map(up_to(2))

    assert "in naming the items of same" in _traceback(keyed, "same")


def test_the_end_of_a_loop_that_raises_is_named() -> None:
    @pipeline
    def looped() -> int:
        return repeat(increment, until=lambda value: cast("Any", value)["loss"] < 1, maximum=3)(0)

    assert "in `until`: result['loss'] < 1" in _traceback(looped, "increment")


def _traceback(subject: Any, node: str) -> str:
    ended = run(subject)
    found = next(each for each in ended.document["tasks"] if each["id"] == node)
    assert HERE in found["traceback"]
    return found["traceback"]


def test_what_a_body_raises_is_in_the_run_document_and_shown() -> None:
    ended = run(raising)
    assert ended.document["error"] == "LookupError: half-way through"
    assert "in raising" in ended.document["traceback"]
    told = rendered(summary(ended.document))
    assert "the body of raising failed" in told
    assert "LookupError: half-way through" in told


def test_a_run_that_takes_too_long_says_so() -> None:
    @task(cache=False)
    def slow() -> int:
        import time

        time.sleep(5)
        return 1

    @pipeline(timeout=0.2)
    def late() -> int:
        return slow()

    ended = late.options(executor="processes", workers=1, progress=False).run()
    assert states(ended) == {"slow": "cancelled"}
    assert ended.document["error"] == "the run took longer than the 0.2 s it is allowed"
    with pytest.raises(RunFailedError, match=r"longer than the 0\.2 s"):
        _ = ended.result


def test_the_failure_of_a_task_is_not_told_as_that_of_the_run() -> None:
    @task(cache=False)
    def bad() -> int:
        raise ValueError("bad")

    @pipeline
    def used() -> int:
        return 1 if bad() else 2

    assert "error" not in run(used).document


def test_a_command_knows_its_line() -> None:
    count = command("cat {path}", name="count")

    @pipeline
    def wrong() -> str:
        return count(file="x")

    with pytest.raises(DefinitionError) as raised:
        run(wrong)
    assert HERE in (raised.value.remedy or "")


def test_a_hook_on_a_cancel_is_told_of_a_cancel(folder: Path) -> None:
    import threading
    import time

    from penstock.app import Services
    from penstock.runtime.requests import cancel

    seen: list[HookContext] = []

    @task(cache=False, on_cancel=seen.append)
    def slow() -> int:
        (folder / "begun").touch()
        time.sleep(20)
        return 1

    @pipeline
    def ended_early() -> int:
        return slow()

    def stop() -> None:
        while not (folder / "begun").exists():
            time.sleep(0.02)
        with Services().store() as store:
            cancel(store, "latest", reason="enough")

    stopper = threading.Thread(target=stop)
    stopper.start()
    ended_early.options(executor="processes", workers=1, progress=False).run()
    stopper.join()
    (context,) = seen
    assert (context.state, context.reason, context.error_type) == ("cancelled", "enough", "")


def test_a_misspelt_option_of_a_call_is_told_the_nearest_and_no_more() -> None:
    with pytest.raises(DefinitionError, match="did you mean 'failure_threshold'") as raised:
        same.options(failure_treshold=1)  # type: ignore[call-arg]
    assert raised.value.remedy is None
