"""What tasks are told of their run, and when runs are due, beside the real Airflow."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from dateutil.relativedelta import relativedelta

from penstock.dialects.airflow import timetables
from penstock.dialects.airflow.schedules import schedule_of, seen_times
from penstock.model.place import Location
from penstock.registering.loading import load_pipeline
from penstock.triggers.timetables import ticks

pytestmark = pytest.mark.slow
FILES = Path(__file__).parent / "airflow_files"
#: times that clocks skip, and show twice
CHANGED = ("30 2 * * *", "15,45 1-2 * * *")
MANUAL = "2024-05-05T13:37:11+00:00"
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata")
CRONS = (
    "0 0 * * *",
    "15 * * * *",
    "*/15 * * * *",
    "0 9 * * 1-5",
    "0 0 1 * *",
    "0 12 * * 1",
    "0 */6 * * *",
    "0 0 29 2 *",
)


def cases() -> Iterator[dict[str, Any]]:
    start = {"start": "2024-03-01T00:00:00", "count": 60}
    late = {"start": "2024-03-01T05:00:00", "end": "2024-03-10T00:00:00", "count": 60}
    for zone in ZONES:
        for kind in ("trigger", "interval"):
            yield from ({"kind": kind, "cron": cron, "zone": zone, **start} for cron in CRONS)
            for begun in ("2024-03-05T00:00:00", "2024-10-20T00:00:00"):
                # where clocks are changed; of several times that they skip, Airflow's intervals leave some out
                crons = CHANGED if kind == "trigger" else CHANGED[:1]
                yield from ({"kind": kind, "cron": cron, "zone": zone, "start": begun, "count": 30} for cron in crons)
            yield {"kind": kind, "cron": "0 0 * * *", "zone": zone, **late}
            yield {"kind": kind, "cron": "0 0 * * *", "zone": zone, **late, "end": "2024-03-10T01:00:00"}
        yield {"kind": "trigger", "cron": "0 0 * * *", "zone": zone, **start, "interval": 86400}
        yield {"kind": "multiple", "crons": ["0 8 * * *", "30 17 * * 5"], "zone": zone, **start}
        for kind in ("delta_trigger", "delta_interval"):
            yield {"kind": kind, "delta": 5400, "zone": zone, **late}
            yield {"kind": kind, "months": 1, "zone": zone, **start, "start": "2024-03-05T00:10:00"}


def ours(case: dict[str, Any]) -> dict[str, Any]:
    zone = ZoneInfo(case["zone"])
    start, end = (
        datetime.fromisoformat(case[each]).replace(tzinfo=zone) if each in case else None for each in ("start", "end")
    )
    delta: Any = timedelta(seconds=case["delta"]) if "delta" in case else relativedelta(months=case.get("months", 1))
    made: dict[str, Callable[[], Any]] = {
        "trigger": lambda: timetables.CronTriggerTimetable(
            case["cron"], timezone=case["zone"], interval=timedelta(seconds=case.get("interval", 0))
        ),
        "interval": lambda: timetables.CronDataIntervalTimetable(case["cron"], case["zone"]),
        "multiple": lambda: timetables.MultipleCronTriggerTimetable(*case["crons"], timezone=case["zone"]),
        "delta_trigger": lambda: timetables.DeltaTriggerTimetable(delta),
        "delta_interval": lambda: timetables.DeltaDataIntervalTimetable(delta),
    }
    timetable = made[case["kind"]]()
    dag: Any = SimpleNamespace(
        dag_id="d",
        schedule=timetable,
        schedule_omitted=False,
        start_date=start,
        end_date=end,
        catchup=True,
        location=Location(__file__, 1),
    )
    schedule = schedule_of(dag, timetable)
    assert schedule is not None
    rows: list[list[float]] = []
    for tick in islice(ticks(schedule.timetable, "d", 0.0), case["count"]):
        times = seen_times(dag, *(datetime.fromtimestamp(at, UTC) for at in (tick.logical_time, *tick.interval)))
        rows.append([tick.at, *(each.timestamp() for each in times if each is not None)])
    at = datetime.fromisoformat(MANUAL)
    _, first, last = seen_times(dag, at, at, at)
    assert first is not None and last is not None
    return {"rows": rows, "manual": [first.timestamp(), last.timestamp()]}


def test_runs_are_due_and_about_the_times_that_airflow_gives(peer: Callable[[str], Path], tmp_path: Path) -> None:
    wanted = [{**case, "manual": MANUAL} for case in cases()]
    done = subprocess.run(
        [peer("airflow"), FILES / "ticks_of_airflow.py"],
        input=json.dumps(wanted),
        capture_output=True,
        text=True,
        env={**os.environ, "AIRFLOW_HOME": str(tmp_path)},
        check=True,
    )
    real = json.loads(done.stdout.partition("ANSWER")[2])
    different = [case for case, told in zip(wanted, real, strict=True) if ours(case) != told]
    assert different == []
    assert sum(len(each["rows"]) for each in real) > 3000


def test_the_context_and_what_templates_make_of_it(
    peer: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("context_of_a_task.py", "text.tpl"):
        shutil.copy(FILES / name, tmp_path / name)
    (tmp_path / "penstock.toml").write_text("")
    monkeypatch.setenv("CTX_OUT", str(tmp_path / "ours"))
    pipeline = load_pipeline("context_of_a_task.py").options(executor="inline", progress=False, cache=False)
    assert pipeline.at(logical_time="2024-05-05T10:30:00+00:00").run(n=7, conf={"more": "m"}).state == "succeeded"
    settings = {"AIRFLOW_HOME": str(tmp_path / "home"), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    environment = {
        **os.environ,
        **settings,
        "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path),
        "CTX_OUT": str(tmp_path / "real"),
    }
    python = peer("airflow")
    for command in ([python.parent / "airflow", "db", "migrate"], [python, "context_of_a_task.py"]):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
    for task in ("look", "show", "pull"):
        found, real = (json.loads((tmp_path / f"{who}-{task}.json").read_text()) for who in ("ours", "real"))
        assert found == real, task
