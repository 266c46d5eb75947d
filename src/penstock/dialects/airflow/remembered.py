"""What tasks keep for their next attempt, and for the next run of what makes an asset: `task_state_store` and
`asset_state_store` of the context.

It is kept in the folder of the project's state, in `.penstock/airflow/states.sqlite`.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import Any, Final

from penstock.dialects.airflow import recorded
from penstock.dialects.airflow.assets import UPDATED, Asset, AssetAlias, AssetRef, expanded
from penstock.dialects.airflow.configuration import conf
from penstock.dialects.airflow.settings import project

#: how long something is kept that is not to be forgotten
NEVER_EXPIRE: Final = timedelta.max
#: days that something is kept of which nothing is said
_DAYS: Final = 30
#: seconds that a writer waits for others
_PATIENCE: Final = 30.0
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS states (scope TEXT, key TEXT, value TEXT, expires_at REAL, PRIMARY KEY (scope, key));
CREATE TABLE IF NOT EXISTS assets (uri TEXT PRIMARY KEY, name TEXT);
"""


@contextmanager
def _database() -> Generator[sqlite3.Connection]:
    """What is kept; all that the block changes is changed at once."""
    folder = project().home / "airflow"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with closing(sqlite3.connect(folder / "states.sqlite", timeout=_PATIENCE)) as connection:
        connection.executescript(_TABLES)
        with connection:
            yield connection


class States:
    """Values by their keys, which are kept at once and for other processes too. Values are such as JSON has, without None."""

    def __init__(self, *scope: Any) -> None:
        self._scope = json.dumps(scope)

    def get(self, key: str, default: Any = None) -> Any:
        """A value; the default where there is none, or where its time is over."""
        wanted = "SELECT value FROM states WHERE scope = ? AND key = ? AND coalesce(expires_at, ?) >= ?"
        now = time.time()
        with _database() as found:
            row = found.execute(wanted, (self._scope, key, now, now)).fetchone()
        return default if row is None else json.loads(row[0])

    def _keep(self, key: str, value: Any, expires_at: float | None) -> None:
        if value is None:
            raise ValueError("Cannot set value as None")
        row = (self._scope, key, json.dumps(value, allow_nan=False), expires_at)
        with _database() as kept:
            kept.execute("INSERT OR REPLACE INTO states VALUES (?, ?, ?, ?)", row)

    def delete(self, key: str) -> None:
        """Forget a value, if there is one."""
        with _database() as kept:
            kept.execute("DELETE FROM states WHERE scope = ? AND key = ?", (self._scope, key))

    def clear(self) -> None:
        """Forget all values."""
        with _database() as kept:
            kept.execute("DELETE FROM states WHERE scope = ?", (self._scope,))

    async def aget(self, key: str, default: Any = None) -> Any:
        return self.get(key, default)

    async def adelete(self, key: str) -> None:
        self.delete(key)

    async def aclear(self) -> None:
        self.clear()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, States) and other._scope == self._scope

    def __hash__(self) -> int:
        return hash(self._scope)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._scope}>"


class TaskStates(States):
    """What the attempts at a task of a run keep for each other."""

    def __init__(self, run_id: str, task: str) -> None:
        super().__init__("task", run_id, task)

    def set(self, key: str, value: Any, *, retention: timedelta | None = None) -> None:
        """Keep a value for so long: 30 days, unless Airflow's `[state_store] default_retention_days` says otherwise. Raises
        ValueError for None."""
        if retention is None:
            days = conf.getint("state_store", "default_retention_days", fallback=_DAYS)
            if days < 0:
                raise ValueError(
                    f"[state_store] default_retention_days must be >= 0, got {days}. Set to 0 to disable expiry."
                )
            retention = timedelta(days=days) if days else NEVER_EXPIRE
        self._keep(key, value, None if retention == NEVER_EXPIRE else time.time() + retention.total_seconds())

    async def aset(self, key: str, value: Any, *, retention: timedelta | None = None) -> None:
        self.set(key, value, retention=retention)

    def succeed(self) -> None:
        """Forget what is of no use any more, where Airflow's `[state_store] clear_on_success` says so."""
        if conf.getboolean("state_store", "clear_on_success", fallback=False):
            self.clear()


class AssetStates(States):
    """What is kept about an asset, by its name, from run to run."""

    def __init__(self, name: str) -> None:
        super().__init__("asset", name)

    def set(self, key: str, value: Any) -> None:
        """Keep a value. Raises ValueError for None."""
        self._keep(key, value, None)

    async def aset(self, key: str, value: Any) -> None:
        self.set(key, value)


class StatesOfAssets:
    """By an inlet or an outlet of a task: what is kept about it. With one of them alone, its methods are here as well."""

    def __init__(self, inlets: Any, outlets: Any) -> None:
        own = [each for each in expanded(outlets) if not isinstance(each, AssetAlias)]
        names = (name for each in (*expanded(inlets), *own) for name in _names(each))
        self._found = {name: AssetStates(name) for name in dict.fromkeys(names)}

    def __getitem__(self, key: Any) -> AssetStates:
        if not isinstance(key, (Asset, AssetRef)):
            raise TypeError(f"Expected Asset, AssetNameRef, or AssetUriRef; got {type(key).__name__}")
        found = next((self._found[name] for name in _names(key) if name in self._found), None)
        if found is None:
            raise KeyError(f"{key!r} is not in this task's inlets or outlets")
        return found

    def __getattr__(self, name: str) -> Any:
        if name not in ("get", "set", "delete", "clear", "aget", "aset", "adelete", "aclear"):
            raise AttributeError(name)
        if len(self._found) != 1:
            raise ValueError(
                f"Task has {len(self._found)} concrete inlets and outlets — use "
                "context['asset_state_store'][MY_ASSET] to specify which"
            )
        return getattr(next(iter(self._found.values())), name)

    def __repr__(self) -> str:
        return f"<StatesOfAssets {list(self._found)}>"


def _names(asset: Any) -> Iterator[str]:
    """The name of an asset; of an alias, of all that it has stood for."""
    if isinstance(asset, AssetAlias):
        for _, data in recorded.happened(UPDATED):
            if data.get("alias") == asset.name:
                yield str(data["name"])
    elif isinstance(asset, Asset):
        with _database() as kept:
            kept.execute("INSERT OR REPLACE INTO assets VALUES (?, ?)", (asset.uri, asset.name))
        yield asset.name
    elif isinstance(asset, AssetRef) and asset.name:
        yield asset.name
    elif isinstance(asset, AssetRef):
        uri = str(asset.where()["uri"])
        with _database() as kept:
            row = kept.execute("SELECT name FROM assets WHERE uri = ?", (uri,)).fetchone()
        yield uri if row is None else row[0]


__all__ = ["NEVER_EXPIRE", "AssetStates", "StatesOfAssets", "TaskStates"]
