"""Fingerprints, and what they are made of."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from graphs import Bench, Ended, graph, node

from penstock.model.action import Environment
from penstock.model.expression import Constant, Item, Output
from penstock.model.graph import Each
from penstock.model.policy import Caching, Policy
from penstock.runtime.driving.fingerprints import Composition, counted


def fit(data: Any, depth: int = 1, seed: int = 0) -> list[Any]:
    return [data, depth, seed]


def load() -> list[int]:
    return [1, 2]


TASKS = {"fit": fit, "load": load}


def fingerprints(ended: Ended, name: str = "fit") -> list[bytes | None]:
    return [each.fingerprint for each in ended.attempts if each.node == name]


def composition(bench: Bench, **inputs: Any) -> Composition:
    digests = {name: bench.values.digest(bench.values.store(value)[0]) for name, value in inputs.items()}
    return Composition(identity=b"fit", inputs=digests)


def test_a_fingerprint_follows_from_its_composition(bench: Bench) -> None:
    expected = [composition(bench, data=[1, 2], depth=3, seed=seed).fingerprint() for seed in (5, 6)]
    loaded = Output("load")
    plain = bench.run(graph(node("load", "load"), node("fit", "fit", {"seed": 5, "data": loaded, "depth": 3})), TASKS)
    assert fingerprints(plain) == expected[:1]
    each = Each({"seed": Constant([5, 6])})
    mapped = node("fit", "fit", {"depth": 3, "seed": Item("seed"), "data": loaded}, each=each)
    assert fingerprints(bench.run(graph(node("load", "load"), mapped), TASKS)) == expected
    spread = Each({"kwargs": Constant([{"seed": 5, "depth": 3}, {"depth": 3, "seed": 6}])}, spread="kwargs")
    rows = node("fit", "fit", {"data": loaded}, each=spread)
    assert fingerprints(bench.run(graph(node("load", "load"), rows), TASKS)) == expected


def test_those_of_one_task_lie_together(bench: Bench) -> None:
    each = Each({"seed": Constant([5, 6, 7])})
    ended = bench.run(
        graph(node("load", "load"), node("fit", "fit", {"data": 1, "seed": Item("seed")}, each=each)), TASKS
    )
    made, loaded = fingerprints(ended), fingerprints(ended, "load")
    assert len({each for each in made if each is not None and len(each) == 32}) == 3
    assert len({each[:4] for each in made if each is not None}) == 1
    assert loaded[0] is not None
    assert all(each is None or each[:4] != loaded[0][:4] for each in made)


def test_settings_are_a_part_of_it(bench: Bench) -> None:
    whole = composition(bench, data=1, depth=2)
    policy = Policy(caching=Caching(version="a", ignored=("depth",)))
    ended = bench.run(graph(node("fit", "fit", {"data": 1, "depth": 2}, policy=policy)), TASKS)
    names = counted(policy.caching, whole.inputs)
    inputs = {name: whole.inputs[name] for name in names}
    assert names == ["data"]
    assert fingerprints(ended) == [msgspec.structs.replace(whole, version="a", inputs=inputs).fingerprint()]


_A = b"a" * 32
_B = b"b" * 32


@pytest.mark.parametrize(
    "change",
    [
        {"identity": _B},
        {"environment": Environment(("numpy",))},
        {"version": "2"},
        {"files": {}},
        {"files": {"/x": _B, "/y": _B}},
        {"files": {"/x": _B, "/y": _A}},
        {"inputs": {}},
        {"inputs": {"b": _A, "a": _B, "c": _A}},
        {"inputs": {"a": _B, "b": _A}},
        {"inputs": {"a": _A, "ba": _B}},
        {"keyed": _A},
        {"keyed": _B},
    ],
)
def test_everything_in_it_counts(change: dict[str, Any]) -> None:
    whole = Composition(identity=_A, files={"/x": _A, "/y": _B}, inputs={"a": _A, "b": _B})
    assert msgspec.structs.replace(whole, **change).fingerprint() != whole.fingerprint()


def test_the_order_of_inputs_and_the_names_of_files_do_not() -> None:
    one = Composition(identity=_A, files={"/x": _A}, inputs={"a": _A, "b": _B})
    other = Composition(identity=_A, files={"/y": _A}, inputs={"b": _B, "a": _A})
    assert one.fingerprint() == other.fingerprint()
    keyed = [msgspec.structs.replace(each, keyed=_A) for each in (one, Composition(identity=_A, files={"/z": _A}))]
    assert keyed[0].fingerprint() == keyed[1].fingerprint()
