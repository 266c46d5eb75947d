"""Messages that go out by HTTP: to Slack, and to any address."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from penstock.authoring.notifications.message import check_text, filled, revealed, summary, told
from penstock.errors import DefinitionError

_METHODS = ("POST", "PUT", "PATCH", "GET")


class Undelivered(Exception):
    """A message did not arrive."""


class Slack(msgspec.Struct, frozen=True, kw_only=True):
    """Writes to a channel by an incoming webhook of Slack."""

    #: the address, or a reference to a secret with it
    url: str
    text: str = ""
    channel: str = ""
    #: seconds
    timeout: float = 10.0
    __name__ = "slack"

    def __call__(self, context: Any) -> None:
        body = {"text": filled(self.text, context) if self.text else summary(context)}
        _send(self.url, body | ({"channel": self.channel} if self.channel else {}), timeout=self.timeout)


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """Sends what it is told to an address, as JSON."""

    url: str
    method: str = "POST"
    headers: Mapping[str, str] = {}
    #: what is sent in place of all there is; the texts in it have places: `{pipeline}`
    body: Any = None
    timeout: float = 10.0
    __name__ = "webhook"

    def __call__(self, context: Any) -> None:
        body = told(context) if self.body is None else _in_places(self.body, context)
        _send(self.url, body, method=self.method, headers=self.headers, timeout=self.timeout)


def slack(url: str, *, text: str = "", channel: str = "", timeout: float = 10.0) -> Slack:
    """A message to a channel of Slack. `url` is the address of an incoming webhook, or a reference to a secret with it; `text`
    has places such as `{summary}`, `{pipeline}`, `{error_message}`. Raises DefinitionError."""
    return Slack(url=_address(url), text=check_text(text, "text"), channel=channel, timeout=timeout)


def webhook(
    url: str, *, method: str = "POST", headers: Mapping[str, str] = {}, body: Any = None, timeout: float = 10.0
) -> Webhook:
    """A request with what happened as JSON, or with a `body` of one's own. Values of headers may be references to secrets.
    Raises DefinitionError."""
    if method.upper() not in _METHODS:
        raise DefinitionError(f"a webhook cannot be sent by {method!r}", remedy=f"Use one of {', '.join(_METHODS)}.")
    _check_places(body)
    return Webhook(url=_address(url), method=method.upper(), headers=dict(headers), body=body, timeout=timeout)


def _address(url: Any) -> str:
    from penstock.secrets.secret import is_reference

    if not isinstance(url, str) or not (url.startswith(("http://", "https://")) or is_reference(url)):
        raise DefinitionError(
            "the address must begin with https:// or http://, or be a reference to a secret",
            remedy="Write env:NAME for the address in an environment variable.",
        )
    return url


def _check_places(body: Any) -> None:
    if isinstance(body, str):
        check_text(body, "body")
    elif isinstance(body, Mapping):
        for each in body.values():  # pyright: ignore[reportUnknownVariableType]
            _check_places(each)
    elif isinstance(body, list):
        for each in body:  # pyright: ignore[reportUnknownVariableType]
            _check_places(each)


def _in_places(body: Any, context: Any) -> Any:
    if isinstance(body, str):
        return filled(body, context)
    if isinstance(body, Mapping):
        return {key: _in_places(each, context) for key, each in body.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(body, list):
        return [_in_places(each, context) for each in body]  # pyright: ignore[reportUnknownVariableType]
    return body


def _send(url: str, body: Any, *, timeout: float, method: str = "POST", headers: Mapping[str, str] = {}) -> None:
    from urllib.error import HTTPError, URLError
    from urllib.parse import urlsplit
    from urllib.request import Request, urlopen

    address = revealed(url)
    host = urlsplit(address).hostname or "an address without a host"
    if not address.startswith(("http://", "https://")):
        raise Undelivered("the address that the secret holds does not begin with https:// or http://")
    data = None if method == "GET" else json.dumps(body).encode()
    given = {name: revealed(value) for name, value in headers.items()}
    request = Request(address, data, {"Content-Type": "application/json", **given}, method=method)
    try:
        with urlopen(request, timeout=timeout):
            pass
    except HTTPError as error:
        with error:
            raise Undelivered(f"{host} answered {error.code} {error.reason}") from None
    except (URLError, OSError) as error:
        raise Undelivered(f"{host} cannot be reached: {getattr(error, 'reason', error)}") from None


__all__ = ["Slack", "Undelivered", "Webhook", "slack", "webhook"]
