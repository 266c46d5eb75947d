"""A flow while its function runs: the order of what it calls, and what its calls give."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

import msgspec

from penstock.authoring.building import Building
from penstock.authoring.dynamic import Question
from penstock.authoring.ref import Ref, building_of, expression_of, value_of
from penstock.authoring.source import caller
from penstock.dialects.prefect.sites import Sites, site_of_call
from penstock.errors import DefinitionError, TaskTimeoutError
from penstock.model.expression import Output, references
from penstock.model.graph import Node

if TYPE_CHECKING:
    from penstock.dialects.prefect.flows import Flow
    from penstock.dialects.prefect.tasks import Task
    from penstock.dialects.prefect.transactions import Transaction


class TaskRunTimeoutError(TimeoutError):
    """A task took longer than its timeout."""


class Session:
    """One call of a flow's function. That of a flow which another one calls goes on in the order of the other's calls."""

    def __init__(self, flow: Flow, building: Building, parameters: Mapping[str, Any], outer: Session | None) -> None:
        self.flow = flow
        self.building = building
        self.parameters = parameters
        self.outer = outer
        self.sites: Sites = flow.sites
        #: whether calls need not have ended before the function goes on
        self.lazy = (
            self.sites.composing and not self.sites.one_by_one and not flow.retries and (outer is None or outer.lazy)
        )
        #: what the next call waits for: the calls before it that may not have ended yet
        self.latest: tuple[Ref, ...] = () if outer is None else outer.latest
        #: refs of what was submitted
        self.submitted: list[Ref] = []
        self.tags: tuple[str, ...] = () if outer is None else outer.tags
        self.pools: Mapping[str, int] = {} if outer is None else outer.pools
        self.transaction: Transaction | None = None if outer is None else outer.transaction
        #: the tasks that were called and have succeeded or may do so, with their refs
        self.called: list[tuple[Task, Ref]] = []
        #: runs of deployments, by their ids
        self.runs: dict[Any, Any] = {} if outer is None else outer.runs

    def opens(self) -> bool:
        """Whether a ref will do for what the user's call at hand gives."""
        file, site = site_of_call()
        return site in self.sites.open and file == self.sites.file

    def is_awaited(self) -> bool:
        """Whether what the user's call at hand gives is awaited."""
        file, site = site_of_call()
        return site in self.sites.awaited and file == self.sites.file

    def taken(self, ref: Ref, *, open: bool) -> Any:
        """What was submitted, once it has ended."""
        try:
            if not open:
                return value_of(ref)
            end_of(ref)
        except TaskTimeoutError as error:
            raise TaskRunTimeoutError(str(error)) from error
        return ref

    def arrived(self, ref: Ref, waited_for: tuple[Ref, ...], *, open: bool) -> Any:
        """What a call gives whose end the function is to see before it goes on, or may as well."""
        if open and self.lazy:
            earlier = (each for each in self.latest if not _among(each, waited_for) and node_of(each) != node_of(ref))
            self.latest = (*earlier, ref)
            return ref
        try:
            return self.taken(ref, open=open)
        finally:
            self.latest = ()

    def add(self, task: Task, ref: Ref) -> None:
        """Take note of a call; it waits for nothing that it needs anyway for what it is given."""
        self.called.append((task, ref))
        node = self.building.nodes[node_of(ref)]
        if node.after:
            needed = self._needed(msgspec.structs.replace(node, after=()))
            after = tuple(name for name in node.after if name not in needed)
            if after != node.after:
                self.building.change(node.id, after=after)

    def _needed(self, node: Node) -> set[str]:
        """The nodes that must have succeeded before it can start."""
        found: set[str] = set()
        left = [node]
        while left:
            each = left.pop()
            if each.join != "all_success":
                continue
            names = {need[0] for need in each.requirements() if len(need) == 1} - found
            found |= names
            left += [self.building.nodes[name] for name in names if name in self.building.nodes]
        return found

    def decide(self, ref: Ref) -> bool:
        """Let a failure of what was submitted be one of the flow. False where it is too late to say so."""
        for name in references(expression_of(ref)):
            node = self.building.nodes[name]
            if node.decides:
                continue
            try:
                self.building.change(name, decides=True)
            except DefinitionError:
                return False
        return True

    def __enter__(self) -> Session:
        self._token = _session.set(self)
        # a flow itself knows when its calls have to have ended
        self._catching, self.building.catching = self.building.catching, False
        return self

    def __exit__(self, *_: object) -> None:
        self.building.catching = self._catching
        _session.reset(self._token)
        if self.outer is not None:
            self.outer.latest = self.latest


_session: ContextVar[Session | None] = ContextVar("penstock_prefect_session", default=None)


def current_session() -> Session | None:
    """The flow whose function runs right now, if any."""
    return _session.get()


def is_awaited() -> bool:
    """Whether what the user's call at hand gives is awaited."""
    session = current_session()
    return session is not None and session.is_awaited()


def opens() -> bool:
    """Whether a ref will do for what the user's call at hand gives."""
    session = current_session()
    return session is not None and session.opens()


def _among(ref: Ref, refs: tuple[Ref, ...]) -> bool:
    return any(each is ref for each in refs)


def end_of(ref: Ref) -> None:
    """Wait until the tasks of a ref have ended. Raises what they raised."""
    building_of(ref).listener.ask(Question(expression_of(ref), "end", caller()))


def failure_of(ref: Ref) -> Exception | None:
    """What a task raised; None where it succeeded. Waits for its end."""
    try:
        end_of(ref)
    except Exception as error:
        return error
    return None


def node_of(ref: Ref) -> str:
    """The node that a ref is to the result of, or to a part of it."""
    expression = expression_of(ref)
    return expression.node if isinstance(expression, Output) else next(references(expression), "")


class Arrival(Coroutine[Any, Any, Any]):
    """What is awaited for a value that `take` gives; also a coroutine, for those who ask for one."""

    def __init__(self, take: Callable[[], Any]) -> None:
        self._take = take

    def send(self, value: Any, /) -> Any:
        raise StopIteration(self._take())

    def throw(self, *error: Any) -> Any:
        raise error[0] if isinstance(error[0], BaseException) else error[0](*error[1:2])

    def close(self) -> None:
        """Nothing is under way."""

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._taken()

    def _taken(self) -> Generator[Any, Any, Any]:
        yield from ()
        return self._take()


def in_loop() -> bool:
    """Whether asynchronous code runs here and now."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def either_way(take: Callable[[], Any], options: Mapping[str, Any] = MappingProxyType({})) -> Any:
    """What Prefect's functions give that are awaited in asynchronous code, and called in any other; `_sync=True` among their
    options says that one is called in either."""
    return Arrival(take) if in_loop() and not options.get("_sync") else take()


def driven(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run asynchronous code to its end in this thread, also where other such code waits for it."""
    with _no_loop():
        return asyncio.run(_as_coroutine(coroutine))


async def _as_coroutine(awaitable: Any) -> Any:
    return await awaitable


@contextmanager
def _no_loop() -> Generator[None]:
    loop = asyncio._get_running_loop()  # pyright: ignore[reportPrivateUsage]
    swap = cast(Any, getattr(asyncio.tasks, "_swap_current_task", None))
    task = swap(loop, None) if swap is not None and loop is not None else None
    asyncio._set_running_loop(None)  # pyright: ignore[reportPrivateUsage]
    try:
        yield
    finally:
        asyncio._set_running_loop(loop)  # pyright: ignore[reportPrivateUsage]
        if swap is not None and task is not None:
            swap(loop, task)


__all__ = [
    "Arrival",
    "Session",
    "TaskRunTimeoutError",
    "current_session",
    "driven",
    "either_way",
    "end_of",
    "failure_of",
    "in_loop",
    "is_awaited",
    "node_of",
    "opens",
]
