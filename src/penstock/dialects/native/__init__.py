"""penstock."""

from __future__ import annotations

from penstock.dialects import Dialect

DIALECT = Dialect("penstock", "penstock", ())
