"""Files that are edited while the process that has loaded them goes on, as in a notebook."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from sample_runs import states

from penstock import Run, pipeline, task
from penstock.fingerprint.code import CodeReader
from penstock.fingerprint.framing import digest_of
from penstock.fingerprint.sources import process_sources
from penstock.services import Services

HELPERS = "RATES = [2]\nLEVEL = 1\n\ndef scaled(x):\n    return x * RATES[0] * LEVEL\n"
TASKS = "import edited_helpers\nfrom edited_helpers import LEVEL\n\ndef {name}(x):\n    return {value}\n"


class Folder:
    """A folder with modules that this process imports."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, text: str) -> None:
        self.path.joinpath(f"{name}.py").write_text(text)

    def load(self, name: str, text: str) -> ModuleType:
        self.write(name, text)
        importlib.invalidate_caches()
        return importlib.import_module(name)

    def edit(self, *changes: tuple[str, str]) -> None:
        """Edit the helpers."""
        text = self.path.joinpath("edited_helpers.py").read_text()
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        self.write("edited_helpers", text)


@pytest.fixture
def folder(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Folder]:
    monkeypatch.syspath_prepend(str(tmp_path))
    known = set(sys.modules)
    yield Folder(tmp_path)
    for name in [name for name in sys.modules if name.startswith("edited_") and name not in known]:
        del sys.modules[name]


def ran(function: Any, executor: str = "processes", **options: Any) -> Run:
    @pipeline(name="edited")
    def given() -> Any:
        return task(function)(3)

    return given.options(executor=executor, workers=1, progress=False, **options).run()


def notices(run: Run) -> list[str]:
    with Services().existing_store() as store:
        return [each.line.text for _, each in store.lines(run.run_id) if each.line.stream == "notice"]


def stale(run: Run) -> list[str]:
    return [text for text in notices(run) if "was edited" in text]


def test_an_edited_file_makes_what_workers_run_of_it_uncached(folder: Folder) -> None:
    helpers = folder.load("edited_helpers", HELPERS)
    tasks = folder.load("edited_tasks", TASKS.format(name="scale", value="edited_helpers.scaled(x)"))
    first = ran(tasks.scale)
    assert (first.result, stale(first)) == (6, [])

    # of a list, nothing that is loaded tells from which version it was
    folder.edit(("[2]", "[2000]"))
    for _ in range(2):
        run = ran(tasks.scale)
        assert (run.result, states(run)) == (6000, {"scale": "succeeded"})
        (text,) = stale(run)
        assert text.startswith("edited_helpers.py was edited after this process had loaded it")
        assert "scale runs uncached" in text and "importlib.reload(edited_helpers)" in text
    # in this process, the old code still runs, and its result is the one that was recorded of it
    assert (ran(tasks.scale, "inline").result, states(ran(tasks.scale, "inline"))) == (6, {"scale": "cached"})

    refused = ran(tasks.scale, only_cached=True)
    assert "its code was edited since this process loaded it" in str(refused.task("scale").error)

    importlib.reload(helpers)
    anew = ran(tasks.scale)
    assert (anew.result, states(anew), stale(anew)) == (6000, {"scale": "succeeded"}, [])
    assert states(ran(tasks.scale)) == {"scale": "cached"}


def test_why_and_plan_tell_of_edited_files(folder: Folder) -> None:
    folder.load("edited_helpers", HELPERS)
    tasks = folder.load("edited_tasks", TASKS.format(name="scale", value="edited_helpers.scaled(x)"))

    @pipeline(name="edited")
    def given() -> Any:
        return task(tasks.scale)(3)

    folder.edit(("LEVEL = 1", "LEVEL = 100"))
    planned = given.options(executor="processes").plan()
    (told,) = planned.tasks[0].reasons
    assert told.reason.cause == "edited"
    assert "edited_helpers.py was edited" in told.reason.text
    (told,) = given.options(executor="inline").plan().tasks[0].reasons
    assert told.reason.cause == "first"


def test_a_plan_shows_the_lines_that_changed(folder: Folder) -> None:
    helpers = folder.load("edited_helpers", HELPERS)
    tasks = folder.load("edited_tasks", TASKS.format(name="scale", value="edited_helpers.scaled(x)"))

    @pipeline(name="edited")
    def given() -> Any:
        return task(tasks.scale)(3)

    subject = given.options(executor="inline", progress=False)
    ran = subject.run()
    folder.edit(("x * RATES", "x + RATES"))
    importlib.reload(helpers)
    (told,) = subject.plan().tasks[0].reasons
    (difference,) = told.reason.differences
    assert (told.reason.run_id, difference.kind, difference.where) == (ran.run_id, "code", "edited_helpers.py:5")
    assert [line for line in difference.diff if line[0] in "+-"] == [
        "-    return x * RATES[0] * LEVEL",
        "+    return x + RATES[0] * LEVEL",
    ]


def test_a_task_that_is_never_cached_has_nothing_told_of_it(folder: Folder) -> None:
    folder.load("edited_helpers", HELPERS)
    tasks = folder.load("edited_tasks", TASKS.format(name="scale", value="edited_helpers.scaled(x)"))
    folder.edit(("[2]", "[2000]"))

    @pipeline
    def given() -> Any:
        return task(cache=False)(tasks.scale)(3)

    assert notices(given.options(executor="processes", workers=1, progress=False).run()) == []


# What counts as edited.


def edited(function: Any) -> list[str]:
    reader = CodeReader(digest_of, process_sources())
    reader.identify(function)
    return [each.module for each in reader.edited(function)]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("x * RATES", "x + RATES"),
        ("[2]", "[3, 4]"),
        ("LEVEL = 1", "LEVEL = 22"),
        ("def scaled", "if LEVEL:\n    RATES.append(1)\n\ndef scaled"),
        ("def scaled(x):", "def scaled(x:"),
    ],
)
def test_an_edit_that_changes_anything_counts(folder: Folder, old: str, new: str) -> None:
    folder.load("edited_helpers", HELPERS)
    tasks = folder.load("edited_tasks", TASKS.format(name="scale", value="edited_helpers.scaled(x)"))
    assert edited(tasks.scale) == []
    folder.edit((old, new))
    assert edited(tasks.scale) == ["edited_helpers"]
    folder.edit((new, old))
    assert edited(tasks.scale) == []


def test_comments_and_formatting_do_not_count(folder: Folder) -> None:
    folder.load("edited_helpers", HELPERS)
    tasks = folder.load("edited_tasks", TASKS.format(name="scale", value="edited_helpers.scaled(x)"))
    assert edited(tasks.scale) == []
    folder.edit(("LEVEL = 1\n", "LEVEL = (  # one\n    1\n)\n\n\n"))
    assert edited(tasks.scale) == []


def test_an_edit_before_the_first_look_counts_where_what_is_loaded_tells(folder: Folder) -> None:
    folder.load("edited_helpers", HELPERS)
    tasks = folder.load("edited_tasks", TASKS.format(name="scale", value="edited_helpers.scaled(x)"))
    folder.edit(("LEVEL = 1", "LEVEL = 22"))
    assert edited(tasks.scale) == ["edited_helpers"]


@pytest.mark.parametrize(
    ("change", "value"), [(("x * RATES", "x + RATES"), "scaled(x)"), (("LEVEL = 1", "LEVEL = 22"), "x + LEVEL")]
)
def test_what_is_held_of_a_module_that_was_loaded_anew_counts(
    folder: Folder, change: tuple[str, str], value: str
) -> None:
    helpers = folder.load("edited_helpers", HELPERS)
    text = f"from edited_helpers import LEVEL, scaled\n\ndef scale(x):\n    return {value}\n"
    tasks = folder.load("edited_tasks", text)
    assert edited(tasks.scale) == []
    folder.edit(change)
    assert edited(tasks.scale) == ["edited_helpers"]
    importlib.reload(helpers)
    assert edited(tasks.scale) == ["edited_helpers"]
    importlib.reload(tasks)
    assert edited(tasks.scale) == []


def test_what_is_imported_inside_a_function_counts_as_it_was_loaded(folder: Folder) -> None:
    helpers = folder.load("edited_helpers", HELPERS)
    text = "def scale(x):\n    from edited_helpers import RATES\n    return x * RATES[0]\n"
    tasks = folder.load("edited_tasks", text)
    assert ran(tasks.scale, "inline").result == 6
    folder.edit(("[2]", "[2000]"))
    again = ran(tasks.scale, "inline")
    assert (again.result, states(again)) == (6, {"scale": "cached"})
    importlib.reload(helpers)
    assert ran(tasks.scale, "inline").result == 6000


def test_functions_of_the_main_module_go_along_as_they_are(folder: Folder) -> None:
    main = folder.load("edited_main", "def scale(x):\n    return x\n")
    main.scale.__globals__["__name__"] = "__main__"
    folder.write("edited_main", "def scale(x):\n    return x + 1\n")
    assert edited(main.scale) == []
