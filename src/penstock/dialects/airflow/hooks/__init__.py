"""Hooks: what tasks reach other systems by, with the address and the password of a connection."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Mapping
from typing import Any, Final

from penstock.dialects.airflow.connections import Connection, get_connection
from penstock.dialects.airflow.exceptions import AirflowException

#: the kind of a connection -> its hook, and the argument that takes the id of the connection
_HOOKS: Final[Mapping[str, tuple[str, str]]] = {
    "aws": ("s3:S3Hook", "aws_conn_id"),
    "s3": ("s3:S3Hook", "aws_conn_id"),
    "http": ("http:HttpHook", "http_conn_id"),
    "https": ("http:HttpHook", "http_conn_id"),
    "fs": ("filesystem:FSHook", "fs_conn_id"),
}


class BaseHook:
    """The root of all hooks."""

    def __init__(self, logger_name: str | None = None) -> None:
        self._logger_name = logger_name

    @property
    def log(self) -> logging.Logger:
        module = type(self).__module__.removeprefix("penstock.dialects.")
        return logging.getLogger(f"airflow.task.hooks.{module}.{type(self).__name__}")

    @classmethod
    def get_connection(cls, conn_id: str) -> Connection:
        """The connection of an id. Raises AirflowNotFoundException."""
        return get_connection(conn_id)

    @classmethod
    def get_connections(cls, conn_id: str) -> list[Connection]:
        """The same, in a list."""
        return [get_connection(conn_id)]

    @classmethod
    def get_hook(cls, conn_id: str, hook_params: Mapping[str, Any] | None = None) -> Any:
        """The hook for the kind of a connection."""
        return hook_of(get_connection(conn_id), dict(hook_params or {}))

    def get_conn(self) -> Any:
        """What the hook works with."""
        raise NotImplementedError


def hook_of(connection: Connection, parameters: dict[str, Any]) -> Any:
    """The hook for the kind of a connection. Raises AirflowException for a kind that has none here."""
    if connection.conn_type not in _HOOKS:
        raise AirflowException(
            f'Unknown hook type "{connection.conn_type}": penstock has hooks for {", ".join(_HOOKS)}'
        )
    place, argument = _HOOKS[connection.conn_type]
    module, _, name = place.partition(":")
    kind = getattr(importlib.import_module(f"{__name__}.{module}"), name)
    return kind(**{argument: connection.conn_id, **parameters})


__all__ = ["BaseHook", "hook_of"]
