from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from penstock.errors import DefinitionError, ParameterError
from penstock.registering.loading import load_module, load_pipeline, reading_of
from penstock.triggers.timetables import ticks

HEAD = """
from datetime import datetime, timedelta
from airflow import DAG
from airflow.operators.empty import EmptyOperator

def dag(name, **options):
    with DAG(name, **{"start_date": datetime(2024, 3, 1), **options}):
        EmptyOperator(task_id="nothing")
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "penstock.toml").write_text("")
    return tmp_path


def read(text: str, name: str = "dags.py", head: str = HEAD) -> dict[str, Any]:
    Path(name).write_text(head + dedent(text))
    reading = reading_of(load_module(name))
    assert reading is not None
    return dict(reading.triggers)


def first(trigger: Any, count: int = 2) -> list[tuple[str, str]]:
    found = islice(ticks(trigger.noun.source, "t", 0.0), count)
    return [(moment(each.at), moment(each.logical_time)) for each in found]


def moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%m-%d %H:%M")


def test_a_cron_expression_of_airflow_2_is_about_the_interval_before() -> None:
    found = read(
        """
        dag("daily", schedule_interval="@daily", max_active_runs=3, tags=["a"], description="what it does")
        dag("none", schedule=None)
        dag("late", schedule="30 6 * * *", catchup=False, is_paused_upon_creation=True)
        """
    )
    assert set(found) == {"daily", "late"}
    assert first(found["daily"]) == [("03-02 00:00", "03-01 00:00"), ("03-03 00:00", "03-02 00:00")]
    noun = found["daily"].noun
    assert (noun.limits.missed, noun.limits.at_most, noun.tags, noun.description) == ("all", 3, ("a",), "what it does")
    assert noun.location.file == "dags.py"
    assert first(found["late"], 1) == [("03-02 06:30", "03-01 06:30")]
    assert (found["late"].noun.limits.missed, found["late"].noun.enabled) == ("latest", False)


def test_a_cron_expression_of_airflow_3_is_about_its_tick() -> None:
    found = read(
        """
        dag("daily", schedule="@daily", end_date=datetime(2024, 3, 3))
        dag("delta", schedule=timedelta(hours=36))
        """,
        head=HEAD.replace("from airflow import DAG", "from airflow.sdk import DAG"),
    )
    assert first(found["daily"], 9) == [(day, day) for day in ("03-01 00:00", "03-02 00:00", "03-03 00:00")]
    assert found["daily"].noun.limits.missed == "latest"
    assert first(found["delta"]) == [("03-01 00:00", "03-01 00:00"), ("03-02 12:00", "03-02 12:00")]


def test_timetables() -> None:
    found = read(
        """
        from dateutil.relativedelta import relativedelta
        from airflow.timetables.trigger import CronTriggerTimetable, MultipleCronTriggerTimetable
        from airflow.timetables.events import EventsTimetable
        import pendulum
        dag("trigger", timetable=CronTriggerTimetable("0 6 * * *", timezone="Europe/Berlin"))
        dag("several", schedule=MultipleCronTriggerTimetable("0 6 * * *", "0 7 * * *", timezone="UTC"))
        dag("events", schedule=EventsTimetable([datetime(2024, 4, 2), datetime(2024, 2, 1), datetime(2024, 4, 1)]))
        dag("months", schedule=relativedelta(months=1))
        dag("once", schedule="@once")
        dag("zone", schedule="0 0 * * *", start_date=pendulum.datetime(2024, 3, 1, tz="Asia/Tokyo"))
        """
    )
    assert first(found["trigger"], 1) == [("03-01 05:00", "03-01 05:00")]
    assert [at for at, _ in first(found["several"], 3)] == ["03-01 06:00", "03-01 07:00", "03-02 06:00"]
    assert [at for at, _ in first(found["events"], 3)] == ["04-01 00:00", "04-02 00:00"]
    assert first(found["months"]) == [("04-01 00:00", "03-01 00:00"), ("05-01 00:00", "04-01 00:00")]
    assert first(found["once"], 2) == [("03-01 00:00", "03-01 00:00")]
    assert first(found["zone"], 1) == [("03-01 15:00", "02-29 15:00")]


def test_what_no_schedule_says_is_asked_of_the_timetable() -> None:
    found = read(
        """
        from dateutil.relativedelta import relativedelta
        dag("several", schedule=relativedelta(months=1, days=2), end_date=datetime(2024, 6, 1))
        dag("last", schedule=relativedelta(months=1), start_date=datetime(2024, 1, 31), end_date=datetime(2024, 4, 1))
        """
    )
    due = {
        name: [each.key[:10] for each in trigger.evaluate({"since": 0.0}).requests] for name, trigger in found.items()
    }
    # as in Airflow, one that has lost its day does not find it again
    assert due == {
        "several": ["2024-04-03", "2024-05-05", "2024-06-07"],
        "last": ["2024-02-29", "2024-03-29", "2024-04-29"],
    }


def test_what_is_no_schedule_is_refused() -> None:
    with pytest.raises(DefinitionError, match="the schedule 5, which is none"):
        read('dag("five", schedule=5)', "third.py")


def test_a_continuous_dag_starts_itself_again() -> None:
    found = read('dag("on", schedule="@continuous", max_active_runs=1)')
    [started] = found["on"].test({"type": "run.failed", "source": "penstock/run/x", "subject": "on", "data": {}})
    assert started.pipeline == "on"
    assert found["on"].noun.limits.at_most == 1
    assert any("@continuous" in each.what for each in load_pipeline("dags.py:on").ignored)


ASSETS = """
from airflow.sdk import Asset, DAG, task, asset
from airflow.timetables.datasets import DatasetOrTimeSchedule
from airflow.timetables.trigger import CronTriggerTimetable
from datetime import datetime

one, two, three = Asset("one", uri="s3://b/one"), Asset("two"), Asset.ref(name="three")

def dag(name, schedule):
    with DAG(name, schedule=schedule, start_date=datetime(2024, 3, 1)):
        @task
        def told(triggering_asset_events):
            return sorted((key.uri, event.extra["n"]) for key, all in triggering_asset_events.items() for event in all)
        told()

dag("all", [one, two])
dag("any", one | three)
dag("both", (one & two) | three)
dag("timed", DatasetOrTimeSchedule(timetable=CronTriggerTimetable("0 1 * * *", timezone="UTC"), datasets=[one]))

@asset(schedule=two)
def made(self, context):
    return self.uri
"""


def update(uri: str, name: str, n: int) -> dict[str, Any]:
    return {
        "type": "airflow.asset.updated",
        "source": "airflow/x",
        "data": {"uri": uri, "name": name, "extra": {"n": n}},
    }


def test_assets_start_dags() -> None:
    found = read("", head=ASSETS)
    one, two, three = update("s3://b/one", "one", 1), update("two", "two", 2), update("s3://b/three", "three", 3)
    assert set(found) == {"all", "any", "both", "timed", "timed-clock", "made"}
    assert found["all"].test([one]) == []
    [firing] = found["all"].test([one, update("s3://b/other", "other", 0), two])
    run = load_pipeline("dags.py:all").options(executor="inline", progress=False).run(**firing.parameters)
    assert run.result["told"] == [("s3://b/one", 1), ("two", 2)]
    assert [len(found["any"].test(each)) for each in (one, two, three)] == [1, 0, 1]
    assert next(iter(found["any"].test(three)[0].parameters["triggering_asset_events"].values()))["name"] == "three"
    assert [len(found["both"].test(each)) for each in ([one], [one, two], [three])] == [0, 1, 1]
    assert len(found["timed"].test(one)) == 1
    assert first(found["timed-clock"], 1) == [("03-01 01:00", "03-01 01:00")]
    assert load_pipeline("dags.py:made").options(executor="inline", progress=False).run().result["made"] == "made"


def test_params_are_typed_and_held_to_their_schema() -> None:
    read(
        """
        from airflow.models.param import Param
        from airflow.operators.python import PythonOperator

        def told(params, dag_run):
            return [dict(params), dag_run.conf]

        with DAG("typed", params={
            "n": Param(3, type="integer", minimum=1), "mode": Param("a", enum=["a", "b"]), "my-list": [1], "free": None,
            "maybe": Param(None, type=["null", "string"]),
        }):
            PythonOperator(task_id="told", python_callable=told, params={"own": 1, "n": 4})
        """,
        head="from airflow import DAG\n",
    )
    typed = load_pipeline("dags.py:typed").options(executor="inline", progress=False)
    assert {
        port.name: port.type for port in typed.parameters if "_date" not in port.name and "interval" not in port.name
    } == {
        "n": "int",
        "mode": "Literal['a', 'b']",
        "my_list": "list[Any]",
        "free": "Any",
        "maybe": "None | str",
        "conf": "dict[str, Any]",
    }
    defaults = {"n": 4, "mode": "a", "my-list": [1], "free": None, "maybe": None, "own": 1}
    assert typed.run().result["told"] == [defaults, {}]
    given = typed.run(n=7, conf={"own": 2, "more": 3})
    assert given.result["told"] == [{**defaults, "n": 7, "own": 2, "more": 3}, {"own": 2, "more": 3, "n": 7}]
    with pytest.raises(ParameterError, match="n: 0 is less than the minimum of 1"):
        typed.run(n=0)
    with pytest.raises(ParameterError, match="mode"):
        typed.run(mode="c")
    with pytest.raises(DefinitionError, match="the default of the param 'n' does not meet its schema"):
        read(
            """
            from airflow.models.param import Param
            dag("wrong", params={"n": Param("x", type="integer")})
            """,
            "wrong.py",
        )
        load_pipeline("wrong.py:wrong").graph()


def test_times_of_a_run_before(project: Path) -> None:
    read(
        """
        from airflow.operators.python import PythonOperator

        def before(prev_data_interval_start_success, prev_ds):
            return [prev_ds, None if prev_data_interval_start_success is None else str(prev_data_interval_start_success)]

        with DAG("past", schedule="@daily", start_date=datetime(2024, 3, 1)):
            PythonOperator(task_id="before", python_callable=before)
        """
    )
    past = load_pipeline("dags.py:past").options(executor="inline", progress=False)
    at = datetime(2024, 3, 5, tzinfo=UTC)
    assert past.at(logical_time=at).run().result["before"] == ["2024-03-04", None]
    after = past.at(logical_time=at + timedelta(days=2)).run().result["before"]
    assert after == ["2024-03-06", "2024-03-04 00:00:00+00:00"]


def test_a_dag_of_airflow_2_that_says_nothing_of_a_schedule_runs_every_day() -> None:
    found = read('dag("silent")\ndag("never", start_date=None)\ndag("none", schedule_interval=None)\n')
    assert set(found) == {"silent"}
    assert first(found["silent"]) == [("03-02 00:00", "03-01 00:00"), ("03-03 00:00", "03-02 00:00")]


def test_a_dag_of_airflow_3_that_says_nothing_of_a_schedule_has_none() -> None:
    assert read('dag("silent")\n', head=HEAD.replace("from airflow import DAG", "from airflow.sdk import DAG")) == {}
