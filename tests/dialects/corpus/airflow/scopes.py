from datetime import datetime

from airflow.decorators import dag, setup, task, teardown


@setup
def make_cluster():
    return "cluster"


@task
def work(cluster):
    return f"work on {cluster}"


@task
def more():
    return "more"


@teardown
def delete_cluster(cluster):
    return f"deleted {cluster}"


@dag(schedule=None, start_date=datetime(2024, 1, 1))
def scopes():
    cluster = make_cluster()
    work(cluster) >> more() >> delete_cluster(cluster).as_teardown(setups=cluster)


scopes()
