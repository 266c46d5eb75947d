"""Waits: what they ask, and the nodes that they make."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from refusals import in_body, refusal

from penstock import (
    Fail,
    Retry,
    chain,
    current,
    pipeline,
    task,
    wait,
    wait_for_artifact,
    wait_for_duration,
    wait_for_file,
    wait_for_time,
    wait_for_url,
    waiting,
)
from penstock.model.expression import Constant, Output
from penstock.model.graph import Node, Wait


@wait(poll=0.01, backoff=1.5, longest=timedelta(seconds=0.05), timeout=9)
def grown(folder: str) -> int:
    with Path(folder, "count").open("a") as file:
        file.write("x")
    count = Path(folder, "count").stat().st_size
    return count if count >= 3 else 0


@wait
def plain() -> bool:
    return True


@task(cache=False)
def now() -> float:
    return time.time()


@task
def report(name: str) -> str:
    current().log_artifact("page", f"<{name}>")
    return name


@pipeline
def reporting(name: str = "a") -> dict[str, str]:
    return {"name": report(name)}


def nodes_of(body: Any) -> dict[str, Node]:
    return {node.id: node for node in pipeline(body).graph().nodes}


def value(body: Any) -> Any:
    return pipeline(body).options(executor="inline")()


def test_a_wait_of_ones_own() -> None:
    nodes = nodes_of(lambda: (grown("x"), plain()))
    assert nodes["grown"].wait == Wait(poll=0.01, factor=1.5, longest=0.05, timeout=9.0)
    assert nodes["plain"].wait == Wait()
    assert not nodes["grown"].policy.cache


def test_it_is_asked_until_it_is_there(project: Path) -> None:
    assert value(lambda: grown(str(project))) == 3
    assert grown(str(project)) == 4


def test_the_nodes_of_built_in_waits() -> None:
    def body() -> None:
        wait_for_file("a.csv", name="data", poll=1, timeout=60, on_timeout="skip")
        wait_for_url("http://localhost", status=[200, 404], poll=900)
        wait_for_time(datetime(2026, 1, 1, tzinfo=UTC))
        wait_for_artifact(reporting, "page", since=timedelta(days=1), node_name="page")

    nodes = nodes_of(body)
    assert nodes["data"].wait == Wait(poll=1.0, timeout=60.0, on_timeout="skip")
    assert nodes["data"].bindings == {"path": Constant("a.csv")}
    assert nodes["wait_for_url"].wait == Wait(poll=900.0, longest=900.0)
    assert nodes["wait_for_url"].bindings["status"] == Constant([200, 404])
    assert nodes["wait_for_time"].bindings == {"when": Constant(datetime(2026, 1, 1, tzinfo=UTC))}
    assert nodes["page"].bindings["pipeline"] == Constant("reporting")


def test_a_duration_counts_from_what_comes_before() -> None:
    def body() -> None:
        first, last = now(), now.options(name="last")
        chain(first, wait_for_duration(0.2, name="pause", poll=0.05), last())

    nodes = nodes_of(body)
    assert nodes["pause-begin"].after == ("now",)
    assert nodes["pause"].bindings == {"when": Output("pause-begin")}
    assert nodes["last"].after == ("pause",)


def test_a_duration_passes() -> None:
    def body() -> Any:
        first = now()
        return first, now.options(name="last", after=wait_for_duration(0.2, after=first))()

    first, last = value(body)
    assert last - first >= 0.2


def test_a_moment() -> None:
    assert waiting.time_reached(time.time() - 1)
    assert waiting.time_reached("2020-01-01T00:00:00")
    with pytest.raises(Retry) as caught:
        waiting.time_reached(datetime.now(UTC) + timedelta(hours=1))
    assert caught.value.after is not None and 3500 < caught.value.after <= 3600
    with pytest.raises(Fail, match="'soon' is not a time"):
        waiting.time_reached("soon")


def test_a_file(project: Path) -> None:
    with pytest.raises(Retry, match=r"there is no file or folder /.*/x"):
        waiting.file_there(project / "x")
    (project / "x").touch()
    assert waiting.file_there(project / "x") == str(project / "x")
    assert value(lambda: wait_for_file(project / "x")) == str(project / "x")


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(int(self.path.strip("/")))
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is to be said."""


@pytest.fixture
def server() -> Generator[str]:
    with HTTPServer(("127.0.0.1", 0), Answers) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
        thread.join()


def test_a_url(server: str) -> None:
    assert waiting.url_answers(f"{server}/200") == 200
    with pytest.raises(Retry, match=f"{server}/503 answers with status 503"):
        waiting.url_answers(f"{server}/503")
    with pytest.raises(Retry, match="/200 answers with status 200"):
        waiting.url_answers(f"{server}/200", 404)
    assert waiting.url_answers(f"{server}/404", [404, 410]) == 404
    assert value(lambda: wait_for_url(f"{server}/204")) == 204


def test_a_url_that_nobody_answers() -> None:
    with pytest.raises(Retry, match=r"http://127.0.0.1:9/ does not answer: .*refused"):
        waiting.url_answers("http://127.0.0.1:9/")
    with pytest.raises(Fail, match="'file:///etc/hosts' is not an http:// or https:// address"):
        waiting.url_answers("file:///etc/hosts")


def test_a_wait_that_is_over_says_what_was_missing(server: str) -> None:
    def body() -> None:
        wait_for_url(f"{server}/503", name="answer", poll=0.02, timeout=0.1)
        wait_for_file("nowhere.csv", name="data", poll=0.02, timeout=0.1, on_timeout="skip")

    run = pipeline(body).options(executor="inline").run()
    error = run.task("answer").error or ""
    assert f"what answer waits for was not there after 0.1 s: {server}/503 answers with status 503" in error
    assert re.search(r"after 0\.1 s: there is no file or folder /.*/nowhere\.csv", run.task("data").reason)


def test_an_artifact() -> None:
    with pytest.raises(Retry, match="no run of reporting has succeeded"):
        waiting.artifact_there("reporting")
    run = reporting.options(executor="inline").run()
    assert waiting.artifact_there("reporting") == run.run_id
    assert waiting.artifact_there("reporting", "page") == run.run_id
    assert waiting.artifact_there("reporting", "name", timedelta(minutes=1)) == run.run_id
    with pytest.raises(Retry, match="has succeeded and made 'other'"):
        waiting.artifact_there("reporting", "other")
    with pytest.raises(Retry, match="no run of reporting has succeeded"):
        waiting.artifact_there("reporting", since=time.time() + 60)
    assert value(lambda: wait_for_artifact("reporting", "page")) == run.run_id


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("wait_for_file('a', pol=3)", "there is no option 'pol' of a wait; did you mean 'poll'?"),
        ("wait_for_time('soon')", "'soon' is not a time"),
        ("wait_for_time([3])", "[3] is not a time"),
        ("wait_for_file('a', poll=0)", "poll must be a number of seconds above 0, not 0"),
        ("wait_for_file('a', backoff=0.5)", "backoff must be a number from 1 up, not 0.5"),
        ("wait_for_file('a', poll=5, longest=2)", "longest (2 s) is less than poll (5 s)"),
        ("wait_for_file('a', on_timeout='stop')", 'on_timeout must be "fail" or "skip", not \'stop\''),
    ],
)
def test_mistakes(line: str, message: str, project: Path) -> None:
    error = refusal(in_body(f"{line}  #!"), project)
    assert re.search(re.escape(message), error.what), error.what


def test_outside_a_pipeline(project: Path) -> None:
    error = refusal("wait_for_file('a')  #!", project)
    assert "wait_for_file() is used outside a pipeline" in error.what
