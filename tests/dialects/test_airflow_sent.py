"""What is written for Airflow to be run in a virtualenv: it goes there as the source of one function."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.errors import DefinitionError
from penstock.registering.exporting import exported
from penstock.registering.loading import load_pipeline


def written(folder: Path, text: str) -> str:
    file = folder / f"sent_{folder.name}.py".replace("-", "_")
    file.write_text(text)
    return exported(load_pipeline(f"{file}:flow"), "airflow", stem="it").written.text


def step_of(text: str) -> Callable[..., Any]:
    """The function of the virtualenv in a DAG, as Airflow sends it: by its source alone."""
    steps = [each for each in ast.parse(text).body if isinstance(each, ast.FunctionDef)]
    step = next(each for each in steps if "virtualenv" in " ".join(map(ast.unparse, each.decorator_list)))
    source = "\n".join(text.splitlines()[step.lineno - 1 : step.end_lineno])
    names: dict[str, Any] = {"__name__": "script"}
    exec(f"from __future__ import annotations\n{source}", names)
    return names[step.name]


SENT = """
import json
from penstock import pipeline, task
COUNT, FACTOR = 0, 3
class Point:
    def __init__(self, x):
        self.x = x
def counted(number):
    global COUNT
    COUNT += 1
    return number * FACTOR + COUNT
def shown(number):
    return json.dumps(f'''{Point(counted(number)).x}
at the margin''')
@task
def backup(number: int) -> str:
    return "none"
@task(environment=["colorama==0.4.0"])
def fit(number: int) -> str:
    if number < 0:
        raise ValueError(number)
    return shown(number)
@pipeline
def flow(shown: int = 1):
    return fit.options(fallback=backup)(shown)
"""


def test_what_airflow_runs_in_a_virtualenv_has_all_that_it_needs_inside(tmp_path: Path) -> None:
    text = written(tmp_path, SENT.replace("flow(shown", "flow(given").replace("(shown)", "(given)"))
    step = step_of(text)
    assert [step(2), step(-1)] == ['"7\\nat the margin"', "none"]
    assert "def shown" not in text.partition("@task.virtualenv")[0]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("return shown(number)", "return Skip", r"'fit' cannot be .* a Python environment .* uses penstock.Skip"),
        ("fallback=backup", "fallback=backup, retries=1", r"'fit' cannot be written .* asks which attempt it is"),
        ("shown: int = 1", "json: int = 1", r"'fit' .* imports something as json, which it is given as well"),
        ("shown: int = 1", "shown: int = 2", r"'fit' .* uses shown, and there is something else of that name"),
    ],
)
def test_what_cannot_be_known_in_a_virtualenv_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = SENT.replace(old, new).replace("pipeline, task", "Skip, pipeline, task")
    text = text if "shown" in new else text.replace("flow(shown", "flow(given").replace("(shown)", "(given)")
    text = text.replace("(given)", "(json)") if "json" in new else text
    with pytest.raises(DefinitionError, match=message):
        written(tmp_path, text)
