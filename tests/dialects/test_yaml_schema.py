"""The published JSON Schema is that of the reader, and takes what the reader takes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock.dialects.yaml import schema

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "docs" / "schema" / "pipeline.schema.json"
GUIDE = ROOT / "docs" / "guide" / "yaml.md"


def _examples() -> list[Any]:
    files = [file.read_text() for file in sorted((Path(__file__).parent / "corpus" / "yaml").glob("*.yaml"))]
    return files + re.findall(r"^```yaml\n(# .*?)^```", GUIDE.read_text(), re.DOTALL | re.MULTILINE)


def _validator() -> Any:
    import jsonschema

    return jsonschema.Draft202012Validator(schema())


def test_the_published_schema_is_the_present_one() -> None:
    assert json.loads(PUBLISHED.read_text()) == schema(), "write it anew: python -m penstock.dialects.yaml > " + str(
        PUBLISHED
    )


def test_it_takes_the_examples() -> None:
    validator = _validator()
    validator.check_schema(schema())
    examples = _examples()
    assert len(examples) > 12
    for text in examples:
        told = [error.message for error in validator.iter_errors(yaml.safe_load(re.sub(r"!\w+", "", text)))]
        assert told == [], text


@pytest.mark.parametrize(
    "text",
    [
        "pipeline: {nam: x}\nstages: [{name: a}]",
        "stages: [{timeout: 3}]",
        "stages: [{name: a, timout: 3}]",
        "stages: [{name: a, resources: {cpus: 3}}]",
        "pipeline: {name: x}",
        "stages: [{name: a}]\nnotifications: {on_failure: [{slak: x}]}",
    ],
)
def test_it_refuses_what_the_reader_refuses(text: str) -> None:
    assert not _validator().is_valid(yaml.safe_load(text))
