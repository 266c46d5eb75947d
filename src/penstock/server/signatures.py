"""Whether a request comes from somebody who knows the secret."""

from __future__ import annotations

import hashlib
import hmac
import math
from collections.abc import Mapping
from typing import Literal

from penstock.server.refusals import Refusal

#: how a request is signed
Scheme = Literal["hmac", "timestamped", "slack", "token"]
SCHEMES: tuple[Scheme, ...] = ("hmac", "timestamped", "slack", "token")
#: header, in lower case -> the scheme that goes with it
_USUAL: Mapping[str, Scheme] = {
    "stripe-signature": "timestamped",
    "x-slack-signature": "slack",
    "authorization": "token",
    "x-gitlab-token": "token",
}


def scheme_of(header: str) -> Scheme:
    """How requests are signed whose signature is in a header, if nothing else is said."""
    return _USUAL.get(header.lower(), "hmac")


def check_signature(
    scheme: Scheme, header: str, secret: str, headers: Mapping[str, str], body: bytes, now: float, tolerance: float
) -> None:
    """Raise Refusal for a request that is not signed with the secret, or was so longer ago than `tolerance` seconds.

    - `hmac`: the header has HMAC-SHA256 of the body, in hexadecimal, with or without `sha256=` before it
    - `timestamped`: `t=SECONDS,v1=HMAC`, of `SECONDS.BODY`; one of several `v1` is enough
    - `slack`: `v0=HMAC`, of `v0:SECONDS:BODY`, with the seconds in the header X-Slack-Request-Timestamp
    - `token`: the header is the secret itself, with or without `Bearer` before it
    """
    given = headers.get(header.lower())
    if given is None:
        raise Refusal(
            401, f"the request is not signed: there is no header {header}", "Sign it with the secret of the webhook."
        )
    key = secret.encode()
    if scheme == "token":
        fits = _same(given.removeprefix("Bearer ").strip(), secret)
    elif scheme == "hmac":
        fits = _same(given.strip().lower().removeprefix("sha256="), _digest(key, body))
    elif scheme == "slack":
        moment = headers.get("x-slack-request-timestamp", "")
        fits = _same(given.strip(), f"v0={_digest(key, b'v0:', moment.encode(), b':', body)}")
        _check_time(moment, now, tolerance, fits=fits)
    else:
        pairs = [part.strip().partition("=")[::2] for part in given.split(",")]
        moment = next((value for name, value in pairs if name == "t"), "")
        wanted = _digest(key, moment.encode(), b".", body)
        fits = any(_same(value, wanted) for name, value in pairs if name == "v1")
        _check_time(moment, now, tolerance, fits=fits)
    if not fits:
        raise Refusal(
            401,
            f"the signature in the header {header} does not fit the body and the secret",
            "Sign the body as it is sent, with the secret that penstock is told.",
        )


def _digest(key: bytes, *parts: bytes) -> str:
    return hmac.new(key, b"".join(parts), hashlib.sha256).hexdigest()


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode())


def _check_time(moment: str, now: float, tolerance: float, *, fits: bool) -> None:
    """Raise Refusal for a signature that fits, and is too old, or ahead of its time."""
    try:
        away = abs(now - float(moment))
    except ValueError:
        away = math.inf
    if fits and not away <= tolerance:
        raise Refusal(
            401,
            f"the request was signed at another time than now, by more than {tolerance:g} s",
            "Sign it when it is sent, and set the clock of the machine.",
        )


__all__ = ["SCHEMES", "Scheme", "check_signature", "scheme_of"]
