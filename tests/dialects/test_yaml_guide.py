"""The examples in the page on YAML run, and come to what their page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from penstock.registering.loading import load_pipeline

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "yaml.md"
OUTPUTS = {
    "training.yaml": {"shipped": "3 weights", "scores": ["eu: 3 weights", "us: 3 weights"]},
    "branches.yaml": {"said": "all is well"},
    "shrink.yaml": {"end": 5, "all": ["a-5", "b-5"]},
    "nightly.yaml": {"said": "6 rows of monday", "all": [{"size": 6}, {"size": 7}]},
    "prepare.yaml": {"size": 6},
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_an_example(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fences = re.findall(r"^```(?:yaml|py)\n# (\S+)\n(.*?)^```", GUIDE.read_text(), re.DOTALL | re.MULTILINE)
    for file, text in fences:
        (tmp_path / file).write_text(text)
    assert {file for file, _ in fences if file.endswith(".yaml")} == set(OUTPUTS)
    run = load_pipeline(name).options(executor="inline", progress=False).run()
    assert dict(run.outputs) == OUTPUTS[name]
