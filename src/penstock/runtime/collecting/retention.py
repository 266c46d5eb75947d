"""How long runs, results in the cache and what they refer to are kept."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, cast

import msgspec

_DAY = 86_400.0
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": _DAY, "w": 7 * _DAY}
_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)")
#: settings that are lengths of time
_AGES = ("older_than", "cache_older_than", "compact_older_than", "versions_older_than", "events_older_than", "grace")
#: the tag of runs that always stay
PINNED = "pinned"


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept. A run that has ended goes unless its number, its age or one of its tags keeps it."""

    #: so many of the latest runs of each pipeline stay; None: their number keeps none
    keep: int | None = 100
    #: runs that ended less than so many seconds ago stay; None: their age keeps none
    older_than: float | None = 30 * _DAY
    #: runs with one of these tags stay, as those that are pinned do
    keep_tags: tuple[str, ...] = ()
    #: results in the cache, and environments of tasks, that nobody has made or used for so many seconds go
    cache_older_than: float = 30 * _DAY
    #: whether results stay in the cache when the run that made them goes
    cache_of_removed: bool = True
    #: journals of runs that ended more than so many seconds ago are made smaller, without loss
    compact_older_than: float = _DAY
    #: so many of the latest versions of each asset, or each partition of one, stay
    keep_versions: int = 10
    #: and so do those that were made less than so many seconds ago
    versions_older_than: float = 30 * _DAY
    #: events, and what triggers have made of them and of ticks, stay for so many seconds
    events_older_than: float = 30 * _DAY
    #: what was written or found less than so many seconds ago stays, whatever refers to it
    grace: float = 3600.0


def retention(given: Mapping[str, Any]) -> Retention:
    """What the settings and the command line say; ages may be texts. Where only one of `keep` and `older_than` is given,
    the other one keeps nothing. Raises ValueError for what is no age."""
    ages = {name: age(given[name]) for name in _AGES if name in given}
    said: dict[str, Any] = {**given, **ages, "keep_tags": tuple(given.get("keep_tags", ()))}
    if ("keep" in said) != ("older_than" in said):
        said = {"keep": None, "older_than": None, **said}
    return msgspec.convert(said, Retention)


def age(value: Any) -> float:
    """Seconds, from a number of them or a text such as `90s`, `30min`, `12h`, `30d`, `2w`. Raises ValueError."""
    if type(value) in (int, float) and 0 <= value < float("inf"):
        return float(value)
    found = _AGE.fullmatch(value.strip().lower()) if isinstance(value, str) else None
    if found is None or found[2] not in _UNITS:
        raise ValueError(f"{value!r} is no length of time")
    return float(found[1]) * _UNITS[found[2]]


def _is_age(value: Any) -> bool:
    try:
        age(value)
    except ValueError:
        return False
    return True


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(type(each) is str for each in cast("list[Any]", value))


_AN_AGE = (_is_age, 'a length of time such as "30d" or "12h"')
#: setting of a project -> whether a value fits, and what does in words
SETTINGS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "keep": (lambda value: type(value) is int and value >= 0, "a whole number from 0 up"),
    "older_than": _AN_AGE,
    "keep_versions": (lambda value: type(value) is int and value >= 1, "a whole number from 1 up"),
    "versions_older_than": _AN_AGE,
    "events_older_than": _AN_AGE,
    "keep_tags": (_are_texts, "a list of texts"),
    "cache_older_than": _AN_AGE,
    "compact_older_than": _AN_AGE,
    "cache_of_removed": (lambda value: type(value) is bool, "true or false"),
    "grace": _AN_AGE,
}


__all__ = ["PINNED", "SETTINGS", "Retention", "age", "retention"]
