"""Files in the manners in which people write them: old imports, helpers in other files, slips, and what has no effect."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from penstock import Pipeline, Run
from penstock.dialects.airflow.exceptions import AirflowException
from penstock.dialects.airflow.mail import send_email
from penstock.dialects.airflow.recorded import place_of
from penstock.dialects.airflow.states import STATES
from penstock.errors import PenstockError
from penstock.model.action import ContainerAction
from penstock.registering.loading import load_module, load_pipeline, pipelines_in

FILES = Path(__file__).parent / "airflow_files"
CORPUS = Path(__file__).parent / "corpus" / "airflow"

Write = Callable[[str], str]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes a file of DAGs into a project, and gives its name."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "penstock.toml").write_text("")
    name = f"{tmp_path.name}.py".replace("-", "_")

    def write(text: str) -> str:
        Path(name).write_text(dedent(text))
        return name

    return write


def ran(pipeline: Pipeline[..., Any], **given: Any) -> Run:
    return pipeline.options(executor="inline", progress=False, logs=False, cache=False).run(**given)


def test_what_files_of_1_10_import_is_there(write: Write) -> None:
    file = write(
        """
        import airflow
        from airflow import DAG, __version__
        from airflow.contrib.sensors.file_sensor import FileSensor
        from airflow.operators import BashOperator, PythonOperator
        from airflow.operators.python import task
        from airflow.operators.sensors import TimeDeltaSensor
        from airflow.version import version

        dag = DAG("it", default_args={"start_date": airflow.utils.dates.days_ago(1)}, schedule_interval="@once")
        found = FileSensor(task_id="found", filepath=__file__, dag=dag)
        shell = BashOperator(task_id="shell", bash_command="echo 1", xcom_push=True, dag=dag)
        quiet = BashOperator(task_id="quiet", bash_command="echo 1", xcom_push=False, dag=dag)
        told = PythonOperator(task_id="told", python_callable=lambda ti: ti.xcom_pull(["shell", "quiet"]), dag=dag)
        found >> [shell, quiet] >> told
        with dag:
            @task
            def newer():
                return __version__ == version and int(version[0])
            newer()
        """
    )

    run = ran(load_pipeline(file))

    assert run.outputs == {"told": ["1"], "newer": 3}


IDLE = """
from airflow import DAG
from airflow.models.param import Param
from airflow.operators.bash import BashOperator
from airflow.operators.empty import EmptyOperator
from airflow.operators.http_operator import SimpleHttpOperator
from airflow.operators.python import PythonOperator
from airflow.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.utils.edgemodifier import Label
from airflow.utils.task_group import TaskGroup

defaults = {"retry-delay": 1, "yesterday": 2, "provide_context": True, "retries": 0, "owner": "me"}
form = {"n": Param(1, type="integer", title="How many", section="More")}
with DAG("it", schedule=None, default_args=defaults, params=form, orientation="LR") as dag:
    with TaskGroup("g", tooltip="tip", ui_color="red"):
        a = PythonOperator(task_id="a", python_callable=print, show_return_value_in_logs=False, pool_slots=2)
    b = TriggerDagRunOperator(
        task_id="b", trigger_dag_id="it", trigger_run_id="r", reset_dag_run=True, skip_when_already_exists=True,
        fail_when_dag_is_paused=True, poke_interval=5,
    )
    c = SimpleHttpOperator(task_id="c", tcp_keep_alive=True)
    d = BashOperator(task_id="d", bash_command="echo {{ ti.xcom_pull('nobody') }} {{ ti.xcom_pull('c') }}")
    a >> Label("then") >> [b, c]
a.doc_md = "set afterwards"
astray = EmptyOperator(task_id="astray")
"""


def test_what_a_file_says_to_no_effect_is_told(write: Write) -> None:
    file = write(IDLE)

    said = {each.what: each.why for each in load_pipeline(file).ignored}

    assert set(said) == {
        "the DAG 'it': orientation",
        "the DAG 'it': owner in default_args",
        "the DAG 'it': provide_context in default_args",
        "the DAG 'it': retry-delay in default_args",
        "the DAG 'it': yesterday in default_args",
        "the group 'g': tooltip",
        "the group 'g': ui_color",
        "the label 'then'",
        "the param 'n': title, section",
        "the task 'astray'",
        "the task 'c': tcp_keep_alive",
        "the task 'd': xcom_pull of 'c'",
        "the task 'd': xcom_pull of 'nobody'",
        "the task 'g.a': doc_md",
        "the task 'g.a': pool_slots",
        "the task 'g.a': show_return_value_in_logs",
        *(f"the task 'b': {name}" for name in ("fail_when_dag_is_paused", "poke_interval", "reset_dag_run")),
        *(f"the task 'b': {name}" for name in ("skip_when_already_exists", "trigger_run_id")),
    }
    assert said["the DAG 'it': retry-delay in default_args"].endswith("did you mean 'retry_delay'?")


SLIPS = {
    'DAG("it", schedule_intervall="@daily")': "no argument 'schedule_intervall'; did you mean 'schedule_interval'",
    'DAG("it", schedule="every day")': "the cron expression 'every day' has 2 fields",
    'DAG("it", start_date=20240101)': "start_date of the DAG 'it' is 20240101, which is no moment",
    'with DAG("it"): Bash(task_id="x", bash_comand="x")': "missing keyword argument 'bash_command', and 'bash_comand' is none of them",
    'with DAG("it"): Bash(task_id="x", bash_command="x", enw={})': "no argument 'enw'; did you mean 'env'",
    'with DAG("it"): Python(task_id="x", python_callable=print, n=3)': "goes into op_kwargs",
    'with DAG("it"): Python(task_id="x", python_callable=3)': "takes a function, not 3",
    'with DAG("it"): Python(task_id="x", python_callable=print, trigger_rule="all_sucess")': "mean 'all_success'",
    'with DAG("it"): Sub(task_id="x", subdag=None)': "Put its tasks into a TaskGroup",
    'with DAG("it"): Empty(task_id="x")': "from airflow.operators.empty import EmptyOperator",
    'with DAG("it"): Python(task_id="x", python_callable=print, on_failure_callback=slack)': "SlackWebhookOperator",
}


@pytest.mark.parametrize(("line", "message"), SLIPS.items())
def test_slips_are_told_with_their_line_before_anything_runs(write: Write, line: str, message: str) -> None:
    file = write(
        f"""
        from airflow import DAG
        from airflow.contrib.operators.slack_webhook_operator import SlackWebhookOperator
        from airflow.operators.bash import BashOperator as Bash
        from airflow.operators.python import EmptyOperator as Empty, PythonOperator as Python
        from airflow.operators.subdag import SubDagOperator as Sub
        def slack(context):
            return SlackWebhookOperator(task_id="told").execute(context)
        dag = {line if line.startswith("DAG") else "None"}
        {line if line.startswith("with") else "Python(task_id='x', python_callable=print, dag=dag)"}
        """
    )

    with pytest.raises(PenstockError) as caught:
        load_pipeline(file).define({})

    assert message in str(caught.value)
    assert f"{file}:" in str(caught.value) or f'{file}", line ' in str(caught.value)


def test_a_function_under_dag_that_nobody_calls_is_told(write: Write) -> None:
    file = write("from airflow.decorators import dag\n@dag(schedule=None)\ndef never():\n    pass\n")

    with pytest.raises(PenstockError, match=rf"Call the function under @dag at {file}:2, .*: never\(\)"):
        load_pipeline(file)


def test_operators_push_and_pull_and_ask_how_others_are(write: Write) -> None:
    file = write(
        """
        from airflow import DAG
        from airflow.models import BaseOperator
        from airflow.operators.python import PythonOperator

        class Push(BaseOperator):
            def execute(self, context):
                self.xcom_push(context, key="rows", value=3)

        class Pull(BaseOperator):
            def execute(self, context):
                return self.xcom_pull(context, task_ids="g.push", key="rows")

        def boom():
            raise ValueError("on purpose")

        def others(dag_run, ti):
            failed = [each.task_id for each in dag_run.get_task_instances(state="failed")]
            states = ti.get_task_states(dag_id=dag_run.dag_id, task_group_id="g")[dag_run.run_id]
            one = dag_run.get_task_instance("pull")
            return [failed, sorted(states), one.state, dag_run.get_task_instance("nobody")]

        from airflow.utils.task_group import TaskGroup
        with DAG("it", schedule=None, default_args={"start_date": "2019-8-5"}) as dag:
            with TaskGroup("g"):
                push = Push(task_id="push")
                bad = PythonOperator(task_id="bad", python_callable=boom)
            ask = PythonOperator(task_id="ask", python_callable=others, trigger_rule="all_done")
            push >> Pull(task_id="pull") >> ask
            bad >> ask
        """
    )
    pipeline = load_pipeline(file)

    run = ran(pipeline)

    assert run.outputs == {"ask": [["g.bad"], ["g.bad", "g.push"], "success", None]}


def test_a_generator_gives_what_it_returns_and_tells_of_assets(write: Write) -> None:
    file = write(
        """
        from airflow.sdk import DAG, Asset, Metadata, asset, task
        with DAG("it", schedule=None):
            @task(outlets=[Asset("wild")])
            def measured():
                yield Metadata(Asset("wild"), {"rows": 3})
                return 7
            measured()

        @asset(schedule=None)
        def made(outlet_events, size=2):
            outlet_events[Asset("made")].extra = {"size": size}
            return size
        """
    )
    found = pipelines_in(load_module(file))

    assert ran(found["it"]).task("measured").outputs == {
        "result": 7,
        "xcoms": {"__outlet_events__": {"wild": {"extra": {"rows": 3}}}},
    }
    assert ran(found["made"]).outputs == {"made": 2}
    assert not found["made"].ignored


def test_of_six_fields_of_a_cron_expression_the_last_is_the_second(write: Write) -> None:
    from penstock.dialects.airflow.dag import DAG
    from penstock.dialects.airflow.schedules import schedule_of, timetable_of

    dag = DAG("it", schedule="10 2 * * * 30")
    schedule = schedule_of(dag, timetable_of(dag))

    assert schedule is not None
    assert "30 10 2 * * *" in repr(schedule.timetable)


def test_a_mail_server_that_is_not_there_is_told_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    # a port that is taken, and that nobody listens at
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        monkeypatch.setenv("AIRFLOW__SMTP__SMTP_HOST", "127.0.0.1")
        monkeypatch.setenv("AIRFLOW__SMTP__SMTP_PORT", str(port))

        with pytest.raises(AirflowException, match=rf"no mail server at 127\.0\.0\.1:{port} .*SMTP_HOST"):
            send_email("a@example.org", "subject", "text")


def test_what_is_said_of_running_a_task_is_said_of_its_node(write: Write) -> None:
    file = write(
        """
        from datetime import datetime, timedelta
        from airflow import DAG
        from airflow.operators.python import PythonOperator
        from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator

        again = {"retries": 3, "retry_delay": timedelta(seconds=2), "retry_exponential_backoff": True}
        with DAG(
            "it", schedule=None, default_args=again, dagrun_timeout=timedelta(minutes=5), fail_stop=True, max_active_runs=2
        ):
            PythonOperator(
                task_id="a", python_callable=print, execution_timeout=timedelta(seconds=7), pool="wide", pool_slots=2,
                priority_weight=9, max_active_tis_per_dag=4, max_retry_delay=timedelta(seconds=9), sla=timedelta(hours=1),
            )
            KubernetesPodOperator(
                task_id="b", image="busybox", cmds=["echo"], arguments=["hi"], env_vars={"A": "1"}, namespace="default",
                retries=0, depends_on_past=True,
            )
        """
    )
    pipeline = load_pipeline(file)

    graph = pipeline.define({}).graph
    nodes = {node.id: node for node in graph.nodes}
    a, b = nodes["a"], nodes["b"]

    assert (a.policy.retries.count, a.policy.retries.delays, a.policy.retries.factor) == (3, (2.0,), 2.0)
    assert (a.policy.retries.cap, a.policy.timeouts.attempt, a.policy.deadline) == (9.0, 7.0, 3600.0)
    assert (a.policy.resources.pools, a.policy.priority, a.policy.concurrency) == ({"wide": 2}, 9, 4)
    action = graph.tasks[b.task].action
    assert isinstance(action, ContainerAction)
    assert (action.image, action.command.argv, b.policy.retries.count) == ("busybox", ("hi",), 0)
    assert "echo" in " ".join(action.arguments)
    assert (graph.policy.timeout, graph.policy.on_failure, graph.policy.concurrency) == (300.0, "stop", 1)
    assert {"the task 'b': namespace"} == {each.what for each in pipeline.ignored}


@pytest.mark.slow
def test_a_function_is_called_in_another_python(write: Write) -> None:
    file = write(
        """
        import sys
        from airflow import DAG
        from airflow.operators.python import ExternalPythonOperator, PythonOperator

        def told(a, b, ds=None):
            import os
            return [a + b, os.getpid(), len(ds)]

        with DAG("it", schedule=None):
            there = ExternalPythonOperator(task_id="there", python=sys.executable, python_callable=told, op_args=[1, 2])
            PythonOperator(task_id="after", python_callable=lambda found: found, op_args=[there.output])
        """
    )

    total, process, length = ran(load_pipeline(file)).outputs["after"]

    assert (total, length) == (3, 10)
    assert process != os.getpid()


@pytest.fixture
def wild(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with DAGs, in a project."""
    shutil.copytree(FILES / "wild", tmp_path / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "penstock.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "dags"


def test_callbacks_find_what_tasks_have_handed_on(wild: Path) -> None:
    pipeline = load_pipeline(f"{wild / 'wild_dags.py'}:shared")

    run = ran(pipeline)

    assert run.state == "failed"
    assert sys.modules["wild_tasks"].TOLD == [("check", 6)]


@pytest.mark.slow
def test_workers_find_tasks_of_other_files(wild: Path) -> None:
    pipeline = load_pipeline(f"{wild / 'wild_dags.py'}:shared")

    run = pipeline.options(progress=False, logs=False, workers=1).run()

    assert run.task("train").output == 6
    assert run.task("clean").outputs["result"] == 6


@pytest.mark.slow
def test_a_dag_is_started_about_the_date_that_is_said(write: Write) -> None:
    file = write(
        """
        from airflow import DAG
        from airflow.operators.bash import BashOperator
        from airflow.operators.trigger_dagrun import TriggerDagRunOperator
        with DAG("first", schedule=None):
            TriggerDagRunOperator(
                task_id="start", trigger_dag_id="second", execution_date="2024-02-0{{ 1 + 2 }}", wait_for_completion=True
            )
        with DAG("second", schedule=None):
            BashOperator(task_id="tell", bash_command=f"echo {{{{ ds }}}} > {__file__}.told")
        """
    )

    assert ran(load_pipeline(f"{file}:first")).state == "succeeded"

    assert Path(f"{file}.told").read_text() == "2024-02-03\n"


def here(pipeline: Pipeline[..., Any], known: set[str]) -> tuple[dict[str, str], dict[str, Any]]:
    """The states of the tasks of a DAG under Airflow's names, and the outputs of its run."""
    run = ran(pipeline)
    states: dict[str, str] = {}
    for each in run.tasks:
        task, index = place_of(each.id)
        name = task if index < 0 else f"{task}[{index}]"
        if name in known:
            states[name] = str(STATES[each.state])
    return states, json.loads(json.dumps(run.outputs))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_airflow_itself_comes_to_the_same_states_and_values(
    peer: Callable[[str], Path], wild: Path, tmp_path: Path
) -> None:
    for file in CORPUS.glob("*.py"):
        shutil.copy(file, wild)
    done = subprocess.run(
        [peer("airflow"), FILES / "dags_of_airflow.py", wild, tmp_path / "results.json"],
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert (tmp_path / "results.json").exists(), done.stderr[-3000:]
    there = json.loads((tmp_path / "results.json").read_text())
    assert {name: each["error"] for name, each in there.items() if "error" in each} == {}
    assert len(there) > len(list(CORPUS.glob("*.py")))

    for file in sorted(wild.glob("*.py")):
        for name, pipeline in pipelines_in(load_module(str(file))).items():
            states, outputs = here(pipeline, set(there[name]["states"]))
            assert states == there[name]["states"], name
            # a command that says nothing has an empty XCom there
            told = {task: value for task, value in there[name]["returned"].items() if task in outputs}
            assert {task: value for task, value in outputs.items() if value is not None} == told, name
