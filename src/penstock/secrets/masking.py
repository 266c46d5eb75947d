"""What this process knows of secrets, kept out of what it hands on.

The values that were read are remembered for as long as the process lives, because what was read once can turn up at any
time, in whatever run. A process that has read none pays one look at a variable.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final, cast

from penstock.errors import SecretError

#: stands in the place of a secret
MASK: Final = "***"
#: characters from which on a secret is masked as a part of longer texts, and looked for in results
SHORTEST: Final = 4
SHORTEST_IN_RESULTS: Final = 6
#: how many values are remembered, the newest
_MOST: Final = 256
_STEP: Final = 1 << 20

#: whether the results of the attempt at hand may contain secrets
allowed: ContextVar[bool] = ContextVar("penstock_secrets_allowed", default=False)


class _Known:
    """The secrets that this process has read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: value -> reference
        self._values: dict[str, str] = {}
        self.active = False
        #: those too short to be looked for in longer texts
        self.short: frozenset[str] = frozenset()
        self.pattern: re.Pattern[str] | None = None
        #: all beginnings of what the pattern finds
        self.beginnings: frozenset[str] = frozenset()
        #: characters of the longest that the pattern finds
        self.reach = 0
        #: what gives secrets away in bytes -> the reference
        self.needles: dict[bytes, str] = {}

    def learn(self, reference: str, value: str) -> None:
        with self._lock:
            if not value or self._values.get(value) == reference:
                return
            self._values[value] = reference
            if len(self._values) > _MOST:
                del self._values[next(iter(self._values))]
            self._prepare()

    def _prepare(self) -> None:
        # most processes never need it
        from penstock.secrets.spellings import encoded, spellings

        texts: set[str] = set()
        needles: dict[bytes, str] = {}
        for value, reference in self._values.items():
            if len(value) >= SHORTEST:
                texts |= {text for text in spellings(value) if len(text) >= SHORTEST}
            if len(value) >= SHORTEST_IN_RESULTS:
                for text in {value, *encoded(value)}:
                    needles[text.encode("utf-8", "surrogatepass")] = reference
        self.short = frozenset(value for value in self._values if len(value) < SHORTEST)
        # the longest first: of two that begin alike, the whole of the longer one is to go
        ordered = sorted(texts, key=lambda text: (-len(text), text))
        self.reach = len(ordered[0]) if ordered else 0
        self.beginnings = frozenset(text[:end] for text in texts for end in range(1, len(text)))
        self.needles = needles
        self.pattern = re.compile("|".join(map(re.escape, ordered))) if ordered else None
        self.active = True


_known: Final = _Known()


def learn(reference: str, value: str) -> None:
    """From now on, keep a value out of what this process hands on."""
    _known.learn(reference, value)


def active() -> bool:
    """Whether this process has read any secret."""
    return _known.active


def mask(text: str) -> str:
    """The text without the secrets that this process has read."""
    if not _known.active or not text:
        return text
    if text in _known.short:
        return MASK
    pattern = _known.pattern
    return text if pattern is None else pattern.sub(MASK, text)


def masked(value: Any) -> Any:
    """What JSON can hold, with every text in it masked."""
    if not _known.active:
        return value
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, dict):
        return {masked(key): masked(part) for key, part in cast("dict[Any, Any]", value).items()}
    if isinstance(value, (list, tuple)):
        return [masked(part) for part in cast("list[Any]", value)]
    return value


def gives_away(data: bytes) -> bool:
    """Whether a secret that this process has read is in some bytes, in one of the ways that texts are masked in."""
    if not _known.active:
        return False
    text = data.decode("utf-8", "replace")
    return mask(text) != text


def secret_in(text: str) -> str | None:
    """The reference of a secret that this process has read and that is in a text, looked for as in results; None where
    there is none."""
    if not _known.active:
        return None
    data = text.encode("utf-8", "surrogatepass")
    return next((reference for needle, reference in _known.needles.items() if needle in data), None)


def _result_refused(reference: str) -> SecretError:
    return SecretError(
        f"the result contains the secret {reference}, and would be stored with it",
        remedy="Return what was made with the secret instead. If it has to be in the result, allow it: "
        "@task(allow_secrets=True); who can read the store can read it then.",
    )


class Stream:
    """Masks a text that comes in pieces, cut anywhere."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, text: str) -> str:
        """The next of the masked text: all that cannot be the beginning of a secret."""
        if not _known.active and not self._held:
            return text
        text = mask(self._held + text)
        kept = _unfinished(text)
        self._held = text[len(text) - kept :]
        return text[: len(text) - kept]

    def end(self) -> str:
        """The rest of it."""
        rest, self._held = self._held, ""
        return rest


def _unfinished(text: str) -> int:
    """How many characters at the end of a text could be the beginning of a secret."""
    beginnings = _known.beginnings
    return next((size for size in range(min(len(text), _known.reach - 1), 0, -1) if text[-size:] in beginnings), 0)


class Sieve:
    """Looks for secrets in bytes that pass by in pieces, such as a value on its way into storage. `refuse` makes the error
    to raise for one that is found, of its reference."""

    def __init__(self, refuse: Callable[[str], Exception] = _result_refused) -> None:
        self._refuse = refuse
        self._needles = _known.needles
        self._reach = max(map(len, self._needles), default=1) - 1
        self._tail = b""

    def feed(self, data: Any) -> None:
        """Look at the next bytes. Raises what `refuse` made, a SecretError, if a secret is in them."""
        view = memoryview(data).cast("B")
        for start in range(0, len(view), _STEP):
            piece = self._tail + bytes(view[start : start + _STEP])
            for needle, reference in self._needles.items():
                if needle in piece:
                    raise self._refuse(reference)
            self._tail = piece[-self._reach :] if self._reach else b""

    def begin_another(self) -> None:
        """What comes next is of another value."""
        self._tail = b""


__all__ = [
    "MASK",
    "SHORTEST",
    "SHORTEST_IN_RESULTS",
    "Sieve",
    "Stream",
    "active",
    "allowed",
    "gives_away",
    "learn",
    "mask",
    "masked",
    "secret_in",
]
