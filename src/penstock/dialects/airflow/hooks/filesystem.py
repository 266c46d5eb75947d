"""`FSHook`: a folder that a connection names."""

from __future__ import annotations

from typing import Any

from penstock.dialects.airflow.connections import get_connection
from penstock.dialects.airflow.hooks import BaseHook


class FSHook(BaseHook):
    """The folder that a connection names as `path`."""

    def __init__(self, fs_conn_id: str = "fs_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.conn_id = fs_conn_id
        self.basepath: str = get_connection(fs_conn_id).extra_dejson.get("path", "")

    def get_conn(self) -> None:
        """Nothing: there is no connection to a folder."""

    def get_path(self) -> str:
        """The folder."""
        return self.basepath


__all__ = ["FSHook"]
