"""Where a project keeps its state, and what its settings say."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec

from penstock.authoring.options.policy import Refused, size
from penstock.errors import DefinitionError
from penstock.model.options import RunOptions
from penstock.runtime.capacity.demand import Limits
from penstock.runtime.collecting.retention import SETTINGS as RETENTION
from penstock.secrets.secret import is_reference
from penstock.secrets.signing import anchored

if TYPE_CHECKING:
    from penstock.runtime.capacity.machine import Machine

#: name of the folder with a project's state
HOME = ".penstock"
#: the file with settings of penstock alone
_OWN = "penstock.toml"
#: what the name of a log begins with while it is not known which run it is of
BEGUN = "begun-"


class Project(msgspec.Struct, frozen=True):
    """A project's folder, the folder of its state (`home`), and the settings that apply."""

    folder: Path
    home: Path
    settings: dict[str, Any]
    #: the file the settings come from
    source: Path | None = None
    #: where blobs are kept, if not in the folder `blobs`
    blobs_url: str | None = None
    #: the PostgreSQL database that the store is in, if not in the file `database`; there may be a password in it
    store_url: str | None = None

    @property
    def database(self) -> Path:
        return self.home / "penstock.db"

    @property
    def blobs(self) -> Path:
        return self.home / "blobs"

    @property
    def blob_cache(self) -> Path:
        """Where copies of blobs are that are kept elsewhere."""
        return self.home / "cache"

    @property
    def blob_cache_size(self) -> int:
        """How many bytes these copies may take (10 GB)."""
        return size(self.settings.get("blob_cache", "10GB"))

    @property
    def workspace(self) -> Path:
        """Where files and folders that tasks returned are laid out for those who read them."""
        return self.home / "files"

    @property
    def logs(self) -> Path:
        """Where what processes in the background print is kept, in a file for each run."""
        return self.home / "logs"

    @property
    def hashes(self) -> Path:
        """Where the hashes of large files that tasks are given are remembered."""
        return self.home / "hashes"

    def applied(self, options: RunOptions) -> RunOptions:
        """The options, with the settings in the place of those that are left at their defaults."""
        default = RunOptions()
        chosen = {
            name: self.settings[name]
            for name in _OPTIONS
            if name in self.settings and getattr(options, name) == getattr(default, name)
        }
        return msgspec.structs.replace(options, **chosen)

    @property
    def environments(self) -> Path:
        """Where the Python environments of tasks are kept."""
        return self.home / "environments"

    @property
    def container_arguments(self) -> tuple[str, ...]:
        """More arguments for the engine of all containers."""
        return tuple(self.settings.get("container_arguments", ()))

    @property
    def keys(self) -> dict[str, Any]:
        """References to the keys that pickles are signed with and that are trusted; empty where they are not signed."""
        found = {name: self.settings[name] for name in ("signing_key", "trusted_keys") if name in self.settings}
        if "signing_key" in found:
            found["signing_key"] = anchored(found["signing_key"], self.folder)
        if "trusted_keys" in found:
            found["trusted_keys"] = [anchored(each, self.folder) for each in found["trusted_keys"]]
        return found

    @property
    def sizes(self) -> Limits:
        """The sizes of what all runs share: `[pools]`, and `[limits]` with `tasks`, `tags` and `pipelines`."""
        return Limits(pools=self.settings.get("pools", {}), **self.settings.get("limits", {}))

    @property
    def hook_limits(self) -> tuple[float, float]:
        """Seconds that a hook may take before it is told of, and that the end of a run waits for hooks (30 each)."""
        given = self.settings.get("hooks", {})
        return given.get("limit", 30.0), given.get("wait", 30.0)

    def machine(self) -> Machine:
        """What attempts may use here: what `[machine]` says, and for the rest what there is."""
        from penstock.runtime.capacity.machine import Machine

        given = self.settings.get("machine", {})
        memory = given.get("memory")
        return Machine(cores=given.get("cpu"), memory=None if memory is None else size(memory), gpus=given.get("gpus"))


def _expanded(home: str) -> Path:
    try:
        return Path(home).expanduser()
    except RuntimeError:
        raise DefinitionError(
            f"the project's state cannot be kept in {home}: there is no such home folder",
            remedy="Name a folder without ~ with PENSTOCK_HOME, or in the settings.",
        ) from None


def find_project(start: Path, environ: Mapping[str, str], home: str | None = None) -> Project:
    """The project that a folder belongs to.

    It is the nearest folder upwards with a `penstock.toml`, a `pyproject.toml` with a `[tool.penstock]` table, or a
    `.penstock` folder; else `start` itself. The state is in its `.penstock`, unless `home`, the variable
    PENSTOCK_HOME or the setting `home` says otherwise, in this order; blobs are where PENSTOCK_BLOBS or the setting
    `blobs` says, if anything does, and likewise the store with PENSTOCK_STORE and `store`. Raises DefinitionError for settings that cannot
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
    blobs = environ.get("PENSTOCK_BLOBS") or settings.get("blobs")
    return Project(
        folder,
        (folder / _expanded(str(chosen))).absolute(),
        settings,
        source,
        blobs,
        _store_url(environ, settings, source),
    )


def _store_url(environ: Mapping[str, str], settings: Mapping[str, Any], source: Path | None) -> str | None:
    """The address of the store that the variable or the setting gives, if it is not in a file."""
    given = environ.get("PENSTOCK_STORE")
    url = given or settings.get("store")
    if url is not None and not str(url).startswith(("postgresql://", "postgres://")):
        # it is not shown: there may be a password in it
        raise DefinitionError(
            "the store is not an address such as postgresql://user@host:5432/database",
            where="PENSTOCK_STORE" if given else str(source),
            remedy="Write one, or leave it out: then the store is a file in the project's .penstock.",
        )
    return url


#: setting -> its type, and the type in words
_KNOWN: dict[str, tuple[type, str]] = {
    "home": (str, "a text"),
    "store": (str, 'an address such as "postgresql://user@host:5432/database"'),
    "blobs": (str, 'a URL such as "s3://bucket/prefix"'),
    "blob_cache": (str, 'a size such as "10GB"'),
    "workers": (int, "a whole number"),
    "executor": (str, "a text"),
    "pickle": (bool, "true or false"),
    "pools": (dict, "a table of sizes"),
    "limits": (dict, "a table"),
    "machine": (dict, "a table"),
    "hooks": (dict, "a table"),
    "gc": (dict, "a table"),
    "container_arguments": (list, "a list of texts"),
    "signing_key": (str, "a reference such as file:PATH or env:NAME"),
    "trusted_keys": (list, "a list of references"),
    "register": (list, "a list of files, folders and modules"),
    # what is in it is for the files of that system
    "airflow": (dict, "a table"),
    # what is in these is for the server to check
    "events": (dict, "a table"),
    "webhooks": (dict, "a table of tables"),
}
#: tables in `limits`
_LIMITS = ("tasks", "tags", "pipelines")
#: settings that stand in for options of a run
_OPTIONS = ("workers", "executor", "pickle")


def _settings_in(folder: Path) -> tuple[dict[str, Any], Path] | None:
    for file, keys in ((folder / _OWN, ()), (folder / "pyproject.toml", ("tool", "penstock"))):
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
        _check_name(name, _KNOWN, file)
        kind, words = _KNOWN[name]
        if type(value) is not kind:
            raise _refused(name, words, value, file)
    for name in ("container_arguments", "register"):
        _check_texts(name, settings.get(name, []), file)
    _check_keys(settings, file)
    if not _is_size(settings.get("blob_cache", "10GB")):
        raise _refused("blob_cache", 'a size such as "10GB"', settings["blob_cache"], file)
    _check_sizes("pools", settings.get("pools", {}), file)
    for name, sizes in settings.get("limits", {}).items():
        _check_name(name, _LIMITS, file, "limits.")
        if not isinstance(sizes, dict):
            raise _refused(f"limits.{name}", "a table of numbers", sizes, file)
        _check_sizes(f"limits.{name}", cast("dict[str, Any]", sizes), file)
    for table, known in (("machine", _MACHINE), ("hooks", _HOOKS), ("gc", RETENTION)):
        for name, value in settings.get(table, {}).items():
            _check_name(name, known, file, f"{table}.")
            fits, words = known[name]
            if not fits(value):
                raise _refused(f"{table}.{name}", words, value, file)


def _check_texts(name: str, texts: list[Any], file: Path) -> None:
    if any(type(text) is not str for text in texts):
        raise _refused(name, _KNOWN[name][1], texts, file)


def _check_keys(settings: Mapping[str, Any], file: Path) -> None:
    trusted = settings.get("trusted_keys", [])
    if not all(type(each) is str and is_reference(each) for each in trusted):
        raise DefinitionError(
            "the setting 'trusted_keys' takes references such as file:PATH or env:NAME", where=str(file)
        )
    if "signing_key" in settings and not is_reference(settings["signing_key"]):
        # what is there may be the key itself
        raise DefinitionError(
            "the setting 'signing_key' takes a reference such as file:PATH or env:NAME", where=str(file)
        )


def _check_name(name: str, known: Collection[str], file: Path, table: str = "") -> None:
    if name == "tool" and not table and file.name == _OWN:
        raise DefinitionError(
            "there is no setting 'tool'",
            where=str(file),
            remedy=f"In {_OWN}, leave out the heading [tool.penstock]; [tool.penstock.pools] is [pools] there.",
        )
    if name not in known:
        from difflib import get_close_matches

        near = get_close_matches(name, known, 1)
        raise DefinitionError(
            f"there is no setting {table + name!r}",
            where=str(file),
            remedy=f"Did you mean {table + near[0]!r}?"
            if near
            else f"The settings are: {', '.join(table + each for each in known)}.",
        )


def _check_sizes(table: str, sizes: dict[str, Any], file: Path) -> None:
    for name, amount in sizes.items():
        if type(amount) is not int or amount < 1:
            raise _refused(f"{table}.{name}", "a whole number from 1 up", amount, file)


def _refused(name: str, words: str, value: Any, file: Path) -> DefinitionError:
    return DefinitionError(f"the setting {name!r} takes {words}, not {value!r}", where=str(file))


def _is_size(value: Any) -> bool:
    try:
        return size(value) > 0
    except Refused:
        return False


def _is_devices(value: Any) -> bool:
    indices = cast("list[Any]", value) if isinstance(value, list) else [value]
    return all(type(index) is int and index >= 0 for index in indices)


#: settings in `machine` -> whether a value fits, and what does in words
_MACHINE: dict[str, tuple[Callable[[Any], bool], str]] = {
    "cpu": (lambda value: type(value) is int and value > 0, "a whole number from 1 up"),
    "memory": (_is_size, 'a size such as "16GB"'),
    "gpus": (_is_devices, "a number of devices, or a list of their indices"),
}

#: settings in `hooks`, likewise
_HOOKS: dict[str, tuple[Callable[[Any], bool], str]] = dict.fromkeys(
    ("limit", "wait"), (lambda value: type(value) in (int, float) and value >= 0, "a number of seconds from 0 up")
)


def working_project(home: str | None = None) -> Project:
    """The project of the working folder."""
    return find_project(Path.cwd(), os.environ, home)
