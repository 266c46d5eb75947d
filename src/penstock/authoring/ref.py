"""The handle on a value that does not exist yet."""

from __future__ import annotations

import dataclasses
import operator
import os
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn, cast

from penstock.authoring.source import caller
from penstock.errors import DefinitionError
from penstock.model.expression import (
    Apply,
    Expression,
    Get,
    Mapping,
    Output,
    Sequence,
    describe,
    evaluate,
    references,
)

if TYPE_CHECKING:
    from penstock.authoring.building import Building
    from penstock.authoring.outputs import Outputs


class Ref:
    """What a task call returns inside a pipeline: a value to come.

    Pass it on to other tasks, take a part of it (`ref["key"]`, `ref.field`), unpack it when the task declares several
    outputs, compare it and compute with it in conditions. To type checkers it is the value itself. A ref to a
    parameter of the pipeline also works wherever its value is needed, because that is known.
    """

    __slots__ = ("_building", "_expression", "_outputs")

    def __init__(self, expression: Expression, building: Building, outputs: Outputs | None = None) -> None:
        self._expression = expression
        self._building = building
        #: the declared outputs, where the ref is to the whole result of a task
        self._outputs = outputs

    def after(self, *others: Any) -> Ref:
        """Let the task of this ref wait for the tasks of others, though it takes nothing from them. Returns itself."""
        self._building.order(self, others)
        return self

    def __getattr__(self, name: str) -> Ref:
        if name.startswith("_"):
            raise AttributeError(name)
        return self._part(name, attribute=True)

    def __getitem__(self, key: Any) -> Ref:
        if isinstance(key, Ref):
            key = known_value(key)
        if not isinstance(key, (str, int)):
            raise DefinitionError(
                f"a part of {describe(self._expression)} is taken by {key!r}; only names and positions can be used",
                where=str(caller()),
                remedy="Take it inside a task.",
            )
        return self._part(key, attribute=False)

    def __setitem__(self, key: Any, value: Any) -> NoReturn:
        raise DefinitionError(
            f"a part of {describe(self._expression)} is set here, but it is not there until the task has run",
            where=str(caller()),
            remedy="Set it inside a task, and return the result.",
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return known_value(self)(*args, **kwargs)

    def _part(self, key: str | int, *, attribute: bool) -> Ref:
        outputs, whole = self._outputs, self._expression
        if outputs is None or outputs.record is None or not isinstance(whole, Output):
            return Ref(Get(whole, key, attribute), self._building)
        port = outputs.port(key)
        if port is not None:
            return Ref(Output(whole.node, port), self._building)
        if attribute and hasattr(outputs.annotation, str(key)):
            # a property of the record's class
            return Ref(Get(whole, key, attribute), self._building)
        raise DefinitionError(
            f"{describe(whole)} has no output {key!r}",
            where=str(caller()),
            remedy=f"Its outputs are: {', '.join(outputs.names)}.",
        )

    def __iter__(self) -> Iterator[Any]:
        outputs, whole = self._outputs, self._expression
        if outputs is None or outputs.record is None or not isinstance(whole, Output):
            return iter(known_value(self))
        if outputs.record == "dict":
            return iter(outputs.names)
        return iter([Ref(Output(whole.node, name), self._building) for name in outputs.names])

    def __repr__(self) -> str:
        return f"<ref to {describe(self._expression)}>"

    def __reduce__(self) -> NoReturn:
        raise DefinitionError(
            f"a ref to {describe(self._expression)} is hidden inside another value",
            remedy="Pass refs as arguments, or inside lists, tuples and dicts.",
        )

    __hash__ = object.__hash__

    # Conditions and arithmetic stay in the graph.

    def _apply(self, operator: str, *operands: Any) -> Ref:
        building = self._building
        return Ref(Apply(operator, tuple(building.expression(operand) for operand in operands)), building)

    def __eq__(self, other: object) -> Ref:  # type: ignore[override]
        return self._apply("eq", self, other)

    def __ne__(self, other: object) -> Ref:  # type: ignore[override]
        return self._apply("ne", self, other)

    def __lt__(self, other: Any) -> Ref:
        return self._apply("lt", self, other)

    def __le__(self, other: Any) -> Ref:
        return self._apply("le", self, other)

    def __gt__(self, other: Any) -> Ref:
        return self._apply("gt", self, other)

    def __ge__(self, other: Any) -> Ref:
        return self._apply("ge", self, other)

    def __and__(self, other: Any) -> Ref:
        return self._apply("and", self, other)

    def __rand__(self, other: Any) -> Ref:
        return self._apply("and", other, self)

    def __or__(self, other: Any) -> Ref:
        return self._apply("or", self, other)

    def __ror__(self, other: Any) -> Ref:
        return self._apply("or", other, self)

    def __invert__(self) -> Ref:
        return self._apply("not", self)

    def __add__(self, other: Any) -> Ref:
        return self._apply("add", self, other)

    def __radd__(self, other: Any) -> Ref:
        return self._apply("add", other, self)

    def __sub__(self, other: Any) -> Ref:
        return self._apply("sub", self, other)

    def __rsub__(self, other: Any) -> Ref:
        return self._apply("sub", other, self)

    def __mul__(self, other: Any) -> Ref:
        return self._apply("mul", self, other)

    def __rmul__(self, other: Any) -> Ref:
        return self._apply("mul", other, self)

    def __truediv__(self, other: Any) -> Ref:
        return self._apply("div", self, other)

    def __rtruediv__(self, other: Any) -> Ref:
        return self._apply("div", other, self)

    def __floordiv__(self, other: Any) -> Ref:
        return self._apply("floordiv", self, other)

    def __rfloordiv__(self, other: Any) -> Ref:
        return self._apply("floordiv", other, self)

    def __mod__(self, other: Any) -> Ref:
        return self._apply("mod", self, other)

    def __rmod__(self, other: Any) -> Ref:
        return self._apply("mod", other, self)

    def __pow__(self, other: Any) -> Ref:
        return self._apply("pow", self, other)

    def __rpow__(self, other: Any) -> Ref:
        return self._apply("pow", other, self)

    def __neg__(self) -> Ref:
        return self._apply("neg", self)

    def __abs__(self) -> Any:
        return abs(known_value(self))

    def __round__(self, digits: int | None = None) -> Any:
        return round(known_value(self), digits)

    # What Python itself needs a value for works for what is known: parameters and constants.

    def __bool__(self) -> bool:
        return bool(known_value(self))

    def __len__(self) -> int:
        if self._outputs is not None and self._outputs.record is not None:
            return len(self._outputs.names)
        return len(known_value(self))

    def __contains__(self, element: Any) -> bool:
        return element in known_value(self)

    def __int__(self) -> int:
        return int(known_value(self))

    def __index__(self) -> int:
        return operator.index(known_value(self))

    def __float__(self) -> float:
        return float(known_value(self))

    def __str__(self) -> str:
        return str(known_value(self))

    def __format__(self, form: str) -> str:
        return format(known_value(self), form)

    def __fspath__(self) -> str:
        path: str | os.PathLike[str] = known_value(self)
        return os.fspath(path)


def expression_of(ref: Ref) -> Expression:
    """What a ref stands for."""
    return ref._expression  # pyright: ignore[reportPrivateUsage]


def building_of(ref: Ref) -> Building:
    """The pipeline that a ref belongs to."""
    return ref._building  # pyright: ignore[reportPrivateUsage]


def outputs_of(ref: Ref) -> Outputs | None:
    """The declared outputs, where the ref is to the whole result of a task."""
    return ref._outputs  # pyright: ignore[reportPrivateUsage]


def known_value(ref: Ref) -> Any:
    """The value of a ref that only depends on parameters and constants.

    Raises DefinitionError for a ref to something that has yet to run.
    """
    expression = expression_of(ref)
    if depends_on_nodes(expression):
        raise DefinitionError(
            f"the value of {describe(expression)} is used here, but it is not known until the task has run",
            where=str(caller()),
            remedy="Use it inside a task, branch on it with `with when(...):` (combining conditions with & | ~), or fan "
            "out over it with task.map(...).",
        )
    return evaluate(expression, building_of(ref))


def depends_on_nodes(expression: Expression) -> bool:
    """Whether an expression has to wait for a node."""
    return next(references(expression), None) is not None


_CONTAINERS = frozenset({list, tuple, dict})
_ATOMS = frozenset({int, float, bool, str, bytes, type(None)})


def holds_ref(value: Any) -> bool:
    """Whether a list, tuple or dict has a ref in it, at any depth."""
    elements = _elements(value)
    kinds = set(map(type, elements))
    if Ref in kinds:
        return True
    return not kinds.isdisjoint(_CONTAINERS) and any(
        type(element) in _CONTAINERS and holds_ref(element) for element in elements
    )


def _elements(container: Any) -> Iterable[Any]:
    return cast(dict[Any, Any], container).values() if isinstance(container, dict) else container


def is_open(value: Any) -> bool:
    """Whether a value is a ref, or a list, tuple or dict with one in it."""
    return isinstance(value, Ref) or (type(value) in _CONTAINERS and holds_ref(value))


def hidden_in(value: Any) -> Ref | None:
    """A ref in what is not taken apart: in a set, or in a field of an object, also in a list, tuple or dict of such."""
    if type(value) in _ATOMS:
        return None
    if type(value) not in _CONTAINERS:
        return next((part for part in _parts_of(value) if type(part) is Ref), None)
    elements = _elements(value)
    if _ATOMS.issuperset(map(type, elements)):
        return None
    return next((found for element in elements if (found := hidden_in(element)) is not None), None)


def _parts_of(value: Any) -> Iterable[Any]:
    if isinstance(value, (tuple, set, frozenset)):
        return cast(Iterable[Any], value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [getattr(value, field.name, None) for field in dataclasses.fields(value)]
    return list(getattr(value, "__dict__", {}).values())


def structure(value: Any, leaf: Callable[[Any], Expression]) -> Expression:
    """The expression of a list, tuple or dict with refs in it; `leaf` turns what is inside into expressions."""
    if isinstance(value, dict):
        items = cast(dict[Any, Any], value)
        if any(type(key) is not str for key in items):
            raise DefinitionError(
                "a dict with refs in it has keys that are not strings",
                where=str(caller()),
                remedy="Use string keys, or pass keys and values as two lists.",
            )
        return Mapping({key: leaf(element) for key, element in items.items()})
    return Sequence(tuple(leaf(element) for element in value), "tuple" if type(value) is tuple else "list")
