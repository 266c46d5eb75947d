"""Messages about runs and tasks, as hooks: `@pipeline(on_failure=[slack("env:SLACK_URL"), email("ops@example.com")])`.

Each takes the place of a function of one's own in `on_start`, `on_success`, `on_failure`, ... of a pipeline or a task. A
message that cannot be delivered is told in the log, and changes nothing for the run. Addresses, headers and the mail server
may be references to secrets (`env:NAME`, `file:PATH`), which are looked up when a message goes out.
"""

from __future__ import annotations

from penstock.authoring.notifications import Mail, Notifier, Slack, Webhook, email, slack, webhook

__all__ = ["Mail", "Notifier", "Slack", "Webhook", "email", "slack", "webhook"]
