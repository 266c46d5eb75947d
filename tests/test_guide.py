"""Every example of the guide is a file that runs, and what is shown below it is what comes out."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

GUIDE = Path(__file__).parent.parent / "docs" / "guide"


class Example(NamedTuple):
    name: str
    code: str
    settings: str
    #: what the run puts out; None where the page shows nothing
    outputs: dict[str, Any] | None


def _examples() -> list[Example]:
    found: list[Example] = []
    for page in sorted(GUIDE.glob("*.md")):
        fences = re.findall(r"^```(python|toml|json)\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
        for language, text in fences:
            if language == "python":
                found.append(Example(f"{page.stem}-{len(found)}", text, "", None))
            elif language == "toml":
                found[-1] = found[-1]._replace(settings=text)
            else:
                found[-1] = found[-1]._replace(outputs=json.loads(text))
    return found


def _last_pipeline(code: str) -> str:
    """The name of the last pipeline that a file defines."""
    return re.findall(r"^@pipeline.*\ndef (\w+)|^(\w+) = search\(", code, re.MULTILINE)[-1]


@pytest.mark.parametrize("example", _examples(), ids=lambda example: example.name)
def test_an_example_of_the_guide(example: Example, tmp_path: Path) -> None:
    if example.outputs is None:
        pytest.skip("it needs more than this machine may have, or a person; it has tests of its own")
    (tmp_path / "example.py").write_text(example.code)
    (tmp_path / "pyproject.toml").write_text(example.settings)
    name = next(filter(None, _last_pipeline(example.code)))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_")}
    command = [sys.executable, "-m", "penstock", "run", f"example.py:{name}", "--json"]
    ended = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 0, f"{ended.stderr}\n{ended.stdout}"
    outputs = json.loads(ended.stdout)["outputs"]
    assert {name: output["value"] for name, output in outputs.items()} == example.outputs
