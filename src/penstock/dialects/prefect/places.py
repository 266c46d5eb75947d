"""What says where a flow runs, where its code is, and where its results go: blocks of infrastructure and of storage.

Deployments are given them, without effect here. So they can be made and loaded; a flow that uses one itself stops, as with
anything that is not covered.
"""

from __future__ import annotations

import reprlib
import sys
from collections.abc import Generator
from typing import Any

from penstock.authoring.source import caller, is_own
from penstock.dialects.uncovered import Uncovered

#: modules all of whose names are places; and names that are, in whichever module
_MODULES = ("prefect.infrastructure", "prefect.runner.storage", "prefect.docker", "prefect.types.entrypoint")
_NAMES = ("GitHub", "S3", "GCS", "Azure", "RemoteFileSystem", "SMB", "DeploymentImage", "EntrypointType", "DockerImage")
#: what gives the same place, whoever is asked
_KEPT = ("load", "aload", "save", "asave")


class Place(Uncovered):
    """One of them: its class, and whatever is made of it."""

    def __call__(self, *args: Any, **options: Any) -> Place:
        dialect, name, remedy, _ = self.__dict__["penstock"]
        given = [*map(reprlib.repr, args), *(f"{key}={reprlib.repr(each)}" for key, each in options.items())]
        return type(self)(dialect, f"{name}({', '.join(given)})", remedy)

    def __getattr__(self, name: str) -> Any:
        # what penstock asks of everything that it looks into is no use
        if name.startswith("__") or is_own(sys._getframe(1).f_code.co_filename):  # pyright: ignore[reportPrivateUsage]
            raise AttributeError(name)
        if name in _KEPT or name.isupper():
            return self
        raise self.error(caller())

    def __await__(self) -> Generator[Any, Any, Any]:
        yield from ()
        return self

    def __repr__(self) -> str:
        name, mark, given = self.__dict__["penstock"][1].partition("(")
        return f"{name.rpartition('.')[2]}{mark}{given}"


def is_place(module: str, name: str) -> bool:
    """Whether a name in a module that penstock has no counterpart of is one. Of the packages that go with Prefect, all are:
    what they have are blocks."""
    if module.startswith("prefect_"):
        return name[:1].isupper()
    return name in _NAMES or any(module == each or module.startswith(f"{each}.") for each in _MODULES)


__all__ = ["Place", "is_place"]
