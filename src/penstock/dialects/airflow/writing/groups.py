"""What stands in a DAG or a task group: calls of tasks, in their groups, behind what decides whether they run."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from penstock.dialects.airflow.writing.bodies import Bodies
from penstock.dialects.airflow.writing.steps import Steps
from penstock.dialects.airflow.writing.terms import Terms, choices_in, task_id
from penstock.dialects.code.formatting import block, call, quoted
from penstock.dialects.code.guards import Branch, branched, levels
from penstock.dialects.code.naming import identifier
from penstock.dialects.code.nesting import Nest, nested
from penstock.dialects.code.scopes import scopes_of
from penstock.errors import DefinitionError
from penstock.model.action import ApprovalAction
from penstock.model.expression import Choose, Constant, Ended, Expression, Outcome, Output, leaves, parts, references
from penstock.model.graph import Node, PipelineAction, Task

if TYPE_CHECKING:
    from penstock.dialects.airflow.writing.dags import Writer

#: rules by which a task runs, or ends well, though what is before it has failed
_TOLERANT = frozenset({"all_done", "always", "all_failed", "one_failed", "one_done", "one_success"})


class Emitter:
    """The lines of a DAG, or of a task group that is a body."""

    def __init__(self, writer: Writer, nodes: Sequence[Node], terms: Terms, *, mapped: bool = False) -> None:
        self._writer = writer
        self._nodes = {node.id: node for node in nodes}
        self._terms = terms
        self._mapped = mapped
        self._steps = Steps(writer, terms)
        self._bodies = Bodies(writer, terms, self._steps)
        #: groups cannot be in one piece, and are a part of the ids of tasks alone
        self._flat = False

    def lines(self, result: Expression) -> list[str]:
        """All statements."""
        nodes = list(self._nodes.values())
        tree = nested(nodes, scopes=False)
        if tree is None:
            # the ids of tasks have the names of groups in them all the same
            tree = nested(nodes, scopes=False, groups=False)
            self._flat = True
        assert tree is not None
        lines, _ = self._inside(tree)
        lines += self._torn_down(nodes)
        self._terms.node = "the result"
        lines += self._chosen([result])
        if result != Constant(None):
            lines += self._returned(result)
        return _unassigned(lines) or ["pass"]

    def _returned(self, result: Expression) -> list[str]:
        # what a mapped group returns is a list only where it is the output of a task
        single = not self._mapped or isinstance(result, (Output, Choose))
        if single and (self._terms.is_direct(result) or self._is_whole(result)):
            return [f"return {self._terms.argument(result)}"]
        text = self._steps.computed("result", "result", result, "")
        return [f"return {text}"]

    def _is_whole(self, result: Expression) -> bool:
        """Whether a result can be handed on as it is, with that of mapped tasks in it."""
        if isinstance(result, Output):
            node = self._nodes[result.node]
            return result.port is None and (node.each is None or self._terms.text(result).startswith("list("))
        inside = parts(result)
        kind = type(result).__name__
        return kind in ("Sequence", "Mapping", "Constant", "Parameter") and all(map(self._is_whole, inside))

    # Groups and branches.

    def _inside(self, nest: Nest) -> tuple[list[str], list[str]]:
        """The lines of what is in a group, and the ids of the tasks in it that a gate has to let through."""
        return self._branches(branched(nest.children, self._guard))

    def _guard(self, child: Nest | Node) -> tuple[Any, ...]:
        return levels(child.guard) if isinstance(child, Node) else ()

    def _branches(self, items: Sequence[Any]) -> tuple[list[str], list[str]]:
        lines: list[str] = []
        entries: list[str] = []
        chain: list[Branch] = []
        for item in items:
            if isinstance(item, Branch):
                if item.kind == "if":
                    self._close(chain, lines, entries)
                    chain = []
                chain.append(item)
                continue
            self._close(chain, lines, entries)
            chain = []
            found, own = self._child(item)
            lines += found
            entries += own
        self._close(chain, lines, entries)
        return lines, entries

    def _close(self, chain: Sequence[Branch], lines: list[str], entries: list[str]) -> None:
        """Write a chain of branches, and the task that chooses between them."""
        if not chain:
            return
        inside = [self._branches(branch.inside) for branch in chain]
        conditions = [branch.condition for branch in chain if branch.condition is not None]
        lines += self._chosen(conditions)
        first = self._leading(chain[0])
        kind = "branch" if len(chain) > 1 else "check"
        name = identifier(f"{kind}_{first.rpartition('/')[2]}")
        self._terms.node = "a condition"
        arms = [
            (None if branch.condition is None else self._terms.text(branch.condition), own)
            for branch, (_, own) in zip(chain, inside, strict=True)
        ]
        gate = self._steps.gate(name, arms, conditions, self._prefix(first), self._waited(conditions))
        lines.append(f"{gate.variable} = {gate.call}")
        lines += gate.order
        for found, _ in inside:
            lines += found
        targets = [self._variable(each) for _, own in inside for each in own]
        lines.append(
            f"{gate.variable} >> [{', '.join(targets)}]" if len(targets) != 1 else f"{gate.variable} >> {targets[0]}"
        )
        self._steps.variables[f"{self._prefix(first)}{name}"] = gate.variable
        entries.append(f"{self._prefix(first)}{name}")

    def _leading(self, branch: Branch) -> str:
        item = branch.inside[0]
        if isinstance(item, Branch):
            return self._leading(item)
        return item.id if isinstance(item, Node) else next(iter(item.nodes())).id

    def _prefix(self, node: str) -> str:
        group = node.rpartition("/")[0]
        return f"{task_id(group)}." if group else ""

    def _variable(self, entry: str) -> str:
        """The variable of a task, by its id."""
        known = self._steps.variables.get(entry)
        return known or next(self._terms.variables[name] for name in self._nodes if task_id(name) == entry)

    def _waited(self, conditions: Sequence[Expression]) -> list[str]:
        """The nodes whose ends conditions ask for."""
        found = [leaf.node for each in conditions for leaf in leaves(each) if isinstance(leaf, Ended)]
        return [self._terms.variables[name] for name in dict.fromkeys(found)]

    def _child(self, child: Nest | Node) -> tuple[list[str], list[str]]:
        if isinstance(child, Node):
            return self._node(child), [task_id(child.id)]
        lines, entries = self._inside(child)
        group = call(self._writer.sdk("TaskGroup"), [f"group_id={quoted(task_id(str(child.step)))}"])
        return [f"with {group}:", *block(lines)], entries

    def _torn_down(self, nodes: Sequence[Node]) -> list[str]:
        """The lines that say which tasks set up and take down, and after what."""
        lines: list[str] = []
        variables = self._terms.variables
        for scope in scopes_of(nodes):
            read = {name for each in nodes if each.id in scope.body for name in each.upstream()}
            last = [variables[name] for name in scope.body if name not in read]
            setups = [variables[name] for name in scope.setup]
            given = f"setups=[{', '.join(setups)}]" if len(setups) > 1 else f"setups={setups[0]}" if setups else ""
            for name in scope.teardown:
                lines.append(f"{variables[name]}.as_teardown({given})")
                if last:
                    before = f"[{', '.join(last)}]" if len(last) > 1 else last[0]
                    lines.append(f"{before} >> {variables[name]}")
        return lines

    # Nodes.

    def _node(self, node: Node) -> list[str]:
        terms = self._terms
        terms.node = node.id
        self._check(node)
        over: dict[str, Expression] = {} if node.each is None else node.each.over
        listed = [*node.bindings.values(), *over.values()]
        lines = self._chosen(listed)
        task = self._writer.graph.task_of(node)
        options = self._options(node, task)
        variable = terms.variables[node.id]
        order = self._order(node)
        gate = self._joined(node, options)
        if isinstance(task.action, PipelineAction):
            return [*lines, *self._bodies.lines(node, task, task.action, order, nested=self._mapped)]
        if isinstance(task.action, ApprovalAction):
            text = self._steps.approval(node, task.action, options)
        else:
            if node.each is not None and self._mapped:
                raise DefinitionError(
                    f"{node.id!r} is mapped inside a body that is mapped, which Airflow does not do",
                    where=str(node.location),
                    remedy="Map over the combinations at once: .product(...), or a list of dicts with .map_kwargs(...).",
                )
            text = self._steps.called(node, task, options)
        lines.append(f"{variable} = {text}")
        lines += [f"{each} >> {variable}" for each in order]
        return [*lines, *gate]

    def _check(self, node: Node) -> None:
        if any(isinstance(leaf, Outcome) for each in node.bindings.values() for leaf in leaves(each)):
            raise DefinitionError(
                f"{node.id!r} takes penstock's Outcome of other tasks, which Airflow does not have",
                where=str(node.location),
                remedy="Let it take nothing.",
            )
        if node.each is not None and node.each.failure_threshold:
            raise DefinitionError(
                f"{node.id!r} goes on though some of its items have failed, which Airflow does not do",
                where=str(node.location),
                remedy="Leave out failure_threshold, and catch what may be raised inside the task.",
            )

    def _options(self, node: Node, task: Task) -> dict[str, str]:
        options: dict[str, str] = {"task_id": quoted(task_id(node.id if self._flat else node.id.rpartition("/")[2]))}
        rule = node.join
        if isinstance(rule, str) and rule != "all_success" and not (node.final and not node.decides):
            options["trigger_rule"] = quoted(rule)
            if rule in _TOLERANT:
                self._writer.tolerates()
        if node.each is not None and node.each.max_parallel is not None:
            options["max_active_tis_per_dagrun"] = repr(node.each.max_parallel)
        return options

    def _order(self, node: Node) -> list[str]:
        """The variables of what a node waits for though no data flows."""
        if node.final and not node.decides:
            return []
        waited = [self._terms.variables[name] for name in node.after]
        return list(dict.fromkeys([*waited, *self._waited(list(node.bindings.values()))]))

    def _joined(self, node: Node, options: dict[str, str]) -> list[str]:
        """The lines of a task that decides by how others ended whether a node runs."""
        if isinstance(node.join, str) or (node.final and not node.decides):
            return []
        self._writer.tolerates()
        options["trigger_rule"] = quoted("all_done")
        name = identifier(f"check_{node.id.rpartition('/')[2]}")
        gate = self._steps.gate(name, [(self._terms.text(node.join), [])], [node.join], "", self._waited([node.join]))
        return [f"{gate.variable} = {gate.call}", *gate.order, f"{gate.variable} >> {self._terms.variables[node.id]}"]

    def _chosen(self, expressions: Sequence[Expression]) -> list[str]:
        """The tasks that make the choices in some expressions."""
        lines: list[str] = []
        for choice in (each for expression in expressions for each in choices_in(expression)):
            if any(known == choice for known, _ in self._terms.choices):
                continue
            lines.append(self._choice(choice))
        return lines

    def _choice(self, choice: Choose) -> str:
        number = len(self._terms.choices) + 1
        name = "chosen" if number == 1 else f"chosen_{number}"
        text = ""
        for option in choice.options:
            names = list(dict.fromkeys(references(option)))
            if option is choice.options[-1] or not names:
                text += self._terms.text(option)
                break
            test = " and ".join(f"{self._terms.variables[each]} is not None" for each in names)
            text += f"{self._terms.text(option)} if {test} else "
        rule = "none_failed_min_one_success"
        if any(not list(references(option)) for option in choice.options):
            rule = "all_done"
        found = self._steps.expression(name, name, text, self._reads(choice), {"trigger_rule": quoted(rule)})
        self._terms.choices.append((choice, found.variable))
        return f"{found.variable} = {found.call}"

    def _reads(self, choice: Choose) -> dict[str, str]:
        found: dict[str, str] = {}
        for option in choice.options:
            found |= self._terms.read(option)
        return found


def _unassigned(lines: Sequence[str]) -> list[str]:
    """The same lines, without variables that nothing reads."""
    tree = ast.parse("\n".join(lines))
    read = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    found: list[str] = []
    for line in lines:
        match = re.match(r"(\s*)([A-Za-z_]\w*) = (.*)", line)
        found.append(line if match is None or match[2] in read else f"{match[1]}{match[3]}")
    return found


__all__ = ["Emitter"]
