"""A pipeline as Prefect code."""

from __future__ import annotations

from penstock.dialects.prefect.writing.flows import write

__all__ = ["write"]
