from datetime import datetime

from airflow.decorators import dag, task
from airflow.operators.bash import BashOperator


@task
def words():
    return {"b": 2, "a": 1}


@task
def letters():
    return ["x", "y"]


@task
def digits():
    return ["1", "2"]


@task
def shown(pair):
    return f"{pair[0]}={pair[1]}"


@task
def upper(text):
    return text.upper()


@task
def listed(texts):
    return sorted(texts)


def longer(text):
    return text + "!"


@dag(schedule=None, start_date=datetime(2024, 1, 1))
def transforms():
    pairs, found = words(), letters()
    listed(shown.expand(pair=pairs))
    listed.override(task_id="loud")(upper.expand(text=found.map(longer)))
    listed.override(task_id="zipped")(shown.override(task_id="show_zipped").expand(pair=found.zip(digits())))
    listed.override(task_id="joined")(upper.override(task_id="upper_joined").expand(text=found.concat(digits())))
    echo = BashOperator.partial(task_id="echo", env={"A": "1"}, append_env=True).expand(
        bash_command=["echo one", "echo $A"]
    )
    listed.override(task_id="echoed")(echo.output)


transforms()
