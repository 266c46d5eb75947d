"""What starts a DAG: its schedule, and how its runs stand to each other."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from penstock.dialects import Account
from penstock.dialects.code.formatting import Imports, length, literal, quoted
from penstock.model.graph import Graph
from penstock.model.schedule import Cron, Every, Timetable
from penstock.model.trigger import Trigger

#: from when on there are ticks, where nothing else is said
_START = datetime(2024, 1, 1, tzinfo=UTC)


def schedule_options(
    triggers: Sequence[Trigger], graph: Graph, imports: Imports, accounts: list[Account]
) -> dict[str, str]:
    """The arguments of `@dag` that say when it runs. Of triggers that a DAG does not know, there is an account."""
    options = {"schedule": "None"}
    zone, start = "UTC", None
    at_most = graph.policy.concurrency
    for trigger in triggers:
        text = _schedule(trigger, imports)
        if text is None or options["schedule"] != "None":
            accounts.append(Account("", "changed", f"what starts it by {trigger.name} is left out"))
            continue
        options["schedule"] = text
        timetable = trigger.source
        assert isinstance(timetable, Timetable)
        zone = timetable.schedule.zone if isinstance(timetable.schedule, Cron) else "UTC"
        start = timetable.start
        at_most = trigger.limits.at_most or at_most
        options["catchup"] = repr(trigger.limits.missed == "all")
        if trigger.tags:
            options["tags"] = literal(list(trigger.tags), imports)
        how = f"the schedule {trigger.name} is that of the DAG"
        if trigger.limits.missed == "latest":
            how += "; of the ticks that were missed, Airflow makes up for the latest"
        accounts.append(Account("", "equivalent", how))
    begins = _START if start is None else datetime.fromtimestamp(start, UTC)
    if zone != "UTC":
        begins = begins.astimezone(ZoneInfo(zone)) if start is not None else begins.replace(tzinfo=ZoneInfo(zone))
    options["start_date"] = literal(begins, imports)
    options.setdefault("catchup", "False")
    if at_most is not None:
        options["max_active_runs"] = repr(at_most)
    return options


def _schedule(trigger: Trigger, imports: Imports) -> str | None:
    timetable = trigger.source
    if (
        not isinstance(timetable, Timetable)
        or timetable.calendar is not None
        or trigger.condition
        or trigger.parameters
    ):
        return None
    match timetable.schedule:
        case Cron(expression):
            return quoted(expression) if len(expression.split()) <= 5 else None
        case Every(seconds):
            return length(seconds, imports)
        case _:
            return None


__all__ = ["schedule_options"]
