"""Small things that files import beside their tasks: a logger for classes, masking, sessions of Airflow's database."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any, TypeVar, cast

from penstock.dialects.airflow.exceptions import AirflowException
from penstock.dialects.airflow.settings import hide
from penstock.secrets.masking import mask, masked

F = TypeVar("F", bound=Callable[..., Any])

#: what stands for a session
NEW_SESSION: Any = None


class LoggingMixin:
    """A class with a logger."""

    @property
    def log(self) -> logging.Logger:
        return logging.getLogger(f"airflow.task.{type(self).__module__}.{type(self).__name__}")

    @property
    def logger(self) -> Callable[[], logging.Logger]:
        return lambda: self.log


def mask_secret(secret: Any, name: str | None = None) -> None:
    """Keep a secret out of all that this process hands on: a text, or the texts in a table that are secret by their names."""
    if isinstance(secret, (list, tuple, set)):
        for each in cast("list[Any]", secret):
            mask_secret(each, name)
    else:
        hide(name or "masked", secret)


def redact(value: Any, name: str | None = None, max_depth: int | None = None) -> Any:
    """A value with the secrets in it masked."""
    return mask(value) if isinstance(value, str) else masked(value)


def provide_session(func: F) -> F:
    """A function that asks for a session of Airflow's database. There is none: it is called as it is."""
    return func


@contextmanager
def create_session(scoped: bool = True) -> Generator[Any]:
    """Raises AirflowException: Airflow's database is not there."""
    raise AirflowException("Airflow's database is not there: penstock's own runs are found with penstock.find_run()")
    yield


__all__ = [
    "NEW_SESSION",
    "LoggingMixin",
    "TemporaryDirectory",
    "create_session",
    "mask_secret",
    "provide_session",
    "redact",
]
