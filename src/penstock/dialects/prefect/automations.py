"""Events that start deployments: triggers of deployments, and automations."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, cast

from penstock.authoring.triggers.events import any_of, count_of, event
from penstock.dialects.prefect.noting import check_known, not_covered
from penstock.model.occurrence import Condition

_OPTIONS = (
    "type", "name", "description", "enabled", "expect", "after", "match", "match_related", "for_each", "posture",
    "threshold", "within", "parameters", "job_variables", "schedule_after",
)  # fmt: skip
#: a place for a part of the event in a text
_PLACE = re.compile(r"\{\{\s*event\.(\w+)((?:\.\w+)*)\s*\}\}")
_FIELDS = {"payload": "data", "id": "id", "event": "type", "occurred": "at", "resource": "subject"}


class EventTrigger:
    """Events that a deployment is started by: those of a type in `expect`, about what `match` says."""

    def __init__(self, **options: Any) -> None:
        check_known("an event trigger", options, _OPTIONS)
        self._options = options
        for name, wanted in (
            ("posture", "Reactive"),
            ("after", None),
            ("match_related", None),
            ("schedule_after", None),
        ):
            given = options.get(name)
            if given and given != wanted and str(getattr(given, "value", given)) != wanted:
                raise not_covered(f"{name}={given!r} of an event trigger")
        self.enabled = options.get("enabled", True) is not False

    @classmethod
    def of(cls, given: Any) -> EventTrigger:
        """One, from itself or from a dict."""
        if isinstance(given, EventTrigger):
            return given
        if isinstance(given, Mapping):
            options = cast("Mapping[str, Any]", given)
            if options.get("type", "event") == "event":
                return cls(**options)
        raise not_covered(f"the trigger {given!r}", "Write DeploymentEventTrigger(expect={...}).")

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of the flow, with penstock's places for parts of the event."""
        return {
            name: _templated(each)
            for name, each in cast("dict[str, Any]", self._options.get("parameters") or {}).items()
        }

    def condition(self) -> Condition:
        """The same as a condition of penstock. Raises DefinitionError."""
        expected = self._options.get("expect") or {"*"}
        match = dict[str, Any](self._options.get("match") or {})
        subject = match.pop("prefect.resource.id", "*")
        subjects = cast("Sequence[str]", subject if isinstance(subject, (list, tuple)) else [subject])
        if match:
            raise not_covered(f"match={match!r} of an event trigger", 'Match "prefect.resource.id".')
        found = [event(kind, subject=each) for kind in sorted(expected) for each in subjects]
        condition: Condition = found[0] if len(found) == 1 else any_of(*found)
        threshold = self._options.get("threshold") or 1
        if threshold == 1:
            return condition
        within = self._options.get("within") or 0
        seconds = within.total_seconds() if isinstance(within, timedelta) else within
        return count_of(condition, threshold, within=seconds or None)


def _templated(value: Any) -> Any:
    """A value with penstock's places; Prefect may wrap a template in a dict."""
    if isinstance(value, Mapping):
        given = cast("Mapping[str, Any]", value)
        value = given["template"] if given.get("__prefect_kind") == "jinja" else dict(given)
    if not isinstance(value, str):
        return value
    found = _PLACE.sub(_place, value)
    if "{{" in found or "{%" in found:
        raise not_covered(f"the template {value!r}", 'Take parts of the event: "{{ event.payload.path }}".')
    return found


def _place(found: re.Match[str]) -> str:
    if found[1] not in _FIELDS:
        raise not_covered(f"the template {found[0]!r}", f"There are: {', '.join(_FIELDS)}.")
    return f"{{event.{_FIELDS[found[1]]}{'' if found[1] == 'resource' else found[2]}}}"


class DeploymentEventTrigger(EventTrigger):
    """Prefect's name for one that stands in a deployment."""


class RunDeployment:
    """What an automation does: start a deployment."""

    def __init__(self, **options: Any) -> None:
        raise not_covered("the action RunDeployment of an automation", "Give the deployment triggers=[...] itself.")


class Automation:
    """An automation of its own, which penstock has no place for: what starts a flow belongs to its deployment."""

    def __init__(self, **options: Any) -> None:
        name = options.get("name", "")
        raise not_covered(f"the automation {name!r}", "Give the deployment triggers=[DeploymentEventTrigger(...)].")


def emit_event(event: str, resource: Mapping[str, str], payload: Any = None, **_: Any) -> None:
    """Tell the world about an event, from a task."""
    import importlib

    # events of the user's own are a part of the public face, which stands above the dialects
    importlib.import_module("penstock").emit(event, payload, subject=resource.get("prefect.resource.id", ""))


__all__ = ["Automation", "DeploymentEventTrigger", "EventTrigger", "RunDeployment", "emit_event"]
