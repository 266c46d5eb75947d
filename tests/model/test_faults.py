"""What is recorded of an exception: the user's traceback, and the exception itself where that is possible."""

from __future__ import annotations

import contextlib
import json
import pickle
import threading
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

import penstock
from penstock.errors import OutputError
from penstock.model.event import Failed, Fault
from penstock.model.expression import Output, evaluate
from penstock.model.fault import exception_of, fault_of, user_traceback
from penstock.model.value import Artifact


class Scope:
    """A user's function that is reached through frames of penstock's own."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self.function = function

    def parameter(self, name: str) -> Any:
        raise KeyError(name)

    def item(self, name: str) -> Any:
        raise KeyError(name)

    def input(self, name: str) -> Any:
        raise KeyError(name)

    def state(self, node: str) -> str:
        raise KeyError(node)

    def stored(self, value: Artifact) -> Any:
        raise KeyError(value)

    def outcome(self, nodes: tuple[str, ...]) -> Any:
        raise KeyError(nodes)

    def ran(self, node: str) -> bool:
        return True

    def output(self, node: str, port: str | None) -> Any:
        return self.function()


def raised(function: Callable[[], Any]) -> BaseException:
    """The exception of a function that was called by penstock."""
    try:
        evaluate(Output("fit"), Scope(function))
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def own_frames(text: str) -> list[str]:
    folder = penstock.__file__.removesuffix("__init__.py")
    return [line for line in text.splitlines() if folder in line]


def fails() -> None:
    raise ValueError("no luck")


def fails_because() -> None:
    try:
        evaluate(Output("inner"), Scope(fails))
    except ValueError as error:
        raise RuntimeError("gave up") from error


def fails_while_failing() -> None:
    try:
        evaluate(Output("inner"), Scope(fails))
    finally:
        evaluate(Output("cleanup"), Scope(lambda: {}["cleanup"]))


def fails_in_many_ways() -> None:
    inner = BaseExceptionGroup("inner", [raised(fails_because)])
    raise BaseExceptionGroup("several", [raised(fails), inner])


class Unpicklable(Exception):
    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.lock = threading.Lock()


class TwoArguments(Exception):
    """Can be pickled, but not read back: pickle calls the class with `args`, which has one element."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class Detailed(Exception):
    def __init__(self, message: str, code: int) -> None:
        super().__init__(message, code)
        self.code = code


class Disguised(Exception):
    def __reduce__(self) -> tuple[Any, ...]:
        return (str, ("not an exception",))


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def raises(error: BaseException) -> Callable[[], None]:
    def function() -> None:
        raise error

    return function


# The traceback.


def test_the_traceback_has_the_users_frames_alone() -> None:
    error = raised(fails)
    text = user_traceback(error)
    assert own_frames(text) == []
    assert text.startswith("Traceback (most recent call last):\n")
    assert text.endswith("ValueError: no luck\n")
    assert "in raised\n" in text
    assert "in output\n" in text
    assert 'in fails\n    raise ValueError("no luck")\n' in text


def test_the_exception_itself_keeps_its_traceback() -> None:
    error = raised(fails)
    before = error.__traceback__
    user_traceback(error)
    assert error.__traceback__ is before
    assert before is not None


@pytest.mark.parametrize(
    ("function", "joint", "last"),
    [
        (
            fails_because,
            "The above exception was the direct cause of the following exception:",
            "RuntimeError: gave up",
        ),
        (
            fails_while_failing,
            "During handling of the above exception, another exception occurred:",
            "KeyError: 'cleanup'",
        ),
    ],
)
def test_what_led_to_an_exception_is_told_too(function: Callable[[], None], joint: str, last: str) -> None:
    text = user_traceback(raised(function))
    first, second = text.split(f"\n{joint}\n\n")
    assert first.endswith("ValueError: no luck\n")
    assert "in fails\n" in first
    assert second.endswith(f"{last}\n")
    assert f"in {function.__name__}\n" in second
    assert own_frames(text) == []


def test_a_cause_that_was_hidden_stays_hidden() -> None:
    def function() -> None:
        try:
            fails()
        except ValueError:
            raise RuntimeError("gave up") from None

    assert "no luck" not in user_traceback(raised(function))


def test_frames_of_the_standard_library_that_pass_on_to_ours_are_left_out() -> None:
    text = user_traceback(raised(lambda: json.loads("{")))
    assert "decoder.py" in text, "this is where it was raised"

    def passed_on() -> None:
        with contextlib.ExitStack() as stack:
            # what penstock does when a block is left
            stack.callback(evaluate, Output("fit"), Scope(lambda: 1 // 0))

    text = user_traceback(raised(passed_on))
    assert "ZeroDivisionError" in text and "in passed_on" in text
    assert "contextlib.py" not in text


def test_exceptions_in_a_group_are_told_without_our_frames() -> None:
    text = user_traceback(raised(fails_in_many_ways))
    assert own_frames(text) == []
    assert "ExceptionGroup: several (2 sub-exceptions)" in text
    assert text.count("ValueError: no luck") == 2
    assert text.count("RuntimeError: gave up") == 1
    assert text.count("in fails\n") == 2


def test_exceptions_that_lead_to_each_other() -> None:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    text = user_traceback(raised(raises(first)))
    assert text.count("ValueError: first") == 1
    assert text.endswith("ValueError: first\n")


def test_notes_and_deep_recursion() -> None:
    def deeper() -> None:
        deeper()

    error = raised(deeper)
    error.add_note("mind the base case")
    text = user_traceback(error)
    assert "[Previous line repeated" in text
    assert text.endswith("mind the base case\n")


# The record.


@pytest.mark.parametrize(
    ("error", "type", "message"),
    [
        (ValueError("no luck"), "ValueError", "no luck"),
        (KeyError("k"), "KeyError", "'k'"),
        (ValueError(), "ValueError", ""),
        (KeyboardInterrupt(), "KeyboardInterrupt", ""),
        (SystemExit(3), "SystemExit", "3"),
        (pickle.PicklingError("p"), "_pickle.PicklingError", "p"),
        (
            OutputError("two, not one", remedy="Return two."),
            "penstock.errors.OutputError",
            "two, not one\n  Return two.",
        ),
        (Unpicklable("locked"), f"{__name__}.Unpicklable", "locked"),
        (UnicodeError("data-\udcff.csv"), "UnicodeError", "data-\\udcff.csv"),
        (Mute(), f"{__name__}.Mute", "(its message cannot be shown: RuntimeError)"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_fault_names_the_exception(error: BaseException, type: str, message: str) -> None:
    fault = fault_of(raised(raises(error)))
    assert (fault.type, fault.message, fault.infrastructure) == (type, message, False)
    assert fault.traceback == user_traceback(error)


@pytest.mark.parametrize(
    "error",
    [ValueError("data-\udcff.csv"), Mute(), Unpicklable("locked"), raised(fails_in_many_ways)],
    ids=lambda value: type(value).__name__,
)
def test_a_fault_can_be_journalled(error: BaseException) -> None:
    event = Failed("fit", -1, 1, fault_of(error))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(event), type=Failed) == event


def test_a_class_of_a_script_is_called_by_its_bare_name() -> None:
    kind = type("Lost", (Exception,), {"__module__": "__main__"})
    assert fault_of(kind("x")).type == "Lost"


# The exception, back again.


def test_an_exception_comes_back_with_the_users_traceback() -> None:
    fault = fault_of(raised(raises(Detailed("no luck", 7))))
    error = exception_of(fault)
    assert isinstance(error, Detailed)
    assert (error.code, error.args) == (7, ("no luck", 7))
    (note,) = error.__notes__
    assert note.startswith("\nIn the task:\nTraceback (most recent call last):\n")
    assert "in function\n    raise error\n" in note


def test_an_exception_of_a_function_body_comes_back() -> None:
    class Inner(Exception):
        pass

    error = exception_of(fault_of(raised(raises(Inner("x")))))
    assert error is not None
    assert type(error).__name__ == "Inner"
    assert error.args == ("x",)


def test_a_group_comes_back() -> None:
    error = exception_of(fault_of(raised(fails_in_many_ways)))
    assert isinstance(error, ExceptionGroup)
    assert [type(each) for each in error.exceptions] == [ValueError, ExceptionGroup]


def test_our_own_errors_come_back_whole() -> None:
    error = exception_of(fault_of(OutputError("two", where="p.py:3", remedy="Return two.")))
    assert isinstance(error, OutputError)
    assert (error.what, error.where, error.remedy) == ("two", "p.py:3", "Return two.")


@pytest.mark.parametrize(
    "error", [Unpicklable("x"), TwoArguments("x", 3), Disguised("x")], ids=lambda value: type(value).__name__
)
def test_an_exception_that_cannot_be_pickled_is_told_all_the_same(error: Exception) -> None:
    fault = fault_of(raised(raises(error)))
    assert fault.pickled is None
    assert (fault.type, fault.message) == (f"{__name__}.{type(error).__name__}", "x")
    assert fault.traceback.endswith(f"{type(error).__name__}: x\n")
    assert exception_of(fault) is None


@pytest.mark.parametrize("pickled", [b"", b"\x80\x05\x00", pickle.dumps("text"), b"cno_such_module\nLost\n."])
def test_what_cannot_be_read_back_is_no_exception(pickled: bytes) -> None:
    assert exception_of(Fault("Lost", "x", "Traceback\n", pickled)) is None


def test_an_exception_without_a_traceback_gets_no_note() -> None:
    error = exception_of(Fault("ValueError", "x", "", pickle.dumps(ValueError("x"))))
    assert isinstance(error, ValueError)
    assert not hasattr(error, "__notes__")
