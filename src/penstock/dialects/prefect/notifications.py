"""Prefect's blocks that tell people something: `SlackWebhook.load("team").notify("it is done")`."""

from __future__ import annotations

import json
from typing import Any, ClassVar

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

        # pydantic's SecretStr says what it holds when it is asked to
        secret = getattr(self.url, "get_secret_value", None)
        address = str(self.url if secret is None else secret())
        text = f"*{subject}*\n{body}" if subject else body
        request = urllib.request.Request(
            address, json.dumps({"text": text}).encode(), {"Content-Type": "application/json"}, method="POST"
        )
        with urllib.request.urlopen(request, timeout=_PATIENCE):
            pass


class SlackWebhook(_Webhook):
    """A channel of Slack."""

    _block_type_slug: ClassVar[str] = "slack-webhook"


class MicrosoftTeamsWebhook(_Webhook):
    """A channel of Teams."""

    _block_type_slug: ClassVar[str] = "ms-teams-webhook"


__all__ = ["MicrosoftTeamsWebhook", "SlackWebhook"]
