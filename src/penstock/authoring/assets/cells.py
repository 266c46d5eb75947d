"""The ids of the nodes that make assets: `features`, `features@2026-03-01`, and of their checks `features:no_nulls`."""

from __future__ import annotations

from urllib.parse import quote, unquote

from penstock.errors import DefinitionError

#: between the name of an asset and the key of its partition
_AT = "@"
#: what keys may have in them and ids of nodes may not
_REFUSED = "/[]%"


def check_asset_name(name: str, where: str) -> None:
    """Raise DefinitionError for a name that could not be told from a partition, a check or a selection."""
    found = next((sign for sign in name if sign in "@:+,&()*?" or sign.isspace()), None)
    if found is not None or not name or name.startswith("-"):
        raise DefinitionError(
            f"an asset cannot be called {name!r}",
            where=where,
            remedy="Use letters, digits, '_', '-' and '.' alone: @asset(name=...).",
        )


def cell_id(asset: str, partition: str = "") -> str:
    """The id of the node that makes an asset, or a partition of it."""
    if not partition:
        return asset
    return asset + _AT + "".join(quote(each, safe="") if each in _REFUSED else each for each in partition)


def partition_in(node: str) -> str:
    """The partition in the id of a node; empty where it has none."""
    return unquote(node.rpartition("/")[2].partition(_AT)[2])


def asset_in(node: str) -> str:
    """The name of the asset in the id of a node."""
    return node.rpartition("/")[2].partition(_AT)[0]


def check_id(cell: str, check: str) -> str:
    """The id of the node that checks what a node makes."""
    return f"{cell}:{check}"


def gate_id(cell: str) -> str:
    """The id of the node that what depends on a node waits for, until its blocking checks have passed."""
    return f"{cell}:checks"
