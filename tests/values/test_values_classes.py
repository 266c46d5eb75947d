"""Which classes and functions of the user's own a stored value says that it holds."""

from __future__ import annotations

import functools
import http
import sys
from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from types import ModuleType
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import FunctionTransformer

from penstock.model.value import Argument, Artifact, Collection, Record, Selection
from penstock.values import Values

HERE = __name__


@dataclass
class Point:
    x: Any


class Row(NamedTuple):
    station: str


class Plain:
    class Inner:
        pass

    def __init__(self, held: Any = None) -> None:
        self.held = held

    def told(self) -> Any:
        return self.held


class Colour(Enum):
    RED = 1


class Linear(LinearRegression):
    pass


Odd = namedtuple("Even", "x")


def doubled(x: Any) -> Any:
    return 2 * x


def local() -> Any:
    class Local:
        pass

    return Local()


def with_attributes() -> pd.DataFrame:
    frame = pd.DataFrame({"a": [1]})
    frame.attrs["colour"] = Colour.RED
    return frame


VALUES: dict[str, tuple[Callable[[], Any], set[str]]] = {
    "numbers": (lambda: [1, {"a": (2.5, None)}], set()),
    "what others made": (lambda: [http.HTTPStatus.OK, functools.partial(int, base=2), LinearRegression()], set()),
    "a frame": (lambda: pd.DataFrame({"a": [1.0, 2.0]}), set()),
    "an enum": (lambda: Colour.RED, {"Colour"}),
    "an enum as a key": (lambda: {"by": {Colour.RED: [1]}}, {"Colour"}),
    "a dataclass": (lambda: Point(1), {"Point"}),
    "a dataclass in a named tuple in a set": (lambda: {Row("a"), ("b", Row("c"))}, {"Row"}),
    "a plain object": (Plain, {"Plain"}),
    "a plain object in a dataclass": (lambda: [Point({"deep": [Plain()]})], {"Point", "Plain"}),
    "an enum in a plain object": (lambda: Plain([Colour.RED]), {"Plain", "Colour"}),
    "a class inside of another": (Plain.Inner, {"Plain.Inner"}),
    "a class inside of a function": (local, {"local"}),
    "a class under another name": (lambda: Odd(1), {"*"}),
    "a class itself": (lambda: Plain, {"Plain"}),
    "a function": (lambda: doubled, {"doubled"}),
    "a function in a list": (lambda: [1, doubled], {"doubled"}),
    "a partial": (lambda: functools.partial(doubled, 1), {"doubled"}),
    "a method": (lambda: Plain().told, {"Plain"}),
    "a method of a class": (lambda: Plain.told, {"Plain"}),
    "what a lambda calls": (lambda: lambda: [doubled(each) for each in (1, 2)], {"doubled"}),
    "an estimator with a function": (lambda: FunctionTransformer(doubled), {"doubled"}),
    "an estimator of one's own": (Linear, {"Linear"}),
    "a column of objects": (lambda: pd.DataFrame({"a": [Plain(), 1]}), {"Plain"}),
    "attributes of a frame": (with_attributes, {"Colour"}),
    "an array of objects": (lambda: np.array([Plain(), Colour.RED], dtype=object), {"Plain", "Colour"}),
    "a frame among others": (lambda: {"f": pd.DataFrame({"a": [Plain()]}), "g": doubled}, {"Plain", "doubled"}),
}


@pytest.mark.parametrize("name", VALUES)
def test_a_value_says_which_code_of_the_users_own_it_holds(name: str, values: Values) -> None:
    make, classes = VALUES[name]
    artifact = values.store(make())[0]
    assert artifact.classes == tuple(sorted(f"{HERE}:{each}" for each in classes))
    assert values.classes(artifact) == set(artifact.classes)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(artifact), type=Argument) == artifact


def test_of_what_is_put_together_every_part_counts_and_the_class_of_a_record(values: Values) -> None:
    one, point, colour = (values.store(each)[0] for each in (1, Point(Plain()), Colour.RED))
    assert values.classes(Collection("list", (one, one))) == set()
    found = values.classes(Collection("dict", (point, Collection("tuple", (colour,))), ("a", "b")))
    assert found == {f"{HERE}:Point", f"{HERE}:Plain", f"{HERE}:Colour"}
    assert values.classes(Record(f"{HERE}:Point", ("x",), (one,))) == {f"{HERE}:Point"}
    assert values.classes(Record(f"{HERE}:made.<locals>.Point", ("x",), (colour,))) == {
        f"{HERE}:made",
        f"{HERE}:Colour",
    }


def test_of_a_part_only_that_part_counts(values: Values) -> None:
    whole = values.store({"plain": Plain(), "colour": Colour.RED, "number": 1, "fill": "x" * 9000})[0]
    assert whole.blob is not None
    assert values.classes(whole) == {f"{HERE}:Plain", f"{HERE}:Colour"}
    assert values.classes(Selection(whole, "plain")) == {f"{HERE}:Plain"}
    assert values.classes(Selection(whole, "colour")) == {f"{HERE}:Colour"}
    assert values.classes(Selection(whole, "number")) == set()
    # what a property computes may be anything
    assert values.classes(Selection(Selection(whole, "plain"), "held", attribute=True)) == {f"{HERE}:Plain"}


def test_the_names_are_no_part_of_the_digest(values: Values, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = values.store(Plain(1))[0]
    monkeypatch.setattr(Plain, "told", lambda self: "something else")
    assert values.store(Plain(1))[0] == plain


def test_an_artifact_without_classes_is_one_of_an_older_penstock(values: Values) -> None:
    artifact = values.store(1)[0]
    form, *fields, classes = msgspec.msgpack.decode(msgspec.msgpack.encode(artifact))
    assert (form, classes) == ("artifact", [])
    older = msgspec.msgpack.encode([form, *fields])
    assert msgspec.msgpack.decode(older, type=Argument) == artifact
    assert msgspec.msgpack.decode(older, type=Artifact) == artifact


def test_the_parts_of_a_tree_are_known_though_its_classes_are_gone(
    values: Values, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("fleeting")
    source = "from dataclasses import dataclass\nfrom enum import Enum\n"
    source += "class Mood(Enum):\n    GOOD = 1\n@dataclass\nclass Box:\n    held: object\n    mood: object\n"
    monkeypatch.setitem(sys.modules, "fleeting", module)
    exec(source, module.__dict__)
    frame = pd.DataFrame({"a": np.arange(5000)})
    artifact = values.store([{1: module.Box(frame, module.Mood.GOOD)}, (module.Mood.GOOD, frame)])[0]
    before = list(values.addresses(artifact))
    assert len(before) == 2
    monkeypatch.delitem(sys.modules, "fleeting")
    assert list(values.addresses(artifact)) == before
    assert values.available(artifact)
    assert artifact.classes == ("fleeting:Box", "fleeting:Mood")
