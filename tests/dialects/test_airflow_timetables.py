"""Timetables that people write themselves, strategies that weigh tasks, and where the modules lie that have them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from penstock.authoring.kinds.causes import person_cause
from penstock.authoring.triggers.schedules import cron
from penstock.authoring.triggers.sensors import Sensor
from penstock.dialects.airflow.moments import instance
from penstock.dialects.airflow.timetables import CronTriggerTimetable
from penstock.errors import DefinitionError, NotCoveredError
from penstock.model.schedule import LateCron, Timetable
from penstock.registering.exporting import exported
from penstock.registering.loading import load_module, load_pipeline, reading_of

FILES = Path(__file__).parent / "airflow_files"
START, END = "2024-03-01T00:00:00+00:00", "2025-03-01T00:00:00+00:00"
MOMENTS = [
    "2024-03-31T01:30:00+00:00",
    "2024-05-05T13:37:11+00:00",
    "2024-08-15T00:00:00+00:00",
    "2024-10-27T00:30:00+00:00",
    "2024-12-31T23:59:59+00:00",
]
DAG_HEAD = """
import pendulum
from airflow import DAG
from airflow.operators.python import PythonOperator

def told(data_interval_start, data_interval_end, logical_date, dag_run):
    found = (data_interval_start, data_interval_end, logical_date)
    return [each.isoformat() for each in found] + [str(dag_run.run_type)]

def dag(name, timetable, **options):
    with DAG(name, schedule=timetable, start_date=pendulum.datetime(2024, 3, 1), **options):
        PythonOperator(task_id="told", python_callable=told)
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "penstock.toml").write_text("")
    return tmp_path


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> Any:  # pyright: ignore[reportUnusedFunction]
    """Let each test find the modules beside its own file."""
    known = set(sys.modules)
    yield
    for name in set(sys.modules) - known:
        if not name.startswith("penstock."):
            monkeypatch.delitem(sys.modules, name, raising=False)


def read(text: str, name: str = "dags.py", head: str = DAG_HEAD) -> dict[str, Any]:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(head + dedent(text))
    reading = reading_of(load_module(name))
    assert reading is not None
    return dict(reading.triggers)


def due(trigger: Any) -> list[tuple[str, str, str]]:
    """Everything that was due until today."""
    assert isinstance(trigger, Sensor)
    found: list[tuple[str, str, str]] = []
    cursor: Any = {"since": 0.0}
    while True:
        answer = trigger.evaluate(cursor)
        for each in answer.requests:
            assert each.interval is not None
            assert each.logical_time == each.interval[0]
            start, end = (at.astimezone(UTC).isoformat() for at in each.interval)
            found.append((each.key, start, end))
        if answer.cursor == cursor or not answer.requests:
            return found
        cursor = answer.cursor


WORKDAYS = """
    from own_timetables import Workdays
    dag("work", Workdays(), end_date=pendulum.datetime(2024, 4, 2), max_active_runs=3, tags=["a"])
    dag("today", Workdays(), catchup=False)
"""


def test_a_timetable_of_the_users_own_says_when_runs_are_due(project: Path) -> None:
    shutil.copy(FILES / "timetables" / "own_timetables.py", project)
    found = read(WORKDAYS)
    noun = found["work"].noun
    assert (noun.source.function, noun.limits.at_most, noun.tags) == ("Workdays", 3, ("a",))
    assert noun.description == "Workdays at 8:30"
    rows = due(found["work"])
    # the clocks go forward on 31 March
    assert rows[0] == ("2024-03-04T07:30:00Z", "2024-03-01T07:30:00+00:00", "2024-03-04T07:30:00+00:00")
    assert rows[-2:] == [
        ("2024-04-01T06:30:00Z", "2024-03-29T07:30:00+00:00", "2024-04-01T06:30:00+00:00"),
        ("2024-04-02T06:30:00Z", "2024-04-01T06:30:00+00:00", "2024-04-02T06:30:00+00:00"),
    ]
    assert len(rows) == 22


def test_what_was_due_before_it_was_registered_does_not_fire(project: Path) -> None:
    shutil.copy(FILES / "timetables" / "own_timetables.py", project)
    found = read(WORKDAYS)
    begun = datetime(2024, 3, 28, tzinfo=UTC).timestamp()
    answer = found["work"].evaluate({"since": begun})
    assert [each.key[:10] for each in answer.requests] == ["2024-03-28", "2024-03-29", "2024-04-01", "2024-04-02"]
    assert (answer.cursor["next_at"], answer.again) == (None, None)
    again = found["work"].evaluate(answer.cursor)
    assert (again.requests, again.cursor) == ((), answer.cursor)
    # what is to come is known, and is when it asks to be asked again
    today = found["today"].evaluate({"since": datetime.now(UTC).timestamp()})
    assert today.requests == ()
    assert today.again is not None
    before = today.again - timedelta(seconds=1)
    first, second = islice(found["today"].coming(today.cursor, before), 2)
    assert first.interval[1] == second.interval[0] == today.again
    assert datetime.fromisoformat(first.key) == first.interval[1]
    # one that it told of as still to come fires when it is due, though it would not tell of it any more
    kept = {**today.cursor, "since": 0.0, "coming": [1e9, 9e8, 1e9]}
    assert [each.key for each in found["today"].evaluate(kept).requests] == ["2001-09-09T01:46:40Z"]


def test_a_run_by_hand_is_about_what_the_timetable_infers(project: Path) -> None:
    shutil.copy(FILES / "timetables" / "own_timetables.py", project)
    read(WORKDAYS)
    pipeline = load_pipeline("dags.py:work").options(executor="inline", progress=False)
    run = pipeline.at("2024-05-05T13:37:11+00:00").run()
    assert run.outputs["told"] == [
        "2024-05-02T06:30:00+00:00",
        "2024-05-03T06:30:00+00:00",
        "2024-05-05T13:37:11+00:00",
        "manual",
    ]


def test_what_a_timetable_says_without_effect_is_told(project: Path) -> None:
    read(
        """
        from airflow.plugins_manager import AirflowPlugin
        from airflow.timetables.interval import CronDataIntervalTimetable
        from airflow.timetables.base import Timetable
        from airflow.timetables.simple import NullTimetable

        class Nightly(CronDataIntervalTimetable):
            '''One of Airflow's by another name: a schedule of penstock.'''
            def __init__(self):
                super().__init__("0 1 * * *", timezone="UTC")

        class Never(Timetable):
            can_be_scheduled = False
            periodic = False
            def infer_manual_data_interval(self, *, run_after):
                raise RuntimeError("no idea")
            def generate_run_id(self, **_):
                return "r"

        class Plugin(AirflowPlugin):
            name = "times"
            timetables = [Nightly, Never]
            listeners = [object()]

        dag("nightly", Nightly())
        dag("never", Never())
        """
    )
    found = reading_of(load_module("dags.py"))
    assert found is not None
    assert set(found.triggers) == {"nightly"}
    assert not isinstance(found.triggers["nightly"], Sensor)
    noted = {each.what for each in load_pipeline("dags.py:never").ignored}
    assert noted == {
        "the timetable Never: generate_run_id",
        "the timetable Never: periodic",
        "the plugin times: listeners",
    }
    with pytest.raises(DefinitionError, match=r"cannot tell what a run is about .*RuntimeError\('no idea'\)"):
        load_pipeline("dags.py:never").options(executor="inline", progress=False).run()


@pytest.mark.parametrize(
    ("body", "error", "match"),
    [
        ("pass", DefinitionError, "the timetable Own of the DAG 'own' does not say when it is due"),
        ("partitioned = True", NotCoveredError, "the timetable Own, which is written by hand and partitioned"),
        (
            "def next_dagrun_info(self, **_): ...\ndef validate(self): raise Invalid('no')",
            DefinitionError,
            "the timetable Own of the DAG 'own' is not valid: no",
        ),
    ],
)
def test_a_timetable_that_cannot_be_is_refused(body: str, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        read(_own(body))
        load_pipeline("dags.py:own").define({})


def _own(body: str) -> str:
    lines = [line.strip() for line in body.splitlines()]
    return "\n".join(
        [
            "from airflow.exceptions import AirflowTimetableInvalid as Invalid",
            "from airflow.timetables.base import DagRunInfo, Timetable",
            "class Own(Timetable):",
            *(f"    {line}" for line in lines),
            'dag("own", Own())',
        ]
    )


@pytest.mark.parametrize(
    ("answer", "match"),
    [
        ("return 5", "the timetable Own gave 5, which is no DagRunInfo"),
        ("return DagRunInfo(restriction.earliest, None)", "which is no DagRunInfo"),
        ("return DagRunInfo.exact(restriction.earliest)", "does not go on: after the run about .* comes the same"),
        ("return DagRunInfo.exact(restriction.earliest.naive())", "names no zone"),
    ],
)
def test_an_answer_that_is_none_is_an_error(answer: str, match: str) -> None:
    found = read(_own(f"def next_dagrun_info(self, *, last_automated_data_interval, restriction): {answer}"))
    with pytest.raises(DefinitionError, match=match):
        found["own"].evaluate({"since": 0.0})


def test_a_timetable_beside_assets_and_a_limit_of_runs(project: Path) -> None:
    shutil.copy(FILES / "timetables" / "own_timetables.py", project)
    found = read(
        """
        from airflow.datasets import Dataset
        from airflow.timetables.datasets import DatasetOrTimeSchedule
        from own_timetables import Workdays
        class One(Workdays):
            active_runs_limit = 1
        dag("both", DatasetOrTimeSchedule(timetable=One(), datasets=[Dataset("s3://a")]))
        """
    )
    assert set(found) == {"both", "both-clock"}
    assert isinstance(found["both-clock"], Sensor)
    assert found["both-clock"].noun.limits.at_most == 1


def test_modules_are_found_where_airflow_finds_them(project: Path) -> None:
    (project / "plugins").mkdir()
    shutil.copy(FILES / "timetables" / "own_timetables.py", project / "plugins")
    (project / "dags" / "team").mkdir(parents=True)
    (project / "dags" / "shared_names.py").write_text("NAME = 'work'")
    found = read(
        """
        from own_timetables import Workdays
        from shared_names import NAME
        dag(NAME, Workdays())
        """,
        "dags/team/dag.py",
    )
    assert set(found) == {"work"}


STRATEGIES = """
from airflow.task.priority_strategy import PriorityWeightStrategy

class Falling(PriorityWeightStrategy):
    def get_weight(self, ti):
        return max(3 - ti.try_number + len(ti.task.downstream_task_ids), 1)

class Asking(PriorityWeightStrategy):
    def get_weight(self, ti):
        return ti.xcom_pull("a")
"""


def test_an_example_finds_the_modules_of_its_folder(project: Path) -> None:
    folder = project / "example_dags"
    (folder / "plugins").mkdir(parents=True)
    shutil.copy(FILES / "timetables" / "own_timetables.py", folder / "plugins" / "hours.py")
    (folder / "plugins" / "weigh.py").write_text(STRATEGIES)
    found = read(
        """
        import airflow.example_dags.plugins.weigh
        from airflow.example_dags.plugins.hours import Workdays
        from airflow.operators.empty import EmptyOperator
        dag("work", Workdays())
        with DAG("weighed", schedule=None) as weighed:
            first = EmptyOperator(task_id="first", weight_rule=airflow.example_dags.plugins.weigh.Falling())
            first >> EmptyOperator(
                task_id="second", weight_rule="airflow.example_dags.plugins.weigh.Falling", priority_weight=7
            )
            EmptyOperator(task_id="third", weight_rule="absolute", priority_weight=7)
        with DAG("asks", schedule=None):
            EmptyOperator(task_id="asks", weight_rule=airflow.example_dags.plugins.weigh.Asking())
        with DAG("lost", schedule=None):
            EmptyOperator(task_id="lost", weight_rule="nowhere.Strategy")
        """,
        "example_dags/example.py",
    )
    assert set(found) == {"work"}
    pipeline = load_pipeline("example_dags/example.py:weighed")
    graph = pipeline.define({}).graph
    weights = {each.id: each.policy.priority for each in graph.nodes}
    assert weights == {"first": 4, "second": 3, "third": 7}
    assert [each.what for each in pipeline.ignored if "weight" in each.why] == [
        "the task 'first': weight_rule",
        "the task 'second': weight_rule",
        "the task 'third': weight_rule",
    ]
    with pytest.raises(DefinitionError, match=r"'asks' asks for ti.xcom_pull, which there is not before it runs"):
        load_pipeline("example_dags/example.py:asks").define({})
    with pytest.raises(DefinitionError, match=r"the weight_rule 'nowhere.Strategy' of the task 'lost' is not found"):
        load_pipeline("example_dags/example.py:lost").define({})


def test_a_dag_goes_back_to_airflow_with_its_timetable_and_elsewhere_without(project: Path) -> None:
    shutil.copy(FILES / "timetables" / "own_timetables.py", project)
    Path("steps_of_timetables.py").write_text("def step():\n    return 1\n")
    read(
        WORKDAYS,
        head=DAG_HEAD.replace("python_callable=told", "python_callable=step")
        + "from steps_of_timetables import step\n",
    )
    pipeline = load_pipeline("dags.py:work")
    back = exported(pipeline, "airflow", stem="out")
    assert "from own_timetables import Workdays" in back.written.text
    assert '"work", Workdays()' in back.written.text
    assert back.losses == []
    for target in ("argo", "kfp", "prefect", "yaml", "penstock"):
        lost = exported(pipeline, target, stem="out", draft=target == "penstock")
        assert any(each.grade == "changed" and "work" in each.how for each in lost.written.accounts), target


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Australia/Lord_Howe"])
@pytest.mark.parametrize("expression", ["30 2 * * *", "15,45 2 * * *", "0,20 1-3 * * *"])
def test_a_cron_expression_is_due_as_airflow_reckons_when_clocks_are_changed(expression: str, zone: str) -> None:
    timetable = CronTriggerTimetable(expression, timezone=zone)
    schedule = cron(expression, zone=zone, late=True)
    for change in ("2024-03-31", "2024-04-07", "2024-10-06", "2024-10-27"):
        at = datetime.fromisoformat(change).replace(tzinfo=UTC) - timedelta(days=1)
        wanted: list[datetime] = []
        tick = instance(at)
        for _ in range(30):
            tick = timetable._get_next(tick)  # pyright: ignore[reportPrivateUsage]
            wanted.append(tick)
        assert list(islice(schedule.after(at), 30)) == wanted
        # whatever moment one begins at, and backwards
        for place, moment in enumerate(wanted[:-1]):
            between = moment + (wanted[place + 1] - moment) / 2
            assert next(schedule.after(between)) == wanted[place + 1]
            assert next(schedule.before(between)) == moment


def test_the_rule_for_clocks_that_are_changed_is_kept_in_other_dialects(project: Path) -> None:
    (project / "steps_of_timetables.py").write_text("def step():\n    return 1\n")
    read(
        'dag("nightly", "30 2 * * *", default_args={"start_date": pendulum.datetime(2024, 3, 1, tz="Europe/Berlin")})',
        head=DAG_HEAD.replace("python_callable=told", "python_callable=step").replace(
            "start_date=pendulum.datetime(2024, 3, 1), ", ""
        )
        + "from steps_of_timetables import step\n",
    )
    pipeline = load_pipeline("dags.py:nightly")
    assert "late=True" in exported(pipeline, "penstock", stem="out").written.text
    text = exported(pipeline, "yaml", stem="out").written.text
    assert "late: true" in text
    Path("out.yaml").write_text(text)
    for place in ("dags.py", "out.yaml"):
        reading = reading_of(load_module(place))
        assert reading is not None
        [trigger] = reading.triggers.values()
        assert isinstance(trigger.noun.source, Timetable)
        assert trigger.noun.source.schedule == LateCron("30 2 * * *", "Europe/Berlin")


@pytest.mark.slow
def test_ticks_and_runs_by_hand_are_those_of_airflow(
    peer: Callable[[str], Path], project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    done = subprocess.run(
        [peer("airflow"), FILES / "timetables" / "own_timetables_of_airflow.py"],
        input=json.dumps({"start": START, "end": END, "moments": MOMENTS}),
        capture_output=True,
        text=True,
        env={**os.environ, "AIRFLOW_HOME": str(tmp_path_factory.mktemp("home"))},
        check=True,
    )
    real = json.loads(done.stdout.partition("ANSWER")[2])
    shutil.copy(FILES / "timetables" / "own_timetables.py", project)
    found = read(
        """
        from own_timetables import ALL
        for each in ALL:
            dag(each.__name__, each(), end_date=pendulum.datetime(2025, 3, 1))
        """
    )
    assert set(found) == set(real)
    for name, trigger in found.items():
        rows = [[datetime.fromisoformat(each).timestamp() for each in row] for row in due(trigger)]
        assert rows == real[name]["rows"], name
        signature = load_pipeline(f"dags.py:{name}").signature
        asked = [signature.resolve(given={}, cause=person_cause(each)) for each in MOMENTS]
        manual = [[each[f"data_interval_{part}"].timestamp() for part in ("start", "end")] for each in asked]
        assert manual == real[name]["manual"], name
    assert sum(len(each["rows"]) for each in real.values()) > 4000


SERVED = """
from own_timetables import Workdays
from airflow.timetables.base import DagRunInfo

class Failing(Workdays):
    def next_dagrun_info(self, **_):
        raise RuntimeError("the calendar is away")

class Seconds(Workdays):
    def next_dagrun_info(self, *, last_automated_data_interval, restriction):
        last = last_automated_data_interval
        start = pendulum.now("UTC").start_of("second") if last is None else last.end
        return DagRunInfo.interval(start, start.add(seconds=1))

dag("work", Workdays())
dag("failing", Failing())
dag("seconds", Seconds())
"""


def penstock(*words: str, code: int = 0) -> tuple[str, str]:
    command = [sys.executable, "-P", "-m", "penstock", *words]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == code, ended.stdout + ended.stderr
    return ended.stdout, ended.stderr


@pytest.mark.slow
def test_a_timetable_is_served_and_asked_for_what_is_to_come(project: Path) -> None:
    (project / "penstock.toml").write_text('executor = "inline"\n')
    (project / "dags").mkdir()
    (project / "plugins").mkdir()
    shutil.copy(FILES / "timetables" / "own_timetables.py", project / "plugins")
    (project / "dags" / "served.py").write_text(DAG_HEAD + SERVED)
    penstock("register", "dags/served.py")
    coming = json.loads(penstock("triggers", "next", "work", "-n", "2", "--after", "2027-03-26", "--json")[0])
    assert [each["at"][:16] for each in coming] == ["2027-03-26T07:30", "2027-03-29T06:30"]
    assert [each["logical_time"][:16] for each in coming] == ["2027-03-25T07:30", "2027-03-26T07:30"]
    assert "the calendar is away" in penstock("triggers", "next", "failing", code=2)[1]
    # the others are shown all the same
    every, told = penstock("triggers", "next", "--all", "-n", "9", "--json")
    assert "seconds" in {each["trigger"] for each in json.loads(every)}
    assert "failing cannot tell when it is due" in told
    fired = json.loads(penstock("triggers", "fire", "work", "--at", "2024-05-05T13:37:11Z", "--now", "--json")[0])
    assert fired["outputs"]["told"]["value"][1:] == ["2024-05-03T06:30:00+00:00", "2024-05-05T13:37:11+00:00", "manual"]
    plan = json.loads(penstock("backfill", "work", "--from", "2024-10-26", "--to", "2024-10-29", "--plan", "--json")[0])
    assert [plan[name] for name in ("runs", "first", "last")] == [2, "2024-10-28T07:30:00Z", "2024-10-29T07:30:00Z"]
    _serve_until_fired(project)


def _serve_until_fired(project: Path) -> None:
    command = [sys.executable, "-P", "-m", "penstock", "up"]
    with (project / "up.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as daemon:
        try:
            until = time.monotonic() + 120
            runs: list[Any] = []
            while len(runs) < 2 and time.monotonic() < until:
                time.sleep(0.5)
                runs = json.loads(penstock("triggers", "firings", "seconds", "--json")[0])
            failing = json.loads(penstock("triggers", "show", "failing", "--json")[0])
        finally:
            daemon.send_signal(signal.SIGINT)
    log_text = (project / "up.log").read_text()
    keys = sorted(each["key"] for each in runs)
    assert len(set(keys)) == len(keys) >= 2, log_text
    for each in runs:
        start, end = each["cause"]["interval"]
        assert each["cause"]["logical_time"] == start
        assert datetime.fromisoformat(each["key"]) == datetime.fromisoformat(end)
    assert failing["failures"] >= 1, log_text
    assert "failing failed" in log_text
    assert "the calendar is away" in log_text
