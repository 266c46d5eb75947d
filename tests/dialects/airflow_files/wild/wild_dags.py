"""DAGs in the manners in which people write them: all of them run on Airflow 3 as well."""

import os
import sys
from datetime import datetime, timedelta

from airflow import DAG
from airflow.decorators import dag, task
from airflow.models.baseoperator import chain, cross_downstream
from airflow.operators.bash import BashOperator
from airflow.operators.empty import EmptyOperator
from airflow.operators.latest_only import LatestOnlyOperator
from airflow.operators.python import BranchPythonOperator, PythonOperator, ShortCircuitOperator
from airflow.sdk import Asset, Label, Metadata, TaskGroup

sys.path.append(os.path.dirname(__file__))  # noqa: PTH120 - as people write it
from wild_tasks import Loading, check, tell
from wild_tasks import train as fit

DEFAULTS = {
    "owner": "somebody",
    "depends_on_past": False,
    "start_date": "2024-1-5",
    "email_on_failure": False,
    "retries": 0,
    "retry_delay": timedelta(minutes=5),
    "retry-delay": timedelta(minutes=1),
    "params": {"who": "me"},
}

# dag=, and what is set afterwards
course = DAG("course", default_args=DEFAULTS, schedule=timedelta(days=1), catchup=False, tags=["wild"])
course.doc_md = __doc__


def report(ds, ti, **context):
    return [len(ds), ti.xcom_pull(task_ids="load", key="rows"), context["params"]["who"], context["dag"].dag_id]


start = EmptyOperator(task_id="start", dag=course)
load = Loading(task_id="load", table="{{ params.who }}_table", rows=3, dag=course)
told = PythonOperator(task_id="report", python_callable=report, dag=course)
shell = BashOperator(
    task_id="shell",
    bash_command="""
{% for each in range(2) %}
    echo "{{ each }} {{ macros.ds_add('2024-01-01', 7) }} {{ ti.xcom_pull('load') }}"
{% endfor %}
""",
    dag=course,
)
load.doc_md = "what is loaded"
load.set_upstream(start)
load.set_downstream([told, shell])


# a function that makes DAGs, in a loop
def made(name, number):
    def numbered(factor):
        return number * factor

    with DAG(name, schedule=None, start_date=datetime(2024, 1, 1)) as found:
        PythonOperator(task_id="numbered", python_callable=numbered, op_kwargs={"factor": 10})
    return found


for each in (1, 2):
    globals()[f"made_{each}"] = made(f"made_{each}", each)


# tasks of another module, one of which fails
@dag(schedule=None, start_date=datetime(2024, 1, 1), default_args={"on_failure_callback": tell})
def shared():
    @task(trigger_rule="all_done")
    def clean(ti=None):
        return ti.xcom_pull(task_ids="train")

    number = fit(3)
    check(number) >> [clean(), EmptyOperator(task_id="after"), EmptyOperator(task_id="always", trigger_rule="always")]


shared()


# every way of leaving tasks out
with DAG("leaving", schedule=None, start_date=datetime(2024, 1, 1)):
    latest = LatestOnlyOperator(task_id="latest")
    choose = BranchPythonOperator(task_id="choose", python_callable=lambda: ["chosen", "group.first"])
    chosen, other = EmptyOperator(task_id="chosen"), EmptyOperator(task_id="other")
    with TaskGroup("group", tooltip="in a group") as group:
        first = PythonOperator(task_id="first", python_callable=lambda: "first")
        first >> BashOperator(task_id="second", bash_command="exit 99")
    stop = ShortCircuitOperator(task_id="stop", python_callable=lambda: 0, ignore_downstream_trigger_rules=False)
    rules = ("all_skipped", "none_failed", "none_failed_min_one_success", "one_success", "none_skipped", "all_done")
    joins = [EmptyOperator(task_id=rule, trigger_rule=rule) for rule in rules]
    latest >> choose >> Label("taken") >> chosen
    choose >> [other, group]
    cross_downstream([chosen, other], joins)
    chain(group, stop, [EmptyOperator(task_id="a"), EmptyOperator(task_id="b", trigger_rule="all_done")])


# what a task says of an asset
@dag(schedule=None, start_date=datetime(2024, 1, 1))
def said():
    place = Asset("wild_place")

    @task(outlets=[place])
    def measured():
        yield Metadata(place, {"rows": 3})
        return 7

    @task
    def wide(numbers):
        return sum(numbers)

    @task
    def item(number, by, ti=None):
        return number * by + ti.map_index

    wide(item.partial(by=measured()).expand(number=[1, 2]))


said()
