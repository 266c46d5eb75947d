"""What the README and the quickstart show is run as it stands there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def blocks(page: Path) -> list[str]:
    """The Python code in a page."""
    return re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)


def penstock(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_")}
    command = [sys.executable, "-m", "penstock", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def document(*arguments: str, folder: Path) -> dict[str, object]:
    ended = penstock("run", *arguments, "--json", folder=folder)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def test_the_first_pipeline_of_the_readme_runs(tmp_path: Path) -> None:
    code, _ = blocks(ROOT / "README.md")
    (tmp_path / "first.py").write_text(code)
    first = document("first.py", "-p", "n=12", folder=tmp_path)
    again = document("first.py", "-p", "n=13", folder=tmp_path)
    assert first["outputs"]["result"]["value"] == 30.25  # type: ignore[index]
    states = {task["id"]: task["state"] for task in again["tasks"]}  # type: ignore[attr-defined]
    assert states["score[11]"] == "cached"
    assert states["score[12]"] == "succeeded"


def test_the_first_pipeline_is_also_a_script(tmp_path: Path) -> None:
    code, _ = blocks(ROOT / "README.md")
    (tmp_path / "first.py").write_text(code)
    ended = subprocess.run([sys.executable, "first.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "30.25"


def test_what_the_readme_registers_is_known_and_made(tmp_path: Path) -> None:
    first, standing = blocks(ROOT / "README.md")
    (tmp_path / "first.py").write_text(first)
    (tmp_path / "standing.py").write_text(standing)
    registered = penstock("register", "first.py", "standing.py", folder=tmp_path)
    assert (registered.returncode, "4 new" in registered.stdout) == (0, True), registered.stderr
    assert "02:00" in penstock("triggers", "next", "nightly", folder=tmp_path).stdout
    made = penstock("assets", "materialize", "+returns", "--json", folder=tmp_path)
    assert json.loads(made.stdout)["outputs"]["returns"]["value"][0] == pytest.approx(0.02)
    assert penstock("assets", "list", folder=tmp_path).stdout.count("fresh") == 2


@pytest.mark.slow
def test_the_quickstart_runs(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    pages = blocks(ROOT / "docs" / "quickstart.md")
    # the block that imports the file from elsewhere is not a part of it
    code = "\n\n".join(block for block in pages if "from iris import" not in block)
    (tmp_path / "iris.py").write_text(code)
    first = document("iris.py:iris", folder=tmp_path)
    other = document("iris.py:iris", "-p", "c=0.1", folder=tmp_path)
    assert first["outputs"]["result"]["value"] > 0.8  # type: ignore[index]
    assert {task["id"]: task["state"] for task in other["tasks"]} == {  # type: ignore[attr-defined]
        "split": "cached",
        "fit": "succeeded",
        "accuracy": "succeeded",
    }
    tuned = document("iris.py:tuned", folder=tmp_path)
    assert tuned["state"] == "succeeded"
    gated = document("iris.py:gated", "-p", "threshold=0.999", folder=tmp_path)
    assert str(gated["outputs"]["result"]["value"]).startswith("not published")  # type: ignore[index]
    shown = penstock("artifacts", "show", "latest", "split.0", folder=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "rows" in shown.stdout
