"""A debugger in the user's own frames, and what watches a function while it runs."""

from __future__ import annotations

import bdb
import inspect
import pdb
import signal
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import CodeType, FrameType, TracebackType
from typing import Any, Literal

#: at the first line of the function, or where it raises
Stop = Literal["start", "error"]

_PACKAGE = str(Path(__file__).parents[2])
#: modules in which stepping does not stop
_PASSED_OVER = ("penstock", "penstock.*", "asyncio", "asyncio.*", "contextlib", "selectors")


class Debugger(pdb.Pdb):
    """Stops at the first line of a function, whoever calls it, and shows the frames from there on."""

    def __init__(self, code: CodeType | None = None) -> None:
        super().__init__(skip=_PASSED_OVER)
        self.prompt = "(Pdb) "
        self._code = code
        self._reached = False

    @contextmanager
    def tracing(self) -> Generator[None]:
        """Stop once the function is reached within the block."""
        before = sys.gettrace()
        self.reset()
        sys.settrace(self.trace_dispatch)
        try:
            yield
        finally:
            sys.settrace(before)

    def dispatch_call(self, frame: FrameType, arg: Any) -> Any:
        if self._reached:
            return super().dispatch_call(frame, arg)
        if not self._is_first(frame):
            return None
        self._reached = True
        self.botframe = frame.f_back
        self.set_step()
        return self.trace_dispatch

    def _is_first(self, frame: FrameType) -> bool:
        if self._code is not None:
            return frame.f_code is self._code
        return not frame.f_code.co_filename.startswith(_PACKAGE)

    def get_stack(self, f: FrameType | None, t: TracebackType | None) -> tuple[list[tuple[FrameType, int]], int]:
        stack, at = super().get_stack(f, t)
        # those that lead to the function are of no interest
        first = next((number for number, (frame, _) in enumerate(stack) if not _is_ours(frame)), 0)
        return stack[first:], at - first

    def look_at(self, error: BaseException) -> None:
        """Stop where an exception was raised."""
        self.reset()
        self.message(f"{type(error).__name__}: {error}")
        self.interaction(None, _own_part(error.__traceback__))


class Watch:
    """Watches one call of a function: what it raises is kept, and debugged where that is asked for."""

    def __init__(self, function: Callable[..., Any], stop: Stop | None) -> None:
        self._function = function
        self._stop: Stop | None = stop
        #: whether the function was called
        self.entered = False
        #: what it raised
        self.error: BaseException | None = None

    @property
    def left(self) -> bool:
        """Whether the user has left the debugger with `q`."""
        return isinstance(self.error, bdb.BdbQuit)

    @contextmanager
    def watching(self) -> Generator[None]:
        """Around everything that the function does."""
        self.entered = True
        debugger = None if self._stop is None else Debugger(_code_of(self._function))
        try:
            if debugger is not None and self._stop == "start":
                with debugger.tracing():
                    yield
            else:
                yield
        except GeneratorExit:
            raise
        except BaseException as error:
            self.error = error
            if debugger is not None and isinstance(error, Exception) and not self.left:
                debugger.look_at(error)
            raise

    def watched(self) -> Callable[..., Any]:
        """The function, watched; of the same kind: a coroutine, a generator, or neither."""
        watched: Any = partial(self._way())
        # by which it is known where the function is defined
        watched.__wrapped__ = self._function
        return watched

    def _way(self) -> Callable[..., Any]:
        function = self._function
        if inspect.iscoroutinefunction(function):
            return self._awaited
        if inspect.isasyncgenfunction(function):
            return self._streamed
        return self._yielded if inspect.isgeneratorfunction(function) else self._returned

    async def _awaited(self, *args: Any, **kwargs: Any) -> Any:
        with self.watching():
            return await self._function(*args, **kwargs)

    async def _streamed(self, *args: Any, **kwargs: Any) -> AsyncGenerator[Any]:
        with self.watching():
            async for each in self._function(*args, **kwargs):
                yield each

    def _yielded(self, *args: Any, **kwargs: Any) -> Generator[Any]:
        with self.watching():
            yield from self._function(*args, **kwargs)

    def _returned(self, *args: Any, **kwargs: Any) -> Any:
        with self.watching():
            return self._function(*args, **kwargs)


def _code_of(function: Any) -> CodeType | None:
    """The code of the function inside decorators and partials; None where it has none."""
    with suppress(ValueError):
        function = inspect.unwrap(function)
    function = getattr(function, "func", function)
    # an object that can be called has its code in its class
    method = inspect.getattr_static(function, "__call__", None)
    found = getattr(function, "__code__", None) or getattr(method, "__code__", None)
    return found if isinstance(found, CodeType) else None


def _is_ours(frame: FrameType) -> bool:
    name = str(frame.f_globals.get("__name__", ""))
    return frame.f_code.co_filename.startswith(_PACKAGE) or name.partition(".")[0] in ("asyncio", "contextlib", "bdb")


def _own_part(trace: TracebackType | None) -> TracebackType | None:
    """The traceback from the first frame of the user's on; all of it where there is none."""
    part = trace
    while part is not None and _is_ours(part.tb_frame):
        part = part.tb_next
    return part or trace


@contextmanager
def interrupts_restored() -> Generator[None]:
    """After the block, Ctrl-C does what it did before, though a debugger has taken it for itself."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


__all__ = ["Debugger", "Stop", "Watch", "interrupts_restored"]
