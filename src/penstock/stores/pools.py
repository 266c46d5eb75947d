"""Pools that all runs of a store share, in SQL. Every function runs inside a transaction of its caller's.

A holder that is refused leaves a *claim*: while it keeps asking, what it needs is not given to runs that asked after it.
So a large need is met in the end, however many small ones there are. Within one run the driver decides who comes first.

The tables have rows of runs that are under way alone: those of a run go when it ends.
"""

from __future__ import annotations

from collections.abc import Mapping

from penstock.errors import NotFoundError, StoreError
from penstock.ports import Holder, PoolState
from penstock.stores.database import Connection

#: seconds for which a claim stands without being asked again
_CLAIM = 3.0

_SIZE = "INSERT INTO pools (name, size) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET size = excluded.size"
_OWN = "run = ? AND node = ? AND item = ?"
_HELD = f"SELECT pool, CAST(sum(amount) AS BIGINT) FROM holds WHERE NOT ({_OWN}) GROUP BY pool"
_CLAIMED = """
    SELECT pool, CAST(sum(amount) AS BIGINT) FROM claims
    WHERE run <> ?1 AND number < coalesce((SELECT min(number) FROM claims WHERE run = ?1 AND node = ?2 AND item = ?3),
                                          9223372036854775807)
    GROUP BY pool
"""
_HOLD = "INSERT INTO holds (pool, run, node, item, amount, until) VALUES (?, ?, ?, ?, ?, ?)"
_ASK = """
    INSERT INTO claims (pool, run, node, item, amount, until) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (run, node, item, pool) DO UPDATE SET amount = excluded.amount, until = excluded.until
"""
_STATES = """
    SELECT name, size, run_id, node, item, amount
    FROM pools LEFT JOIN (SELECT * FROM holds JOIN runs ON runs.id = holds.run WHERE until > ?) AS held ON pool = name
    ORDER BY name, run_id, node, item
"""


def set_sizes(connection: Connection, sizes: Mapping[str, int]) -> None:
    """Create pools, or change their sizes. Raises StoreError for a size below 0."""
    for name, size in sizes.items():
        if size < 0:
            raise StoreError(f"the pool {name!r} cannot have the size {size}", remedy="Give it 0 or more.")
    connection.executemany(_SIZE, sizes.items())


def hold(connection: Connection, run: int, holder: Holder, needs: Mapping[str, int], until: float, now: float) -> bool:
    """Take parts of pools, all or none; whether there was enough. `run` is the key of the holder's run."""
    _drop(connection, "until <= ?", (now,))
    wanted = {name: amount for name, amount in needs.items() if amount > 0}
    sizes = _sizes(connection, wanted)
    own = (run, holder.node, holder.item)
    taken = dict(connection.execute(_HELD, own).fetchall())
    for name, amount in connection.execute(_CLAIMED, own).fetchall():
        taken[name] = taken.get(name, 0) + amount
    enough = all(_fits(amount, sizes[name], taken.get(name, 0)) for name, amount in wanted.items())
    if enough:
        _drop(connection, _OWN, own)
    added, end = (_HOLD, until) if enough else (_ASK, now + _CLAIM)
    connection.executemany(added, ((name, *own, amount, end) for name, amount in wanted.items()))
    return enough


def _sizes(connection: Connection, wanted: Mapping[str, int]) -> dict[str, int]:
    sizes: dict[str, int] = dict(connection.execute("SELECT name, size FROM pools").fetchall())
    missing = [name for name in wanted if name not in sizes]
    if missing:
        raise NotFoundError(
            f"there is no pool {missing[0]!r}",
            remedy=f"Make it: penstock pools set {missing[0]}=SIZE, or [tool.penstock.pools] in pyproject.toml.",
        )
    return sizes


def _fits(need: int, size: int, taken: int) -> bool:
    return need <= size - taken or (need > size and taken == 0)


def renew(connection: Connection, run: int, until: float) -> None:
    """Let everything that is held for a run lapse only at a later time."""
    connection.execute("UPDATE holds SET until = ?1 WHERE until < ?1 AND run = ?2", (until, run))


def give_back(connection: Connection, run: int, holder: Holder | None = None) -> None:
    """Let go of what a holder has and claims, or of all that its run has."""
    if holder is None or not holder.node:
        _drop(connection, "run = ?", (run,))
    else:
        _drop(connection, _OWN, (run, holder.node, holder.item))


def _drop(connection: Connection, which: str, values: tuple[float | str, ...]) -> None:
    for table in ("holds", "claims"):
        connection.execute(f"DELETE FROM {table} WHERE {which}", values)


def states(connection: Connection, now: float) -> list[PoolState]:
    """All pools by name, and who holds how much of them."""
    found: dict[str, PoolState] = {}
    for name, size, run_id, node, item, amount in connection.execute(_STATES, (now,)).fetchall():
        held = found[name].held if name in found else ()
        if run_id is not None:
            held = (*held, (Holder(run_id, node, item), amount))
        found[name] = PoolState(name, size, held)
    return list(found.values())


__all__ = ["give_back", "hold", "renew", "set_sizes", "states"]
