"""The server in `penstock up`: a process that is killed, and senders that go wrong."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import urllib.error
from pathlib import Path

import pytest
from sender import STRUCTURED, Endpoint, event, send

_DIES = """
import os, signal, sys, threading
from penstock.server.listening import listening
from penstock.services import Services
from penstock.stores.agenda import RelationalAgenda

recorded = RelationalAgenda.emit

def emit(self, occurrences):
    recorded(self, occurrences)
    os.kill(os.getpid(), signal.SIGKILL)

if sys.argv[1] == "dies":
    RelationalAgenda.emit = emit
with listening(Services(), "127.0.0.1", 0, lambda: None, print) as address:
    print(address, flush=True)
    threading.Event().wait()
"""


def started(folder: Path, how: str) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen([sys.executable, "-c", _DIES, how], cwd=folder, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def ended(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    process.stdout.close()
    return process.wait(60)


@pytest.mark.slow
def test_a_server_that_is_killed_before_it_answers_has_recorded_the_event_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from penstock.services import Services

    monkeypatch.chdir(tmp_path)
    (tmp_path / "penstock.toml").write_text("")
    process, address = started(tmp_path, "dies")
    with pytest.raises((urllib.error.URLError, ConnectionError, http.client.HTTPException)):
        send(f"{address}/events", event(), STRUCTURED)
    assert ended(process) == -9
    process, address = started(tmp_path, "lives")
    assert send(f"{address}/events", event(), STRUCTURED) == (202, {"accepted": 0, "duplicates": 1})
    process.kill()
    ended(process)
    with Services().store() as store:
        assert len(store.agenda.occurrences()) == 1


def test_senders_that_say_nothing_or_leave_disturb_nobody(endpoint: Endpoint) -> None:
    port = int(endpoint.url.rpartition(":")[2])
    idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
    for connection, text in zip(
        idle, (b"", b"POST /ev", b"GARBAGE\r\n\r\n", b"POST /events HTTP/1.1\r\n"), strict=False
    ):
        connection.sendall(text)
    half = socket.create_connection(("127.0.0.1", port))
    half.sendall(b"POST /events HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    half.close()
    assert endpoint.send("/events", event(), STRUCTURED).status == 202
    for connection in idle:
        connection.close()
    assert endpoint.send("/events", event(), STRUCTURED).document["duplicates"] == 1


def test_a_body_in_pieces_and_one_without_end(endpoint: Endpoint) -> None:
    connection = http.client.HTTPConnection(endpoint.url.removeprefix("http://"), timeout=60)
    body = event().encode()
    connection.request("POST", "/events", iter([body[:10], body[10:]]), STRUCTURED, encode_chunked=True)
    assert connection.getresponse().status == 202
    connection.close()
    connection = http.client.HTTPConnection(endpoint.url.removeprefix("http://"), timeout=60)
    try:
        connection.request("POST", "/events", (b"x" * 65536 for _ in range(400)), STRUCTURED, encode_chunked=True)
        status = connection.getresponse().status
    except ConnectionError:
        # it is closed while more comes
        status = 413
    connection.close()
    assert status == 413
    assert len(endpoint.recorded()) == 1


@pytest.mark.slow
def test_the_daemon_takes_events_and_starts_runs(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.penstock]\nexecutor = "inline"\n[tool.penstock.webhooks.go]\n')
    (tmp_path / "pipes.py").write_text(
        "from pathlib import Path\n"
        "from penstock import event, pipeline, task, trigger\n\n"
        "@task(cache=False)\ndef note(what: str):\n    Path('notes').write_text(what)\n\n"
        "@pipeline\ndef noting(what: str):\n    return note(what)\n\n"
        "went = trigger(noting, event('webhook.go'), parameters={'what': '{event.data.n}'})\n"
    )
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PENSTOCK_")}
    command = [sys.executable, "-P", "-m", "penstock", "up", "pipes.py", "--port", "0"]
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    address = next(line.split()[-1] for line in process.stderr if "taking events at" in line)
    assert send(f"{address}/webhooks/go", '{"n": "seven"}').status == 202
    assert any("starts run" in line for line in process.stderr)
    process.terminate()
    assert process.wait(60) == 0
    process.stderr.close()
    wrong = subprocess.run(
        [*command[:-2], "--host", "::1"], cwd=tmp_path, env=environment, capture_output=True, check=False
    )
    assert wrong.returncode == 2
    assert b"--port" in wrong.stderr
