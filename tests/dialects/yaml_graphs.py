"""Graphs written as YAML, and read again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

from penstock.app import Pipeline
from penstock.authoring.pipeline import Definition
from penstock.dialects import Export
from penstock.dialects.yaml import DIALECT
from penstock.model.graph import Graph, to_json
from penstock.registering.loading import load_pipeline


def graph_of(pipeline: Pipeline[..., Any]) -> Definition:
    """The definition of a pipeline under its defaults; a parameter that has none is 1."""
    known = pipeline.signature.resolve(given={}, partial=True)
    return pipeline.define({port.name: known.get(port.name, 1) for port in pipeline.parameters})


def written_again(definition: Definition, folder: Path) -> tuple[Definition, str]:
    """What a file with the definition defines, and its text."""
    assert DIALECT.write is not None
    written = DIALECT.write(Export(definition, stem="again"))
    assert [account for account in written.accounts if account.grade not in ("exact", "opaque")] == []
    (folder / "again.yaml").write_text(written.text)
    return graph_of(load_pipeline(str(folder / "again.yaml"))), written.text


def plain(graph: Graph) -> Any:
    """A graph as data, without the places in files that it was read from."""
    return _without_places(json.loads(to_json(graph)))


def _without_places(value: Any) -> Any:
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        return {name: _without_places(each) for name, each in fields.items() if name != "location"}
    return [_without_places(each) for each in cast("list[Any]", value)] if isinstance(value, list) else value
