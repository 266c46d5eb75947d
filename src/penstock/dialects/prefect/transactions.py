"""Transactions: where a block fails, what its tasks have done is undone."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

from penstock.authoring.placing import Placing
from penstock.authoring.ref import Ref
from penstock.authoring.task import Task as PenstockTask
from penstock.dialects.prefect.noting import not_covered
from penstock.dialects.prefect.sessions import Session, current_session, end_of, failure_of
from penstock.errors import DefinitionError


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

    def __init__(self, values: dict[str, Any] | None = None, name: str = "") -> None:
        self._values = dict(values or {})
        self.name = name

    def set(self, name: str, value: Any) -> None:
        """Put a value under a name."""
        self._values[name] = value

    def get(self, name: str, default: Any = ...) -> Any:
        """The value of a name. Raises ValueError where there is none, and no default."""
        if name in self._values or default is not ...:
            return self._values.get(name, default)
        raise ValueError(f"Could not retrieve value for unknown key: {name}")

    def is_committed(self) -> bool:
        return False

    def snapshot(self) -> Transaction:
        """What it holds now."""
        return Transaction(self._values, self.name)


class transaction:
    """`with transaction() as txn:`: where the block fails, the `on_rollback` hooks of the tasks in it that succeeded are
    run, the last first; else their `on_commit` hooks."""

    def __init__(self, key: str | None = None, **options: Any) -> None:
        if key is not None:
            raise not_covered("a transaction with a key", "Leave it out: results are found again by the cache.")
        self._session: Session | None = None

    def __enter__(self) -> Transaction:
        session = self._session = current_session()
        if session is None:
            raise DefinitionError("a transaction is a block of a flow, and not of a task")
        self._before, self._count = session.transaction, len(session.called)
        values = {} if self._before is None else self._before.snapshot()._values  # pyright: ignore[reportPrivateUsage]
        self._transaction = session.transaction = Transaction(values)
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

    async def __aenter__(self) -> Transaction:
        return self.__enter__()

    async def __aexit__(self, *error: Any) -> None:
        self.__exit__(*error)


atransaction = transaction


def get_transaction() -> Transaction | None:
    """The transaction that the flow is in."""
    session = current_session()
    return None if session is None else session.transaction


__all__ = ["CommitMode", "IsolationLevel", "Transaction", "atransaction", "get_transaction", "transaction"]
