"""Calling the function of a pipeline, and what it does while it is called: tasks, conditions, loops, exit handlers."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Self, cast

from penstock.authoring.source import caller
from penstock.dialects.kfp.channels import (
    Channel,
    ConditionOperation,
    ItemChannel,
    constant_type,
    one_of,
    source_of,
    type_text,
)
from penstock.dialects.kfp.interfaces import parameter_type
from penstock.dialects.kfp.refusing import uncovered
from penstock.dialects.kfp.structures import (
    ArtifactType,
    Branch,
    Branches,
    Component,
    Exit,
    Given,
    Graph,
    Input,
    Item,
    Loop,
    Output,
    Produced,
    Source,
    Step,
)
from penstock.dialects.kfp.structures import Collected as CollectedNoun
from penstock.dialects.kfp.structures import (
    Condition as ConditionNoun,
)
from penstock.dialects.kfp.tasks import PipelineTask, fits
from penstock.errors import DefinitionError
from penstock.model.graph import Ignored
from penstock.model.place import Location


class Trace:
    """A pipeline whose function is being called."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.tasks: dict[str, PipelineTask] = {}
        #: the channels that were written into text, by the number that stands for them
        self.channels: list[Channel] = []
        self.root = TasksGroup("pipeline")
        self.open: list[TasksGroup] = [self.root]
        self.ignored: list[Ignored] = []
        self._groups = 0

    def pattern(self, channel: Channel) -> str:
        """Text that stands for a value."""
        self.channels.append(channel)
        return f"{{{{channel:{len(self.channels) - 1};}}}}"

    def add(self, task: PipelineTask) -> str:
        """Take a task in. Returns its name."""
        wanted = kubernetes_name(task.component.name) or "task"
        name, number = wanted, 1
        while name in self.tasks:
            number += 1
            name = f"{wanted}-{number}"
        self.tasks[name] = task
        self.open[-1].steps.append(task)
        return name

    def group_name(self, kind: str) -> str:
        self._groups += 1
        return f"{kind}-{self._groups}"

    def graph(self, returned: Any, component: Component) -> Graph:
        """What was recorded."""
        return Graph(self.root.nouns(), _outputs(returned, component))


_current: ContextVar[Trace | None] = ContextVar("penstock_kfp_trace", default=None)


def tracing() -> Trace | None:
    """The pipeline whose function is being called, if any."""
    return _current.get()


def current_trace() -> Trace:
    """The same. Raises DefinitionError where there is none."""
    trace = _current.get()
    if trace is None:
        raise DefinitionError(
            "this belongs into the function of a pipeline",
            where=str(caller()),
            remedy="Put it into a function decorated with @dsl.pipeline.",
        )
    return trace


@contextmanager
def traced(name: str) -> Generator[Trace]:
    """Record what is called in the block."""
    trace = Trace(name)
    token = _current.set(trace)
    try:
        yield trace
    finally:
        _current.reset(token)


def kubernetes_name(name: str) -> str:
    """A name as Kubernetes takes it: `Train model` is `train-model`."""
    return re.sub("-+", "-", re.sub("[^-0-9a-z]+", "-", name.lower())).strip("-")


def _outputs(returned: Any, component: Component) -> Mapping[str, Any]:
    outputs = component.outputs
    if returned is None or not outputs:
        return {}
    if isinstance(returned, PipelineTask):
        returned = returned.output if len(outputs) == 1 else returned.outputs
    if isinstance(returned, dict):
        values = [cast("dict[str, Any]", returned)[each.name] for each in outputs]
    else:
        values = list(cast("tuple[Any, ...]", returned)) if isinstance(returned, tuple) else [returned]
    if len(values) != len(outputs):
        told = f"the pipeline returns {len(values)} values, and declares {len(outputs)}"
        raise DefinitionError(told, where=str(component.location))
    return {each.name: _returned(each, value, component) for each, value in zip(outputs, values, strict=True)}


def _returned(output: Output, value: Any, component: Component) -> Source:
    wanted = Input(output.name, output.type, listed=output.listed)
    if isinstance(value, Channel) and value.type is not None and not fits(value.type, value.listed, wanted):
        raise DefinitionError(
            f"the pipeline {component.name} returns {value.channel_type}, and declares "
            f"{type_text(output.type, listed=output.listed)}",
            where=str(component.location),
            remedy="Change its annotation, or what it returns.",
        )
    return source_of(value)


class TasksGroup:
    """Steps of a pipeline under a `with`."""

    kind = "group"

    def __init__(self, name: str | None = None) -> None:
        self.display_name = name
        self.name = ""
        self.location: Location = caller()
        self.steps: list[PipelineTask | TasksGroup] = []

    def __enter__(self) -> Any:
        trace = current_trace()
        self.name = trace.group_name(self.kind)
        trace.open[-1].steps.append(self)
        trace.open.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        current_trace().open.pop()

    def after(self, *tasks: PipelineTask | TasksGroup) -> Self:
        """Let all in the group wait for others."""
        for step in self.steps:
            step.after(*tasks)
        return self

    def nouns(self) -> tuple[Step, ...]:
        """What is in it, as data."""
        found: list[Step] = []
        for step in self.steps:
            if isinstance(step, PipelineTask):
                found.append(step.noun())
            elif isinstance(step, (Elif, Else)):
                before = cast(Branches, found.pop())
                name = before.name or step.chain
                found.append(Branches(name, (*before.branches, step.branch()), before.location))
            else:
                found.append(cast(Any, step).noun())
        return tuple(found)


class If(TasksGroup):
    """Steps that run where a condition holds."""

    kind = "condition"

    def __init__(self, condition: Any, name: str | None = None) -> None:
        super().__init__(name)
        self.condition: ConditionNoun | None = _condition(condition)
        self.chain = ""

    def branch(self) -> Branch:
        return Branch(self.name, self.condition, self.nouns())

    def noun(self) -> Step:
        return Branches("", (self.branch(),), self.location)


class Condition(If):
    """The same, by its older name."""


class Elif(If):
    """Steps that run where a condition holds, and none of the branches right before."""

    def __init__(self, condition: Any, name: str | None = None) -> None:
        super().__init__(condition, name)
        self.chain = _chain("dsl.Elif")


class Else(If):
    """Steps that run where none of the branches right before does."""

    def __init__(self, name: str | None = None) -> None:
        TasksGroup.__init__(self, name)
        self.condition = None
        self.chain = _chain("dsl.Else")


def _chain(name: str) -> str:
    """What the branches are called, of which another one begins."""
    trace = current_trace()
    before = trace.open[-1].steps[-1] if trace.open[-1].steps else None
    if not isinstance(before, If) or isinstance(before, Else):
        raise DefinitionError(
            f"{name} does not follow a dsl.If or a dsl.Elif",
            where=str(caller()),
            remedy="Put it right after the block of dsl.If, at the same depth.",
        )
    if before.chain:
        return before.chain
    # the branches as a whole take the number of the first, which gets the next one
    chain = f"condition-branches-{before.name.rpartition('-')[2]}"
    before.name = trace.group_name(before.kind)
    return chain


def _condition(condition: Any) -> ConditionNoun:
    if isinstance(condition, ConditionOperation):
        return condition.comparison
    raise DefinitionError(
        f"a condition compares an output of a task or a parameter of the pipeline with something, and this is {condition!r}",
        where=str(caller()),
        remedy='Write dsl.If(task.output == "yes").',
    )


class ParallelFor(TasksGroup):
    """Steps for every item of a list."""

    kind = "for-loop"

    def __init__(self, items: Any, name: str | None = None, parallelism: int | None = None) -> None:
        super().__init__(name)
        self.parallelism = parallelism or 0
        self._listed = isinstance(items, Channel) and items.is_artifact
        if self.parallelism < 0:
            raise DefinitionError(f"parallelism cannot be {parallelism}", where=str(caller()))
        if isinstance(items, Channel):
            fits = items.listed if items.is_artifact else items.type in ("LIST", None)
            if not fits:
                told = f"{items.name} is of the type {items.channel_type}"
                raise DefinitionError(f"dsl.ParallelFor takes a list, and {told}", where=str(caller()))
        elif not isinstance(items, (list, tuple)) or not items:
            raise DefinitionError(
                f"dsl.ParallelFor takes a list that is not empty, and is given {items!r}", where=str(caller())
            )
        self.items: Any = items

    def __enter__(self) -> Channel:
        super().__enter__()
        item = Item(self.name)
        if isinstance(self.items, Channel) and self.items.is_artifact:
            return Channel(item, self.items.type, f"{self.name}-item")
        detail = self._detail()
        return ItemChannel(item, None if detail is None else parameter_type(detail), f"{self.name}-item", detail=detail)

    def _detail(self) -> Any:
        """The annotation of an item, as far as it is known."""
        import typing

        if isinstance(self.items, Channel):
            return next(iter(typing.get_args(self.items.detail)), None)
        kinds: set[Any] = {type(each) for each in self.items}
        if kinds == {dict}:
            values: set[Any] = {type(value) for each in self.items for value in each.values()}
            return dict[str, values.pop()] if len(values) == 1 else dict
        return kinds.pop() if len(kinds) == 1 and Channel not in kinds else None

    def noun(self) -> Step:
        artifacts = self.items.type if self._listed else None
        return Loop(
            self.name,
            self._source,
            self.nouns(),
            self.parallelism,
            cast("ArtifactType | None", artifacts),
            self.location,
        )

    def __exit__(self, *_: object) -> None:
        # texts with values in them can only be taken apart while the function is called
        self._source = source_of(self.items)
        super().__exit__(*_)


class ExitHandler(TasksGroup):
    """Steps after which a task runs, however they ended."""

    kind = "exit-handler"

    def __init__(self, exit_task: PipelineTask, name: str | None = None) -> None:
        super().__init__(name)
        trace = current_trace()
        if isinstance(exit_task.component.implementation, Graph):
            raise uncovered("a pipeline as the task of dsl.ExitHandler", "Give it a component.")
        for group in trace.open:
            group.steps = [step for step in group.steps if step is not exit_task]
        if exit_task.waits_for_others():
            raise DefinitionError(
                "the task of an exit handler cannot take outputs of tasks, nor wait for them", where=str(caller())
            )
        self.exit_task = exit_task

    def __enter__(self) -> Any:
        super().__enter__()
        self.exit_task.exit = self.name
        return self

    def noun(self) -> Step:
        return Exit(self.name, self.exit_task.noun(), self.nouns(), self.location)


class Collected(Channel):
    """What a task in a loop produced for every item, as a list."""

    def __init__(self, output: Channel) -> None:
        if not isinstance(output.source, Produced):
            raise DefinitionError("dsl.Collected takes the output of a task in a loop", where=str(caller()))
        artifact = isinstance(output.type, ArtifactType)
        super().__init__(
            CollectedNoun(output.source),
            output.type if artifact else "LIST",
            output.name,
            task_name=output.task_name,
            listed=artifact,
        )


def OneOf(*channels: Channel) -> Channel:
    """What the branch that was taken produced."""
    if not channels:
        raise DefinitionError("dsl.OneOf was given nothing", where=str(caller()))
    return one_of(list(channels))


def call(
    component: Component, function: Callable[..., Any], details: Mapping[str, Any], untyped: Collection[str] = ()
) -> tuple[Graph, list[Ignored]]:
    """Call the function of a pipeline with channels. Returns what it consists of, and what in it has no effect.

    `untyped` are inputs that have no annotation, and may be given to anything.
    """
    arguments = {
        each.name: Channel(
            Given(each.name),
            None if each.name in untyped else each.type,
            each.name,
            listed=each.listed,
            detail=details.get(each.name),
        )
        for each in component.inputs
    }
    with traced(component.name) as trace:
        returned = function(**arguments)
        graph = trace.graph(returned, component)
    if not trace.tasks:
        raise DefinitionError(
            f"the pipeline {component.name} has no tasks",
            where=str(component.location),
            remedy="Call components in its function.",
        )
    return graph, trace.ignored


__all__ = [
    "Collected",
    "Condition",
    "Elif",
    "Else",
    "ExitHandler",
    "If",
    "OneOf",
    "ParallelFor",
    "TasksGroup",
    "Trace",
    "call",
    "constant_type",
    "current_trace",
    "kubernetes_name",
    "traced",
    "tracing",
]
