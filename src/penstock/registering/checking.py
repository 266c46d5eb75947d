"""What definitions that are to be registered contradict: each other, and what other places have registered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from penstock.authoring.source import nearby
from penstock.errors import PenstockError
from penstock.model.asset import AssetSpec
from penstock.model.occurrence import OWN_SOURCE, Pattern
from penstock.model.registration import Definition
from penstock.model.schedule import Timetable
from penstock.model.trigger import EventSource, Trigger
from penstock.registering.accounts import trigger_of
from penstock.registering.collecting import Collected, Fault, Found
from penstock.registering.places import Place
from penstock.triggers import next_tick
from penstock.triggers.conditions import fits, patterns

#: kind and name
_Key = tuple[str, str]


def checked(
    collected: Mapping[Place, Collected], known: Sequence[Definition], *, move: bool, now: float
) -> tuple[list[Found], list[Fault]]:
    """What can be registered at a moment, and what is wrong with the rest."""
    found: dict[_Key, Found] = {}
    faults: list[Fault] = []
    refused: set[_Key] = set()
    # what is only there for a trigger gives way to the thing itself
    for each in sorted((each for all in collected.values() for each in all.found), key=lambda each: each.implied):
        key = each.definition.kind, each.definition.name
        other = found.get(key)
        if other is None:
            found[key] = each
        elif other.where != each.where:
            refused.add(key)
            faults.append(_twice(each, other))
    for key in refused:
        del found[key]
    seen = {place.origin for place in collected}
    for definition in known:
        key = definition.kind, definition.name
        each = found.get(key)
        if each is not None and not move and _is_elsewhere(definition, each, seen):
            del found[key]
            faults.append(_taken(each, definition))
    faults += _over(found, {(each.kind, each.name): each for each in known}, now)
    faults += _assets_apart(found, known)
    return list(found.values()), faults


def _assets_apart(found: dict[_Key, Found], known: Sequence[Definition]) -> Iterator[Fault]:
    """What is wrong between assets, and with what triggers select of them; it is taken out of what was found."""
    wanted = [(key, each) for key, each in found.items() if key[0] == "trigger" and each.definition.document["assets"]]
    if not wanted and not any(kind == "asset" for kind, _ in found):
        return
    from penstock.runtime.assets.graph import AssetGraph, circle
    from penstock.runtime.assets.selecting import STATES, select

    graph = None
    while graph is None:
        specs = {each.name: each for each in known if each.kind == "asset" and not each.retired}
        specs |= {name: each.definition for (kind, name), each in found.items() if kind == "asset"}
        nouns = {name: msgspec.convert(each.document["spec"], AssetSpec) for name, each in specs.items()}
        try:
            graph = AssetGraph(nouns.values())
        except PenstockError as error:
            culprit = next(
                (key for key, each in found.items() if key[0] == "asset" and each.where == error.where), None
            )
            if culprit is None:
                # of what was registered before; it is told where assets are made
                return
            yield _of(found.pop(culprit), error)
            for name in circle(nouns):
                # they are all told of
                found.pop(("asset", name), None)
    for key, each in wanted:
        try:
            select(each.definition.document["assets"], graph, dict.fromkeys(STATES, tuple))
        except PenstockError as error:
            yield _of(found.pop(key), error)


def _of(found: Found, error: PenstockError) -> Fault:
    return Fault(place=found.definition.origin, what=error.what, where=error.where or found.where, remedy=error.remedy)


def _is_elsewhere(known: Definition, found: Found, seen: Iterable[str]) -> bool:
    """Whether another place has the name, as far as can be seen from here."""
    if known.retired or known.origin in (found.definition.origin, *seen) or not known.origin.endswith(".py"):
        return False
    return found.definition.target != known.target and Path(known.origin).is_file()


def _twice(one: Found, other: Found) -> Fault:
    return Fault(
        place=one.definition.origin,
        beside=other.definition.origin,
        what=f"there are two {one.definition.kind}s called {one.definition.name!r}; the other is at {other.where}",
        where=one.where,
        remedy="Give one of them another name: name=...",
    )


def _taken(found: Found, known: Definition) -> Fault:
    name = found.definition.name
    return Fault(
        place=found.definition.origin,
        what=f"a {known.kind} called {name!r} is registered from {nearby(known.origin)} already",
        where=found.where,
        remedy="Give one of them another name: name=..., or let this one take its place: --move.",
    )


def warnings_of(found: Sequence[Found], known: Sequence[Definition]) -> Iterator[Fault]:
    """What is hardly meant, and registered all the same: triggers that wait for what nobody makes, or for themselves."""
    names = {(each.kind, each.name) for each in known if not each.retired}
    names |= {(each.definition.kind, each.definition.name) for each in found}
    for each in found:
        if each.definition.kind != "trigger":
            continue
        trigger = trigger_of(each.definition)
        if not isinstance(trigger.source, EventSource):
            continue
        for pattern in patterns(trigger.source.condition):
            for what, remedy in _doubts(pattern, trigger, names):
                yield Fault(
                    place=each.definition.origin, what=f"{trigger.name} {what}", where=each.where, remedy=remedy
                )


def _doubts(pattern: Pattern, trigger: Trigger, names: set[_Key]) -> Iterator[tuple[str, str | None]]:
    for kind, whose in (("pipeline", "run"), ("asset", "asset")):
        if pattern.source != f"{OWN_SOURCE}/{whose}/*":
            continue
        plain = not set("*?[") & set(pattern.subject)
        if plain and (kind, pattern.subject) not in names:
            yield f"waits for the {kind} {pattern.subject!r}, and none of that name is registered", None
        if kind == "pipeline" and trigger.pipeline and fits(trigger.pipeline, pattern.subject):
            yield (
                f"starts {trigger.pipeline} when a run of {trigger.pipeline} has ended: one run leads to the next",
                "Name the pipelines that it is to follow, or narrow it: run_ends(..., where={...}).",
            )


def _over(found: dict[_Key, Found], known: Mapping[_Key, Definition], now: float) -> Iterator[Fault]:
    """Triggers, taken out of what was found, that are new or have another schedule, and are never due any more."""
    for key, each in list(found.items()):
        old = known.get(key)
        if key[0] != "trigger" or (old is not None and old.parts.get("source") == each.definition.parts.get("source")):
            continue
        trigger = trigger_of(each.definition)
        if isinstance(trigger.source, Timetable) and next_tick(trigger.source, trigger.name, now) is None:
            yield Fault(
                place=each.definition.origin,
                what=f"{trigger.name} is never due: the last of its times is over",
                where=found.pop(key).where,
                remedy="Give it a time that is to come. For a run about a time that is past: penstock run, with --logical-time.",
            )


__all__ = ["checked", "warnings_of"]
