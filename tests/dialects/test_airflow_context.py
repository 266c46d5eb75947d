from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from penstock.dialects.airflow import dag as dags
from penstock.dialects.airflow.baseoperator import BaseOperator
from penstock.dialects.airflow.context import KEYS, context_of, entered, get_current_context
from penstock.dialects.airflow.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSkipException,
)
from penstock.dialects.airflow.execution import Given
from penstock.dialects.airflow.macros import ds_add, ds_format
from penstock.dialects.airflow.moments import days_ago, make_aware, parse, timezone_module
from penstock.dialects.airflow.states import State, WeekDay
from penstock.errors import Fail, Retry, Skip

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "penstock.toml").write_text("")


def operator(schedule: Any = "@daily", **options: Any) -> BaseOperator:
    start = options.pop("start_date", datetime(2024, 1, 1, tzinfo=BERLIN))
    with dags.DAG("d", schedule=schedule, start_date=start, **options):
        BaseOperator(task_id="before")
        return BaseOperator(task_id="after")


def given(start: datetime, end: datetime | None = None, **others: Any) -> Given:
    return Given({}, start, start, start if end is None else end, **{"pushed": {}, **others})


def test_the_times_of_a_tick_are_those_of_airflow() -> None:
    start, end = datetime(2024, 5, 1, tzinfo=BERLIN), datetime(2024, 5, 2, tzinfo=BERLIN)
    context = context_of(operator(), given(start, end))
    assert (context["ds"], context["ts"]) == ("2024-04-30", "2024-04-30T22:00:00+00:00")
    assert context["ts_nodash_with_tz"] == "20240430T220000+0000"
    assert context["logical_date"] == context["execution_date"] == context["data_interval_start"] == start
    assert context["data_interval_end"] == end
    assert (context["yesterday_ds"], context["tomorrow_ds_nodash"]) == ("2024-04-29", "20240501")
    assert context["prev_ds"] == "2024-04-29"
    assert context["next_execution_date"] == end
    assert context["logical_date"].add(days=1).to_date_string() == "2024-05-01"
    run = context["dag_run"]
    assert (run.run_type, run.external_trigger) == ("scheduled", False)
    assert context["prev_start_date_success"] is None


def test_a_run_of_a_person_is_about_the_last_whole_interval() -> None:
    at = datetime(2024, 5, 2, 10, 30, tzinfo=BERLIN)
    context = context_of(operator(), given(at))
    assert context["logical_date"] == at
    assert context["data_interval_start"] == datetime(2024, 5, 1, tzinfo=BERLIN)
    assert context["data_interval_end"] == datetime(2024, 5, 2, tzinfo=BERLIN)
    assert context["dag_run"].run_type == "manual"
    assert context_of(operator(None), given(at))["data_interval_end"] == at


def test_every_name_is_there_and_nothing_that_was_not_given() -> None:
    at = datetime(2024, 5, 2, tzinfo=UTC)
    context = context_of(operator(), given(at))
    assert KEYS - set(context) == set()
    assert context["var"]["value"].get("nothing", 1) == 1
    assert context["macros"].ds_add("2024-01-31", 1) == "2024-02-01"
    bare = context_of(operator(), Given())
    with pytest.raises(KeyError):
        bare["ds"]


def test_xcoms_by_task_key_and_index() -> None:
    xcoms = {
        "before": {"return_value": 1, "k": [2]},
        "mapped": [{"return_value": "a"}, {}, {"return_value": "c", "k": 3}],
    }
    at = datetime(2024, 5, 2, tzinfo=UTC)
    ti = context_of(operator(), given(at, xcoms=xcoms))["ti"]
    assert ti.xcom_pull(task_ids="before") == 1
    assert ti.xcom_pull("before", key="k") == [2]
    assert ti.xcom_pull("before", key="none", default="d") == "d"
    assert ti.xcom_pull(["before", "mapped"]) == [1, "a", "c"]
    assert ti.xcom_pull("mapped") == ["a", "c"]
    assert ti.xcom_pull("mapped", map_indexes=2) == "c"
    assert ti.xcom_pull("mapped", map_indexes=[2, 1], default="-") == ["c", "-"]
    assert ti.xcom_pull("nobody") is None
    assert ti.xcom_pull(key="k") == [2]
    ti.xcom_push("mine", {"x": 1})
    assert ti.xcom_pull(key="mine") == {"x": 1} == ti.given.pushed["mine"]
    with pytest.raises(AirflowException, match="another DAG"):
        ti.xcom_pull("before", dag_id="other")


def test_pulling_of_what_is_not_upstream_is_told(caplog: pytest.LogCaptureFixture) -> None:
    task = operator()
    assert context_of(task, given(datetime(2024, 5, 2, tzinfo=UTC)))["ti"].xcom_pull("before") is None
    assert "after does not wait for 'before'" in caplog.text


def test_the_current_context() -> None:
    with pytest.raises(AirflowException, match="no context was found"):
        get_current_context()
    context = context_of(operator(), Given())
    with entered(context):
        assert get_current_context()["task"].task_id == "after"


def test_exceptions_are_signals() -> None:
    assert issubclass(AirflowSkipException, Skip) and issubclass(AirflowFailException, Fail)
    assert AirflowSkipException("why").why == "why"
    again = AirflowRescheduleException(datetime.now(UTC) + timedelta(seconds=60))
    assert isinstance(again, Retry) and 50 < (again.after or 0) <= 60


def test_small_things_that_files_import() -> None:
    assert ds_add("2024-02-28", 2) == "2024-03-01"
    assert ds_format("2024-02-28", "%Y-%m-%d", "%d.%m.") == "28.02."
    assert days_ago(1).hour == 0
    assert parse("2024-01-01").isoformat() == "2024-01-01T00:00:00+00:00"
    assert make_aware(datetime(2024, 1, 1), BERLIN).utcoffset() == timedelta(hours=1)
    assert timezone_module.datetime(2024, 1, 1).isoformat() == "2024-01-01T00:00:00+00:00"
    assert timezone_module.td_format(timedelta(hours=25)) == "1d:1h"
    assert WeekDay.validate_week_day({"Monday", WeekDay.SUNDAY}) == {1, 7}
    assert State.SUCCESS == "success"
