"""The corpus on the real Kubeflow's local runner: the same outputs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from dialect_peers import kubeflow_outputs

CORPUS = Path(__file__).with_name("corpus") / "kfp"
#: each task of it takes about a second there
CHOSEN = ("artifacts", "branches", "fan_out", "named_outputs", "settings")


def test_kubeflow_gives_the_same_outputs(peer: Callable[[str], Path]) -> None:
    found = kubeflow_outputs(peer("kfp"), *(CORPUS / f"{name}.py" for name in CHOSEN))
    for name in CHOSEN:
        expected = json.loads((CORPUS / f"{name}.json").read_text())["outputs"]
        given = found[name]
        assert (given if set(given) != {"Output"} else {"result": given["Output"]}) == expected
