"""Installed packages by name and version, read from the names of the folders in which installers record them.

Reading the metadata itself costs milliseconds a package. It is only looked at where the name of a package does not
say which module it installs (`scikit-learn` installs `sklearn`), and only for modules that are asked about.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from penstock.fingerprint.framing import digest
from penstock.fingerprint.origin import site_of

_SEPARATORS: Final = re.compile(r"[-_.]+")
_EGG: Final = re.compile(r"-py\d[\d.]*$")


class Package(NamedTuple):
    """An installed package. `name` is in its normal form: lower case, with hyphens."""

    name: str
    version: str
    #: the folder or file that records it
    record: str

    @property
    def edition(self) -> str:
        """What tells it from others of its name: the version; with `(content 0a1b2c3d4e5f6071)` behind it where it was
        not installed from an index but from a folder, an archive or a repository, so that the same version may be
        something else tomorrow."""
        content = _content(self.record)
        return f"{self.version} (content {content})" if content else self.version


def installed(path: Iterable[str] | None = None) -> dict[str, str]:
    """Name and version of all packages on the path (`sys.path` by default), sorted; the first of a name counts."""
    found: dict[str, str] = {}
    for folder in sys.path if path is None else path:
        for package in packages_in(folder or os.curdir):
            found.setdefault(package.name, package.version)
    return dict(sorted(found.items()))


def packages_in(folder: str) -> list[Package]:
    """The packages recorded in one folder; none if it cannot be read."""
    try:
        names = os.listdir(folder)  # noqa: PTH208 - ten times as fast, and run at the start of every run
    except OSError:
        return []
    return [package for name in names if (package := _package(folder, name)) is not None]


def _package(folder: str, entry: str) -> Package | None:
    stem, dot, kind = entry.rpartition(".")
    if not dot or kind not in ("dist-info", "egg-info"):
        return None
    record = f"{folder}{os.sep}{entry}"
    name, hyphen, version = _EGG.sub("", stem).rpartition("-")
    if not hyphen:
        name, version = stem, _recorded_version(record)
    return Package(_SEPARATORS.sub("-", name).lower(), version, record)


def _recorded_version(record: str) -> str:
    """The version of a package whose record does not have it in its name: one installed in place by setuptools."""
    for line in _text(f"{record}{os.sep}PKG-INFO").splitlines():
        if line.startswith("Version:"):
            return line.partition(":")[2].strip()
    return ""


class Owners:
    """Which package a module of a `site-packages` folder belongs to."""

    def __init__(self) -> None:
        self._sites: dict[str, list[Package]] = {}
        self._owners: dict[tuple[str, str], Package | None] = {}

    def of(self, file: str) -> Package | None:
        """The package that installed a file, or None if none says so."""
        site = site_of(file)
        if site is None:
            return None
        parts = file[len(site) + 1 :].split(os.sep)  # noqa: PTH206
        # the portions of a namespace package belong to several packages
        shared = len(parts) > 1 and not os.path.exists(os.path.join(site, parts[0], "__init__.py"))  # noqa: PTH110, PTH118
        key = (site, "/".join(parts) if shared else parts[0])
        if key not in self._owners:
            self._owners[key] = self._find(site, "/".join(parts), parts[0].partition(".")[0], shared=shared)
        return self._owners[key]

    def named(self, name: str) -> Package | None:
        """The package of a name, wherever on the path it is."""
        return next((p for folder in sys.path for p in self._packages(folder) if p.name == name), None)

    def _find(self, site: str, file: str, top: str, *, shared: bool) -> Package | None:
        packages = self._packages(site)
        name = _SEPARATORS.sub("-", top).lower()
        same = next((package for package in packages if package.name == name), None)
        if same is not None and not shared:
            return same
        return next((package for package in packages if _installs(package, file, top)), same)

    def _packages(self, folder: str) -> list[Package]:
        if folder not in self._sites:
            self._sites[folder] = packages_in(folder or os.curdir)
        return self._sites[folder]


def _content(record: str) -> str:
    """Digits for the files that a package has installed, of one that was not installed from an index (PEP 610); empty
    for others, and for those that are used in place, whose files count themselves."""
    origin = _text(f"{record}{os.sep}direct_url.json")
    if not origin:
        return ""
    try:
        editable = bool(json.loads(origin).get("dir_info", {}).get("editable"))
    except (ValueError, AttributeError):
        editable = False
    lines = [] if editable else _text(f"{record}{os.sep}RECORD").splitlines()
    # records, compiled files and programs have the places in them that they were built at and installed to
    own = [line for line in lines if ".dist-info/" not in line and "__pycache__" not in line and line[:2] != ".."]
    return digest("record", *(line.encode() for line in sorted(own))).hex()[:16] if own else ""


def _installs(package: Package, file: str, top: str) -> bool:
    """Whether a package says that it installed a file, or the module `top`."""
    record = _text(f"{package.record}{os.sep}RECORD")
    if record:
        return f"\n{file}," in record or record.startswith(f"{file},")
    return top in _text(f"{package.record}{os.sep}top_level.txt").split()


def _text(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
