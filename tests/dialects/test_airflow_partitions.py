"""Partitions of Airflow 3.3: keys of runs, mappers, and the runs that updates of assets for partitions start."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from penstock.app import Services
from penstock.dialects.airflow import recorded
from penstock.dialects.airflow.assets import PARTITION_UPDATED
from penstock.dialects.airflow.partitions import mappers, temporal, timetables, waiting, windows
from penstock.errors import DefinitionError, NotCoveredError, ParameterError
from penstock.registering.loading import load_module, load_pipeline, reading_of

FILES = Path(__file__).parent / "airflow_files"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "penstock.toml").write_text("")
    return tmp_path


HEAD = """
from airflow.sdk import (
    DAG, AllowedKeyMapper, Asset, AssetAlias, CronPartitionTimetable, FixedKeyMapper, PartitionedAssetTimetable,
    PartitionedAtRuntime, RollupMapper, SegmentWindow, StartOfDayMapper, asset, task,
)
rows = Asset("rows", uri="s3://b/rows")

def telling(name, schedule, **options):
    with DAG(name, schedule=schedule, **options):
        @task
        def tell(dag_run, partition_key, partition_date, triggering_asset_events):
            date = None if dag_run.partition_date is None else dag_run.partition_date.isoformat()
            assert (partition_key, partition_date) == (dag_run.partition_key, dag_run.partition_date)
            return [partition_key, date, sorted(e.partition_key for each in triggering_asset_events.values() for e in each)]
        tell()
"""


def written(text: str, name: str = "dags.py") -> dict[str, Any]:
    """The triggers of a file."""
    Path(name).write_text(HEAD + dedent(text))
    reading = reading_of(load_module(name))
    assert reading is not None
    return dict(reading.triggers)


def ready(name: str, **about: Any) -> Any:
    pipeline = load_pipeline(f"dags.py:{name}").options(executor="inline", progress=False, logs=False)
    return pipeline.at(**about) if about else pipeline


def ran(name: str, parameters: Any = None, **about: Any) -> Any:
    run = ready(name, **about).run(**(parameters or {}))
    run.raise_for_state()
    (result,) = run.outputs.values()
    return result


def updates() -> list[Any]:
    return [
        (each["name"], each["partition_key"], each["partition_date"])
        for _, _, each in recorded.occurred(PARTITION_UPDATED)
    ]


def update(*told: tuple[str, str, str | None]) -> None:
    """Say that assets were updated for partitions."""
    recorded.tell(
        {
            "type": PARTITION_UPDATED,
            "data": {"name": name, "uri": f"s3://b/{name}", "alias": "", "partition_key": key, "partition_date": date},
        }
        for name, key, date in told
    )


def asked(triggers: dict[str, Any], cursors: dict[str, Any]) -> Iterator[list[Any]]:
    """The runs that sensors ask for: DAG, key, date, and the keys of the updates behind it."""
    for name, trigger in triggers.items():
        found = trigger.evaluate(cursors.get(name))
        # as it is kept between two times
        cursors[name] = json.loads(json.dumps(found.cursor))
        for request in found.requests:
            given = request.parameters
            date = given["partition_date"]
            assert request.partition == given["partition_key"]
            yield [
                name,
                request.partition,
                None if date is None else datetime.fromisoformat(date).astimezone(UTC).isoformat(),
                sorted(each["partition_key"] for each in given["triggering_asset_events"].values()),
            ]


NAMES = {
    name: thing
    for module in (mappers, temporal, waiting, windows, timetables)
    for name, thing in vars(module).items()
    if not name.startswith("_")
}
ZONES = ("UTC", "America/New_York", "Europe/Berlin", "Asia/Kolkata")
PERIODS = ("Hour", "Day", "Week", "Month", "Quarter", "Year")


ALONE = (
    "IdentityMapper()",
    "AllowedKeyMapper(['us', 'eu'])",
    "FixedKeyMapper('all')",
    "FixedKeyMapper('')",
    "ProductMapper(IdentityMapper(), StartOfDayMapper())",
    "ProductMapper(IdentityMapper(), IdentityMapper(), delimiter='-')",
    "ProductMapper(IdentityMapper(), FanOutMapper(upstream_mapper=StartOfDayMapper(), window=DayWindow()))",
    "ChainMapper(StartOfDayMapper(), StartOfMonthMapper(input_format='%Y-%m-%d'))",
    "ChainMapper(FanOutMapper(upstream_mapper=StartOfDayMapper(), window=DayWindow()), FixedKeyMapper('x'))",
    "IdentityMapper(max_downstream_keys=0)",
    "RollupMapper(upstream_mapper=FixedKeyMapper('x'), window=DayWindow())",
    "RollupMapper(upstream_mapper=FixedKeyMapper('x'), window=SegmentWindow(['a', 'b', 'a']))",
    "RollupMapper(upstream_mapper=StartOfDayMapper(), window=SegmentWindow(['a']))",
    "SegmentWindow([])",
    "SegmentWindow(['a', 1])",
    "FanOutMapper(upstream_mapper=IdentityMapper(), window=SegmentWindow(['us', 'eu']), downstream_mapper=IdentityMapper())",
    "FanOutMapper(upstream_mapper=StartOfHourMapper(), window=HourWindow())",
    "StartOfWeekMapper(output_format='%Y-W%V')",
    "StartOfWeekMapper(output_format='%Y-%m-%d %Y')",
    "StartOfQuarterMapper(output_format='Q{quarter} of %Y')",
    "StartOfQuarterMapper(output_format='{quarter}{half}{day}')",
    "StartOfDayMapper(input_format='%Y-%m-%d')",
    "StartOfMonthMapper(input_format='%Y-%m', output_format='%Y/%m')",
    "StartOfYearMapper(timezone='No/Where')",
    "MinimumCount(0)",
    "MinimumCount(2)",
    "MinimumCount(-1)",
    "MinimumCount(4)",
    "WaitForAll()",
    "CronPartitionTimetable('0 0 * * *', timezone='UTC', run_offset='1')",
    "CronPartitionTimetable('0 9 * * 1-5', timezone='Europe/Berlin', run_offset=-3)",
)


def cases() -> Iterator[str]:
    yield from ALONE
    for zone in ZONES:
        for period in PERIODS:
            mapper = f"StartOf{period}Mapper(timezone={zone!r})"
            yield mapper
            for direction in ("FORWARD", "BACKWARD"):
                window = f"{period}Window(direction=Window.Direction.{direction})"
                yield f"RollupMapper(upstream_mapper={mapper}, window={window})"
                yield (
                    f"FanOutMapper(upstream_mapper={mapper}, window={window})"
                    if period != "Week"
                    else (
                        f"FanOutMapper(upstream_mapper={mapper}, window={window}, downstream_mapper=StartOfDayMapper(timezone={zone!r}))"
                    )
                )
        for offset in (None, -1, 0, 2):
            for form in ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%d"):
                for cron in ("0 * * * *", "30 2 * * *"):
                    yield f"CronPartitionTimetable({cron!r}, timezone={zone!r}, run_offset={offset}, key_format={form!r})"


def test_mappers() -> None:
    def keys(case: str, key: str) -> Any:
        found = eval(case, NAMES).to_downstream(key)
        return found if isinstance(found, str) else list(found)

    at = "2024-03-13T10:42:15"
    periods = {each: keys(f"StartOf{each}Mapper()", at) for each in PERIODS}
    assert periods == {
        "Hour": "2024-03-13T10",
        "Day": "2024-03-13",
        "Week": "2024-03-11 (W11)",
        "Month": "2024-03",
        "Quarter": "2024-Q1",
        "Year": "2024",
    }
    assert (
        keys("StartOfDayMapper(timezone='Asia/Tokyo', input_format='%Y-%m-%dT%H%z')", "2024-03-13T20+0000")
        == "2024-03-14"
    )
    assert keys("ProductMapper(IdentityMapper(), StartOfDayMapper())", f"us|{at}") == "us|2024-03-13"
    assert keys("ChainMapper(StartOfDayMapper(), StartOfYearMapper(input_format='%Y-%m-%d'))", at) == "2024"
    week = keys("FanOutMapper(upstream_mapper=StartOfWeekMapper(), window=WeekWindow())", at)
    assert (week[0], week[-1], len(week)) == ("2024-03-11", "2024-03-17", 7)
    rollup = eval(
        "RollupMapper(upstream_mapper=StartOfMonthMapper(input_format='%Y-%m-%d'), window=MonthWindow())", NAMES
    )
    assert len(rollup.to_upstream("2024-02")) == 29 and "2024-02-29" in rollup.to_upstream("2024-02")
    with pytest.raises(ValueError, match="not in allowed keys"):
        keys("AllowedKeyMapper(['us'])", "eu")
    with pytest.raises(TypeError, match="Pair a window"):
        eval("RollupMapper(upstream_mapper=IdentityMapper(), window=DayWindow())", NAMES)
    with pytest.raises(TypeError, match="only one side"):
        type("Half", (mappers.PartitionMapper,), {"decode_downstream": lambda self, key: key})
    # a time that the clocks leave out
    assert (
        temporal.StartOfHourMapper(timezone="America/New_York").encode_upstream(datetime(2024, 3, 10, 2))
        == "2024-03-10T03:00:00"
    )


@pytest.mark.slow
def test_a_run_is_about_the_partition_that_it_is_given() -> None:
    triggers = written(
        """
        telling("by_hand", PartitionedAtRuntime())
        telling("hourly", CronPartitionTimetable("0 * * * *", timezone="Europe/Berlin"))
        telling("daily", PartitionedAssetTimetable(assets=rows, default_partition_mapper=StartOfDayMapper()))
        """
    )
    assert set(triggers) == {"hourly", "daily"}
    assert ran("by_hand", partition="us") == ["us", None, []]
    assert ran("by_hand") == [None, None, []]
    assert ran("hourly", partition="2024-03-01T05:00:00") == ["2024-03-01T05:00:00", "2024-03-01T04:00:00+00:00", []]
    assert ran("daily", partition="2024-03-01") == ["2024-03-01", "2024-03-01T00:00:00+00:00", []]
    for name, key, why in (
        ("hourly", "us", "does not match format"),
        ("by_hand", " ", "empty"),
        ("daily", "x" * 251, "251"),
    ):
        with pytest.raises(ParameterError, match=why):
            ran(name, partition=key)


EVENTS = """
other = Asset("other", uri="s3://b/other")
with DAG("ticking", schedule=CronPartitionTimetable("0 * * * *", timezone="Asia/Kolkata", run_offset=-1)):
    @task(outlets=[rows])
    def make(dag_run):
        return [str(dag_run.logical_date), dag_run.partition_key, str(dag_run.partition_date), str(dag_run.run_after)]
    make()
with DAG("several", schedule=PartitionedAtRuntime()):
    @task(outlets=[rows, other, AssetAlias("late")])
    def make(*, outlet_events):
        outlet_events[rows].add_partitions(["us", "eu", "us"])
        outlet_events[rows].extra = {"n": 1}
        outlet_events[AssetAlias("late")].add(Asset("later", uri="s3://b/later"))
        assert outlet_events.for_asset(name="rows").partition_keys == {"us", "eu"}
        for wrong, error in ((lambda: outlet_events[rows].add_partitions(" "), ValueError),
                             (lambda: outlet_events.for_asset_alias(name="late").add_partitions("x"), TypeError)):
            try:
                wrong()
            except error:
                continue
            raise AssertionError
        return 1
    make()
@asset(schedule=PartitionedAtRuntime())
def made(self, outlet_events):
    outlet_events[self].add_partitions("us")
"""


@pytest.mark.slow
def test_tasks_tell_which_partitions_they_have_updated() -> None:
    triggers = written(EVENTS)
    assert set(triggers) == {"ticking"}
    ran("several", partition="all")
    assert updates() == [("rows", "eu", None), ("rows", "us", None), ("other", "all", None), ("later", "all", None)]
    ran("several")
    assert len(updates()) == 6
    with Services().existing_store() as store:
        plain = [each.data["name"] for _, each in store.agenda.occurrences(0, type="airflow.asset.updated")]
    # what is about no partition starts the DAGs that follow none
    assert plain == ["other", "later"]
    ran("made")
    assert updates()[-1] == ("made", "us", None)
    ran("ticking", partition="2024-03-01T05:00:00")
    assert updates()[-1] == ("rows", "2024-03-01T05:00:00", "2024-02-29T23:30:00+00:00")


def test_the_clock_says_which_partition_a_run_is_about() -> None:
    (trigger,) = written(EVENTS).values()
    (firing,) = trigger.test(at="2024-03-01T05:30:00+05:30")
    pipeline = ready("ticking")
    pipeline.cause = firing.cause
    told = pipeline.run().outputs["make"]
    # the one before its tick; and it is about no time besides
    assert told == ["None", "2024-03-01T05:00:00", "2024-02-29 23:30:00+00:00", "2024-03-01 00:30:00+00:00"]
    assert updates() == [("rows", "2024-03-01T05:00:00", "2024-02-29T23:30:00+00:00")]


FOLLOWING = """
other = Asset("other", uri="s3://b/other")
telling("same", PartitionedAssetTimetable(assets=rows))
telling("few", PartitionedAssetTimetable(assets=rows, default_partition_mapper=AllowedKeyMapper(["eu"])))
telling("all", PartitionedAssetTimetable(
    assets=rows & Asset.ref(name="other"),
    partition_mapper_config={
        rows: RollupMapper(upstream_mapper=FixedKeyMapper("x"), window=SegmentWindow(["eu", "us"])),
        Asset.ref(uri="s3://b/other"): StartOfDayMapper(),
    },
))
telling("plain", [rows])
"""


def test_updates_start_the_runs_of_their_keys() -> None:
    triggers = written(FOLLOWING)
    plain = triggers.pop("plain")
    assert plain.test({"type": PARTITION_UPDATED, "data": {"uri": "s3://b/rows"}}) == []
    cursors: dict[str, Any] = {name: {"since": 0.0} for name in triggers}
    assert list(asked(triggers, cursors)) == []
    update(("rows", "us", None), ("rows", "eu", "2024-03-01T00:00:00+00:00"), ("unknown", "eu", None))
    found = sorted(asked(triggers, cursors))
    assert found == [
        ["few", "eu", None, ["eu"]],
        ["same", "eu", "2024-03-01T00:00:00+00:00", ["eu"]],
        ["same", "us", None, ["us"]],
    ]
    assert triggers["all"].evaluate(cursors["all"]).skipped == "waits for more of x"
    update(("other", "x", None))
    assert list(asked(triggers, cursors)) == [["all", "x", None, ["eu", "us", "x"]]]
    assert list(asked(triggers, cursors)) == []
    # one that begins later goes by what has happened since
    assert triggers["same"].evaluate({"since": 9e9}).requests == ()
    assert len(triggers["same"].evaluate({"since": 1.0}).requests) == 2


def test_a_run_takes_what_its_sensor_tells() -> None:
    triggers = written(FOLLOWING)
    update(("rows", "eu", "2024-03-01T00:00:00+00:00"))
    (request,) = triggers["same"].evaluate().requests
    assert ran("same", request.parameters) == ["eu", "2024-03-01T00:00:00+00:00", ["eu"]]
    pipeline = load_pipeline("dags.py:all")
    (ignored,) = [each for each in pipeline.ignored if "partition mapper" in each.what]
    assert "by the name of an asset" in ignored.why


def test_other_mappers_do_not_take_up_what_was_held() -> None:
    triggers, cursors = written(FOLLOWING), {}
    del triggers["plain"]
    update(("rows", "us", None))
    assert len(list(asked(triggers, cursors))) == 1
    changed = written(FOLLOWING.replace('["eu", "us"]', '["us", "eu", "apac"]'), "changed.py")
    assert list(cursors["all"]["held"]) == ["x"]
    assert changed["all"].evaluate(cursors["all"]).cursor["held"] == {}
    assert changed["all"].noun.source.rules != triggers["all"].noun.source.rules
    assert changed["same"].noun.source == triggers["same"].noun.source


OWN = """
from airflow.partition_mappers.base import PartitionMapper

class Stripped(PartitionMapper):
    def __init__(self, prefix):
        super().__init__()
        self.prefix = prefix

    def to_downstream(self, key):
        if key == "bad":
            raise RuntimeError("no such key")
        return key.removeprefix(self.prefix)

telling("own", PartitionedAssetTimetable(assets=rows, default_partition_mapper=Stripped("eu::")))
"""


def test_a_mapper_of_the_users_own(capsys: pytest.CaptureFixture[str]) -> None:
    triggers = written(OWN)
    assert set(triggers["own"].functions) == {"Stripped.__init__", "Stripped.to_downstream"}
    update(("rows", "bad", None), ("rows", "eu::sales", None), ("rows", "us::sales", None))
    assert sorted(asked(triggers, {})) == [
        ["own", "sales", None, ["eu::sales"]],
        ["own", "us::sales", None, ["us::sales"]],
    ]
    assert "rows for 'bad' starts no run: RuntimeError: no such key" in capsys.readouterr().out


def test_what_cannot_be_said_is_refused() -> None:
    written('telling("watched", PartitionedAssetTimetable(assets=Asset("a", watchers=[object()])))')
    with pytest.raises(NotCoveredError, match=r"dags\.py:\d+: the watchers of the asset 'a'"):
        load_pipeline("dags.py:watched").graph()
    with pytest.raises(
        DefinitionError, match=r"clash\.py:\d+: the DAG 'clash' has partitions, and a param 'partition_key'"
    ):
        written('telling("clash", PartitionedAtRuntime(), params={"partition_key": 1})', "clash.py")


# Beside the real Airflow, and with a daemon.


def peer_told(peer: Callable[[str], Path], home: Path, script: str, given: Any, *arguments: str) -> Any:
    python = peer("airflow")
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
    }
    done = subprocess.run(
        [python, FILES / script, *arguments],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.partition("ANSWER")[2])


def test_mappers_say_what_those_of_airflow_say(
    peer: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from penstock.dialects.airflow.moments import coerce_datetime

    wanted = list(cases())
    real = peer_told(peer, tmp_path, "partitions_of_airflow.py", wanted)
    monkeypatch.syspath_prepend(str(FILES))
    ours = import_module("partitions_of_airflow").answers_of(NAMES, coerce_datetime, wanted)
    different = [each for each, other in zip(json.loads(json.dumps(ours)), real, strict=True) if each != other]
    assert different == []
    assert len(real) > 150


def rounds() -> Iterable[list[tuple[str, str, str | None]]]:
    day = [f"2024-03-10T{hour:02}:00:00" for hour in range(6)]
    yield [("one", "a", None)]
    yield [("one", "b", "2024-03-01T00:00:00+00:00"), ("two", "x", None), ("two", "b", "2024-03-01T00:00:00+00:00")]
    yield [("two", "a", None), ("three", "z", None), ("one", "c", None), ("one", "a", None)]
    yield [("one", day[0], day[0] + "+00:00")]
    yield [("two", day[0], day[0] + "+00:00"), ("one", day[5], None)]
    yield [("one", day[2], None), ("two", "2024-03-10", None), ("two", day[1], None)]
    yield [("one", "us|2024-03-10T05:00:00", None), ("one", "2024-02", None), ("one", "2024-01", None)]
    yield [("one", "2024-03", None), ("one", "2024-12-30T00:00:00", None), ("two", "2024-12-30T00:00:00", None)]
    yield [("one", "b", "2024-03-02T00:00:00+00:00"), ("two", "b", "2024-03-03T00:00:00+00:00")]
    yield [("two", "c", None), ("two", "2024-03-10T05:30", None), ("three", "c", "2024-03-03T00:00:00+00:00")]


def test_the_same_runs_start_as_airflows_scheduler_makes(peer: Callable[[str], Path], project: Path) -> None:
    text = (FILES / "partitioned_dags.py").read_text()
    file = project / "home" / "dags" / "partitioned_dags.py"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    real = peer_told(peer, project / "home", "scheduling_of_airflow.py", list(rounds()), str(file))
    reading = reading_of(load_module(str(file)))
    assert reading is not None
    triggers, cursors = dict(reading.triggers), {}
    ours: list[Any] = []
    for told in rounds():
        update(*told)
        ours.append(sorted(asked(triggers, cursors), key=json.dumps))
    assert ours == [sorted(each, key=json.dumps) for each in real]
    assert {each[0] for each in itertools.chain.from_iterable(ours)} >= set(triggers) - {"limited", "hour"}


LIVE = """
telling("late", PartitionedAssetTimetable(assets=Asset.ref(name="made")))

@asset(schedule=PartitionedAssetTimetable(assets=rows, default_partition_mapper=StartOfDayMapper()))
def made():
    pass

with DAG("made_by_hand", schedule=PartitionedAtRuntime()):
    @task(outlets=[rows])
    def make():
        pass
    make()
"""


@pytest.mark.slow
def test_a_daemon_makes_runs_of_the_runs_before(project: Path) -> None:
    written(LIVE)
    environment = {**os.environ, "PENSTOCK_HOME": str(project / ".penstock")}

    def penstock(*words: str) -> str:
        line = [sys.executable, "-m", "penstock", *words]
        done = subprocess.run(line, capture_output=True, text=True, timeout=120, check=False, env=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    penstock("register", "dags.py")
    with Path("up.log").open("w") as log:
        daemon = subprocess.Popen([sys.executable, "-m", "penstock", "up"], stdout=log, stderr=log, env=environment)
        try:
            # whether it is there by then or not
            penstock("run", "dags.py:made_by_hand", "--partition", "2024-03-01T05:00:00")
            late: list[Any] = []
            deadline = time.monotonic() + 150
            while time.monotonic() < deadline and not late:
                runs = json.loads(penstock("runs", "--json"))
                late = [each for each in runs if each["pipeline"] == "late" and each["state"] == "succeeded"]
                time.sleep(0.3)
        finally:
            daemon.terminate()
            daemon.wait(60)
    assert late, Path("up.log").read_text()
    document = json.loads(penstock("show", late[0]["run_id"], "--json"))
    assert document["parameters"]["partition_key"] == "2024-03-01"
    assert document["parameters"]["partition_date"] == "2024-03-01T00:00:00+00:00"
