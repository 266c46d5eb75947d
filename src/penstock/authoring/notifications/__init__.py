"""Messages about runs and tasks, as hooks: `on_failure=[slack("env:SLACK_URL"), email("ops@example.com")]`.

Each is a function that takes the context of a hook. What it cannot deliver it raises, which the run tells and goes on.
Addresses and passwords may be references to secrets (`env:NAME`, `file:PATH`), which are looked up when a message goes out.
"""

from __future__ import annotations

from penstock.authoring.notifications.mail import Mail, email
from penstock.authoring.notifications.web import Slack, Webhook, slack, webhook

Notifier = Slack | Webhook | Mail

__all__ = ["Mail", "Notifier", "Slack", "Webhook", "email", "slack", "webhook"]
