"""Fan-outs: `map`, `product`, `partial` and `map_kwargs`, of tasks and of pipelines."""

from __future__ import annotations

import functools
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, NoReturn, ParamSpec, TypeVar, cast, overload

from penstock.authoring.building import Building, Unmapped, current_building
from penstock.authoring.dynamic import BodyEnded, Question
from penstock.authoring.kinds.conversion import nearest, shortened
from penstock.authoring.placing import SPREAD, Fan, Placing
from penstock.authoring.ref import Ref
from penstock.authoring.source import caller, location_of
from penstock.errors import DefinitionError
from penstock.model.expression import Constant, Expression, Item, describe, leaves
from penstock.model.graph import Each

if TYPE_CHECKING:
    import inspect

P = ParamSpec("P")
R = TypeVar("R")


class Fanned(Generic[P, R]):
    """What can be fanned out: a task, or a pipeline as a whole.

    Every argument is a list, a range, another iterable, a dict, or a ref to one. Of dicts, the items are the values,
    called by their keys, and the result is a dict as well. `unmapped(value)`, or `partial`, holds an argument fixed. The
    number of items may be known only at run time, and may be zero. Outside a pipeline everything is called right here.
    All of them raise DefinitionError for wrong arguments.
    """

    name: str
    function: Callable[P, R]

    @property
    def called(self) -> str:
        """What messages call it."""
        return f"{self.name}()"

    @functools.cached_property
    def shape(self) -> inspect.Signature:
        """The parameters that it is called with."""
        import inspect

        return inspect.signature(self.function)

    @functools.cached_property
    def named(self) -> Named | None:
        """The same, where each can be given by name."""
        found = self.shape.parameters.values()
        if any(each.kind not in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY) for each in found):
            return None
        places = sum(each.kind is each.POSITIONAL_OR_KEYWORD for each in found)
        required = frozenset(each.name for each in found if each.default is each.empty)
        return Named(tuple(each.name for each in found), places, required)

    @abstractmethod
    def _fan_out(self, building: Building, fan: Fan) -> Ref: ...

    @abstractmethod
    def _call_here(self, arguments: dict[str, Any]) -> R: ...

    @abstractmethod
    def _check_values(self, values: Iterable[tuple[str, Any]]) -> None:
        """Raise DefinitionError for arguments (name, value) that are known to be of the wrong type."""

    @overload
    def map(
        self, first: Mapping[str, Any], /, *others: Mapping[str, Any], **more: Mapping[str, Any]
    ) -> dict[str, R]: ...
    @overload
    def map(self, *args: Any, **kwargs: Any) -> list[R]: ...

    def map(self, *args: Any, **kwargs: Any) -> Any:
        """Call it once for every element of the arguments, taken in step.

        Returns a ref to the list of results, in order, or to a dict of them where a dict was given. Lists have to be
        equally long; where a length is not known yet, the node fails when it is reached.
        """
        return cast(Any, Partial(self, {})).map(*args, **kwargs)

    def product(self, **kwargs: Any) -> list[R]:
        """Call it once for every combination of elements of the arguments, the last one varying fastest.

        Returns a ref to the list of results.
        """
        return Partial(self, {}).product(**kwargs)

    def map_kwargs(self, items: Iterable[Mapping[str, Any]]) -> list[R]:
        """Call it once for every dict of arguments. Returns a ref to the list of results.

        Of a pipeline, every dict has to give the same parameters.
        """
        return Partial(self, {}).map_kwargs(items)

    def partial(self, *args: Any, **kwargs: Any) -> Partial[R]:
        """Hold some arguments fixed: `fit.partial(data=data).map(depths)`."""
        return Partial(self, bound(self, args, kwargs, partial=True))


class Partial(Generic[R]):
    """A task or a pipeline with some of its arguments held fixed."""

    def __init__(self, whole: Fanned[..., R], fixed: Mapping[str, Any]) -> None:
        self._whole = whole
        self._fixed = dict(fixed)

    def partial(self, *args: Any, **kwargs: Any) -> Partial[R]:
        """Hold more arguments fixed."""
        more = bound(self._whole, args, self._checked(kwargs), shape=self._open_shape(), partial=True)
        return Partial(self._whole, {**self._fixed, **more})

    @overload
    def map(
        self, first: Mapping[str, Any], /, *others: Mapping[str, Any], **more: Mapping[str, Any]
    ) -> dict[str, R]: ...
    @overload
    def map(self, *args: Any, **kwargs: Any) -> list[R]: ...

    def map(self, *args: Any, **kwargs: Any) -> Any:
        """See `Task.map`."""
        fan = self._fan("zip", "map", args, kwargs)
        _check_lengths(self._whole.name, fan.over)
        return self._carried_out(fan, self._zipped)

    def product(self, **kwargs: Any) -> list[R]:
        """See `Task.product`."""
        fan = self._fan("product", "product", (), kwargs)
        for name, value in fan.over.items():
            if isinstance(value, dict):
                raise DefinitionError(
                    f"{self._whole.name}.product(...) takes lists, and {name} is a dict",
                    where=str(caller()),
                    remedy=f"Give its values or its keys: {name}=list(...).",
                )
        return self._carried_out(fan, self._combined)

    def map_kwargs(self, items: Iterable[Mapping[str, Any]]) -> list[R]:
        """See `Task.map_kwargs`."""
        self._check_mappable()
        elements_ = elements(items, self._whole.name, SPREAD)
        if not isinstance(elements_, Ref):
            self._check_rows(_values(elements_))
        return self._carried_out(Fan("kwargs", {SPREAD: elements_}, self._fixed), self._spread)

    def _fan(self, mode: str, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Fan:
        self._check_mappable()
        whole = self._whole
        arguments = bound(whole, args, self._checked(kwargs), shape=self._open_shape())
        fixed = self._fixed | {name: value.value for name, value in arguments.items() if isinstance(value, Unmapped)}
        over = {name: elements(value, whole.name, name) for name, value in arguments.items() if name not in fixed}
        if not over:
            raise DefinitionError(
                f"{whole.name}.{method}(...) was given nothing to map over",
                where=str(caller()),
                remedy="Give at least one list that is not unmapped(...).",
            )
        return Fan(mode, over, fixed)

    def _open_shape(self) -> inspect.Signature:
        """The parameters that are not held fixed."""
        open_ = [parameter for name, parameter in self._whole.shape.parameters.items() if name not in self._fixed]
        if self._fixed:
            # what comes after a fixed one can only be given by name where it is so in Python too
            open_ = sorted(open_, key=lambda parameter: parameter.kind)
        return self._whole.shape.replace(parameters=open_)

    def _checked(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        """The same arguments. Raises DefinitionError if one of them is held fixed."""
        clash = next((name for name in kwargs if name in self._fixed), None)
        if clash is not None:
            raise DefinitionError(f"{clash!r} is held fixed already by partial(...)", where=str(caller()))
        return kwargs

    def _check_mappable(self) -> None:
        whole = self._whole
        if any(each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD) for each in whole.shape.parameters.values()):
            raise DefinitionError(
                f"{whole.name}() takes any number of arguments and cannot be mapped", where=str(caller())
            )

    def _carried_out(self, fan: Fan, here: Callable[[Fan], Any]) -> Any:
        building = current_building()
        if building is None:
            return here(fan)
        whole = self._whole
        whole._check_values(fan.fixed.items())  # pyright: ignore[reportPrivateUsage]
        if fan.mode != "kwargs":
            known = {name: value for name, value in fan.over.items() if not isinstance(value, Ref)}
            pairs = ((name, each) for name, value in known.items() for each in _values(value))
            whole._check_values(pairs)  # pyright: ignore[reportPrivateUsage]
        return whole._fan_out(building, fan)  # pyright: ignore[reportPrivateUsage]

    def _check_rows(self, rows: Iterable[Any]) -> None:
        whole = self._whole
        names = whole.shape.parameters
        needed = {n for n, each in names.items() if each.default is each.empty and n not in self._fixed}
        for row in rows:
            if isinstance(row, Ref):
                continue
            if not isinstance(row, Mapping):
                raise DefinitionError(
                    f"{whole.name}.map_kwargs(...) takes dicts of arguments, and one is {shortened(repr(row))}",
                    where=str(caller()),
                )
            given = cast(Mapping[str, Any], row)
            wrong = next((name for name in given if name not in names or name in self._fixed), None)
            if wrong is not None:
                raise DefinitionError(
                    f"{whole.name}() has no argument {wrong!r} to give{nearest(wrong, names)}", where=str(caller())
                )
            missing = sorted(needed - set(given))
            if missing:
                raise DefinitionError(
                    f"{whole.name}() needs {', '.join(missing)}, and {shortened(repr(given))} does not give it",
                    where=str(caller()),
                )
            whole._check_values(given.items())  # pyright: ignore[reportPrivateUsage]

    # Outside a pipeline.

    def _zipped(self, fan: Fan) -> Any:
        rows = zip(*(_values(each) for each in fan.over.values()), strict=True)
        results = [self._here(fan, zip(fan.over, row, strict=True)) for row in rows]
        keys = keys_of(fan.over)
        return results if keys is None else dict(zip(keys, results, strict=True))

    def _combined(self, fan: Fan) -> list[R]:
        return [self._here(fan, zip(fan.over, row, strict=True)) for row in product(*fan.over.values())]

    def _spread(self, fan: Fan) -> Any:
        rows = fan.over[SPREAD]
        if isinstance(rows, dict):
            return {key: self._here(fan, row.items()) for key, row in cast(dict[str, Any], rows).items()}
        return [self._here(fan, row.items()) for row in rows]

    def _here(self, fan: Fan, arguments: Iterable[tuple[str, Any]]) -> R:
        return self._whole._call_here({**fan.fixed, **dict(arguments)})  # pyright: ignore[reportPrivateUsage]


def bound(
    whole: Fanned[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    *,
    shape: inspect.Signature | None = None,
    partial: bool = False,
) -> dict[str, Any]:
    """Arguments by name. Raises DefinitionError if they do not fit the signature, or the given part of it."""
    if shape is None and not partial and (found := _bound_by_name(whole.named, args, kwargs)) is not None:
        return found
    part = shape or whole.shape
    try:
        return (part.bind_partial if partial else part.bind)(*args, **kwargs).arguments
    except TypeError as error:
        raise DefinitionError(
            f"{whole.called} was called with wrong arguments: {error}",
            where=str(caller()),
            remedy=f"It is defined at {location_of(whole.function)} as {whole.name}{whole.shape}.",
        ) from None


class Named(NamedTuple):
    """The parameters of a function of which each can be given by name."""

    names: tuple[str, ...]
    #: how many of them can be given by their place
    places: int
    #: those without a default
    required: frozenset[str]


def _bound_by_name(named: Named | None, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any] | None:
    """What `inspect` would find, several times as fast; None where it has to look itself."""
    if named is None or len(args) > named.places:
        return None
    found = dict(zip(named.names, args))  # noqa: B905 - a call may give fewer, and `strict` takes its time
    if kwargs:
        if not found.keys().isdisjoint(kwargs):
            return None
        count = len(found) + len(kwargs)
        found = {**found, **{name: kwargs[name] for name in named.names if name in kwargs}}
        if len(found) < count:
            return None
    return found if len(found) == len(named.names) or named.required.issubset(found) else None


def elements(value: Any, name: str, argument: str) -> Any:
    """Something to map over: a list, a range, a dict, or a ref to what is not known yet.

    Raises DefinitionError for what has no elements, for text, and for a dict with keys that are not text.
    """
    if type(value) in (Ref, list, range):
        return value
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise DefinitionError(
            f"{name}.map(...) cannot map over {argument}={cast(Any, value)!r}",
            where=str(caller()),
            remedy=f"Give it a list, or hold the value fixed: {argument}=unmapped(...).",
        )
    if not isinstance(value, dict):
        return list(cast(Iterable[Any], value))
    found = cast(dict[Any, Any], value)
    odd = next((key for key in found if type(key) is not str), None)
    if odd is not None:
        raise DefinitionError(
            f"{name}.map(...) calls its items by the keys of {argument}, and {odd!r} is no text",
            where=str(caller()),
            remedy="Use text for keys, or map over the values: list(d.values()).",
        )
    return found


def keys_of(over: Mapping[str, Any]) -> list[str] | None:
    """What items are called by the dicts that are mapped over; None where there are none."""
    return next((list(cast(dict[str, Any], each)) for each in over.values() if isinstance(each, dict)), None)


def _values(known: Any) -> Iterable[Any]:
    return cast(dict[str, Any], known).values() if isinstance(known, dict) else known


def _check_lengths(name: str, over: Mapping[str, Any]) -> None:
    lengths = {argument: len(value) for argument, value in over.items() if not isinstance(value, Ref)}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{argument} has {length}" for argument, length in lengths.items())
        raise DefinitionError(
            f"{name}.map(...) takes its lists in step, and they have different lengths: {told}",
            where=str(caller()),
            remedy="Make them equally long, or hold one fixed with unmapped(...).",
        )
    dicts = {argument: list(cast(dict[str, Any], value)) for argument, value in over.items() if isinstance(value, dict)}
    if len({tuple(keys) for keys in dicts.values()}) > 1:
        raise DefinitionError(
            f"{name}.map(...) takes its dicts in step, and {', '.join(dicts)} do not have the same keys in the same order",
            where=str(caller()),
            remedy="Give them the same keys in the same order, or map over their values: list(d.values()).",
        )


def each_of(building: Building, fan: Fan, placing: Placing) -> tuple[Each, dict[str, Expression]]:
    """A fan-out as a part of a node, and the bindings of the node."""
    over = {name: building.expression(value) for name, value in fan.over.items()}
    bindings: dict[str, Expression] = {} if fan.mode == "kwargs" else {name: Item(name) for name in over}
    bindings |= {name: building.expression(value) for name, value in fan.fixed.items()}
    mode: Literal["zip", "product"] = "product" if fan.mode == "product" else "zip"
    each = Each(
        over,
        mode,
        SPREAD if fan.mode == "kwargs" else None,
        None if placing.key is None else _key(building, list(over), placing.key),
        placing.max_parallel,
        placing.failure_threshold,
    )
    return each, bindings


class _NoValues:
    """Refuses where the value of an item is used."""

    ended: BodyEnded | None = None

    def ask(self, question: Question) -> NoReturn:
        raise _no_key(f"it uses the value of {describe(question.expression)}", str(question.location))

    def check_open(self, node: str) -> None:
        """Nothing runs."""


def _no_key(why: str, where: str) -> DefinitionError:
    return DefinitionError(
        f"key has to be an expression of the item, and {why}",
        where=where,
        remedy='Take a part of the item, or combine parts: key=lambda item: item["name"] + "-" + item["fold"].',
    )


def _key(building: Building, names: Sequence[str], key: Callable[..., Any]) -> Expression:
    """What an item is called, as an expression over its elements."""
    # a building of its own, so that nothing is added to the pipeline
    inner = Building(building.pipeline, building.parameters)
    inner.read, inner.listener = building.read, _NoValues()
    items = {name: Ref(Item(name), inner) for name in names}
    wanted = list(_parameters(key))
    if len(wanted) == len(items) == 1:
        found = key(*items.values())
    elif wanted and all(name in items for name in wanted):
        found = key(**{name: items[name] for name in wanted})
    else:
        raise DefinitionError(
            f"key takes {', '.join(wanted) or 'nothing'}, and what is mapped over is {', '.join(names)}",
            where=str(caller()),
            remedy=f"Write key=lambda {', '.join(names)}: ...",
        )
    if not isinstance(found, Ref):
        raise _no_key(f"it gives {shortened(repr(found))} for every item", str(location_of(key)))
    expression = inner.expression(found)
    if not all(isinstance(leaf, (Item, Constant)) for leaf in leaves(expression)):
        raise _no_key(f"{describe(expression)} takes something else", str(location_of(key)))
    return expression


def _parameters(function: Callable[..., Any]) -> Iterable[str]:
    import inspect

    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):
        return ("item",)
