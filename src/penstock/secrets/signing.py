"""Pickles with the signature of who wrote them: loading one runs what it says, so that only those of trusted writers are.

A signed pickle has 64 bytes before it: a mark, the name of the key, and the keyed BLAKE3 hash of the rest. So the signature
goes wherever the pickle goes: into a blob, into a row, into a collection that holds it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from blake3 import blake3

from penstock.errors import DefinitionError, SecretError, UntrustedError

_MARK: Final = b"\x00penstock signed"
_NAME, _HASH = 8, 32
#: bytes before a signed pickle; with this many, what is aligned in it stays so
LENGTH: Final = 64
_CONTEXT: Final = "penstock 2026 signature of pickles"
#: characters of a key
_SHORTEST: Final = 32

Seal = Callable[[bytes], bytes]


class Trust:
    """Which pickles are loaded. Without keys, all are, and none is signed.

    `signing` is the key that pickles are signed with, `trusted` are those besides it whose pickles are loaded.
    """

    def __init__(self, signing: bytes | None = None, trusted: Iterable[bytes] = ()) -> None:
        self._signing = signing
        keys = [*trusted] if signing is None else [signing, *trusted]
        self._keys = {_name_of(key): key for key in keys}
        #: whether pickles without a signature are refused
        self.checks = bool(keys)

    @classmethod
    def of(cls, signing: str | None, trusted: Sequence[str] = ()) -> Trust:
        """By references to the keys (see `Secret`). Raises DefinitionError for one that is missing or too short."""
        if signing is None and not trusted:
            return NO_KEYS
        return cls(None if signing is None else _key(signing), [_key(reference) for reference in trusted])

    def sealed(self, pieces: Sequence[Any]) -> list[Any]:
        """The pieces of a pickle, with its signature before them. Raises UntrustedError where others' are checked and there
        is no key of one's own."""
        if not self.checks:
            return list(pieces)
        if self._signing is None:
            raise UntrustedError(
                "a pickle cannot be signed: there are trusted keys, and no key to sign with",
                remedy="Name one in the setting signing_key, or store what needs no pickle.",
            )
        name = _name_of(self._signing)
        head = _MARK + name + _hash(self._signing, pieces)
        return [head.ljust(LENGTH, b"\0"), *pieces]

    def seal(self, pickled: bytes) -> bytes:
        """The same for a pickle in one piece."""
        return b"".join(self.sealed([pickled])) if self.checks else pickled

    def opened(self, data: Any) -> memoryview:
        """The pickle without its signature. Raises UntrustedError unless it may be loaded."""
        view = memoryview(data)
        signed = bytes(view[: len(_MARK)]) == _MARK
        rest = view[LENGTH:] if signed else view
        if not self.checks:
            return rest
        if not signed:
            raise _refused("nobody has signed it")
        at = len(_MARK)
        key = self._keys.get(bytes(view[at : at + _NAME]))
        if key is None:
            raise _refused("it is signed with a key that is not trusted here")
        # what is compared is public; only making it takes the key
        if _hash(key, [rest]) != bytes(view[at + _NAME : at + _NAME + _HASH]):
            raise _refused("it is not what was signed")
        return rest

    def open(self, pickled: bytes) -> bytes:
        """The same for a pickle in one piece."""
        return bytes(self.opened(pickled))


def _hash(key: bytes, pieces: Sequence[Any]) -> bytes:
    hasher = blake3(key=key, max_threads=blake3.AUTO)
    for piece in pieces:
        hasher.update(memoryview(piece).cast("B"))
    return hasher.digest()


def _name_of(key: bytes) -> bytes:
    return blake3(key).digest(_NAME)


def _key(reference: str) -> bytes:
    from penstock.secrets.sources import look_up

    try:
        # not by `Secret`: no task gets it, and to look for it in all they say would cost each of them
        text = look_up(reference).strip()
    except SecretError as error:
        raise DefinitionError(f"the key for signatures cannot be read: {error.what}", remedy=error.remedy) from None
    if len(text) < _SHORTEST:
        raise DefinitionError(
            f"the key for signatures {reference} is too short: it takes {_SHORTEST} characters",
            remedy='Make one: python -c "import secrets; print(secrets.token_hex(32))"',
        )
    return blake3(text.encode(), derive_key_context=_CONTEXT).digest()


def anchored(reference: str, folder: Path) -> str:
    """A reference to a key with its file, if it is one, taken from a folder."""
    scheme, _, rest = reference.partition(":")
    return f"file:{folder / Path(rest).expanduser()}" if scheme == "file" else reference


def _refused(why: str) -> UntrustedError:
    return UntrustedError(
        f"a pickle in the store is not loaded: {why}",
        remedy="Make it anew (--refresh runs tasks that are recorded), or, if you know who wrote it, trust their key "
        "(setting trusted_keys).",
    )


NO_KEYS: Final = Trust()

__all__ = ["LENGTH", "NO_KEYS", "Seal", "Trust", "anchored"]
