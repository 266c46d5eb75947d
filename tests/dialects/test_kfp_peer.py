"""The corpus on the real Kubeflow's local runner: the same outputs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

CORPUS = Path(__file__).with_name("corpus") / "kfp"
#: each task of it takes about a second there
CHOSEN = ("artifacts", "branches", "fan_out", "named_outputs", "settings")


def test_kubeflow_gives_the_same_outputs(peer: Callable[[str], Path]) -> None:
    files = [str(CORPUS / f"{name}.py") for name in CHOSEN]
    done = subprocess.run(
        [str(peer("kfp")), str(Path(__file__).with_name("kfp_peer.py")), *files],
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    for name in CHOSEN:
        expected = json.loads((CORPUS / f"{name}.json").read_text())["outputs"]
        given = found[name]
        assert (given if set(given) != {"Output"} else {"result": given["Output"]}) == expected
