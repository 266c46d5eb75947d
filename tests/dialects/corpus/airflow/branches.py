from datetime import datetime

from airflow import DAG
from airflow.operators.empty import EmptyOperator
from airflow.operators.python import BranchPythonOperator, PythonOperator
from airflow.utils.edgemodifier import Label
from airflow.utils.trigger_rule import TriggerRule


def choose():
    return ["left", "shared"]


def value(of):
    return of


with DAG("branches", start_date=datetime(2024, 1, 1), schedule=None):
    branch = BranchPythonOperator(task_id="branch", python_callable=choose)
    left = PythonOperator(task_id="left", python_callable=value, op_args=["left"])
    right = PythonOperator(task_id="right", python_callable=value, op_args=["right"])
    shared = PythonOperator(task_id="shared", python_callable=value, op_args=["shared"])
    after_right = EmptyOperator(task_id="after_right")
    strict = EmptyOperator(task_id="strict")
    join = PythonOperator(
        task_id="join",
        python_callable=value,
        op_args=["joined"],
        trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS,
    )
    branch >> Label("one way") >> left
    branch >> [right, shared]
    right >> after_right
    [left, right] >> strict
    [left, right, shared] >> join
    # directly after the branch as well, and after what it follows
    branch >> join
