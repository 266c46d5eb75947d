from datetime import datetime

from airflow.decorators import dag, task


@task
def numbers() -> list:
    return [1, 2, 3]


@task
def power(base, exponent):
    return base**exponent


@task
def total(values):
    return sum(values)


@task
def named(name, factor=1):
    return f"{name}{factor}"


@task
def joined(names):
    return "-".join(names)


@dag(schedule=None, start_date=datetime(2024, 1, 1))
def fan_out():
    found = numbers()
    total(power.partial(exponent=2).expand(base=found))
    total.override(task_id="all_with_all")(power.override(task_id="product").expand(base=[2, 3], exponent=[1, 2]))
    joined(named.expand_kwargs([{"name": "a", "factor": 2}, {"name": "b"}]))


fan_out()
