"""Prefect's blocks that tell people something: `SlackWebhook.load("team").notify("it is done")`."""

from __future__ import annotations

import json
from typing import Any, ClassVar, NamedTuple

from penstock.dialects.prefect.blocks import Block
from penstock.dialects.prefect.sessions import either_way

#: seconds
_PATIENCE = 10.0


class _Webhook(Block):
    """An address that a message is posted to."""

    url: Any
    notify_type: str = "prefect_default"

    def notify(self, body: str, subject: str | None = None, **options: Any) -> Any:
        """Post a message. Raises OSError where that fails."""
        return either_way(lambda: self._post(body, subject), options)

    anotify = notify

    def _post(self, body: str, subject: str | None) -> None:
        import urllib.request

        address = str(_revealed(self.url))
        text = f"*{subject}*\n{body}" if subject else body
        request = urllib.request.Request(
            address, json.dumps({"text": text}).encode(), {"Content-Type": "application/json"}, method="POST"
        )
        with urllib.request.urlopen(request, timeout=_PATIENCE):
            pass


class Answer(NamedTuple):
    """What was answered to a request."""

    status_code: int
    text: str

    def json(self) -> Any:
        return json.loads(self.text)


class Webhook(Block):
    """An address that requests are sent to: `Webhook.load("ops").call({"text": "it is done"})`."""

    _block_type_slug: ClassVar[str] = "webhook"

    method: str = "POST"
    url: Any
    headers: Any = None
    allow_private_urls: bool = True
    verify: bool = True

    def call(self, payload: Any = None) -> Any:
        """Send a request, with a text or with data as JSON. Raises OSError where that fails."""
        return either_way(lambda: self._sent(payload))

    def _sent(self, payload: Any) -> Answer:
        import ssl
        import urllib.request

        headers: dict[str, str] = {
            name: str(_revealed(each)) for name, each in dict(_revealed(self.headers or {})).items()
        }
        if payload is not None and not isinstance(payload, str):
            headers.setdefault("Content-Type", "application/json")
            payload = json.dumps(payload)
        data = None if payload is None else payload.encode()
        request = urllib.request.Request(str(_revealed(self.url)), data, headers, method=self.method)
        context = ssl.create_default_context()
        if not self.verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with urllib.request.urlopen(request, timeout=_PATIENCE, context=context) as answer:
            return Answer(answer.status, answer.read().decode(errors="replace"))


def _revealed(value: Any) -> Any:
    """A value, or what pydantic's SecretStr holds, which says so when it is asked to."""
    secret = getattr(value, "get_secret_value", None)
    return value if secret is None else secret()


class SlackWebhook(_Webhook):
    """A channel of Slack."""

    _block_type_slug: ClassVar[str] = "slack-webhook"


class MicrosoftTeamsWebhook(_Webhook):
    """A channel of Teams."""

    _block_type_slug: ClassVar[str] = "ms-teams-webhook"


__all__ = ["MicrosoftTeamsWebhook", "SlackWebhook", "Webhook"]
