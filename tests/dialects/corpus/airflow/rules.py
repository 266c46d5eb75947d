from datetime import datetime

from airflow import DAG
from airflow.exceptions import AirflowSkipException
from airflow.operators.empty import EmptyOperator
from airflow.operators.python import PythonOperator, ShortCircuitOperator


def fail():
    raise ValueError("on purpose")


def skip():
    raise AirflowSkipException("nothing to do")


def done():
    return "done"


with DAG("rules", start_date=datetime(2024, 1, 1), schedule=None):
    bad = PythonOperator(task_id="bad", python_callable=fail)
    none = PythonOperator(task_id="none", python_callable=skip)
    good = PythonOperator(task_id="good", python_callable=done)
    everything = [bad, none, good]
    rules = [
        "all_success",
        "all_done",
        "all_failed",
        "all_skipped",
        "one_failed",
        "one_success",
        "one_done",
        "none_failed",
        "none_skipped",
        "none_failed_min_one_success",
        "always",
    ]
    finish = PythonOperator(task_id="finish", python_callable=done, trigger_rule="all_done")
    for rule in rules:
        everything >> EmptyOperator(task_id=f"t_{rule}", trigger_rule=rule) >> finish
        [none, good] >> EmptyOperator(task_id=f"s_{rule}", trigger_rule=rule) >> finish
    closed = ShortCircuitOperator(task_id="closed", python_callable=lambda: False)
    closed >> EmptyOperator(task_id="behind") >> EmptyOperator(task_id="far", trigger_rule="all_done")
    narrow = ShortCircuitOperator(
        task_id="narrow", python_callable=lambda: False, ignore_downstream_trigger_rules=False
    )
    narrow >> EmptyOperator(task_id="near") >> EmptyOperator(task_id="beyond", trigger_rule="all_done")
