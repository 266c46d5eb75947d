"""Names of Airflow's that are not covered, and which DAGs use them: only these do not run."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterable, Iterator, Mapping
from types import FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any, cast

from penstock.authoring.source import DIALECT, caller, is_own
from penstock.dialects.airflow.dag import DAG, current_dag
from penstock.dialects.airflow.relations import Ordered
from penstock.dialects.foreign import loading, made
from penstock.dialects.uncovered import Uncovered, cells_of, names_in

if TYPE_CHECKING:
    from penstock.errors import NotCoveredError


class Unread(Uncovered):
    """A name that is not covered. What a file makes of it outside of DAGs is not covered either, and does not stop the file:
    the DAGs that use it say so. Within a DAG, and once tasks run, all that is done with it raises NotCoveredError."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or is_own(sys._getframe(1).f_code.co_filename):  # pyright: ignore[reportPrivateUsage]
            raise AttributeError(name)
        if not _deferred():
            raise self.error(caller())
        return self._made_of(f".{name}")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._made_of("") if _deferred() else super().__call__(*args, **kwargs)

    def __truediv__(self, other: Any) -> Any:
        if not _deferred():
            raise self.error(caller())
        return self._made_of("")

    def __mro_entries__(self, bases: tuple[Any, ...]) -> Any:
        if not _deferred():
            return super().__mro_entries__(bases)
        return (type("Uncovered", (_Base,), {"uncovered": self}),)

    def _made_of(self, more: str) -> Unread:
        dialect, name, remedy, _ = self.__dict__["penstock"]
        return Unread(dialect, f"{name}{more}", remedy)


class _Base:
    """The base class of a class whose own base class is not covered."""

    uncovered: Uncovered

    def __new__(cls, *_: Any, **__: Any) -> Any:
        if _deferred():
            return cls.uncovered
        raise cls.uncovered.error(caller(), cls.__name__)


def _deferred() -> bool:
    return loading() and current_dag() is None


def unread(module: str, name: str, remedy: str = "") -> Unread:
    """What stands for a name in a module that is not covered, with what is to be done instead."""
    found = Unread("airflow", f"{module}.{name}", remedy)
    made(found)
    return found


def left_out(name: str, remedy: str) -> Unread:
    """What stands for something that is not covered, outside of DAGs: a decorator, say. Raises NotCoveredError within one, and
    once tasks run."""
    found = Unread("airflow", name, remedy)
    if not _deferred():
        raise found.error(caller())
    made(found)
    return found


def problem_of(dag: DAG) -> NotCoveredError | None:
    """Why a DAG cannot be run: it, or the code of one of its tasks, uses something that is not covered. None where nothing
    does."""
    from penstock.dialects.airflow.operators.unknown import UnknownOperator

    if dag.problem is not None:
        return dag.problem
    seen: dict[int, Any] = {}
    users = [(f"the task {task.task_id!r}", task) for task in dag.tasks if not isinstance(task, UnknownOperator)]
    for user, thing in (*users, (f"the DAG {dag.dag_id!r}", dag)):
        found = next(_reached((type(thing), vars(thing)), seen), None)
        if found is not None:
            return found.error(user=user)
    return None


def _reached(value: Any, seen: dict[int, Any]) -> Iterator[Uncovered]:
    """What is not covered of what a value holds, and of what its code names."""
    if isinstance(value, Uncovered):
        yield value
    elif not isinstance(value, (str, bytes, int, float, Ordered, DAG)) and id(value) not in seen:
        # held, so that nothing else gets its id
        seen[id(value)] = value
        for each in _inside(value):
            yield from _reached(each, seen)


def _inside(value: Any) -> Iterable[Any]:
    kind = cast("type[Any]", type(value))
    match value:
        case dict():
            return list(cast("dict[Any, Any]", value).values())
        case list() | tuple() | set() | frozenset():
            return list(cast("Iterable[Any]", value))
        case functools.partial():
            return (value.func, value.args, value.keywords)
        case staticmethod() | classmethod():
            return (cast("Any", value).__func__,)
        case property():
            return (value.fget,)
        case MethodType():
            return (value.__func__, value.__self__)
        case FunctionType():
            return _of_function(value)
        case type():
            return [part for each in value.__mro__ if _is_users(each) for part in vars(each).values()]
        case ModuleType():
            return ()
        case _:
            return (kind, cast("Any", vars(value))) if _is_users(kind) and hasattr(value, "__dict__") else ()


def _of_function(function: FunctionType) -> list[Any]:
    around = cast("Mapping[str, Any]", function.__globals__)
    if DIALECT not in around:
        return [getattr(function, "__wrapped__", None)]
    names = names_in(function.__code__)
    named = [around[name] for name in names if name in around]
    others = [vars(each) for each in named if isinstance(each, ModuleType) and DIALECT in vars(each)]
    return [
        *named,
        *(other[name] for other in others for name in names if name in other),
        *cells_of(function).values(),
        function.__defaults__,
        function.__kwdefaults__,
        getattr(function, "__wrapped__", None),
    ]


def _is_users(kind: type) -> bool:
    """Whether a class is one of a file in this dialect, or stands for one that is not covered."""
    return DIALECT in vars(sys.modules.get(kind.__module__, object)) or "uncovered" in vars(kind)


__all__ = ["Unread", "left_out", "problem_of", "unread"]
