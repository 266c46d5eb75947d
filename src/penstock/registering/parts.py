"""What definitions consist of: their parts by name, each with a digest, so that it can be said which of them changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import msgspec

from penstock.fingerprint.framing import digest
from penstock.model.action import PythonAction
from penstock.model.graph import Graph
from penstock.model.place import Location

#: nodes of one graph that are told apart
_NODES = 1000
#: what is for people alone
_FOR_PEOPLE = frozenset({"description", "location", "dynamic_at"})


def whole(parts: Mapping[str, bytes]) -> bytes:
    """The digest of something that consists of these parts."""
    return digest("definition", *(each for name in sorted(parts) for each in (name.encode(), parts[name])))


def parts_of_graph(graph: Graph, code: Mapping[str, bytes]) -> dict[str, bytes]:
    """The parts of a pipeline: its parameters, the code of its tasks (by their keys), its nodes, and all else there is to
    its graph. Where anything stands in a file does not count, nor do descriptions."""
    parts = {"parameters": digest_of(graph.parameters)}
    parts |= {f"task {name}": each for name, each in code.items()}
    if len(graph.nodes) > _NODES:
        return {**parts, "graph": digest_of(msgspec.structs.replace(graph, parameters=()))}
    nodes = {f"node {node.id}": digest_of((node, graph.tasks[node.task])) for node in graph.nodes}
    bodies = {key: task for key, task in graph.tasks.items() if all(node.task != key for node in graph.nodes)}
    rest = msgspec.structs.replace(graph, parameters=(), tasks=bodies, nodes=())
    return {**parts, **nodes, "graph": digest_of(rest)}


def parts_of_document(document: msgspec.Struct, code: Mapping[str, bytes]) -> dict[str, bytes]:
    """The parts of a trigger or an asset: one for each of its fields, and the code of its functions, by their names."""
    fields = {name: getattr(document, name) for name in document.__struct_fields__ if name not in _FOR_PEOPLE}
    return {name: digest_of(value) for name, value in fields.items()} | {
        f"function {name}": each for name, each in code.items()
    }


def digest_of(value: Any) -> bytes:
    """The digest of a part of the model."""
    return digest("part", msgspec.msgpack.encode(_plain(value), order="deterministic"))


def _plain(value: Any) -> Any:
    """What of a value counts, as data."""
    if isinstance(value, PythonAction):
        # its code is a part of its own, and a module may move
        return "function"
    if isinstance(value, msgspec.Struct):
        fields = {name: getattr(value, name) for name in value.__struct_fields__ if name not in _FOR_PEOPLE}
        return [type(value).__name__, {name: _plain(each) for name, each in fields.items()}]
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in cast("list[Any]", value)]
    if isinstance(value, Mapping):
        return [[_plain(key), _plain(each)] for key, each in cast("Mapping[Any, Any]", value).items()]
    if value is None or type(value) in (bool, int, float, str, bytes):
        return value if not _is_large(value) else str(value)
    return None if isinstance(value, Location) else f"{type(value).__qualname__}: {value!r}"


def _is_large(value: Any) -> bool:
    return type(value) is int and not -(2**63) <= value < 2**64


class AskedFor(dict[str, Any]):
    """Values of parameters that remember which were asked for and are not there."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self.missing: list[str] = []

    def __missing__(self, name: str) -> Any:
        self.missing.append(name)
        raise KeyError(name)


__all__ = ["AskedFor", "digest_of", "parts_of_document", "parts_of_graph", "whole"]
