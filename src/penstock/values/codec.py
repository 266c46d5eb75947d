"""What a family of values has to say about itself: how it becomes bytes, what its digest is, how it looks.

A package adds a family of its own by an entry point in the group `penstock.values` whose object is a `Codec`, or a
class that makes one when called without arguments:

    [project.entry-points."penstock.values"]
    raster = "rasters.penstock:RasterCodec"
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import msgspec
from blake3 import blake3

from penstock.errors import LibraryMissingError, OutputError
from penstock.ports import Blobs


class Sink(Protocol):
    """Where a codec writes the bytes of a value, from the first to the last."""

    def write(self, data: Any, /) -> int:
        """Add bytes (anything contiguous with the buffer protocol). Returns how many."""
        ...


class Encoded(msgspec.Struct, frozen=True):
    """A value on its way into storage."""

    #: the bytes: buffers to be written one after the other, or a function that writes them
    content: Sequence[Any] | Callable[[Sink], object]
    #: 32 bytes that are the same for equal values; None takes the digest of the bytes
    digest: bytes | None = None
    #: what can be shown, where it costs less to say so now than to ask `preview`
    preview: dict[str, Any] | None = None
    #: bytes that are stored elsewhere and belong to the value
    apart: int = 0
    #: the user's own classes and functions in it, sorted (see `Artifact.classes`)
    classes: tuple[str, ...] = ()


class Codec(Protocol):
    """One family of values.

    `accepts` is asked for every value that no family before it took, so it must be quick, and must not import the
    library of its family: a value of a library that nobody imported cannot exist (see `loaded`).
    """

    #: recorded with each artifact, to find the codec again; must never change
    name: str

    def accepts(self, value: Any) -> bool:
        """Whether the value is of this family, and would come back as itself."""
        ...

    def encode(self, value: Any) -> Encoded:
        """The value as bytes, with its digest. Raises OutputError when it cannot be stored."""
        ...

    def decode(self, data: memoryview) -> Any:
        """The value again. The view is private and may be written to; the value may be built on top of it."""
        ...

    def preview(self, value: Any) -> dict[str, Any]:
        """What to show a person: JSON-able, a few KB, with a `kind`."""
        ...

    def export(self, value: Any, path: Path) -> Path:
        """Write a file that a person can use. Without a suffix in `path`, the family's own is added.

        Returns the path that was written. Raises OutputError for a suffix that it cannot write.
        """
        ...


def loaded(module: str) -> Any:
    """A module that the user's code has imported, else None."""
    return sys.modules.get(module)


def module(name: str) -> Any:
    """A library that is needed now, imported if it is not yet. Raises LibraryMissingError, saying what to add, where it is not
    installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        root = name.partition(".")[0]
        if error.name != root:
            raise
    listed = "pyarrow, and the library that the table is of," if root == "pyarrow" else root
    raise LibraryMissingError(
        f"a value that this task is given or returns cannot be had without {root}, which is not installed where it runs",
        remedy=f"Add {listed} to the packages of the task (`environment=[...]`, in a component of Kubeflow's "
        "`packages_to_install=[...]`), or hand over a file or plain data.",
    )


def type_name(kind: Any) -> str:
    """A class as people call it: `int`, `pandas.DataFrame`, `sklearn.linear_model.LogisticRegression`."""
    first, *rest = kind.__module__.split(".")
    parts = [first, *(part for part in rest if not part.startswith("_"))]
    if first in ("builtins", "__main__"):
        return kind.__qualname__
    root = loaded(parts[0])
    if getattr(root, kind.__qualname__, None) is kind:
        parts = parts[:1]
    return ".".join([*parts, re.sub(r"^.*<locals>\.", "", kind.__qualname__)])


def with_suffix(path: Path, default: str, *others: str) -> Path:
    """The path with the default suffix if it has none. Raises OutputError if it has one that is not in the list."""
    if not path.suffix:
        return path.with_name(path.name + default)
    known = dict.fromkeys((default, *others))
    if path.suffix.lower() not in known:
        raise OutputError(
            f"cannot write a {path.suffix} file of this value", remedy=f"Choose one of: {', '.join(known)}."
        )
    return path


class Spool:
    """A sink that keeps what is small in memory and passes on what is not to a blob. `look` is shown everything first; its
    keyword `begins` says that a new value does."""

    closed = False

    def __init__(self, blobs: Blobs, limit: int, look: Callable[..., None] | None = None) -> None:
        self._blobs = blobs
        self._look = look
        self._limit = limit
        self._start = bytearray()
        self._writer: Any = None
        self._open = ExitStack()
        self.size = 0

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *error: Any) -> None:
        self._open.__exit__(*error)

    def write(self, data: Any, /) -> int:
        """Add bytes."""
        view = memoryview(data).cast("B")
        if self._look is not None:
            self._look(view, begins=self.size == 0)
        self.size += len(view)
        if self._writer is not None:
            self._writer.write(view)
        elif self.size <= self._limit:
            self._start += view
        else:
            self._writer = self._open.enter_context(self._blobs.writer())
            self._writer.write(self._start)
            self._writer.write(view)
        return len(view)

    def flush(self) -> None:
        """Nothing is left waiting, so there is nothing to do; writers of other libraries call this."""

    def finish(self) -> tuple[bytes | None, bytes | None, bytes]:
        """The payload or the address of the blob, and the digest of the bytes."""
        if self._writer is None:
            payload = bytes(self._start)
            return payload, None, blake3(payload).digest()
        address = self._writer.commit()
        return None, address, address
