"""Which of penstock's events an event of Prefect's is, and what its resources have to be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import product
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast
from uuid import UUID

from penstock.dialects.prefect.noting import not_covered
from penstock.dialects.prefect.options import node_name
from penstock.model.occurrence import OWN_SOURCE, Pattern, Where
from penstock.model.place import Location

if TYPE_CHECKING:
    from penstock.dialects.prefect.deployments import Deployment

_RUN = "prefect.flow-run."
_ID, _NAME, _ROLE = "prefect.resource.id", "prefect.resource.name", "prefect.resource.role"
#: the state that a run of Prefect's ends in -> that of penstock's
_ENDS = {"Completed": "succeeded", "Failed": "failed", "Cancelled": "cancelled", "*": "*"}
#: what tasks tell of Prefect's own events, and not the engine
_TOLD = ("prefect.asset.",)
#: where the data of an event of the user's own holds what Prefect has beside the payload
HOLDER = "prefect"
ANY_ROLE = "any"
#: the tag of runs of what automations do, whose ends are no events for any of them
AUTOMATION = "automation"
_NOT_OWN = Where(("tags",), "not matches", AUTOMATION)


class Matching(NamedTuple):
    """What the resources of events have to be."""

    labels: Mapping[str, Any]
    related: Sequence[Mapping[str, Any]]
    deployments: tuple[Deployment, ...]
    #: of the trigger
    location: Location


class _Case(NamedTuple):
    """One of the ways in which an event fits."""

    subject: str = "*"
    where: tuple[Where, ...] = ()


def is_of_runs(kind: str) -> bool:
    """Whether an event is one of a run's."""
    return kind.startswith(_RUN)


def patterns_of(kind: str, matching: Matching, name: str) -> list[Pattern]:
    """The events of a type of Prefect's, which are any of some patterns, under a name. Raises NotCoveredError."""
    if not is_of_runs(kind):
        server = kind.startswith("prefect") and not kind.startswith(_TOLD)
        if server or (kind != "*" and fnmatchcase(_RUN, kind)):
            remedy = f"Of Prefect's own events there are: {', '.join(_RUN + each for each in _ENDS)}."
            raise not_covered(f"the event {kind!r}", remedy, matching.location)
        return [Pattern(kind, "*", each.subject, each.where, None, name) for each in _cases_of_own(matching)]
    state = _state_of(kind, matching)
    return [
        Pattern(f"run.{state}", f"{OWN_SOURCE}/run/*", each.subject, (*each.where, _NOT_OWN), None, name)
        for each in _cases_of_runs(matching)
    ]


def _state_of(kind: str, matching: Matching) -> str:
    state = kind.removeprefix(_RUN)
    if state not in _ENDS:
        remedy = f"Of runs, the ends are told: {', '.join(_RUN + each for each in _ENDS)}."
        raise not_covered(f"the event {kind!r}", remedy, matching.location)
    return _ENDS[state]


# Events of the user's own.


def _cases_of_own(matching: Matching) -> Iterable[_Case]:
    subjects = ["*"]
    conditions: list[Sequence[Where]] = []
    for label, value in matching.labels.items():
        values = _values(value)
        if label != _ID:
            conditions.append([_where(("labels", *label.split(".")), each, label, matching) for each in values])
            continue
        if any(each.startswith("!") for each in values):
            raise not_covered(
                f"match={{{label!r}: {value!r}}}", "Say what it is, not what it is not.", matching.location
            )
        subjects = values
    for each in matching.related:
        conditions.append(_related(each, matching))
    return [_Case(subject, where) for subject in subjects for where in product(*conditions)]


def _related(labels: Mapping[str, Any], matching: Matching) -> list[Where]:
    """Conditions on one of the resources that an event is about besides, of which one has to hold."""
    others = {label: value for label, value in labels.items() if label != _ROLE}
    roles = _values(labels.get(_ROLE, ANY_ROLE))
    if len(others) > 1 or any(set(each) & set("*?[!") for each in roles):
        remedy = f'Name one label, with "{_ROLE}" beside it where that matters.'
        raise not_covered(f"match_related={dict(labels)!r} of an event trigger", remedy, matching.location)
    if not others:
        return [Where((HOLDER, "related", role), "exists", True) for role in roles]
    ((label, value),) = others.items()
    return [
        _where(("related", role, *label.split(".")), each, label, matching) for role in roles for each in _values(value)
    ]


def _where(path: tuple[str, ...], value: str, label: str, matching: Matching) -> Where:
    operator: Literal["!=", "matches"] = "matches"
    if value.startswith("!"):
        operator, value = "!=", value[1:]
        if set(value) & set("*?[") or path[0] == "related":
            raise not_covered(
                f"match={{{label!r}: '!{value}'}}", "Say what it is, not what it is not.", matching.location
            )
    return Where((HOLDER, *path), operator, value)


# Ends of runs.


def _cases_of_runs(matching: Matching) -> list[_Case]:
    for label, value in matching.labels.items():
        if label != _ID or not set(_values(value)) & {"*", f"{_RUN}*"}:
            remedy = f'Leave it out, or say which flow: match_related={{"{_NAME}": "my-flow", "{_ROLE}": "flow"}}.'
            raise not_covered(f"match={{{label!r}: {value!r}}} for runs", remedy, matching.location)
    found: list[_Case] = []
    for cases in product(*(_cases_of_related(each, matching) for each in matching.related)):
        subjects = {each.subject for each in cases if each.subject != "*"}
        if len(subjects) < 2:
            found.append(_Case(next(iter(subjects), "*"), tuple(where for each in cases for where in each.where)))
    if not found:
        raise not_covered("match_related= that no run can meet", "", matching.location)
    return found


def _cases_of_related(labels: Mapping[str, Any], matching: Matching) -> list[_Case]:
    roles = _values(labels.get(_ROLE, ""))
    if _ID in labels and len(set(labels) - {_ROLE}) == 1:
        found = [_case_of_id(each, matching) for each in _values(labels[_ID])]
        if all(found):
            return cast("list[_Case]", found)
    elif set(labels) == {_NAME, _ROLE} and roles == ["flow"]:
        return [_Case(node_name(each) if not set(each) & set("*?[") else each) for each in _values(labels[_NAME])]
    elif set(labels) == {_NAME, _ROLE} and roles == ["deployment"]:
        wanted = _values(labels[_NAME])
        chosen = [each for each in matching.deployments if each.name in wanted]
        if chosen and len({each.name for each in chosen}) == len(wanted):
            return [_of_deployment(each, matching) for each in chosen]
    remedy = f'There are flows by name ({{"{_NAME}": "my-flow", "{_ROLE}": "flow"}}), tags ("prefect.tag.nightly") and this file\'s deployments.'
    raise not_covered(f"match_related={dict(labels)!r} for runs", remedy, matching.location)


def _case_of_id(value: str, matching: Matching) -> _Case | None:
    if value in ("*", "prefect.flow.*"):
        return _Case()
    if value.startswith("prefect.tag."):
        return _Case(where=(Where(("tags",), "matches", value.removeprefix("prefect.tag.")),))
    if value.startswith("prefect.deployment."):
        text = value.removeprefix("prefect.deployment.")
        found = next((each for each in matching.deployments if _is(each.id, text)), None)
        return None if found is None else _of_deployment(found, matching)
    return None


def _is(id: UUID, text: str) -> bool:
    try:
        return UUID(text) == id
    except ValueError:
        return False


def _of_deployment(deployment: Deployment, matching: Matching) -> _Case:
    """The runs of a deployment: those of its flow, where that has no other one."""
    others = {each.name for each in matching.deployments if each.flow is deployment.flow} - {deployment.name}
    if others:
        raise not_covered(
            f"events of the runs of the deployment {deployment.name!r}, whose flow has others ({', '.join(sorted(others))}),",
            f'Match a tag of it: {{"{_ID}": "prefect.tag.NAME"}}.',
            matching.location,
        )
    return _Case(deployment.flow.name)


def _values(given: Any) -> list[str]:
    return [str(each) for each in cast("Sequence[Any]", given)] if isinstance(given, (list, tuple)) else [str(given)]


__all__ = ["ANY_ROLE", "AUTOMATION", "HOLDER", "Matching", "is_of_runs", "patterns_of"]
