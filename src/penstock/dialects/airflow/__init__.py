"""Apache Airflow."""

from __future__ import annotations

from penstock.dialects import Dialect

DIALECT = Dialect("airflow", "Apache Airflow", ("airflow",))
