"""The handle on a value that does not exist yet."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast

from penstock.authoring.decorated import Uncalled
from penstock.authoring.dynamic import Question
from penstock.authoring.source import caller
from penstock.errors import DefinitionError
from penstock.model.expression import (
    Apply,
    Constant,
    Expression,
    Get,
    Mapping,
    Output,
    Parameter,
    Sequence,
    describe,
    evaluate,
    parts,
)

if TYPE_CHECKING:
    from penstock.authoring.building import Building
    from penstock.authoring.kinds.outputs import Outputs

T = TypeVar("T")


class Ref:
    """What a task call returns inside a pipeline: a value to come.

    Pass it on to other tasks, take a part of it (`ref["key"]`, `ref.field`), unpack it when the task declares several
    outputs, compare it and compute with it: all that stays in the graph. To type checkers it is the value itself.

    Wherever Python itself needs the value (`if`, `while`, `for`, `len`, formatting, `float(ref)`, a call of one of its
    methods, `value(ref)`), it is there: that of a parameter is known, and for that of a task the body waits until the
    task has run. From there on the pipeline is dynamic. A task that failed raises its own exception there, one that
    was skipped SkippedError.
    """

    __slots__ = ("_building", "_expression", "_outputs")

    def __init__(self, expression: Expression, building: Building, outputs: Outputs | None = None) -> None:
        self._expression = expression
        self._building = building
        #: the declared outputs, where the ref is to the whole result of a task
        self._outputs = outputs

    def after(self, *others: Any) -> Ref:
        """Let the task of this ref wait for the tasks of others, though it takes nothing from them. Returns itself."""
        self._building.here().order(self, others)
        return self

    def before(self, *others: Any) -> Ref:
        """Let the tasks of others wait for the task of this ref, though they take nothing from it. Returns itself."""
        self._building.here().order(list(others), (self,))
        return self

    def __rshift__(self, other: Any) -> Any:
        from penstock.authoring.ordering import ordered

        return ordered(self, other)

    def __rrshift__(self, other: Any) -> Ref:
        from penstock.authoring.ordering import ordered

        return ordered(other, self)

    def __lshift__(self, other: Any) -> Any:
        from penstock.authoring.ordering import ordered

        ordered(other, self)
        return other

    def __rlshift__(self, other: Any) -> Ref:
        from penstock.authoring.ordering import ordered

        ordered(self, other)
        return self

    def __getattr__(self, name: str) -> Ref:
        if name.startswith("_"):
            raise AttributeError(name)
        return self._part(name, attribute=True)

    def __getitem__(self, key: Any) -> Ref:
        if isinstance(key, Ref):
            key = value_of(key)
        if not isinstance(key, (str, int)):
            raise DefinitionError(
                f"a part of {describe(self._expression)} is taken by {key!r}; only names and positions can be used",
                where=str(caller()),
                remedy="Take it inside a task, or of the value itself: value(ref)[...].",
            )
        return self._part(key, attribute=False)

    def __setitem__(self, key: Any, value: Any) -> NoReturn:
        raise DefinitionError(
            f"a part of {describe(self._expression)} is set here, but it is not there until the task has run",
            where=str(caller()),
            remedy="Set it inside a task, and return the result.",
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        function, whole = self, self._expression
        if isinstance(whole, Get) and whole.attribute:
            # a method: of the value, which can be had, rather than by itself
            function = getattr(value_of(Ref(whole.of, self._building)), str(whole.key))
        else:
            function = value_of(self)
        return function(*map(plain, args), **{name: plain(argument) for name, argument in kwargs.items()})

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
            return iter(elements_of(self))
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
        building = self._building.here()
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
        return abs(value_of(self))

    def __round__(self, digits: int | None = None) -> Any:
        return round(value_of(self), digits)

    # Python itself needs a value for the rest.

    def __bool__(self) -> bool:
        return bool(value_of(self))

    def __len__(self) -> int:
        if self._outputs is not None and self._outputs.record is not None:
            return len(self._outputs.names)
        return length_of(self)

    def __contains__(self, element: Any) -> bool:
        return element in value_of(self)

    def __int__(self) -> int:
        return int(value_of(self))

    def __index__(self) -> int:
        return operator.index(value_of(self))

    def __float__(self) -> float:
        return float(value_of(self))

    def __str__(self) -> str:
        return str(value_of(self))

    def __format__(self, form: str) -> str:
        return format(value_of(self), form)

    def __fspath__(self) -> str:
        path: str | os.PathLike[str] = value_of(self)
        return os.fspath(path)

    def __complex__(self) -> complex:
        return complex(value_of(self))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        # whoever asks for an array has numpy
        import numpy

        return numpy.array(value_of(self), dtype=dtype) if copy else numpy.asarray(value_of(self), dtype=dtype)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        name = _UFUNCS.get(ufunc.__name__) if method == "__call__" and not kwargs else None
        if name is not None:
            return self._apply(name, *inputs)
        return getattr(ufunc, method)(*map(plain, inputs), **{key: plain(each) for key, each in kwargs.items()})


#: operators that stay in the graph also where a number of numpy is on their left, and what numpy calls them
_UFUNCS = {
    "add": "add",
    "subtract": "sub",
    "multiply": "mul",
    "divide": "div",
    "floor_divide": "floordiv",
    "remainder": "mod",
    "power": "pow",
    "equal": "eq",
    "not_equal": "ne",
    "less": "lt",
    "less_equal": "le",
    "greater": "gt",
    "greater_equal": "ge",
}


def expression_of(ref: Ref) -> Expression:
    """What a ref stands for."""
    return ref._expression  # pyright: ignore[reportPrivateUsage]


def building_of(ref: Ref) -> Building:
    """The pipeline that a ref belongs to."""
    return ref._building  # pyright: ignore[reportPrivateUsage]


def outputs_of(ref: Ref) -> Outputs | None:
    """The declared outputs, where the ref is to the whole result of a task."""
    return ref._outputs  # pyright: ignore[reportPrivateUsage]


def value_of(ref: Ref) -> Any:
    """The value of a ref; of something that has yet to run, once it has (see `dynamic`)."""
    expression, build = expression_of(ref), building_of(ref)
    if is_known(expression):
        return evaluate(expression, _Known(build))
    return build.listener.ask(Question(expression, "value", caller()))


def value(of: T) -> T:
    """The value of a ref, now; of a list, tuple or dict, with the values of the refs in it.

    In the body of a pipeline it waits for the tasks that the value takes, and makes the pipeline dynamic. What is no
    ref is returned as it is.
    """
    if isinstance(of, Ref):
        return value_of(of)
    given = cast(Any, of)
    if type(given) not in _CONTAINERS or not holds_ref(given):
        return of
    if isinstance(given, dict):
        return cast(T, {key: value(each) for key, each in cast("dict[Any, Any]", given).items()})
    return cast(T, type(given)(map(value, given)))


def elements_of(ref: Ref) -> list[Any]:
    """The elements of a ref's value: plain scalars as they are, and refs to all others."""
    expression, build = expression_of(ref), building_of(ref)
    if is_known(expression):
        return list(evaluate(expression, _Known(build)))
    elements = build.listener.ask(Question(expression, "elements", caller()))
    return [Ref(element, build) if isinstance(element, Get) else element for element in elements]


def length_of(ref: Ref) -> int:
    """How many elements a ref's value has."""
    expression, build = expression_of(ref), building_of(ref)
    if is_known(expression):
        return len(evaluate(expression, _Known(build)))
    return build.listener.ask(Question(expression, "length", caller()))


def plain(value: Any) -> Any:
    """A value as it is; of a ref, its value."""
    return value_of(value) if isinstance(value, Ref) else value


def is_known(expression: Expression) -> bool:
    """Whether the value of an expression only depends on parameters and constants."""
    inside = parts(expression)
    return all(map(is_known, inside)) if inside else isinstance(expression, _KNOWN)


#: what is known at once; what has others in it is as well, where it has none
_KNOWN = (Constant, Parameter, Sequence, Mapping)


class _Known:
    """What an expression can reach before anything has run."""

    def __init__(self, build: Building) -> None:
        self.parameter = build.parameter

    def _unknown(self, *_: Any) -> NoReturn:
        raise LookupError("only parameters are known")

    output: Any = _unknown
    item = input = stored = state = outcome = ran = output


_CONTAINERS = frozenset({list, tuple, dict})
#: types of most values, which hold no refs
ATOMS = frozenset({int, float, bool, str, bytes, type(None)})


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


def hidden_in(value: Any) -> Ref | Uncalled | None:
    """A ref in what is not taken apart: in a set, or in a field of an object, also in a list, tuple or dict of such.
    Likewise what has yet to be called, which may also be the value itself."""
    if type(value) in ATOMS:
        return None
    if isinstance(value, Uncalled):
        return value
    if type(value) not in _CONTAINERS:
        return next((part for part in _parts_of(value) if type(part) is Ref or isinstance(part, Uncalled)), None)
    elements = _elements(value)
    if ATOMS.issuperset(map(type, elements)):
        return None
    return next((found for element in elements if (found := hidden_in(element)) is not None), None)


def _parts_of(value: Any) -> Iterable[Any]:
    if isinstance(value, (tuple, set, frozenset)):
        return cast(Iterable[Any], value)
    import dataclasses

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
