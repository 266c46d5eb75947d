"""The bodies of requests as data."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import msgspec

from penstock.server.refusals import Refusal

_FORM = "application/x-www-form-urlencoded"


def media_type(content_type: str) -> str:
    """The type alone, without its parameters."""
    return content_type.partition(";")[0].strip().lower()


def data_of(content_type: str, body: bytes) -> Any:
    """What a body says: JSON, the fields of a form (the last of several by one name), or text. Raises Refusal."""
    kind = media_type(content_type)
    if kind == _FORM:
        fields = dict(parse_qsl(text_of(body), keep_blank_values=True))
        # some send JSON as a field of a form
        if set(fields) == {"payload"}:
            return json_of(fields["payload"].encode())
        return fields
    if kind.startswith("text/"):
        return text_of(body)
    if kind and kind != "application/json" and not kind.endswith("+json"):
        raise Refusal(415, f"a body of the type {kind} is not taken", "Send JSON (application/json), a form or text.")
    return json_of(body) if body else None


def json_of(body: bytes) -> Any:
    """The value of a text in JSON. Raises Refusal."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(400, f"the body is not JSON: {error}", "Send JSON, with the header Content-Type.") from None


def text_of(body: bytes) -> str:
    """A text in UTF-8. Raises Refusal."""
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise Refusal(400, "the body is not text in UTF-8") from None


__all__ = ["data_of", "json_of", "media_type", "text_of"]
