"""What a message says of what a hook is told."""

from __future__ import annotations

from string import Formatter
from typing import Any

from penstock.errors import DefinitionError
from penstock.secrets import Secret
from penstock.secrets.secret import is_reference

#: what a text of the user's may name
FIELDS = (
    *("event", "run_id", "pipeline", "state", "node", "task", "item", "key", "attempt"),
    *("error_type", "error_message", "reason", "duration", "started_at", "summary"),
)
_SAYS = {
    "start": "started",
    "success": "succeeded",
    "failure": "failed",
    "retry": "is repeated",
    "skip": "was skipped",
    "cancel": "was cancelled",
    "deadline": "is late",
}


def summary(context: Any) -> str:
    """One line: `training failed: evaluate failed (run 0192..., after 12.3 s)`."""
    about = f"{context.node} of {context.pipeline}" if context.node else context.pipeline
    why = context.error_message or context.reason
    after = f", after {context.duration:.1f} s" if context.duration else ""
    return f"{about} {_SAYS.get(context.event, context.event)}{f': {why}' if why else ''} (run {context.run_id}{after})"


def told(context: Any) -> dict[str, Any]:
    """What a webhook is sent: the fields of the context, and the summary."""
    started = None if context.started_at is None else context.started_at.isoformat()
    values = {name: getattr(context, name) for name in FIELDS if name not in ("summary", "started_at")}
    return {**values, "started_at": started, "summary": summary(context)}


def filled(text: str, context: Any) -> str:
    """A text of the user's with its places filled in: `{pipeline} failed: {error_message}`."""
    return text.format_map(told(context))


def check_text(text: str, called: str) -> str:
    """The same text. Raises DefinitionError where it names what there is not."""
    try:
        names = [name for _, name, _, _ in Formatter().parse(text) if name is not None]
    except ValueError as error:
        raise DefinitionError(f"{called} cannot be read: {error}: {text!r}") from None
    wrong = next((name for name in names if name not in FIELDS), None)
    if wrong is not None:
        raise DefinitionError(
            f"{called} names {{{wrong}}}, which a message does not know", remedy=f"There are: {', '.join(FIELDS)}."
        )
    try:
        text.format_map({**dict.fromkeys(FIELDS, ""), "attempt": 1, "duration": 1.0})
    except (ValueError, LookupError, TypeError) as error:
        raise DefinitionError(f"{called} cannot be filled in: {error}: {text!r}") from None
    return text


def revealed(text: str) -> str:
    """A text, or the secret that it refers to. Raises SecretError where that cannot be read."""
    return (
        Secret(text).reveal()
        if is_reference(text) and not text.startswith(("http:", "https:", "smtp:", "smtps:", "mailto:"))
        else text
    )


__all__ = ["FIELDS", "check_text", "filled", "revealed", "summary", "told"]
