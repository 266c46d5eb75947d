"""What code consists of, and what the fingerprints of runs are made of, in SQL.

Identities and texts are kept once per digest. Every function that writes runs inside a transaction of its caller's.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from penstock.model.identity import Basis, SourceText, TaskIdentity
from penstock.stores.database import Connection, looked_up
from penstock.stores.rows import Row, decode_argument, encode, plain

#: the level of compression: what is kept once is still kept while somebody waits for the run to start
_QUICK = 1

#: identities and texts, for digests that are to follow
IDENTITIES = "SELECT digest, document FROM identities WHERE digest"
TEXTS = "SELECT digest, text FROM texts WHERE digest"

# Of code that has only moved, the latest place counts: there it can be found.
_KEEP_IDENTITY = """
    INSERT INTO identities (digest, document, kept_at) VALUES (?, ?, ?)
    ON CONFLICT (digest) DO UPDATE SET
        document = excluded.document,
        kept_at = CASE WHEN identities.kept_at < excluded.kept_at THEN excluded.kept_at ELSE identities.kept_at END
"""
_KEEP_LONGER = "UPDATE identities SET kept_at = ?1 WHERE kept_at < ?1 AND digest = ?2"
_KEEP_TEXT = "INSERT INTO texts (digest, text) VALUES (?, ?)"
_ADD_BASIS = """
    INSERT INTO basis (run, kind, name, value) VALUES (?, ?, ?, ?)
    ON CONFLICT (run, kind, name) DO UPDATE SET value = excluded.value WHERE basis.value <> excluded.value
"""

_decode_identity = msgspec.msgpack.Decoder(TaskIdentity).decode


def keep(
    connection: Connection, identities: Sequence[TaskIdentity], texts: Sequence[SourceText], now: float
) -> frozenset[bytes]:
    """Keep identities and texts. Returns the digests of the identities that were not known."""
    known = _known(connection, "identities", (identity.digest for identity in identities))
    documents = {
        identity.digest: _packed(encode(identity))
        for identity in identities
        if identity.digest not in known or _is_whole(identity)
    }
    connection.executemany(_KEEP_IDENTITY, ((digest, document, now) for digest, document in documents.items()))
    connection.executemany(_KEEP_LONGER, ((now, digest) for digest in known - documents.keys()))
    there = _known(connection, "texts", (text.digest for text in texts))
    missing = {text.digest: text.text for text in texts if text.digest not in there}
    connection.executemany(
        _KEEP_TEXT, ((digest, _packed(text.encode("utf-8", "surrogatepass"))) for digest, text in missing.items())
    )
    return frozenset(documents.keys() - known)


def _is_whole(identity: TaskIdentity) -> bool:
    """Whether the text of all modules is known; without some, the code could not be made again."""
    return all(module.text for module in identity.modules)


def _known(connection: Connection, table: str, digests: Iterable[bytes]) -> set[bytes]:
    return {digest for (digest,) in looked_up(connection, f"SELECT digest FROM {table} WHERE digest", list(digests))}


def _packed(document: bytes) -> bytes:
    return zlib.compress(document, _QUICK)


def identity_of(document: bytes) -> TaskIdentity:
    return _decode_identity(zlib.decompress(document))


def text_of(document: bytes) -> str:
    return zlib.decompress(document).decode("utf-8", "surrogatepass")


def add_basis(connection: Connection, run: int, basis: Basis) -> None:
    """Add to the basis of a run; of two values under one name the later one counts."""
    connection.executemany(_ADD_BASIS, _basis_rows(run, basis))


def _basis_rows(run: int, basis: Basis) -> Iterator[Row]:
    yield from ((run, "parameter", plain(name), encode(value)) for name, value in basis.parameters.items())
    yield from ((run, "task", plain(name), digest) for name, digest in basis.tasks.items())
    yield from ((run, "file", plain(name), digest) for name, digest in basis.files.items())
    yield from ((run, "class", plain(name), digest) for name, digest in basis.classes.items())


def basis_of(connection: Connection, run: int) -> Basis:
    """What has been added to the basis of a run."""
    found = connection.execute("SELECT kind, name, value FROM basis WHERE run = ?", (run,)).fetchall()
    return Basis(
        parameters={name: decode_argument(value) for kind, name, value in found if kind == "parameter"},
        tasks={name: value for kind, name, value in found if kind == "task"},
        files={name: value for kind, name, value in found if kind == "file"},
        classes={name: value for kind, name, value in found if kind == "class"},
    )


__all__ = ["IDENTITIES", "TEXTS", "add_basis", "basis_of", "identity_of", "keep", "text_of"]
