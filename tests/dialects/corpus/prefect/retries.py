from prefect import flow, task
from prefect.tasks import exponential_backoff


@task(retries=2, retry_delay_seconds=[0, 0], tags=["flaky"])
def steady(x: int) -> int:
    return x + 1


@task(
    retries=3, retry_delay_seconds=exponential_backoff(backoff_factor=0.01), retry_jitter_factor=0.5, timeout_seconds=30
)
def backed_off(x: int) -> int:
    return x * 10


@flow(retries=1)
def retried(x: int = 1) -> int:
    return backed_off(steady(x))
