"""Writes the JSON Schema of the files to stdout: `python -m penstock.dialects.yaml`."""

from __future__ import annotations

import json

from penstock.dialects.yaml import schema

print(json.dumps(schema(), indent=2))
