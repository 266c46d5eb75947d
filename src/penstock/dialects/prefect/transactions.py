"""Transactions: where a block fails, what its tasks have done is undone."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

from penstock.authoring.placing import Placing
from penstock.authoring.ref import Ref, value_of
from penstock.authoring.task import Task as PenstockTask
from penstock.dialects.prefect.futures import unwrapped
from penstock.dialects.prefect.local import store, whole
from penstock.dialects.prefect.sessions import Session, current_session, end_of, failure_of
from penstock.errors import DefinitionError

#: what the file with variables and blocks calls the records of transactions
_RECORDS = "transactions"


class IsolationLevel(Enum):
    """Whether others may write the same record meanwhile."""

    READ_COMMITTED = "READ_COMMITTED"
    SERIALIZABLE = "SERIALIZABLE"


class CommitMode(Enum):
    """When what was done counts."""

    EAGER = "EAGER"
    LAZY = "LAZY"
    OFF = "OFF"


class Transaction:
    """What hooks are called with: values that the flow has put into it."""

    def __init__(self, values: dict[str, Any] | None = None, name: str = "", record: Ref | None = None) -> None:
        self._values = dict(values or {})
        self.name = name
        #: whether there is a record of it already
        self._record = record
        self.staged: Any = None

    def set(self, name: str, value: Any) -> None:
        """Put a value under a name."""
        self._values[name] = value

    def get(self, name: str, default: Any = ...) -> Any:
        """The value of a name. Raises ValueError where there is none, and no default."""
        if name in self._values or default is not ...:
            return self._values.get(name, default)
        raise ValueError(f"Could not retrieve value for unknown key: {name}")

    def is_committed(self) -> bool:
        """Whether one with the same key has succeeded before."""
        return self._record is not None and bool(value_of(self._record))

    def stage(self, value: Any, *_: Any, **__: Any) -> None:
        """Keep a value in the record."""
        self.staged = value

    def snapshot(self) -> Transaction:
        """What it holds now."""
        return Transaction(self._values, self.name)


class transaction:
    """`with transaction() as txn:`: where the block fails, the `on_rollback` hooks of the tasks in it that succeeded are
    run, the last first; else their `on_commit` hooks."""

    def __init__(self, key: str | None = None, store: Any = None, overwrite: bool = False, **_: Any) -> None:
        self._key = key
        self._overwrite = overwrite
        self._session: Session | None = None

    def __enter__(self) -> Transaction:
        session = self._session = current_session()
        if session is None:
            raise DefinitionError("a transaction is a block of a flow, and not of a task")
        self._before, self._count = session.transaction, len(session.called)
        values = {} if self._before is None else self._before.snapshot()._values  # pyright: ignore[reportPrivateUsage]
        record = None
        if self._key is not None and not self._overwrite:
            record = self._call(session, has_record, "transaction", key=self._key)
        self._transaction = session.transaction = Transaction(values, record=record)
        return self._transaction

    def __exit__(self, kind: Any, error: BaseException | None, _: Any) -> None:
        session = self._session
        assert session is not None
        session.transaction = self._before
        if error is not None and not isinstance(error, Exception):
            return
        called = session.called[self._count :]
        if error is None:
            for task, ref in called:
                self._run(session, task.commits, ref)
            if self._key is not None and not self._transaction.is_committed():
                end_of(self._call(session, keep_record, "commit", key=self._key, value=self._transaction.staged))
        else:
            for task, ref in reversed(called):
                self._run(session, list(reversed(task.rollbacks)), ref)
            del session.called[self._count :]

    def _run(self, session: Session, hooks: list[Callable[..., Any]], ref: Ref) -> None:
        if not hooks or failure_of(ref) is not None:
            return
        for hook in hooks:
            task: PenstockTask[..., Any] = PenstockTask(hook, getattr(hook, "__name__", "hook"), {"cache": False})
            name = next(iter(task.shape.parameters))
            end_of(session.building.call(task, Placing(), {name: self._transaction.snapshot()}))

    @staticmethod
    def _call(session: Session, function: Callable[..., Any], name: str, **arguments: Any) -> Ref:
        task: PenstockTask[..., Any] = PenstockTask(function, name, {"cache": False})
        placing = Placing().changed({"after": list(session.latest)})
        return session.building.call(task, placing, {key: unwrapped(each) for key, each in arguments.items()})

    async def __aenter__(self) -> Transaction:
        return self.__enter__()

    async def __aexit__(self, *error: Any) -> None:
        self.__exit__(*error)


atransaction = transaction


def has_record(key: str) -> bool:
    """Whether there is a record of a transaction with a key."""
    return key in whole(_RECORDS)


def keep_record(key: str, value: Any) -> None:
    """Keep one, with a value that JSON can hold."""
    import json

    store(_RECORDS, key, json.loads(json.dumps(value, default=str)))


def get_transaction() -> Transaction | None:
    """The transaction that the flow is in."""
    session = current_session()
    return None if session is None else session.transaction


__all__ = ["CommitMode", "IsolationLevel", "Transaction", "atransaction", "get_transaction", "transaction"]
