"""A pytest plugin with which test files that import Airflow run where it is not installed.

`pytest -p penstock.dialects.airflow.testing`, or in `conftest.py`: `pytest_plugins = ["penstock.dialects.airflow.testing"]`.
Where Airflow is installed, it does nothing.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_ROOT = "airflow"


class Standing(ModuleType):
    """What stands for a module of Airflow."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        from penstock.dialects.airflow.vocabulary import vocabulary

        home = vocabulary().get(self.__name__, {}).get(name)
        if home is None:
            inner = f"{self.__name__}.{name}"
            if is_known(inner):
                return importlib.import_module(inner)
            raise AttributeError(f"{self.__name__}.{name} is not covered by penstock's reader of Apache Airflow")
        module, _, attribute = home.partition(":")
        found = getattr(importlib.import_module(module), attribute)
        setattr(self, name, found)
        return found


def is_known(name: str) -> bool:
    """Whether there is something for a module of Airflow here."""
    from penstock.dialects.airflow.vocabulary import vocabulary

    known = vocabulary()
    return name in known or any(each.startswith(f"{name}.") for each in known)


class _Finder(MetaPathFinder, Loader):
    """Finds what stands for Airflow's modules, after all else was asked."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] != _ROOT or not is_known(fullname):
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return Standing(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """There is nothing to run: names are looked up when they are asked for."""


def install() -> Any:
    """Let `import airflow` find what stands for it, from now on in this process. Returns what `remove` takes back; None where
    Airflow is installed."""
    if _ROOT not in sys.modules and importlib.util.find_spec(_ROOT) is not None:
        return None
    finder = _Finder()
    sys.meta_path.append(finder)
    return finder


def remove(finder: Any) -> None:
    """Take back what `install` did."""
    if finder is None:
        return
    sys.meta_path.remove(finder)
    for name in [each for each, module in sys.modules.items() if isinstance(module, Standing)]:
        del sys.modules[name]


def pytest_configure(config: Any) -> None:
    """At the beginning of a session of pytest."""
    finder = install()
    config.add_cleanup(lambda: remove(finder))


__all__ = ["Standing", "install", "is_known", "pytest_configure", "remove"]
