"""What a file does when it is run: it runs the flow, or serves it on its schedule."""

from __future__ import annotations

from collections.abc import Sequence

from penstock.dialects import Account
from penstock.dialects.code.formatting import Imports, block, call, keywords, literal, number, quoted
from penstock.model.graph import Graph
from penstock.model.schedule import Cron, Every, Recurrence, Timetable
from penstock.model.trigger import Trigger

_MAIN = 'if __name__ == "__main__":'


def main_lines(
    name: str, graph: Graph, triggers: Sequence[Trigger], imports: Imports, accounts: list[Account]
) -> list[str]:
    """The lines at the end of the file. Of triggers that Prefect cannot serve, there is an account."""
    served: list[str] = []
    for trigger in triggers:
        how = _schedule(trigger, imports)
        if how is None:
            what = f"what starts it by {trigger.name} is left out; make an automation of it"
            accounts.append(Account("", "changed", what))
            continue
        given = {"name": quoted(trigger.name or graph.name), **how}
        if trigger.parameters:
            given["parameters"] = literal(trigger.parameters, imports)
        if trigger.limits.at_most is not None:
            given["limit"] = repr(trigger.limits.at_most)
        accounts.append(Account("", "equivalent", f"the schedule {trigger.name} is served by the file itself"))
        served.append(call(f"{name}.serve", keywords(given)))
    if len(served) == 1:
        return [_MAIN, *block(served)]
    if served:
        deployments = [each.replace(".serve(", ".to_deployment(", 1) for each in served]
        return [_MAIN, *block([call(imports.name("prefect", "serve"), deployments)])]
    return [] if any(port.required for port in graph.parameters) else [_MAIN, *block([f"{name}()"])]


def _schedule(trigger: Trigger, imports: Imports) -> dict[str, str] | None:
    """How a schedule is said to `serve`; None for one that it does not know."""
    timetable = trigger.source
    if not isinstance(timetable, Timetable) or timetable.calendar is not None or trigger.condition:
        return None
    match timetable.schedule:
        case Cron(expression, "UTC"):
            return {"cron": quoted(expression)}
        case Cron(expression, zone):
            given = [quoted(expression), f"timezone={quoted(zone)}"]
            return {"schedule": call(imports.name("prefect.schedules", "Cron"), given)}
        case Every(seconds):
            return {"interval": number(seconds)}
        case Recurrence(rule, start, "UTC"):
            stamp = start.replace("-", "").replace(":", "")
            return {"rrule": quoted(f"DTSTART:{stamp}\nRRULE:{rule}")}
        case _:
            return None


__all__ = ["main_lines"]
