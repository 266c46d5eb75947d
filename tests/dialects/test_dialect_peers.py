"""The real systems that files are compared with can be had here."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from dialect_peers import PINS


@pytest.mark.parametrize("name", PINS)
def test_a_peer_is_there(peer: Callable[[str], Path], name: str, tmp_path: Path) -> None:
    python = peer(name)
    module = name.rstrip("0123456789")
    homes = {f"{each}_HOME": str(tmp_path) for each in ("AIRFLOW", "PREFECT")}
    done = subprocess.run(
        [python, "-c", f"import sys, {module}; print(sys.prefix)"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **homes},
    )
    assert done.stdout.strip().endswith(python.parents[1].name), done.stderr
    assert (python.parents[1] / "penstock-ready").exists()
