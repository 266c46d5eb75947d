"""What the node of an operator is given of its run: found out from its templates and from its code."""

from __future__ import annotations

import ast
import dis
import inspect
import textwrap
from collections.abc import Callable, Iterable, Iterator
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from penstock.dialects.airflow.context import KEYS, VOLATILE, needs_of
from penstock.dialects.airflow.xcomarg import XComArg

if TYPE_CHECKING:
    from penstock.dialects.airflow.baseoperator import BaseOperator

_TIMES: Final = ("logical_date", "data_interval_start", "data_interval_end")
#: functions that give a task its whole context
_ASKING: Final = frozenset({"get_current_context"})
#: methods that tell how other tasks of the run are
_LIVE: Final = frozenset({"get_task_instance", "get_task_instances", "get_task_states"})
#: ports that are for penstock's own use
_RESERVED: Final = frozenset({"taken", "says", "params", "xcoms", *_TIMES})


class Inputs(NamedTuple):
    """The ports of a node that calls an operator."""

    #: all of them, in order
    ports: tuple[str, ...]
    #: port -> argument that a mapped operator is expanded over
    expanded: dict[str, str]
    #: tasks whose XComs it is given
    pulled: tuple[str, ...]
    #: its node has what it pushes besides what it returns as an output
    pushes: bool
    #: fields of `Given` that it has
    fields: frozenset[str]
    #: its result is told by its inputs, so that a recorded one may be used
    settled: bool


class Reads(NamedTuple):
    """What some code reads of the context."""

    #: names of the context; None for any
    names: frozenset[str] | None = frozenset()
    #: tasks whose XComs it pulls; None for any
    tasks: frozenset[str] | None = frozenset()
    #: it asks how other tasks of its run are, which nothing that it is given tells
    live: bool = False

    def with_(self, other: Reads) -> Reads:
        """What either reads."""
        return Reads(
            None if self.names is None or other.names is None else self.names | other.names,
            None if self.tasks is None or other.tasks is None else self.tasks | other.tasks,
            self.live or other.live,
        )


def inputs_of(operator: BaseOperator) -> Inputs:
    """The ports of the node of an operator. Raises DefinitionError for a template that is wrong."""
    reads = _of_templates(operator).with_(operator.reads() if operator.is_plain else Reads(None, None))
    names = KEYS if reads.names is None else reads.names
    fields = needs_of(names) | _of_clock(operator, names)
    pulled = _pulled(operator, reads) if "xcoms" in fields else ()
    expanded = {_free(key): key for key in operator.expanded_arguments()}
    taken = next(operator.taken(), None) is not None
    ports = [
        *(["taken"] if taken else []),
        "says",
        *(name for name in ("params", *_TIMES) if name in fields),
        *(["xcoms"] if pulled else []),
        *expanded,
    ]
    pushes = operator.multiple_outputs or "xcoms" in fields or bool(operator.outlets)
    # what a wait results in has to be true
    pushes = pushes and not operator.is_sensor
    settled = not (names & VOLATILE - {"ti", "task_instance"}) if reads.names is not None else True
    # what has happened to its inlets is nothing that it is given
    settled = settled and not reads.live and not (operator.inlets and "inlet_events" in names)
    return Inputs(tuple(ports), expanded, pulled, pushes, fields, settled)


def _of_clock(operator: BaseOperator, names: frozenset[str]) -> frozenset[str]:
    """The times that tell which partition a run is about, where the clock says that."""
    from penstock.dialects.airflow.partitions.runs import NAMES
    from penstock.dialects.airflow.partitions.timetables import is_by_clock

    return frozenset(_TIMES if operator.dag is not None and names & NAMES and is_by_clock(operator.dag) else ())


def pulled_in_vain(operator: BaseOperator) -> list[str]:
    """The tasks whose XComs it asks for by their names, and that it does not wait for: there is nothing of them."""
    wanted = _of_templates(operator).with_(operator.reads()).tasks or frozenset[str]()
    return sorted(wanted - operator.get_flat_relative_ids(upstream=True) - {operator.task_id})


def _free(name: str) -> str:
    return f"{name}_" if name in _RESERVED else name


def _of_templates(operator: BaseOperator) -> Reads:
    from penstock.dialects.airflow.templates import names_of, templates_of

    if not templates_of(operator):
        return Reads()
    found = names_of(operator)
    return Reads(found.names, found.tasks)


def _pulled(operator: BaseOperator, reads: Reads) -> tuple[str, ...]:
    before = [task for task in operator.get_flat_relatives(upstream=True) if task.has_value]
    wanted = {task.task_id for task in before}
    if reads.tasks is not None:
        wanted &= reads.tasks
    dag = operator.dag
    return tuple(name for name in (() if dag is None else dag.task_dict) if name in wanted)


# What code reads.


def reads_of(function: Any, given: Iterable[str] = ()) -> Reads:
    """What a callable reads of the context that it is given by the names of its parameters, as Airflow does. `given` are
    parameters that it gets otherwise."""
    known = frozenset(given)
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return Reads()
    named = frozenset(each.name for each in parameters if each.name in KEYS and each.name not in known)
    rest = next((each.name for each in parameters if each.kind is each.VAR_KEYWORD), None)
    plain = inspect.unwrap(function) if callable(function) else function
    whole = (rest is not None and uses(plain, rest)) or _asks(plain)
    names = None if whole else named
    tasks = _tasks_in(plain) if whole or named & {"ti", "task_instance"} else frozenset[str]()
    return Reads(names, tasks, _names_any(plain, _LIVE))


def reads_of_method(method: Any, context: str = "context") -> Reads:
    """What a method like `execute(self, context)` reads of the context."""
    plain = inspect.unwrap(method)
    if not isinstance(plain, FunctionType):
        return Reads(None, None)
    names = list(inspect.signature(plain).parameters)
    name = names[1] if len(names) > 1 else context
    if not (uses(plain, name) or _asks(plain)):
        return Reads()
    return Reads(None, None, _names_any(plain, _LIVE))


def takes_context(function: Any, given: Iterable[str] = ()) -> bool:
    """Whether a callable reads anything of the context."""
    return reads_of(function, given) != Reads()


def uses(function: Any, name: str) -> bool:
    """Whether a function does anything with one of its parameters."""
    code = getattr(function, "__code__", None)
    if code is None:
        return True
    return any(
        instruction.argval == name and "LOAD" in instruction.opname
        for each in _codes(code)
        for instruction in dis.get_instructions(each)
    )


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _codes(each)


def _asks(function: Any) -> bool:
    """Whether a function, or what it calls of its module, asks for the context of the task that runs."""
    return _names_any(function, _ASKING)


def _names_any(function: Any, names: frozenset[str]) -> bool:
    return any(names.intersection(code.co_names) for code in _reached(function, set()))


def _reached(function: Any, seen: set[int]) -> Iterator[CodeType]:
    """The code of a function, and of the functions and classes of the user's that it names."""
    code = getattr(function, "__code__", None)
    if code is None or id(code) in seen:
        return
    seen.add(id(code))
    around = cast("dict[str, Any]", getattr(function, "__globals__", {}))
    for each in _codes(code):
        yield each
        for name in each.co_names:
            yield from _of_name(around.get(name), seen)
    for cell in getattr(function, "__closure__", None) or ():
        try:
            yield from _of_name(cell.cell_contents, seen)
        except ValueError:
            continue


def _of_name(found: Any, seen: set[int]) -> Iterator[CodeType]:
    if isinstance(found, FunctionType):
        yield from _reached(found, seen)
    elif isinstance(found, type) and not found.__module__.startswith("penstock"):
        for method in vars(found).values():
            if isinstance(method, FunctionType):
                yield from _reached(method, seen)


def _tasks_in(function: Callable[..., Any]) -> frozenset[str] | None:
    """The tasks that a function names in calls of `xcom_pull`; None where they are not constants."""
    codes = list(_reached(function, set()))
    calling = [code for code in codes if "xcom_pull" in code.co_names]
    if not calling:
        # whoever it hands `ti` on to may pull
        passed = any(name in code.co_varnames for code in codes for name in ("ti", "task_instance"))
        return frozenset() if passed else None
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, SyntaxError, TypeError):
        return None
    if len(calling) > 1 or getattr(function, "__code__", None) is not calling[0]:
        return None
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "xcom_pull":
            named = _named_tasks(node)
            if named is None:
                return None
            found |= named
    return frozenset(found)


def _named_tasks(call: ast.Call) -> set[str] | None:
    given = next((each.value for each in call.keywords if each.arg == "task_ids"), call.args[0] if call.args else None)
    if given is None or any(each.arg is None for each in call.keywords):
        return None
    try:
        value = ast.literal_eval(given)
    except ValueError:
        return None
    if value is None:
        return None
    return {value} if isinstance(value, str) else set(cast("Iterable[str]", value))


def facts(value: Any) -> Any:
    """What there is of plain data in what an operator was given: it counts for whether a result is taken again."""
    from datetime import date, datetime, time, timedelta

    if value is None or isinstance(value, (str, int, float, bool, bytes, datetime, date, time, timedelta)):
        return value
    if isinstance(value, dict):
        return {str(key): facts(each) for key, each in cast("dict[Any, Any]", value).items()}
    if isinstance(value, (list, tuple)):
        return [facts(each) for each in cast("list[Any]", value)]
    if isinstance(value, (set, frozenset)):
        return sorted(map(str, cast("set[Any]", value)))
    if isinstance(value, XComArg):
        return None
    return type(value).__name__


__all__ = [
    "Inputs",
    "Reads",
    "facts",
    "inputs_of",
    "pulled_in_vain",
    "reads_of",
    "reads_of_method",
    "takes_context",
    "uses",
]
