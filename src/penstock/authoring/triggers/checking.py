"""Whether the parameters that a trigger gives are those that its pipeline takes."""

from __future__ import annotations

from datetime import date, datetime
from types import NoneType
from typing import TYPE_CHECKING, Any, cast

from penstock.authoring.kinds.causes import FromCause
from penstock.authoring.kinds.conversion import Form, Kind, Mismatch, nearest
from penstock.model.trigger import Cause, ClockSource, SensorSource
from penstock.triggers.templates import Known, Type, check, known_of, places_of, render, sample, type_of

if TYPE_CHECKING:
    from penstock.authoring.triggers.trigger import Trigger

#: what a place may be, for parameters of a type
_TAKES: dict[Any, tuple[Type, ...]] = {
    int: ("int", "any"),
    float: ("int", "float", "any"),
    bool: ("bool", "any"),
    str: ("str", "moment", "any"),
    date: ("str", "moment", "any"),
    datetime: ("str", "moment", "any"),
}


def faults_of(trigger: Trigger) -> list[str]:
    """Everything that is wrong with the parameters of a trigger."""
    noun, known = trigger.noun, known_of(trigger.noun.source)
    faults: list[str] = []
    wrong: set[str] = set()
    for name, template in noun.parameters.items():
        found = [f"{name}: {fault}" for fault in check(template, known)]
        faults += found
        if found:
            wrong.add(name)
    if trigger.composition is None:
        return faults
    signature = trigger.composition.signature
    for name, template in noun.parameters.items():
        kind = signature.kinds.get(name)
        if kind is None:
            faults.append(f"{name}: {signature.name} has no such parameter{nearest(name, signature.kinds)}")
        elif name not in wrong:
            faults += [f"{name}: {fault}" for fault in _misfit(template, kind, known)]
    if not isinstance(noun.source, SensorSource) or isinstance(noun.source, ClockSource):
        # any other sensor gives parameters with each request
        faults += [
            f"{port.name}: missing; {signature.name} takes {signature.kinds[port.name].words}, and has no default for it"
            for port in signature.parameters
            if port.required and port.name not in noun.parameters
        ]
    return faults + _without_partition(trigger)


def _without_partition(trigger: Trigger) -> list[str]:
    """Parameters that come from the partition of a run, though no run of the trigger has one."""
    assert trigger.composition is not None
    if isinstance(trigger.noun.source, SensorSource):
        return []
    return [
        f"{name}: it is the partition of the run, and runs of this trigger have none; give it here, or partition(default=...)"
        for name, default in trigger.composition.signature.defaults.items()
        if isinstance(default, FromCause) and default.required and name not in trigger.noun.parameters
    ]


def _misfit(template: Any, kind: Kind, known: Known) -> list[str]:
    """What cannot be right about a template for a parameter of a kind, as far as that is known."""
    if not isinstance(template, str):
        return [] if _has_places(template) else _read(template, kind)
    places = places_of(template)
    if not places:
        return _read(render(template, Cause()), kind)
    found = type_of(template, known)
    classes = _classes(kind)
    if all(each in _TAKES for each in classes) and not any(found in _TAKES[each] for each in classes):
        return [f"{template} is {'a moment' if found == 'moment' else found}, and it takes {kind.words}"]
    value = sample(template, known)
    faults = [] if value is None else _read(value, kind)
    if faults and found == "moment" and date in classes:
        return [f"{template} has a time of the day, and it takes {kind.words}; write {template[:-1]}:%Y-%m-%d}}"]
    return faults


def _classes(kind: Kind) -> tuple[Any, ...]:
    """The classes of the values of a kind, apart from None."""
    python = kind.python
    several: tuple[Any, ...] = cast("tuple[Any, ...]", python) if isinstance(python, tuple) else (python,)
    return tuple(each for each in several if each is not NoneType)


def _has_places(template: Any) -> bool:
    if isinstance(template, str):
        return bool(places_of(template))
    if isinstance(template, dict):
        return any(_has_places(each) for each in cast("dict[str, Any]", template).values())
    return isinstance(template, list) and any(_has_places(each) for each in cast("list[Any]", template))


def _read(value: Any, kind: Kind) -> list[str]:
    try:
        kind.read(value, Form.DATA)
    except Mismatch as mismatch:
        return [f"{path} {text}".strip() for path, text in mismatch.problems]
    return []
