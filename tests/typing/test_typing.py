"""Signatures survive the decorators, so that an editor completes calls and finds wrong wiring."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

HERE = Path(__file__).parent
_MARK = re.compile(r"  # pyright: ignore\[(.+)\]$")


class Told(NamedTuple):
    """What the type checker said about a line of a file."""

    file: str
    line: int
    severity: str
    rule: str
    message: str


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[Told]:
    """All that the type checker has to say about the samples, without the marks that silence it."""
    folder = tmp_path_factory.mktemp("typing")
    for sample in HERE.glob("sample_*.py"):
        lines = sample.read_text(encoding="utf-8").splitlines()
        (folder / sample.name).write_text("\n".join(_MARK.sub("", line) for line in lines), encoding="utf-8")
    (folder / "pyrightconfig.json").write_text('{"typeCheckingMode": "standard"}')
    command = [str(Path(sys.executable).parent / "basedpyright"), "--pythonpath", sys.executable, "--outputjson"]
    ran = subprocess.run([*command, str(folder)], cwd=folder, capture_output=True, text=True, check=False)
    found: list[dict[str, Any]] = json.loads(ran.stdout)["generalDiagnostics"]
    return [
        Told(
            Path(each["file"]).name,
            each["range"]["start"]["line"] + 1,
            each["severity"],
            each.get("rule", ""),
            each["message"],
        )
        for each in found
    ]


def marked(file: str, mark: re.Pattern[str]) -> dict[int, str]:
    """Line -> what its mark says."""
    lines = (HERE / file).read_text(encoding="utf-8").splitlines()
    return {number: found[1] for number, line in enumerate(lines, 1) if (found := mark.search(line))}


def test_types_survive(told: list[Told]) -> None:
    assert [each for each in told if each.file == "sample_signatures.py" and each.severity != "information"] == []


def test_what_an_editor_shows(told: list[Told]) -> None:
    expected = marked("sample_signatures.py", re.compile(r"# reveals: (.+)$"))
    revealed = {
        each.line: each.message.partition(" is ")[2].strip('"')
        for each in told
        if each.file == "sample_signatures.py" and each.severity == "information"
    }
    assert len(expected) > 5
    assert revealed == expected


def test_every_mistake_is_an_error_and_nothing_else_is(told: list[Told]) -> None:
    expected = marked("sample_mistakes.py", _MARK)
    found: dict[int, set[str]] = {}
    for each in told:
        if each.file == "sample_mistakes.py" and each.severity == "error":
            found.setdefault(each.line, set()).add(each.rule)
    assert len(expected) > 10
    assert found == {line: set(rules.split(", ")) for line, rules in expected.items()}
