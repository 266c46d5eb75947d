from prefect import flow, task


@task
def add(x: int, y: int) -> int:
    return x + y


@task
def square(x: int) -> int:
    return x * x


@flow
def mapped_twice(n: int = 3) -> list[int]:
    sums = add.map(list(range(n)), [10, 20, 30])
    squares = square.map(sums)
    return squares.result()
