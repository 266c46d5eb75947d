"""Messages about the end of a run go out by HTTP and by e-mail, and what does not arrive is told."""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from penstock.registering.loading import load_pipeline

CODE = "def one(fail):\n    if fail:\n        raise ValueError('no luck')\n    return 1\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test is in a project of its own."""
    monkeypatch.chdir(tmp_path)


class Received:
    """What a server of this machine was sent."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.requests: list[tuple[str, str, dict[str, str], Any]] = []


@pytest.fixture
def web() -> Generator[Received]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.requests.append((self.command, self.path, dict(self.headers), json.loads(body)))
            self.send_response(500 if self.path == "/broken" else 200)
            self.end_headers()

        do_PUT = do_POST

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    received = Received(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield received
    server.shutdown()
    thread.join()
    server.server_close()


def _run(folder: Path, notifications: str, **parameters: Any) -> str:
    (folder / "flow.py").write_text(CODE)
    text = f"pipeline: {{name: flow, parameters: {{fail: false}}}}\nstages: [{{name: one}}]\nnotifications:\n{notifications}"
    (folder / "flow.yaml").write_text(text)
    run = load_pipeline(str(folder / "flow.yaml")).options(executor="inline", progress=False).run(**parameters)
    return str(run.state)


def test_slack_and_webhooks(web: Received, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_URL", f"{web.url}/slack")
    monkeypatch.setenv("TOKEN", "s3cret")
    notifications = f"""\
  on_failure:
    - slack: env:SLACK_URL
    - slack: {{url: env:SLACK_URL, text: "{{pipeline}} is {{state}}", channel: ops}}
    - webhook: {web.url}/plain
    - webhook:
        url: {web.url}/own
        method: PUT
        headers: {{Authorization: env:TOKEN}}
        body: {{what: "{{error_message}}", list: ["{{event}}", 3]}}
  on_success:
    webhook: {web.url}/good
"""
    assert _run(tmp_path, notifications, fail=True) == "failed"
    assert [(method, path) for method, path, _, _ in web.requests] == [
        ("POST", "/slack"),
        ("POST", "/slack"),
        ("POST", "/plain"),
        ("PUT", "/own"),
    ]
    bodies = [body for _, _, _, body in web.requests]
    assert bodies[0]["text"].startswith("flow failed: one failed (run ")
    assert bodies[1] == {"text": "flow is failed", "channel": "ops"}
    assert (bodies[2]["pipeline"], bodies[2]["event"], bodies[2]["state"]) == ("flow", "failure", "failed")
    assert bodies[3] == {"what": "one failed", "list": ["failure", 3]}
    assert web.requests[3][2]["Authorization"] == "s3cret"
    web.requests.clear()
    assert _run(tmp_path, notifications) == "succeeded"
    assert [(path, body["event"]) for _, path, _, body in web.requests] == [("/good", "success")]


def test_a_message_that_does_not_arrive_is_told(
    web: Received, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    notifications = f"""\
  on_success:
    - webhook: {web.url}/broken
    - webhook: {{url: "{web.url.rpartition(":")[0]}:{_free_port()}/", timeout: 2}}
    - slack: env:NO_SUCH_VARIABLE
    - webhook: {web.url}/good
"""
    with caplog.at_level(logging.WARNING):
        assert _run(tmp_path, notifications) == "succeeded"
    assert "127.0.0.1 answered 500" in caplog.text
    assert "127.0.0.1 cannot be reached" in caplog.text
    assert "NO_SUCH_VARIABLE" in caplog.text
    assert [path for _, path, _, _ in web.requests] == ["/broken", "/good"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_email(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    controller_of = pytest.importorskip("aiosmtpd.controller")
    received: list[Any] = []

    class Keep:
        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
            received.append(envelope)
            return "250 taken"

    controller = controller_of.Controller(Keep(), hostname="127.0.0.1", port=_free_port())
    controller.start()
    try:
        port = controller.port
        monkeypatch.setenv("PENSTOCK_SMTP", f"smtp://127.0.0.1:{port}")
        notifications = """\
  on_failure:
    - email: [ops@example.com, me@example.com]
    - email: {to: ops@example.com, from: ml@example.com, subject: "{pipeline}: {state}", text: "See {run_id}."}
"""
        assert _run(tmp_path, notifications, fail=True) == "failed"
    finally:
        controller.stop()
    first, second = received
    assert first.rcpt_tos == ["ops@example.com", "me@example.com"]
    assert b"Subject: flow failed: one failed" in first.content
    assert second.mail_from == "ml@example.com"
    assert b"Subject: flow: failed" in second.content and b"See 2" in second.content
