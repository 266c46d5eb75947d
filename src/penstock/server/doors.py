"""Who may send what: the settings of the endpoints."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from ipaddress import ip_address
from typing import Any, cast
from urllib.parse import urlsplit

import msgspec

from penstock.authoring.options.policy import Refused
from penstock.authoring.options.reading import duration
from penstock.errors import DefinitionError, SecretError
from penstock.secrets.secret import is_reference
from penstock.secrets.sources import look_up
from penstock.server.refusals import Refusal
from penstock.server.signatures import SCHEMES, Scheme, check_signature, scheme_of

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SETTINGS = ("secret", "signature", "scheme", "tolerance", "id_header", "id_field", "public")


class Door(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint, and who may use it."""

    #: `/events`, `/webhooks/NAME`
    path: str
    #: a reference; empty for one without
    secret: str = ""
    #: the header with the signature
    signature: str = "X-Hub-Signature-256"
    scheme: Scheme = "hmac"
    #: seconds by which a signature with a time may be old
    tolerance: float = 300.0
    #: the header, and the field of the body, that tell a delivery from all others
    id_header: str = ""
    id_field: str = ""
    #: whether it is open to others than this machine without a secret
    public: bool = False

    def check(self, headers: Mapping[str, str], body: bytes, client: str, now: float) -> None:
        """Raise Refusal for a request that may not come in."""
        if self.secret:
            try:
                secret = look_up(self.secret)
            except SecretError:
                # which one is for the owner to know
                raise Refusal(
                    503, f"the secret of {self.path} cannot be read here", "Tell its owner; then send it again."
                ) from None
            check_signature(self.scheme, self.signature, secret, headers, body, now, self.tolerance)
        elif not self.public and not (is_loopback(client) and _is_own_page(headers.get("origin"))):
            raise Refusal(
                403,
                f"{self.path} takes requests from its own machine alone",
                "Give it a secret, or public = true, in the settings of penstock.",
            )


class Doors(msgspec.Struct, frozen=True):
    """All endpoints."""

    events: Door
    webhooks: dict[str, Door]

    def troubles(self) -> Iterator[str]:
        """What keeps requests from being known at all: secrets that cannot be read here."""
        for door in (self.events, *self.webhooks.values()):
            if door.secret:
                try:
                    look_up(door.secret)
                except SecretError as error:
                    yield f"{door.path} refuses everything until its secret can be read: {error.what}"

    def webhook(self, name: str, client: str) -> Door:
        """Raises Refusal for one that there is not."""
        if name in self.webhooks:
            return self.webhooks[name]
        known = ", ".join(self.webhooks) or "none"
        # others are not told what there is
        there = f"There is: {known}. Name it in the settings: [tool.penstock.webhooks.{name}]"
        raise Refusal(404, f"there is no webhook {name!r}", there if is_loopback(client) else "")


def doors_of(settings: Mapping[str, Any], where: str) -> Doors:
    """What the settings of a project say: `[tool.penstock.events]` and `[tool.penstock.webhooks.NAME]`. Raises
    DefinitionError."""
    events = _door("/events", "events", settings.get("events", {}), where)
    webhooks: dict[str, Door] = {}
    for name, given in cast("dict[str, Any]", settings.get("webhooks", {})).items():
        if not _NAME.fullmatch(name):
            raise DefinitionError(
                f"{name!r} cannot name a webhook", where=where, remedy="Use letters, digits, '.', '_' and '-'."
            )
        webhooks[name] = _door(f"/webhooks/{name}", f"webhooks.{name}", given, where)
    return Doors(events, webhooks)


def _door(path: str, table: str, given: Any, where: str) -> Door:
    if not isinstance(given, dict):
        raise DefinitionError(f"the setting {table!r} takes a table, not {given!r}", where=where)
    found = dict(cast("dict[str, Any]", given))
    for name, value in found.items():
        if name not in _SETTINGS:
            near = get_close_matches(name, _SETTINGS, 1)
            remedy = f"Did you mean {table}.{near[0]!r}?" if near else f"The settings are: {', '.join(_SETTINGS)}."
            raise DefinitionError(f"there is no setting {f'{table}.{name}'!r}", where=where, remedy=remedy)
        _check(f"{table}.{name}", name, value, where)
    if "tolerance" in found:
        found["tolerance"] = duration(found["tolerance"])
    found.setdefault("scheme", scheme_of(found.get("signature", "")))
    return Door(path=path, **found)


def _check(called: str, name: str, value: Any, where: str) -> None:
    wanted = ""
    if name == "secret":
        if not isinstance(value, str) or not is_reference(value):
            # what is there may be the secret itself
            raise DefinitionError(
                f"the setting {called!r} takes a reference such as env:NAME or file:PATH, and not the secret",
                where=where,
            )
    elif name == "public":
        wanted = "" if type(value) is bool else "true or false"
    elif name == "scheme":
        wanted = "" if value in SCHEMES else f"one of {', '.join(SCHEMES)}"
    elif name == "tolerance":
        try:
            duration(value)
        except Refused as error:
            wanted = str(error)
    else:
        wanted = "" if isinstance(value, str) and value else "a text"
    if wanted:
        raise DefinitionError(f"the setting {called!r} takes {wanted}, not {value!r}", where=where)


def is_loopback(client: str) -> bool:
    """Whether an address is one of this machine itself."""
    try:
        address = ip_address(client)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _is_own_page(origin: str | None) -> bool:
    """Whether a request does not come from a page of another site, which the browser of somebody here has open."""
    if origin is None:
        return True
    host = urlsplit(origin).hostname or ""
    return host == "localhost" or is_loopback(host)


__all__ = ["Door", "Doors", "doors_of", "is_loopback"]
