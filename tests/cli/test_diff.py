"""`penstock diff`: the cause first, and what came of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from command_line import Project, penstock
from explained_project import Explained

from penstock import pipeline, task
from penstock.cli.commands import penstock as commands
from penstock.cli.diff_page import as_html
from penstock.cli.diff_view import change_text, diff_view, task_lines
from penstock.cli.renderables import rendered

pytest.importorskip("pandas")


@pytest.fixture(scope="module")
def explained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Explained]:
    yield Explained(tmp_path_factory.mktemp("explained"))


def sections(text: str) -> dict[str, list[str]]:
    """The lines of a text below each of its titles."""
    found: dict[str, list[str]] = {}
    title = ""
    for line in text.splitlines():
        if line and not line.startswith(" "):
            title = re.sub(r" \(.*", "", line)
        elif line:
            found.setdefault(title, []).append(line[2:])
    return found


class Page(HTMLParser):
    """What is in a page: its texts by tag, and whatever it refers to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[tuple[str, str]] = []
        self.references: list[str] = []
        self.feed(text)
        assert not self.tags, "every tag is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "meta":
            self.tags.append(tag)
        self.references += [str(value) for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]

    def handle_endtag(self, tag: str) -> None:
        assert self.tags.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append((self.tags[-1], data.strip()))

    def all(self, tag: str) -> list[str]:
        return [text for where, text in self.texts if where == tag]


# A helper two modules away.


def test_the_line_of_a_helper_that_changed_comes_first(explained: Explained) -> None:
    text = explained.diff("helper").out
    lines = text.splitlines()
    assert [line.split()[1:] for line in lines[:2]] == [["training", "succeeded"]] * 2
    assert lines[3:6] == ["what changed", "  lib/scaling.py:7  lib.scaling:scale", "  @@ -4,5 +4,5 @@"]
    told = sections(text)
    assert told["what changed"][2:] == [
        " def scale(values):",
        '     """Scale them."""',
        "-    # so that the largest is one",
        "-    top = max(values)",
        "+    # so that they are small",
        "+    top = sum(values)",
        "     return [value / top for value in values]",
    ]
    assert list(told) == ["what changed", "tasks", "data", "metrics", "outputs"]
    assert (
        told["tasks"]
        == [
            "prepare       lib.scaling:scale changed; another result",
            "prepare_test  lib.scaling:scale changed; another result",
            "evaluate      other inputs from prepare_test; another result",
        ]
        or told["tasks"][0] == "prepare       lib.scaling:scale changed; another result"
    )
    assert told["data"][0] == "prepare: 40 rows, 1 column the same"
    assert told["data"][1].startswith("  x: mean 0.5263 -> 0.025")
    assert told["metrics"] == ["accuracy  1 -> 0.5  (-0.5)"]
    assert told["outputs"] == ["accuracy  1.0 -> 0.5"]


def test_and_so_it_does_in_the_document(explained: Explained) -> None:
    document = explained.diff("helper", "--json").document
    [cause] = document["causes"]
    assert (cause["kind"], cause["name"], cause["where"]) == ("code", "lib.scaling:scale", "lib/scaling.py:7")
    assert "+    top = sum(values)" in cause["diff"]
    tasks = [task["id"] for task in document["tasks"]]
    assert tasks == ["prepare", "train", "prepare_test", "evaluate"]
    assert document["same"] + len(tasks) == 7
    assert document["metrics"] == [{"name": "accuracy", "before": 1.0, "after": 0.5}]
    assert [each["name"] for each in document["outputs"]] == ["accuracy"]
    assert document["states"] == ["succeeded", "succeeded"]


def test_and_on_the_page_which_loads_nothing(explained: Explained) -> None:
    answer = explained.diff("helper", "-o", "diff.html")
    assert answer.out == ""
    assert answer.err == "wrote diff.html\n"
    text = (explained.folder / "diff.html").read_text()
    page = Page(text)
    assert page.all("summary")[0] == "lib/scaling.py:7  lib.scaling:scale"
    assert page.all("h2")[:3] == ["What changed", "Tasks", "Data"]
    assert "+    top = sum(values)" in page.all("span")
    assert page.references == []
    assert not re.search(r"https?:|url\(|@import|<script", text)
    assert "default-src 'none'" in text


# Other causes.


def test_a_parameter_is_told_first(explained: Explained) -> None:
    told = sections(explained.diff("parameter").out)
    assert told["what changed"] == ["parameter threshold: 0.5 -> 0.9"]
    assert told["tasks"][0] == "train     parameter threshold changed; another result"
    assert told["metrics"][0].startswith("accuracy  1 -> 0.")


def test_a_file_that_changed_is_told_with_what_was_read_from_it(explained: Explained) -> None:
    told = sections(explained.diff("data").out)
    assert told["what changed"] == ["parameter path: data.csv, with other content"]
    assert told["tasks"][:2] == [
        "load          parameter path changed; another result",
        "split         other inputs from load; other outputs: train, test",
    ]
    assert told["data"][0] == "load: 80 -> 61 rows"
    columns = dict(line.strip().split(": ", 1) for line in told["data"][1:4])
    assert columns["day"].startswith("new (")
    assert "max 20 -> 500" in columns["x"]
    assert "distinct" not in columns["kind"]
    assert "most frequent" in columns["kind"]
    # what is only passed on is told once
    assert told["data"][4].startswith("split.train: 40 -> 31 rows")
    assert "changed as before" in told["data"][4]


def test_a_package_of_another_version(explained: Explained) -> None:
    told = sections(explained.diff("package").out)
    assert told["what changed"] == ["package guesses: 1.0 -> 2.0"]
    assert told["tasks"] == ["evaluate  package guesses changed; another result"]
    assert told["metrics"][0].startswith("accuracy  1 -> 0")
    document = explained.diff("package", "--json").document
    assert "package guesses" not in [each["name"] for each in document["circumstances"]]


def test_several_causes_are_in_order(explained: Explained) -> None:
    answer = explained.answer("diff", explained.runs["helper"], explained.runs["data"], "--json")
    assert [each["kind"] for each in answer.document["causes"]] == ["parameter", "code"]


def test_a_text_and_a_document_in_files(explained: Explained) -> None:
    explained.diff("helper", "-o", "diff.txt")
    explained.diff("helper", "-o", "diff.json")
    assert sections((explained.folder / "diff.txt").read_text())["metrics"] == ["accuracy  1 -> 0.5  (-0.5)"]
    document = json.loads((explained.folder / "diff.json").read_text())
    assert document == explained.diff("helper", "--json").document
    answer = explained.answer("diff", "-o", "nowhere/diff.txt")
    assert (answer.code, "cannot write nowhere/diff.txt: No such file" in answer.err) == (2, True)
    answer = explained.answer("diff", "-o", "diff.pdf")
    assert answer.code == 2
    assert "Use one of .html, .txt, .json." in answer.err


# Which runs.


def test_without_names_the_latest_two_are_compared(explained: Explained) -> None:
    runs = explained.runs
    document = explained.answer("diff", "--json").document
    assert (document["before"], document["after"]) == (runs["data"], runs["package"])
    document = explained.answer("diff", runs["helper"], "--json").document
    assert (document["before"], document["after"]) == (runs["helper"], runs["package"])
    document = explained.answer("diff", runs["helper"], "latest", "--json").document
    assert document["after"] == runs["package"]


def test_names_of_runs_that_are_wrong(explained: Explained, folder: Path) -> None:
    run = explained.runs["helper"]
    answer = explained.answer("diff", run, run)
    assert (answer.code, f"{run} and {run} are the same run" in answer.err) == (2, True)
    answer = explained.answer("diff", "nothing", "--json")
    assert answer.code == 2
    assert answer.document["error"]["type"] == "NotFoundError"
    answer = explained.answer("diff", run[:4])
    assert "several runs start with" in answer.err
    assert run in answer.err
    assert "nothing has run in" in penstock("diff", cwd=folder).err


@task
def one() -> int:
    return 1


@pipeline
def alone() -> int:
    return one()


@pipeline
def other() -> int:
    return one()


def test_the_only_run_of_a_pipeline_has_nothing_to_be_compared_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "state"))
    runs = [each.options(executor="inline", progress=False).run() for each in (alone, alone, other)]
    answer = CliRunner().invoke(commands, ["diff"])
    assert answer.exit_code == 2
    assert "there is no earlier run of other" in answer.stderr
    answer = CliRunner().invoke(commands, ["diff", runs[0].run_id])
    assert "nothing differs: 1 task with the same code, inputs and results" in answer.stdout


def test_runs_of_different_pipelines_and_a_failed_one(project: Project) -> None:
    answer = penstock("diff", project.trained.document["run_id"], "latest", cwd=project.folder)
    assert answer.code == 0
    assert "gone" in answer.out
    assert "new, succeeded" in answer.out
    assert "failed" in answer.out.splitlines()[1]


# The view.


def document(**changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"before": "a", "after": "b", "pipelines": ["p", "p"], "states": ["succeeded", "succeeded"]}
    lists = ("causes", "consequences", "circumstances", "tasks", "data", "metrics", "outputs")
    return made | {key: [] for key in lists} | {"same": 0, "unfinished": 0} | changes


def test_items_alike_share_a_row() -> None:
    tasks = [
        {"id": f"fit[{n}]", "path": "fit", "before": "succeeded", "after": "succeeded", "outputs": ["result"]}
        for n in range(10_000)
    ]
    assert task_lines(document(tasks=tasks)) == [
        ("fit (10,000 times)", "another result of the same code and inputs"),
    ]


def test_a_long_diff_is_cut_unless_all_of_it_is_asked_for() -> None:
    cause = {"kind": "code", "name": "m:f", "where": "m.py:1", "diff": [f"+{n}" for n in range(100)]}
    short = rendered(diff_view(document(causes=[cause])))
    assert "  and 60 more lines (--full)" in short.splitlines()
    assert "+99" in rendered(diff_view(document(causes=[cause]), full=True))
    assert "+99" in as_html(document(causes=[cause]))


def test_circumstances_come_before_tasks_that_nothing_else_explains() -> None:
    task = {"id": "t", "path": "t", "before": "succeeded", "after": "succeeded", "outputs": ["result"]}
    changed = {"name": "machine cores", "before": 2, "after": 8}
    text = rendered(diff_view(document(tasks=[task], circumstances=[changed])))
    assert text.index("nothing that counts") < text.index("machine cores  2 -> 8  (+6)") < text.index("t  another")
    with_cause = document(tasks=[task], circumstances=[changed], causes=[{"kind": "version", "name": "version"}])
    text = rendered(diff_view(with_cause))
    assert text.index("t  another") < text.index("machine cores")


def test_everything_on_the_page_is_escaped() -> None:
    evil = "<script>alert('&')</script>"
    change = {"name": evil, "before": evil, "after": evil + "!"}
    cause = {"kind": "code", "name": evil, "where": evil, "diff": [f"-{evil}", f"+{evil}"]}
    task = {"id": evil, "path": evil, "before": "succeeded", "after": "failed", "error": evil}
    frame = {"id": evil, "rows": [1, 2], "columns": [{"name": evil, "type_before": evil}]}
    made = document(causes=[cause], tasks=[task], metrics=[change], outputs=[change], circumstances=[change])
    text = as_html(made | {"data": [frame], "before": evil, "pipelines": [evil, evil]})
    assert "<script" not in text
    assert Page(text).all("summary") == [f"{evil}  {evil}"]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (0.93, 0.81, "0.93 -> 0.81  (-0.12)"),
        (0.999991, 0.999992, "0.999991 -> 0.999992  (+1e-06)"),
        (1, 3, "1 -> 3  (+2)"),
        (None, 0.5, "- -> 0.5"),
        (True, False, "True -> False"),
    ],
)
def test_changes_of_numbers(before: Any, after: Any, told: str) -> None:
    assert change_text({"name": "x", "before": before, "after": after}) == told


def test_what_is_only_one_of_its_kind_is_named_once() -> None:
    causes = [{"kind": "python", "name": "python", "before": "3.11.7", "after": "3.12.1"}]
    task = {"id": "a", "path": "a", "before": "succeeded", "after": "succeeded", "causes": causes}
    assert task_lines(document(tasks=[task])) == [("a", "python changed; the same result")]
