"""Scopes: what is set up before some tasks and taken down after them, and exit handlers."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, ParamSpec, TypeVar, cast

import msgspec

from penstock.authoring.blocks import Block
from penstock.authoring.building import Building, current_building, required_building
from penstock.authoring.dynamic import BodyEnded
from penstock.authoring.kinds.conversion import shortened
from penstock.authoring.source import caller, location_of
from penstock.authoring.task import Task, task
from penstock.errors import DefinitionError
from penstock.model.expression import Expression
from penstock.model.graph import Node

P = ParamSpec("P")
T = TypeVar("T")


def scope(function: Callable[P, Iterator[T]]) -> Callable[P, AbstractContextManager[T]]:
    """Make a generator function a scope: what it calls before its `yield` sets up, what it calls after it takes down.

    `with cluster(3) as handle:` gives what it yields. The tasks in the block run once everything is set up. Once all of
    them have ended, in whichever way, what was set up is taken down, even in a run that is being cancelled; whether that
    works decides nothing about the run. Where setting up fails, nothing is taken down. Scopes may be nested. Outside a
    pipeline, everything is called right here. Raises DefinitionError for what is no generator function, and for one that
    does not yield exactly once.
    """
    import inspect

    if not inspect.isgeneratorfunction(function):
        name = getattr(function, "__name__", None)
        told = f"{name}() is none: it does not yield" if name else f"got {shortened(repr(function))}"
        raise DefinitionError(
            f"@scope needs a generator function, and {told}",
            where=str(location_of(function) if inspect.isfunction(function) else caller()),
            remedy="Write a function that sets up, yields once, and takes down.",
        )

    @functools.wraps(function)
    def scoped(*args: P.args, **kwargs: P.kwargs) -> AbstractContextManager[T]:
        building = current_building()
        steps = cast(Generator[T], function(*args, **kwargs))
        return _here(steps) if building is None else _in_graph(building, steps, function)

    return cast(Callable[P, AbstractContextManager[T]], scoped)


@contextmanager
def _here(steps: Generator[T]) -> Generator[T]:
    handle = next(steps)
    try:
        yield handle
    finally:
        next(steps, None)


@contextmanager
def _in_graph(building: Building, steps: Generator[T], function: Callable[..., Any]) -> Generator[T]:
    with building.blocks.open() as setup:
        try:
            handle = next(steps)
        except StopIteration:
            raise _yields_once(function) from None
    body = Block()
    try:
        with building.blocks.open(after=setup.nodes) as body:
            yield handle
    except (Exception, BodyEnded):
        # the tasks of the block that were called may run, so what was set up is to be taken down
        _take_down(building, steps, setup, body, function)
        raise
    _take_down(building, steps, setup, body, function)


def _take_down(
    building: Building, steps: Generator[Any], setup: Block, body: Block, function: Callable[..., Any]
) -> None:
    from penstock.authoring.joins import all_done, all_succeeded, every

    ready = every([all_succeeded(tuple(setup.nodes)), all_done(tuple(body.nodes))])

    def adapt(node: Node, others: list[str]) -> Node:
        return msgspec.structs.replace(node, join=_joined(node, ready, others), final=True, decides=False)

    with building.blocks.open(adapt=adapt):
        if next(steps, steps) is not steps:
            raise _yields_once(function)


def _joined(node: Node, ready: Expression, teardown: list[str]) -> str | Expression:
    """The join of a node that takes down: once all is ready for it, and what it needs of others that do has succeeded."""
    from penstock.authoring.joins import all_succeeded, every

    own: list[Any] = [] if isinstance(node.join, str) else [node.join]
    needed = tuple(name for name in node.upstream() if name in teardown) if node.join == "all_success" else ()
    return every([ready, *own, *([all_succeeded(needed)] if needed else [])])


def _yields_once(function: Callable[..., Any]) -> DefinitionError:
    return DefinitionError(
        f"the scope {getattr(function, '__name__', '')}() has to yield exactly once",
        where=str(location_of(function)),
        remedy="Set up, yield the handle, and take down.",
    )


@contextmanager
def on_exit(*handlers: Callable[..., Any]) -> Generator[None]:
    """Run tasks once all in the block have ended, in whichever way, even in a run that is being cancelled.

    Each handler is a task or a plain function; it gets an `Outcome`, if it takes an argument. Whether it works decides
    nothing about the run. Raises DefinitionError outside a pipeline, and for what cannot be called so.
    """
    building = required_building("on_exit", "; in plain code, use try and finally")
    tasks = [_handler(handler) for handler in handlers]
    body = Block()
    try:
        with building.blocks.open() as body:
            yield
    except (Exception, BodyEnded):
        add_exits(building, tasks, body)
        raise
    add_exits(building, tasks, body)


def exit_tasks(handlers: Any) -> list[Task[..., Any]]:
    """Exit handlers (one, a list, or none) as tasks. Raises DefinitionError for what cannot be one."""
    if handlers is None:
        return []
    return [_handler(each) for each in (cast("list[Any]", handlers) if isinstance(handlers, list) else [handlers])]


def add_exits(building: Building, handlers: list[Task[..., Any]], body: Block) -> None:
    """Add nodes that run exit handlers once all in a block have ended."""
    from penstock.authoring.joins import outcome_ref

    nodes = tuple(body.nodes)
    for handler in handlers:
        parameters = list(handler.shape.parameters)
        arguments = {parameters[0]: outcome_ref(building, nodes)} if parameters else {}
        placing = handler.placing if arguments else handler.placing.changed({"after": body})
        with building.blocks.open(adapt=_exiting):
            building.call(handler, placing, arguments)


def _exiting(node: Node, _: list[str]) -> Node:
    return msgspec.structs.replace(node, join="all_done", final=True, decides=False)


def _handler(handler: Any) -> Task[..., Any]:
    if isinstance(handler, Task):
        made = cast("Task[..., Any]", handler)
    elif callable(handler) and hasattr(handler, "__name__"):
        made = task(cache=False)(cast("Callable[..., Any]", handler))
    else:
        raise DefinitionError(
            f"an exit handler has to be a task or a function, not {shortened(repr(handler))}", where=str(caller())
        )
    needed = [each for each in made.shape.parameters.values() if each.default is each.empty]
    if len(needed) > 1 or any(each.kind is each.KEYWORD_ONLY for each in needed):
        raise DefinitionError(
            f"an exit handler takes an Outcome, or nothing, and {made.name}{made.shape} takes more", where=str(caller())
        )
    return made
