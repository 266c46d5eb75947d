from prefect import flow, task


@task
def risky(x: int) -> int:
    if x > 2:
        raise ValueError(f"{x} is too large")
    return x


@task
def safe(x: int) -> int:
    return min(x, 2)


@flow
def caught(x: int = 5) -> str:
    try:
        found = risky(x)
    except ValueError as error:
        found = safe(x)
        return f"{error}: {found}"
    return f"fine: {found}"
