"""penstock's YAML."""

from __future__ import annotations

from penstock.dialects import Dialect

DIALECT = Dialect("yaml", "penstock's YAML", ())
