"""Code that comes to tasks in their inputs: what is told of it, and what it has to do with the cache."""

from __future__ import annotations

import importlib
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sample_runs import states

import penstock
from penstock.app import Services
from penstock.runtime.reading.past import Past
from penstock.runtime.run import Run

FLOW = """
    from penstock import pipeline, task

    LEVEL = 1

    class Model:
        def predict(self):
            return LEVEL

    class Other:
        pass

    @task
    def train():
        return {"model": Model(), "other": Other(), "fill": "x" * 9000}

    @task
    def score(model, ignored=None):
        return model.predict()

    @pipeline
    def flow():
        trained = train()
        return score(trained["model"], trained["other"])
"""

Define = Callable[..., penstock.Pipeline[..., Any]]


@pytest.fixture
def define(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Define:
    """Writes the module of a pipeline and imports it anew."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def define(text: str, name: str = "valued") -> penstock.Pipeline[..., Any]:
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
        monkeypatch.delitem(sys.modules, name, raising=False)
        importlib.invalidate_caches()
        return importlib.import_module(name).flow

    return define


def run(subject: penstock.Pipeline[..., Any], **options: Any) -> Run:
    return subject.options(executor="inline", progress=False, **options).run()


def plan(subject: penstock.Pipeline[..., Any]) -> penstock.Plan:
    return subject.options(executor="inline", progress=False).plan()


@contextmanager
def past(ended: Run) -> Iterator[Past]:
    services = Services()
    with services.store() as store:
        yield Past(store, services.values, store.find(ended.run_id))


def test_a_run_keeps_the_code_that_is_in_its_inputs(define: Define) -> None:
    with past(run(define(FLOW))) as there:
        assert there.basis.classes.keys() == {"valued:Model", "valued:Other"}
        assert "constant:valued:LEVEL" in [part.name for part in there.classes["valued:Model"].parts]
        attempt = there.attempts["score", -1][-1]
        assert there.fingerprint(("score", -1), there.inputs(("score", -1))) == attempt.fingerprint


def test_an_input_is_told_whose_code_is_another_one(define: Define) -> None:
    first = run(define(FLOW))
    second = run(define(FLOW.replace("return LEVEL", "return LEVEL + 1")))
    assert states(second) == {"train": "succeeded", "score": "succeeded"}
    told = second.why("score")
    assert told.ran is not None
    (difference,) = told.ran.differences
    assert (difference.kind, difference.name, difference.within) == ("code", "valued:Model", "model")
    assert [line for line in difference.diff if line[0] in "+-"] == [
        "-        return LEVEL",
        "+        return LEVEL + 1",
    ]
    assert told.summary == (
        f"it ran because valued:Model (valued.py:8, in the input model) changed since run {first.run_id}"
    )


def test_a_plan_tells_it_too(define: Define) -> None:
    configured = """
        from dataclasses import dataclass
        from penstock import pipeline, task

        @dataclass
        class Settings:
            depth: int = 1

            def deep(self):
                return self.depth

        @task
        def fit(settings):
            return settings.deep()

        @pipeline
        def flow(settings: Settings = Settings()):
            return fit(settings)
    """
    run(define(configured))
    assert plan(define(configured)).cached == ["fit"]
    planned = plan(define(configured.replace("return self.depth", "return self.depth + 1")))
    assert planned.would_run == ["fit"]
    reason = planned.task("fit").reason
    assert reason is not None
    assert [(each.name, each.within) for each in reason.differences] == [("valued:Settings", "settings")]


def test_code_in_an_input_that_is_left_out_does_not_count(define: Define) -> None:
    text = FLOW.replace("@task\n    def score", "@task(cache_ignore=['ignored'])\n    def score")
    run(define(text))
    ended = run(define(text.replace("        pass", "        odd = True")))
    assert states(ended) == {"train": "succeeded", "score": "cached"}
    ended = run(define(FLOW.replace("        pass", "        odd = None")))
    assert states(ended) == {"train": "succeeded", "score": "succeeded"}


def test_a_result_whose_class_is_gone_is_told_to_be_of_no_use(define: Define, tmp_path: Path) -> None:
    run(define(FLOW))
    (tmp_path / "valued.py").unlink()
    renamed = define(FLOW, "renamed")
    del sys.modules["valued"]
    reason = plan(renamed).task("train").reason
    assert reason is not None
    assert (reason.cause, reason.text) == ("gone", "there is no valued:Model now, which is in the recorded result")
    ended = run(renamed, only_cached=True)
    assert "there is no valued:Model now, which is in what is recorded" in (ended.task("train").error or "")
    assert states(run(renamed)) == {"train": "succeeded", "score": "succeeded"}
    assert states(run(renamed)) == {"train": "cached", "score": "cached"}


def test_what_cannot_be_seen_of_code_in_an_input_is_told_once(define: Define) -> None:
    text = FLOW.replace("return LEVEL", "return eval('LEVEL')")
    ended = run(define(text))
    with Services().store() as store:
        told = [line.line.text for _, line in store.lines(ended.run_id) if line.line.stream == "notice"]
    assert len([each for each in told if "eval()" in each]) == 1
