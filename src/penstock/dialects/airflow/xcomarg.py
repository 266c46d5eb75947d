"""Outputs of tasks as arguments of others: `XComArg`, and what `.map`, `.zip` and `.concat` make of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

from penstock.authoring.source import caller
from penstock.dialects.airflow.relations import Ordered, order
from penstock.errors import DefinitionError

if TYPE_CHECKING:
    from penstock.dialects.airflow.baseoperator import BaseOperator
    from penstock.dialects.airflow.dag import DAG

#: the key under which there is what a task returns
RETURN_VALUE = "return_value"


class _Plain(type):
    """Lets `XComArg(operator, key=...)` be the plain one, as files write it."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        kind: Any = PlainXComArg if cls is XComArg else cls
        return type.__call__(kind, *args, **kwargs)


class XComArg(Ordered, metaclass=_Plain):
    """What a task will have pushed, or what comes of that."""

    def operators(self) -> Iterator[BaseOperator]:
        """The operators whose outputs it is made of."""
        raise NotImplementedError

    @property
    def roots(self) -> Sequence[BaseOperator]:
        return tuple(self.operators())

    @property
    def leaves(self) -> Sequence[BaseOperator]:
        return tuple(self.operators())

    @property
    def dag(self) -> DAG | None:
        return next(self.operators()).dag

    def map(self, function: Callable[[Any], Any]) -> XComArg:
        """Every element, put through a function; where that raises AirflowSkipException, the item is skipped."""
        if not callable(function):
            raise DefinitionError(f"map() takes a function, not {function!r}", where=str(caller()))
        return MapXComArg(self, function)

    def zip(self, *others: Any, fillvalue: Any = ...) -> XComArg:
        """Tuples of the elements of this and of others, as many as the shortest has; with `fillvalue`, the longest."""
        return ZipXComArg((self, *others), fillvalue)

    def concat(self, *others: Any) -> XComArg:
        """All elements of this, then those of others."""
        return ConcatXComArg((self, *others))

    @staticmethod
    def found_in(value: Any) -> Iterator[XComArg]:
        """Those inside a value. Raises DefinitionError for one that contains itself."""
        return _found(value, frozenset())

    @classmethod
    def iter_xcom_args(cls, value: Any) -> Iterator[XComArg]:
        return cls.found_in(value)

    @classmethod
    def apply_upstream_relationship(cls, operator: Any, value: Any) -> None:
        """Let an operator wait for the tasks whose outputs are in a value."""
        for arg in cls.found_in(value):
            order(list(arg.operators()), operator)

    def __iter__(self) -> Iterator[Any]:
        raise TypeError(
            f"{self!r} is what a task will have returned, and cannot be iterated over while the DAG is made: "
            "use .expand(...)"
        )

    def __bool__(self) -> bool:
        return True

    def __enter__(self) -> Any:
        for operator in self.operators():
            operator.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        for operator in self.operators():
            operator.__exit__()

    def as_setup(self) -> XComArg:
        """Make its task a setup. Returns itself."""
        for operator in self.operators():
            operator.as_setup()
        return self

    def as_teardown(self, *, setups: Any = None, on_failure_fail_dagrun: bool = False) -> XComArg:
        """Make its task a teardown. Returns itself."""
        for operator in self.operators():
            operator.as_teardown(setups=setups, on_failure_fail_dagrun=on_failure_fail_dagrun)
        return self


def _found(value: Any, around: frozenset[int]) -> Iterator[XComArg]:
    inside = around | {id(value)}
    if isinstance(value, XComArg):
        yield value
    elif id(value) in around:
        raise DefinitionError(
            "what a task is given contains itself, so that it cannot be handed over",
            where=str(caller()),
            remedy="Make it inside the task.",
        )
    elif isinstance(value, dict):
        for each in cast("dict[Any, Any]", value).values():
            yield from _found(each, inside)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for each in cast("Sequence[Any]", value):
            yield from _found(each, inside)
    elif hasattr(value, "xcom_args"):
        yield from value.xcom_args()


class PlainXComArg(XComArg):
    """What a task will have pushed under a key."""

    def __init__(self, operator: BaseOperator, key: str = RETURN_VALUE) -> None:
        self.operator = operator
        self.key = key

    def operators(self) -> Iterator[BaseOperator]:
        yield self.operator

    def __getitem__(self, item: Any) -> XComArg:
        if not isinstance(item, str):
            raise ValueError(f"XComArg only supports str lookup, received {type(item).__name__}")
        return PlainXComArg(self.operator, item)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PlainXComArg) and (self.operator is other.operator and self.key == other.key)

    def __hash__(self) -> int:
        return hash((id(self.operator), self.key))

    def __str__(self) -> str:
        # as Airflow has it, so that it can be put into a template
        ids = self.operator.task_id
        key = "" if self.key == RETURN_VALUE else f", key={self.key!r}"
        dag = self.operator.dag_id
        return f"{{{{ task_instance.xcom_pull(task_ids={ids!r}, dag_id={dag!r}{key}) }}}}"

    def __repr__(self) -> str:
        return f"<XComArg: {self.operator.task_id}{'' if self.key == RETURN_VALUE else f'[{self.key!r}]'}>"

    def __getattr__(self, name: str) -> Any:
        # what is set on the task of a decorated call is asked of its operator
        if name.startswith("__") or name in ("operator", "key", "xcom_args"):
            raise AttributeError(name)
        return getattr(self.operator, name)


class MapXComArg(XComArg):
    """The elements of another, each put through a function."""

    def __init__(self, of: XComArg, function: Callable[[Any], Any]) -> None:
        self.of = of
        self.function = function

    def operators(self) -> Iterator[BaseOperator]:
        yield from self.of.operators()


class ZipXComArg(XComArg):
    """The elements of several, in step."""

    def __init__(self, parts: tuple[Any, ...], fillvalue: Any = ...) -> None:
        self.parts = parts
        #: `...` for as many as the shortest has
        self.fillvalue = fillvalue

    def operators(self) -> Iterator[BaseOperator]:
        for part in XComArg.found_in(self.parts):
            yield from part.operators()


class ConcatXComArg(XComArg):
    """The elements of several, one after another."""

    def __init__(self, parts: tuple[Any, ...]) -> None:
        self.parts = parts

    def operators(self) -> Iterator[BaseOperator]:
        for part in XComArg.found_in(self.parts):
            yield from part.operators()


__all__ = ["RETURN_VALUE", "ConcatXComArg", "MapXComArg", "PlainXComArg", "XComArg", "ZipXComArg"]
