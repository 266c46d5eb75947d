from prefect import flow, task


@task
def measure(x: int) -> int:
    return x * 2


@task
def large(x: int) -> str:
    return f"large {x}"


@task
def small(x: int) -> str:
    return f"small {x}"


@flow
def branch(x: int = 3) -> str:
    found = measure(x)
    if found > 5:
        return large(found)
    return small(found)
