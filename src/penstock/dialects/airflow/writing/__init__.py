"""A pipeline as Airflow code."""

from __future__ import annotations

from penstock.dialects.airflow.writing.dags import write

__all__ = ["write"]
