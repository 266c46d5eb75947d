"""Where triggers stand, in SQL. What writes runs inside a transaction of its caller's, beside which there is no other that
changes standings."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Final

from penstock.model.firing import Advance, Standing
from penstock.stores import firings, registry
from penstock.stores.database import Connection, looked_up
from penstock.stores.rows import Row, json_document, plain

COLUMNS: Final = "trigger, revision, enabled, cursor, next_at, looked_at, fired_at, note, failures, asker"
_SEEN = "SELECT trigger, revision, enabled FROM standings WHERE trigger"
# Whoever is there before us has been noticed already; that the revision is asked for once more costs nothing.
_PUT = f"""
    INSERT INTO standings ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (trigger) DO UPDATE SET
        revision = excluded.revision, enabled = excluded.enabled, cursor = excluded.cursor, next_at = excluded.next_at,
        looked_at = excluded.looked_at, fired_at = excluded.fired_at, note = excluded.note, failures = excluded.failures,
        asker = excluded.asker
    WHERE standings.revision < excluded.revision
"""
_SWITCH = "UPDATE standings SET enabled = ?2, asker = '', revision = revision + 1 WHERE trigger = ?1 AND enabled <> ?2"


def advance(connection: Connection, advances: Sequence[Advance]) -> list[bool]:
    """Move standings on, each from the revision that was seen, with their firings. Returns which were."""
    names = list({plain(each.standing.trigger) for each in advances})
    seen = {trigger: (revision, bool(enabled)) for trigger, revision, enabled in looked_up(connection, _SEEN, names)}
    switched = False
    recorded: list[bool] = []
    moved: dict[str, Row] = {}
    for each in advances:
        trigger = plain(each.standing.trigger)
        revision, enabled = seen.get(trigger, (0, each.standing.enabled))
        recorded.append(revision == each.standing.revision)
        if recorded[-1]:
            seen[trigger] = revision + 1, each.standing.enabled
            moved[trigger] = _row(each.standing, revision + 1)
            switched |= enabled is not each.standing.enabled
    connection.executemany(_PUT, moved.values())
    made = (firing for each, new in zip(advances, recorded, strict=True) if new for firing in each.firings)
    firings.add(connection, map(firings.row_of, made))
    if switched:
        registry.note_change(connection)
    return recorded


def switch(connection: Connection, trigger: str, *, enabled: bool) -> None:
    """Switch a trigger off or on, if there is one; whoever has seen it as it was is refused from then on."""
    if connection.execute(_SWITCH, (plain(trigger), enabled)).rowcount:
        registry.note_change(connection)


def found(connection: Connection, triggers: Iterable[str] | None) -> list[Standing]:
    """Where triggers stand, by name (None: all)."""
    query = f"SELECT {COLUMNS} FROM standings"
    if triggers is None:
        return [_standing_of(row) for row in connection.execute(f"{query} ORDER BY trigger").fetchall()]
    names = sorted({plain(each) for each in triggers})
    return sorted(
        map(_standing_of, looked_up(connection, f"{query} WHERE trigger", names)), key=lambda each: each.trigger
    )


def _row(standing: Standing, revision: int) -> Row:
    return (
        plain(standing.trigger),
        revision,
        standing.enabled,
        json_document(standing.cursor),
        standing.next_at,
        standing.looked_at,
        standing.fired_at,
        plain(standing.note),
        standing.failures,
        plain(standing.asker),
    )


def _standing_of(row: Row) -> Standing:
    trigger, revision, enabled, cursor, next_at, looked_at, fired_at, note, failures, asker = row
    return Standing(
        trigger=trigger,
        revision=revision,
        enabled=bool(enabled),
        cursor=json.loads(cursor),
        next_at=next_at,
        looked_at=looked_at,
        fired_at=fired_at,
        note=note,
        failures=failures,
        asker=asker,
    )


__all__ = ["advance", "found", "switch"]
