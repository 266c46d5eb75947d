from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path
from typing import Any, Generic, Literal, NewType, Optional, Protocol, TypedDict, TypeVar, Union, runtime_checkable

import numpy as np
import pandas as pd
import pytest

from penstock import DefinitionError, Ref, pipeline, task

T = TypeVar("T")
Seed = NewType("Seed", int)


class Animal: ...


class Dog(Animal): ...


class Colour(Enum):
    RED = "red"


class Level(IntEnum):
    LOW = 1


class Options(TypedDict):
    depth: int


class HasArea(Protocol):
    def area(self) -> float: ...


@runtime_checkable
class Sized(Protocol):
    def __len__(self) -> int: ...


@dataclass
class Square:
    side: float

    def area(self) -> float:
        return self.side**2


class Box(Generic[T]): ...


def wire(given: Any, wanted: Any) -> None:
    """Pass what a task with the annotation `given` returns to one that takes `wanted`."""

    def make(): ...

    def take(x): ...

    make.__annotations__["return"] = given
    take.__annotations__["x"] = wanted
    first, second = task(make), task(take)
    pipeline(lambda: second(first())).graph()


def pass_on(value: Any, wanted: Any) -> None:
    """Pass a value to a task that takes `wanted`."""

    def take(x): ...

    take.__annotations__["x"] = wanted
    taking = task(take)
    pipeline(lambda: taking(value)).graph()


FITTING = [
    (int, int),
    (int, float),
    (bool, int),
    (bool, float),
    (int, complex),
    (float, complex),
    (int, bool),
    (Any, int),
    (int, Any),
    (object, int),
    (int, object),
    (None, Optional[int]),  # noqa: UP045
    (int, Optional[int]),  # noqa: UP045
    (int, int | str),
    (int, Union[int, str]),  # noqa: UP007
    (Optional[int], int),  # noqa: UP045
    (list[int], list),
    (list, list[int]),
    (list, Sequence),
    (list, Iterable[int]),
    (dict, Mapping),
    (dict, Options),
    (Options, dict),
    (Options, Options),
    (str, Literal["a", "b"]),
    (str, Colour),
    (int, Level),
    (Level, int),
    (int, Seed),
    (Dog, Animal),
    (Animal, Dog),
    (Square, HasArea),
    (list, Sized),
    (Square, Sized),
    (Box[int], Box),
    (Box, Box[str]),
    (int, T),
    (Callable[..., int], object),
    (np.float64, float),
    (np.float32, float),
    (np.int64, float),
    (np.ndarray, np.ndarray),
    (pd.DataFrame, pd.DataFrame),
    (Path, Path),
    (datetime.datetime, datetime.date),
    (Decimal, float),
    ("NotDefinedAnywhere", int),
    (int, "NotDefinedAnywhere"),
]

CONTRADICTING = [
    (str, int, "x: int, and is given a value of type str"),
    (int, str, "x: str, and is given a value of type int"),
    (float, int, "x: int, and is given a value of type float"),
    (str, float, "x: float, and is given a value of type str"),
    (None, int, "x: int, and is given a value of type NoneType"),
    (list, dict, "x: dict, and is given a value of type list"),
    (str, Path, "x: pathlib.Path, and is given a value of type str"),
    (str, pd.DataFrame, "x: pandas.DataFrame, and is given a value of type str"),
    (pd.DataFrame, pd.Series, "x: pandas.Series, and is given a value of type pandas.DataFrame"),
    (Square, Animal, r"x: test_wiring\.Animal, and is given a value of type test_wiring\.Square"),
    (int, pd.DataFrame, "x: pandas.DataFrame, and is given a value of type int"),
]


@pytest.mark.parametrize(("given", "wanted"), FITTING)
def test_what_may_fit_is_let_through(given: Any, wanted: Any) -> None:
    wire(given, wanted)


@pytest.mark.parametrize(("given", "wanted", "message"), CONTRADICTING)
def test_what_can_never_fit_is_refused(given: Any, wanted: Any, message: str) -> None:
    with pytest.raises(
        DefinitionError, match=rf"take\(\) takes {message}\n.*take is defined at .*test_wiring"
    ) as caught:
        wire(given, wanted)
    assert caught.value.where is not None
    assert caught.value.where.endswith(f"test_wiring.py:{wire.__code__.co_firstlineno + 10}")


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (1, float),
        (True, int),
        (None, int),
        (np.float64(1), float),
        (np.int64(1), int),
        (np.float32(1), float),
        ([1], Sequence),
        ([1], np.ndarray | list),
        ({"depth": 1}, Options),
        ("red", Colour),
        ((1, 2), tuple[int, int]),
        (Square(1), HasArea),
        (Dog(), Animal),
        (len, Callable),
    ],
)
def test_values_that_may_fit_are_let_through(value: Any, wanted: Any) -> None:
    pass_on(value, wanted)


@pytest.mark.parametrize(
    ("value", "wanted", "message"),
    [
        ("3", int, "x: int, and is given '3'"),
        (3, str, "x: str, and is given 3"),
        ([1], dict, r"x: dict, and is given \[1\]"),
        (3, None, "x: NoneType, and is given 3"),
        (1.5, int, "x: int, and is given 1.5"),
        ("a", pd.DataFrame, "x: pandas.DataFrame, and is given 'a'"),
    ],
)
def test_values_that_can_never_fit_are_refused(value: Any, wanted: Any, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        pass_on(value, wanted)


@task
def spread(*numbers: int, **named: float) -> float:
    return sum(numbers) + sum(named.values())


def test_any_number_of_arguments_are_checked_one_by_one() -> None:
    pipeline(lambda: spread(1, 2, a=1.5, b=3)).graph()
    with pytest.raises(DefinitionError, match="takes numbers: int, and is given 'a'"):
        pipeline(lambda: spread(1, "a")).graph()  # pyright: ignore[reportArgumentType]
    with pytest.raises(DefinitionError, match="takes named: float, and is given 'b'"):
        pipeline(lambda: spread(1, x="b")).graph()  # pyright: ignore[reportArgumentType]


def test_parts_and_parameters_are_left_to_the_type_checker() -> None:
    @task
    def parts() -> tuple[int, str]:
        return 1, "a"

    @task
    def take(x: int) -> int:
        return x

    def body(name: Any = 1) -> Any:
        assert isinstance(parts(), Ref)
        return take(parts()[0]), take(name)

    assert pipeline(body).options(executor="inline")() == (1, 1)


def test_a_value_that_contains_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(DefinitionError, match="a list that contains itself") as raised:
        pass_on(endless, list)
    assert raised.value.where is not None
