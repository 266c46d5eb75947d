"""Branches that leave tasks out which have failed tasks before them, in DAGs for penstock and the real Airflow alike."""

from datetime import datetime

from airflow.exceptions import AirflowFailException
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.providers.standard.operators.python import BranchPythonOperator, PythonOperator, ShortCircuitOperator
from airflow.sdk import DAG, task, task_group


def fail():
    raise AirflowFailException("no")


def failing(name, **options):
    return PythonOperator(task_id=name, python_callable=fail, **options)


def branching(name, *followed, **options):
    return BranchPythonOperator(task_id=name, python_callable=lambda: list(followed), **options)


def empty(name, **options):
    return EmptyOperator(task_id=name, **options)


def dag(name):
    return DAG(name, start_date=datetime(2024, 1, 1), schedule=None, catchup=False)


with dag("failure_first"):
    branch = branching("branch", "kept", trigger_rule="all_done")
    broken = failing("broken")
    left = empty("left")
    kept = empty("kept")
    broken >> branch >> [left, kept]
    broken >> left >> empty("after")
    [left, kept] >> empty("join", trigger_rule="none_failed_min_one_success")

with dag("failure_last"):
    branch = branching("branch", "kept")
    left, gone, broken = empty("left"), empty("gone"), failing("broken", trigger_rule="all_done")
    branch >> [left, gone, empty("kept")]
    gone >> broken >> left >> empty("after")
    left >> empty("whatever", trigger_rule="all_done")

with dag("chosen_behind_a_failure"):
    branch = branching("branch", "left")
    left = empty("left")
    branch >> [left, empty("kept")]
    failing("broken") >> left >> empty("after")

with dag("failed_branch"):
    branch = failing("branch_before") >> branching("branch", "kept")
    branch >> [empty("left"), empty("kept")]

with dag("short_circuit"):
    short = ShortCircuitOperator(task_id="short", python_callable=lambda: False)
    left = empty("left")
    short >> left >> empty("after", trigger_rule="all_done")
    failing("broken") >> left

with dag("short_circuit_of_the_next"):
    short = ShortCircuitOperator(task_id="short", python_callable=lambda: False, ignore_downstream_trigger_rules=False)
    left = empty("left")
    short >> left >> empty("after", trigger_rule="all_done")
    failing("broken") >> left

with dag("nested"):
    outer, inner = branching("outer", "kept"), branching("inner", "deep")
    deep = empty("deep")
    outer >> [inner, empty("kept")]
    inner >> [deep, empty("deeper")]
    failing("broken") >> [inner, deep]

with dag("two_branches"):
    one, other = branching("one", "left"), branching("other", "kept")
    left, kept = empty("left"), empty("kept")
    one >> left
    other >> [left, kept]
    failing("broken") >> left

with dag("branch_not_reached"):
    one, other = branching("one", "left"), branching("other", "kept")
    left, kept = empty("left"), empty("kept")
    failing("broken") >> one >> left
    other >> [left, kept]

with dag("rules"):
    branch, broken, gone = branching("branch", "kept"), failing("broken", trigger_rule="all_done"), empty("gone")
    for rule in ("none_failed", "one_success", "none_failed_min_one_success", "all_done", "one_failed"):
        left = empty(rule, trigger_rule=rule)
        branch >> left
        gone >> broken >> left
    branch >> [gone, empty("kept")]

with dag("after_a_chosen_one"):
    branch = branching("branch", "kept")
    kept, left = empty("kept"), empty("left")
    branch >> [left, kept]
    kept >> failing("broken") >> left

with dag("mapped"):

    @task
    def numbers():
        return [1, 2]

    @task
    def double(x):
        return 2 * x

    branch, broken = branching("branch", "kept"), failing("broken")
    left = double.expand(x=numbers())
    branch >> [left, empty("kept")]
    broken >> left

with dag("mapped_over_what_failed"):

    @task
    def none():
        raise AirflowFailException("no")

    @task
    def triple(x):
        return 3 * x

    branch = branching("branch", "kept")
    left = triple.expand(x=none())
    branch >> [left, empty("kept")]
    left >> empty("after")

with dag("mapped_group"):

    @task
    def some():
        return [1, 2]

    @task_group
    def group(x):
        @task
        def one(x):
            return x

        @task
        def two(x):
            return x

        two(one(x))

    branch, broken = branching("branch", "kept"), failing("broken")
    left = group.expand(x=some())
    branch >> [left, empty("kept")]
    broken >> left
