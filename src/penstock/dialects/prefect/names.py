"""The ids that Prefect's server gives to what has a name: made of the name here, so that nobody has to keep them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, NamedTuple
from uuid import UUID, uuid5

from penstock.dialects.prefect.options import node_name

_NAMESPACE = UUID("6f2b0c1e-7a55-4d0c-9a3c-5f6f0b1d2e47")
Kind = Literal["deployment", "automation", "block"]


class Named(NamedTuple):
    """Something whose id a file has asked for."""

    kind: Kind
    name: str

    @property
    def id(self) -> UUID:
        return id_of(self.kind, self.name)


def id_of(kind: Kind, name: str) -> UUID:
    """The id of something by its name; of a deployment, `flow/deployment`."""
    if kind == "deployment":
        flow, _, deployment = name.partition("/")
        name = f"{node_name(flow)}/{deployment}"
    return uuid5(_NAMESPACE, f"{kind}/{name}")


def name_of(kind: Kind, given: Any, known: Iterable[Named]) -> str | None:
    """The name of what an id, or its name itself, stands for; None for an id that nobody here has asked for."""
    text = str(given)
    try:
        wanted = UUID(text)
    except ValueError:
        return text
    return next((each.name for each in known if each.kind == kind and each.id == wanted), None)


__all__ = ["Kind", "Named", "id_of", "name_of"]
