"""Tasks made again in a debugger: where it stops, what it sees, and how it is left."""

from __future__ import annotations

import functools
import io
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import pytest
from replayed import Workshop

from penstock import CancelledError, Run, find_run, pipeline, task

P = ParamSpec("P")
R = TypeVar("R")


def logged(function: Callable[P, R]) -> Callable[P, R]:
    """A decorator of the user's own."""

    @functools.wraps(function)
    def inner(*args: P.args, **kwargs: P.kwargs) -> R:
        return function(*args, **kwargs)

    return inner


@task
def plain(x: int) -> int:
    """The first line is the one after this."""
    y = x + 1
    return y * 1


@task
@logged
def decorated(x: int) -> int:
    y = x + 1
    return y * 1


@task
def several(x: int) -> Iterator[int]:
    y = x + 1
    yield y


@task
async def later(x: int) -> int:
    y = x + 1
    return y * 1


@task
async def stream(x: int) -> AsyncIterator[int]:
    y = x + 1
    yield y


@task
def divided(x: int) -> float:
    y = x - 1
    return _divide(x, y)


def _divide(x: int, y: int) -> float:
    return x / y


@pipeline
def pipe(x: int = 1) -> None:
    for each in (plain, decorated, several, later, stream, divided):
        each(x)


@pytest.fixture
def run(home: Path) -> Run:
    ended = pipe.options(executor="inline").run()
    assert [each.id for each in ended.tasks if each.state == "failed"] == ["divided"]
    return find_run(ended.run_id)


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, home: Path) -> Callable[..., None]:
    """What the user types, command by command."""
    # a .pdbrc of whoever runs the tests is none of theirs
    monkeypatch.setenv("HOME", str(home))

    def type_(*commands: str) -> None:
        monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{each}\n" for each in commands)))

    return type_


def line_of(function: Any, text: str) -> int:
    """The line of this file on which a text stands in a function."""
    code = function.function.__code__
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
        code = function.__code__
    lines = Path(__file__).read_text().splitlines()
    return next(number for number in range(code.co_firstlineno, len(lines) + 1) if text in lines[number - 1])


@pytest.mark.parametrize("subject", [plain, decorated, several, later, stream], ids=lambda each: each.name)
def test_it_stops_at_the_first_line(
    subject: Any, run: Run, typed: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    typed("p 'x is', x", "n", "p 'y is', y", "c")
    interrupted = signal.getsignal(signal.SIGINT)
    tracing = sys.gettrace()
    made = run.task(subject.name).replay(pdb=True)
    assert made.same is True
    told = capsys.readouterr().out
    name = subject.function.__name__
    assert told.startswith(f"> {__file__}({line_of(subject, 'y = x + 1')}){name}()\n-> y = x + 1\n(Pdb) ('x is', 1)\n")
    assert "('y is', 2)" in told
    assert signal.getsignal(signal.SIGINT) is interrupted
    assert sys.gettrace() is tracing


def test_a_task_that_failed_stops_where_it_raises(
    run: Run, typed: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    typed("p (x, y)", "w", "up", "p x", "up", "c")
    made = run.task("divided").replay(pdb=True)
    assert (made.state, made.same) == ("failed", True)
    told = capsys.readouterr().out
    assert told.startswith(f"ZeroDivisionError: division by zero\n> {__file__}(")
    assert "(Pdb) (1, 0)" in told
    # none of the frames that lead to the task
    assert "*** Oldest frame" in told
    assert "debugging.py" not in told and "attempt.py" not in told


def test_the_first_line_of_a_task_that_failed_on_demand(
    run: Run, typed: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    typed("p x", "c", "p y", "q")
    made = run.task("divided").replay(pdb="start")
    told = capsys.readouterr().out
    assert told.startswith(f"> {__file__}({line_of(divided, 'y = x - 1')})divided()")
    # then where it raises
    assert "ZeroDivisionError: division by zero" in told and "(Pdb) 0" in told
    assert made.state == "failed"


def test_a_task_that_returns_does_not_stop_at_errors(
    run: Run, typed: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    typed()
    assert run.task("plain").replay(pdb="error").same is True
    assert capsys.readouterr().out == ""


def test_stepping_off_the_end_does_not_lead_into_penstock(
    run: Run, typed: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    typed(*["s"] * 30)
    assert run.task("plain").replay(pdb=True).same is True
    assert "/penstock/" not in capsys.readouterr().out


def test_the_debugger_can_be_left(run: Run, typed: Callable[..., None]) -> None:
    typed("q")
    with pytest.raises(CancelledError, match="the replay of plain was left in the debugger"):
        run.task("plain").replay(pdb=True)


def test_stored_code_is_shown_as_it_was(
    home: Path, typed: Callable[..., None], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(home.parent))
    workshop = Workshop(home.parent)
    workshop.write(
        "debugged.py",
        """
        from penstock import pipeline, task

        @task
        def fit(x: int) -> int:
            was = x
            return was

        @pipeline
        def pipe() -> int:
            return fit(1)
        """,
    )
    run = workshop.run("debugged")
    workshop.write("debugged.py", (workshop.folder / "debugged.py").read_text().replace("was", "is_now"))
    typed("l", "c")
    assert run.task("fit").replay("stored", pdb=True).same is True
    told = capsys.readouterr().out
    assert f"> {workshop.folder / 'debugged.py'}(6)fit()\n-> was = x" in told
    assert "is_now" not in told
    workshop.forget()
