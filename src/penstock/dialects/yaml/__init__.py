"""penstock's own YAML: a pipeline as a file that people write, and the form in which any graph is kept as text."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from penstock.dialects import Dialect, Export, Maker, Reading, Written


def schema() -> dict[str, Any]:
    """The JSON Schema of the files, for editors."""
    from penstock.dialects.yaml.schema import schema

    return schema()


def _claims(text: str) -> bool:
    from penstock.dialects.yaml.reading import claims

    return claims(text)


def _execute(module: ModuleType) -> None:
    from penstock.dialects.yaml.reading import execute

    execute(module)


def _read(module: ModuleType, make: Maker) -> Reading:
    from penstock.dialects.yaml.reading import read

    return read(module, make)


def _find(module: ModuleType, key: str) -> Callable[..., Any]:
    from penstock.dialects.yaml.reading import find

    return find(module, key)


def _write(export: Export) -> Written:
    from penstock.dialects.yaml.writing import write

    return write(export)


DIALECT = Dialect("yaml", "penstock's YAML", claims=_claims, execute=_execute, read=_read, find=_find, write=_write)

__all__ = ["DIALECT", "schema"]
