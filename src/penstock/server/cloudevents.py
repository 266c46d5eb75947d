"""CloudEvents 1.0 over HTTP: structured, in batches, and with the attributes in headers."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import unquote

from penstock.model.occurrence import OWN_SOURCE, Occurrence
from penstock.server.bodies import data_of, json_of, media_type
from penstock.server.refusals import Refusal

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"

#: events in one batch; characters of an attribute
_MOST, _LONGEST = 10_000, 4096
#: the attributes that are texts, and have to be there
_REQUIRED = ("id", "source", "type")


def occurrences_of(headers: Mapping[str, str], body: bytes, now: float) -> list[Occurrence]:
    """The events of a request. `headers` are by their names in lower case. Raises Refusal."""
    content_type = headers.get("content-type", "")
    kind = media_type(content_type)
    if kind == STRUCTURED:
        return [_structured(json_of(body), now, "the event")]
    if kind == BATCH:
        batch = json_of(body)
        if not isinstance(batch, list):
            raise Refusal(400, "a batch of events is a list in JSON")
        events = cast("list[Any]", batch)
        if len(events) > _MOST:
            raise Refusal(413, f"a batch has {len(events):,} events; {_MOST:,} are taken at most")
        return [_structured(each, now, f"the event at place {place}") for place, each in enumerate(events)]
    if "ce-specversion" in headers:
        attributes = {name[3:]: unquote(value) for name, value in headers.items() if name.startswith("ce-")}
        return [_occurrence(attributes, data_of(content_type, body), now, "the event")]
    raise Refusal(
        415,
        "the request is no CloudEvent",
        f"Send {STRUCTURED} or {BATCH}, or the attributes in headers (ce-id, ce-source, ce-type, ce-specversion: 1.0). "
        "Plain webhooks go to /webhooks/NAME.",
    )


def _structured(event: Any, now: float, what: str) -> Occurrence:
    if not isinstance(event, dict):
        raise Refusal(400, f"{what} is no object in JSON")
    attributes = cast("dict[str, Any]", event)
    if "data_base64" not in attributes:
        return _occurrence(attributes, attributes.get("data"), now, what)
    if "data" in attributes:
        raise Refusal(400, f"{what} has both data and data_base64")
    try:
        raw = base64.b64decode(attributes["data_base64"], validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise Refusal(400, f"data_base64 of {what} is not base64") from None
    content_type = attributes.get("datacontenttype")
    data = data_of(content_type if isinstance(content_type, str) else "application/json", raw)
    return _occurrence(attributes, data, now, what)


def _occurrence(attributes: Mapping[str, Any], data: Any, now: float, what: str) -> Occurrence:
    version = attributes.get("specversion")
    if version != "1.0":
        raise Refusal(400, f"{what} has specversion {version!r}; 1.0 is taken")
    for name in (*_REQUIRED, "subject"):
        value = attributes.get(name, "" if name == "subject" else None)
        if not isinstance(value, str) or not (value.strip() or name == "subject"):
            raise Refusal(400, f"{what} has no {name}" if value is None else f"the {name} of {what} is no text")
        if len(value) > _LONGEST:
            raise Refusal(400, f"the {name} of {what} is longer than {_LONGEST:,} characters")
    source = attributes["source"]
    if source.partition("/")[0] == OWN_SOURCE:
        raise Refusal(400, f"the source {source!r} is one of penstock's own", "Name what the event comes from.")
    return Occurrence(
        id=attributes["id"],
        source=source,
        type=attributes["type"],
        # one that is ahead of the clock here has not happened later than now
        at=min(now, _moment(attributes["time"], what)) if attributes.get("time") is not None else now,
        subject=attributes.get("subject", ""),
        data=data,
    )


def _moment(text: Any, what: str) -> float:
    """A time of RFC 3339 in seconds since the epoch."""
    try:
        # more than six digits of a second are fine there, and not here
        moment = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text).upper())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError):
        raise Refusal(400, f"the time of {what} is not one of RFC 3339: {text!r}") from None


__all__ = ["BATCH", "STRUCTURED", "occurrences_of"]
