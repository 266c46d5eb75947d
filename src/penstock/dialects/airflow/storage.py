"""`ObjectStoragePath`: paths to files of this machine, by `file://` or without a scheme."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from inspect import isgenerator
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

#: schemes that name files of this machine
_HERE = frozenset({"", "file", "local"})


class ObjectStoragePath:
    """A path with the methods of `pathlib.Path`, whose results are such paths again."""

    def __new__(cls, path: Any = "", *more: Any, protocol: str | None = None, **_: Any) -> Any:
        """What stands for a path elsewhere is not covered; it stops the DAGs that use it."""
        scheme = path.protocol if isinstance(path, ObjectStoragePath) else protocol or urlsplit(str(path)).scheme
        if scheme not in _HERE:
            from penstock.dialects.airflow.coverage import left_out

            return left_out(f"ObjectStoragePath of {scheme}://", "Use what reads it (boto3, fsspec) in the task.")
        return super().__new__(cls)

    def __init__(
        self, path: Any = "", *more: Any, protocol: str | None = None, conn_id: str | None = None, **_: Any
    ) -> None:
        given = str(path)
        scheme, separator, rest = given.partition("://")
        self.protocol = scheme if separator else protocol or ""
        self.conn_id = conn_id
        self._path = Path(rest if separator else given, *map(_plain, more))

    @property
    def path(self) -> str:
        """The path itself."""
        return str(self._path)

    @property
    def namespace(self) -> str:
        return self.protocol

    @property
    def bucket(self) -> str:
        """Files have none."""
        return ""

    container = bucket

    @property
    def key(self) -> str:
        return self.path.lstrip("/")

    def size(self) -> int:
        """In bytes."""
        return self._path.stat().st_size

    def relative_to(self, other: Any) -> Path:
        return self._path.relative_to(_plain(other))

    def copy(self, dst: Any, recursive: bool = False, **_: Any) -> None:
        """Copy it to a place, or into a folder; a folder with all that is in it only with `recursive`."""
        target = self._into(dst)
        if self._path.is_dir():
            if not recursive:
                raise IsADirectoryError(f"{self} is a folder: copy(..., recursive=True)")
            shutil.copytree(self._path, target, dirs_exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self._path, target)

    def move(self, path: Any, recursive: bool = False, **_: Any) -> None:
        """Move it to a place, or into a folder."""
        target = self._into(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(self._path, target)

    def _into(self, place: Any) -> Path:
        found = Path(_plain(ObjectStoragePath(place)))
        return found / self._path.name if found.is_dir() else found

    def samestore(self, other: Any) -> bool:
        return isinstance(other, ObjectStoragePath) and (other.protocol, other.conn_id) == (self.protocol, self.conn_id)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "_path":
            raise AttributeError(name)
        found = getattr(self._path, name)
        return self._calling(found) if callable(found) else self._made(found)

    def _calling(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def called(*args: Any, **kwargs: Any) -> Any:
            return self._made(method(*map(_plain, args), **kwargs))

        return called

    def _made(self, found: Any) -> Any:
        """A result, with paths like this one in the place of plain ones."""
        if isinstance(found, Path):
            return ObjectStoragePath(found, protocol=self.protocol, conn_id=self.conn_id)
        if isgenerator(found) or isinstance(found, (map, filter)):
            return self._each(cast("Iterator[Any]", found))
        return found

    def _each(self, found: Iterator[Any]) -> Iterator[Any]:
        for each in found:
            yield self._made(each)

    def __truediv__(self, other: Any) -> Any:
        return self._made(self._path / _plain(other))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ObjectStoragePath) and str(other) == str(self) and other.conn_id == self.conn_id

    def __hash__(self) -> int:
        return hash(str(self))

    def __lt__(self, other: Any) -> bool:
        return self._path < other._path

    def __str__(self) -> str:
        return f"{self.protocol}://{self._path}" if self.protocol else str(self._path)

    def __repr__(self) -> str:
        return f"ObjectStoragePath({self.path!r}, protocol={self.protocol!r})"

    def __reduce__(self) -> Any:
        return _restored, (str(self), self.conn_id)


def _restored(path: str, conn_id: str | None) -> Any:
    return ObjectStoragePath(path, conn_id=conn_id)


def _plain(given: Any) -> Any:
    return given._path if isinstance(given, ObjectStoragePath) else given  # pyright: ignore[reportPrivateUsage]


__all__ = ["ObjectStoragePath"]
