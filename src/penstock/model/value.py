"""Values as they are stored and handed from task to task, without the values themselves."""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class Artifact(msgspec.Struct, frozen=True, array_like=True, gc=False, tag_field="form", tag="artifact"):
    """An immutable value, known by the digest of its content.

    Equal values have equal digests, whatever their layout in memory. Exactly one of `payload` (small values, held
    in the record itself) and `blob` (the address of the bytes) is set.
    """

    #: which codec reads the bytes
    codec: str
    #: the Python type, for people: `int`, `pandas.DataFrame`
    type: str
    #: BLAKE3 of the framed content, 32 bytes
    digest: bytes
    #: bytes of the encoded value, parts included
    size: int
    payload: bytes | None = None
    blob: bytes | None = None
    #: the user's own classes and functions in the value, sorted, as `module:qualname` (see `fingerprint.named`): their
    #: code is no part of the digest, and yet what is done with the value may run it
    classes: tuple[str, ...] = ()


class Collection(msgspec.Struct, frozen=True, array_like=True, tag_field="form", tag="collection"):
    """A list, tuple or dict put together from values that are stored apart, such as the results of a fan-out."""

    kind: Literal["list", "tuple", "dict"]
    items: tuple[Argument, ...]
    #: the keys, for a dict
    keys: tuple[str, ...] = ()


class Record(msgspec.Struct, frozen=True, array_like=True, tag_field="form", tag="record"):
    """The one value that several outputs make up: a named tuple or a dataclass, named by `type` (`module:qualname`)."""

    type: str
    names: tuple[str, ...]
    items: tuple[Argument, ...]


class Selection(msgspec.Struct, frozen=True, array_like=True, tag_field="form", tag="selection"):
    """A part of a stored value: `of[key]`, or `of.key`."""

    of: Argument
    key: str | int
    attribute: bool = False


#: What is handed to a task as one input.
Argument = Artifact | Collection | Record | Selection


class Description(msgspec.Struct, frozen=True):
    """What can be shown of an artifact without loading it.

    `preview` is JSON-able and meant for people: rows, columns, dtypes and head of a frame; shape and dtype of an
    array; parameters of an estimator; a thumbnail (PNG, base64) of a figure.
    """

    digest: bytes
    preview: dict[str, Any]
