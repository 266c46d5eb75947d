from datetime import datetime

from airflow.decorators import dag, task
from airflow.sensors.base import PokeReturnValue


@task.branch
def choose():
    return "kept"


@task
def kept():
    return "kept"


@task
def dropped():
    return "dropped"


@task.short_circuit
def passing():
    return [1]


@task.bash
def command(name):
    return f"echo hello {name}"


@task.sensor(poke_interval=1, timeout=10, mode="reschedule")
def ready() -> PokeReturnValue:
    return PokeReturnValue(is_done=True, xcom_value="arrived")


@task
def after(what):
    return f"after {what}"


@task
def about(ds=None, ti=None, params=None):
    return f"{ti.task_id} {len(ds)} {params['level']}"


@dag(schedule=None, start_date=datetime(2024, 1, 1), params={"level": 7})
def flavours():
    choose() >> [kept(), dropped()]
    passing() >> after(ready()) >> about()
    command("you")


flavours()
