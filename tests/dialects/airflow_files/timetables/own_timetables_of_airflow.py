"""Run by the Python of the real Airflow: prints what timetables that people write say there."""

from __future__ import annotations

import json
import sys

import own_timetables
import pendulum
from airflow.timetables.base import TimeRestriction


def told(kind, start, end, moments):
    found, rows, last = kind(), [], None
    limits = TimeRestriction(pendulum.parse(start), pendulum.parse(end), True)
    while (info := found.next_dagrun_info(last_automated_data_interval=last, restriction=limits)) is not None:
        last = info.data_interval
        rows.append([each.timestamp() for each in (info.run_after, last.start, last.end)])
    manual = [found.infer_manual_data_interval(run_after=pendulum.parse(each)) for each in moments]
    return {"rows": rows, "manual": [[each.start.timestamp(), each.end.timestamp()] for each in manual]}


given = json.loads(sys.stdin.read())
print("ANSWER" + json.dumps({kind.__name__: told(kind, **given) for kind in own_timetables.ALL}))
