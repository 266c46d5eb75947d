"""Apache Airflow."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from penstock.dialects import Dialect, Maker, Reading, Vocabulary

if TYPE_CHECKING:
    from penstock.dialects import Export, Written


def _vocabulary() -> Vocabulary:
    from penstock.dialects.airflow.vocabulary import vocabulary

    return vocabulary()


def _missing(module: str, name: str) -> Any:
    from penstock.dialects.airflow.operators.unknown import unknown

    return unknown(module, name)


def _read(module: ModuleType, make: Maker) -> Reading:
    from penstock.dialects.airflow.reading import read

    return read(module, make)


def _find(module: ModuleType, qualname: str) -> Callable[..., Any]:
    from penstock.dialects.airflow.reading import find

    return find(module, qualname)


def _folders(file: Path) -> Iterable[Path]:
    from penstock.dialects.airflow.folders import folders_of

    return folders_of(file)


def _write(export: Export) -> Written:
    from penstock.dialects.airflow.writing import write

    return write(export)


DIALECT = Dialect(
    "airflow",
    "Apache Airflow",
    ("airflow",),
    libraries=("jinja2", "jsonschema", "pendulum"),
    vocabulary=_vocabulary,
    missing=_missing,
    read=_read,
    find=_find,
    write=_write,
    folders=_folders,
)
