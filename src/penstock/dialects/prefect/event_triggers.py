"""Prefect's triggers over events, as penstock's conditions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, cast

from penstock.authoring.source import caller
from penstock.authoring.triggers.events import any_of, count_of
from penstock.dialects.prefect.declared import Declared, choice
from penstock.dialects.prefect.event_patterns import Matching, is_of_runs, patterns_of
from penstock.dialects.prefect.noting import not_covered
from penstock.errors import DefinitionError
from penstock.model.graph import Ignored
from penstock.model.occurrence import Absence, AllOf, AnyOf, Condition, Count, EachSubject, InOrder, Pattern

if TYPE_CHECKING:
    from penstock.dialects.prefect.deployments import Deployment

#: what templates call the event that a trigger has fired for
EVENT = "event"
_ID = "prefect.resource.id"
#: labels that tell the flows of runs apart
_OF_FLOW = ("related:flow:prefect.resource.id", "related:flow:prefect.resource.name")
_FAILED = "prefect.flow-run.Failed"
#: ends of runs that are told as failures, and what to do about them alone
_WITHIN_FAILED = {
    "prefect.flow-run.Crashed": "A run whose process died is resumed by the daemon; write Failed for those that fail for good.",
    "prefect.flow-run.TimedOut": "A run that took too long has failed: write Failed.",
}
#: seconds
_SHORTEST = 10.0


class Posture(StrEnum):
    """Whether events are waited for, or missed."""

    Reactive = "Reactive"
    Proactive = "Proactive"
    Metric = "Metric"


class EventTrigger(Declared):
    """Events that come (or, of a proactive one, that do not): those of a type in `expect`, about what `match` says."""

    type: str = "event"
    match: Any = None
    match_related: Any = None
    after: Any = None
    expect: Any = None
    for_each: Any = None
    posture: Any = "Reactive"
    threshold: int = 1
    within: Any = None

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.posture = choice("posture of an event trigger", self.posture, ("Reactive", "Proactive"))
        self.match = _labels(self.match)
        related: Any = self.match_related
        self.match_related = [*map(_labels, related)] if isinstance(related, (list, tuple)) else _labels(related)  # pyright: ignore[reportUnknownArgumentType]
        self.after, self.expect, self.for_each = (
            _names(name, getattr(self, name)) for name in ("after", "expect", "for_each")
        )
        self.within = timedelta(seconds=_seconds(self.within))
        if self.posture == "Proactive" and not self.within:
            self.within = timedelta(seconds=_SHORTEST)
        if self.posture == "Proactive" and self.within.total_seconds() < _SHORTEST:
            raise DefinitionError("within= of a proactive trigger is at least 10 seconds", where=str(caller()))
        if type(self.threshold) is not int or self.threshold < 1:
            raise DefinitionError(f"threshold={self.threshold!r} is no number of events", where=str(caller()))

    def condition(self, deployments: Iterable[Deployment] = (), name: str = EVENT) -> Condition:
        """The same as a condition of penstock, whose event goes by a name. Raises NotCoveredError."""
        given: Any = self.match_related
        related = cast("list[dict[str, Any]]", given if isinstance(given, list) else [given])
        matching = Matching(self.match, [each for each in related if each], tuple(deployments), self.location)
        kinds = self._kinds(self.expect) or ["*"]
        expected = _one_of([each for kind in kinds for each in patterns_of(kind, matching, name)])
        seconds = self.within.total_seconds() or None
        if not self.after:
            if self.posture == "Proactive":
                raise self._refused("posture='Proactive' without after=", "Say after which event: after={...}.")
            if self.threshold == 1:
                return expected
            return self._apart(count_of(expected, self.threshold, within=seconds))
        if self.threshold != 1:
            raise self._refused(f"threshold={self.threshold} with after=", "Write threshold=1.")
        begins = name if self.posture == "Proactive" else f"{name}_before"
        first = _one_of([each for kind in self._kinds(self.after) for each in patterns_of(kind, matching, begins)])
        if self.posture == "Proactive":
            return self._apart(Absence(first, expected, self.within.total_seconds()))
        return self._apart(InOrder((first, expected), seconds))

    def _kinds(self, names: Sequence[str]) -> list[str]:
        """Names of events without those that are told with others here."""
        lost = next((each for each in _WITHIN_FAILED if each in names and _FAILED not in names), None)
        if lost is not None:
            raise self._refused(f"{lost!r} without {_FAILED!r}", _WITHIN_FAILED[lost])
        return [each for each in names if each not in _WITHIN_FAILED]

    def _apart(self, condition: Condition) -> Condition:
        """A condition for what `for_each` tells apart."""
        if not self.for_each:
            return condition
        runs = {is_of_runs(kind) for kind in (*self.expect, *self.after)}
        if runs == {True} and set(self.for_each) <= set(_OF_FLOW):
            return EachSubject(condition)
        if runs == {False} and self.for_each == [_ID]:
            return EachSubject(condition)
        remedy = f'Write for_each={{"{_ID}"}} for events of your own, and {{"{_OF_FLOW[0]}"}} for runs.'
        raise self._refused(f"for_each={set(self.for_each)!r}", remedy)

    def _refused(self, what: str, remedy: str) -> Exception:
        return not_covered(f"{what} of an event trigger", remedy, self.location)

    def notes(self, owner: str) -> list[Ignored]:
        """What of it has no effect."""
        found: list[Ignored] = []
        if self.within and self.threshold == 1 and not self.after:
            why = "each event counts, also within the time in which Prefect would wait"
            found.append(Ignored(f"{owner}: within={self.within.total_seconds():g} s", self.location, why))
        if self.for_each and self.threshold == 1 and not self.after:
            found.append(Ignored(f"{owner}: for_each={set(self.for_each)!r}", self.location, "each event counts"))
        for kind in (*self.expect, *self.after):
            if kind == "prefect.flow-run.Crashed":
                found.append(
                    Ignored(f"{owner}: {kind}", self.location, "a run whose process died is resumed, not ended")
                )
            elif kind == "prefect.flow-run.*":
                found.append(Ignored(f"{owner}: {kind}", self.location, "of a run, its end is told"))
        return found


class _Composite(Declared):
    """A trigger of several."""

    triggers: Any
    within: Any = None

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.triggers = [trigger_of(each) for each in cast("Sequence[Any]", self.triggers)]
        self.within = None if self.within is None else timedelta(seconds=_seconds(self.within))
        if not self.triggers:
            raise DefinitionError(f"{type(self).__name__} has no triggers", where=str(self.location))

    @property
    def _limit(self) -> float | None:
        return None if self.within is None else self.within.total_seconds()

    def notes(self, owner: str) -> list[Ignored]:
        return [note for each in self.triggers for note in each.notes(owner)]


class CompoundTrigger(_Composite):
    """One of several triggers, or all of them."""

    type: str = "compound"
    require: Any

    def condition(self, deployments: Iterable[Deployment] = (), name: str = EVENT) -> Condition:
        """The same as a condition of penstock. Raises NotCoveredError."""
        required: Any = {"any": 1, "all": len(self.triggers)}.get(self.require, self.require)
        deployments = tuple(deployments)
        if required == 1:
            return _one_of([each.condition(deployments, name) for each in self.triggers])
        if required == len(self.triggers):
            names = (f"{name}_{number}" for number in range(1, required + 1))
            parts = zip(self.triggers, names, strict=True)
            return AllOf(tuple(each.condition(deployments, own) for each, own in parts), self._limit)
        remedy = 'Write require="any" or require="all".'
        raise not_covered(f"require={self.require!r} of a compound trigger", remedy, self.location)


class SequenceTrigger(_Composite):
    """All of several triggers, in their order."""

    type: str = "sequence"

    def condition(self, deployments: Iterable[Deployment] = (), name: str = EVENT) -> Condition:
        """The same as a condition of penstock: the event is that of the last one. Raises NotCoveredError."""
        deployments = tuple(deployments)
        if len(self.triggers) == 1:
            return self.triggers[0].condition(deployments, name)
        names = [*(f"{name}_{number}" for number in range(1, len(self.triggers))), name]
        parts = zip(self.triggers, names, strict=True)
        return InOrder(tuple(each.condition(deployments, own) for each, own in parts), self._limit)


class MetricTrigger:
    """What Prefect's server counts over time."""

    def __init__(self, **options: Any) -> None:
        metric = options.get("metric")
        called = cast(Any, metric).get("name") if isinstance(metric, Mapping) else getattr(metric, "name", metric)
        raise not_covered(
            f"the trigger {type(self).__name__} (of {getattr(called, 'value', called)})",
            "Follow the ends of runs: EventTrigger(expect={'prefect.flow-run.Failed'}, threshold=3, within=...).",
        )


class MetricTriggerQuery(Declared):
    """What a metric trigger asks."""

    name: Any
    threshold: Any
    operator: Any
    range: Any = None
    firing_for: Any = None


class PrefectMetric(StrEnum):
    """What can be asked."""

    lateness = "lateness"
    duration = "duration"
    successes = "successes"


class MetricTriggerOperator(StrEnum):
    """How it is compared."""

    LT = "<"
    LTE = "<="
    GT = ">"
    GTE = ">="


# In deployments.


class _Deployed(Declared):
    """What stands in a deployment besides: what is done, which is to start it."""

    name: Any = None
    description: Any = ""
    enabled: Any = True
    parameters: Any = None
    job_variables: Any = None
    schedule_after: Any = None

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        if self.schedule_after and _seconds(self.schedule_after):
            raise not_covered(f"schedule_after={self.schedule_after!r} of an event trigger")

    def notes(self, owner: str) -> list[Ignored]:
        found: list[Ignored] = cast(Any, super()).notes(owner)
        if self.job_variables:
            why = "penstock runs the file as it stands, where its daemon is"
            found.append(Ignored(f"{owner}: job_variables of a trigger", self.location, why))
        return found


class DeploymentEventTrigger(_Deployed, EventTrigger):
    """An event trigger that stands in a deployment."""


class DeploymentCompoundTrigger(_Deployed, CompoundTrigger):
    """A compound trigger that stands in a deployment."""


class DeploymentSequenceTrigger(_Deployed, SequenceTrigger):
    """A sequence trigger that stands in a deployment."""


class DeploymentMetricTrigger(MetricTrigger):
    """A metric trigger that stands in a deployment."""


Trigger = EventTrigger | CompoundTrigger | SequenceTrigger
_KINDS: dict[str, Any] = {
    "event": EventTrigger,
    "compound": CompoundTrigger,
    "sequence": SequenceTrigger,
    "metric": MetricTrigger,
}
_DEPLOYED: dict[str, Any] = {
    "event": DeploymentEventTrigger,
    "compound": DeploymentCompoundTrigger,
    "sequence": DeploymentSequenceTrigger,
    "metric": DeploymentMetricTrigger,
}


def trigger_of(given: Any, *, deployed: bool = False) -> Trigger:
    """A trigger from itself or from a dict; `deployed` for one that stands in a deployment. Raises DefinitionError."""
    if isinstance(given, Trigger):
        return given
    if not isinstance(given, Mapping):
        raise not_covered(f"the trigger {given!r}", "Write EventTrigger(expect={...}).")
    options = dict(cast("Mapping[str, Any]", given))
    kind = options.pop("type", None) or _kind_of(options)
    known = _DEPLOYED if deployed else _KINDS
    if kind not in known:
        raise not_covered(f"the trigger of type {kind!r}", f"There are: {', '.join(_KINDS)}.")
    # a server gives each an id, which is of no use elsewhere
    options.pop("id", None)
    return known[kind](**options)


def _kind_of(options: Mapping[str, Any]) -> str:
    if str(getattr(options.get("posture"), "value", options.get("posture"))) == "Metric":
        return "metric"
    if "triggers" in options:
        return "compound" if "require" in options else "sequence"
    return "event"


def sure_names(condition: Condition) -> list[str]:
    """The names of the events that are there whenever a condition holds."""
    match condition:
        case Pattern():
            return [condition.name]
        case AllOf(conditions):
            return [name for each in conditions for name in sure_names(each)]
        case AnyOf(conditions):
            first, *others = map(sure_names, conditions)
            return [name for name in first if all(name in names for names in others)]
        case Count() | EachSubject():
            return sure_names(condition.condition)
        case Absence():
            return sure_names(condition.after)
        case _:
            return []


def _one_of(found: Sequence[Any]) -> Any:
    unique = list(dict.fromkeys(found)) if all(isinstance(each, Pattern) for each in found) else list(found)
    return unique[0] if len(unique) == 1 else any_of(*unique)


def _labels(given: Any) -> dict[str, Any]:
    if given is None:
        return {}
    found: Any = getattr(given, "root", given)
    if isinstance(found, Mapping):
        return dict(cast("Mapping[str, Any]", found))
    raise DefinitionError(f"{given!r} is no specification of resources", where=str(caller()), remedy="Write a dict.")


def _names(name: str, given: Any) -> list[str]:
    """Names of events, sorted, for those are sets."""
    if isinstance(given, str):
        raise DefinitionError(
            f"{name}={given!r} is no set of names", where=str(caller()), remedy=f'Write {{"{given}"}}.'
        )
    return sorted(given or ())


def _seconds(given: Any) -> float:
    if isinstance(given, timedelta):
        return given.total_seconds()
    if given is None:
        return 0.0
    try:
        return float(given)
    except (TypeError, ValueError):
        raise DefinitionError(f"{given!r} is no number of seconds", where=str(caller())) from None


class ResourceSpecification:
    """What resources are matched by: labels with their values."""

    def __init__(self, root: Any = None, /, **labels: Any) -> None:
        self.root: dict[str, Any] = dict(root or labels.pop("root", None) or labels)

    @classmethod
    def model_validate(cls, given: Any) -> ResourceSpecification:
        return cls(given)


__all__ = [
    "EVENT",
    "CompoundTrigger",
    "DeploymentCompoundTrigger",
    "DeploymentEventTrigger",
    "DeploymentMetricTrigger",
    "DeploymentSequenceTrigger",
    "EventTrigger",
    "MetricTrigger",
    "MetricTriggerOperator",
    "MetricTriggerQuery",
    "Posture",
    "PrefectMetric",
    "ResourceSpecification",
    "SequenceTrigger",
    "Trigger",
    "sure_names",
    "trigger_of",
]
