from prefect import flow, task


@task
def load(name: str) -> dict:
    return {"name": name, "size": len(name)}


@task
def join(left: dict, right: dict) -> int:
    return left["size"] + right["size"]


@task
def report(size: int) -> str:
    return f"{size} in all"


@flow
def joined(left: str = "users", right: str = "orders") -> str:
    one = load.submit(left)
    other = load.submit(right)
    size = join.submit(one, other)
    return report(size.result(), wait_for=[one])
