"""What penstock does not cover of Airflow stops the DAGs that use it, and not the others of the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from penstock.errors import NotCoveredError
from penstock.registering.loading import load_module, pipelines_in

FILE = """\
from datetime import datetime

from airflow import DAG
from airflow.decorators import dag, task
from airflow.operators.empty import EmptyOperator
from airflow.operators.python import PythonOperator


@task.pyspark(conn_id="spark")
def counted(spark):
    return spark


def fine():
    return 1


class Own(EmptyOperator):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)


with DAG("argued", schedule=None, start_date=datetime(2024, 1, 1)):
    EmptyOperator(task_id="a", from_the_future=1) >> EmptyOperator(task_id="b")

apart = DAG("apart", schedule=None, start_date=datetime(2024, 1, 1))
Own(task_id="a", retires=1, dag=apart)

with DAG("strange", schedule=None, start_date=datetime(2024, 1, 1), from_the_future=1):
    EmptyOperator(task_id="a")


@dag(schedule=None, start_date=datetime(2024, 1, 1))
def sparkling():
    counted()


sparkling()

with DAG("fine", schedule=None, start_date=datetime(2024, 1, 1)):
    PythonOperator(task_id="a", python_callable=fine)
"""


def test_other_dags_of_the_file_run(tmp_path: Path) -> None:
    file = tmp_path / f"uncovered_{tmp_path.name}.py"
    file.write_text(FILE)
    found: dict[str, Any] = pipelines_in(load_module(str(file)))

    run = found["fine"].options(executor="inline", progress=False, logs=False, home=tmp_path / "home").run()
    assert run.outputs == {"a": 1}
    for name, message, line in (
        ("argued", "EmptyOperator has no argument 'from_the_future'", 'task_id="a", from_the_future'),
        ("apart", "Own has no argument 'retires'; did you mean 'retries'", "retires"),
        ("strange", "DAG has no argument 'from_the_future'", '"strange"'),
        ("sparkling", "@task.pyspark is not covered", "    counted()"),
    ):
        with pytest.raises(NotCoveredError) as caught:
            found[name].define({})
        assert message in str(caught.value)
        number = next(count for count, text in enumerate(FILE.splitlines(), 1) if line in text)
        assert str(caught.value.where).endswith(f".py:{number}")
