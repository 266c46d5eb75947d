"""Prefect: files of its versions 2 and 3, read into penstock's own form."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from penstock.dialects import Dialect, Export, Maker, Reading, Written


def _module(name: str) -> Any:
    return importlib.import_module(f"{__name__}.{name}")


def _vocabulary() -> Mapping[str, Mapping[str, str]]:
    return _module("vocabulary").vocabulary()


def _read(module: ModuleType, make: Maker) -> Reading:
    return _module("reading").read(module, make)


def _find(module: ModuleType, name: str) -> Callable[..., Any]:
    return _module("reading").find(module, name)


def _missing(module: str, name: str) -> Any:
    return _module("missing").missing(module, name)


def _claims(text: str) -> bool:
    return any(_module(each).claims(text) for each in ("projects", "automation_files"))


def _execute(module: ModuleType) -> None:
    project = _module("projects").claims(Path(str(module.__file__)).read_text())
    _module("projects" if project else "automation_files").execute(module)


def _write(export: Export) -> Written:
    return _module("writing").write(export)


#: the packages of Prefect's that go with it, each for another system
_COLLECTIONS = tuple(
    f"prefect_{each}"
    for each in (
        "airbyte", "aws", "azure", "bitbucket", "dask", "databricks", "dbt", "docker", "email", "fivetran", "gcp", "github",
        "gitlab", "great_expectations", "hex", "kubernetes", "openai", "ray", "redis", "shell", "slack", "snowflake",
        "soda_core", "sqlalchemy", "twilio",
    )
)  # fmt: skip
DIALECT = Dialect(
    "prefect",
    "Prefect",
    ("prefect", *_COLLECTIONS),
    _vocabulary,
    missing=_missing,
    claims=_claims,
    execute=_execute,
    read=_read,
    find=_find,
    write=_write,
)

__all__ = ["DIALECT"]
