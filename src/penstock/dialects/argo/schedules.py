"""Workflows that the clock starts."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from penstock.dialects import Account
from penstock.dialects.portable.forms import form_of
from penstock.errors import DefinitionError
from penstock.model.graph import Graph, ParameterPort
from penstock.model.schedule import Cron, Every, Schedule, Timetable, Together
from penstock.model.trigger import Trigger

#: what Argo's clock reads: five fields of numbers, names, ranges and steps, or a word
_FIELD = r"[0-9A-KM-Za-km-z*/,?-]+"
_PLAIN = re.compile(rf"{_FIELD}(?: +{_FIELD}){{4}}|@(?:yearly|annually|monthly|weekly|daily|midnight|hourly)")
#: seconds
_HOUR, _DAY = 3600, 86400
#: characters of the name of a CronWorkflow
LONGEST = 52


class Scheduled(NamedTuple):
    """A trigger, and the cron expressions that say the same as its schedule."""

    trigger: Trigger
    crons: tuple[Cron, ...]


def scheduled(
    graph: Graph, spec: dict[str, Any], name: str, triggers: tuple[Trigger, ...]
) -> tuple[dict[str, Any] | None, list[Account]]:
    """The specification of a CronWorkflow, or None where no trigger can be one.

    Raises DefinitionError where the triggers cannot be those of one CronWorkflow.
    """
    accounts: list[Account] = []
    found: list[Scheduled] = []
    for trigger in triggers:
        crons = _crons(trigger)
        if crons:
            found.append(Scheduled(trigger, crons))
        else:
            accounts.append(
                Account("", "changed", f"the trigger {trigger.name!r} is left out: no cron expression says the same")
            )
    if not found:
        return None, accounts
    first = found[0].trigger
    zone = _zone(graph, name, found)
    policy, synchronization = _overlap(first, name)
    given = _with_parameters(graph, spec, first)
    if synchronization and "synchronization" not in given:
        given = {**given, "synchronization": synchronization}
    cron: dict[str, Any] = {
        "schedules": list(dict.fromkeys(_as_read(each.expression) for one in found for each in one.crons)),
        "timezone": zone,
        "concurrencyPolicy": policy,
    }
    if first.limits.missed != "none":
        cron["startingDeadlineSeconds"] = _DAY
    if not all(each.trigger.enabled for each in found):
        cron["suspend"] = True
    told = [each for one in found for each in _lost(one.trigger)]
    accounts += [Account("", "changed", each) for each in dict.fromkeys(told)]
    accounts.append(Account("", "equivalent", "the schedule is a CronWorkflow"))
    return {**cron, "workflowSpec": given}, accounts


def _zone(graph: Graph, name: str, found: list[Scheduled]) -> str:
    """The time zone of all schedules. Raises DefinitionError where they cannot be those of one CronWorkflow."""
    first = found[0].trigger
    zones = {cron.zone for each in found for cron in each.crons}
    if len(zones) > 1:
        raise DefinitionError(
            f"{graph.name!r} cannot be written for Argo Workflows: its schedules are in several time zones",
            remedy="Write them in one time zone.",
        )
    if any((each.trigger.parameters, each.trigger.limits) != (first.parameters, first.limits) for each in found):
        raise DefinitionError(
            f"{graph.name!r} cannot be written for Argo Workflows: its schedules give different parameters or limits",
            remedy="Give them the same, or export one of them at a time.",
        )
    if len(name) > LONGEST:
        raise DefinitionError(
            f"{graph.name!r} cannot be written for Argo Workflows: the name of a CronWorkflow has up to {LONGEST} characters",
            remedy="Give the pipeline a shorter name.",
        )
    return zones.pop()


def _crons(trigger: Trigger) -> tuple[Cron, ...]:
    """The cron expressions of a trigger, as Argo reads them; none where they do not say all of it."""
    timetable = trigger.source
    if not isinstance(timetable, Timetable) or timetable.calendar is not None:
        return ()
    if timetable.start is not None or timetable.end is not None:
        return ()
    schedule = timetable.schedule
    parts: tuple[Schedule, ...] = schedule.schedules if isinstance(schedule, Together) else (schedule,)
    found = [_cron(each) for each in parts]
    return tuple(each for each in found if each is not None) if all(found) else ()


def _cron(schedule: Schedule) -> Cron | None:
    match schedule:
        case Cron(expression) if _PLAIN.fullmatch(expression.strip()) and _as_read(expression):
            return schedule
        case Every(seconds, anchor) if seconds and not anchor % seconds and not seconds % 60:
            if not _HOUR % seconds:
                return Cron(f"*/{int(seconds // 60)} * * * *" if seconds < _HOUR else "0 * * * *")
            if not seconds % _HOUR and not _DAY % seconds:
                return Cron(f"0 */{int(seconds // _HOUR)} * * *" if seconds < _DAY else "0 0 * * *")
            return None
        case _:
            return None


def _as_read(expression: str) -> str:
    """A cron expression with 0 for a Sunday that is 7, which Argo does not know; empty where it is a part of a range."""
    fields = expression.split()
    if len(fields) != 5 or "7" not in fields[4]:
        return " ".join(fields)
    days = ["0" if day == "7" else day for day in fields[4].split(",")]
    if any("7" in re.split(r"[-/]", day) for day in days):
        return ""
    return " ".join([*fields[:4], ",".join(dict.fromkeys(days))])


def _overlap(trigger: Trigger, name: str) -> tuple[str, dict[str, Any]]:
    """What becomes of a run that is due while others are under way, and the lock by which it waits for them."""
    limits = trigger.limits
    if limits.at_most is None:
        return "Allow", {}
    if limits.overlap == "queue":
        return "Allow", {"mutexes": [{"name": name}]} if limits.at_most == 1 else {}
    return ("Replace" if limits.overlap == "cancel" else "Forbid"), {}


def _lost(trigger: Trigger) -> list[str]:
    """What of a trigger a CronWorkflow does not do in the same way."""
    limits, timetable = trigger.limits, trigger.source
    assert isinstance(timetable, Timetable)
    told = {
        "of the times that were missed, only the last of the last day is made up for": limits.missed == "all",
        "one run at a time is under way, not several": limits.at_most not in (None, 1) and limits.overlap != "queue",
        "how many runs are under way is not limited": limits.at_most not in (None, 1) and limits.overlap == "queue",
        "a run does not wait for the one before it to succeed": limits.after_success,
        "runs start on time, with no chance in it": bool(timetable.jitter),
        "nobody is asked before a run starts": bool(trigger.condition),
        "the priority of its runs is left out": bool(trigger.priority),
    }
    return [what for what, holds in told.items() if holds]


def _with_parameters(graph: Graph, spec: dict[str, Any], trigger: Trigger) -> dict[str, Any]:
    """The specification with the values that a trigger gives."""
    if not trigger.parameters:
        return spec
    values = {
        port.name: as_text(port, _plain(graph, trigger, port.name, trigger.parameters[port.name]))
        for port in graph.parameters
        if port.name in trigger.parameters
    }
    listed = [
        {**each, "value": values[each["name"]]} if each["name"] in values else each
        for each in spec.get("arguments", {}).get("parameters", [])
    ]
    return {**spec, "arguments": {"parameters": listed}}


def _plain(graph: Graph, trigger: Trigger, name: str, value: Any) -> Any:
    """A value that has nothing in it that is filled in when a run starts."""
    match value:
        case str() if re.search(r"[{}]", value.replace("{{", "").replace("}}", "")):
            raise DefinitionError(
                f"{graph.name!r} cannot be written for Argo Workflows: the trigger {trigger.name!r} gives {name!r} {value!r}, "
                "which is filled in when a run starts",
                where=None if trigger.location is None else str(trigger.location),
                remedy="Give it a value, or let a task ask for the time.",
            )
        case str():
            return value.replace("{{", "{").replace("}}", "}")
        case list():
            return [_plain(graph, trigger, name, each) for each in value]  # pyright: ignore[reportUnknownVariableType]
        case dict():
            return {key: _plain(graph, trigger, name, each) for key, each in value.items()}  # pyright: ignore[reportUnknownVariableType]
        case _:
            return value


def as_text(port: ParameterPort, value: Any) -> str:
    """A value of a parameter as workflows are given it: text as it is where it is one, and JSON otherwise.

    Raises TypeError where JSON does not hold it.
    """
    return value if isinstance(value, str) and form_of(port.type) == "str" else json.dumps(value)


__all__ = ["LONGEST", "as_text", "scheduled"]
