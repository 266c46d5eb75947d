"""`TaskGroup` and `@task_group`."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any

from penstock.authoring.source import caller
from penstock.dialects.airflow.arguments import SHOWN
from penstock.dialects.airflow.exceptions import DuplicateTaskIdFound, TaskAlreadyInTaskGroup
from penstock.dialects.airflow.relations import Ordered
from penstock.errors import DefinitionError

if TYPE_CHECKING:
    from penstock.dialects.airflow.baseoperator import BaseOperator
    from penstock.dialects.airflow.dag import DAG
    from penstock.dialects.airflow.mapping import GroupExpansion


class TaskGroup(Ordered):
    """A group of tasks, which stands for all of them in `>>`. Its name goes before the ids of its tasks."""

    def __init__(
        self,
        group_id: str | None,
        prefix_group_id: bool = True,
        parent_group: TaskGroup | None = None,
        dag: DAG | None = None,
        default_args: Mapping[str, Any] | None = None,
        tooltip: str = "",
        ui_color: str = "",
        ui_fgcolor: str = "",
        add_suffix_on_collision: bool = False,
        group_display_name: str = "",
    ) -> None:
        from penstock.dialects.airflow.dag import current_dag

        self.location = caller()
        self.prefix_group_id = prefix_group_id
        self.default_args = dict(default_args or {})
        self.tooltip = tooltip
        said = {
            "tooltip": tooltip,
            "ui_color": ui_color,
            "ui_fgcolor": ui_fgcolor,
            "group_display_name": group_display_name,
        }
        #: what was said of it that has no effect
        self.without_effect = {name: SHOWN for name, value in said.items() if value}
        self.children: dict[str, BaseOperator | TaskGroup] = {}
        #: what it is expanded over, where it is a mapped one
        self.expansion: GroupExpansion | None = None
        self._tokens: list[Token[TaskGroup | None]] = []
        found = parent_group or current_group()
        dag = dag or (None if found is None else found.dag) or current_dag()
        if dag is None:
            raise DefinitionError(
                f"the group {group_id!r} is in no DAG",
                where=str(self.location),
                remedy="Make it inside `with DAG(...):`, or give it dag=.",
            )
        self.dag: DAG = dag
        parent = found if found is not None and found.dag is dag else dag.task_group
        self.parent_group: TaskGroup | None = parent
        self.label = group_id or ""
        self.group_id: str | None = parent.child_id(group_id or "")
        if self.group_id in self._taken():
            if not add_suffix_on_collision:
                raise DuplicateTaskIdFound(f"group_id '{self.group_id}' has already been added to the DAG")
            self.group_id = _suffixed(self.group_id, self._taken())
            self.label = self.group_id.removeprefix(f"{parent.prefix}.") if parent.prefix else self.group_id
        parent.children[self.group_id] = self

    @classmethod
    def root(cls, dag: DAG) -> TaskGroup:
        """The group that is the whole of a DAG."""
        group = cls.__new__(cls)
        group.__dict__.update(
            location=dag.location,
            prefix_group_id=False,
            default_args={},
            tooltip="",
            without_effect={},
            children={},
            expansion=None,
            _tokens=[],
            dag=dag,
            parent_group=None,
            label="",
            group_id=None,
        )
        return group

    def _taken(self) -> set[str]:
        return {*self.dag.task_dict, *self.dag.task_group_dict}

    def child_id(self, label: str) -> str:
        """The id of a task or a group in this group."""
        prefix = self.prefix
        return f"{prefix}.{label}" if prefix else label

    @property
    def prefix(self) -> str:
        """What goes before the ids of what is in it; empty for nothing."""
        if self.group_id is not None and self.prefix_group_id:
            return self.group_id
        return self.parent_group.prefix if self.parent_group is not None else ""

    def all_default_args(self) -> dict[str, Any]:
        """Those of the groups around it, and its own."""
        outer = {} if self.parent_group is None else self.parent_group.all_default_args()
        return {**outer, **self.default_args}

    def add(self, node: BaseOperator | TaskGroup) -> None:
        """Take in a task. Raises TaskAlreadyInTaskGroup for one that is in another group."""
        if isinstance(node, TaskGroup):
            self.children[node.group_id or ""] = node
            node.parent_group = self
            return
        if node.task_group is not None and node.task_group is not self:
            raise TaskAlreadyInTaskGroup(f"{node.task_id!r} is in the group {node.task_group.group_id!r} already")
        node.task_group = self
        self.children[node.task_id] = node

    def groups(self) -> Iterator[TaskGroup]:
        """Those inside it, outermost first."""
        for child in self.children.values():
            if isinstance(child, TaskGroup):
                yield child
                yield from child.groups()

    def tasks(self) -> Iterator[BaseOperator]:
        """All tasks in it, at any depth."""
        for child in self.children.values():
            if isinstance(child, TaskGroup):
                yield from child.tasks()
            else:
                yield child

    iter_tasks = tasks

    def around(self) -> Iterator[TaskGroup]:
        """The group itself, and those around it, innermost first."""
        group: TaskGroup | None = self
        while group is not None:
            yield group
            group = group.parent_group

    def mapped(self) -> TaskGroup | None:
        """The innermost mapped group that this is in, or is."""
        return next((each for each in self.around() if each.expansion is not None), None)

    @property
    def roots(self) -> Sequence[BaseOperator]:
        inside = {task.task_id for task in self.tasks()}
        return [task for task in self.tasks() if not task.upstream_task_ids & inside]

    @property
    def leaves(self) -> Sequence[BaseOperator]:
        group = {task.task_id: task for task in self.tasks()}
        return list({task.task_id: task for task in _last(group)}.values())

    def get_roots(self) -> list[BaseOperator]:
        return list(self.roots)

    def get_leaves(self) -> list[BaseOperator]:
        return list(self.leaves)

    def get_child_by_label(self, label: str) -> Any:
        return self.children[self.child_id(label)]

    @property
    def is_root(self) -> bool:
        return self.parent_group is None

    @property
    def node_id(self) -> str | None:
        return self.group_id

    # In `with`.

    def enter(self) -> Token[TaskGroup | None]:
        return _current.set(self)

    def leave(self, token: Token[TaskGroup | None]) -> None:
        _current.reset(token)

    def __enter__(self) -> TaskGroup:
        self._tokens.append(self.enter())
        return self

    def __exit__(self, *_: object) -> None:
        self.leave(self._tokens.pop())

    def __repr__(self) -> str:
        return f"<TaskGroup: {self.group_id}>"


def _last(group: dict[str, BaseOperator]) -> Iterator[BaseOperator]:
    """The last tasks of a group: of a teardown, what comes before it, since nothing waits for one by its group."""
    for task in group.values():
        if task.downstream_task_ids.isdisjoint(group):
            yield from (_before_teardown(task, group) if task.is_teardown else (task,))


def _before_teardown(task: BaseOperator, group: dict[str, BaseOperator]) -> Iterator[BaseOperator]:
    for other in (group[name] for name in sorted(task.upstream_task_ids & set(group))):
        if other.is_teardown:
            yield from _before_teardown(other, group)
        elif not (task.is_teardown and other.is_setup):
            followers = other.downstream_task_ids & set(group) - {task.task_id}
            if all(group[name].is_teardown for name in followers):
                yield other


def _suffixed(name: str, taken: set[str]) -> str:
    stem = re.split(r"__\d+$", name)[0]
    number = 1
    while f"{stem}__{number}" in taken:
        number += 1
    return f"{stem}__{number}"


_current: ContextVar[TaskGroup | None] = ContextVar("_current", default=None)


def current_group() -> TaskGroup | None:
    """The group whose block the file is in."""
    return _current.get()


class TaskGroupDecorator:
    """A function that makes a group of the tasks that it calls."""

    def __init__(self, function: Callable[..., Any], options: Mapping[str, Any]) -> None:
        self.function = function
        self.options = dict(options)
        functools.update_wrapper(self, function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.make(args, kwargs, None)

    def make(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], expansion: GroupExpansion | None) -> Any:
        """The group, with what the function calls in it; what the function returns is what stands for it."""
        options: dict[str, Any] = {"group_id": self.function.__name__, "add_suffix_on_collision": True, **self.options}
        if self.function.__doc__ and not options.get("tooltip"):
            options["tooltip"] = self.function.__doc__
        with TaskGroup(**options) as group:
            group.expansion = expansion
            if "tooltip" not in self.options:
                group.without_effect.pop("tooltip", None)
            returned = self.function(*args, **kwargs)
        if expansion is not None:
            expansion.connect(group)
        # as in Airflow, `>>` is then between what the function returns and others
        return group if returned is None else returned

    def override(self, **options: Any) -> TaskGroupDecorator:
        """The same under other options."""
        return TaskGroupDecorator(self.function, {**self.options, **options})

    def partial(self, **kwargs: Any) -> Any:
        from penstock.dialects.airflow.mapping import GroupPartial

        return GroupPartial(self, kwargs)

    def expand(self, **kwargs: Any) -> Any:
        return self.partial().expand(**kwargs)

    def expand_kwargs(self, kwargs: Any) -> Any:
        return self.partial().expand_kwargs(kwargs)


def task_group(function: Any = None, **options: Any) -> Any:
    """`@task_group`."""
    if callable(function):
        return TaskGroupDecorator(function, options)
    if isinstance(function, str):
        options["group_id"] = function

    def decorate(decorated: Callable[..., Any]) -> TaskGroupDecorator:
        return TaskGroupDecorator(decorated, options)

    return decorate


def parameters_of(decorator: TaskGroupDecorator) -> list[str]:
    """The parameters of a group's function."""
    return list(inspect.signature(decorator.function).parameters)


__all__ = ["TaskGroup", "TaskGroupDecorator", "current_group", "parameters_of", "task_group"]
