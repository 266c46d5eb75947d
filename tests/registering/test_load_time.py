"""A file that takes too long to load, and one that never does."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.model.options import RunOptions
from penstock.registering.isolation import collect_apart
from penstock.registering.places import Place


def faults(file: Path, timeout: float) -> list[tuple[str, str | None]]:
    options = RunOptions(home=str(file.parent / "state"))
    return [(each.what, each.where) for each in collect_apart(Place(str(file)), options, timeout).faults]


def test_a_file_that_takes_too_long_is_told_with_the_line_that_it_is_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    # what comes when the time is over
    (tmp_path / "slow_thing.py").write_text("import signal\n\nsignal.raise_signal(signal.SIGALRM)\n")
    assert faults(tmp_path / "slow_thing.py", 300.0) == [
        ("slow_thing.py is not loaded after 300 s, and was given up", "slow_thing.py:3")
    ]
    assert faults(tmp_path / "slow_thing.py", 0.5)[0][0].startswith("slow_thing.py is not loaded after 0.5 s")


@pytest.mark.slow
def test_a_file_that_cannot_be_interrupted_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stuck_thing.py").write_text(
        "import time\nwhile True:\n    try:\n        time.sleep(1)\n    except Exception:\n        pass\n"
    )
    assert faults(tmp_path / "stuck_thing.py", 0.1) == [
        ("stuck_thing.py is not loaded after 0.1 s, and was given up", None)
    ]
