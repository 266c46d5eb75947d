"""Tasks that run in Python environments of their own; what those have is imported inside."""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penstock import Skip, current, task


@dataclass
class Point:
    x: int
    y: str


@task
def version_of(package: str) -> dict[str, str]:
    import importlib

    return {"version": importlib.import_module(package).__version__, "python": platform.python_version()}


@task
def has(package: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(package) is not None


@task
def echo(value: Any) -> Any:
    return value


@task
def moved(point: Point) -> tuple[Point, int]:
    return Point(point.x + 1, point.y), sys.version_info.minor


@task
def talk(folder: Path) -> str:
    print("out")
    print("err", file=sys.stderr)
    current().log_metric("loss", 0.5)
    current().log_artifact("note", "text")
    (current().folder / "file.txt").write_text("made")
    (folder / "begun").touch()
    return f"{current().id} {current().attempt}"


@task
def made_file() -> Path:
    path = current().folder / "made.txt"
    path.write_text("made")
    return path


@task
def broken(why: str) -> None:
    inner(why)


def inner(why: str) -> None:
    raise ValueError(why)


@task
def skipped() -> None:
    raise Skip("nothing to do")


@task
def numbers() -> Iterator[int]:
    yield from range(3)


@task
def unstorable() -> Any:
    class Hidden:
        pass

    return Hidden()


@task
def wait_for_ever(folder: Path) -> None:
    import os

    (folder / "pid").write_text(str(os.getpid()))
    time.sleep(600)


@task
def die() -> None:
    import os

    os._exit(7)


@task
def process_id() -> int:
    import os

    return os.getpid()
