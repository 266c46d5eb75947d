import os
import tempfile
from datetime import datetime, timedelta

from airflow import DAG
from airflow.operators.python import PythonOperator


def flaky():
    mark = os.path.join(tempfile.gettempdir(), f"flaky-{os.environ.get('FLAKY', 'mark')}")
    if not os.path.exists(mark):
        open(mark, "w").close()
        raise RuntimeError("not yet")
    os.remove(mark)
    return "in the end"


with DAG(
    "retried",
    start_date=datetime(2024, 1, 1),
    schedule=None,
    default_args={"retries": 2, "retry_delay": timedelta(milliseconds=1)},
):
    PythonOperator(task_id="flaky", python_callable=flaky, retry_exponential_backoff=True)
