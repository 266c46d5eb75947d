"""What an input counts for: its value, and the code of the user's own that is in it.

The digest of a value says which classes it is made of, and not what these do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from penstock.fingerprint.framing import digest
from penstock.model.value import Argument, Artifact
from penstock.values import Values

#: the digest of the code of a class or a function in a value, by its name there (see `Artifact.classes`); empty where
#: it does not count, None for what is not there
CodeOf = Callable[[str], bytes | None]


class Contents:
    """The digests of inputs, with the code that is in them."""

    def __init__(self, values: Values, code_of: CodeOf) -> None:
        self._values = values
        self._code_of = code_of
        #: names of classes -> the digest of their code, empty where there is none that counts
        self._codes: dict[tuple[str, ...], bytes] = {}

    def digest(self, argument: Argument) -> bytes:
        """The 32 bytes that an input counts for: the digest of its value, if there is no code in it."""
        if type(argument) is Artifact:
            return self._with_code(argument.digest, argument.classes) if argument.classes else argument.digest
        classes = self._values.classes(argument)
        known = self._values.digest(argument)
        return self._with_code(known, tuple(sorted(classes))) if classes else known

    def gone(self, arguments: Iterable[Argument]) -> str | None:
        """The name of a class or a function in one of the values that is not there, so that it cannot be loaded; None
        where all are there."""
        for argument in arguments:
            names = argument.classes if type(argument) is Artifact else sorted(self._values.classes(argument))
            for name in names:
                if self._code_of(name) is None:
                    return name
        return None

    def _with_code(self, known: bytes, classes: tuple[str, ...]) -> bytes:
        code = self._codes.get(classes)
        if code is None:
            found = [each for each in map(self._code_of, classes) if each]
            code = self._codes[classes] = digest("code in a value", *found) if found else b""
        return digest("value with code", known, code) if code else known


def no_code(name: str) -> bytes:
    """Lets no code in values count."""
    return b""


__all__ = ["CodeOf", "Contents", "no_code"]
