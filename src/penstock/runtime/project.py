"""Where a project keeps its state, and what its settings say."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import msgspec

from penstock.errors import DefinitionError
from penstock.model.options import RunOptions

#: name of the folder with a project's state
HOME = ".penstock"


class Project(msgspec.Struct, frozen=True):
    """A project's folder, the folder of its state (`home`), and the settings that apply."""

    folder: Path
    home: Path
    settings: dict[str, Any]
    #: the file the settings come from
    source: Path | None = None

    @property
    def database(self) -> Path:
        return self.home / "penstock.db"

    @property
    def blobs(self) -> Path:
        return self.home / "blobs"

    @property
    def workspace(self) -> Path:
        """Where files and folders that tasks returned are laid out for those who read them."""
        return self.home / "files"

    def applied(self, options: RunOptions) -> RunOptions:
        """The options, with the settings in the place of those that are left at their defaults."""
        default = RunOptions()
        chosen = {
            name: self.settings[name]
            for name in _OPTIONS
            if name in self.settings and getattr(options, name) == getattr(default, name)
        }
        return msgspec.structs.replace(options, **chosen)


def find_project(start: Path, environ: Mapping[str, str], home: str | None = None) -> Project:
    """The project that a folder belongs to.

    It is the nearest folder upwards with a `penstock.toml`, a `pyproject.toml` with a `[tool.penstock]` table, or a
    `.penstock` folder; else `start` itself. The state is in its `.penstock`, unless `home`, the variable
    PENSTOCK_HOME or the setting `home` says otherwise, in this order. Raises DefinitionError for settings that cannot
    be read or are not known.
    """
    start = start.absolute()
    folder, settings, source = start, dict[str, Any](), None
    for candidate in (start, *start.parents):
        found = _settings_in(candidate)
        if found is not None:
            folder, (settings, source) = candidate, found
            break
        if (candidate / HOME).is_dir():
            folder = candidate
            break
    chosen = home or environ.get("PENSTOCK_HOME") or settings.get("home") or HOME
    return Project(folder, (folder / Path(str(chosen)).expanduser()).absolute(), settings, source)


#: setting -> its type, and the type in words
_KNOWN: dict[str, tuple[type, str]] = {
    "home": (str, "a text"),
    "workers": (int, "a whole number"),
    "executor": (str, "a text"),
    "pickle": (bool, "true or false"),
}
#: settings that stand in for options of a run
_OPTIONS = ("workers", "executor", "pickle")


def _settings_in(folder: Path) -> tuple[dict[str, Any], Path] | None:
    for file, keys in ((folder / "penstock.toml", ()), (folder / "pyproject.toml", ("tool", "penstock"))):
        if not file.is_file():
            continue
        try:
            found: Any = tomllib.loads(file.read_text("utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
            if not keys:
                raise DefinitionError(f"the settings cannot be read: {error}", where=str(file)) from None
            # a file for many tools, and perhaps for none of ours
            continue
        for key in keys:
            found = cast("dict[str, Any]", found).get(key) if isinstance(found, dict) else None
        if isinstance(found, dict):
            settings = cast("dict[str, Any]", found)
            _check(settings, file)
            return settings, file
    return None


def _check(settings: dict[str, Any], file: Path) -> None:
    for name, value in settings.items():
        if name not in _KNOWN:
            near = difflib.get_close_matches(name, _KNOWN, 1)
            raise DefinitionError(
                f"there is no setting {name!r}",
                where=str(file),
                remedy=f"Did you mean {near[0]!r}?" if near else f"The settings are: {', '.join(_KNOWN)}.",
            )
        kind, words = _KNOWN[name]
        if type(value) is not kind:
            raise DefinitionError(f"the setting {name!r} takes {words}, not {value!r}", where=str(file))


def working_project(home: str | None = None) -> Project:
    """The project of the working folder."""
    return find_project(Path.cwd(), os.environ, home)
