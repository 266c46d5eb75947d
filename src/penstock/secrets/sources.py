"""Where the values of secrets are: environment, files, the keyring of the system, providers of other packages.

A package provides a source of its own by an entry point in the group `penstock.secrets` whose object is a function from a
key to the value. It raises LookupError, or returns None, where there is none:

    [project.entry-points."penstock.secrets"]
    vault = "vaults.penstock:read"
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from penstock.errors import SecretError

GROUP: Final = "penstock.secrets"
_ENTRY: Final = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.-]*)\s*=\s*(.*?)\s*")
#: bytes of a file that may be a secret
_LARGEST: Final = 1 << 20


def look_up(reference: str) -> str:
    """The value that a reference leads to. Raises SecretError."""
    scheme, _, rest = reference.partition(":")
    value = _SOURCES[scheme](reference, rest) if scheme in _SOURCES else _provided(reference, scheme, rest)
    if not value:
        raise _absent(reference, "it is empty", "Give it a value.")
    return value


def why_missing(reference: str) -> SecretError | None:
    """Why a secret cannot be had here, as far as that can be told without asking others for it; None where nothing speaks
    against it."""
    scheme = reference.partition(":")[0]
    try:
        if scheme in ("env", "file"):
            look_up(reference)
        elif scheme == "keyring":
            _keyring(reference)
        else:
            _provider(reference, scheme)
    except SecretError as error:
        return error
    return None


def schemes() -> frozenset[str]:
    """What references may begin with here."""
    return frozenset({*_SOURCES, *_providers()})


def _of_environment(reference: str, name: str) -> str:
    value = os.environ.get(name)
    if value is None:
        remedy = (
            f"Set it where the run is started: export {name}=..., or take the secret from elsewhere (file:, keyring:)."
        )
        raise _absent(reference, f"there is no environment variable {name}", remedy)
    if not value:
        raise _absent(reference, f"the environment variable {name} is empty", "Give it a value.")
    return value


def _of_file(reference: str, rest: str) -> str:
    path, mark, name = rest.rpartition("#")
    if not mark or Path(rest).expanduser().exists():
        return _text(reference, Path(rest).expanduser()).removesuffix("\n").removesuffix("\r")
    file = Path(path).expanduser()
    for line in _text(reference, file).splitlines():
        found = _ENTRY.fullmatch(line)
        if found is not None and found[1] == name:
            return _unquoted(found[2])
    raise _absent(reference, f"{file} has no entry {name}", f"Add a line to it: {name}=...")


def _text(reference: str, file: Path) -> str:
    try:
        if file.stat().st_size > _LARGEST:
            raise _absent(reference, f"{file} is too large to be a secret", "Name another file.")
        return file.read_bytes().decode()
    except OSError as error:
        reason = error.strerror or str(error)
        remedy = (
            "Check the path (a relative one starts from the folder that the run is started in), and who may read it."
        )
        raise _absent(reference, f"{file} cannot be read: {reason}", remedy) from None
    except UnicodeDecodeError:
        remedy = "Read a file of bytes in the task itself."
        raise _absent(reference, f"{file} is not text in UTF-8", remedy) from None


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text


def _of_keyring(reference: str, rest: str) -> str:
    service, _, user = rest.rpartition("/")
    keyring = _keyring(reference)
    try:
        value = keyring.get_password(service, user)
    except keyring.errors.KeyringError as error:
        remedy = "Unlock it, or take the secret from elsewhere (env:, file:): a machine without a desktop may have no keyring."
        raise _absent(reference, f"the keyring says: {_line(error)}", remedy) from None
    if value is None:
        remedy = f"Put it there: keyring set {service} {user}"
        raise _absent(reference, f"the keyring has no password of {user!r} for {service!r}", remedy)
    return value


def _keyring(reference: str) -> Any:
    import importlib

    try:
        keyring: Any = importlib.import_module("keyring")
        importlib.import_module("keyring.errors")
    except ImportError:
        remedy = "Install it: pip install 'penstock[keyring]'."
        raise _absent(
            reference, "the package keyring, which reads the system's keyring, is not installed", remedy
        ) from None
    return keyring


_SOURCES: Final[dict[str, Callable[[str, str], str]]] = {
    "env": _of_environment,
    "file": _of_file,
    "keyring": _of_keyring,
}


def _provided(reference: str, scheme: str, key: str) -> str:
    provider = _provider(reference, scheme)
    try:
        value = provider(key)
    except LookupError:
        value = None
    except Exception as error:
        remedy = "Ask its maker, or the service that it reads from."
        raise _absent(
            reference, f"the provider {scheme} failed: {type(error).__name__}: {_line(error)}", remedy
        ) from None
    if value is None:
        raise _absent(
            reference, f"the provider {scheme} has nothing under that key", "Put it there, or name another key."
        )
    return value.decode() if isinstance(value, bytes) else str(value)


def _provider(reference: str, scheme: str) -> Callable[[str], Any]:
    point = _providers().get(scheme)
    if point is None:
        known = ", ".join(sorted(schemes()))
        remedy = f"References here begin with one of: {known}. Install the package that provides {scheme}, or use one of these."
        raise _absent(reference, f"no provider {scheme!r} is installed (entry points {GROUP})", remedy)
    try:
        return point.load()
    except Exception as error:
        what = f"the provider {scheme} ({point.value}) cannot be loaded: {type(error).__name__}: {_line(error)}"
        raise _absent(reference, what, "Mend or reinstall the package that provides it.") from None


@functools.cache
def _providers() -> dict[str, Any]:
    from importlib.metadata import entry_points

    return {
        point.name: point for point in sorted(entry_points(group=GROUP), key=lambda point: point.name, reverse=True)
    }


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def _absent(reference: str, why: str, remedy: str) -> SecretError:
    return SecretError(f"the secret {reference} is missing: {why}", remedy=remedy)


__all__ = ["GROUP", "look_up", "schemes", "why_missing"]
