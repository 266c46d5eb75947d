"""`LatestOnlyOperator`: what comes after it runs for the latest interval only."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from penstock.dialects.airflow.inputs import Reads
from penstock.dialects.airflow.operators.branch import BaseBranchOperator


class LatestOnlyOperator(BaseBranchOperator):
    """Skips the tasks directly after it in runs about an interval that is not the latest one. A run that a person
    starts is about none, and goes on."""

    ui_color = "#e9ffdb"

    def reads(self) -> Reads:
        return Reads(frozenset({"data_interval_start", "data_interval_end"}))

    def choose_branch(self, context: Any) -> list[str]:
        start, end = context.get("data_interval_start"), context.get("data_interval_end")
        latest = start is None or start == end or end <= datetime.now(UTC) <= end + (end - start)
        return sorted(self.downstream_task_ids) if latest else []


__all__ = ["LatestOnlyOperator"]
