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


class ExternalTaskMarker(EmptyOperator):
    """Does nothing: in Airflow, clearing it clears a task of another DAG as well."""

    def __init__(
        self,
        *,
        external_dag_id: str,
        external_task_id: str,
        logical_date: Any = None,
        execution_date: Any = None,
        recursion_depth: int = 10,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.external_dag_id = external_dag_id
        self.external_task_id = external_task_id
        self.without_effect |= {
            "external_task_id": "penstock makes again what has changed, in every pipeline by itself"
        }


__all__ = ["DummyOperator", "EmptyOperator", "ExternalTaskMarker", "nothing"]
