"""A secret by its name."""

from __future__ import annotations

import os
import re
import sys
from typing import Any, Final, NoReturn

from penstock.errors import DefinitionError

_REFERENCE: Final = re.compile(r"([a-z][a-z0-9_-]*):(.+)", re.DOTALL)
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FORMS: Final = (
    "Name where it is: env:NAME (an environment variable), file:PATH, file:PATH#NAME (an entry NAME=value of a file), "
    "keyring:SERVICE/USER, or the name of an installed provider and a key, such as vault:team/db."
)


class Secret:
    """A password, a token or a key: known by where it is, and read by the task that needs it.

    `reference` says where: `env:NAME` (or only `NAME`), `file:PATH`, `file:PATH#NAME` (the entry `NAME=value` of a file),
    `keyring:SERVICE/USER`, or `PROVIDER:KEY` of a provider that is installed (entry point group `penstock.secrets`). Two
    secrets are equal if their references are; the value counts for no cache, and is in no text, pickle or JSON of it.

    Raises DefinitionError for what is no reference, without showing it.
    """

    __slots__ = ("_reference",)
    _reference: str

    def __init__(self, reference: str, /) -> None:
        object.__setattr__(self, "_reference", _whole(reference))

    @property
    def reference(self) -> str:
        """Where the value is: `env:DB_PASSWORD`."""
        return self._reference

    def reveal(self) -> str:
        """The value, as it is now. From here on, this process masks it in all that it hands on.

        Raises SecretError, naming what was looked for and where, if there is none.
        """
        from penstock.secrets.masking import learn
        from penstock.secrets.sources import look_up

        value = look_up(self._reference)
        learn(self._reference, value)
        return value

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise AttributeError("a Secret cannot be changed")

    def __repr__(self) -> str:
        return f"Secret({self._reference!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._reference == self._reference

    def __hash__(self) -> int:
        return hash((Secret, self._reference))

    def __reduce__(self) -> tuple[Any, ...]:
        return (Secret, (self._reference,))


def is_reference(text: str) -> bool:
    """Whether a text says where a secret is, scheme and all; a mere name could as well be the secret itself."""
    found = _REFERENCE.fullmatch(text)
    return found is not None and _fault(found[1], found[2]) is None and _has_scheme(found[1])


def _has_scheme(scheme: str) -> bool:
    from penstock.secrets.sources import schemes

    return scheme in schemes()


def _whole(reference: Any) -> str:
    """The reference with its scheme."""
    if isinstance(reference, str):
        found = _REFERENCE.fullmatch(reference)
        if found is None and _VARIABLE.fullmatch(reference):
            return f"env:{reference}"
        fault = "it names no place" if found is None else _fault(found[1], found[2])
        if fault is None:
            return reference
    else:
        fault = f"it is a {type(reference).__name__}"
    # the text may be the secret itself, and is not shown
    raise DefinitionError(f"this is no reference to a secret: {fault}", where=_caller(), remedy=_FORMS)


def _fault(scheme: str, rest: str) -> str | None:
    """What is wrong with a reference; None where nothing is."""
    if scheme == "env" and not _VARIABLE.fullmatch(rest):
        return "what follows env: is not the name of a variable"
    if scheme == "keyring" and not all(rest.rpartition("/")[::2]):
        return "what follows keyring: is not SERVICE/USER"
    return "it has a zero byte or a line end in it" if set(rest) & set("\0\n\r") else None


def _caller() -> str:
    frame: Any = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    # pathlib takes longer to load than all else that defining a task needs
    own = os.path.dirname(os.path.dirname(__file__)) + os.sep  # noqa: PTH120
    while frame.f_code.co_filename.startswith(own) and frame.f_back is not None:
        frame = frame.f_back
    return f"{frame.f_code.co_filename.removeprefix(os.getcwd() + os.sep)}:{frame.f_lineno}"  # noqa: PTH109


__all__ = ["Secret", "is_reference"]
