"""`FileSensor`: waits for a file."""

from __future__ import annotations

from collections.abc import Sequence
from glob import glob
from pathlib import Path
from typing import Any, ClassVar

from penstock.dialects.airflow.basesensor import BaseSensorOperator
from penstock.dialects.airflow.connections import get_connection
from penstock.dialects.airflow.exceptions import AirflowNotFoundException

_DEFAULT = "fs_default"


class FileSensor(BaseSensorOperator):
    """Waits for a file, for a folder with a file in it, or for what fits a pattern. A relative path starts from the folder
    that the connection names as `path`, or from the working folder where there is no connection."""

    template_fields: ClassVar[Sequence[str]] = ("filepath", "fs_conn_id")

    def __init__(
        self,
        *,
        filepath: str,
        fs_conn_id: str = _DEFAULT,
        recursive: bool = False,
        deferrable: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filepath = filepath
        self.fs_conn_id = fs_conn_id
        self.recursive = recursive
        self.deferrable = deferrable

    @property
    def path(self) -> str:
        """The path, from the folder of the connection on."""
        try:
            base = get_connection(self.fs_conn_id).extra_dejson.get("path") or "/"
        except AirflowNotFoundException:
            if self.fs_conn_id != _DEFAULT:
                raise
            base = str(Path.cwd())
        return str(Path(base) / str(self.filepath).lstrip("/" if base == "/" else ""))

    def poke(self, context: Any) -> bool:
        for found in glob(self.path, recursive=self.recursive):  # noqa: PTH207 - of an absolute pattern
            place = Path(found)
            if place.is_file() or any(each.is_file() for each in place.rglob("*")):
                return True
        return False


__all__ = ["FileSensor"]
