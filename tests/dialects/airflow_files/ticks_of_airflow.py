"""Run by the Python of the real Airflow: prints what its timetables say of some cases."""

from __future__ import annotations

import json
import sys
from datetime import timedelta

import pendulum
from airflow.timetables.base import TimeRestriction
from airflow.timetables.interval import CronDataIntervalTimetable, DeltaDataIntervalTimetable
from airflow.timetables.trigger import CronTriggerTimetable, DeltaTriggerTimetable, MultipleCronTriggerTimetable
from dateutil.relativedelta import relativedelta


def timetable(case):
    zone = case["zone"]
    delta = timedelta(seconds=case["delta"]) if "delta" in case else relativedelta(months=case.get("months", 1))
    return {
        "trigger": lambda: CronTriggerTimetable(
            case["cron"], timezone=zone, interval=timedelta(seconds=case.get("interval", 0))
        ),
        "interval": lambda: CronDataIntervalTimetable(case["cron"], zone),
        "multiple": lambda: MultipleCronTriggerTimetable(*case["crons"], timezone=zone),
        "delta_trigger": lambda: DeltaTriggerTimetable(delta),
        "delta_interval": lambda: DeltaDataIntervalTimetable(delta),
    }[case["kind"]]()


def told(case):
    start, end = (pendulum.parse(case[name], tz=case["zone"]) if name in case else None for name in ("start", "end"))
    found, rows, last = timetable(case), [], None
    limits = TimeRestriction(start.in_timezone("UTC"), None if end is None else end.in_timezone("UTC"), True)
    for _ in range(case["count"]):
        info = found.next_dagrun_info(last_automated_data_interval=last, restriction=limits)
        if info is None:
            break
        last = info.data_interval
        rows.append([each.timestamp() for each in (info.run_after, info.logical_date, last.start, last.end)])
    manual = found.infer_manual_data_interval(run_after=pendulum.parse(case["manual"]))
    return {"rows": rows, "manual": [manual.start.timestamp(), manual.end.timestamp()]}


print("ANSWER" + json.dumps([told(case) for case in json.loads(sys.stdin.read())]))
