"""Firings, and the runs that come of them, in SQL. What writes runs inside a transaction of its caller's.

A firing says where its run is (`run_state`), and goes on saying so when the run is removed. So how far a trigger or a
backfill has come is told from its firings alone, what is under way is found without looking at what has ended, and no
firing whose run was removed is taken for one that has none.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

from penstock.errors import StoreError
from penstock.model.firing import Firing, FiringState
from penstock.model.run import RunRecord, RunState
from penstock.ports.agenda import Progress
from penstock.stores.database import Connection, dropped, looked_up
from penstock.stores.rows import Row, cause_of, json_document, plain

# In the order of `created_at`, so that those of one moment keep the order in which they are given.
COLUMNS: Final = (
    "created_at, run_id, trigger, key, pipeline, assets, parameters, cause, priority, tags, due, state, reason, tries, "
    "starter, started_at"
)
_ADD = f"""
    INSERT INTO firings ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (trigger, key) DO NOTHING
"""
_ORDER = "ORDER BY priority DESC, created_at, number"
_UNDER_WAY = "state = 'started' AND run_state IN ('', 'running')"
_STARTLESS = f"{_UNDER_WAY} AND run_state = ''"

_CLAIM = """
    UPDATE firings SET state = 'started', starter = ?2, started_at = ?3, tries = tries + 1, reason = '' WHERE run_id = ?1
"""
_QUEUED = "state = 'queued'"
_TAKEN_BY = f"{_STARTLESS} AND starter = ?4"
_OTHERS = f"""
    (SELECT count(*) FROM firings AS other WHERE other.trigger = firings.trigger AND other.run_id <> firings.run_id
     AND other.{_UNDER_WAY.replace(" run_state", " other.run_state")})
"""
_SETTLE = """
    UPDATE firings SET
        state = ?2, reason = ?3, starter = CASE WHEN ?2 = 'queued' THEN '' ELSE starter END,
        started_at = CASE WHEN ?2 = 'queued' THEN NULL ELSE started_at END
    WHERE run_id = ?1 AND run_state = ''
"""
_NOTE = "UPDATE firings SET reason = ?2 WHERE run_id = ?1 AND state = 'queued' AND reason <> ?2"
_RUNS = f"SELECT trigger, run_id, created_at, number FROM firings WHERE {_UNDER_WAY}"
_PROGRESS = "SELECT state, run_state, count(*) FROM firings WHERE trigger = ? GROUP BY state, run_state"
_UNMADE = f"""
    SELECT {COLUMNS}, run_state FROM firings
    WHERE trigger = ? AND run_id >= ? AND run_id <= ? AND NOT (state = 'started' AND run_state = 'succeeded')
    ORDER BY run_id
"""

# The run of a firing.
_BEGIN = """
    UPDATE firings SET state = 'started', run_state = ?2, started_at = coalesce(started_at, ?3)
    WHERE run_id = ?1 AND run_state = '' AND state IN ('queued', 'started')
"""
_AGAIN = "UPDATE firings SET run_state = ?2 WHERE run_id = ?1 AND run_state <> ''"
_END = "UPDATE firings SET run_state = ?2 WHERE run_id = (SELECT run_id FROM runs WHERE id = ?1 AND cause IS NOT NULL)"

_OLD = f"""
    FROM firings WHERE created_at < ? AND state <> 'queued' AND NOT ({_UNDER_WAY}) AND trigger
"""


def add(connection: Connection, rows: Iterable[Row]) -> None:
    """Add firings, as rows that `row_of` has made, but for those whose trigger and key are known."""
    connection.executemany(_ADD, rows)


def listed(
    connection: Connection, trigger: str | None, states: Sequence[FiringState], limit: int | None
) -> list[Firing]:
    """The latest first; with the state `queued` alone, in the order in which they are to be started."""
    asked, values = _asked(trigger, states)
    order = _ORDER if list(states) == [FiringState.QUEUED] else "ORDER BY number DESC"
    if limit is not None:
        order, values = f"{order} LIMIT ?", [*values, limit]
    return _found(connection, f"{_where(asked)} {order}", values)


def known_keys(connection: Connection, trigger: str, keys: Sequence[str]) -> set[str]:
    """Those of some keys for which a trigger has a firing."""
    stored = {plain(key): key for key in keys}
    query = "SELECT key FROM firings WHERE trigger = ? AND key"
    return {stored[key] for (key,) in looked_up(connection, query, list(stored), (plain(trigger),))}


def _asked(trigger: str | None, states: Sequence[FiringState]) -> tuple[list[str], list[Any]]:
    asked, values = list[str](), list[Any]()
    if trigger is not None:
        asked.append("trigger = ?")
        values.append(plain(trigger))
    # not as a value: only a state that is spelled out leads to the indexes that have one state alone
    if states:
        named = ", ".join(f"'{FiringState(each)}'" for each in dict.fromkeys(states))
        asked.append(f"state = {named}" if len(set(states)) == 1 else f"state IN ({named})")
    return asked, values


def _where(conditions: Sequence[str]) -> str:
    return f"WHERE {' AND '.join(conditions)}" if conditions else ""


def queue(connection: Connection, now: float, without: Sequence[str], limit: int) -> list[Firing]:
    """Those that are queued and due, in the order in which they are to be started, apart from those of some triggers."""
    others = "" if not without else f" AND trigger NOT IN ({', '.join('?' * len(without))})"
    rest = f"WHERE {_QUEUED} AND due <= ?{others} {_ORDER} LIMIT ?"
    return _found(connection, rest, [now, *map(plain, without), limit])


def startless(connection: Connection) -> list[Firing]:
    """Those that are started, and have no run, oldest first."""
    return _found(connection, f"WHERE {_STARTLESS} ORDER BY created_at, run_id", [])


def of_run(connection: Connection, run_id: str) -> Firing | None:
    for firing in _found(connection, "WHERE run_id = ?", [plain(run_id)]):
        return firing
    return None


def _found(connection: Connection, rest: str, values: Sequence[Any]) -> list[Firing]:
    return [_firing_of(row) for row in connection.execute(f"SELECT {COLUMNS} FROM firings {rest}", values).fetchall()]


def claim(connection: Connection, run_id: str, starter: str, at: float, instead_of: str, at_most: int | None) -> bool:
    """Take a firing that is queued, or that another has taken and that has no run."""
    values: list[Any] = [plain(run_id), plain(starter), at]
    conditions = [_QUEUED]
    if instead_of:
        conditions, values = [_TAKEN_BY], [*values, plain(instead_of)]
    if at_most is not None:
        values.append(at_most)
        conditions.append(f"{_OTHERS} < ?{len(values)}")
    return connection.execute(f"{_CLAIM} AND {' AND '.join(conditions)}", values).rowcount > 0


def settle(connection: Connection, run_id: str, state: FiringState, reason: str) -> bool:
    """Say what became of a firing that has no run. Whether it had none."""
    return connection.execute(_SETTLE, (plain(run_id), str(state), plain(reason))).rowcount > 0


def note(connection: Connection, run_id: str, reason: str) -> None:
    """Say why a firing that is queued waits."""
    connection.execute(_NOTE, (plain(run_id), plain(reason)))


def cancel_queued(connection: Connection, trigger: str, reason: str) -> None:
    """Cancel what is queued of a trigger."""
    connection.execute(
        "UPDATE firings SET state = 'cancelled', reason = ? WHERE trigger = ? AND state = 'queued'",
        (reason, plain(trigger)),
    )


def under_way(connection: Connection, triggers: Sequence[str] | None) -> dict[str, list[str]]:
    """Trigger -> ids of the runs of its firings that are started, and have not ended, oldest first."""
    found: Iterable[Row] = connection.execute(_RUNS).fetchall()
    if triggers is not None:
        found = looked_up(connection, f"{_RUNS} AND trigger", [plain(each) for each in triggers])
    runs: dict[str, list[str]] = {}
    for trigger, run_id, *_ in sorted(found, key=lambda row: row[2:]):
        runs.setdefault(trigger, []).append(run_id)
    return runs


def progress(connection: Connection, trigger: str) -> Progress:
    """How many firings of a trigger are where."""
    counts: dict[str, int] = {}
    for state, run_state, count in connection.execute(_PROGRESS, (plain(trigger),)).fetchall():
        name = (run_state or "running") if state == FiringState.STARTED else state
        counts[name] = counts.get(name, 0) + count
    return Progress(**counts)


def unmade(connection: Connection, trigger: str, first: str, last: str) -> list[tuple[Firing, str]]:
    """Firings of a trigger with ids from one up to another that have not led to a run that succeeded, each with the state of
    its run."""
    values = (plain(trigger), plain(first), plain(last))
    return [(_firing_of(row[:-1]), row[-1]) for row in connection.execute(_UNMADE, values).fetchall()]


def forget(connection: Connection, before: float, triggers: Iterable[str], *, dry: bool) -> int:
    """Drop firings of triggers that were made before a time, and of which nothing is to come any more."""
    names = dict.fromkeys(map(plain, triggers))
    return sum(dropped(connection, f"{_OLD} = ?", (before, name), dry=dry) for name in names)


# The run of a firing is recorded with it.


def begin_run(connection: Connection, run: RunRecord) -> None:
    """Note that the firing of a run that is being recorded has it. Raises StoreError for one that is to have none."""
    state = _run_state(run.state)
    if run.generation > 1:
        connection.execute(_AGAIN, (run.run_id, state))
        return
    if connection.execute(_BEGIN, (run.run_id, state, run.started_at)).rowcount:
        return
    firing = of_run(connection, run.run_id)
    if firing is not None:
        was = "had its run already" if firing.state is FiringState.STARTED else f"is {firing.state}"
        raise StoreError(
            f"the firing {firing.key} of {firing.trigger} {was}: no run is made of it", remedy="Nothing was changed."
        )


def end_run(connection: Connection, key: int, state: str) -> None:
    """Note how the run of a firing has ended. `key` is that of the run, which need not have a firing."""
    connection.execute(_END, (key, state))


def _run_state(state: RunState) -> str:
    """Of a run that is paused more is to come."""
    return str(RunState.RUNNING if state is RunState.PAUSED else state)


def row_of(firing: Firing) -> Row:
    return (
        firing.created_at,
        plain(firing.run_id),
        plain(firing.trigger),
        plain(firing.key),
        plain(firing.pipeline),
        plain(firing.assets),
        json_document(firing.parameters),
        json_document(firing.cause),
        firing.priority,
        json_document(firing.tags),
        firing.due,
        str(firing.state),
        plain(firing.reason),
        firing.tries,
        plain(firing.starter),
        firing.started_at,
    )


def _firing_of(row: Row) -> Firing:
    created_at, run_id, trigger, key, pipeline, assets, parameters, cause, priority, tags, *rest = row
    due, state, reason, tries, starter, started_at = rest
    return Firing(
        run_id=run_id,
        trigger=trigger,
        key=key,
        pipeline=pipeline,
        assets=assets,
        parameters=json.loads(parameters),
        cause=cause_of(cause),
        priority=priority,
        tags=tuple(json.loads(tags)),
        created_at=created_at,
        due=due,
        state=FiringState(state),
        reason=reason,
        tries=tries,
        starter=starter,
        started_at=started_at,
    )


__all__ = [
    "add",
    "begin_run",
    "cancel_queued",
    "claim",
    "end_run",
    "forget",
    "known_keys",
    "listed",
    "note",
    "of_run",
    "progress",
    "queue",
    "row_of",
    "settle",
    "startless",
    "under_way",
    "unmade",
]
