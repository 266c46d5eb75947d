from datetime import datetime

from airflow import DAG
from airflow.decorators import task, task_group
from airflow.models.baseoperator import chain, cross_downstream
from airflow.operators.empty import EmptyOperator
from airflow.utils.task_group import TaskGroup


@task
def one():
    return 1


@task
def increased(number, by=1):
    return number + by


@task
def added(numbers):
    return sum(numbers)


@task_group
def twice(number):
    return increased(increased(number), by=10)


with DAG("groups", start_date=datetime(2024, 1, 1), schedule=None):
    start = EmptyOperator(task_id="start")
    with TaskGroup("outer") as outer:
        first = EmptyOperator(task_id="first")
        with TaskGroup("inner") as inner:
            cross_downstream([EmptyOperator(task_id="a"), EmptyOperator(task_id="b")], [EmptyOperator(task_id="c")])
        first >> inner
    with TaskGroup("flat", prefix_group_id=False):
        number = one()
    start >> outer >> number
    found = [twice(number), twice(number)]
    chain(added(found), [EmptyOperator(task_id="x"), EmptyOperator(task_id="y")], EmptyOperator(task_id="end"))
