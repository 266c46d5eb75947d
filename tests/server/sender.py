"""One who sends events over HTTP, and the project that takes them."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from penstock.model.occurrence import Occurrence
from penstock.server.listening import listening
from penstock.services import Services

SETTINGS = """
[tool.penstock.webhooks.plain]
[tool.penstock.webhooks.github]
secret = "env:HOOK_SECRET"
[tool.penstock.webhooks.stripe]
secret = "env:HOOK_SECRET"
signature = "Stripe-Signature"
id_field = "id"
[tool.penstock.webhooks.slack]
secret = "env:HOOK_SECRET"
signature = "X-Slack-Signature"
[tool.penstock.webhooks.token]
secret = "env:HOOK_SECRET"
signature = "Authorization"
id_header = "X-Id"
[tool.penstock.webhooks.lost]
secret = "env:NOT_SET_HERE"
"""

STRUCTURED = {"Content-Type": "application/cloudevents+json"}


class Answer(NamedTuple):
    status: int
    document: Any


def send(url: str, body: bytes | str, headers: Mapping[str, str] | None = None, method: str = "POST") -> Answer:
    """A request, and what was answered."""
    data = (body.encode() if isinstance(body, str) else body) if method == "POST" else None
    request = urllib.request.Request(url, data, dict(headers or {"Content-Type": "application/json"}), method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return Answer(answer.status, json.loads(answer.read()))
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, json.loads(error.read()))


def event(**attributes: Any) -> str:
    """A CloudEvent as JSON."""
    return json.dumps({"specversion": "1.0", "id": "1", "source": "/shop", "type": "order.made"} | attributes)


class Endpoint:
    """A project, and its endpoints, in this process."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        (folder / "pyproject.toml").write_text(SETTINGS)
        self.services = Services()
        #: how often it was told that there is something new
        self.told: list[None] = []
        #: what the owner was told
        self.said: list[str] = []
        heard = listening(self.services, "127.0.0.1", 0, lambda: self.told.append(None), self.said.append)
        self.url = stack.enter_context(heard)

    def send(self, path: str, body: bytes | str, headers: Mapping[str, str] | None = None) -> Answer:
        return send(self.url + path, body, headers)

    def recorded(self) -> list[Occurrence]:
        with self.services.store() as store:
            return [each for _, each in store.agenda.occurrences()]
