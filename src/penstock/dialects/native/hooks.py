"""Hooks as they stand in the options of tasks and pipelines."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple, cast

import msgspec

from penstock.authoring.notifications import Mail, Notifier, Slack, Webhook, email
from penstock.authoring.notifications.mail import VARIABLE
from penstock.dialects.code.formatting import Imports, call, keywords, literal
from penstock.dialects.code.sources import Sources
from penstock.errors import DefinitionError

#: what the reader of another system has made
_SYSTEM = re.compile(r"penstock\.dialects\.(airflow|prefect|kfp)\b")

#: how a message goes out -> the function that makes it, and its first argument
_MESSAGES: dict[type[Any], tuple[str, str]] = {
    Slack: ("slack", "url"),
    Mail: ("email", "to"),
    Webhook: ("webhook", "url"),
}


class Hooks(NamedTuple):
    """The hooks of one event."""

    #: the option; empty where there is none
    text: str
    #: what is left out, and why
    lost: tuple[str, ...]
    #: what says it in other words
    others: tuple[str, ...]


def hooks_text(hooks: Iterable[Any], node: str, sources: Sources) -> Hooks:
    """The hooks of one event. Raises DefinitionError for a function that has no source."""
    texts: list[str] = []
    lost: list[str] = []
    others: list[str] = []
    for hook in hooks:
        function: Any = getattr(hook, "func", hook)
        system = _SYSTEM.match(getattr(function, "__module__", "") or type(hook).__module__)
        if isinstance(hook, Notifier):
            texts.append(message_text(hook, sources.imports))
        elif system is None:
            texts.append(sources.add(hook, node, "hook"))
        elif (mail := _mail(hook)) is not None:
            texts.append(message_text(mail, sources.imports))
            others.append(f"its e-mail says it in penstock's words, and goes out by the server of {VARIABLE}")
        else:
            lost.append(f"{getattr(hook, '__name__', 'a hook')}, which takes what {system[1].capitalize()} tells")
    text = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]" if texts else ""
    return Hooks(text, tuple(lost), tuple(others))


def _mail(hook: Any) -> Mail | None:
    """The e-mail that a hook of Airflow's sends; None for any other, and for one whose receivers are a template."""
    function: Any = getattr(hook, "func", None)
    if getattr(function, "__name__", "") != "_send_mail":
        return None
    to: Any = getattr(hook.args[0], "email", None)
    try:
        return email(re.split(r"\s*[,;]\s*", to.strip(" ,;")) if isinstance(to, str) else to)
    except (DefinitionError, TypeError, AttributeError):
        return None


def message_text(message: Notifier, imports: Imports) -> str:
    """The call that makes a message."""
    name, first = _MESSAGES[type(message)]
    given = {
        field.name: getattr(message, field.name)
        for field in msgspec.structs.fields(message)
        if field.required or getattr(message, field.name) != field.default
    }
    receiver = given.pop(first)
    several: list[Any] = list(cast("tuple[Any, ...]", receiver)) if isinstance(receiver, tuple) else [receiver]
    shown = {key: literal(dict(value) if key == "headers" else value, imports) for key, value in given.items()}
    told = literal(several[0] if len(several) == 1 else several, imports)
    return call(imports.name("penstock.notifications", name), [told, *keywords(shown)])


__all__ = ["hooks_text", "message_text"]
