"""The examples of the guide run, with a password that is there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from searching import leaks

from penstock import Run, find_run

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "secrets.md"


@pytest.mark.parametrize(("number", "name", "result"), [(0, "nightly", 6), (1, "with_variables", [True, True])])
def test_an_example_runs(
    number: int,
    name: str,
    result: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DB_PASSWORD", "of-the-guide-8134")
    code = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)[number]
    (tmp_path / f"guide_{name}.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    module = __import__(f"guide_{name}")
    made: Run = getattr(module, name).options(executor="inline").run()
    assert made.result == result
    assert find_run().state == "succeeded"
    shown = capfd.readouterr()
    if name == "nightly":
        assert "counting orders at postgresql://app:***@db/shop" in shown.out
    assert leaks(tmp_path, "of-the-guide-8134", shown.out, shown.err) == []
