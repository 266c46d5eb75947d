"""The example DAGs of the real Airflow, as they stand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import airflow_examples


def test_every_example_of_airflow_does_what_the_page_says(peer: Callable[[str], Path]) -> None:
    folder = next(peer("airflow").parent.parent.glob("lib/python3*/site-packages/airflow"))
    found = airflow_examples.examples(folder)
    assert airflow_examples.page(found) == airflow_examples.PAGE.read_text("utf-8"), (
        f"run: python tests/dialects/airflow_examples.py {folder}"
    )
