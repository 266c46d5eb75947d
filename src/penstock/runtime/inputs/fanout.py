"""What a mapped node runs over: how many items there are, what they are called, and the elements at hand of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import prod
from typing import Any, Protocol, cast

from penstock.kernel.state import NodeProgress
from penstock.model.expression import Constant, Expression, Output
from penstock.model.graph import Each
from penstock.model.value import Argument, Collection
from penstock.runtime.inputs.resolve import Elements, MissingError, Place, Resolver
from penstock.values import Values

#: what separates, in the key of an item of a product, the keys of its elements
_BETWEEN = ","


class Source(Protocol):
    """One of the iterables that a node is mapped over."""

    @property
    def keys(self) -> tuple[str, ...] | None:
        """What its elements are called, where it is a dict."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, item: int, /) -> Any: ...


class Elementary:
    """An iterable that is there: its elements are values, or arguments where they are stored apart."""

    __slots__ = ("_elements", "keys")

    def __init__(self, elements: Sequence[Any], keys: tuple[str, ...] | None = None) -> None:
        self._elements = elements
        self.keys = keys

    def __len__(self) -> int:
        return len(self._elements)

    def __getitem__(self, item: int) -> Any:
        return self._elements[item]

    def in_order(self, keys: Iterable[str]) -> Elementary:
        """The same dict with its keys in another order."""
        places = {key: place for place, key in enumerate(self.keys or ())}
        return Elementary([self._elements[places[key]] for key in keys], tuple(keys))


class Streamed:
    """The items of another mapped node, each there as soon as that item has ended."""

    __slots__ = ("_lax", "_resolver", "_upstream", "keys")

    def __init__(self, upstream: NodeProgress, resolver: Resolver, lax: bool) -> None:
        assert upstream.items is not None
        self._upstream = upstream
        self._resolver = resolver
        self._lax = lax
        self.keys = upstream.items.keys

    def __len__(self) -> int:
        assert self._upstream.items is not None
        return len(self._upstream.items.phases)

    @property
    def more(self) -> bool:
        """Whether there are items to come."""
        assert self._upstream.items is not None
        return self._upstream.items.more

    def __getitem__(self, item: int) -> Any:
        try:
            return self._resolver.output_of_item(self._upstream, item)
        except MissingError:
            if not self._lax:
                raise
            return None


class Yields:
    """What a generator has yielded so far."""

    __slots__ = ("_upstream", "_values", "_yields", "keys")

    def __init__(self, upstream: NodeProgress, yields: Sequence[Argument], values: Values) -> None:
        self._upstream = upstream
        self._yields = yields
        self._values = values
        self.keys = None

    @property
    def more(self) -> bool:
        return not self._upstream.phase.ended

    def __len__(self) -> int:
        return len(self._yields) if self.more else max(len(self._whole()), len(self._yields))

    def __getitem__(self, item: int) -> Any:
        return self._yields[item] if item < len(self._yields) else self._whole()[item]

    def _whole(self) -> Sequence[Argument]:
        outputs = self._upstream.outputs
        return () if outputs is None else self._values.split(outputs[0]) or ()


class Fan:
    """The iterables of a mapped node, in one frame."""

    __slots__ = ("_mode", "_sources", "more")

    def __init__(self, sources: Mapping[str, Source], mode: str) -> None:
        self._sources = dict(sources)
        self._mode = mode
        #: whether there are items to come
        self.more = any(getattr(source, "more", False) for source in sources.values())

    @property
    def named(self) -> bool:
        """Whether it runs over a dict, so that the results are one too."""
        return any(source.keys is not None for source in self._sources.values())

    def count(self, place: object) -> int:
        """How many items there are so far. Raises ValueError, naming the `place` in the user's code, if iterables
        that are taken in step are of different lengths."""
        lengths = {name: len(source) for name, source in self._sources.items()}
        if self._mode == "product":
            return prod(lengths.values())
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{name} has {length}" for name, length in lengths.items())
            raise ValueError(f"the iterables to map over have different lengths: {told} ({place})")
        return next(iter(lengths.values()))

    def elements(self, item: int) -> Elements:
        """The elements at hand for an item."""
        if self._mode == "zip":
            return {name: source[item] for name, source in self._sources.items()}
        found: dict[str, Any] = {}
        for name, source in reversed(self._sources.items()):
            item, position = divmod(item, len(source))
            found[name] = source[position]
        return found

    def keys(self, count: int) -> tuple[str, ...] | None:
        """What the items are called, where they run over a dict."""
        if not self.named:
            return None
        if self._mode == "zip":
            return next(source.keys for source in self._sources.values() if source.keys is not None)
        found: list[str] = [""]
        for number, source in enumerate(self._sources.values()):
            names = source.keys if source.keys is not None else tuple(map(str, range(len(source))))
            found = [f"{before}{_BETWEEN if number else ''}{name}" for before in found for name in names]
        return tuple(found[:count])


def fan_of(progress: NodeProgress, resolver: Resolver, values: Values, yields: Mapping[str, list[Argument]]) -> Fan:
    """The iterables of a mapped node, as far as they are there. `yields` is what generators have yielded so far.

    Raises TypeError for what is not iterable, ValueError for dicts with different keys, and what evaluating raises.
    """
    each = progress.node.each
    assert each is not None
    lax = progress.node.join != "all_success"
    sources: dict[str, Source] = {}
    for name, expression in each.over.items():
        upstream = _streamed(progress, expression)
        if upstream is None:
            sources[name] = _elementary(progress, name, expression, resolver, values)
        elif upstream.node.each is None:
            sources[name] = Yields(upstream, _taken(yields, upstream.id), values)
        elif upstream.items is None:
            # it had nothing to map over, or failed before it was known how much
            nothing = resolver.output(progress.frame, upstream.node.id, None)
            is_dict = isinstance(nothing, Collection) and nothing.kind == "dict"
            sources[name] = Elementary((), () if is_dict else None)
        else:
            sources[name] = Streamed(upstream, resolver, lax)
    if each.mode == "zip":
        _align(sources, progress)
    return Fan(sources, each.mode)


def _taken(yields: Mapping[str, list[Argument]], node: str) -> Sequence[Argument]:
    return yields.get(node, ())


def _streamed(progress: NodeProgress, expression: Expression) -> NodeProgress | None:
    """The upstream node whose items are taken over one by one for an iterable, if it is so."""
    if not progress.streams or not isinstance(expression, Output):
        return None
    upstream = progress.frame.nodes[expression.node]
    return upstream if upstream in progress.streams else None


def _elementary(
    progress: NodeProgress, name: str, expression: Expression, resolver: Resolver, values: Values
) -> Elementary:
    if isinstance(expression, Constant):
        value = expression.value
    else:
        argument = resolver.argument(expression, Place(progress.frame))
        if isinstance(argument, Collection) and argument.kind == "dict":
            return Elementary(argument.items, argument.keys)
        elements = values.split(argument)
        if elements is not None:
            return Elementary(elements)
        value = values.load(argument)
    if isinstance(value, dict):
        named = cast("dict[Any, Any]", value)
        return Elementary(list(named.values()), _texts(name, named))
    if isinstance(value, (list, tuple, range)):
        return Elementary(cast(Sequence[Any], value))
    if isinstance(value, (set, frozenset)):
        # in an order that is the same in every process
        stored = map(resolver.stored, cast("set[Any]", value))
        return Elementary(sorted(stored, key=lambda artifact: artifact.digest))
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        kind = f"{type(value).__name__}, not a list"
        raise TypeError(
            f"{progress.id} cannot be mapped over {name}, which is {kind}: {value!r:.50} ({progress.node.location})"
        )
    return Elementary(list(cast("Iterable[Any]", value)))


def _texts(name: str, named: Iterable[Any]) -> tuple[str, ...]:
    keys = tuple(str(key) for key in named)
    _check_keys(keys, f"the keys of the dict {name}")
    return keys


def _align(sources: dict[str, Source], progress: NodeProgress) -> None:
    """Bring dicts that are taken in step in the order of the first. Raises ValueError for different keys."""
    named = {name: source for name, source in sources.items() if source.keys is not None}
    if len(named) < 2:
        return
    first, *others = named
    keys = named[first].keys or ()
    for name in others:
        source = named[name]
        if source.keys == keys:
            continue
        odd = sorted(set(keys).symmetric_difference(source.keys or ()))
        if odd or not isinstance(source, Elementary):
            told = f"only one of {first} and {name} has {', '.join(odd[:5])}" if odd else "their order differs"
            raise ValueError(f"the dicts to map over have different keys: {told} ({progress.node.location})")
        sources[name] = source.in_order(keys)


def keys_of_items(
    each: Each, fan: Fan, count: int, evaluated: Callable[[Expression, Elements], Any]
) -> tuple[str, ...] | None:
    """What the items are called: by the key that the user has chosen, by their keys in a dict, or by number (None).

    Raises ValueError for a key that is empty, or that two items have.
    """
    if each.key is None:
        return fan.keys(count)
    found = [evaluated(each.key, fan.elements(item)) for item in range(count)]
    keys = tuple("" if key is None else str(key) for key in found)
    _check_keys(keys, "the keys of the items")
    return keys


def _check_keys(keys: tuple[str, ...], what: str) -> None:
    seen: dict[str, int] = {}
    for item, key in enumerate(keys):
        if not key:
            raise ValueError(f"{what} must not be empty, and that of item {item} is")
        if key in seen:
            raise ValueError(f"{what} must differ, and items {seen[key]} and {item} are both called {key!r}")
        seen[key] = item
