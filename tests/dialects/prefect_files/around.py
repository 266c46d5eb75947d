"""What is around tasks and flows, one of each."""

from datetime import timedelta

from prefect import flow, tags, task, unmapped
from prefect.context import FlowRunContext, TaskRunContext
from prefect.tasks import exponential_backoff, task_input_hash


def backwards(context, parameters):
    return "-".join(sorted(parameters))


@task(cache_key_fn=backwards, cache_expiration=timedelta(hours=1), tags=["one"])
def keyed(a, b):
    return a * b


@task(cache_key_fn=task_input_hash, refresh_cache=True, task_run_name="scaled-{n}")
def scaled(n, by, *, extra=0):
    context = TaskRunContext.get()
    return [n * by + extra, context.task_run.run_count]


@task(retries=2, retry_delay_seconds=exponential_backoff(0.01), retry_jitter_factor=0.5, timeout_seconds=30)
def flaky():
    if TaskRunContext.get().task_run.run_count < 2:
        raise RuntimeError("again")
    return "in the end"


@task
def counted(rows):
    return len(rows)


@flow(name="Around It", version="1", retries=0, log_prints=True)
def around(n: int = 3):
    with tags("two", "three"):
        first = keyed(2, n)
    changed = scaled.with_options(task_run_name="other-{n}", retries=1, retry_delay_seconds=0)
    mapped = [each.result() for each in scaled.map(range(n), unmapped(10), extra=unmapped(1))]
    states = [keyed(5, n, return_state=True).type.value, flaky(return_state=True).name]
    print("told", first)
    return {
        "first": first,
        "mapped": mapped,
        "changed": changed(1, 2),
        "states": states,
        "flaky": flaky(),
        "rows": counted([{"a": 1}, {"a": 2}]),
        "flow": FlowRunContext.get().flow.name,
    }
