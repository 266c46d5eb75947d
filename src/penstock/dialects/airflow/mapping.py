"""Mapped tasks and groups: `partial`, `expand`, `expand_kwargs`."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Mapping
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, ClassVar, cast

from penstock.authoring.source import caller
from penstock.dialects.airflow.arguments import ARGUMENTS
from penstock.dialects.airflow.baseoperator import BaseOperator
from penstock.dialects.airflow.exceptions import UnmappableXComTypePushed, XComForMappingNotPushed
from penstock.dialects.airflow.inputs import Reads, reads_of, reads_of_method
from penstock.dialects.airflow.nodes import Choice
from penstock.dialects.airflow.relations import order
from penstock.dialects.airflow.xcomarg import ConcatXComArg, MapXComArg, PlainXComArg, XComArg, ZipXComArg
from penstock.errors import DefinitionError, NotCoveredError

if TYPE_CHECKING:
    from penstock.dialects.airflow.taskflow import TaskDecorator
    from penstock.dialects.airflow.taskgroup import TaskGroup, TaskGroupDecorator
    from penstock.model.action import Environment

#: the argument that a task which is expanded over dicts is expanded over
KWARGS = "kwargs"


class Expansion:
    """What something is expanded over: arguments by name, all with all; or dicts of arguments."""

    def __init__(self, over: Mapping[str, Any], *, by_dicts: bool = False) -> None:
        #: argument -> a list, a dict, or outputs of other tasks; `KWARGS` alone where it is dicts of arguments
        self.over = dict(over)
        self.by_dicts = by_dicts

    def inputs(self) -> Iterator[XComArg]:
        yield from XComArg.found_in(self.over)


def by_names(owner: str, arguments: Mapping[str, Any]) -> Expansion:
    """Raises DefinitionError for what cannot be expanded over."""
    if not arguments:
        raise DefinitionError(f"no arguments to expand {owner} against", where=str(caller()))
    for name, value in arguments.items():
        if isinstance(value, (str, bytes)) or not (isinstance(value, (list, tuple, dict, XComArg)) or _resolves(value)):
            raise DefinitionError(
                f"expand() got an unexpected type {type(value).__name__!r} for keyword argument {name!r}",
                where=str(caller()),
            )
    return Expansion(arguments)


def by_dicts(value: Any) -> Expansion:
    """Raises DefinitionError for what cannot be expanded over."""
    if not isinstance(value, (list, tuple, XComArg)):
        raise DefinitionError(f"expected XComArg or list[dict], not {type(value).__name__}", where=str(caller()))
    return Expansion({KWARGS: value}, by_dicts=True)


def _resolves(value: Any) -> bool:
    return hasattr(value, "resolve")


class MappedOperator(BaseOperator):
    """A task for every item of what its operator is expanded over."""

    is_mapped: ClassVar[bool] = True

    def __init__(
        self, task_id: str, kind: type[BaseOperator], fixed: Mapping[str, Any], expansion: Expansion, **kwargs: Any
    ) -> None:
        own = {name: value for name, value in fixed.items() if name in ARGUMENTS and name != "params"}
        super().__init__(task_id=task_id, **own, **kwargs)
        self.operator_class = kind
        self.fixed = dict(fixed)
        self.expansion = expansion
        self.is_sensor = kind.is_sensor  # type: ignore[misc]
        self.cached = kind.cached  # type: ignore[misc]
        self.has_value = kind.has_value  # type: ignore[misc]
        self.template_fields = kind.template_fields  # type: ignore[misc]
        self.template_ext = kind.template_ext  # type: ignore[misc]
        for name, argument in _sensor_arguments(kind).items():
            setattr(self, name, fixed.get(name, argument))

    def inputs(self) -> Iterator[XComArg]:
        yield from XComArg.found_in(self.fixed)
        yield from self.expansion.inputs()

    def taken(self) -> Iterator[XComArg]:
        yield from XComArg.found_in(self.fixed)

    @property
    def python_callable(self) -> Any:
        return self.fixed.get("python_callable")

    def code(self) -> Any:
        return self.python_callable

    def environment(self) -> Environment | None:
        """The Python environment of all items; None for that of the run. Raises NotCoveredError where each has its own."""
        from penstock.dialects.airflow.operators.python import PythonVirtualenvOperator

        if not issubclass(self.operator_class, PythonVirtualenvOperator):
            return None
        about = {"requirements", "python_version", "system_site_packages"}
        varying = sorted(about.intersection(self.expansion.over))
        if varying:
            raise NotCoveredError(
                f"{self.task_id!r} is expanded over {', '.join(varying)}, which penstock's reader of Apache Airflow does not "
                "cover",
                where=str(self.location),
                remedy="Write a task for each environment.",
            )
        given = {name: value for name, value in self.fixed.items() if name in about | {"python_callable"}}
        one = self.operator_class(task_id=self.label, **given)
        one.location = self.location
        return one.environment()

    def expanded_arguments(self) -> tuple[str, ...]:
        return tuple(self.expansion.over)

    def choice(self) -> Choice | None:
        if self.operator_class.choice is not BaseOperator.choice:
            raise DefinitionError(
                f"{self.task_id!r} decides which tasks run, and is expanded over several items, which penstock's reader of "
                "Apache Airflow does not cover",
                where=str(self.location),
                remedy="Put the branch into a mapped task group.",
            )
        return None

    def reads(self) -> Reads:
        from penstock.dialects.airflow.templates import is_template

        literal = [
            value for value in (*self.fixed.values(), *self.expansion.over.values()) if not isinstance(value, XComArg)
        ]
        if any(is_template(value) for value in literal if not callable(value)):
            return Reads(None, None)
        if self.python_callable is not None:
            given = {**_dict(self.fixed.get("op_kwargs")), **(self.expansion.over if self.decorated else {})}
            return reads_of(self.python_callable, given)
        if self.operator_class.__module__.startswith("penstock."):
            return Reads()
        return reads_of_method(self.operator_class.execute)

    @property
    def decorated(self) -> bool:
        """Whether the items are arguments of a decorated function, and not of the operator."""
        return False

    def is_call(self) -> bool:
        """Whether it is no more than a function that is called for every item."""
        return False

    def item(self, arguments: Mapping[str, Any], replaced: Callable[[Any], Any]) -> BaseOperator:
        """The operator of an item."""
        given = cast("Mapping[str, Any]", arguments[KWARGS]) if self.expansion.by_dicts else arguments
        made = cast(Any, self.operator_class)(**{**replaced(self.fixed), **given}, task_id=self.label)
        return self._placed(made)

    def _placed(self, made: BaseOperator) -> BaseOperator:
        made.task_id, made.dag, made.location = self.task_id, self.dag, self.location
        made.upstream_task_ids, made.downstream_task_ids = self.upstream_task_ids, self.downstream_task_ids
        made.conditions = self.conditions
        return made


def _dict(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _sensor_arguments(kind: type[BaseOperator]) -> dict[str, Any]:
    from penstock.dialects.airflow.basesensor import BaseSensorOperator

    if not kind.is_sensor:
        return {}
    parameters = inspect.signature(inspect.unwrap(BaseSensorOperator.__init__)).parameters.values()
    return {each.name: each.default for each in parameters if each.default is not each.empty}


class MappedFunction(MappedOperator):
    """A decorated function for every item."""

    @property
    def decorated(self) -> bool:
        return True

    def item(self, arguments: Mapping[str, Any], replaced: Callable[[Any], Any]) -> BaseOperator:
        from penstock.dialects.airflow.templates import literal

        given = cast("Mapping[str, Any]", arguments[KWARGS]) if self.expansion.by_dicts else arguments
        own = {name: literal(value) if self._pushed(name) else value for name, value in given.items()}
        fixed = cast("dict[str, Any]", replaced(self.fixed))
        made = cast(Any, self.operator_class)(
            **{**fixed, "task_id": self.label, "op_kwargs": {**fixed["op_kwargs"], **own}}
        )
        return self._placed(made)

    def is_call(self) -> bool:
        from penstock.dialects.airflow.operators.python import PythonOperator, PythonVirtualenvOperator

        if self.operator_class not in (PythonOperator, PythonVirtualenvOperator) or not self.is_plain:
            return False
        if self.reads() != Reads() or self.fixed.get("skip_on_exit_code"):
            return False
        shape = inspect.signature(self.python_callable).parameters
        if not inspect.isfunction(self.python_callable) or any(
            each.kind.name.startswith("VAR_") for each in shape.values()
        ):
            return False
        names = {*_dict(self.fixed["op_kwargs"]), *(() if self.expansion.by_dicts else self.expansion.over)}
        return (
            names <= set(shape)
            and not inspect.isgeneratorfunction(self.python_callable)
            and not any(isinstance(each, MapXComArg) for each in self.expansion.inputs())
        )

    def _pushed(self, name: str) -> bool:
        return isinstance(self.expansion.over.get(KWARGS if self.expansion.by_dicts else name), XComArg)


def item_operator(operator: BaseOperator, item: Mapping[str, Any], values: Iterator[Any]) -> BaseOperator:
    """The operator of an item, or a copy of one that is not mapped, with values in the place of outputs of others."""
    from penstock.dialects.airflow.templates import literal

    def replaced(value: Any) -> Any:
        if isinstance(value, XComArg):
            # what another task has returned is no template
            return literal(next(values))
        if type(value) is dict:
            return {key: replaced(each) for key, each in cast("dict[Any, Any]", value).items()}
        if type(value) in (list, tuple):
            return type(value)(replaced(each) for each in cast("list[Any]", value))
        return value

    if isinstance(operator, MappedOperator):
        skipped = next((each for each in item.values() if isinstance(each, SkippedItem)), None)
        if skipped is not None:
            skipped.skip()
        return operator.item(item, replaced)
    made = copy.copy(operator)
    for name in made.template_fields:
        field = getattr(made, name, None)
        if next(XComArg.found_in(field), None) is not None:
            setattr(made, name, replaced(field))
    return made


class OperatorPartial:
    """An operator with some of its arguments."""

    def __init__(self, kind: type[BaseOperator], fixed: Mapping[str, Any]) -> None:
        self.kind = kind
        self.fixed = dict(fixed)

    def expand(self, **arguments: Any) -> MappedOperator:
        """A task for every combination of elements."""
        return self._made(by_names(self.kind.__name__, arguments))

    def expand_kwargs(self, kwargs: Any, *, strict: bool = True) -> MappedOperator:
        """A task for every dict of arguments."""
        return self._made(by_dicts(kwargs))

    def _made(self, expansion: Expansion) -> MappedOperator:
        place = {name: self.fixed[name] for name in ("dag", "task_group", "default_args") if name in self.fixed}
        fixed = {name: value for name, value in self.fixed.items() if name not in (*place, "task_id")}
        return MappedOperator(task_id=self.fixed["task_id"], kind=self.kind, fixed=fixed, expansion=expansion, **place)


class DecoratedPartial:
    """A decorated function with some of its arguments."""

    def __init__(self, decorator: TaskDecorator, fixed: Mapping[str, Any]) -> None:
        self.decorator = decorator
        self.fixed = dict(fixed)
        self._check(self.fixed)

    def _check(self, names: Mapping[str, Any]) -> None:
        shape = inspect.signature(self.decorator.function).parameters
        if any(each.kind is each.VAR_KEYWORD for each in shape.values()):
            return
        wrong = next((name for name in names if name not in shape), None)
        if wrong is not None:
            raise DefinitionError(
                f"{self.decorator.function.__name__}() has no argument {wrong!r}", where=str(caller())
            )

    def partial(self, **kwargs: Any) -> DecoratedPartial:
        return DecoratedPartial(self.decorator, {**self.fixed, **kwargs})

    def expand(self, **arguments: Any) -> PlainXComArg:
        """A task for every combination of elements."""
        self._check(arguments)
        return self._made(by_names(self.decorator.function.__name__, arguments))

    def expand_kwargs(self, kwargs: Any, *, strict: bool = True) -> PlainXComArg:
        """A task for every dict of arguments."""
        return self._made(by_dicts(kwargs))

    def _made(self, expansion: Expansion) -> PlainXComArg:
        arguments = self.decorator.arguments()
        place = {name: arguments.pop(name) for name in ("dag", "task_group", "default_args") if name in arguments}
        task_id = arguments.pop("task_id")
        fixed = {**arguments, "python_callable": self.decorator.function, "op_kwargs": self.fixed}
        made = MappedFunction(
            task_id=task_id, kind=self.decorator.operator_class, fixed=fixed, expansion=expansion, **place
        )
        return PlainXComArg(self.decorator.finished(made))


# Mapped groups.


class MappedArgument(XComArg):
    """An argument of a mapped group, inside of it: one item."""

    def __init__(self, group: GroupExpansion, name: str) -> None:
        self.group = group
        self.name = name

    def operators(self) -> Iterator[BaseOperator]:
        # the group as a whole waits for what it is expanded over
        yield from ()

    def __getitem__(self, item: Any) -> Any:
        raise TypeError(f"{self.name!r} is an item of a mapped group: take parts of it inside a task")


class GroupExpansion(Expansion):
    """What a group is expanded over, and what is the same for all of its items."""

    def __init__(self, expansion: Expansion, names: tuple[str, ...]) -> None:
        super().__init__(expansion.over, by_dicts=expansion.by_dicts)
        self.names = names

    def connect(self, group: TaskGroup) -> None:
        """Let the group wait for what it is expanded over."""
        for arg in self.inputs():
            order(list(arg.operators()), list(group.roots))


class GroupPartial:
    """A group with some of its arguments."""

    def __init__(self, decorator: TaskGroupDecorator, fixed: Mapping[str, Any]) -> None:
        self.decorator = decorator
        self.fixed = dict(fixed)

    def partial(self, **kwargs: Any) -> GroupPartial:
        return GroupPartial(self.decorator, {**self.fixed, **kwargs})

    def expand(self, **arguments: Any) -> Any:
        """The group for every combination of elements."""
        return self._made(by_names(self.decorator.function.__name__, arguments), tuple(arguments))

    def expand_kwargs(self, kwargs: Any) -> Any:
        """The group for every dict of arguments."""
        names = inspect.signature(self.decorator.function).parameters
        return self._made(by_dicts(kwargs), tuple(name for name in names if name not in self.fixed))

    def _made(self, expansion: Expansion, names: tuple[str, ...]) -> Any:
        whole = GroupExpansion(expansion, names)
        mapped = {name: MappedArgument(whole, name) for name in names}
        return self.decorator.make((), {**self.fixed, **mapped}, whole)


# What is expanded over, computed.


class SkippedItem:
    """An item that a function of `.map` has skipped."""

    def __init__(self, why: str) -> None:
        self.why = why

    def skip(self) -> None:
        from penstock.dialects.airflow.exceptions import AirflowSkipException

        raise AirflowSkipException(self.why)


def leaves_of(arg: Any) -> Iterator[XComArg]:
    """The outputs of tasks that something to expand over is computed from."""
    match arg:
        case MapXComArg(of=of):
            yield from leaves_of(of)
        case ZipXComArg(parts=parts) | ConcatXComArg(parts=parts):
            for part in parts:
                yield from leaves_of(part)
        case XComArg():
            yield arg
        case _:
            pass


def computed(arg: Any, values: Iterator[Any]) -> list[Any]:
    """The elements of something to expand over. Raises what Airflow does for what has none."""
    match arg:
        case MapXComArg(of=of, function=function):
            return [_put_through(function, each) for each in computed(of, values)]
        case ZipXComArg(parts=parts, fillvalue=fill):
            lists = [computed(part, values) for part in parts]
            return list(zip(*lists, strict=False)) if fill is ... else list(zip_longest(*lists, fillvalue=fill))
        case ConcatXComArg(parts=parts):
            return [each for part in parts for each in computed(part, values)]
        case XComArg():
            return elements_of(next(values))
        case _:
            return elements_of(arg)


def elements_of(value: Any) -> list[Any]:
    """The elements of a value: of a dict, its keys with their values."""
    if value is None:
        raise XComForMappingNotPushed("did not push XCom for task mapping")
    if isinstance(value, Mapping):
        return list(cast("Mapping[Any, Any]", value).items())
    if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
        raise UnmappableXComTypePushed(f"unmappable return type {type(value).__qualname__!r}")
    return list(value)


def _put_through(function: Callable[[Any], Any], value: Any) -> Any:
    from penstock.dialects.airflow.exceptions import AirflowSkipException

    try:
        return function(value)
    except AirflowSkipException as skip:
        return SkippedItem(str(skip))


__all__ = [
    "KWARGS",
    "DecoratedPartial",
    "Expansion",
    "GroupExpansion",
    "GroupPartial",
    "MappedArgument",
    "MappedFunction",
    "MappedOperator",
    "OperatorPartial",
    "SkippedItem",
    "computed",
    "elements_of",
    "item_operator",
    "leaves_of",
]
