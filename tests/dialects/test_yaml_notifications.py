"""Messages about the end of a run go out by HTTP and by e-mail, and what does not arrive is told."""

from __future__ import annotations

import json
import logging
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from penstock.authoring.notifications.web import Undelivered
from penstock.notifications import email
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


class Servers(NamedTuple):
    """Mail servers of this machine: by STARTTLS, encrypted from the start, and neither."""

    upgraded: int
    encrypted: int
    plain: int
    received: list[Any]
    #: the file with their certificate
    certificate: Path


@pytest.fixture
def mail_servers(tmp_path: Path) -> Generator[Servers]:
    controller_of = pytest.importorskip("aiosmtpd.controller")
    smtp = pytest.importorskip("aiosmtpd.smtp")
    openssl = shutil.which("openssl") or pytest.skip("there is no openssl")
    received: list[Any] = []

    class Keep:
        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
            received.append((session.authenticated, envelope.rcpt_tos))
            return "250 taken"

    def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> Any:
        known = (data.login, data.password) == (b"me@example.com", b"p:w/1")
        return smtp.AuthResult(success=known, handled=False)

    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    made += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate]
    subprocess.run(made, check=True, capture_output=True, timeout=60)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    asks = {"authenticator": authenticate, "auth_required": True}
    started: list[Any] = []
    try:
        for options in ({"tls_context": tls, "require_starttls": True, **asks}, {"ssl_context": tls}, {}):
            controller = controller_of.Controller(Keep(), hostname="localhost", port=_free_port(), **options)
            controller.start()
            started.append(controller)
        upgraded, encrypted, plain = (each.port for each in started)
        yield Servers(upgraded, encrypted, plain, received, certificate)
    finally:
        for controller in started:
            controller.stop()


def _told() -> Any:
    fields = dict.fromkeys(("node", "task", "item", "key", "attempt", "started_at", "reason"))
    said = {"event": "failure", "run_id": "r1", "pipeline": "p", "state": "failed", "duration": 2.5}
    return SimpleNamespace(**fields, **said, error_type="ValueError", error_message="no luck")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_email_is_encrypted_where_it_is_to_be(mail_servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    known = "me%40example.com:p%3Aw%2F1@localhost"
    upgraded, encrypted = f"smtp://{known}:{mail_servers.upgraded}", f"smtps://localhost:{mail_servers.encrypted}"
    for server in (upgraded, encrypted):
        with pytest.raises(Undelivered, match="the certificate of the e-mail server localhost is not trusted: self"):
            email("ops@example.com", server=server)(_told())
    assert mail_servers.received == []
    monkeypatch.setenv("SSL_CERT_FILE", str(mail_servers.certificate))
    email("ops@example.com", server=upgraded)(_told())
    email("ops@example.com", server=encrypted)(_told())
    assert mail_servers.received == [(True, ["ops@example.com"]), (None, ["ops@example.com"])]
    with pytest.raises(Undelivered, match=r"localhost did not take the message: 535 5\.7\.8 Authentication"):
        email("ops@example.com", server=f"smtp://me:wrong@localhost:{mail_servers.upgraded}")(_told())


@pytest.mark.slow
def test_a_password_does_not_go_out_in_clear(mail_servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    # a name of this machine that does not look like one
    monkeypatch.setattr("penstock.authoring.notifications.mail._LOCAL", ())
    with pytest.raises(Undelivered, match="localhost has no STARTTLS, and a password does not go out in clear"):
        email("ops@example.com", server=f"smtp://me:secret@localhost:{mail_servers.plain}")(_told())
    assert mail_servers.received == []
    email("ops@example.com", server=f"smtp://localhost:{mail_servers.plain}")(_told())
    assert len(mail_servers.received) == 1
