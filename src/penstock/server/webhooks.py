"""Plain webhooks: a body of any form, as an event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from blake3 import blake3

from penstock.model.occurrence import Occurrence
from penstock.server.bodies import data_of
from penstock.server.doors import Door
from penstock.server.refusals import Refusal

#: headers in which senders usually tell one delivery from others
_USUAL = ("x-github-delivery", "webhook-id", "idempotency-key", "x-gitlab-event-uuid", "x-shopify-webhook-id")
#: seconds in which a body that comes again, and that nothing tells from the first, counts once
_REPEATS = 60


def occurrence_of(name: str, door: Door, headers: Mapping[str, str], body: bytes, now: float) -> Occurrence:
    """The event of a request to a webhook: `webhook.NAME`. Raises Refusal."""
    data = data_of(headers.get("content-type", ""), body)
    return Occurrence(
        id=_identity(door, headers, data, body, now), source=door.path, type=f"webhook.{name}", at=now, data=data
    )


def _identity(door: Door, headers: Mapping[str, str], data: Any, body: bytes, now: float) -> str:
    """What tells a delivery from all others: what its sender says; else the body, within a minute of the clock."""
    if door.id_header:
        found = headers.get(door.id_header.lower(), "")
        if not found:
            raise Refusal(400, f"the request has no header {door.id_header}, which tells one delivery from others")
        return found
    if door.id_field:
        return _field(door.id_field, data)
    found = next((headers[each] for each in _USUAL if headers.get(each)), "")
    return found or f"{blake3(body).hexdigest(16)}.{int(now // _REPEATS)}"


def _field(path: str, data: Any) -> str:
    value = data
    for step in path.split("."):
        value = cast("dict[str, Any]", value).get(step) if isinstance(value, dict) else None
    if not isinstance(value, (str, int)) or value == "":
        raise Refusal(400, f"the body has no {path}, which tells one delivery from others")
    return str(value)


__all__ = ["occurrence_of"]
