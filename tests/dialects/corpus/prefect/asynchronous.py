import asyncio

from prefect import flow, task


@task
async def fetch(number: int) -> int:
    await asyncio.sleep(0)
    return number * 10


@task
def total(numbers: list) -> int:
    return sum(numbers)


@flow
async def part(numbers: tuple[int, ...]) -> int:
    found = await asyncio.gather(*[fetch(number) for number in numbers])
    return total(found)


@flow
async def gathered(numbers: tuple[int, ...] = (1, 2, 3)) -> dict:
    inner = await part(numbers)
    one = await fetch(7)
    return {"inner": inner, "one": one}


if __name__ == "__main__":
    asyncio.run(gathered())
