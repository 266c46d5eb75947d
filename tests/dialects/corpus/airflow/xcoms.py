from datetime import datetime

from airflow import DAG
from airflow.models.baseoperator import BaseOperator
from airflow.operators.bash import BashOperator
from airflow.operators.python import PythonOperator


def push(ti, **context):
    ti.xcom_push(key="extra", value={"n": 5})
    return "returned"


def pull(ti):
    return [ti.xcom_pull(task_ids="push"), ti.xcom_pull(task_ids="push", key="extra")["n"]]


class Repeat(BaseOperator):
    template_fields = ("text",)

    def __init__(self, text, times=2, **kwargs):
        super().__init__(**kwargs)
        self.text = text
        self.times = times

    def execute(self, context):
        return " ".join([self.text] * self.times)


with DAG("xcoms", start_date=datetime(2024, 1, 1), schedule=None, params={"word": "hey"}):
    first = PythonOperator(task_id="push", python_callable=push)
    second = PythonOperator(task_id="pull", python_callable=pull)
    third = BashOperator(task_id="tell", bash_command="echo {{ ti.xcom_pull(task_ids='pull')[1] }} {{ params.word }}")
    last = Repeat(task_id="repeat", text="{{ ti.xcom_pull(task_ids='tell') }}!", times=3)
    first >> second >> third >> last
