import json
from pathlib import Path
from tempfile import mkdtemp

from prefect import flow, task
from prefect.cache_policies import NO_CACHE


@task(cache_policy=NO_CACHE)
def write(path: str, text: str) -> None:
    Path(path).write_text(text)


@task
def numbers() -> list:
    return [1, 2]


def note(value) -> str:
    return json.dumps({"kind": type(value).__name__, "value": value})


@flow
def plain_code(text: str = "ab") -> dict:
    path = f"{mkdtemp()}/f.txt"
    write(path, text)
    read = Path(path).read_text()
    found = numbers()
    found.append(3)
    return {"read": read, "note": note(found), "list": isinstance(found, list), "text": isinstance(text, str)}
