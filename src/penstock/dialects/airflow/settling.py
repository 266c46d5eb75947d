"""When the nodes of a DAG run: their joins and conditions, and what of their failures counts."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from penstock.authoring.placing import Placing
from penstock.authoring.task import Task
from penstock.dialects.airflow.computing import failed_dag, passed
from penstock.dialects.airflow.joining import guard_of, last_tasks, setups_of
from penstock.dialects.airflow.past import past_of
from penstock.dialects.airflow.rules import NEED_NAME, any_failed, rule_holds
from penstock.dialects.airflow.setups import TEARDOWN_RULE
from penstock.model.expression import Apply, Choose, Constant, Expression, Parameter
from penstock.model.expression import Mapping as MappingExpression
from penstock.model.graph import RULES, Each

if TYPE_CHECKING:
    from penstock.dialects.airflow.baseoperator import BaseOperator
    from penstock.dialects.airflow.drawing import Drawing
    from penstock.dialects.airflow.taskgroup import TaskGroup


class Settling:
    """Gives the nodes of a drawing their place among the others."""

    def __init__(self, drawing: Drawing) -> None:
        self._drawing = drawing

    def settle(self, task: BaseOperator, node: str) -> None:
        """Give the node of a task its place among the others."""
        guard = guard_of(task, lambda other: self._drawing.build.expression(self._drawing.pushed(other)))
        guard = _and(guard, self._not_empty(node))
        self._drawing.build.change(node, location=task.location, guard=guard, decides=self._decides(task))
        direct = self._direct(task)
        required = set(self._drawing.build.nodes[node].requirements())
        if task.trigger_rule == "all_success":
            # what it takes of a group has waited for the group
            required |= {(group,) for part, group in self._drawing.parts.items() if (part,) in required}
        self._drawing.build.change(node, after=tuple(name for name in direct if (name,) not in required))
        self._join(task, node, direct)
        if task.depends_on_past or task.wait_for_downstream:
            self._after_past(task, node)

    def follow(self, task: BaseOperator, *nodes: str) -> None:
        """Give nodes of a task that come after its first one what they have of it."""
        for node in nodes:
            self._drawing.build.change(node, location=task.location, decides=self._decides(task))

    def _decides(self, task: BaseOperator) -> bool:
        return (self._drawing.outer is not None or task.task_id in self._drawing.decides) and _may_fail_run(task)

    def _direct(self, task: BaseOperator) -> tuple[str, ...]:
        """The nodes that a task waits for by itself, those of its own group excepted."""
        names: list[str] = []
        for other in sorted(task.upstream_task_ids, key=list(self._drawing.dag.task_dict).index):
            unit = self._drawing.unit(self._drawing.dag.task_dict[other])
            if other in self._drawing.drawn and isinstance(unit, str):
                names.append(self._drawing.drawn[other].node)
            elif not isinstance(unit, str) and unit.group_id in self._drawing.groups:
                names.append(self._drawing.groups[unit.group_id])
        return tuple(dict.fromkeys(names))

    def _join(self, task: BaseOperator, node: str, direct: tuple[str, ...]) -> None:
        rule = task.trigger_rule
        needed = [
            each
            for each in setups_of(task)
            if each.task_id in self._drawing.drawn and each.task_id not in task.upstream_task_ids
        ]
        if task.is_teardown or rule == TEARDOWN_RULE:
            ran = [self._drawing.drawn[name].node for name in task.upstream_task_ids if self._is_drawn_setup(name)]
            self._drawing.build.change(node, join=rule_holds(TEARDOWN_RULE, direct, ran), after=direct, final=True)
        elif rule == "all_success" or not direct:
            return
        else:
            extra = set(self._drawing.build.nodes[node].upstream()) - set(direct)
            if rule in RULES and not extra and not needed:
                self._drawing.build.change(node, join=rule)
            elif rule in NEED_NAME:
                self._gate(task, node, direct)
            else:
                held = rule_holds(rule, direct)
                for each in needed:
                    held = Apply("and", (held, rule_holds("all_success", (self._drawing.drawn[each.task_id].node,))))
                self._drawing.build.change(node, join=held, after=direct)

    def _is_drawn_setup(self, name: str) -> bool:
        return name in self._drawing.drawn and self._drawing.dag.task_dict[name].is_setup

    def _gate(self, task: BaseOperator, node: str, direct: tuple[str, ...]) -> None:
        """Let a rule be decided by a node of its own, where the node of the task has other things to wait for as well."""
        gate = self._gate_node(task)
        self._drawing.build.change(gate, after=direct, join=task.trigger_rule, decides=False)
        bindings = self._drawing.build.nodes[node].bindings
        optional = {name: _optional(each) for name, each in bindings.items()}
        self._drawing.build.change(node, bindings=optional, after=(gate,))

    def _gate_node(self, task: BaseOperator) -> str:
        with self._drawing.in_groups(task.task_group):
            ref = self._drawing.build.call(
                Task(passed, "passed"), Placing(name=f"{self._drawing.label(task)}.gate"), {}
            )
        node = self._drawing.added(ref)
        self._drawing.build.change(node, location=task.location)
        return node

    def _after_past(self, task: BaseOperator, node: str) -> None:
        """Let a task fail where it has to follow its like in the run before, and that did not succeed."""
        check = past_of(
            self._drawing.dag.dag_id,
            # where a task is several nodes, the last one tells how it ended
            [self._drawing.drawn[task.task_id].node],
            [each.task_id for each in task.downstream_list] if task.wait_for_downstream else [],
        )
        with self._drawing.in_groups(task.task_group):
            made = Task(check, "past", {"cache": False})
            logical = {"logical_date": self._drawing.ref(Parameter("logical_date"))}
            past = self._drawing.added(
                self._drawing.build.call(made, Placing(name=f"{self._drawing.label(task)}.past"), logical)
            )
        self._drawing.build.change(past, location=task.location)
        self._drawing.build.change(node, after=(*self._drawing.build.nodes[node].after, past))

    def _not_empty(self, node: str) -> Expression | None:
        """That there is something to map over: a task of no items is skipped."""
        each = self._drawing.build.nodes[node].each
        return None if each is None else _not_empty(each)

    def settle_group(self, group: TaskGroup, node: str) -> None:
        own = {task.task_id for task in group.tasks()}
        required = set(self._drawing.build.nodes[node].requirements())
        direct = dict.fromkeys(
            name
            for task in group.tasks()
            if task.upstream_task_ids - own
            for name in self._direct(task)
            if name != node
        )
        guards = [
            guard_of(task, lambda other: self._drawing.build.expression(self._drawing.pushed(other)))
            for task in group.roots
        ]
        guard = functools.reduce(_or, [each for each in guards if each is not None]) if guards and all(guards) else None
        decides = self._drawing.outer is not None or bool(own & self._drawing.decides)
        self._drawing.build.change(
            node,
            location=group.location,
            guard=_and(guard, self._not_empty(node)),
            decides=decides,
            after=tuple(name for name in direct if (name,) not in required),
        )

    def verdict(self) -> None:
        """A node that fails the run where one of the last tasks did, for which the other nodes cannot tell."""
        last = tuple(dict.fromkeys(self._node(task) for task in last_tasks(self._drawing.dag)))
        made = Task(failed_dag, "failed_dag", {"cache": False})
        node = self._drawing.added(
            self._drawing.build.call(made, Placing(name=f"{self._drawing.dag.dag_id}.verdict"), {})
        )
        self._drawing.build.change(node, after=last, join=any_failed(last), location=self._drawing.dag.location)

    def _node(self, task: BaseOperator) -> str:
        unit = self._drawing.unit(task)
        return self._drawing.drawn[unit].node if isinstance(unit, str) else self._drawing.groups[unit.group_id]


def _may_fail_run(task: BaseOperator) -> bool:
    return not task.is_teardown or task.on_failure_fail_dagrun


def _and(one: Expression | None, other: Expression | None) -> Expression | None:
    if one is None or other is None:
        return one if other is None else other
    return Apply("and", (one, other))


def _or(one: Expression, other: Expression) -> Expression:
    return Apply("or", (one, other))


def _optional(expression: Expression) -> Expression:
    return expression if isinstance(expression, (Constant, Parameter, Choose)) else Choose((expression, Constant(None)))


def _not_empty(each: Each) -> Expression | None:
    found: Expression | None = None
    for over in each.over.values():
        if isinstance(over, Constant):
            known = None if over.value else Constant(False)
        elif isinstance(over, MappingExpression) or hasattr(over, "items"):
            known = None
        else:
            known = over
        found = _and(found, known)
    return found


__all__ = ["Settling"]
