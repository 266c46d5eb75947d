from __future__ import annotations

import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock.cli.artifact_views import artifact_table, preview
from penstock.cli.renderables import console, rendered
from penstock.cli.views import error_view, run_table, run_view, summary
from penstock.errors import ParameterError
from penstock.observe import measures

TRACEBACK = """\
Traceback (most recent call last):
  File "pipeline.py", line 42, in fit
    return model.fit(x, y)
ValueError: bad depth
"""


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def task(id: str, state: str, **fields: Any) -> dict[str, Any]:
    node = id.partition("[")[0]
    ran = {"attempts": 1, "duration_s": 1.2, "cpu_s": 1.1, "peak_memory_bytes": 150_000_000} if state in RAN else {}
    return {"id": id, "node": node, "task": node, "state": state, "attempts": 0, "error": None, **ran, **fields}


RAN = ("succeeded", "failed")

SUCCEEDED: dict[str, Any] = {
    "run_id": "20261121-7f3a",
    "pipeline": "training",
    "state": "succeeded",
    "parameters": {"threshold": 0.95, "source": "data.csv"},
    "started_at": "2026-11-21T09:37:12.123Z",
    "duration_s": 12.31,
    "target": "examples/training/pipeline.py",
    "metrics": {"accuracy": 0.96491228, "rows": 569.0},
    "outputs": {
        "model": {"type": "sklearn.ensemble.RandomForestClassifier", "size": 1_234_567, "digest": "ab"},
        "report": {"type": "pathlib.Path", "size": 52_345, "digest": "cd", "path": "build/report.html"},
        "accuracy": {"type": "float", "size": 9, "digest": "ef", "value": 0.9649},
    },
    "tasks": [
        task("ingest", "cached"),
        *(task(f"fit[{item}]", "succeeded") for item in range(30)),
        task("register", "skipped", reason="evaluate.accuracy >= threshold is false"),
    ],
}
FAILED: dict[str, Any] = {
    **SUCCEEDED,
    "state": "failed",
    "outputs": {},
    "metrics": {},
    "tasks": [
        task("ingest", "cached"),
        *(
            task(f"fit[{item}]", "failed", attempts=3, error="ValueError: bad depth\nmore", traceback=TRACEBACK)
            if item % 4 == 0
            else task(f"fit[{item}]", "succeeded")
            for item in range(30)
        ),
        task("lost", "failed", error="WorkerLostError: killed by signal 9"),
        task("train", "upstream_failed", reason="fit failed"),
    ],
}


def text(view: Any, width: int = 80) -> str:
    return rendered(view, width=width).strip("\n")


def test_summary_of_a_run_that_succeeded() -> None:
    assert (
        text(summary(SUCCEEDED))
        == """\
✓ training succeeded in 12 s  run 20261121-7f3a

metrics
  accuracy  0.9649
  rows      569

outputs
  model     sklearn.ensemble.RandomForestClassifier, 1.2 MB
  report    build/report.html  (52.3 kB)
  accuracy  0.9649

32 tasks: 30 ran, 1 cached, 1 skipped"""
    )


def test_metrics_of_many_items_are_told_once_with_their_range() -> None:
    metrics = {f"fit[{item}].loss": item / 8 for item in range(1000)} | {"fit[9].odd": 1.0, "same[0].x": 2.0}
    metrics |= {"same[1].x": 2.0, "plain": 3.0, "fit[0].gap": float("nan"), "fit[1].gap": 1.0}
    shown = text(summary({**SUCCEEDED, "metrics": metrics})).partition("metrics\n")[2].partition("\n\n")[0]
    assert [line.split(maxsplit=1) for line in shown.splitlines()] == [
        ["fit[*].loss", "0 to 124.8750, 1,000 items"],
        ["fit[9].odd", "1"],
        ["same[*].x", "2, 2 items"],
        ["plain", "3"],
        ["fit[*].gap", "1, 2 items"],
    ]
    assert "fit[*].loss" in text(run_view({**SUCCEEDED, "metrics": metrics}))


def test_a_pipeline_that_returns_nothing_has_no_outputs() -> None:
    nothing = {"result": {"type": "NoneType", "size": 1, "value": None}}
    assert "outputs" not in text(summary({**SUCCEEDED, "outputs": nothing}))


def test_files_in_the_working_folder_are_named_from_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    outputs = {
        "near": {"type": "pathlib.Path", "size": 5, "path": str(tmp_path / "build" / "near.txt")},
        "far": {"type": "pathlib.Path", "size": 5, "path": "/far.txt"},
    }
    shown = text(summary({**SUCCEEDED, "outputs": outputs}))
    assert "  near  build/near.txt  (5 B)\n  far   /far.txt  (5 B)\n" in shown


def test_summary_of_a_run_that_failed_tells_like_failures_together() -> None:
    assert (
        text(summary(FAILED))
        == """\
✗ fit[0], fit[4], fit[8], fit[12], fit[16] and 3 more failed
  Traceback (most recent call last):
    File "pipeline.py", line 42, in fit
      return model.fit(x, y)
  ValueError: bad depth

✗ lost failed: WorkerLostError: killed by signal 9

✗ training failed after 12 s  run 20261121-7f3a

33 tasks: 22 ran, 1 cached, 9 failed, 1 not run"""
    )


def test_summary_limits_the_failures_of_one_task() -> None:
    tasks = [task(f"fit[{item}]", "failed", error=f"ValueError: {item}") for item in range(9)]
    shown = text(summary({**FAILED, "tasks": tasks}))
    assert "fit[2] failed: ValueError: 2" in shown
    assert "fit[3]" not in shown
    assert "  and 6 more items of fit failed" in shown


def test_run_view_puts_many_items_in_one_row() -> None:
    assert (
        text(run_view({**SUCCEEDED, "metrics": {}, "outputs": {}}))
        == """\
✓ training succeeded in 12 s  run 20261121-7f3a
started  2026-11-21 09:37
target   examples/training/pipeline.py

parameters
  threshold  0.95
  source     data.csv

task      state        duration   cpu  memory  note
────────────────────────────────────────────────────────────────────────────────
ingest    ↺ cached
fit[*]    ✓ succeeded      36 s  33 s  150 MB  30 items: 30 ran
register  – skipped                            evaluate.accuracy >= threshold is
                                               false"""  # noqa: RUF001
    )


def test_run_view_lists_the_failed_among_many_items() -> None:
    lines = text(run_view(FAILED), width=120).splitlines()
    rows = [line for line in lines if line.startswith("fit[")]
    assert rows[0].split()[:3] == ["fit[*]", "✗", "failed"]
    assert rows[0].endswith("30 items: 22 ran, 8 failed")
    assert len(rows) == 9
    assert rows[1].endswith("ValueError: bad depth")
    assert "  ValueError: bad depth" in lines, "the traceback is there too"


def test_run_view_tells_where_a_run_came_from() -> None:
    provenance = {"git_commit": "0123456789abcdef", "git_dirty": True, "python": "CPython 3.11.9", "penstock": "0.1.0"}
    shown = text(run_view({**SUCCEEDED, "provenance": provenance}))
    assert "commit   0123456789ab and changes" in shown
    assert "with     CPython 3.11.9, penstock 0.1.0" in shown


def test_run_view_lists_logged_artifacts() -> None:
    logged = [{"name": "curve", "task": "evaluate", "type": "matplotlib.figure.Figure", "size": 20_000}]
    shown = text(run_view({**SUCCEEDED, "artifacts": logged}))
    assert "artifacts\n  evaluate.curve  matplotlib.figure.Figure, 20.0 kB" in shown


def test_run_table_fits_eighty_columns_and_shows_metrics_where_there_is_room() -> None:
    documents = [SUCCEEDED, FAILED, {"run_id": "x", "pipeline": "other", "state": "running"}]
    narrow = text(run_table(documents)).splitlines()
    assert len(narrow) == 2 + 3
    assert narrow[0].split() == ["run", "pipeline", "state", "started", "duration", "tasks"]
    assert " ".join(narrow[3].split()) == "20261121-7f3a training ✗ failed 2026-11-21 09:37 12 s 33, 9 failed"
    assert narrow[4].split() == ["x", "other", "▸", "running"]
    wide = text(run_table(documents), width=120).splitlines()
    assert wide[2].endswith("accuracy 0.9649, rows 569")


def test_views_take_what_little_there_is() -> None:
    assert text(summary({})) == "? run"
    assert text(run_view({"state": "running"})) == "▸ run running"
    assert text(run_table([])) == "no runs yet"
    assert text(artifact_table([])) == "no artifacts"
    assert text(preview({})) == "value"


def test_views_take_markup_for_text() -> None:
    shown = text(summary({**SUCCEEDED, "metrics": {"[bold]x[/bold]": 1.0}, "pipeline": "[red]p"}))
    assert "[bold]x[/bold]  1" in shown
    assert "[red]p succeeded" in shown


def test_views_in_ascii() -> None:
    data = io.BytesIO()
    target = console(io.TextIOWrapper(data, encoding="ascii", write_through=True))
    target.print(summary({**SUCCEEDED, "pipeline": "entraînement"}))
    target.print(run_view(FAILED))
    shown = data.getvalue().decode("ascii")
    assert "+ entra?nement succeeded in 12 s" in shown
    assert "x failed" in shown


def test_error_view_has_what_where_and_remedy() -> None:
    error = ParameterError(
        "unknown parameter 'treshold'\nmissing parameter 'source'", where="pipeline.py:12", remedy="Did you mean this?"
    )
    assert text(error_view(error)) == (
        "error: unknown parameter 'treshold'\n  missing parameter 'source'\n  at pipeline.py:12\n  Did you mean this?"
    )
    assert text(error_view(ParameterError("wrong"))) == "error: wrong"
    assert text(error_view(ParameterError("wrong:\n  a: x\n  b: y", remedy="Do\n  this."))) == (
        "error: wrong:\n  a: x\n  b: y\n  Do\n  this."
    ), "lines that are indented stay as they are"


def test_artifact_table() -> None:
    rows = [
        {"name": "split.test", "type": "pandas.DataFrame", "size": 140_000, "digest": "abcdef0123456789"},
        {"task": "train", "output": "result", "type": "float", "size": 9, "digest": "0" * 64},
    ]
    assert [line.split() for line in text(artifact_table(rows)).splitlines()[2:]] == [
        ["split.test", "pandas.DataFrame", "140", "kB", "abcdef012345"],
        ["train", "float", "9", "B", "000000000000"],
    ]


def test_preview_of_a_frame() -> None:
    columns = [{"name": f"x{number}", "dtype": "float64"} for number in range(8)] + [{"name": "x0", "dtype": "int64"}]
    shown = text(
        preview({"kind": "frame", "rows": 569, "width": 120, "columns": columns, "head": [[1.23456789] * 8 + [1]] * 2})
    )
    assert shown.splitlines()[1] == "569 rows, 120 columns"
    assert "  float64  x0, x1, x2, x3, x4, x5, x6, x7\n  int64    x0" in shown
    assert shown.count("1.2346") == 2 * 6
    assert shown.endswith("and 114 more columns")


def test_preview_of_a_frame_whose_columns_share_a_name() -> None:
    columns = [{"name": "x", "dtype": "int64"}, {"name": "x", "dtype": "str"}]
    shown = text(preview({"kind": "frame", "rows": 1, "width": 2, "columns": columns, "head": [[1, None]]}))
    assert shown.splitlines()[-1].split() == ["1", "-"]


@pytest.mark.parametrize(
    ("recorded", "expected"),
    [
        ({"kind": "data", "length": 3, "value": "abc"}, "text  3 characters\nabc"),
        ({"kind": "data", "value": 7}, "data\n7"),
        ({"kind": "data", "length": 1, "value": [1]}, "data  1 element\n[\n  1\n]"),
        (
            {"kind": "array", "shape": [569, 30], "dtype": "float64", "head": [1.0, 2.5], "max": 1e6},
            "array\nshape  569 x 30\ndtype  float64\nhead   1, 2.5\nmax    1,000,000",
        ),
        (
            {"kind": "estimator", "class": "sklearn.svm.SVC", "parameters": {"C": 1.0, "kernel": "rbf"}, "fitted": {}},
            "sklearn.svm.SVC\n\nparameters\n  C       1\n  kernel  rbf",
        ),
        (
            {"kind": "figure", "inches": [6.4, 4.8], "axes": 1, "png": "iVBORw0KGgo="},
            "figure\naxes  1\nsize  6.4 x 4.8 inches\nTo see it, export it to a .png file.",
        ),
        (
            {"kind": "file", "name": "a.txt", "size": 1234, "head": "one\ntwo"},
            "file\nname  a.txt\nsize  1.2 kB\n\none\ntwo",
        ),
        (
            {"kind": "folder", "name": "out", "count": 3, "files": [{"path": "a", "size": 5}]},
            "folder\nname   out\ncount  3\n\nfiles\n  a  5 B\n     and 2 more files",
        ),
        (
            {"kind": "module", "class": "net.Net", "parameters": 12345, "text": "Net(\n)"},
            "net.Net\nparameters  12,345\n\nNet(\n)",
        ),
        (
            {"kind": "tree", "type": "Trained", "parts": {"coef": {"type": "numpy.ndarray", "size": 152}, "n": 3}},
            "Trained\n\nparts\n  coef  numpy.ndarray, 152 B\n  n     3",
        ),
        ({"kind": "raster", "bands": 3, "extent": {"north": 1.5}}, "raster\nbands  3\n\nextent\n  north  1.5000"),
    ],
)
def test_preview(recorded: dict[str, Any], expected: str) -> None:
    assert text(preview(recorded)) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "<1 ms"),
        (0.0123, "12 ms"),
        (0.0994, "99 ms"),
        (0.0996, "0.10 s"),
        (0.31, "0.31 s"),
        (0.996, "1.0 s"),
        (9.96, "10 s"),
        (59.6, "1 min 00 s"),
        (182, "3 min 02 s"),
        (3599.7, "1 h 00 min"),
        (7500, "2 h 05 min"),
        (100_000, "1 d 03 h"),
    ],
)
def test_durations(seconds: float, expected: str) -> None:
    assert measures.duration(seconds) == expected


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_960, "1.0 MB"),
        (1_234_567, "1.2 MB"),
        (150e6, "150 MB"),
        (5e15, "5000 TB"),
    ],
)
def test_sizes(count: float, expected: str) -> None:
    assert measures.size(count) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.96491228, "0.9649"), (569.0, "569"), (3, "3"), (1e-7, "1e-07"), (float("nan"), "nan"), (123456.7, "1.235e+05")],
)
def test_metrics(value: float, expected: str) -> None:
    assert measures.number(value) == expected
