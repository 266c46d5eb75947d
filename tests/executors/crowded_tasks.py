"""Tasks of which many are made at once in one process."""

from __future__ import annotations

import asyncio
import contextvars
import ctypes
import functools
import logging
import os
import signal
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import penstock
from penstock import task


class Crowd:
    """Counts how many are at the same place at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now = 0
        self.most = 0

    def enter(self) -> None:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)

    def leave(self) -> None:
        with self._lock:
            self._now -= 1


CROWD = Crowd()
_word: contextvars.ContextVar[str] = contextvars.ContextVar("word", default="nothing")


@task
async def nap(seconds: float) -> int:
    CROWD.enter()
    await asyncio.sleep(seconds)
    CROWD.leave()
    return CROWD.most


@task
def nap_in_thread(seconds: float) -> int:
    CROWD.enter()
    time.sleep(seconds)
    CROWD.leave()
    return CROWD.most


@task
async def chatter(count: int) -> list[Any]:
    """Talk by all means, in turns with others, of nothing but the item at hand."""
    at_hand = penstock.current()
    for number in range(count):
        print(at_hand.item, end=" ")
        await asyncio.sleep(0)
        print(number)
        logging.getLogger("chatter").info("%s %s", at_hand.item, number)
        at_hand.log_metric("item", at_hand.item, step=number)
        await asyncio.sleep(0)
    at_hand.log_artifact("item", [at_hand.item] * 10)
    print("the end of", at_hand.item, end="")
    return [penstock.current().item, penstock.current().attempt]


@task
def chatter_in_thread(count: int) -> list[Any]:
    at_hand = penstock.current()
    for number in range(count):
        print(at_hand.item, end=" ")
        time.sleep(0.001)
        print(number)
        logging.getLogger("chatter").info("%s %s", at_hand.item, number)
        at_hand.log_metric("item", at_hand.item, step=number)
    at_hand.log_artifact("item", [at_hand.item] * 10)
    print("the end of", at_hand.item, end="")
    return [penstock.current().item, penstock.current().attempt]


@task
async def pass_the_word(word: str) -> list[str]:
    """What a context variable is in a task, in one that it starts, and in threads."""
    _word.set(word)
    await asyncio.sleep(0.01)

    async def inner() -> str:
        await asyncio.sleep(0.01)
        return _word.get()

    loop = asyncio.get_running_loop()
    said = [await asyncio.create_task(inner()), await asyncio.to_thread(_word.get)]
    said.append(await loop.run_in_executor(None, _word.get))
    await loop.run_in_executor(None, functools.partial(print, "in the pool:", word))
    return [_word.get(), *said]


@task
async def fail_in_time(message: str) -> None:
    await asyncio.sleep(0.01)
    raise ValueError(message)


@task
async def sleep_long(folder: str) -> None:
    """Tell that it has begun, and what ends it."""
    item = penstock.current().item
    (Path(folder) / f"begun-{item}").touch()
    try:
        await asyncio.sleep(60)
    finally:
        (Path(folder) / f"ended-{item}").touch()


@task
def sleep_long_in_thread(folder: str) -> None:
    """Tell that it has begun, and what ends it. It sleeps in short steps."""
    item = penstock.current().item
    (Path(folder) / f"begun-{item}").touch()
    try:
        while True:
            time.sleep(0.01)
    finally:
        (Path(folder) / f"ended-{item}").touch()


@task
async def hold_on(folder: str) -> None:
    """Not let itself be cancelled."""
    (Path(folder) / f"begun-{penstock.current().item}").touch()
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            print("not me")


@task
def stand_still(folder: str) -> None:
    """Sleep where no exception can be raised."""
    (Path(folder) / f"begun-{penstock.current().item}").touch()
    time.sleep(60)


@task
async def block(folder: str) -> None:
    """Hold up the loop."""
    (Path(folder) / f"begun-{penstock.current().item}").touch()
    time.sleep(60)


@task
async def wait_for(path: str) -> int:
    """End when a file is there. Which process it was."""
    while not Path(path).exists():
        await asyncio.sleep(0.005)
    return os.getpid()


@task
def wait_for_in_thread(path: str) -> int:
    while not Path(path).exists():
        time.sleep(0.005)
    return os.getpid()


@task
async def kill_itself() -> None:
    await asyncio.sleep(0.01)
    os.kill(os.getpid(), signal.SIGKILL)


@task
async def crash() -> None:
    ctypes.string_at(0)


@task
async def count_up(folder: str, count: int) -> AsyncIterator[int]:
    """Yield numbers, then wait."""
    for number in range(count):
        yield number
        await asyncio.sleep(0)
    (Path(folder) / "yielded").touch()
    await asyncio.sleep(60)


@task
async def leave_a_task_behind(folder: str) -> str:
    """End while a task that it has started goes on."""

    async def linger() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            (Path(folder) / "cancelled").touch()

    lingering = asyncio.create_task(linger())
    await asyncio.sleep(0)
    return lingering.get_name()[:5]


@task
async def spin(seconds: float) -> None:
    """Use the processor for so long, in small steps."""
    spent = 0.0
    while spent < seconds:
        began = time.thread_time()
        while time.thread_time() - began < 0.001:
            pass
        spent += time.thread_time() - began
        await asyncio.sleep(0)


@task
def speak_from_a_thread(word: str) -> list[Any]:
    """What a thread that was started without a context says and finds."""
    found: list[Any] = []

    def speak() -> None:
        at_hand = penstock.current()
        print(word)
        logging.getLogger("thread").info(word)
        at_hand.log_metric("loudness", 1.0)
        found.append(at_hand.id)

    thread = threading.Thread(target=speak)
    thread.start()
    thread.join()
    return found


@task
async def is_there() -> bool:
    await asyncio.sleep(0.001)
    return False
