"""Prefect's blocks: typed settings under a name."""

from __future__ import annotations

import inspect
import os
import re
import typing
from pathlib import Path
from typing import Any, ClassVar, Self, cast, dataclass_transform
from uuid import UUID

from penstock.dialects.prefect.local import parsed, store, stored, variable_of
from penstock.dialects.prefect.sessions import either_way
from penstock.errors import DefinitionError, NotFoundError
from penstock.secrets import Secret as Reference

_MISSING: Any = object()


@dataclass_transform(kw_only_default=True)
class Fields:
    """A record with the annotated attributes of its class as fields, given by name."""

    def __init__(self, **values: Any) -> None:
        for name, default in type(self).fields().items():
            if name in values:
                setattr(self, name, values.pop(name))
            elif default is _MISSING:
                raise TypeError(f"{type(self).__name__} needs {name}")
            else:
                setattr(self, name, default() if callable(default) and getattr(default, "makes", False) else default)
        if values:
            raise TypeError(f"{type(self).__name__} has no field {next(iter(values))!r}")

    @classmethod
    def fields(cls) -> dict[str, Any]:
        """The fields with their defaults."""
        found: dict[str, Any] = {}
        for kind in reversed(cls.__mro__):
            for name, annotation in inspect.get_annotations(kind).items():
                if not name.startswith("_") and "ClassVar" not in str(annotation):
                    found[name] = _default(kind.__dict__.get(name, _MISSING))
        return found

    @classmethod
    def hints(cls) -> dict[str, Any]:
        """The annotations of the fields."""
        hints = typing.get_type_hints(cls)
        return {name: hints.get(name, Any) for name in cls.fields()}

    def model_dump(self, **_: Any) -> dict[str, Any]:
        return {name: getattr(self, name) for name in type(self).fields()}

    dict = model_dump

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.model_dump() == cast(Any, other).model_dump()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.model_dump().items())
        return f"{type(self).__name__}({shown})"


def _default(given: Any) -> Any:
    """A default, also out of pydantic's Field."""
    factory = getattr(given, "default_factory", None)
    if factory is not None:

        def make() -> Any:
            return factory()

        make.makes = True  # type: ignore[attr-defined]
        return make
    if type(given).__name__ == "FieldInfo":
        return _MISSING if given.is_required() else given.default
    return given


class Block(Fields):
    """Settings under a name, kept as `local` says: `MyBlock.load("name")`."""

    _block_type_slug: ClassVar[str] = ""
    _block_type_name: ClassVar[str] = ""

    #: what it was loaded or saved under
    _block_document_name: str | None = None

    @property
    def _block_document_id(self) -> UUID | None:
        from penstock.dialects.prefect.deployments import noted
        from penstock.dialects.prefect.names import Named

        if self._block_document_name is None:
            return None
        return noted(Named("block", f"{type(self).get_block_type_slug()}/{self._block_document_name}")).id

    @classmethod
    def get_block_type_slug(cls) -> str:
        return cls._block_type_slug or re.sub(r"[\W_]+", "-", cls._block_type_name or cls.__name__).lower().strip("-")

    @classmethod
    def load(cls, name: str, validate: bool = True, **_: Any) -> Any:
        """The block of a name; of `Block` itself, `type/name`. Raises NotFoundError where there is none."""
        return either_way(lambda: cls._loaded(name), _)

    aload = load

    @classmethod
    def _loaded(cls, name: str) -> Self:
        kind, slug, name = _named(cls, name)
        text = os.environ.get(variable_of("BLOCK", slug, name))
        try:
            found = parsed(text) if text is not None else stored("blocks", f"{slug}/{name}")
        except KeyError:
            raise NotFoundError(
                f"there is no block {slug}/{name}",
                remedy=f"Set {variable_of('BLOCK', slug, name)}, or put it into prefect.local.json.",
            ) from None
        made = kind._made(name, found)
        made._block_document_name = name
        return made

    @classmethod
    def _made(cls, name: str, found: Any) -> Self:
        return cls(**found)

    def save(self, name: str, overwrite: bool = False, **_: Any) -> Any:
        """Keep the block under a name, in the file. Gives its id. Raises ValueError if there is one, and it is not to be
        overwritten."""

        def put() -> UUID | None:
            key = f"{type(self).get_block_type_slug()}/{name}"
            try:
                stored("blocks", key)
            except KeyError:
                pass
            else:
                if not overwrite:
                    raise ValueError(f"the block {key} is there already; use overwrite=True")
            store("blocks", key, self.model_dump())
            self._block_document_name = name
            return self._block_document_id

        return either_way(put, _)

    asave = save

    @classmethod
    def register_type_and_schema(cls, **_: Any) -> None:
        """There is no server to know it."""


def _named(kind: type[Any], name: str) -> tuple[Any, str, str]:
    if kind is not Block:
        return kind, kind.get_block_type_slug(), name
    slug, _, rest = name.partition("/")
    pending: list[Any] = [Block]
    while pending:
        each = pending.pop()
        pending += each.__subclasses__()
        if each is not Block and each.get_block_type_slug() == slug:
            return each, slug, rest
    raise DefinitionError(f"there is no class of blocks {slug!r}", remedy="Import the class before Block.load().")


class _Value(Block):
    """A block that is one value."""

    value: Any

    @classmethod
    def _made(cls, name: str, found: Any) -> Self:
        return cls(
            value=found["value"]
            if isinstance(found, dict) and set(cast("dict[str, Any]", found)) == {"value"}
            else found
        )

    def get(self) -> Any:
        return self.value


class JSON(_Value):
    """Data."""


class String(_Value):
    """A text."""


class DateTime(_Value):
    """A moment, as it was saved."""


class Secret(_Value):
    """A text that is kept out of all records: its variable is read as a secret of penstock is."""

    @classmethod
    def _loaded(cls, name: str) -> Self:
        variable = variable_of("BLOCK", "secret", name)
        if variable in os.environ:
            return cls(value=Reference(f"env:{variable}").reveal())
        return super()._loaded(name)

    def __repr__(self) -> str:
        return "Secret(value='***')"


class LocalFileSystem(Block):
    """A folder."""

    basepath: Any = None

    def _path(self, path: str | None) -> Path:
        return Path(self.basepath or ".").expanduser() / (path or "")

    def read_path(self, path: str) -> Any:
        return either_way(lambda: self._path(path).read_bytes())

    def write_path(self, path: str, content: bytes) -> Any:
        def write() -> str:
            target = self._path(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            return str(target)

        return either_way(write)


__all__ = ["JSON", "Block", "DateTime", "Fields", "LocalFileSystem", "Secret", "String"]
