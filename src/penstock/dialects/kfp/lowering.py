"""From what a pipeline of Kubeflow's says to penstock's own nodes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import msgspec

from penstock.authoring.blocks import Block
from penstock.authoring.building import Building, check_depth, required_building
from penstock.authoring.control import elif_, otherwise, when
from penstock.authoring.joins import outcome_ref
from penstock.authoring.pipeline import Composition
from penstock.authoring.placing import Placing
from penstock.authoring.ref import Ref, expression_of, is_open
from penstock.authoring.task import Task as PenstockTask
from penstock.dialects.kfp.actions import Action, action_of
from penstock.dialects.kfp.calls import About, typed
from penstock.dialects.kfp.programs import variable
from penstock.dialects.kfp.sources import parts_of, sources_in, takes_item
from penstock.dialects.kfp.structures import (
    Branches,
    Collected,
    Comparison,
    Component,
    Condition,
    Constant,
    Exit,
    FinalStatus,
    Graph,
    Input,
    Item,
    Logic,
    Loop,
    Produced,
    Source,
    Step,
    Task,
)
from penstock.dialects.kfp.values import Values, plucked, taken
from penstock.errors import DefinitionError
from penstock.model.expression import Apply, Output
from penstock.model.graph import Node
from penstock.model.place import Location

_TYPES: Mapping[str, Any] = {
    "STRING": str,
    "NUMBER_INTEGER": int,
    "NUMBER_DOUBLE": float,
    "BOOLEAN": bool,
    "LIST": list,
    "STRUCT": dict,
}
_OPERATORS = {"==": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}


def body_of(component: Component, name: str, module: str, address: Callable[[tuple[str, ...]], Any]) -> Any:
    """The function whose call adds the nodes of a pipeline, or of a component alone.

    `address` says how a worker finds the function of a task, by the names of the tasks that lead to it.
    """

    def body(**given: Any) -> Any:
        lowering = Lowering(component, address, ())
        return lowering.pipeline(given)

    function = cast(Any, body)
    kind = inspect.Parameter.KEYWORD_ONLY
    parameters = [
        inspect.Parameter(
            each.name,
            kind,
            default=each.default if each.optional else inspect.Parameter.empty,
            annotation=_annotation(each),
        )
        for each in component.inputs
    ]
    function.__signature__ = inspect.Signature(parameters)
    function.__annotations__ = {each.name: each.annotation for each in parameters}
    function.__name__ = function.__qualname__ = name
    function.__module__ = module
    function.__doc__ = component.description or None
    function.location = component.location
    return function


def _annotation(given: Input) -> Any:
    found = _TYPES.get(given.type, str) if isinstance(given.type, str) else str
    if given.optional and given.default is None:
        return found | None
    # the first version gives numbers to inputs of text
    return Any if found is str and given.optional and not isinstance(given.default, str) else found


class Lowering:
    """One pipeline, or the body of a loop in one, becoming nodes."""

    def __init__(self, component: Component, address: Callable[[tuple[str, ...]], Any], path: tuple[str, ...]) -> None:
        self.component = component
        self.address = address
        #: the tasks that lead to it
        self.path = path
        self.values = Values()
        #: the outputs of tasks in loops that are collected
        self.collected: set[tuple[str, str]] = set()
        #: task or group -> the nodes that it became
        self.blocks: dict[str, Block] = {}

    # Pipelines.

    def pipeline(self, given: Mapping[str, Any]) -> Any:
        """Add the nodes of all steps. Returns the outputs: one value, or a dict of several."""
        graph = self.component.implementation
        if not isinstance(graph, Graph):
            graph = alone(self.component)
        self.values.given = dict(given)
        self.values.inputs = {each.name: each.type for each in self.component.inputs}
        wanted = [*sources_in(graph.steps), *(part for each in graph.outputs.values() for part in parts_of(each))]
        self.collected = {(each.source.task, each.source.output) for each in wanted if isinstance(each, Collected)}
        self.steps(graph.steps)
        outputs = {name: self._value(source, self.component.location) for name, source in graph.outputs.items()}
        return next(iter(outputs.values())) if len(outputs) == 1 else outputs or None

    def steps(self, steps: Iterable[Step]) -> None:
        for step in steps:
            match step:
                case Task():
                    self.task(step)
                case Branches():
                    self.branches(step)
                case Loop():
                    self.loop(step)
                case Exit():
                    self.exit(step)

    # Tasks.

    def task(self, task: Task) -> None:
        building = required_building("a task")
        with building.blocks.open() as block:
            if isinstance(task.component.implementation, Graph):
                self._nested(building, task)
            else:
                action = self._action(task)
                arguments = self._arguments(task, action)
                self._note(task, action, action.task(**arguments), building)
        self.blocks[task.name] = block

    def _action(self, task: Task, **node: Any) -> Action:
        about = About(self.component.name, task.name, task.settings.environment, exit_of(task))
        action = action_of(task, about)
        options: dict[str, Any] = {"name": task.name, "after": self._after(task), **node}
        if task.settings.ignore_upstream_failure:
            options["join"] = "all_done"
        made = action.task.options(**options)
        made.reference = self.address((*self.path, task.name))
        return action._replace(task=made)

    def _after(self, task: Task) -> list[Any]:
        return [self.blocks[name] for name in task.after if name in self.blocks]

    def _arguments(self, task: Task, action: Action) -> dict[str, Any]:
        """The arguments of a task, as penstock's own takes them."""
        found: dict[str, Any] = {}
        for name, source in task.arguments.items():
            wanted = task.component.input(name)
            value = self._value(source, task.location)
            if wanted is not None and not is_open(value):
                value = typed(value, wanted.type)
            optional = wanted is not None and wanted.optional and _produced(source)
            if task.settings.ignore_upstream_failure and optional:
                value = self.values.else_(value, None if wanted is None else wanted.default)
            found[name] = value
        return action.arranged(found)

    def _value(self, source: Source | tuple[Source, ...], where: Location) -> Any:
        """A value, or a ref to it. Raises DefinitionError for one that there is not where it is wanted."""
        parts = list(parts_of(source))
        collected = [part.source for part in parts if isinstance(part, Collected)]
        for part in parts:
            match part:
                case Produced(name, output) if part not in collected and (name, output) not in self.values.produced:
                    what = f"{name} is in a loop, and {output!r} of it is taken outside"
                    remedy = "Take what it gives for all items as a list: dsl.Collected(task.output)."
                case Collected(Produced(name, output)) if (name, output) not in self.values.collected:
                    what = f"dsl.Collected takes {output!r} of {name}, which is in no loop that has ended before"
                    remedy = "Use it after the block of dsl.ParallelFor that the task is in."
                case _:
                    continue
            raise DefinitionError(what, where=str(where), remedy=remedy)
        return self.values.of(source)

    def _note(self, task: Task, action: Action, ref: Any, building: Building, *, listed: bool = False) -> None:
        """Remember where the outputs of a task are, and where it stands in the file."""
        node = cast(Output, expression_of(ref)).node
        building.change(node, location=task.location)
        target = self.values.collected if listed else self.values.produced
        names = [each.name for each in task.component.outputs]
        for name in names:
            target[task.name, name] = ref if len(names) == 1 else Ref(Output(node, action.ports[name]), building)
            self.values.types[task.name, name] = cast(Any, task.component.output(name)).type

    def _nested(self, building: Building, task: Task) -> None:
        inner = Lowering(task.component, self.address, (*self.path, task.name))
        check_depth(building, task.name)
        arguments = {name: self._value(source, task.location) for name, source in task.arguments.items()}
        for each in task.component.inputs:
            if each.name not in arguments:
                arguments[each.name] = each.default
        after = [name for block in self._after(task) for name in block.nodes]
        with building.grouped(task.name), building.blocks.open(after=after):
            returned = inner.pipeline(arguments)
        names = [each.name for each in task.component.outputs]
        for name in names:
            self.values.produced[task.name, name] = returned if len(names) == 1 else returned[name]
            self.values.types[task.name, name] = cast(Any, task.component.output(name)).type

    # Groups.

    def branches(self, branches: Branches) -> None:
        building = required_building("dsl.If")
        for number, branch in enumerate(branches.branches):
            if branch.condition is None:
                block = otherwise()
            else:
                condition = self._condition(branch.condition)
                block = when(condition) if number == 0 else elif_(condition)
            with block, building.blocks.open() as handle:
                self.steps(branch.steps)
            self.blocks[branch.name] = handle
        building.blocks.take_ended()

    def _condition(self, condition: Condition) -> Any:
        building = required_building("dsl.If")
        match condition:
            case Comparison(operator, left, right):
                sides = (self.values.of(left), self.values.of(right))
                return Ref(Apply(_OPERATORS[operator], tuple(building.expression(each) for each in sides)), building)
            case Logic(operator, operands):
                inner = [building.expression(self._condition(each)) for each in operands]
                if operator == "not":
                    return Ref(Apply("not", (inner[0],)), building)
                whole = inner[0]
                for each in inner[1:]:
                    whole = Apply(operator, (whole, each))
                return Ref(whole, building)

    def loop(self, loop: Loop) -> None:
        building = required_building("dsl.ParallelFor")
        with building.blocks.open() as block:
            if not self._mapped(building, loop):
                self._repeated(building, loop)
        self.blocks[loop.name] = block

    def _mapped(self, building: Building, loop: Loop) -> bool:
        """A loop around one task as a fan-out of that task. Returns whether it could be said so."""
        if len(loop.steps) != 1 or not isinstance(loop.steps[0], Task):
            return False
        task = loop.steps[0]
        if isinstance(task.component.implementation, Graph) or task.settings.ignore_upstream_failure:
            return False
        varying = {name: source for name, source in task.arguments.items() if takes_item(source, loop.name)}
        over = self._over(loop, varying)
        if over is None or not varying:
            return False
        action = self._action(task, max_parallel=loop.parallelism or None)
        if not action.plain:
            return False
        arguments = {name: self.values.of(source) for name, source in task.arguments.items() if name not in varying}
        # the command of a container has names of its own for inputs, and need not use all of them
        over = {variable(name): each for name, each in over.items()}
        if not over.keys() <= action.task.shape.parameters.keys():
            return False
        fixed = {name: each for name, each in action.arranged(arguments).items() if name not in over}
        ref: Any = action.task.partial(**fixed).map(**over)
        self._note(task, action, ref, building, listed=True)
        return True

    def _over(self, loop: Loop, varying: Mapping[str, Any]) -> dict[str, Any] | None:
        """What the inputs that vary run over; None where that is no list that can be had."""
        if not all(isinstance(source, Item) and source.loop == loop.name for source in varying.values()):
            return None
        items = loop.items.value if isinstance(loop.items, Constant) else None
        if items is None:
            if any(source.path for source in varying.values()):
                return None
            whole = self.values.of(loop.items)
            return dict.fromkeys(varying, whole)
        return {name: [_part(item, source.path) for item in items] for name, source in varying.items()}

    def _repeated(self, building: Building, loop: Loop) -> None:
        """A loop as a body that runs for every item."""
        inside = {task.name for task in Graph(loop.steps).tasks()}
        wanted = sorted(each for each in self.collected if each[0] in inside)

        def body(item: Any) -> Any:
            inner = Lowering(self.component, self.address, self.path)
            inner.collected = self.collected
            inner.values = self.values.inside(loop.name, item)
            inner.steps(loop.steps)
            results = {f"{task}.{name}": inner.values.result(task, name) for task, name in wanted}
            return next(iter(results.values())) if len(results) == 1 else results or None

        composition = Composition(body, loop.name)
        composition.placing = Placing(name=loop.name, max_parallel=loop.parallelism or None)
        ref = cast(Any, composition).map(self.values.of(loop.items))
        building.change(cast(Output, expression_of(ref)).node, location=loop.location)
        maybe = set(_in_branches(loop.steps))
        for task, name in wanted:
            key = f"{task}.{name}" if len(wanted) > 1 else None
            if key is None and task not in maybe:
                self.values.collected[task, name] = ref
                continue
            pluck = PenstockTask(taken, "taken") if task in maybe else PenstockTask(plucked, "collect")
            given = (ref,) if key is None else (ref, key)
            self.values.collected[task, name] = cast(Any, pluck.options(name=f"{loop.name}-{task}-{name}"))(*given)

    def exit(self, exit: Exit) -> None:
        building = required_building("dsl.ExitHandler")
        with building.blocks.open() as body:
            self.steps(exit.steps)
        self.blocks[exit.name] = body
        nodes = tuple(body.nodes)
        self.values.statuses[exit.name] = outcome_ref(building, nodes)
        takes_status = any(isinstance(source, FinalStatus) for source in exit.handler.arguments.values())
        after = () if takes_status else nodes
        with building.blocks.open(adapt=_exiting(after)):
            self.task(exit.handler)


def _exiting(after: tuple[str, ...]) -> Callable[[Node, list[str]], Node]:
    def adapt(node: Node, _: list[str]) -> Node:
        return msgspec.structs.replace(node, join="all_done", final=True, after=(*node.after, *after))

    return adapt


def _in_branches(steps: Iterable[Step]) -> Iterable[str]:
    """The tasks that do not run for every item."""
    for step in steps:
        if isinstance(step, Branches):
            yield from (task.name for task in Graph((step,)).tasks())
        elif isinstance(step, Exit):
            yield from _in_branches(step.steps)


def exit_of(task: Task) -> str:
    return next((source.exit for source in task.arguments.values() if isinstance(source, FinalStatus)), "")


def alone(component: Component) -> Graph:
    """A component as a pipeline of one task."""
    from penstock.dialects.kfp.structures import Given

    arguments: dict[str, Any] = {
        each.name: Given(each.name) for each in component.inputs if each.type != "TASK_FINAL_STATUS"
    }
    if len(arguments) != len(component.inputs):
        raise DefinitionError(
            f"{component.name} takes the final status of other tasks, and cannot run alone",
            where=str(component.location),
        )
    task = Task(component.name, component, arguments, location=component.location)
    return Graph((task,), {each.name: Produced(task.name, each.name) for each in component.outputs})


def _produced(source: Source | tuple[Source, ...]) -> bool:
    return any(isinstance(part, (Produced, Collected)) for part in parts_of(source))


def _part(item: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        item = item[key]
    return item


__all__ = ["Lowering", "alone", "body_of", "exit_of"]
