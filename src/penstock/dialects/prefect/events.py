"""`emit_event`: events of the user's own."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, cast

from penstock.dialects.prefect.context import run_id
from penstock.dialects.prefect.event_patterns import ANY_ROLE, HOLDER
from penstock.errors import DefinitionError

_ID, _ROLE = "prefect.resource.id", "prefect.resource.role"


def emit_event(
    event: str,
    resource: Mapping[str, str],
    occurred: datetime | None = None,
    related: Iterable[Any] | None = None,
    payload: Mapping[str, Any] | None = None,
    id: Any = None,
    follows: Any = None,
) -> None:
    """Tell the world about an event, from a task. Its subject is the id of the resource, its data the payload; other labels,
    related resources and the run stand under `prefect` in the data. What it `follows` makes no difference."""
    labels = _labels(resource)
    holder = {
        "labels": _nested({label: value for label, value in labels.items() if label != _ID}),
        "related": _by_role(related or ()),
        "run_id": run_id(),
    }
    kept = {name: each for name, each in holder.items() if each}
    data = dict(payload or {})
    if kept and HOLDER in data:
        raise DefinitionError(f"the payload of the event {event!r} has a key {HOLDER!r}, which penstock uses itself")
    # events of the user's own are a part of the public face, which stands above the dialects
    importlib.import_module("penstock").emit(
        event,
        {**data, HOLDER: kept} if kept else payload,
        subject=labels.get(_ID, ""),
        id=None if id is None else str(id),
        at=occurred,
    )


def _labels(resource: Any) -> dict[str, str]:
    return dict(cast("Mapping[str, str]", getattr(resource, "root", resource)))


def _by_role(related: Iterable[Any]) -> dict[str, Any]:
    """The labels of resources, with all their values, by their roles."""
    found: dict[str, dict[str, list[str]]] = {}
    for each in map(_labels, related):
        for role in dict.fromkeys((each.get(_ROLE, ANY_ROLE), ANY_ROLE)):
            for label, value in each.items():
                found.setdefault(role, {}).setdefault(label, []).append(value)
    return {role: _nested(labels) for role, labels in found.items()}


def _nested(labels: Mapping[str, Any]) -> dict[str, Any]:
    """Labels as a tree, by what is between their dots. Raises DefinitionError for a label that begins another one."""
    found: dict[str, Any] = {}
    for label, value in labels.items():
        *steps, last = label.split(".")
        place = found
        for step in steps:
            inner: Any = place.setdefault(step, {})
            if not isinstance(inner, dict):
                raise DefinitionError(f"the label {label!r} has one before it that it begins with")
            place = cast("dict[str, Any]", inner)
        place[last] = value
    return found


__all__ = ["emit_event"]
