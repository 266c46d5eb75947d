from pathlib import Path
from tempfile import mkdtemp

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.transactions import transaction


@task(cache_policy=NO_CACHE)
def write(path: str) -> str:
    Path(path).write_text("draft")
    return path


@write.on_rollback
def remove(txn) -> None:
    Path(txn.get("path")).unlink()


@task
def check(path: str) -> None:
    raise ValueError("not good enough")


@flow
def undone() -> list:
    path = f"{mkdtemp()}/draft.txt"
    try:
        with transaction() as txn:
            txn.set("path", path)
            check(write(path))
    except ValueError as error:
        return [str(error), Path(path).exists()]
    return ["committed", True]
