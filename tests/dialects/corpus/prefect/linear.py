from prefect import flow, task


@task
def extract(n: int) -> list[int]:
    return list(range(n))


@task(name="sum up")
def total(numbers: list[int]) -> int:
    return sum(numbers)


@flow
def linear(n: int = 4) -> int:
    numbers = extract(n)
    return total(numbers)


if __name__ == "__main__":
    linear()
