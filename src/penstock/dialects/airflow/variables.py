"""Airflow's Variables: named values that files read, from the environment, the project's settings and files.

Looked for in this order: `AIRFLOW_VAR_<KEY>` in the environment; what `Variable.set` has kept in the folder of the project's
state (`.penstock/airflow/variables.json`); `[tool.penstock.airflow.variables]`; a file `airflow_variables.json` (or
`variables.json`, or `.yaml`) beside the project or in `AIRFLOW_HOME`, as `airflow variables export` writes it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from penstock.authoring.source import caller
from penstock.dialects.airflow.settings import entries, hide, is_sensitive, project, revealed
from penstock.errors import DefinitionError

_NONE: Any = object()


class Variable:
    """A named value."""

    def __init__(
        self, key: str | None = None, val: Any = None, description: str | None = None, *, value: Any = None
    ) -> None:
        self.key = key
        self.val = val if value is None else value
        self.description = description

    @property
    def value(self) -> Any:
        """The value."""
        return self.val

    @classmethod
    def get(
        cls,
        key: str,
        default: Any = _NONE,
        deserialize_json: bool = False,
        *,
        default_var: Any = _NONE,
    ) -> Any:
        """The value of a variable, as text, or what the text says as JSON. Raises KeyError for one that is not there, unless
        there is a default."""
        # before Airflow 3, the second argument was `default_var`
        default = default if default_var is _NONE else default_var
        found = _look_up(key)
        if found is None:
            if default is _NONE:
                raise KeyError(f"Variable {key} does not exist ({_places(key)})")
            return default
        (value,) = found
        if deserialize_json:
            value = json.loads(value) if isinstance(value, str) else value
        elif not isinstance(value, str):
            value = json.dumps(value)
        if is_sensitive(key):
            hide(f"variable {key}", value)
        return value

    @classmethod
    def set(cls, key: str, value: Any, description: str | None = None, serialize_json: bool = False) -> None:
        """Keep a value under a name, for all who read it from now on, in other runs as well."""
        text = json.dumps(value, indent=2) if serialize_json else str(value)
        if is_sensitive(key):
            hide(f"variable {key}", text)
        with _kept() as kept:
            kept[key] = text

    @classmethod
    def setdefault(cls, key: str, default: Any, description: str | None = None, deserialize_json: bool = False) -> Any:
        """The value of a variable; if there is none, `default`, which is kept from then on."""
        found = cls.get(key, default=None, deserialize_json=deserialize_json)
        if found is not None:
            return found
        if default is None:
            raise ValueError("Default Value must be set")
        cls.set(key, default, description, serialize_json=deserialize_json)
        return default

    @classmethod
    def update(cls, key: str, value: Any, serialize_json: bool = False) -> None:
        """Change a variable. Raises KeyError for one that is not there."""
        cls.get(key)
        cls.set(key, value, serialize_json=serialize_json)

    @classmethod
    def delete(cls, key: str) -> int:
        """Forget a variable, wherever it comes from but the environment. Returns how many were forgotten."""
        with _kept() as kept:
            there = kept.get(key) is not None or (key not in kept and key in entries("variables"))
            kept[key] = None
        return int(there)

    @classmethod
    def keys(cls, prefix: str | None = None) -> list[str]:
        """The names of all variables that are kept, without those of the environment."""
        kept = _read(_file())
        names = {name for name in entries("variables") if name not in kept}
        names |= {name for name, value in kept.items() if value is not None}
        return sorted(name for name in names if name.startswith(prefix or ""))


def _look_up(key: str) -> tuple[Any] | None:
    """The value, in a tuple of its own; None where there is none."""
    if not isinstance(key, str) or not key:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise DefinitionError(f"the name of a variable is a text, not {key!r}", where=str(caller()))
    variable = f"AIRFLOW_VAR_{key.upper()}"
    if variable in os.environ:
        return (os.environ[variable],)
    kept = _read(_file())
    if key in kept:
        return None if kept[key] is None else (kept[key],)
    found = entries("variables")
    if key not in found:
        return None
    value, _ = found[key]
    if isinstance(value, dict) and set(cast("dict[str, Any]", value)) >= {"value"} and _is_exported(value):
        value = cast("dict[str, Any]", value)["value"]
    return (revealed(value, f"the variable {key}"),)


def _is_exported(value: Any) -> bool:
    """Whether a value is written as `airflow variables export` writes one with a description."""
    return not set(cast("dict[str, Any]", value)) - {"value", "description"}


def _places(key: str) -> str:
    return f"set AIRFLOW_VAR_{key.upper()}, or write it into airflow_variables.json beside the project"


def _file() -> Path:
    return project().home / "airflow" / "variables.json"


def _read(file: Path) -> dict[str, Any]:
    try:
        return json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return {}


@contextmanager
def _kept() -> Generator[dict[str, Any]]:
    """What was set, to be changed in the block; others who change it wait meanwhile."""
    file = _file()
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _locked(file.with_suffix(".lock")):
        kept = _read(file)
        yield kept
        fresh = file.with_suffix(".new")
        # there may be secrets among them
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
            json.dump(kept, handle, indent=2, sort_keys=True)
        fresh.replace(file)


@contextmanager
def _locked(file: Path) -> Generator[None]:
    with file.open("a") as handle:
        try:
            import fcntl
        except ImportError:
            # where there are no such locks, the last one who writes wins
            yield
            return
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


class VariableAccessor:
    """`var.value` and `var.json` of templates: variables as attributes, and by `get`."""

    def __init__(self, deserialize_json: bool) -> None:
        self._json = deserialize_json

    def __getattr__(self, key: str) -> Any:
        if key.startswith("__"):
            raise AttributeError(key)
        return Variable.get(key, deserialize_json=self._json)

    def __getitem__(self, key: str) -> Any:
        return Variable.get(key, deserialize_json=self._json)

    def get(self, key: str, default: Any = _NONE, default_var: Any = _NONE) -> Any:
        """The value of a variable. Raises KeyError for one that is not there, unless there is a default."""
        return Variable.get(key, default, self._json, default_var=default_var)


def accessors() -> Mapping[str, VariableAccessor]:
    """What templates find under `var`."""
    return {"value": VariableAccessor(False), "json": VariableAccessor(True)}


__all__ = ["Variable", "VariableAccessor", "accessors"]
