"""Argo Workflows."""

from __future__ import annotations

from penstock.dialects import Dialect

DIALECT = Dialect("argo", "Argo Workflows", ())
