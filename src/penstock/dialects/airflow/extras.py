"""The libraries that some files need, and that come with the extra `penstock[airflow]`."""

from __future__ import annotations

import importlib
from types import ModuleType

from penstock.authoring.source import caller
from penstock.errors import DefinitionError


def needed(library: str, purpose: str, extra: str = "airflow") -> ModuleType:
    """A library that comes with an extra. Raises DefinitionError, saying which, where it is not there."""
    try:
        return importlib.import_module(library)
    except ModuleNotFoundError as error:
        if error.name != library.partition(".")[0]:
            raise
        raise DefinitionError(
            f"{purpose} need the library {library}, which is not installed",
            where=str(caller()),
            remedy=f"pip install 'penstock[{extra}]'" if extra else f"pip install {library}",
        ) from None


__all__ = ["needed"]
