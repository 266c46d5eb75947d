"""DAGs of Airflow, read and run with Airflow absent: structure, TaskFlow, mapping, rules, branches, setups."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock import DefinitionError, Pipeline, Run
from penstock.app import Services
from penstock.errors import NotCoveredError
from penstock.model.options import RunOptions
from penstock.registering.loading import load_module, load_pipeline, pipelines_in

CORPUS = Path(__file__).parent / "corpus" / "airflow"
HEAD = """\
from datetime import datetime, timedelta
from airflow import DAG
from airflow.decorators import dag, task, task_group, setup, teardown
from airflow.exceptions import AirflowFailException, AirflowSkipException
from airflow.models.baseoperator import BaseOperator, chain, chain_linear
from airflow.operators.bash import BashOperator
from airflow.operators.empty import EmptyOperator
from airflow.operators.latest_only import LatestOnlyOperator
from airflow.operators.python import BranchPythonOperator, PythonOperator, ShortCircuitOperator
from airflow.operators.weekday import BranchDayOfWeekOperator
from airflow.utils.task_group import TaskGroup

def boom():
    raise ValueError("on purpose")

def E(task_id, **given):
    return EmptyOperator(task_id=task_id, **given)

def P(task_id, function, **given):
    return PythonOperator(task_id=task_id, python_callable=function, **given)

"""
WITH = 'with DAG("it", start_date=datetime(2024, 1, 1), schedule=None):\n'

Reader = Callable[..., "Pipeline[..., Any]"]


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Reader:
    """Reads a DAG called `it` from the body of its `with` block, or from a whole text."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "home"))
    count = iter(range(100))

    def read(text: str, *, whole: bool = False) -> Pipeline[..., Any]:
        indented = "".join(f"    {line}\n" for line in text.strip().splitlines())
        file = tmp_path / f"{tmp_path.name}_{next(count)}.py".replace("-", "_")
        file.write_text(HEAD + (text if whole else WITH + indented))
        return load_pipeline(f"{file}:it")

    return read


def ran(pipeline: Pipeline[..., Any], **given: Any) -> Run:
    return pipeline.options(executor="inline", progress=False, logs=False, cache=False).run(**given)


def states(run: Run) -> dict[str, str]:
    return {task.id: str(task.state) for task in run.tasks}


#: those that are left to the default ring
QUICK = ("groups", "mapped_groups")


@pytest.mark.parametrize(
    "name",
    [
        file.stem if file.stem in QUICK else pytest.param(file.stem, marks=pytest.mark.slow)
        for file in sorted(CORPUS.glob("*.py"))
    ],
)
def test_a_file_of_the_corpus(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path))
    wanted = json.loads((CORPUS / f"{name}.json").read_text())

    run = ran(load_pipeline(f"{CORPUS / name}.py:{name}"), **wanted["parameters"])

    assert json.loads(json.dumps(run.outputs)) == wanted["outputs"]
    assert states(run) == wanted["states"]


@pytest.mark.parametrize(
    ("body", "state", "expected"),
    [
        ('P("a", boom) >> E("b")', "failed", {"a": "failed", "b": "upstream_failed"}),
        ('P("a", boom) >> E("b") >> E("c", trigger_rule="all_done")', "succeeded", {"c": "succeeded"}),
        ('[P("a", boom), E("b")] >> E("c", trigger_rule="one_success")', "succeeded", {"c": "succeeded"}),
        ('[P("a", boom), P("b", boom)] >> E("c", trigger_rule="one_success")', "failed", {"c": "upstream_failed"}),
        ('E("s").as_setup() >> E("w") >> P("t", boom).as_teardown()', "succeeded", {"t": "failed"}),
        (
            's = E("s")\ns >> P("w", boom) >> E("t").as_teardown(setups=s)',
            "failed",
            {"w": "failed", "t": "succeeded"},
        ),
        ('s = P("s", boom)\ns >> E("w") >> E("t").as_teardown(setups=s)', "failed", {"w": "upstream_failed"}),
        (
            'b = BranchPythonOperator(task_id="b", python_callable=lambda: None)\nb >> [E("x"), E("y", trigger_rule="all_done")]',
            "succeeded",
            {"x": "skipped", "y": "skipped"},
        ),
        (
            'b = BranchPythonOperator(task_id="b", python_callable=boom)\nb >> [E("x"), E("y", trigger_rule="all_done")]',
            "failed",
            {"x": "upstream_failed", "y": "succeeded"},
        ),
        (
            'b = BranchPythonOperator(task_id="b", python_callable=lambda: "no" + "where")\nb >> E("x")',
            "failed",
            {"b": "failed", "x": "upstream_failed"},
        ),
        (
            'b = BranchPythonOperator(task_id="b", python_callable=lambda: "g")\nwith TaskGroup("g") as g:\n    E("one") >> E("two")\n'
            'b >> [g, E("other")]',
            "succeeded",
            {"g/one": "succeeded", "g/two": "succeeded", "other": "skipped"},
        ),
        ('LatestOnlyOperator(task_id="l") >> E("x")', "succeeded", {"x": "succeeded"}),
        (
            'BashOperator(task_id="a", bash_command="exit 99") >> E("x")\nBashOperator(task_id="b", bash_command="false; echo y")',
            "succeeded",
            {"a": "skipped", "x": "skipped", "b": "succeeded"},
        ),
        (
            'chain(E("a"), [E("b"), E("c")], [E("d"), E("e")])\nchain_linear(E("f"), [E("g"), E("h")])',
            "succeeded",
            {"e": "succeeded"},
        ),
        (
            'BranchDayOfWeekOperator(task_id="b", follow_task_ids_if_true="x", follow_task_ids_if_false="y", week_day="monday",'
            ' use_task_logical_date=True) >> [E("x"), E("y")]',
            "succeeded",
            {"x": "succeeded", "y": "skipped"},
        ),
    ],
)
def test_states_are_those_of_airflow(read: Reader, body: str, state: str, expected: dict[str, str]) -> None:
    pipeline = read(body)
    given = {"logical_date": "2024-01-01T00:00:00+00:00"} if "week_day" in body else {}

    run = ran(pipeline, **given)

    assert str(run.state) == state
    assert {name: states(run)[name] for name in expected} == expected


def test_what_stands_in_the_block_of_a_teardown_comes_between_it_and_its_setups(read: Reader) -> None:
    pipeline = read('s, t = E("s"), E("t")\nwith t.as_teardown(setups=s):\n    E("a") >> E("b")\nt >> E("after")')

    nodes = {node.id: set(node.upstream()) for node in pipeline.define({}).graph.nodes}

    assert nodes["a"] == {"s"}
    assert {"s", "b"} <= nodes["t"]


def test_a_function_is_a_task_as_penstock_would_have_it(read: Reader) -> None:
    pipeline = read('a = P("a", int, op_args=[3])\nP("b", boom)\nBashOperator(task_id="c", bash_command="echo {x}")')

    tasks = pipeline.define({"conf": {}}).graph.tasks

    assert tasks["boom"].action.qualname == "boom"  # pyright: ignore[reportAttributeAccessIssue]
    assert tasks["c"].action.argv == ("bash", "-c", "echo {{x}}")  # pyright: ignore[reportAttributeAccessIssue]


def test_a_subclass_finds_its_arguments_in_default_args(read: Reader) -> None:
    text = """
class Count(BaseOperator):
    def __init__(self, times, word="x", **kwargs):
        super().__init__(**kwargs)
        self.times, self.word = times, word

    def execute(self, context):
        return self.word * self.times * (1 + self.retries)

with DAG("it", start_date=datetime(2024, 1, 1), schedule=None, default_args={"times": 2, "retries": 1, "owner": "me"}):
    Count(task_id="a", word="y")
"""
    pipeline = read(text, whole=True)

    assert ran(pipeline).outputs == {"a": "yyyy"}
    assert [each.what for each in pipeline.ignored] == ["the DAG 'it': owner in default_args"]


def test_dags_made_in_a_loop_are_pipelines_of_their_own(read: Reader, tmp_path: Path) -> None:
    text = """
for name in ("it", "other"):
    with DAG(name, start_date=datetime(2024, 1, 1), schedule=None) as made:
        P("a", lambda word: word, op_args=[name])
    globals()[name] = made
"""
    read(text, whole=True)
    module = load_module(str(next(tmp_path.glob("*.py"))))

    found = pipelines_in(module)

    assert {name: ran(each).outputs for name, each in found.items()} == {"it": {"a": "it"}, "other": {"a": "other"}}


def test_items_of_a_mapped_task_that_are_skipped_are_left_out_of_what_others_get(read: Reader) -> None:
    text = """
@task
def odd(n):
    if n % 2 == 0:
        raise AirflowSkipException("even")
    return n

@task(trigger_rule="none_failed")
def total(numbers):
    return sum(n for n in numbers if n is not None)

@task
def none():
    return []

@dag(dag_id="it", start_date=datetime(2024, 1, 1), schedule=None)
def made():
    total(odd.expand(n=[1, 2, 3]))
    odd.override(task_id="nothing").expand(n=none()) >> E("after")

made()
"""
    run = ran(read(text, whole=True))

    assert run.outputs["total"] == 4
    assert (states(run)["nothing"], states(run)["after"]) == ("skipped", "skipped")


def test_tasks_of_a_mapped_group_know_which_one_they_are_of(read: Reader) -> None:
    text = """
from airflow.sdk import Asset

@task(outlets=[Asset("rows")])
def place(x, ti=None):
    return [x, ti.map_index]

@task_group
def each(x):
    return place(x)

@task
def one(ti=None):
    return ti.xcom_pull(task_ids="each.place", map_indexes=1)

@dag(dag_id="it", start_date=datetime(2024, 1, 1), schedule=None)
def made():
    each.expand(x=[10, 20]) >> one()

made()
"""
    run = ran(read(text, whole=True))

    assert run.outputs["one"] == [20, 1]
    with Services(RunOptions()).store() as store:
        told = [event.data or {} for _, event in store.agenda.occurrences()]
    # of each item one, not one for all that have the same name
    assert sorted(each["source_map_index"] for each in told if "source_map_index" in each) == [0, 1]


def test_conditions_of_a_task(read: Reader) -> None:
    text = """
@dag(dag_id="it", start_date=datetime(2024, 1, 1), schedule=None)
def made():
    @task.run_if(lambda context: context["params"]["wanted"])
    @task
    def one():
        return 1

    one()

made = dag(dag_id="it", start_date=datetime(2024, 1, 1), schedule=None, params={"wanted": False})(made.__wrapped__)
made()
"""
    pipeline = read(text, whole=True)

    assert states(ran(pipeline)) == {"one": "skipped"}
    assert states(ran(pipeline, wanted=True)) == {"one": "succeeded"}


def test_an_operator_of_a_provider_is_shown_and_not_run(read: Reader) -> None:
    text = """
from airflow.providers.google.cloud.operators.bigquery import BigQueryInsertJobOperator
with DAG("it", start_date=datetime(2024, 1, 1), schedule=None):
    E("a") >> BigQueryInsertJobOperator(
        task_id="b",
        configuration={"query": "select 1"},
    )
"""
    pipeline = read(text, whole=True)

    action = next(task.action for task in pipeline.define({}).graph.tasks.values() if task.name == "b")

    assert action.source.startswith("BigQueryInsertJobOperator(")  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    with pytest.raises(DefinitionError, match="BigQueryInsertJobOperator"):
        ran(pipeline)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('E("a", retires=1)', "no argument 'retires'; did you mean 'retries'"),
        ('E("a") >> E("b") >> E("a2")\nE("x").set_upstream(boom)', "only tasks and groups"),
        ('a, b = E("a"), E("b")\na >> b >> a', "wait for each other in a circle"),
        ('E("a", trigger_rule="some")', "trigger rule 'some'"),
        ('E("a/b")', "cannot be the id of a task"),
        ("@task\ndef f(x):\n    return x\nf()", "missing a required argument: 'x'"),
        ("@task.pyspark\ndef f(x):\n    return x", "@task.pyspark is not covered"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(read: Reader, body: str, message: str) -> None:
    with pytest.raises((DefinitionError, NotCoveredError)) as caught:
        read(body).define({"conf": {}})

    assert message in str(caught.value)
    assert ".py:" in str(caught.value)


def test_a_task_that_depends_on_the_past_follows_the_run_before(read: Reader, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    text = f"""
from pathlib import Path

def marked():
    return Path({str(mark)!r}).read_text()

with DAG("it", start_date=datetime(2024, 1, 1), schedule=None):
    P("a", marked, depends_on_past=True)
"""
    pipeline = read(text, whole=True)
    days = [f"2024-01-0{day}T00:00:00+00:00" for day in (1, 2)]

    first = ran(pipeline.at(logical_time=days[0]))
    mark.write_text("there")
    second = ran(pipeline.at(logical_time=days[1]))

    assert states(first) == {"a.past": "succeeded", "a": "failed"}
    assert states(second) == {"a.past": "failed", "a": "upstream_failed"}


def test_a_parameter_of_a_dag_function_reaches_its_tasks(read: Reader) -> None:
    text = """
@dag(dag_id="it", start_date=datetime(2024, 1, 1), schedule=None)
def made(seed: int = 1):
    @task
    def grown(number):
        return number + 10

    grown(seed)

made()
"""
    pipeline = read(text, whole=True)

    assert ran(pipeline).outputs == {"grown": 11}
    assert ran(pipeline, seed=2).outputs == {"grown": 12}


UNCOVERED = """
from airflow.providers.postgres.hooks.postgres import PostgresHook
from airflow.timetables.made_up import Lunar

pool = PostgresHook(postgres_conn_id="db")

class Own(PostgresHook):
    pass

def fine(hook: PostgresHook | None = None):
    return 1

def queried():
    return PostgresHook().get_records("select 1")

def helped():
    return queried()

with DAG("it", start_date=datetime(2024, 1, 1), schedule=None):
    P("a", fine)
with DAG("named", schedule=None):
    P("b", helped)
with DAG("derived", schedule=None):
    P("b", lambda: Own().run())
with DAG("shared", schedule=None):
    P("b", lambda: pool.run())
with DAG("lunar", schedule=Lunar(9)):
    P("b", fine)
with DAG("inside", schedule=None):
    PostgresHook() >> E("b")
with DAG("late", schedule=None):
    def imported():
        from airflow.providers.mysql.hooks.mysql import MySqlHook
        return MySqlHook()
    P("b", imported)
"""


def test_what_is_not_covered_stops_the_dags_that_use_it(read: Reader) -> None:
    pipeline = read(UNCOVERED, whole=True)
    file = pipeline.function.location.file  # pyright: ignore[reportFunctionMemberAccess, reportUnknownMemberType, reportAttributeAccessIssue, reportUnknownVariableType]
    others = pipelines_in(load_module(str(file)))  # pyright: ignore[reportUnknownArgumentType]

    assert ran(pipeline).outputs == {"a": 1}
    assert "airflow.providers.postgres.hooks.postgres.PostgresHook" in {each.what for each in pipeline.ignored}
    for name in ("named", "derived", "shared", "lunar", "inside"):
        with pytest.raises(
            NotCoveredError, match=r"(hooks.postgres.PostgresHook|made_up.Lunar).* is not covered"
        ) as caught:
            others[name].define({})
        assert ".py:" in str(caught.value)
    with pytest.raises(NotCoveredError, match="which the task 'b' uses"):
        others["named"].define({})
    late = ran(others["late"])
    assert "MySqlHook is not covered" in str(late.task("b").error)


def test_what_is_said_to_no_effect_is_listed(read: Reader) -> None:
    pipeline = read(
        """
from airflow.operators.python import PythonVirtualenvOperator
from airflow.sensors.date_time import DateTimeSensor
PythonVirtualenvOperator(task_id="v", python_callable=boom, serializer="dill", venv_cache_path="/x", inherit_env=False)
DateTimeSensor(task_id="d", target_time="2024-01-01T00:00:00+00:00", deferrable=True)
"""
    )
    said = {each.what for each in pipeline.ignored}
    assert {f"the task 'v': {name}" for name in ("serializer", "venv_cache_path", "inherit_env")} <= said
    assert "the task 'd': deferrable" in said


def test_an_exit_code_skips_a_function_in_an_environment(read: Reader) -> None:
    pipeline = read(
        """
from airflow.operators.python import PythonVirtualenvOperator
def leave():
    raise SystemExit(7)
PythonVirtualenvOperator(task_id="v", python_callable=leave, skip_on_exit_code=7)
"""
    )
    assert states(ran(pipeline)) == {"v": "skipped"}


def test_a_key_of_multiple_outputs_is_pulled(read: Reader) -> None:
    pipeline = read(
        """
@task(multiple_outputs=True)
def pair():
    return {"x": 1, "y": 2}
@task
def pulled(ti=None):
    return [ti.xcom_pull(task_ids="pair", key="x"), ti.xcom_pull(task_ids="pair")]
pair() >> pulled()
"""
    )
    assert ran(pipeline).outputs == {"pulled": [1, {"x": 1, "y": 2}]}


def test_a_value_that_contains_itself_is_refused(read: Reader) -> None:
    with pytest.raises(DefinitionError, match="contains itself"):
        read("ring = [1]\nring.append(ring)\nP('p', lambda given: len(given), op_args=[ring])")
