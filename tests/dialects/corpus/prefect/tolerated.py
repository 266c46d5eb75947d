from prefect import allow_failure, flow, task
from prefect.futures import as_completed, wait


@task
def divided(x: int) -> float:
    return 6 / x


@task
def told(value) -> str:
    return type(value).__name__


@flow
def tolerated(numbers: tuple[int, ...] = (1, 0, 3)) -> dict:
    futures = divided.map(numbers)
    wait(futures)
    good = [each.result() for each in futures if each.state.is_completed()]
    names = [told.submit(allow_failure(each)).result() for each in futures]
    done = sorted(each.result(raise_on_failure=False) is not None for each in as_completed(futures))
    return {"good": good, "names": names, "done": done}
