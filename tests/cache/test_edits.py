"""A battery of edits to a small project: which tasks each of them makes run again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import code_edits
import idle_edits
import pytest
import reading_edits
import sample_project

if TYPE_CHECKING:
    from edits import Edit, Run

TARGETS = ("pipeline.py", "script.py", "notebook.py")

TELLING = {
    **code_edits.FUNCTIONS,
    **code_edits.DECORATED,
    **code_edits.CLASSES,
    **reading_edits.CONSTANTS,
    **reading_edits.SURROUNDINGS,
    **reading_edits.SCRIPTS,
}
MORE_TELLING = {
    **code_edits.MORE_FUNCTIONS,
    **code_edits.MORE_DECORATED,
    **code_edits.MORE_CLASSES,
    **reading_edits.MORE_CONSTANTS,
    **reading_edits.MORE_SURROUNDINGS,
}
IDLE = {**idle_edits.WRITING, **idle_edits.MOVING, **idle_edits.AROUND}
MORE_IDLE = {**idle_edits.MORE_WRITING, **idle_edits.MORE_MOVING, **idle_edits.MORE_AROUND}

ALL = {**TELLING, **MORE_TELLING, **IDLE, **MORE_IDLE}


def each(edits: dict[str, Edit], more: dict[str, Edit]) -> list[Any]:
    """The edits as parameters, those that are more of the same in the long ring."""
    return [
        *(pytest.param(edit, id=name) for name, edit in edits.items()),
        *(pytest.param(edit, id=name, marks=pytest.mark.slow) for name, edit in more.items()),
    ]


@pytest.fixture(scope="module")
def before(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project as it was when all of it ran."""
    folder = tmp_path_factory.mktemp("before")
    sample_project.write(folder, sample_project.FILES)
    for target in TARGETS:
        assert run(folder, target)["state"] == "succeeded"
    return folder


def after(edit: Edit, before: Path, folder: Path) -> Path:
    """A copy of the project and of its state with an edit."""
    sample_project.copy(before, folder)
    edit.apply(folder)
    return folder


@pytest.mark.parametrize("edit", each(TELLING, MORE_TELLING))
def test_an_edit_of_what_tasks_do_runs_those_that_it_reaches(
    edit: Edit, run: Run, before: Path, tmp_path: Path
) -> None:
    assert edit.runs
    check(edit, run(after(edit, before, tmp_path / "project"), edit.target))


@pytest.mark.parametrize("edit", each(IDLE, MORE_IDLE))
def test_an_edit_of_anything_else_runs_nothing(edit: Edit, run: Run, before: Path, tmp_path: Path) -> None:
    assert not edit.runs
    check(edit, run(after(edit, before, tmp_path / "project"), edit.target))


def check(edit: Edit, document: dict[str, Any]) -> None:
    states: dict[str, set[str]] = {}
    for task in document["tasks"]:
        states.setdefault(task["state"], set()).add(task["id"])
    assert states.get("succeeded", set()) == edit.runs
    assert states.keys() <= {"succeeded", "cached"}


@pytest.mark.slow
@pytest.mark.parametrize("edit", each({name: edit for name, edit in ALL.items() if edit.target == "pipeline.py"}, {}))
def test_the_cache_makes_no_difference_to_what_comes_out(edit: Edit, run: Run, before: Path, tmp_path: Path) -> None:
    folder = after(edit, before, tmp_path / "project")
    assert run(folder, edit.target)["outputs"] == run(folder, edit.target, "--no-cache")["outputs"]
