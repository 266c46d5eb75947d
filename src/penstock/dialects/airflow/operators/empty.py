"""`EmptyOperator`, once `DummyOperator`: does nothing, and is there for the order of others."""

from __future__ import annotations

from typing import Any

from penstock.dialects.airflow.baseoperator import BaseOperator


def nothing() -> None:
    """Does nothing."""


class EmptyOperator(BaseOperator):
    """Does nothing."""

    ui_color = "#e8f7e4"
    has_value = False

    def execute(self, context: Any) -> None:
        nothing()

    def native(self) -> Any:
        from penstock.dialects.airflow.nodes import Call

        return Call(nothing, {})


DummyOperator = EmptyOperator

__all__ = ["DummyOperator", "EmptyOperator", "nothing"]
