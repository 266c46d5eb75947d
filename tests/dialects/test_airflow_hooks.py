"""Hooks and sensors against real servers, files and runs."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from penstock.dialects.airflow import dag as dags
from penstock.dialects.airflow.basesensor import PokeReturnValue
from penstock.dialects.airflow.connections import Connection, get_connection
from penstock.dialects.airflow.context import context_of
from penstock.dialects.airflow.exceptions import AirflowException, AirflowFailException, ExternalTaskFailedError
from penstock.dialects.airflow.execution import Given
from penstock.dialects.airflow.hooks import BaseHook
from penstock.dialects.airflow.hooks.http import HttpHook
from penstock.dialects.airflow.hooks.s3 import S3Hook
from penstock.dialects.airflow.sensors.bash import BashSensor
from penstock.dialects.airflow.sensors.external_task import ExternalTaskSensor
from penstock.dialects.airflow.sensors.filesystem import FileSensor
from penstock.dialects.airflow.sensors.http import HttpSensor
from penstock.dialects.airflow.sensors.python import PythonSensor
from penstock.dialects.airflow.sensors.s3 import S3KeySensor
from penstock.dialects.airflow.sensors.times import DateTimeSensor, DayOfWeekSensor, TimeDeltaSensor, TimeSensor
from penstock.registering.loading import load_pipeline

AT = datetime(2024, 3, 6, tzinfo=UTC)


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "penstock.toml").write_text("")
    return tmp_path


def poke(kind: Any, **options: Any) -> Any:
    with dags.DAG("d", schedule=None):
        sensor = kind(task_id="wait", **options)
    return sensor.poke(context_of(sensor, Given({}, AT, AT, AT, pushed={})))


class Answers(BaseHTTPRequestHandler):
    """Says what it was asked; `/absent` is not there, `/broken` is wrong, `/late` is there the second time."""

    def do_GET(self) -> None:
        self.server.asked += 1  # type: ignore[attr-defined]
        status = {"/absent": 404, "/broken": 500}.get(self.path, 200)
        if self.path == "/late" and self.server.asked < 2:  # type: ignore[attr-defined]
            status = 404
        length = int(self.headers.get("Content-Length", 0))
        told = {
            "path": self.path,
            "method": self.command,
            "body": self.rfile.read(length).decode(),
            "token": self.headers.get("X-Token"),
        }
        told["auth"] = self.headers.get("Authorization")
        body = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadingHTTPServer]:
    found = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    found.asked = 0  # type: ignore[attr-defined]
    extra = json.dumps({"X-Token": "t", "timeout": 5})
    connection = Connection(
        "http_default",
        "http",
        host="127.0.0.1",
        port=found.server_port,
        login="me",
        password="canary-pw-1",
        extra=extra,
    )
    monkeypatch.setenv("AIRFLOW_CONN_HTTP_DEFAULT", connection.get_uri())
    thread = threading.Thread(target=found.serve_forever, args=(0.02,))
    thread.start()
    yield found
    found.shutdown()
    thread.join()
    found.server_close()


def test_the_http_hook(server: ThreadingHTTPServer) -> None:
    told = HttpHook("GET").run("a/b", data={"q": "1"}).json()
    assert (told["path"], told["method"], told["token"]) == ("/a/b?q=1", "GET", "t")
    assert told["auth"].startswith("Basic ")
    assert HttpHook().run("/x", data="body", headers={"X-Token": "own"}).json() | {"auth": ""} == {
        "path": "/x",
        "method": "POST",
        "body": "body",
        "token": "own",
        "auth": "",
    }
    with pytest.raises(AirflowException, match=r"^404:"):
        HttpHook("GET").run("absent")
    assert HttpHook("GET").run("absent", extra_options={"check_response": False}).status_code == 404
    assert isinstance(get_connection("http_default").get_hook(), HttpHook)
    assert isinstance(BaseHook.get_hook("http_default"), HttpHook)


def test_the_http_operator(server: ThreadingHTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # what it answers holds the password of the other connection
    monkeypatch.setenv("AIRFLOW_CONN_BARE", f"http://127.0.0.1:{server.server_port}")
    (tmp_path / "asking.py").write_text(
        dedent("""
        from airflow import DAG
        from airflow.providers.http.operators.http import HttpOperator, SimpleHttpOperator

        def further(answer):
            return {"endpoint": "two"} if answer.json()["path"] == "/one" else None

        with DAG("asking", schedule=None, params={"name": "a"}):
            SimpleHttpOperator(
                task_id="text", endpoint="{{ params.name }}", method="GET", data={"q": "1"}, http_conn_id="bare"
            )
            HttpOperator(
                task_id="made", endpoint="b", data="x", response_check=lambda answer: answer.ok,
                response_filter=lambda answer, params: [answer.json()["body"], params["name"]],
            )
            HttpOperator(
                task_id="pages", endpoint="one", pagination_function=further,
                response_filter=lambda answers: [each.json()["path"] for each in answers],
            )
        with DAG("refusing", schedule=None):
            HttpOperator(task_id="refused", endpoint="b", response_check=lambda answer: False)
        """)
    )
    told, refused = (
        load_pipeline(f"asking.py:{name}").options(executor="inline", progress=False, logs=False).run()
        for name in ("asking", "refusing")
    )

    assert json.loads(told.outputs["text"])["path"] == "/a?q=1"
    assert (told.outputs["made"], told.outputs["pages"]) == (["x", "a"], ["/one", "/two"])
    assert "Response check returned False" in str(refused.task("refused").error)


def test_the_http_sensor(server: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    assert poke(HttpSensor, endpoint="absent") is False
    assert poke(HttpSensor, endpoint="there") is True
    assert poke(HttpSensor, endpoint="there", response_check=lambda answer: "there" not in answer.text) is False
    found = poke(HttpSensor, endpoint="x", response_check=lambda answer, ds: PokeReturnValue(True, ds))
    assert (found.is_done, found.xcom_value) == (True, "2024-03-06")
    with pytest.raises(AirflowException, match=r"^500:"):
        poke(HttpSensor, endpoint="broken")
    monkeypatch.setenv("AIRFLOW_CONN_NOBODY", "http://127.0.0.1:9")
    assert poke(HttpSensor, endpoint="there", http_conn_id="nobody") is False


@pytest.fixture(scope="module")
def buckets() -> Iterator[str]:
    moto = pytest.importorskip("moto.server")
    found = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    found.start()
    host, port = found.get_host_and_port()
    yield f"http://{host}:{port}"
    found.stop()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.slow
def test_the_s3_hook_and_its_sensor(buckets: str, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = Connection(
        "lake",
        "aws",
        login="key",
        password="canary-secret-key",
        extra={"region_name": "us-east-1", "endpoint_url": buckets},
    )
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", connection.as_json())
    hook = S3Hook("lake")
    hook.create_bucket("lake-b")
    assert hook.check_for_bucket("lake-b") and not hook.check_for_bucket("other")
    hook.load_string("hello", "in/one.txt", "lake-b")
    hook.load_bytes(b"\x00", key="s3://lake-b/in/two.bin")
    with pytest.raises(ValueError, match="already exists"):
        hook.load_string("again", "in/one.txt", "lake-b")
    hook.load_string("again", "in/one.txt", "lake-b", replace=True)
    assert hook.read_key("s3://lake-b/in/one.txt") == "again"
    assert hook.list_keys("lake-b", prefix="in/") == ["in/one.txt", "in/two.bin"]
    assert hook.list_keys("lake-b", prefix="in/*.txt", apply_wildcard=True) == ["in/one.txt"]
    assert hook.list_prefixes("lake-b", delimiter="/") == ["in/"]
    assert hook.check_for_wildcard_key("in/*.bin", "lake-b") and not hook.check_for_wildcard_key("in/*.csv", "lake-b")
    hook.copy_object("in/one.txt", "out/one.txt", "lake-b", "lake-b")
    assert Path(hook.download_file("out/one.txt", "lake-b", str(project))).read_text() == "again"
    (project / "file.csv").write_text("1,2")
    hook.load_file(project / "file.csv", "s3://lake-b/file.csv")
    assert poke(S3KeySensor, bucket_key="s3://lake-b/file.csv", aws_conn_id="lake") is True
    assert (
        poke(S3KeySensor, bucket_key=["in/one.txt", "in/none.txt"], bucket_name="lake-b", aws_conn_id="lake") is False
    )
    many = {"bucket_key": "in/*", "bucket_name": "lake-b", "wildcard_match": True, "aws_conn_id": "lake"}
    assert poke(S3KeySensor, **many, check_fn=lambda files: sum(each["Size"] for each in files) == 6) is True
    assert poke(S3KeySensor, **many, check_fn=lambda files: False) is False
    hook.delete_objects("lake-b", ["in/one.txt"])
    hook.delete_bucket("lake-b", force_delete=True)
    assert isinstance(get_connection("lake").get_hook(), S3Hook)


def test_sensors_of_files_commands_and_functions(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert poke(FileSensor, filepath="data/*.csv") is False
    (project / "data").mkdir()
    assert poke(FileSensor, filepath="data") is False
    (project / "data" / "a.csv").write_text("")
    assert poke(FileSensor, filepath="data/*.csv") is True
    assert poke(FileSensor, filepath="data") is True
    monkeypatch.setenv("AIRFLOW_CONN_PLACE", json.dumps({"conn_type": "fs", "extra": {"path": str(project / "data")}}))
    assert poke(FileSensor, filepath="a.csv", fs_conn_id="place") is True
    assert poke(BashSensor, bash_command="exit 1") is False
    assert poke(BashSensor, bash_command="test $NAME = x", env={"NAME": "x", "PATH": "/usr/bin:/bin"}) is True
    with pytest.raises(AirflowFailException, match="exit code 2"):
        poke(BashSensor, bash_command="exit 2", retry_exit_code=1)
    assert poke(PythonSensor, python_callable=lambda ds, x: (ds, x) == ("2024-03-06", 1), op_kwargs={"x": 1}) is True


def test_sensors_of_times() -> None:
    now = datetime.now(UTC)
    assert poke(DateTimeSensor, target_time=now - timedelta(seconds=1)) is True
    assert poke(DateTimeSensor, target_time=(now + timedelta(minutes=1)).isoformat()) is False
    assert poke(TimeDeltaSensor, delta=timedelta(hours=1)) is True
    assert poke(TimeDeltaSensor, delta=now - AT + timedelta(minutes=1)) is False
    assert poke(TimeSensor, target_time=time(0, 0)) is True
    assert poke(TimeSensor, target_time="23:59:59.999999") is False
    assert poke(DayOfWeekSensor, week_day={"Wednesday"}, use_task_logical_date=True) is True
    assert poke(DayOfWeekSensor, week_day="Monday", use_task_logical_date=True) is False
    with pytest.raises(AttributeError, match="Invalid Week Day"):
        poke(DayOfWeekSensor, week_day="Someday")


def test_the_sensor_of_another_dag(project: Path) -> None:
    (project / "other.py").write_text(
        dedent(
            """
            from airflow import DAG
            from airflow.operators.python import PythonOperator

            def fine():
                return 1

            def wrong():
                raise ValueError("no")

            with DAG("other", schedule=None, params={"good": True}):
                PythonOperator(task_id="fine", python_callable=fine)
                PythonOperator(task_id="wrong", python_callable=wrong)
            """
        )
    )
    sensor = {"external_dag_id": "other"}
    assert poke(ExternalTaskSensor, **sensor) is False
    run = load_pipeline("other.py:other").options(executor="inline", progress=False).at(logical_time=AT)
    assert run.run().state == "failed"
    assert poke(ExternalTaskSensor, **sensor) is False
    assert poke(ExternalTaskSensor, **sensor, allowed_states=["success", "failed"]) is True
    assert poke(ExternalTaskSensor, **sensor, external_task_id="fine") is True
    assert poke(ExternalTaskSensor, **sensor, external_task_ids=["fine", "wrong"]) is False
    with pytest.raises(ExternalTaskFailedError):
        poke(ExternalTaskSensor, **sensor, external_task_ids=["wrong"], failed_states=["failed"])
    assert poke(ExternalTaskSensor, **sensor, external_task_id="fine", execution_delta=timedelta(days=1)) is False
    assert poke(ExternalTaskSensor, **sensor, external_task_id="fine", execution_date_fn=lambda at: [at]) is True
