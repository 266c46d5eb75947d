"""Kubeflow Pipelines."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from penstock.dialects import Dialect, Export, Maker, Reading, Vocabulary, Written


def _vocabulary() -> Vocabulary:
    from penstock.dialects.kfp.vocabulary import vocabulary

    return vocabulary()


def _read(module: ModuleType, make: Maker) -> Reading:
    from penstock.dialects.kfp.reading import read

    return read(module, make)


def _find(module: ModuleType, qualname: str) -> Callable[..., Any]:
    from penstock.dialects.kfp.reading import find

    return find(module, qualname)


def _missing(module: str, name: str) -> Any:
    from penstock.dialects.kfp.platforms import missing

    return missing(module, name)


def _claims(text: str) -> bool:
    from penstock.dialects.kfp.ir import claims

    return claims(text)


def _execute(module: ModuleType) -> None:
    from penstock.dialects.kfp.ir import execute

    execute(module)


def _write(export: Export) -> Written:
    from penstock.dialects.kfp.writing import written

    return written(export)


DIALECT = Dialect(
    "kfp",
    "Kubeflow Pipelines",
    ("kfp",),
    vocabulary=_vocabulary,
    missing=_missing,
    claims=_claims,
    execute=_execute,
    read=_read,
    find=_find,
    write=_write,
    companions=("kubernetes", "google_cloud_pipeline_components"),
)
