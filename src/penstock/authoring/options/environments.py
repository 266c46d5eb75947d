"""The Python environment that a task declares."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from penstock.authoring.files import named_file
from penstock.authoring.kinds.conversion import shortened
from penstock.authoring.source import caller
from penstock.errors import DefinitionError
from penstock.model.action import Environment

#: a line of a requirements file that stands for another one
_INCLUDE = re.compile(r"^\s*(?:-r|-c|--requirement|--constraint)[\s=]+(\S+)", re.MULTILINE)


def environment_of(value: Any) -> Environment:
    """The environment that is meant by an `Environment`, a list of requirements, or the name of a file: a
    requirements.txt, a pyproject.toml (its dependencies), or a uv.lock with its pyproject.toml beside it.

    The text of files counts, not where they are. Raises DefinitionError.
    """
    if isinstance(value, Environment):
        return Environment(_requirements(value.requirements), dict(value.files), _version(value.python))
    if isinstance(value, (str, Path)):
        return Environment(files=_files(str(value)))
    return Environment(_requirements(value))


def _requirements(value: Any) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or any(type(each) is not str for each in cast(Sequence[Any], value)):
        raise DefinitionError(
            f"environment must be a list of requirements, the name of a file, or an Environment, "
            f"not {shortened(repr(cast(Any, value)))}",
            where=str(caller()),
            remedy='Write environment=["pandas==2.2", "pyarrow"], or environment="requirements.txt".',
        )
    found = tuple(each.strip() for each in cast(Sequence[str], value))
    wrong = next((each for each in found if not each or each.startswith("-")), None)
    if wrong is not None:
        raise DefinitionError(
            f"{wrong!r} is not a requirement",
            where=str(caller()),
            remedy="Options for the installer belong in a requirements file, or in uv's own settings.",
        )
    return found


def _version(python: Any) -> str:
    if type(python) is not str or not re.fullmatch(r"|3\.\d+(\.\d+)?", python):
        raise DefinitionError(f"python must be a version such as '3.12', not {python!r}", where=str(caller()))
    return python


def _files(name: str) -> dict[str, str]:
    """The texts of a file that describes an environment, itself first, and of those that it needs."""
    path = named_file(name)
    if path is None or not path.is_file():
        raise DefinitionError(
            f"there is no file {name!r} to make an environment from",
            where=str(caller()),
            remedy=f'For requirements give a list: environment=["{name}"].' if "/" not in name else None,
        )
    if path.name == "uv.lock":
        project = path.with_name("pyproject.toml")
        if not project.is_file():
            raise DefinitionError(f"{name} has no pyproject.toml beside it", where=str(caller()))
        return {"uv.lock": _text(path), "pyproject.toml": _text(project)}
    if path.suffix == ".toml":
        return {path.name: _text(path)}
    found: dict[str, str] = {}
    _collect(path, path.parent, found)
    return found


def _collect(path: Path, top: Path, found: dict[str, str]) -> None:
    """The text of a requirements file and of those that it includes, by their paths from the first."""
    path = Path(os.path.normpath(path))
    name = str(path.relative_to(top)) if path.is_relative_to(top) else ""
    if not name or not path.is_file():
        raise DefinitionError(
            f"{path} is included by the requirements, and is not a file under {top}", where=str(caller())
        )
    if name in found:
        return
    found[name] = text = _text(path)
    for other in _INCLUDE.findall(text):
        _collect(path.parent / other, top, found)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DefinitionError(f"{path} cannot be read: {error}", where=str(caller())) from None
