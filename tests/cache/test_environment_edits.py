"""Edits of the Python environment that a task declares, which is a part of its fingerprint. Nothing is installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from penstock.fingerprint.code import CodeReader
from penstock.fingerprint.framing import digest_of
from penstock.runtime.driving.fingerprints import Composition

FLOW = """
from penstock import pipeline, task

LISTED = ["six==1.16.0", "tomli"]


@task(environment={environment})
def work() -> int:
    import six

    return six.MAXSIZE


@pipeline
def flow() -> int:
    return work()
"""

#: what is declared, where to put it, the text of requirements.txt
Declared = tuple[str, str, str]
BEFORE: Declared = ('["six==1.16.0"]', "flow.py", "six\n")
FILE: Declared = ('"requirements.txt"', "flow.py", "six==1.16.0\n")


def fingerprint(declared: Declared, folder: Path) -> bytes:
    environment, name, requirements = declared
    file = folder / name
    file.parent.mkdir(parents=True)
    file.write_text(FLOW.format(environment=environment))
    file.with_name("requirements.txt").write_text(requirements)
    spec = importlib.util.spec_from_file_location("flow", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (task,) = module.flow.graph().tasks.values()
    identity = CodeReader(digest_of).identify(module.work.function).digest
    return Composition(identity=identity, environment=task.environment).fingerprint()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (BEFORE, ('["six==1.17.0"]', "flow.py", "six\n")),
        (BEFORE, ("LISTED", "flow.py", "six\n")),
        (BEFORE, ("None", "flow.py", "six\n")),
        (BEFORE, FILE),
        (FILE, ('"requirements.txt"', "flow.py", "six==1.17.0\n")),
    ],
)
def test_another_environment_is_another_fingerprint(one: Declared, other: Declared, tmp_path: Path) -> None:
    assert fingerprint(one, tmp_path / "one") != fingerprint(other, tmp_path / "other")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (BEFORE, ("LISTED[:1]", "flow.py", "tomli\n")),
        (BEFORE, ('("six==1.16.0",)', "sub/flows.py", "six\n")),
        (FILE, ('"requirements.txt"', "sub/flow.py", "six==1.16.0\n")),
    ],
)
def test_where_and_how_it_is_written_does_not_count(one: Declared, other: Declared, tmp_path: Path) -> None:
    assert fingerprint(one, tmp_path / "one") == fingerprint(other, tmp_path / "other")
