"""What triggers, actions and automations are: records whose fields are given by name."""

from __future__ import annotations

from typing import Any

from penstock.authoring.source import caller
from penstock.dialects.prefect.blocks import Fields
from penstock.dialects.prefect.noting import check_known
from penstock.errors import DefinitionError


class Declared(Fields):
    """A record that knows its line. Raises DefinitionError for a field that it does not have, and for one that it lacks."""

    def __init__(self, **values: Any) -> None:
        self.location = caller()
        check_known(type(self).__name__, values, type(self).fields())
        try:
            super().__init__(**values)
        except TypeError as error:
            raise DefinitionError(str(error), where=str(self.location)) from None


def choice(owner: str, value: Any, known: tuple[str, ...]) -> str:
    """One of some texts, also given as a member of an enumeration. Raises DefinitionError."""
    text = str(getattr(value, "value", value))
    if text not in known:
        raise DefinitionError(
            f"{owner} is {value!r}, and can be {', '.join(known)}",
            where=str(caller()),
        )
    return text


__all__ = ["Declared", "choice"]
