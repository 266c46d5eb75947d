"""The commands that look at runs, graphs and artifacts, on a project in which pipelines have run."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from command_line import Answer, Project, penstock
from contract import check_run, states

from penstock.cli import commands


def asked(project: Project, *arguments: str | Path) -> Answer:
    answer = penstock(*arguments, cwd=project.folder)
    assert answer.code == 0, answer.err
    return answer


@pytest.fixture
def trained(project: Project) -> str:
    """The id of the run that made one value of every family."""
    return project.trained.document["run_id"]


def test_runs_lists_the_newest_first(project: Project) -> None:
    documents = asked(project, "runs", "--json").document
    answers = (project.failed, project.again, project.trained)
    assert [document["run_id"] for document in documents] == [answer.document["run_id"] for answer in answers]
    assert [document["state"] for document in documents] == ["failed", "succeeded", "succeeded"]
    lines = asked(project, "runs").out.splitlines()
    assert lines[0].split() == ["run", "pipeline", "state", "started", "duration"]
    assert [line.split()[1:4] for line in lines[2:]] == [
        ["steps", "✗", "failed"],
        ["training", "✓", "succeeded"],
        ["training", "✓", "succeeded"],
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "count"),
    [("--pipeline training", 2), ("--pipeline none", 0), ("--state failed", 1), ("--limit 1", 1)],
)
def test_runs_can_be_chosen(options: str, count: int, project: Project) -> None:
    assert len(asked(project, "runs", "--json", *options.split()).document) == count


def test_show_gives_the_same_document_as_run(project: Project, trained: str) -> None:
    shown = asked(project, "show", trained, "--json").document
    check_run(shown)
    provenance = shown.pop("provenance")
    assert shown == project.trained.document
    assert provenance["command"][1:] == ["run", "training.py", "--json"]
    assert provenance["source"][str(project.folder / "training.py")].startswith('"""A small pipeline')


def test_a_run_goes_by_the_start_of_its_id(project: Project, trained: str) -> None:
    assert asked(project, "show", trained[:-1], "--json").document["run_id"] == trained
    assert asked(project, "show", "latest", "--json").document["run_id"] == project.failed.document["run_id"]


def test_show_tells_every_task(project: Project) -> None:
    lines = asked(project, "show", project.again.document["run_id"]).out.splitlines()
    rows = {line.split()[0]: line.split()[1:3] for line in lines if line.startswith(("ingest", "fit[", "refuse"))}
    assert rows == {
        "ingest": ["↺", "cached"],
        "fit[0]": ["↺", "cached"],
        "fit[1]": ["↺", "cached"],
        "fit[2]": ["↺", "cached"],
        "refuse": ["✓", "succeeded"],
    }
    assert next(line for line in lines if line.startswith("publish")).endswith(
        "the condition accuracy >= threshold does not hold"
    )
    metrics = lines[lines.index("metrics") + 1 :][:2]
    assert [line.split()[0] for line in metrics] == ["fit[*].score", "candidates"]
    assert metrics[0].endswith(", 3 items")


def test_show_of_a_failed_run_has_the_traceback_of_the_user(project: Project) -> None:
    lines = asked(project, "show", "latest").out.splitlines()
    traceback = lines[lines.index("✗ fragile failed") + 1 :]
    assert [line.strip() for line in traceback if line.strip().startswith("File ")] == [
        line.strip() for line in traceback if f'File "{project.folder}/steps.py"' in line
    ]
    assert traceback[-1] == "  ValueError: no 1 today"


def test_logs_are_those_of_all_tasks_or_of_one(project: Project, trained: str) -> None:
    everything = asked(project, "logs", trained).out
    assert "ingest | ingesting 20 rows\n" in everything
    assert asked(project, "logs", trained, "ingest").out == everything
    lines = asked(project, "logs", trained, "ingest", "--json").document
    (line,) = [each for each in lines if each["stream"] != "notice"]
    assert line.pop("at") >= project.trained.document["started_at"]
    assert line == {"task": "ingest", "attempt": 1, "stream": "stdout", "text": "ingesting 20 rows"}


def test_logs_say_why_there_are_none(project: Project, trained: str) -> None:
    cached = asked(project, "logs", project.again.document["run_id"], "ingest")
    assert cached == (0, "", f"ingest was taken from the cache; see: penstock logs {trained} ingest\n")
    silent = asked(project, "logs", trained, "fit[1]")
    assert silent == (0, "", "nothing was printed or logged\n")


@pytest.mark.slow
def test_graph_in_every_form(project: Project, tmp_path: Path) -> None:
    text = asked(project, "graph", "steps.py").out
    assert text.startswith("steps: Scale a number, and add up.\n")
    assert not text.endswith("\n\n")
    assert asked(project, "graph", "steps.py", "-f", "mermaid").out.startswith("flowchart TD\n")
    document = asked(project, "graph", "steps.py", "--json").document
    assert [node["id"] for node in document["nodes"]][:3] == ["number", "fragile", "after_fragile"]
    for suffix, start in ((".svg", "<svg"), (".html", "<!doctype html>"), (".mmd", "flowchart"), (".json", "{")):
        file = tmp_path / f"graph{suffix}"
        assert asked(project, "graph", "steps.py", "-o", file).err.endswith(f"wrote {file}\n")
        assert file.read_text().lower().startswith(start)


def test_graph_of_a_run_has_its_states(project: Project, tmp_path: Path) -> None:
    file = tmp_path / "graph.svg"
    asked(project, "graph", "--run", "latest", "-o", file)
    root = ElementTree.parse(file).getroot()
    classes = {
        element.get("data-node"): (element.get("class") or "").split()
        for element in root.iter()
        if element.get("data-node")
    }
    assert "failed" in classes["fragile"]
    assert "upstream_failed" in classes["after_fragile"]
    assert asked(project, "graph", "--run", "latest").out.startswith("steps: Scale a number, and add up.\n")


def test_artifacts_are_listed_in_the_order_of_the_graph(project: Project, trained: str) -> None:
    rows = asked(project, "artifacts", "list", trained, "--json").document
    assert [row["name"] for row in rows] == [
        "ingest",
        "split.train",
        "split.test",
        "fit[0]",
        "fit[1]",
        "fit[2]",
        "best",
        "accuracy",
        "publish",
        "matrix",
        "draw",
        "report",
        "draw.curve",
    ]
    lines = asked(project, "artifacts", "list", trained).out.splitlines()
    assert lines[0].split() == ["artifact", "type", "size", "digest"]
    assert lines[2].split()[:2] == ["ingest", "pandas.DataFrame"]


def inside(project: Project, *arguments: str | Path) -> str:
    """What a command prints, run in this process: for those that import large libraries."""
    before, path = Path.cwd(), list(sys.path)
    os.chdir(project.folder)
    try:
        answer = CliRunner().invoke(commands.penstock, list(map(str, arguments)))
    finally:
        os.chdir(before)
        sys.path[:] = path
    assert answer.exit_code == 0, answer.stderr
    return answer.stdout


PREVIEWS = {
    "split.train": ["frame\n10 rows, 3 columns\n", "a [bold] name"],
    "matrix": ["array\nshape  10 x 2\ndtype  float64\n"],
    "fit[1]": ["Regression\n\nparameters\n  C                  1\n", "coef_              numpy.ndarray, 1 x 1\n"],
    "draw": ["To see it, export it to a .png file.\n"],
    "curve": ["matplotlib.figure.Figure"],
    "accuracy": ["data\n0.875\n"],
    "report": ["file\nname  report.txt\nsize  12 B\n\nscore 0.875\n"],
    "model": ["sklearn.linear_model.LogisticRegression"],
}


@pytest.mark.parametrize("name", PREVIEWS)
def test_a_preview_of_every_family(name: str, project: Project, trained: str) -> None:
    shown = inside(project, "artifacts", "show", trained, name)
    assert [text for text in PREVIEWS[name] if text not in shown] == []


def test_an_artifact_is_found_by_the_start_of_its_digest(project: Project, trained: str) -> None:
    row = asked(project, "artifacts", "show", trained, "matrix", "--json").document
    assert row["preview"]["shape"] == [10, 2]
    again = asked(project, "artifacts", "show", trained, row["digest"][:8], "--json").document
    assert again["digest"] == row["digest"]


def test_every_family_is_exported_to_what_people_use(project: Project, trained: str, tmp_path: Path) -> None:
    import joblib
    import numpy as np
    import pandas as pd

    def exported(name: str, output: Path = tmp_path) -> Path:
        answer = inside(project, "artifacts", "export", trained, name, "-o", output, "--json")
        return Path(json.loads(answer)["path"])

    frame = exported("split.train")
    assert frame == tmp_path / "split-train.parquet"
    assert list(pd.read_parquet(frame)["x"]) == [float(number) for number in range(10)]
    table: Any = pd.read_csv(exported("split.train", tmp_path / "train.csv"))
    assert list(table["y"]) == [0, 1] * 5
    array = np.load(exported("matrix"))
    assert array[:, 0].tolist() == list(range(10, 20))
    assert joblib.load(exported("fit[2]")).C == 10.0
    assert exported("draw").read_bytes().startswith(b"\x89PNG")
    assert exported("draw.curve", tmp_path / "curve.svg").read_text().startswith("<?xml")
    assert json.loads(exported("accuracy").read_text()) == 0.875
    report = exported("report")
    assert (report.name, report.read_text()) == ("report.txt", "score 0.875\n")


@pytest.mark.slow
def test_an_export_replaces_nothing_unless_it_is_told_to(project: Project, trained: str, tmp_path: Path) -> None:
    file = tmp_path / "matrix.npy"
    file.write_text("mine")
    for output in (file, tmp_path, tmp_path / "matrix"):
        refused = penstock("artifacts", "export", trained, "matrix", "-o", output, cwd=project.folder)
        assert refused.code == 2
        assert refused.err == f"error: {file} exists\n  Choose another place, or add --force.\n"
        assert file.read_text() == "mine"
    forced = asked(project, "artifacts", "export", trained, "matrix", "-o", file, "--force")
    assert forced.out == f"wrote {file}\n"
    assert file.read_bytes().startswith(b"\x93NUMPY")
    assert list(tmp_path.iterdir()) == [file], "nothing is left of the attempts"


def test_an_export_refuses_a_form_that_does_not_fit(project: Project, trained: str, tmp_path: Path) -> None:
    refused = penstock("artifacts", "export", trained, "matrix", "-o", tmp_path / "matrix.docx", cwd=project.folder)
    assert refused.code == 2
    assert ".docx" in refused.err
    assert ".npy" in refused.err
    assert list(tmp_path.iterdir()) == []


CLASSES = """
print("loaded")
from penstock import pipeline, task
class Custom:
    def __init__(self, x):
        self.x = x
    def __repr__(self):
        return f"<x is {self.x}>"
@task
def make() -> Custom:
    return Custom(3)
@pipeline
def main() -> Custom:
    return make()
"""


def test_values_of_classes_in_the_file_are_shown_and_exported(tmp_path: Path) -> None:
    (tmp_path / "in here").mkdir()
    (tmp_path / "in here" / "classes.py").write_text(CLASSES)
    document = penstock("run", "in here/classes.py", "--json", cwd=tmp_path).document
    assert states(document) == {"make": "succeeded"}
    shown = penstock("artifacts", "show", "latest", "make", cwd=tmp_path)
    assert "<x is 3>" in shown.out
    written = penstock("artifacts", "export", "latest", "make", "--json", cwd=tmp_path)
    assert written.document == {"path": "make.pkl"}
    assert (tmp_path / "make.pkl").is_file()


def test_help_has_examples_for_every_command() -> None:
    here = Path(__file__).parent
    names = [
        *("run", "runs", "show", "logs", "graph", "artifacts", "artifacts list", "artifacts show", "artifacts export"),
        *("demo", "doctor", "completion"),
    ]
    overview = penstock("--help", cwd=here)
    for name in names:
        shown = penstock(*name.split(), "--help", cwd=here)
        assert shown.code == 0
        assert "Examples:" in shown.out, name
        assert f"penstock {name}" in shown.out.partition("Examples:")[2], name
        assert f"  {name.split()[0]}" in overview.out
        assert max(map(len, shown.out.splitlines())) <= 100
    assert penstock("--version", cwd=here).out.startswith("penstock ")


def test_a_failure_that_the_body_caught_is_told_as_that(folder: Path) -> None:
    answer = penstock("run", "caught.py:caught", cwd=folder)
    assert answer.code == 0
    assert "Traceback" not in answer.out
    assert "2 tasks: 1 ran, 1 failed (caught)" in answer.out
    assert "~ primary failed, which the body of the pipeline caught" in answer.err
    document = penstock("show", "--json", cwd=folder).document
    check_run(document)
    primary, secondary = document["tasks"]
    assert (primary["state"], primary["handled"]) == ("failed", True)
    assert "handled" not in secondary
    shown = penstock("show", cwd=folder).out
    assert "~ failed (caught)" in shown
    assert "ValueError: no data today" in shown
    assert "Traceback" not in shown


def test_of_a_fallback_that_fails_the_first_error_is_told_too(folder: Path) -> None:
    answer = penstock("run", "caught.py:fallen", cwd=folder)
    assert answer.code == 1
    assert "✗ read failed: ValueError: no data today; then its fallback failed" in answer.out
    assert "OSError: no copy either" in answer.out
    [read] = penstock("show", "--json", cwd=folder).document["tasks"]
    assert (read["first_error"], read["error"]) == ("ValueError: no data today", "OSError: no copy either")
    assert "ValueError: no data today; in its fallback: OSError" in penstock("show", cwd=folder).out
