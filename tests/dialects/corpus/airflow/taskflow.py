from datetime import datetime

from airflow.decorators import dag, task


@task
def extract(size: int) -> dict:
    return {"low": list(range(size)), "high": [10 * n for n in range(size)]}


@task
def add(numbers):
    return sum(numbers)


@task(multiple_outputs=True)
def compare(one, other):
    return {"most": max(one, other), "least": min(one, other)}


@task
def tell(most, least):
    return f"{least} to {most}"


@dag(schedule=None, start_date=datetime(2024, 1, 1), catchup=False)
def taskflow(size: int = 4):
    data = extract(size)
    found = compare(add(data["low"]), add.override(task_id="add_high")(data["high"]))
    tell(found["most"], least=found["least"])


taskflow()
