"""Prefect."""

from __future__ import annotations

from penstock.dialects import Dialect

DIALECT = Dialect("prefect", "Prefect", ("prefect",))
