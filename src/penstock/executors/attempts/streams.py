"""Functions that do not return at once: generators and coroutines, each run to its end in a loop of its own."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from typing import Any

_END = object()


def values_of(stream: Iterable[Any] | AsyncIterable[Any]) -> Iterator[Any]:
    """What a generator yields, be it asynchronous or not."""
    if not isinstance(stream, AsyncIterable):
        yield from stream
        return
    import asyncio

    source = aiter(stream)
    with asyncio.Runner() as runner:
        while (value := runner.run(_next(source))) is not _END:
            yield value


async def _next(source: AsyncIterator[Any]) -> Any:
    return await anext(source, _END)


def run_to_end(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function that waits for what another one, which returns a coroutine, makes."""

    def call(*args: Any, **kwargs: Any) -> Any:
        import asyncio

        return asyncio.run(function(*args, **kwargs))

    return call
