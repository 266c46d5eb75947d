"""How hooks are called: in order, beside the run, and with whatever goes wrong told."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from penstock.runtime.hooks.line import Call, HookContext, Line


@pytest.fixture
def line() -> Iterator[Line]:
    line = Line(limit=0.1)
    yield line
    line.close()


def context(event: str = "success", **details: Any) -> HookContext:
    return HookContext(event, "run-1", "training", {"lr": 0.1}, **details)


def test_hooks_are_called_in_order_in_another_thread(line: Line) -> None:
    called: list[tuple[str, bool]] = []

    def hook(context: HookContext) -> None:
        time.sleep(0.001)
        called.append((context.node, threading.current_thread() is threading.main_thread()))

    for number in range(20):
        line.add([hook], context(node=f"n{number}"))
    assert line.wait(30) == 0
    assert called == [(f"n{number}", False) for number in range(20)]


def test_a_hook_takes_the_context_or_nothing(line: Line) -> None:
    called: list[Any] = []

    class Told:
        def method(self, context: HookContext) -> None:
            called.append(("method", context.event))

    def nothing() -> None:
        called.append("nothing")

    def optional(channel: str = "#ml") -> None:
        called.append(channel)

    def any_number(*contexts: HookContext) -> None:
        called.append(len(contexts))

    async def later(context: HookContext) -> None:
        await asyncio.sleep(0)
        called.append(("async", context.parameters["lr"]))

    line.add(
        [Told().method, nothing, optional, any_number, later, lambda told: called.append(told.pipeline)], context()
    )
    assert line.wait(30) == 0
    assert called == [("method", "success"), "nothing", "#ml", 1, ("async", 0.1), "training"]
    assert line.take_complaints() == []


def test_what_a_hook_raises_is_told_with_its_traceback_and_the_next_is_called(line: Line) -> None:
    called: list[str] = []

    def broken(context: HookContext) -> None:
        raise SystemExit("no such channel")

    line.add([broken, lambda told: called.append(told.node)], context("failure", node="fit", item=3, attempt=2))
    assert line.wait(30) == 0
    assert called == ["fit"]
    [complaint] = line.take_complaints()
    assert complaint[:3] == ("fit", 3, 2)
    assert complaint.text.startswith("the hook on_failure (broken) failed, which changes nothing for the run:")
    assert "SystemExit: no such channel" in complaint.text
    assert "hook_line.py" not in complaint.text
    assert line.take_complaints() == []


def test_a_hook_that_takes_too_long_is_told_of_and_the_others_go_on_without_it(line: Line) -> None:
    called: list[str] = []
    release = threading.Event()

    def stuck(context: HookContext) -> None:
        release.wait(30)
        called.append("late")

    try:
        line.add([stuck, lambda told: called.append(told.node)], context(node="fit"))
        assert line.wait(30) == 0
        assert called == ["fit"]
        [complaint] = line.take_complaints()
        assert complaint.text == (
            "the hook on_success (stuck) takes more than 0.1 seconds; the run does not wait for it"
        )
    finally:
        release.set()
    line.add([lambda told: called.append("after")], context())
    assert line.wait(30) == 0
    assert called.count("after") == 1


def test_waiting_comes_to_an_end(line: Line) -> None:
    release = threading.Event()
    patient = Line(limit=60)
    try:
        patient.add([lambda told: release.wait(30)] * 3, context())
        assert patient.wait(0.05) == 3
    finally:
        release.set()
        patient.close()


def test_a_call_for_later_is_made_then_if_it_still_applies(line: Line) -> None:
    called: list[tuple[str, str]] = []
    done = threading.Event()

    def hook(context: HookContext) -> None:
        called.append((context.node, context.state))
        if context.node == "last":
            done.set()

    now = time.monotonic()
    line.add_later(now + 0.06, Call(hook, context("deadline", node="last")), lambda: "waiting")
    line.add_later(now + 0.03, Call(hook, context("deadline", node="ended")), lambda: "")
    line.add_later(now - 5.0, Call(hook, context("deadline", node="first")), lambda: "running")
    line.add_later(now + 60, Call(hook, context("deadline", node="never")), lambda: "running")
    assert done.wait(30)
    assert called == [("first", "running"), ("last", "waiting")]
