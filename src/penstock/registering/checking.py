"""What definitions that are to be registered contradict: each other, and what other places have registered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from penstock.authoring.source import nearby
from penstock.errors import PenstockError
from penstock.model.asset import AssetSpec
from penstock.model.registration import Definition
from penstock.registering.collecting import Collected, Fault, Found
from penstock.registering.places import Place

#: kind and name
_Key = tuple[str, str]


def checked(
    collected: Mapping[Place, Collected], known: Sequence[Definition], *, move: bool
) -> tuple[list[Found], list[Fault]]:
    """What can be registered, and what is wrong with the rest."""
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
            faults += _twice(each, other)
    for key in refused:
        del found[key]
    seen = {place.origin for place in collected}
    for definition in known:
        key = definition.kind, definition.name
        each = found.get(key)
        if each is not None and not move and _is_elsewhere(definition, each, seen):
            del found[key]
            faults.append(_taken(each, definition))
    faults += _assets_apart(found, known)
    return list(found.values()), faults


def _assets_apart(found: dict[_Key, Found], known: Sequence[Definition]) -> Iterator[Fault]:
    """What is wrong between assets, and with what triggers select of them; it is taken out of what was found."""
    wanted = [(key, each) for key, each in found.items() if key[0] == "trigger" and each.definition.document["assets"]]
    if not wanted and not any(kind == "asset" for kind, _ in found):
        return
    from penstock.runtime.assets.graph import AssetGraph
    from penstock.runtime.assets.selecting import STATES, select

    graph = None
    while graph is None:
        specs = {each.name: each for each in known if each.kind == "asset" and not each.retired}
        specs |= {name: each.definition for (kind, name), each in found.items() if kind == "asset"}
        try:
            graph = AssetGraph(msgspec.convert(each.document["spec"], AssetSpec) for each in specs.values())
        except PenstockError as error:
            culprit = next(
                (key for key, each in found.items() if key[0] == "asset" and each.where == error.where), None
            )
            if culprit is None:
                # of what was registered before; it is told where assets are made
                return
            yield _of(found.pop(culprit), error)
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


def _twice(one: Found, other: Found) -> Iterator[Fault]:
    for each, twin in ((one, other), (other, one)):
        yield Fault(
            place=each.definition.origin,
            what=f"there are two {each.definition.kind}s called {each.definition.name!r}; the other is at {twin.where}",
            where=each.where,
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


__all__ = ["checked"]
