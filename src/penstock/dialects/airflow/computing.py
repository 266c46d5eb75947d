"""What the nodes do that the reader adds by itself."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any, cast

from penstock.dialects.airflow.mapping import computed
from penstock.dialects.airflow.xcomarg import ConcatXComArg, MapXComArg, ZipXComArg


def computation_of(arg: Any) -> Callable[..., Any]:
    """The function that computes the elements of something to expand over from what tasks have returned."""

    def compute(values: list[Any], how: str) -> list[Any]:
        return computed(arg, iter(values))

    functions = list(_functions(arg))
    if functions:
        cast(Any, compute).__wrapped__ = functions[0] if len(functions) == 1 else functools.partial(*functions)
    compute.__qualname__ = "compute"
    cast(Any, compute).__signature__ = inspect.Signature(
        [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in ("values", "how")]
    )
    return compute


def told(arg: Any) -> str:
    """How something to expand over is computed: `zip(0, concat(1, 2))`. It counts for whether a result is taken again."""
    match arg:
        case MapXComArg(of=of):
            return f"map({told(of)})"
        case ZipXComArg(parts=parts, fillvalue=fill):
            return f"zip({', '.join(map(told, parts))}; {'' if fill is ... else repr(fill)})"
        case ConcatXComArg(parts=parts):
            return f"concat({', '.join(map(told, parts))})"
        case _:
            return "elements"


def _functions(arg: Any) -> Iterable[Any]:
    if isinstance(arg, MapXComArg):
        yield arg.function
        yield from _functions(arg.of)
    elif isinstance(arg, (ZipXComArg, ConcatXComArg)):
        for part in arg.parts:
            yield from _functions(part)


def part_of_each(results: list[Any], name: str) -> list[Any]:
    """What a task of a mapped group has returned for every item."""
    return [each[name] for each in results if each is not None]


def failed_dag() -> None:
    """Fails: one of the last tasks of the DAG has failed, or was not reached because another one had."""
    raise RuntimeError("a last task of the DAG failed, or was not reached")


def passed() -> None:
    """Does nothing: its rule has let what comes after it run."""


__all__ = ["computation_of", "failed_dag", "part_of_each", "passed", "told"]
