from __future__ import annotations

import functools
import inspect
import math
import multiprocessing
import pickle
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import cloudpickle
import pytest

from penstock import DefinitionError, Pipeline, Run, Task, choose, pipeline, task, unmapped


@task
def scale(x: float, by: float = 2.0, *, shift: float = 0.0) -> float:
    """Stretch a number, then move it."""
    return x * by + shift


@task(name="total", retries=2, retry_delay=0.5, cache=False, tags=["cheap"])
def add_up(*numbers: int, **more: int) -> int:
    return sum(numbers) + sum(more.values())


def doubled(function: Callable[..., int]) -> Callable[..., int]:
    @functools.wraps(function)
    def twice(*args: Any, **kwargs: Any) -> int:
        return 2 * function(*args, **kwargs)

    return twice


@task
@doubled
def one_more(x: int) -> int:
    """The next number."""
    return x + 1


class Scaler:
    def __init__(self, by: float) -> None:
        self.by = by

    @task
    def scaled(self, x: float) -> float:
        return self.by * x

    @staticmethod
    @task
    def halved(x: float) -> float:
        return x / 2


def run(pipe: Pipeline[..., Any], **parameters: Any) -> Run:
    return pipe.options(executor="inline").run(**parameters)


def test_outside_a_pipeline_a_task_is_its_function() -> None:
    assert scale(3.0) == 6.0
    assert scale(3.0, 3.0, shift=1.0) == 10.0
    assert add_up(1, 2, three=3) == 6
    assert one_more(1) == 4
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'x'"):
        scale()  # pyright: ignore[reportCallIssue]


def test_a_task_looks_like_its_function() -> None:
    assert isinstance(scale, Task)
    assert (scale.__name__, scale.__doc__, scale.__module__) == (
        "scale",
        "Stretch a number, then move it.",
        __name__,
    )
    assert str(inspect.signature(scale)) == "(x: 'float', by: 'float' = 2.0, *, shift: 'float' = 0.0) -> 'float'"
    assert scale.__wrapped__ is scale.function
    assert (one_more.__name__, one_more.__doc__) == ("one_more", "The next number.")
    assert str(inspect.signature(one_more)) == "(x: 'int') -> 'int'"
    assert repr(scale).startswith("<task scale at ") and "test_tasks.py:" in repr(scale)


def test_options_of_the_decorator() -> None:
    assert (add_up.name, add_up.__name__) == ("total", "add_up")
    assert (add_up.policy.retries.count, add_up.policy.retries.delays) == (2, (0.5,))
    assert (add_up.policy.cache, add_up.policy.tags) == (False, ("cheap",))
    assert (scale.policy.retries.count, scale.policy.cache, scale.policy.tags) == (0, True, ())


def test_options_make_another_task_and_keep_what_they_do_not_name() -> None:
    other = add_up.options(retries=0, tags=[])
    assert (other.policy.retries.count, other.policy.retries.delays) == (0, (0.5,))
    assert (other.policy.cache, other.policy.tags) == (False, ())
    assert add_up.policy.retries.count == 2
    assert other(1, 2) == 3


def test_the_decorator_with_empty_parentheses() -> None:
    @task()
    def nothing() -> None: ...

    assert isinstance(nothing, Task)
    assert nothing.name == "nothing"


def test_map_outside_a_pipeline_maps_here() -> None:
    assert scale.map([1.0, 2.0]) == [2.0, 4.0]
    assert scale.map([1.0, 2.0], [3.0, 4.0], shift=unmapped(1.0)) == [4.0, 9.0]
    assert scale.map(x for x in (1.0, 2.0)) == [2.0, 4.0]
    assert scale.map(range(2), by=unmapped(1.0)) == [0, 1]
    assert scale.map([]) == []


def test_map_outside_a_pipeline_takes_arguments_by_position_only() -> None:
    @task
    def power(x: int, to: int, /) -> int:
        return x**to

    assert power.map([2, 3], unmapped(2)) == [4, 9]


def test_choose_outside_a_pipeline_takes_the_first_that_is_there() -> None:
    assert choose(None, 0, 1) == 0
    assert choose(None, None) is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: scale.map("ab"), r"scale\.map\(\.\.\.\) cannot map over x='ab'\n.*x=unmapped"),
        (lambda: scale.map(3), "cannot map over x=3"),
        (lambda: scale.map(unmapped([1])), "nothing to map over"),
        (lambda: scale.map(*()), r"missing a required argument: 'x'\n.*scale\(x: 'float'"),
        (lambda: add_up.map([1]), r"total\(\) takes any number of arguments and cannot be mapped"),
        (lambda: scale.map([1, 2], [1]), "different lengths: x has 2, by has 1"),
        (lambda: choose(*()), "nothing to choose from"),
    ],
)
def test_a_wrong_map_is_named_with_its_place(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(DefinitionError, match=message) as caught:
        call()
    assert caught.value.where is not None
    assert caught.value.where.endswith(f"test_tasks.py:{call.__code__.co_firstlineno}")


def test_a_method_can_be_a_task() -> None:
    scaler = Scaler(3.0)
    assert scaler.scaled(2.0) == 6.0
    assert Scaler.scaled(scaler, 2.0) == 6.0
    assert Scaler.halved(3.0) == 1.5

    @pipeline
    def pipe(x: float = 2.0) -> float:
        return Scaler.halved(scaler.scaled(x))

    ended = run(pipe)
    assert ended.result == 3.0
    assert [node.id for node in ended.tasks] == ["scaled", "halved"]


def test_a_task_can_call_another_like_a_function() -> None:
    @task
    def outer(x: float) -> float:
        return scale(x) + 1

    @pipeline
    def pipe() -> float:
        return outer(1.0)

    ended = run(pipe)
    assert ended.result == 3.0
    assert [node.id for node in ended.tasks] == ["outer"]


def test_a_builtin_function_can_be_a_task() -> None:
    root = task(math.sqrt)

    @pipeline
    def pipe() -> float:
        return root(16.0)

    assert root(4.0) == 2.0
    assert run(pipe).result == 4.0


def test_a_task_of_a_module_can_be_pickled() -> None:
    assert pickle.loads(pickle.dumps(scale)) is scale
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
        assert list(pool.map(scale, [1.0, 2.0])) == [2.0, 4.0]


def test_a_task_of_no_module_is_pickled_by_value() -> None:
    @task
    def local(x: int) -> int:
        return x + 1

    for one in (local, scale.options(retries=3)):
        again = pickle.loads(cloudpickle.dumps(one))
        assert again is not one
        assert (again(1), again.policy) == (one(1), one.policy)
