"""Pipelines, assets and triggers that are known by name, in SQL. What writes runs inside a transaction of its caller's."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, cast

from msgspec.structs import replace

from penstock.errors import NotFoundError
from penstock.model.registration import Definition, Kind
from penstock.ports.agenda import Registered
from penstock.stores.database import Connection, looked_up
from penstock.stores.rows import Row, json_document, plain

COLUMNS: Final = "kind, name, version, target, digest, parts, document, registered_at, registered_by, origin, retired"
_ADD = f"INSERT INTO definitions ({COLUMNS}, latest) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_OUTDATE = "UPDATE definitions SET latest = FALSE WHERE kind = ? AND name = ? AND latest"
_UPDATE = """
    UPDATE definitions SET target = ?3, document = ?4, origin = ?5, registered_at = ?6, retired = FALSE
    WHERE kind = ?1 AND name = ?2 AND latest
"""
_RETIRE = "UPDATE definitions SET retired = TRUE WHERE kind = ? AND name = ? AND latest"
_OF_ORIGINS = "SELECT kind, name FROM definitions WHERE latest AND NOT retired AND origin"
_LATEST = f"SELECT {COLUMNS} FROM definitions WHERE latest AND kind = ?"
_ADD_STANDING = """
    INSERT INTO standings (trigger, revision, enabled, cursor, note, failures) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (trigger) DO NOTHING
"""
# What happened while it was gone is not for it.
_BEGIN_ANEW = """
    UPDATE standings SET revision = revision + 1, cursor = 'null', next_at = NULL, looked_at = ?2 WHERE trigger = ?1
"""
_GENERATION = "registration"
_PARTS = "SELECT parts FROM definitions WHERE latest"
#: what the names of the parts of a definition begin with that are identities of code
_CODE = ("task ", "function ")
_CHANGE = """
    INSERT INTO counters (name, value) VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET value = counters.value + 1
"""

Name = tuple[str, str]


def register(connection: Connection, definitions: Sequence[Definition], origins: Iterable[str]) -> list[Registered]:
    """Make definitions known; of several of one kind and name the last counts. What is known from one of the origins and is
    not among them is retired."""
    given = {(each.kind, plain(each.name)): each for each in definitions}
    known = _known(connection, (each.kind for each in definitions))
    registered = {name: _registered(each, known.get(name)) for name, each in given.items()}
    added = {name: each.definition for name, each in registered.items() if each.new}
    moved = {
        name: each.definition for name, each in registered.items() if not each.new and each.definition != known[name]
    }
    gone = sorted(
        {(kind, name) for kind, name in looked_up(connection, _OF_ORIGINS, [plain(each) for each in origins])}
        - given.keys()
    )
    connection.executemany(_OUTDATE, (name for name in added if name in known))
    connection.executemany(_ADD, (_row(each) for each in added.values()))
    connection.executemany(_UPDATE, (_moved(name, each) for name, each in moved.items()))
    connection.executemany(_RETIRE, gone)
    connection.executemany(_ADD_STANDING, _standings(given.values()))
    returned = (each for name, each in given.items() if name in known and known[name].retired)
    connection.executemany(_BEGIN_ANEW, _begun_anew(returned))
    if added or moved or gone:
        note_change(connection)
    return [registered[each.kind, plain(each.name)] for each in definitions]


def code(connection: Connection) -> set[bytes]:
    """The identities of the code of all that is known by name, for saying what will have changed when it is registered anew."""
    return {
        bytes.fromhex(digest)
        for (parts,) in connection.execute(_PARTS).fetchall()
        for name, digest in json.loads(parts).items()
        if name.startswith(_CODE)
    }


def _registered(given: Definition, known: Definition | None) -> Registered:
    if known is None or known.digest != given.digest:
        version = 1 if known is None else known.version + 1
        return Registered(replace(given, version=version, retired=False), known, True)
    changes: dict[str, Any] = {"target": given.target, "document": given.document, "origin": given.origin}
    if known.retired:
        changes["registered_at"] = given.registered_at
    return Registered(replace(known, **changes, retired=False), None, False)


def _known(connection: Connection, kinds: Iterable[str]) -> dict[Name, Definition]:
    """The latest versions of all that is known of some kinds."""
    found = (row for kind in sorted(set(kinds)) for row in connection.execute(_LATEST, (kind,)).fetchall())
    return {(row[0], row[1]): definition_of(row) for row in found}


def _row(definition: Definition) -> Row:
    return (
        definition.kind,
        plain(definition.name),
        definition.version,
        plain(definition.target),
        definition.digest,
        json_document({name: digest.hex() for name, digest in definition.parts.items()}),
        json_document(definition.document),
        definition.registered_at,
        plain(definition.registered_by),
        plain(definition.origin),
        definition.retired,
        True,
    )


def _moved(name: Name, definition: Definition) -> Row:
    document = json_document(definition.document)
    return (*name, plain(definition.target), document, plain(definition.origin), definition.registered_at)


def _standings(definitions: Iterable[Definition]) -> Iterator[Row]:
    for each in definitions:
        if each.kind == "trigger":
            document = cast("dict[str, Any]", each.document) if isinstance(each.document, dict) else {}
            yield plain(each.name), 0, bool(document.get("enabled", True)), "null", "", 0


def _begun_anew(returned: Iterable[Definition]) -> Iterator[Row]:
    """Triggers that go on from now: not those that have been told by somebody else how far they are."""
    for each in returned:
        document = cast("dict[str, Any]", each.document) if isinstance(each.document, dict) else {}
        source = document.get("source")
        kind = cast("dict[str, Any]", source).get("type") if isinstance(source, dict) else None
        if each.kind == "trigger" and kind not in ("sensor", "watch"):
            yield plain(each.name), each.registered_at


def definition_of(row: Row) -> Definition:
    kind, name, version, target, digest, parts, document, registered_at, registered_by, origin, retired = row
    return Definition(
        kind=kind,
        name=name,
        version=version,
        target=target,
        digest=digest,
        parts={part: bytes.fromhex(each) for part, each in json.loads(parts).items()},
        document=json.loads(document),
        registered_at=registered_at,
        registered_by=registered_by,
        origin=origin,
        retired=bool(retired),
    )


def note_change(connection: Connection) -> None:
    """Let the generation be another one."""
    connection.execute(_CHANGE, (_GENERATION,))


def generation(connection: Connection) -> int:
    """Changes whenever `note_change` is called."""
    found = connection.execute("SELECT value FROM counters WHERE name = ?", (_GENERATION,)).fetchone()
    return 0 if found is None else found[0]


def not_found(kind: Kind, name: str, version: int | None, known: list[str], place: str) -> NotFoundError:
    """That nothing of a kind is known by a name, with the nearest that are."""
    from difflib import get_close_matches

    if version is not None and name in known:
        return NotFoundError(f"there is no version {version} of the {kind} {name!r}")
    near = get_close_matches(name, known, n=5)
    count = f"{len(known)} others" if known else "none"
    remedy = (
        f"The nearest are: {', '.join(near)}."
        if near
        else f"Make it known: penstock register TARGET ({place} has {count})."
    )
    return NotFoundError(f"there is no {kind} {name!r}", remedy=remedy)


__all__ = ["COLUMNS", "definition_of", "generation", "not_found", "note_change", "register"]
