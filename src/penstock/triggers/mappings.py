"""Which partitions of one asset a partition of another is made from, and the other way round."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import product
from typing import Any, Final, NamedTuple

from penstock.errors import DefinitionError, NotFoundError
from penstock.model import partition as nouns
from penstock.model.partition import JOINT, ManyDimensions, Partitions, TimePartitions
from penstock.triggers.partitions import contains, dimensions, keys, parts_of
from penstock.triggers.stretches import line_of

#: what an author's function names for a key: a key, or several
Chooser = Callable[[str], str | Sequence[str]]

#: partitions of one dimension
_One = nouns.TimePartitions | nouns.StaticPartitions | nouns.DynamicPartitions

_UNITS: Final = ("hour", "day", "week", "month")
#: what a definition of one dimension is called here
_ONLY: Final = ""


class Known(NamedTuple):
    """What has to be known besides: the moment, the keys of dynamic partitions, and the functions of authors by name."""

    now: float
    dynamic: Callable[[str], Sequence[str]]
    function: Callable[[str], Chooser]


class _Pair(NamedTuple):
    """How one dimension above is told from what is below."""

    up: _One
    #: None for one that is not there below, so that all of it counts
    down: _One | None
    #: the name of the dimension below
    name: str
    mapping: nouns.Mapping


def usual(up: Partitions | None, down: Partitions | None) -> nouns.Mapping:
    """The mapping where none is said."""
    if up is None or down is None:
        return nouns.Everything()
    if isinstance(up, TimePartitions) and isinstance(down, TimePartitions) and up != down:
        return nouns.Same() if _is_like(up, down) else nouns.ByTime()
    return nouns.Same() if _share(up, down) else nouns.Everything()


def _share(up: Partitions, down: Partitions) -> bool:
    """Whether there is a dimension that both have."""
    return any(pair.down is not None for pair in _pairs(nouns.Same(), up, down))


def upstream_keys(
    mapping: nouns.Mapping | None, key: str, up: Partitions | None, down: Partitions | None, known: Known
) -> str | Sequence[str] | None:
    """The partitions above that a partition is made from: the key of one; a list of keys where the mapping may name
    several; None where what is above has no partitions. `key` is empty for what has none.

    They are named whether or not they are over; what is before the first, or after the last that will ever be, is left
    out. Raises NotFoundError where the one that is named cannot be.
    """
    if up is None:
        return None
    mapping = mapping or usual(up, down)
    match mapping:
        case nouns.Everything():
            return keys(up, known.now, known.dynamic)
        case nouns.Chosen(function):
            found = _chosen(function, key, known)
            _check_chosen(function, key, [found] if isinstance(found, str) else found, up)
            return found
        case _ if down is None:
            return keys(up, known.now, known.dynamic)
        case _:
            return _combined(_pairs(mapping, up, down), key, down, known)


def _chosen(function: str, key: str, known: Known) -> str | list[str]:
    """What an author's function names for a key. Raises DefinitionError where it raises, or names what no key is."""
    chooser = known.function(function)
    try:
        chosen: Any = chooser(key)
        found: Any = chosen if isinstance(chosen, str) else list(chosen)
    except NotFoundError:
        raise
    except Exception as error:
        raise DefinitionError(
            f"the mapping {function} fails for {key!r}: {type(error).__name__}: {error}",
            remedy="It takes a key, and returns one, or a list of them.",
        ) from error
    wrong = next((each for each in ([found] if isinstance(found, str) else found) if not isinstance(each, str)), "")
    if wrong != "":
        raise DefinitionError(
            f"the mapping {function} names {wrong!r} for {key!r}, which is no text", remedy="Let it return keys: texts."
        )
    return found


def _check_chosen(function: str, key: str, found: Sequence[str], up: Partitions) -> None:
    """Raise NotFoundError for a key that an author's function names, and that there can never be; of partitions of time, or
    that are added, there may be any."""
    if not isinstance(up, nouns.StaticPartitions):
        return
    wrong = next((each for each in found if each not in up.keys), None)
    if wrong is not None:
        raise NotFoundError(
            f"the mapping {function} names {wrong!r} for {key!r}, which is no partition of what it is made from",
            remedy=f"Let it name some of these: {', '.join(up.keys[:10])}.",
        )


def _combined(pairs: Sequence[_Pair], key: str, down: Partitions, known: Known) -> str | Sequence[str]:
    own = parts_of(down, key) if isinstance(down, ManyDimensions) else {_ONLY: key}
    parts = [_part(pair, own.get(pair.name, ""), known) for pair in pairs]
    if all(isinstance(part, str) for part in parts):
        return JOINT.join(str(part) for part in parts)
    return [JOINT.join(each) for each in product(*((part,) if isinstance(part, str) else part for part in parts))]


def _part(pair: _Pair, key: str, known: Known) -> str | Sequence[str]:
    if pair.down is None:
        return keys(pair.up, known.now, known.dynamic)
    match pair.mapping:
        case nouns.Last(count, offset):
            return _last(pair.up, key, count, offset, known)
        case nouns.ByTime():
            return _by_time(pair, key)
        case _:
            return key


def _last(up: Partitions, key: str, count: int, offset: int, known: Known) -> Sequence[str]:
    if isinstance(up, TimePartitions):
        line = line_of(up)
        place = line.place(key)
        if place is None:
            return []
        found: list[str] = []
        # a day that a zone leaves out is none
        for spare in (0, 2):
            end = min(place + 1, line.end)
            found = line.texts(max(line.first, end - offset - count - spare), end)
            found = found[max(0, len(found) - offset - count) : max(0, len(found) - offset)]
            if len(found) == count:
                break
        return found
    listed = list(keys(up, known.now, known.dynamic))
    if key not in listed:
        return []
    end = listed.index(key) + 1 - offset
    return listed[max(0, end - count) : max(0, end)]


def _by_time(pair: _Pair, key: str) -> str | Sequence[str]:
    up, down = pair.up, pair.down
    if not isinstance(up, TimePartitions) or not isinstance(down, TimePartitions):
        raise DefinitionError(
            "a mapping by time is for partitions of time alone",
            remedy="Say another one: same(), all_partitions(), last(7).",
        )
    there = line_of(down)
    place = there.place(key)
    if place is None:
        raise NotFoundError(f"there is no {down.unit} {key!r} among the partitions")
    begin, end = there.start(place), there.start(place + 1)
    line = line_of(up)
    if _is_longer(up, down):
        around = line.floor(begin)
        if not line.first <= around < line.end:
            raise NotFoundError(
                f"there is no {up.unit} that the {down.unit} {key!r} lies in: the first is {line.text(line.first)}",
                remedy=f"Let the {up.unit}s start earlier, or the {down.unit}s later.",
            )
        return line.text(around)
    first, last = line.floor(begin), line.floor(end - 0.001)
    inside = [each for each in range(first, last + 1) if line.start(each) >= begin and line.start(each + 1) <= end]
    low, high = (inside[0], inside[-1]) if inside else (first, last)
    return line.texts(max(low, line.first), min(high + 1, line.end))


def _is_longer(up: TimePartitions, down: TimePartitions) -> bool:
    """Whether a partition above lasts longer than one below, whichever they are."""
    if "cron" in (up.unit, down.unit):
        return False
    return _UNITS.index(up.unit) > _UNITS.index(down.unit)


def _is_like(up: Partitions, down: Partitions) -> bool:
    """Whether the keys of both mean the same: partitions of time may start and end at other moments."""
    if isinstance(up, TimePartitions) and isinstance(down, TimePartitions):
        return _form(up) == _form(down)
    return up == down


def _form(partitions: TimePartitions) -> tuple[object, ...]:
    return partitions.unit, partitions.zone, partitions.offset, partitions.cron, partitions.format


def _pairs(mapping: nouns.Mapping, up: Partitions, down: Partitions) -> list[_Pair]:
    """Each dimension above, with the one below that it is told from: of the same name, or else the one that is like it, or
    else that of time."""
    above, below = _dimensions(up), _dimensions(down)
    single = len(above) == len(below) == 1
    return [_pair(mapping, name, each, below, single=single) for name, each in above.items()]


def _dimensions(partitions: Partitions) -> Mapping[str, _One]:
    return dimensions(partitions) if isinstance(partitions, ManyDimensions) else {_ONLY: partitions}


def _pair(mapping: nouns.Mapping, name: str, up: _One, below: Mapping[str, _One], *, single: bool) -> _Pair:
    found = name if name in below and name != _ONLY else next((n for n in below if _is_like(up, below[n])), None)
    if found is None and isinstance(up, TimePartitions):
        found = next((n for n, each in below.items() if isinstance(each, TimePartitions)), None)
    if found is None:
        return _Pair(up, None, "", mapping)
    if isinstance(up, TimePartitions) and isinstance(below[found], TimePartitions) and not _is_like(up, below[found]):
        return _Pair(up, below[found], found, nouns.ByTime())
    # of several dimensions, it is that of time of which there are earlier ones
    moves = isinstance(mapping, nouns.Last) and (single or isinstance(up, TimePartitions))
    return _Pair(up, below[found], found, mapping if moves else nouns.Same())


def downstream_keys(
    mapping: nouns.Mapping | None, key: str, up: Partitions | None, down: Partitions | None, known: Known
) -> Sequence[str]:
    """The partitions below, of those that there are now, that are made from a partition above; an empty key stands for what
    has no partitions. Where a function of the author's names what they are made from, all of them are asked."""
    if down is None:
        return ("",)
    every = keys(down, known.now, known.dynamic)
    if up is None:
        return every
    mapping = mapping or usual(up, down)
    if isinstance(mapping, nouns.Everything):
        return every
    near = _near(mapping, key, up, down, known)
    return [each for each in (every if near is None else near) if _is_made_from(mapping, each, key, up, down, known)]


def near_keys(
    mapping: nouns.Mapping | None,
    above: Collection[str],
    up: Partitions | None,
    down: Partitions | None,
    known: Known,
) -> Iterable[str]:
    """The partitions below, of those that there are now, that may be made from any of some partitions above: all that are,
    and others near them, which `upstream_keys` tells apart. They are quickly told however many there are."""
    if down is None:
        return ("",)
    every = keys(down, known.now, known.dynamic)
    mapping = mapping or usual(up, down)
    if up is None or isinstance(mapping, nouns.Everything):
        return every
    if isinstance(mapping, nouns.Same) and up == down:
        there = set(every)
        return [key for key in above if key in there]
    if isinstance(mapping, nouns.Chosen) or not (isinstance(up, TimePartitions) and isinstance(down, TimePartitions)):
        return every
    return dict.fromkeys(near for key in above for near in _near(mapping, key, up, down, known) or ())


def _is_made_from(mapping: nouns.Mapping, below: str, key: str, up: Partitions, down: Partitions, known: Known) -> bool:
    try:
        found = upstream_keys(mapping, below, up, down, known)
    except NotFoundError:
        return False
    return found == key if isinstance(found, str) or found is None else key in found


def _near(mapping: nouns.Mapping, key: str, up: Partitions, down: Partitions, known: Known) -> Sequence[str] | None:
    """The keys below that may be made from one above, where they are told without looking at all of them."""
    if not isinstance(up, TimePartitions) or not isinstance(down, TimePartitions):
        same = isinstance(mapping, nouns.Same) and up == down
        return ([key] if contains(down, key, known.now, known.dynamic) else []) if same else None
    if isinstance(mapping, nouns.Chosen):
        return None
    line, below = line_of(up), line_of(down)
    place = line.place(key)
    if place is None:
        return []
    # one more on each side: what overlaps counts where nothing lies within
    reach = mapping.count + mapping.offset + 2 if isinstance(mapping, nouns.Last) else 1
    begin, end = below.bounds(known.now)
    first, last = below.floor(line.start(place)) - 1, below.floor(line.start(place + reach)) + 1
    return below.texts(max(begin, first), min(end, last + 1))


__all__ = ["Chooser", "Known", "downstream_keys", "near_keys", "upstream_keys", "usual"]
