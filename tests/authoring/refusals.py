"""Pipelines that are wrong as written, and how they are refused."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

from penstock import DefinitionError

PRELUDE = """
import threading
from dataclasses import dataclass
from typing import NamedTuple, TypedDict
from penstock import (
    approval, chain, choose, cross, continue_if, elif_, failed, group, on_exit, otherwise, outcome, pipeline, repeat, scope,
    start, succeeded, switch, task, unmapped, wait, wait_for_file, wait_for_time, when,
)

@task
def load(rows: int = 10) -> list:
    return list(range(rows))

@task
def count(data: list) -> int:
    return len(data)

@task
def keep(value) -> None: ...

@task
def add(x: int, y: int) -> int:
    return x + y

@task
def parts() -> tuple[int, str]:
    return 1, "a"

@dataclass
class Box:
    content: object
"""


def refusal(source: str, project: Path, **parameters: Any) -> DefinitionError:
    """The error of a file whose pipeline is called `p`; its place must be the line that is marked with `#!`."""
    text = PRELUDE + textwrap.dedent(source)
    file = project / "pipe.py"
    file.write_text(text)
    line = next(number for number, line in enumerate(text.splitlines(), 1) if line.rstrip().endswith("#!"))
    space: dict[str, Any] = {"__name__": "pipe"}
    with pytest.raises(DefinitionError) as caught:
        exec(compile(text, str(file), "exec", dont_inherit=True), space)
        space["p"].run(**parameters)
    error = caught.value
    assert error.where == f"pipe.py:{line}"
    assert str(error).startswith(f"pipe.py:{line}: ")
    assert sorted(path.name for path in project.iterdir()) == ["penstock.toml", "pipe.py"]
    return error


def in_body(*lines: str) -> str:
    body = "\n".join(f"    {line}" for line in lines)
    return f"\n@pipeline\ndef p(n: int = 3, flag: bool = True):\n{body}\n"
