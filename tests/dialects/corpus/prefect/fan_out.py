from prefect import flow, task, unmapped


@task
def double(x: int, by: int) -> int:
    return by * x


@task
def total(numbers: list[int]) -> int:
    return sum(numbers)


@flow
def fan_out(numbers: tuple[int, ...] = (1, 2, 3), by: int = 2) -> int:
    doubled = double.map(numbers, by=unmapped(by))
    return total(doubled)
