"""Records to test with: one of each kind, plain unless a test asks for more."""

from __future__ import annotations

from typing import Any

import msgspec

from penstock.model.action import PythonAction
from penstock.model.event import Fault
from penstock.model.expression import Constant, Output
from penstock.model.graph import Graph, Node, Port, Task
from penstock.model.place import Location
from penstock.model.run import AttemptRecord, NodeState, Provenance, RunRecord, RunState
from penstock.model.value import Artifact
from penstock.ports import Result, Turn

#: text of many scripts and kinds: combining, right to left, outside the basic plane, controls, quotes, line ends
TEXT = "Größe e\u0301 \u05e9\u05dc\u05d5\u05dd 流水线 \U0001f469\u200d\U0001f52c \x1b[31m \"'`;-- %_\\ \r\n\t\u2028"

FAULT = Fault("ValueError", TEXT, f"Traceback\n  {TEXT}", b"\x80\x05\x00", infrastructure=True)


def artifact(seed: int, *, blob: bool = False) -> Artifact:
    """An artifact that differs for each seed; its bytes are in its payload, or in a blob."""
    digest = seed.to_bytes(32, "big")
    if blob:
        return Artifact("frame", "pandas.DataFrame", digest, 1 << 40, None, digest[::-1])
    return Artifact("json", "int", digest, 4, seed.to_bytes(4, "big"))


def fingerprint(seed: int) -> bytes:
    """A fingerprint that differs for each seed, with all kinds of bytes."""
    return bytes((seed * 37 + place * 11) % 256 for place in range(28)) + seed.to_bytes(4, "big")


def run_record(run_id: str = "run-1", *, started_at: float = 1_700_000_000.25, **changes: Any) -> RunRecord:
    """A run that has just started."""
    record = RunRecord(run_id=run_id, pipeline="training", state=RunState.RUNNING, parameters={}, started_at=started_at)
    return msgspec.structs.replace(record, **changes)


def graph(nodes: int = 2) -> Graph:
    """A chain of nodes."""
    place = Location("pipeline.py", 3)
    task = Task("fit", PythonAction("pipeline", "fit", place), (Port("data"),), (Port("result"),))
    chain = [Node("n0", "fit", {"data": Constant(TEXT)}, place)]
    chain += [Node(f"n{i}", "fit", {"data": Output(f"n{i - 1}")}, place) for i in range(1, nodes)]
    return Graph("training", (), {"fit": task}, tuple(chain), Output(chain[-1].id))


def provenance(**changes: Any) -> Provenance:
    """What a run depended on, with nothing optional set."""
    record = Provenance(penstock="0", python="3.11", platform="any", machine={}, packages={}, configuration={})
    return msgspec.structs.replace(record, **changes)


def attempt(node: str = "fit", item: int = -1, number: int = 1, **changes: Any) -> AttemptRecord:
    """An attempt that succeeded."""
    record = AttemptRecord(node=node, item=item, attempt=number, state=NodeState.SUCCEEDED)
    return msgspec.structs.replace(record, **changes)


#: an attempt that no database has room for: its turn is refused when a part of it is there already
UNFIT = attempt("other", 2**64)


def result(*outputs: Artifact, node: str = "fit", item: int = -1, number: int = 1) -> Result:
    """What the cache keeps of an attempt."""
    return Result(node, item, number, outputs)


def turn(number: int = 0, **parts: Any) -> Turn:
    """A turn, empty but for the parts that are given."""
    return Turn(number=number, at=1_700_000_000.5 + number, **parts)
