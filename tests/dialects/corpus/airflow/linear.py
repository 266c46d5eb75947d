from datetime import datetime, timedelta

from airflow import DAG
from airflow.operators.bash import BashOperator
from airflow.operators.empty import EmptyOperator
from airflow.operators.python import PythonOperator


def load(count, start=0):
    return list(range(start, start + count))


def total(numbers):
    return sum(numbers)


with DAG(
    "linear",
    description="Adds up numbers.",
    start_date=datetime(2024, 1, 1),
    schedule=None,
    default_args={"owner": "data", "retries": 1, "retry_delay": timedelta(seconds=1)},
    tags=["example"],
):
    begin = EmptyOperator(task_id="begin")
    first = PythonOperator(task_id="load", python_callable=load, op_args=[4], op_kwargs={"start": 3})
    second = PythonOperator(task_id="total", python_callable=total, op_kwargs={"numbers": first.output})
    last = BashOperator(task_id="tell", bash_command="echo first; echo {done}")
    begin >> first
    second >> last
