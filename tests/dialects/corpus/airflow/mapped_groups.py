from datetime import datetime

from airflow.decorators import dag, task, task_group


@task
def names() -> list:
    return ["a", "bb", "ccc"]


@task
def length(text):
    return len(text)


@task
def squared(number, offset):
    return number * number + offset


@task
def total(numbers):
    return sum(numbers)


@task
def offset():
    return 100


@dag(schedule=None, start_date=datetime(2024, 1, 1))
def mapped_groups():
    base = offset()

    @task_group
    def measured(text):
        return squared(length(text), base)

    total(measured.expand(text=names()))


mapped_groups()
