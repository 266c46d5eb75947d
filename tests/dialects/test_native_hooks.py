"""Messages and other hooks in penstock's own Python, as it is written and as it is read again."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from penstock.app import Pipeline
from penstock.notifications import email, slack, webhook
from penstock.registering.exporting import exported
from penstock.registering.loading import load_pipeline

HOOK = "https://example.com/hook"
NOTIFIED = """
    pipeline: {name: notified, outputs: {done: one}}
    stages:
      - {name: one, uses: 'steps:one', environment: {MODE: fast}}
    notifications:
      on_success: {email: me@example.com}
      on_failure:
        - slack: env:SLACK_URL
        - slack: {url: env:SLACK_URL, text: "{pipeline}: {error_message}", channel: ops}
        - email: {to: [a@example.com, b@example.com], from: ml@example.com, subject: "{pipeline} failed", server: env:MAIL}
        - webhook:
            url: HOOK
            method: PUT
            headers: {Authorization: env:TOKEN}
            body: {text: "{summary}", list: [1, 2.5]}
        - call: steps:tell
""".replace("HOOK", HOOK)
STEPS = """
    import os

    def one(factor: int = 2) -> str:
        return os.environ["MODE"] * factor

    def tell(context):
        print(context.summary)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test is in a project of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _written(file: Path, text: str) -> str:
    file.write_text(dedent(text))
    return str(file)


def _hooks(pipeline: Pipeline[..., Any]) -> Any:
    return pipeline.define(pipeline.signature.resolve(given={}, partial=True)).settings.hooks


def test_notifications_are_written_and_read_again(folder: Path) -> None:
    _written(folder / "steps.py", STEPS)
    first = load_pipeline(_written(folder / "notified.yaml", NOTIFIED))
    text = exported(first, "penstock", stem="native").written.text
    assert "from penstock.notifications import email, slack, webhook\n" in text
    assert '    on_success=email("me@example.com"),\n' in text
    assert 'slack("env:SLACK_URL", text="{pipeline}: {error_message}", channel="ops"),\n' in text
    native = load_pipeline(_written(folder / "native.py", text))
    hooks = _hooks(native)
    assert hooks.success == (email("me@example.com"),)
    assert hooks.failure[0] == slack("env:SLACK_URL")
    assert hooks.failure[3] == webhook(
        HOOK,
        method="PUT",
        headers={"Authorization": "env:TOKEN"},
        body={"text": "{summary}", "list": [1, 2.5]},
    )
    assert [getattr(each, "__name__", "") for each in hooks.failure] == ["slack", "slack", "email", "webhook", "tell"]
    run = native.options(executor="inline", progress=False, home=str(folder / "home")).run()
    assert run.outputs == {"done": "fastfast"}
    # and as YAML again
    again = exported(native, "yaml", stem="again").written.text
    assert _hooks(load_pipeline(_written(folder / "again.yaml", again))) == hooks


@pytest.mark.slow
def test_messages_cost_nothing_where_they_are_not_used() -> None:
    script = "import sys, penstock; print('penstock.notifications' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60)
    assert found.stdout == "False\n"
    module = importlib.import_module("penstock.notifications")
    assert sorted(module.__all__) == ["Mail", "Notifier", "Slack", "Webhook", "email", "slack", "webhook"]


DAG = """
    from datetime import datetime

    from airflow import DAG
    from airflow.operators.python import PythonOperator


    def alert(context):
        print(context["ti"])


    def load(kind):
        return kind


    with DAG(
        "mailed",
        start_date=datetime(2024, 1, 1),
        schedule="0 6 * * *",
        catchup=False,
        default_args={"email": "ops@example.com; me@example.com", "email_on_retry": False},
    ):
        big = PythonOperator(task_id="big", python_callable=load, op_args=["big"])
        small = PythonOperator(task_id="small", python_callable=load, op_args=["small"], on_failure_callback=alert)
        big >> small
"""


def test_e_mails_of_airflow_become_messages(folder: Path) -> None:
    written = exported(
        load_pipeline(_written(folder / "mailed.py", DAG)), "penstock", stem="native", draft=True
    ).written
    assert '@task(on_failure=email(["ops@example.com", "me@example.com"]))\ndef load(kind):' in written.text
    grades = {each.node: (each.grade, each.how) for each in written.accounts}
    assert grades["big"] == (
        "equivalent",
        "its e-mail says it in penstock's words, and goes out by the server of PENSTOCK_SMTP",
    )
    assert grades["small"] == ("changed", "on_failure is left out: alert, which takes what Airflow tells")
    # nothing reads what every DAG is given
    assert "def mailed():" in written.text
    assert 'cron("0 6 * * *", start="2024-01-01T06:00:01+00:00", logical="start")' in written.text
