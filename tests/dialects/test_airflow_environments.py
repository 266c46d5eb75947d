"""Functions of Airflow's files in Python environments of their own: they go there alone, without their files."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

import pytest

from penstock.authoring.importable import code_of
from penstock.dialects.airflow.exceptions import AirflowSkipException
from penstock.executors.attempts.attempt import load_code
from penstock.registering.loading import load_pipeline

FILE = '''\
from datetime import datetime

import {library}
from airflow.decorators import dag, task

LIMIT = 3


@dag(schedule=None, start_date=datetime(2024, 1, 1))
def alone():
    @task.virtualenv(requirements=["colorama==0.4.0"], system_site_packages=False)
    def seen(limit: LIMIT = 2) -> dict:
        """A text
with a line at the margin."""
        import sys

        from airflow.exceptions import AirflowSkipException

        def down(count):
            return count if count == 0 else down(count - 1)

        if limit > 100:
            raise AirflowSkipException("too much")
        if limit < 0:
            raise ValueError("too little")

        import colorama

        return {{"version": colorama.__version__, "file": "{library}" in sys.modules, "limit": down(limit) + limit}}

    @task.virtualenv(requirements=["colorama==0.4.0"], system_site_packages=False)
    def leaning():
        return LIMIT

    seen()
    seen(1000)
    {more}


alone()
'''


def read(folder: Path, library: str, more: str = "leaning()") -> Any:
    file = folder / f"alone_{folder.name}.py".replace("-", "_")
    file.write_text(FILE.format(library=library, more=more))
    return load_pipeline(str(file))


def codes(pipeline: Any) -> dict[str, Any]:
    definition = pipeline.define(pipeline.signature.resolve(given={}))
    return {node.id: code_of(definition.functions[node.task]) for node in definition.graph.nodes}


def test_a_function_that_needs_nothing_of_its_file_goes_without_it(tmp_path: Path) -> None:
    found = codes(read(tmp_path, "json"))
    assert "alone_" not in found["seen"].module
    assert (found["leaning"].module, found["leaning"].qualname) == (f"alone_{tmp_path.name}", "alone/leaning")
    function = load_code(found["seen"], {})
    assert function.__doc__ == "A text\nwith a line at the margin."
    with pytest.raises(AirflowSkipException, match="too much"):
        function(101)


def test_an_error_of_it_names_the_line_in_the_file(tmp_path: Path) -> None:
    function = load_code(codes(read(tmp_path, "json"))["seen"], {})
    with pytest.raises(ValueError, match="too little") as told:
        function(-1)
    frames = traceback.extract_tb(told.value.__traceback__)
    assert [each.line for each in frames if Path(each.filename).name == f"alone_{tmp_path.name}.py"] == [
        'raise ValueError("too little")'
    ]


@pytest.mark.slow
def test_its_file_may_import_what_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pipeline = read(tmp_path, "pendulum", "")
    run = pipeline.options(executor="inline", progress=False, logs=False, home=tmp_path / "home").run()
    assert {task.id: str(task.state) for task in run.tasks} == {"seen": "succeeded", "seen__1": "skipped"}
    assert run.outputs["seen"] == {"version": "0.4.0", "file": False, "limit": 2}


MAPPED = """\
from datetime import datetime

import pendulum
from airflow.decorators import dag, task


@dag(schedule=None, start_date=datetime(2024, 1, 1))
def mapped():
    @task.virtualenv(requirements=["colorama==0.4.0"], system_site_packages=False)
    def seen(number):
        import colorama

        return f"{colorama.__version__} {number}"

    seen.expand(number=[1, 2])


mapped()
"""


@pytest.mark.slow
def test_a_mapped_function_runs_in_its_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / f"mapped_{tmp_path.name}.py"
    file.write_text(MAPPED)
    run = load_pipeline(str(file)).options(executor="inline", progress=False, logs=False, home=tmp_path / "home").run()
    assert run.outputs["seen"] == ["0.4.0 1", "0.4.0 2"]
