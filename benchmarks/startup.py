"""How long it takes until something happens: imports, the command line, a first run."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.figures import Budget, Figure, Round, figure
from benchmarks.processes import new_home, seconds

_MILLI = 1e3
_BARE = "a Python that does nothing, from start to end"

_SCRIPT = """
from penstock import pipeline, task

@task
def read(n: int) -> list[int]:
    return list(range(n))

@task
def double(numbers: list[int]) -> list[int]:
    return [2 * number for number in numbers]

@task
def square(numbers: list[int]) -> list[int]:
    return [number * number for number in numbers]

@task
def join(first: list[int], second: list[int]) -> int:
    return sum(first) + sum(second)

@pipeline
def four(n: int = 10) -> int:
    numbers = read(n)
    return join(double(numbers), square(numbers))
"""


def _rounds(command: list[str], starts: int) -> list[Round]:
    """Milliseconds; the first start, which may have to compile, does not count."""
    bare = [sys.executable, "-c", "pass"]
    taken = [(seconds(bare) * _MILLI, seconds(command) * _MILLI) for _ in range(starts + 1)]
    return [Round(floor, whole, floor) for floor, whole in taken[1:]]


def imports(starts: int) -> list[Figure]:
    """The import alone: what a Python takes that does nothing else, less a bare one."""
    return [
        _import("import penstock", starts, Budget(60, "unit")),
        _import("from penstock import task, pipeline", starts, Budget(60, "unit")),
    ]


def _import(statement: str, starts: int, budget: Budget) -> Figure:
    rounds = _rounds([sys.executable, "-c", statement], starts)
    return figure(statement, "ms", _BARE, rounds, budget)


def _penstock() -> str:
    """The command that was installed beside this Python."""
    return str(Path(sys.executable).with_name("penstock"))


def version(starts: int) -> Figure:
    rounds = _rounds([_penstock(), "--version"], starts)
    return figure("penstock --version", "ms", _BARE, rounds, Budget(100, "unit"))


def cold_run(starts: int) -> Figure:
    """`penstock run` of a file with four tasks in a folder where nothing has run yet."""
    rounds: list[Round] = []
    for _ in range(starts + 1):
        with new_home() as folder:
            (folder / "four.py").write_text(_SCRIPT, encoding="utf-8")
            floor = seconds([sys.executable, "-c", "pass"]) * _MILLI
            whole = seconds([_penstock(), "run", "four.py"], folder, folder / ".penstock") * _MILLI
            rounds.append(Round(floor, whole))
    return figure("cold run of four tasks", "ms", _BARE, rounds[1:], Budget(600, "unit"))
