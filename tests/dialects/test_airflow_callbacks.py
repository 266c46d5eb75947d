"""Callbacks, e-mails, SLAs, outlets; `DagBag` and `dag.test()`; test files that import Airflow."""

from __future__ import annotations

import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from penstock.dialects.airflow.dagbag import DagBag
from penstock.errors import DefinitionError
from penstock.registering.loading import load_module, load_pipeline
from penstock.services import Services


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "penstock.toml").write_text("")
    return tmp_path


def written(name: str, text: str) -> str:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(dedent(text))
    return name


def ran(target: str, **parameters: Any) -> Any:
    return load_pipeline(target).options(executor="inline", progress=False).run(**parameters)


def test_callbacks_are_told_of_tasks_and_of_the_dag() -> None:
    written(
        "told.py",
        """
        from datetime import datetime, timedelta
        from airflow import DAG
        from airflow.exceptions import AirflowSkipException
        from airflow.notifications.basenotifier import BaseNotifier
        from airflow.operators.python import PythonOperator

        HEARD = []

        def heard(context):
            HEARD.append((context["ti"].task_id, str(context["ti"].state), repr(context.get("exception")), context["params"]["n"]))

        def dag_heard(context):
            HEARD.append((context["dag"].dag_id, context["reason"], context["run_id"] != "", str(context["dag_run"].state)))

        class Notifier(BaseNotifier):
            template_fields = ("text",)

            def __init__(self, text):
                super().__init__()
                self.text = text

            def notify(self, context):
                HEARD.append(self.text)

        def fail():
            raise ValueError("no")

        def skip():
            raise AirflowSkipException("nothing to do")

        arguments = {"on_failure_callback": heard, "on_skipped_callback": heard, "on_success_callback": [heard]}
        with DAG("told", schedule=None, default_args=arguments, on_failure_callback=dag_heard, params={"n": 1}):
            good = PythonOperator(task_id="good", python_callable=print)
            good >> PythonOperator(task_id="fail", python_callable=fail, on_failure_callback=[heard, Notifier("{{ task.task_id }} {{ ds }}")])
            good >> PythonOperator(task_id="skip", python_callable=skip, on_execute_callback=heard)
        """,
    )
    pipeline = load_pipeline("told.py").options(executor="inline", progress=False).at(logical_time="2024-03-06")
    assert pipeline.run(n=5).state == "failed"
    heard = load_pipeline("told.py").function.__globals__ and sys.modules[load_module("told.py").__name__].HEARD
    assert ("good", "success", "None", 5) in heard
    assert ("fail", "failed", "ValueError('no')", 5) in heard
    assert "fail 2024-03-06" in heard
    assert ("skip", "skipped", "None", 5) in heard and ("skip", "running", "None", 5) in heard
    assert ("told", "task_failure", True, "failed") in heard


def test_a_callback_that_cannot_be_called_is_refused() -> None:
    written(
        "wrong.py",
        """
        from airflow import DAG
        from airflow.operators.empty import EmptyOperator

        with DAG("wrong", schedule=None):
            EmptyOperator(task_id="a", on_failure_callback="tell me")
        """,
    )
    with pytest.raises(DefinitionError, match="on_failure_callback must be a function"):
        load_pipeline("wrong.py").graph()


class Mails(socketserver.StreamRequestHandler):
    """A server of SMTP that keeps what it is sent."""

    def handle(self) -> None:
        def say(text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

        say("220 here")
        while line := self.rfile.readline().decode().strip():
            if line.upper().startswith("DATA"):
                say("354 go on")
                kept: list[str] = []
                while (part := self.rfile.readline().decode().rstrip("\r\n")) != ".":
                    kept.append(part)
                self.server.mails.append("\n".join(kept))  # type: ignore[attr-defined]
            elif line.upper().startswith("QUIT"):
                say("221 bye")
                return
            say("250 ok")


@pytest.fixture
def mails(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Mails) as server:
        server.mails = []  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        monkeypatch.setenv("AIRFLOW__SMTP__SMTP_HOST", "127.0.0.1")
        monkeypatch.setenv("AIRFLOW__SMTP__SMTP_PORT", str(server.server_address[1]))
        monkeypatch.setenv("AIRFLOW__SMTP__SMTP_STARTTLS", "False")
        yield server.mails  # type: ignore[attr-defined]
        server.shutdown()
        thread.join()


def test_failures_are_told_by_e_mail(mails: list[str]) -> None:
    written(
        "mailed.py",
        """
        from datetime import timedelta
        from airflow import DAG
        from airflow.operators.bash import BashOperator
        from airflow.operators.email import EmailOperator

        arguments = {"email": "me@example.com; you@example.com", "email_on_retry": False, "retry_delay": timedelta(0)}
        with DAG("mailed", schedule=None, default_args=arguments):
            BashOperator(task_id="fail", bash_command="exit 3", retries=1)
            EmailOperator(task_id="send", to="all@example.com", subject="of {{ ds }}", html_content="<b>{{ task.task_id }}</b>")
        """,
    )
    pipeline = load_pipeline("mailed.py").options(executor="inline", progress=False).at(logical_time="2024-03-06")
    assert pipeline.run().state == "failed"
    assert len(mails) == 2
    alert, own = sorted(mails, key=lambda text: "of 2024-03-06" in text)
    assert "To: me@example.com, you@example.com" in alert and "mailed.fail" in alert
    assert "Subject: of 2024-03-06" in own and "<b>send</b>" in own


def test_a_task_with_outlets_tells_that_they_were_updated() -> None:
    written(
        "made.py",
        """
        from airflow.sdk import DAG, Asset, AssetAlias, task

        one, other = Asset("one", uri="s3://b/one"), AssetAlias("other")
        with DAG("made", schedule=None):
            @task(outlets=[one, other])
            def make(outlet_events):
                outlet_events[one].extra = {"rows": 7}
                outlet_events[other].add(Asset("late", uri="s3://b/late"), extra={"n": 1})
                return 1

            @task(outlets=Asset("never"))
            def fail(ready):
                raise ValueError("no")

            fail(make())
        """,
    )
    run = ran("made.py")
    assert run.state == "failed"
    with Services().existing_store() as store:
        found = {each.subject: each.data for _, each in store.agenda.occurrences(0, 100)}
    assert set(found) >= {"s3://b/one", "s3://b/late"} and "never" not in found
    assert found["s3://b/one"]["extra"] == {"rows": 7}
    assert found["s3://b/one"]["source_run_id"] == run.run_id
    assert found["s3://b/late"] | {"extra": {}} == found["s3://b/late"] | {
        "name": "late",
        "alias": "other",
        "extra": {},
    }


DAG_FILE = """
    from airflow import DAG
    from airflow.operators.python import PythonOperator

    def doubled(params):
        return params["n"] * 2

    with DAG("tested", schedule=None, params={"n": 2}) as dag:
        first = PythonOperator(task_id="first", python_callable=doubled)
        first >> PythonOperator(task_id="second", python_callable=print)
"""


def test_a_dag_bag_holds_the_dags_of_a_folder() -> None:
    written("dags/tested.py", DAG_FILE)
    written("dags/broken.py", "from airflow import DAG\nraise RuntimeError('in the file')\n")
    written("dags/inner/cycle.py", DAG_FILE.replace('"tested"', '"cycle"').replace("=print)", "=print) >> first"))
    written("dags/other.py", "raise RuntimeError('never loaded')\n")
    written("dags/passed/over.py", "from airflow import DAG\nraise RuntimeError('never loaded')\n")
    written("dags/.airflowignore", "passed/.*  # not these\n")
    bag = DagBag(dag_folder="dags", include_examples=False)
    assert set(bag.import_errors) == {"dags/broken.py", "dags/inner/cycle.py"}
    assert "in the file" in bag.import_errors["dags/broken.py"]
    assert "in a circle" in bag.import_errors["dags/inner/cycle.py"]
    assert bag.dag_ids == ["tested"] and bag.size() == 1
    dag = bag.get_dag("tested")
    assert dag is not None and [task.task_id for task in dag.tasks] == ["first", "second"]
    assert dag.get_task("second").upstream_task_ids == {"first"}
    assert bag.get_dag("nothing") is None
    run = dag.test(run_conf={"n": 5, "more": 1})
    assert run.state == "success"
    assert run.get_task_instance("first").xcom_pull() == 10
    assert [(each.task_id, each.state) for each in run.get_task_instances()] == [
        ("first", "success"),
        ("second", "success"),
    ]


def test_a_file_that_runs_its_dag_is_refused() -> None:
    written("runs.py", DAG_FILE + "    dag.test()\n")
    with pytest.raises(DefinitionError, match="runs the DAG from within its file"):
        load_pipeline("runs.py").graph()


@pytest.mark.slow
def test_test_files_that_import_airflow_are_collected(project: Path) -> None:
    written("dags/tested.py", DAG_FILE)
    written("conftest.py", 'pytest_plugins = ["penstock.dialects.airflow.testing"]\n')
    written(
        "test_dags.py",
        """
        import pytest
        from airflow.models import DagBag, Variable
        from airflow.utils.state import State

        @pytest.fixture
        def bag():
            return DagBag("dags")

        def test_it_loads(bag):
            assert not bag.import_errors
            assert bag.dags["tested"].tasks

        def test_it_runs(bag):
            assert bag.get_dag("tested").test().state == State.SUCCESS

        def test_what_is_not_covered():
            with pytest.raises(ImportError):
                from airflow.models import Nothing
        """,
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"], capture_output=True, text=True, check=False
    )
    assert "3 passed" in done.stdout, done.stdout + done.stderr


def test_the_password_of_a_connection_is_in_nothing_that_is_written(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(
        "secret.py",
        """
        from airflow import DAG
        from airflow.hooks.base import BaseHook
        from airflow.models import Variable
        from airflow.operators.bash import BashOperator
        from airflow.operators.python import PythonOperator

        def use():
            connection = BaseHook.get_connection("db")
            print("uri", connection.get_uri(), connection.extra_dejson, Variable.get("api_key"))
            return connection.host

        def fail():
            raise ValueError(BaseHook.get_connection("db").password)

        with DAG("secret", schedule=None):
            PythonOperator(task_id="use", python_callable=use)
            PythonOperator(task_id="fail", python_callable=fail)
            BashOperator(task_id="echo", bash_command="echo {{ conn.db.password }} | tr a-z A-Z; echo {{ conn.db.login }}")
        """,
    )
    extra = '{"api_token": "canary-three-5678"}'
    parts = f'{{"conn_type": "x", "host": "h", "login": "me", "password": "canary-one-1234", "extra": {extra}}}'
    monkeypatch.setenv("AIRFLOW_CONN_DB", parts)
    monkeypatch.setenv("AIRFLOW_VAR_API_KEY", "canary-two-91011")
    run = ran("secret.py")
    assert {each.id: each.state for each in run.tasks} == {"use": "succeeded", "fail": "failed", "echo": "succeeded"}
    held = b"".join(each.read_bytes() for each in (project / ".penstock").rglob("*") if each.is_file())
    for canary in (b"canary-one-1234", b"canary-two-91011", b"canary-three-5678"):
        assert canary not in held
