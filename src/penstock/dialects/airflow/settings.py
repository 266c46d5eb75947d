"""What a project says of its Airflow files: `[tool.penstock.airflow]`, and the files with variables and connections."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

import yaml

from penstock.errors import DefinitionError
from penstock.secrets import Secret
from penstock.secrets.masking import learn

#: how the value of a variable, or a part of a connection, names a secret: `password = { secret = "env:DB_PASSWORD" }`
_SECRET = "secret"


class Project(NamedTuple):
    """The folder of a project, that of its state, and its table of settings for Airflow files."""

    folder: Path
    home: Path
    table: Mapping[str, Any]
    source: str = ""


def project() -> Project:
    """The project of the working folder, found as penstock finds it. Raises DefinitionError for a table that is none."""
    start = Path.cwd()
    folder, settings, source = start, {}, ""
    for candidate in (start, *start.parents):
        found = _settings_in(candidate)
        if found is not None:
            folder, (settings, source) = candidate, found
            break
        if (candidate / ".penstock").is_dir():
            folder = candidate
            break
    home = os.environ.get("PENSTOCK_HOME") or settings.get("home") or ".penstock"
    table = settings.get("airflow", {})
    if not isinstance(table, dict):
        raise DefinitionError("the setting 'airflow' takes a table", where=source)
    return Project(folder, (folder / Path(str(home)).expanduser()).absolute(), cast("dict[str, Any]", table), source)


def _settings_in(folder: Path) -> tuple[dict[str, Any], str] | None:
    for name, keys in (("penstock.toml", ()), ("pyproject.toml", ("tool", "penstock"))):
        file = folder / name
        if not file.is_file():
            continue
        try:
            found: Any = tomllib.loads(file.read_text("utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError):
            # penstock itself says so
            continue
        for key in keys:
            found = cast("dict[str, Any]", found).get(key) if isinstance(found, dict) else None
        if isinstance(found, dict):
            return cast("dict[str, Any]", found), str(file)
    return None


def entries(kind: str) -> dict[str, tuple[Any, str]]:
    """The variables, or the connections (`kind`), that a project says, by their names, with where each is from.

    Of two that go by one name, the one in the settings goes before the one in a file. Raises DefinitionError for a file
    that cannot be read.
    """
    here = project()
    given = here.table.get(kind, {})
    files = _files(here, kind)
    found: dict[str, tuple[Any, str]] = {}
    if isinstance(given, str):
        files = [here.folder / given]
        if not files[0].is_file():
            raise DefinitionError(f"the file {given} with {kind} is not there", where=here.source)
        given = {}
    for file in reversed(files):
        found.update({name: (value, str(file)) for name, value in _read(file).items()})
    found.update({name: (value, here.source) for name, value in cast("dict[str, Any]", given).items()})
    return found


def _files(here: Project, kind: str) -> list[Path]:
    home = os.environ.get("AIRFLOW_HOME")
    folders = [here.folder, *([Path(home)] if home else [])]
    names = [f"{stem}{suffix}" for stem in (f"airflow_{kind}", kind) for suffix in (".json", ".yaml", ".yml")]
    return [folder / name for folder in folders for name in names if (folder / name).is_file()]


def _read(file: Path) -> dict[str, Any]:
    try:
        # JSON is YAML
        found: Any = yaml.safe_load(file.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        detail = type(error).__name__ if isinstance(error, yaml.YAMLError) else error
        raise DefinitionError(f"the file cannot be read: {detail}", where=str(file)) from None
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise DefinitionError("the file has to be a table of names", where=str(file))
    return {str(name): value for name, value in cast("dict[Any, Any]", found).items()}


def revealed(value: Any, what: str) -> Any:
    """A value, with the secrets in it that it names (`{"secret": "env:NAME"}`) read. Raises SecretError."""
    if isinstance(value, dict):
        table = cast("dict[str, Any]", value)
        if set(table) == {_SECRET}:
            return Secret(table[_SECRET]).reveal()
        return {name: revealed(each, what) for name, each in table.items()}
    return value


#: parts of names whose values are secret, as Airflow has them
_SENSITIVE = (
    "access_token",
    "api_key",
    "apikey",
    "authorization",
    "passphrase",
    "passwd",
    "password",
    "private_key",
    "proxy_password",
    "secret",
    "token",
    "keyfile_dict",
    "service_account",
)


def is_sensitive(name: str) -> bool:
    """Whether what goes by a name is a secret."""
    lowered = name.lower()
    return any(part in lowered for part in _SENSITIVE)


def hide(name: str, value: Any) -> None:
    """Keep a secret out of all that this process hands on: a text, or all texts in a table."""
    if isinstance(value, str):
        learn(name, value)
    elif isinstance(value, dict):
        for key, each in cast("dict[str, Any]", value).items():
            if is_sensitive(key) or is_sensitive(name):
                hide(f"{name}.{key}", each)


__all__ = ["Project", "entries", "hide", "is_sensitive", "project", "revealed"]
