"""The graph of a DAG: its operators become nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import msgspec

from penstock.authoring.bodies import finish_body, make_body
from penstock.authoring.building import Building, Shape
from penstock.authoring.fanout import each_of
from penstock.authoring.placing import SPREAD, Fan, Placing
from penstock.authoring.ref import Ref
from penstock.authoring.source import found_by_name
from penstock.authoring.task import Task
from penstock.authoring.tasks.commands import CommandTask
from penstock.authoring.tasks.opaque import OpaqueTask
from penstock.dialects.airflow.alone import reference_of
from penstock.dialects.airflow.asking import ask, refuse_mapped
from penstock.dialects.airflow.computing import computation_of, part_of_each, told
from penstock.dialects.airflow.execution import attempt_of
from penstock.dialects.airflow.inputs import Inputs, facts, inputs_of
from penstock.dialects.airflow.joining import deciding, last_tasks
from penstock.dialects.airflow.mapping import (
    KWARGS,
    MappedArgument,
    MappedFunction,
    MappedOperator,
    leaves_of,
)
from penstock.dialects.airflow.nodes import Call, Program
from penstock.dialects.airflow.operators.hitl import HITLOperator
from penstock.dialects.airflow.operators.python import PythonOperator
from penstock.dialects.airflow.operators.unknown import UnknownOperator
from penstock.dialects.airflow.options import task_options, wait_of
from penstock.dialects.airflow.params import CONF, DagParam, identifier
from penstock.dialects.airflow.settling import Settling
from penstock.dialects.airflow.xcomarg import RETURN_VALUE, PlainXComArg, XComArg
from penstock.errors import DefinitionError
from penstock.model.action import ContainerAction, OpaqueAction
from penstock.model.expression import (
    Apply,
    Choose,
    Constant,
    Expression,
    Get,
    Input,
    Output,
    Parameter,
)
from penstock.model.work import Imported

if TYPE_CHECKING:
    from penstock.dialects.airflow.baseoperator import BaseOperator
    from penstock.dialects.airflow.dag import DAG
    from penstock.dialects.airflow.taskgroup import TaskGroup

_TIMES = ("logical_date", "data_interval_start", "data_interval_end")


class Drawn(NamedTuple):
    """A task that is in the graph."""

    node: str
    #: what its node results in: `value`, `lines` of text of which the last counts, a list of which the `first` does,
    #: `pushed`, or nothing
    gives: str
    mapped: bool = False


class Drawing:
    """The nodes of a DAG, or of a mapped group in one, in a building. `parameters` are those of the pipeline."""

    def __init__(
        self,
        build: Building,
        dag: DAG,
        parameters: Iterable[str],
        group: TaskGroup | None = None,
        outer: Drawing | None = None,
    ) -> None:
        self.build = build
        self.dag = dag
        self.parameters = tuple(parameters)
        self.group = group
        self.outer = outer
        self.drawn: dict[str, Drawn] = {}
        #: mapped group -> its node
        self.groups: dict[str, str] = {}
        #: node that takes one task's part of what a mapped group gave -> the node of the group
        self.parts: dict[str, str] = {}
        self._settling = Settling(self)
        self.decides, self.doubt = (set[str](), False) if outer is not None else deciding(dag)

    # The whole.

    def draw(self) -> Any:
        """Add all nodes. Returns what the pipeline returns: what its last tasks do."""
        for unit in self._units():
            if isinstance(unit, str):
                self._task(self.dag.task_dict[unit])
            else:
                self._mapped_group(unit)
        if self.doubt:
            self._settling.verdict()
        return {task.task_id: self.pushed(task) for task in last_tasks(self.dag) if self._tells(task)}

    def _tells(self, task: BaseOperator) -> bool:
        return not task.is_teardown and task.has_value and self.seen(task).gives != ""

    def _units(self) -> list[Any]:
        """The tasks and the mapped groups at this level, each after those that it waits for."""
        own = {task.task_id: task for task in self._own_tasks()}
        unit_of = {name: self.unit(task) for name, task in own.items()}
        keys = {self._key(unit): unit for unit in unit_of.values()}
        waits: dict[str, list[str]] = {key: [] for key in keys}
        for name, task in own.items():
            key = self._key(unit_of[name])
            for other in task.upstream_task_ids & set(own):
                before = self._key(unit_of[other])
                if before != key:
                    waits[key].append(before)
        places = {key: number for number, key in enumerate(keys)}
        waits = {key: sorted(set(others), key=places.__getitem__) for key, others in waits.items()}
        try:
            return [keys[key] for key in TopologicalSorter(waits).static_order()]
        except CycleError as error:
            raise DefinitionError(
                f"the tasks of the DAG {self.dag.dag_id!r} wait for each other in a circle: {' -> '.join(error.args[1])}",
                where=str(self.dag.location),
                remedy="Take one of these dependencies away.",
            ) from None

    def _own_tasks(self) -> Iterable[BaseOperator]:
        return self.dag.tasks if self.group is None else self.group.tasks()

    def unit(self, task: BaseOperator) -> Any:
        """The task, or the outermost mapped group at this level that it is in."""
        found: Any = task.task_id
        for group in task.task_group.around() if task.task_group is not None else ():
            if group is self.group:
                break
            found = group if group.expansion is not None else found
        return found

    def _key(self, unit: Any) -> str:
        return unit if isinstance(unit, str) else f"{unit.group_id}[]"

    # Nodes.

    def _task(self, task: BaseOperator) -> None:
        options = task_options(task)
        placing = Placing(name=self.label(task))
        first: str | None = None
        with self.in_groups(task.task_group):
            if isinstance(task, UnknownOperator):
                node, gives = self._opaque(task, placing), "value"
            elif isinstance(task, HITLOperator):
                asked = ask(self, task, options)
                first, node, gives = asked.request, asked.task, "value"
                self._settling.follow(task, asked.answer, asked.task)
            else:
                refuse_mapped(task)
                node, gives = self._known(task, options, placing)
        self.drawn[task.task_id] = Drawn(node, gives, task.is_mapped)
        self._settling.settle(task, first or node)

    def label(self, task: BaseOperator) -> str:
        prefix = "" if task.task_group is None else task.task_group.prefix
        return task.task_id.removeprefix(f"{prefix}.") if prefix else task.task_id

    def in_groups(self, group: TaskGroup | None) -> Any:
        """Inside the groups whose names go before a task's."""
        from contextlib import ExitStack

        names: list[str] = []
        for each in group.around() if group is not None else ():
            if each is self.group:
                break
            if each.group_id is not None and each.prefix_group_id:
                names.append(each.label)
        stack = ExitStack()
        for name in reversed(names):
            stack.enter_context(self.build.blocks.open(group=name))
        return stack

    def _known(self, task: BaseOperator, options: dict[str, Any], placing: Placing) -> tuple[str, str]:
        if isinstance(task, MappedFunction) and (called := self._mapped_call(task, options, placing)) is not None:
            return called, "value"
        native = task.native() if task.is_plain and not task.is_mapped else None
        match native:
            case Call(function, arguments, environment):
                extra = {} if environment is None else {"environment": environment}
                made = self._function_task(task, function, {**options, **extra})
                return self.added(self.build.call(made, placing, self.values(arguments))), "value"
            case Program(program, gives, arguments):
                ref = self.build.call(_placed(program, task, options), placing, self.values(arguments))
                return self.added(ref), gives and ("lines" if gives == "lines" else "value")
            case _:
                return self._operator(task, options, placing)

    def _function_task(self, task: BaseOperator, function: Any, options: Mapping[str, Any]) -> Task[..., Any]:
        name = task.label if function.__name__ == "<lambda>" else function.__name__
        made = Task(function, name, options)
        # into another environment goes the function alone, where that will do
        alone = reference_of(function) if options.get("environment") is not None else None
        made.reference = alone or self.reference(task, function)
        return made

    def reference(self, task: BaseOperator, function: Any = None, part: str = "") -> Imported | None:
        """How a worker gets at the function of a task."""
        import sys

        module = sys.modules.get(self.dag.module)
        if module is None or (function is not None and _is_elsewhere(function, self.dag.module)):
            return None
        qualname = f"{self.dag.dag_id}/{task.task_id}{part}"
        if function is not None and getattr(module, function.__qualname__, None) is not None:
            found = getattr(module, function.__qualname__)
            if getattr(found, "function", found) is function:
                qualname = function.__qualname__
        return Imported(self.dag.module, qualname, getattr(module, "__file__", None), "airflow")

    def _operator(self, task: BaseOperator, options: dict[str, Any], placing: Placing) -> tuple[str, str]:
        """A node that calls the operator."""
        inputs = inputs_of(task)
        environment = task.environment() if isinstance(task, (PythonOperator, MappedOperator)) else None
        settled = {"cache": False} if not (task.cached and inputs.settled) or task.is_sensor else {}
        extra = {} if environment is None else {"environment": environment}
        made = Task(
            attempt_of(task, inputs),
            task.label,
            {**options, **settled, **extra},
            wait=wait_of(task) if task.is_sensor else None,
        )
        made.reference = self.reference(task)
        arguments = self.arguments(task, inputs)
        gives = "first" if task.is_sensor else "pushed" if inputs.pushes else "value"
        if not isinstance(task, MappedOperator):
            return self.added(self.build.call(made, placing, arguments)), gives
        over = {port: self._elements(task, key) for port, key in inputs.expanded.items()}
        return self._fanned(task, made, placing, Fan(_mode(over), over, arguments)), gives

    def arguments(self, task: BaseOperator, inputs: Inputs) -> dict[str, Any]:
        """What the node that calls an operator is given, by port; without what it is expanded over."""
        arguments: dict[str, Any] = {"says": facts(_said(task))}
        for name in inputs.ports:
            match name:
                case "taken":
                    arguments[name] = [self.value(arg) for arg in task.taken()]
                case "params":
                    arguments[name] = {
                        each: self.ref(Parameter(each)) for each in self.parameters if each not in _TIMES
                    }
                case "xcoms":
                    arguments[name] = {each: self._pulled(self.dag.task_dict[each]) for each in inputs.pulled}
                case _ if name in _TIMES:
                    arguments[name] = self.ref(Parameter(name))
                case _:
                    pass
        return arguments

    def _opaque(self, task: UnknownOperator, placing: Placing) -> str:
        action = OpaqueAction("airflow", type(task).__name__, task.source, task.location)
        arguments = {f"input{number}": self.value(arg) for number, arg in enumerate(task.inputs())}
        return self.added(self.build.call(OpaqueTask(action, task.label, tuple(arguments)), placing, arguments))

    def added(self, ref: Any) -> str:
        expression = self.build.expression(ref)
        assert isinstance(expression, Output)
        return expression.node

    # Fan-outs.

    def _mapped_call(self, task: MappedFunction, options: dict[str, Any], placing: Placing) -> str | None:
        """A mapped function that takes nothing of its context, as a fan-out of penstock's own."""
        if not task.is_call():
            return None
        environment = task.environment()
        extra = {} if environment is None else {"environment": environment}
        made = self._function_task(task, task.python_callable, {**options, **extra})
        fixed = cast("dict[str, Any]", task.fixed["op_kwargs"])
        over = {
            SPREAD if key == KWARGS and task.expansion.by_dicts else key: self._elements(task, key)
            for key in task.expansion.over
        }
        mode = "kwargs" if task.expansion.by_dicts else _mode(over)
        return self._fanned(task, made, placing, Fan(mode, over, self.values(fixed)))

    def _fanned(self, task: MappedOperator, made: Task[..., Any], placing: Placing, fan: Fan) -> str:
        placing = (
            placing.changed({"max_parallel": task.max_active_tis_per_dagrun})
            if task.max_active_tis_per_dagrun
            else placing
        )
        return self.added(self.build.fan(made, placing, fan))

    def _elements(self, task: MappedOperator, key: str) -> Any:
        """What is expanded over under a key, as something that penstock maps over."""
        return self.elements(task, key, task.expansion.over[key])

    def elements(self, owner: BaseOperator, key: str, value: Any) -> Any:
        """A list, or a ref to one, of something to expand over."""
        if isinstance(value, dict):
            return [(name, self.value(each)) for name, each in cast("dict[str, Any]", value).items()]
        if isinstance(value, (list, tuple)):
            return [self.value(each) for each in cast("list[Any]", value)]
        if isinstance(value, (DagParam, MappedArgument)):
            return self.value(value)
        if isinstance(value, PlainXComArg) and self._is_list(value):
            return self.value(value)
        compute = computation_of(value)
        made = Task(compute, f"{self.label(owner)}.{key}")
        made.reference = self.reference(owner, part=f"#{key}")
        with self.in_groups(owner.task_group):
            arguments = {"values": [self.value(leaf) for leaf in leaves_of(value)], "how": told(value)}
            ref = self.build.call(made, Placing(name=f"{self.label(owner)}.{key}"), arguments)
        self.build.change(self.added(ref), location=owner.location)
        return ref

    def _is_list(self, arg: PlainXComArg) -> bool:
        """Whether what a task returns is known to be a list."""
        from penstock.dialects.airflow.returning import returns_list

        if arg.key != RETURN_VALUE:
            return False
        return arg.operator.is_mapped or self.seen(arg.operator).mapped or returns_list(arg.operator.code())

    def _mapped_group(self, group: TaskGroup) -> None:
        """A node that runs the tasks of a mapped group for every item."""
        expansion = group.expansion
        assert expansion is not None and group.group_id is not None
        first = next(iter(group.tasks()), None)
        if first is None:
            return
        over = {
            SPREAD if expansion.by_dicts else key: self.elements(first, key, value)
            for key, value in expansion.over.items()
        }
        inner: list[Drawing] = []

        def body(**_: Any) -> Any:
            return inner[-1].returned()

        def arguments(inside: Building) -> dict[str, Any]:
            inside.inputs.update(expansion.names)
            inner.append(Drawing(inside, self.dag, self.parameters, group, self))
            return {}

        body.__annotations__ = {}
        cast(Any, body).location = group.location
        with self.in_groups(group.parent_group):
            made = make_body(self.build, group.label, body, arguments)
            fan = Fan("kwargs" if expansion.by_dicts else _mode(over), over, {})
            each, inputs = each_of(self.build, fan, Placing())
            ref = finish_body(self.build, made, body, inputs, Placing(name=group.label), Shape(each), group.tooltip)
        node = self.added(ref)
        self.groups[group.group_id] = node
        self._settling.settle_group(group, node)

    def returned(self) -> Any:
        """Add the nodes of a mapped group. Returns what others take of its tasks."""
        for unit in self._units():
            if isinstance(unit, str):
                self._task(self.dag.task_dict[unit])
            else:
                self._mapped_group(unit)
        return {task.task_id: self.pushed(task) for task in self._own_tasks() if self._is_taken(task)}

    def _is_taken(self, task: BaseOperator) -> bool:
        own = {each.task_id for each in self._own_tasks()}
        if task.has_value and not task.is_teardown and any(task is each for each in last_tasks(self.dag)):
            return True
        for other in self.dag.tasks:
            if other.task_id not in own:
                taken = {each.task_id for arg in other.inputs() for each in arg.operators()}
                if task.task_id in taken or task.task_id in _pulls(other):
                    return True
        return False

    # Values.

    def values(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments, with refs in the place of outputs of other tasks."""
        return {name: self.value(each) for name, each in given.items()}

    def value(self, given: Any) -> Any:
        """A value, with refs in the place of outputs of other tasks and parameters."""
        if isinstance(given, MappedArgument):
            return self._item(given)
        if isinstance(given, PlainXComArg):
            return self.pushed(given.operator, given.key)
        if isinstance(given, XComArg):
            return self.elements(next(given.operators()), "xcom", given)
        if isinstance(given, DagParam):
            return self._parameter(given)
        if type(given) is dict:
            return {key: self.value(each) for key, each in cast("dict[Any, Any]", given).items()}
        if type(given) in (list, tuple):
            return type(given)(self.value(each) for each in cast("list[Any]", given))
        return given

    def ref(self, expression: Expression) -> Ref:
        return Ref(expression, self.build)

    def _item(self, given: MappedArgument) -> Ref:
        if self.group is not None and self.group.expansion is given.group:
            return self.ref(Input(given.name))
        assert self.outer is not None
        return self.outer._item(given)

    def _parameter(self, given: DagParam) -> Any:
        conf = self.build.parameters.get(CONF)
        if isinstance(conf, dict) and given.name in conf:
            return cast("dict[str, Any]", conf)[given.name]
        return self.ref(Parameter(identifier(given.name)))

    def seen(self, task: BaseOperator) -> Drawn:
        """A task as it is seen from this level; one in a mapped group is a list."""
        if task.task_id in self.drawn:
            return self.drawn[task.task_id]
        unit = self.unit(task)
        if not isinstance(unit, str) and unit.group_id in self.groups:
            return self._plucked(task, self.groups[unit.group_id])
        if self.outer is None:
            raise DefinitionError(
                f"the output of {task.task_id!r} is used before it is there", where=str(task.location)
            )
        return self.outer.seen(task)

    def _plucked(self, task: BaseOperator, group: str) -> Drawn:
        """What a task of a mapped group returned for every item."""
        made = Task(part_of_each, "part_of_each")
        arguments = {"results": self.ref(Output(group)), "name": task.task_id}
        ref = self.build.call(made, Placing(name=f"{task.task_id}.all"), arguments)
        node = self.added(ref)
        self.build.change(node, location=task.location)
        self.parts[node] = group
        found = self.drawn[task.task_id] = Drawn(node, "value", mapped=True)
        return found

    def home(self, task: BaseOperator) -> Drawing:
        """The drawing that the node of a task, as it is seen from this level, is in."""
        self.seen(task)
        return self if task.task_id in self.drawn or self.outer is None else self.outer.home(task)

    def pushed(self, task: BaseOperator, key: str = RETURN_VALUE) -> Any:
        """What a task has pushed under a key."""
        expression = self._result(self.seen(task), key)
        return Ref(expression, self.home(task).build)

    def _result(self, drawn: Drawn, key: str = RETURN_VALUE) -> Expression:
        node, gives = drawn.node, drawn.gives
        if key != RETURN_VALUE:
            return Get(Output(node, "xcoms") if gives == "pushed" else Output(node), key)
        match gives:
            case "lines":
                # no line at all is an empty one
                return Get(Apply("or", (Output(node), Constant([""]))), -1)
            case "pushed":
                return Output(node, "result")
            case "first":
                return Get(Output(node), 0)
            case "value":
                return Output(node)
            case _:
                return Constant(None)

    def optional(self, task: BaseOperator) -> Ref:
        """What a task returned, or None."""
        return Ref(Choose((self._result(self.seen(task)), Constant(None))), self.home(task).build)

    def _pulled(self, task: BaseOperator) -> Any:
        drawn = self.seen(task)
        build = self.home(task).build
        others: Any = None
        if drawn.gives == "value" and task.multiple_outputs:
            others = self.optional(task)
        if drawn.gives == "pushed":
            others = Ref(Choose((Output(drawn.node, "xcoms"), Constant(None))), build)
        return (self.optional(task), others, drawn.mapped)


def _mode(over: Mapping[str, Any]) -> str:
    return "zip" if len(over) == 1 else "product"


def _said(task: BaseOperator) -> Any:
    """What the file says of a task that counts for its result."""
    own = {name: value for name, value in task.given.items() if name not in _UNSAID}
    return {**own, **{name: getattr(task, name, None) for name in task.template_fields}}


_UNSAID = frozenset({"dag", "task_group", "default_args", "fixed", "expansion", "kind", "task_id", "python_callable"})


def _is_elsewhere(function: Any, module: str) -> bool:
    """Whether a worker finds a function in a module other than that of its DAG, by its name there: a decorated one it finds
    by the DAG."""
    return function.__module__ != module and found_by_name(function.__module__, function.__qualname__) is function


def _placed(program: Task[..., Any], task: BaseOperator, options: Mapping[str, Any]) -> Task[..., Any]:
    """A program at the line of its operator, and with the operator's options."""
    assert isinstance(program, CommandTask)
    function: Any = program.function
    action = function.action
    if isinstance(action, ContainerAction):
        function.action = msgspec.structs.replace(
            action, command=msgspec.structs.replace(action.command, location=task.location)
        )
    else:
        function.action = msgspec.structs.replace(action, location=task.location)
    program.given = {**program.given, **options}
    return program


def _pulls(task: BaseOperator) -> tuple[str, ...]:
    if isinstance(task, UnknownOperator):
        return ()
    return inputs_of(task).pulled


__all__ = ["Drawing", "Drawn"]
