"""Tags of runs, in Python."""

from __future__ import annotations

from pathlib import Path

import pytest
from sample_runs import run, squares_of_known

from penstock import DefinitionError
from penstock.app import Services, find_run, launch
from penstock.model.options import RunOptions


@pytest.mark.usefixtures("home")
def test_a_run_is_tagged_and_tells_its_tags() -> None:
    ended = run(squares_of_known)
    assert ended.tags == ()
    assert ended.document["tags"] == []
    assert ended.tag("release", "pinned", "release") == ("pinned", "release")
    assert ended.tags == ("pinned", "release")
    assert ended.document["tags"] == ["pinned", "release"]
    assert ended.tag(remove=["release", "never"]) == ("pinned",)
    assert run(squares_of_known).tags == ()
    with pytest.raises(DefinitionError, match="cannot be a tag"):
        ended.tag("good", " bad")
    assert ended.tags == ("pinned",)


@pytest.mark.usefixtures("home")
def test_the_tags_of_a_generation_are_those_of_its_run() -> None:
    ended = run(squares_of_known)
    again = ended.retry("*")
    earlier = find_run(f"{ended.run_id}.1")
    assert earlier.tag("pinned") == earlier.tags == again.tags == ("pinned",)
    with Services().store() as store:
        assert store.tag(earlier.run_id) == ()


def test_a_run_can_have_tags_from_its_start(home: Path) -> None:
    options = RunOptions(executor="inline", progress=False)
    assert launch(squares_of_known, {}, options, tags=["b", "a"]).tags == ("a", "b")
    with pytest.raises(DefinitionError, match="cannot be a tag"):
        launch(squares_of_known, {}, options, tags=["a\nb"])
    with Services().store() as store:
        assert len(store.runs()) == 1
    assert home.is_dir()
