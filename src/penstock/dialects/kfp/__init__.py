"""Kubeflow Pipelines."""

from __future__ import annotations

from penstock.dialects import Dialect

DIALECT = Dialect("kfp", "Kubeflow Pipelines", ("kfp",))
