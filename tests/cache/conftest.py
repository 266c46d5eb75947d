from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from edits import Run


@pytest.fixture(scope="session")
def run() -> Iterator[Run]:
    """Runs a target in a folder, with fresh modules; returns the document of the run."""
    program = [sys.executable, str(Path(__file__).with_name("forks.py"))]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        orders, answers = process.stdin, process.stdout

        def run(folder: Path, target: str, *flags: str) -> dict[str, Any]:
            orders.write(json.dumps({"folder": str(folder), "target": target, "flags": flags}) + "\n")
            orders.flush()
            answer = json.loads(answers.readline())
            assert "error" not in answer, answer["error"]
            return answer

        yield run
        orders.close()
