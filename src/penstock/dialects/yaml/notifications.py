"""`notifications:`: who is told how a run has ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import msgspec

from penstock.authoring.notifications import Mail, Notifier, Slack, Webhook, email, slack, webhook
from penstock.authoring.options.hooks import PIPELINE_EVENTS
from penstock.dialects.yaml.inputs import Find
from penstock.dialects.yaml.literals import read_literal
from penstock.dialects.yaml.source import Part
from penstock.errors import DefinitionError


def _as_it_is(function: Any) -> Any:
    return function


#: how a message goes out -> how it is made, the argument that may stand alone, and the keys of the others
KINDS: dict[str, tuple[Callable[..., Notifier], str, tuple[str, ...]]] = {
    "slack": (slack, "url", ("url", "text", "channel", "timeout")),
    "email": (email, "to", ("to", "sender", "from", "subject", "text", "server", "timeout")),
    "webhook": (webhook, "url", ("url", "method", "headers", "body", "timeout")),
    "call": (_as_it_is, "function", ("function",)),
}
KEYS = tuple(f"on_{event}" for event in PIPELINE_EVENTS)
#: how others call them
_ALSO = {"mail": "email", "e-mail": "email"}


def read_notifications(part: Part, find: Find) -> dict[str, list[Any]]:
    """The hooks of a pipeline, by their options. What is wrong is noted."""
    found: dict[str, list[Any]] = {}
    for event, value in part.fields(KEYS, "notifications").items():
        listed = value.items() if value.is_list else [value]
        found[event] = [hook for each in listed for hook in _hooks(each, find)]
    return found


def _hooks(part: Part, find: Find) -> list[Any]:
    if not part.is_mapping:
        part.called = "a notification"
        part.wrong(
            "a mapping",
            "Write slack: env:SLACK_URL, email: ops@example.com, webhook: https://..., or call: module:function.",
        )
        return []
    found: list[Any] = []
    for name, value in part.fields((*KINDS, *_ALSO), "a notification").items():
        made = _made(_ALSO.get(name, name), value, find)
        if made is not None:
            found.append(made)
    return found


def _made(kind: str, part: Part, find: Find) -> Any:
    make, alone, keys = KINDS[kind]
    if part.is_mapping:
        given = {name: read_literal(value, find) for name, value in part.fields(keys, kind).items()}
    else:
        given = {alone: read_literal(part, find)}
    if "from" in given:
        given["sender"] = given.pop("from")
    if alone not in given or given[alone] in (None, "", []):
        part.refuse(f"{kind} needs {alone}", f"Write {kind}: {{{alone}: ...}}.")
        return None
    try:
        return find(given[alone]) if kind == "call" else make(**given)
    except DefinitionError as error:
        part.refuse(error.what, error.remedy or "")
    except Exception as error:
        part.refuse(f"{kind}: {error}", getattr(error, "remedy", ""))
    return None


# Writing.


def write_notification(hook: Any) -> dict[str, Any] | None:
    """A hook as a notification; None for what no file can name."""
    for kind, made, alone in (("slack", Slack, "url"), ("email", Mail, "to"), ("webhook", Webhook, "url")):
        if isinstance(hook, made):
            fields = dict(_fields(cast(msgspec.Struct, hook)))
            value = fields.pop(alone)
            listed = cast("Sequence[Any]", value) if isinstance(value, (list, tuple)) else ()
            if len(listed) == 1:
                value = listed[0]
            return {kind: {alone: value, **fields} if fields else value}
    return None


def _fields(hook: msgspec.Struct) -> Mapping[str, Any]:
    from penstock.dialects.yaml.structs import write_struct

    return write_struct(hook)


__all__ = ["KEYS", "KINDS", "read_notifications", "write_notification"]
