"""Graphs as DAG templates: one for a pipeline, and one for every body in it."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import Any, Literal, cast

from msgspec.structs import replace

from penstock.authoring.pipeline import Definition
from penstock.dialects import Account
from penstock.dialects.argo.attempts import asks_again
from penstock.dialects.argo.conditions import Conditions, Unsaid, Waiting, bare
from penstock.dialects.argo.containers import container, is_text
from penstock.dialects.argo.enclosing import STATUS, Tolerance, enclosed
from penstock.dialects.argo.pauses import ended, joined, suspended, unlimited
from penstock.dialects.argo.results import results
from penstock.dialects.argo.scripts import arguments_of, changes, container_fields, inputs_of, policy_fields, script
from penstock.dialects.argo.values import Value, text
from penstock.dialects.code.sources import Rules
from penstock.dialects.portable.attached import functions_lost
from penstock.dialects.portable.forms import FILES, Form, element_of, form_of
from penstock.dialects.portable.programs import Operand, Program, Writing, is_simple, skip_lost
from penstock.dialects.portable.rows import rows, rows_program
from penstock.errors import DefinitionError
from penstock.model.action import ContainerAction
from penstock.model.expression import (
    Apply,
    Choose,
    Constant,
    Expression,
    Input,
    Item,
    Outcome,
    Output,
    Parameter,
    Sequence,
    leaves,
    references,
)
from penstock.model.expression import Mapping as Mapped
from penstock.model.graph import Each, Node, PipelineAction, Task
from penstock.model.place import Location

_SCALAR = ("int", "float", "bool")
#: characters of a name, of the 128 that there may be, so that some can be added
LONGEST = 100


def name_of(wanted: str, taken: Collection[str]) -> str:
    """A name for a task or a template that no other has: letters, digits and hyphens, with a letter in front."""
    base = re.sub(r"[^A-Za-z0-9]+", "-", wanted)[:LONGEST].strip("-") or "task"
    base = f"task-{base}" if base[0].isdigit() else base
    name, count = base, 1
    while name in taken:
        count += 1
        name = f"{base}-{count}"
    return name


class Manifest:
    """The templates of one workflow."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.writing = Writing(definition, Rules("Argo Workflows"))
        self.templates: list[dict[str, Any]] = []
        self.accounts: list[Account] = []
        self._names: set[str] = set()

    def name(self, wanted: str) -> str:
        """A name for a template that no other has."""
        name = name_of(wanted, self._names)
        self._names.add(name)
        return name

    def add(self, template: dict[str, Any]) -> str:
        """Add a template. One that is there already is taken instead. Returns its name."""
        body = {key: each for key, each in template.items() if key != "name"}
        for known in self.templates:
            if {key: each for key, each in known.items() if key != "name"} == body:
                return known["name"]
        template["name"] = self.name(template["name"])
        self.templates.append(template)
        return template["name"]


class Dag:
    """One graph. `inputs` are the values that a body is given, by name; `prefix` is before the ids of its nodes in
    messages and accounts, and `outcome` is what it results in."""

    def __init__(
        self,
        manifest: Manifest,
        nodes: tuple[Node, ...],
        inputs: Mapping[str, Value] | None = None,
        prefix: str = "",
        outcome: Expression | None = None,
    ) -> None:
        self.manifest, self.prefix = manifest, prefix
        self.outcome: Expression = outcome or Constant(None)
        self.inputs: Mapping[str, Value] = {} if inputs is None else inputs
        nodes, self.pauses = joined(nodes, manifest.definition.functions)
        self.nodes = {node.id: node for node in nodes}
        self.names: dict[str, str] = {}
        self.tasks: list[dict[str, Any]] = []
        for node in nodes:
            self._name(node.id)
        expressions = [self.outcome, *(each for node in nodes for each in node.expressions())]
        #: the nodes whose values are taken somewhere
        self.read = {name for each in expressions for name in references(each)}
        #: what of them is taken: all of it, or one of its outputs
        self.outputs = {leaf for each in expressions for leaf in leaves(each) if isinstance(leaf, Output)}
        self.tolerance = Tolerance(self.nodes)
        self.waiting = Waiting(self.nodes, self.names.__getitem__, self._may_be_empty)
        self.conditions = Conditions(self.value, self.status)

    def _name(self, wanted: str) -> str:
        name = self.names[wanted] = name_of(wanted, self.names.values())
        return name

    def template(self, name: str, *, stop: bool) -> dict[str, Any]:
        """The DAG as a template, with all its tasks written."""
        for node in self.nodes.values():
            self.add(node)
        self._current = None
        dag: dict[str, Any] = {"tasks": self.tasks}
        if not stop:
            dag["failFast"] = False
        self._dag = dag
        self.decide_together(lenient=any(node.join != "all_success" or node.final for node in self.nodes.values()))
        return {"name": name, **inputs_of(self.inputs), "dag": dag}

    def decide_together(self, *, lenient: bool) -> None:
        """Name all tasks as targets where some run though others failed: else only the last ones would decide."""
        if lenient or self.tolerance.aside or "target" in self._dag:
            aside = {self.names[node] for node in self.tolerance.aside}
            self._dag["target"] = " ".join(task["name"] for task in self.tasks if task["name"] not in aside)

    def status(self, node: str) -> str:
        """How a node ended, as an expression of Argo's."""
        name = self.names[node]
        if node in self.tolerance.enclosed:
            return f"tasks['{name}'].outputs.parameters['{STATUS}']"
        return f"tasks['{name}'].status"

    # Values.

    def task_of(self, node: Node) -> Task:
        return self.manifest.writing.tasks[node.task]

    def form(self, expression: Expression) -> Form:
        """The form of a value that is there as it is."""
        match expression:
            case Output(name, port):
                task = self.task_of(self.nodes[name])
                if isinstance(task.action, PipelineAction):
                    return "json"
                if port is None and task.record is not None:
                    plain = task.record == "dict" and all(form_of(each.type) not in FILES for each in task.outputs)
                    return "json" if plain else "pickle"
                return form_of(next((each.type for each in task.outputs if port in (None, each.name)), "Any"))
            case Parameter(name):
                ports = self.manifest.definition.graph.parameters
                found = form_of(next((each.type for each in ports if each.name == name), "Any"))
                return "json" if found in FILES else found
            case Input(name):
                return self.inputs[name].form
            case _:
                return "json"

    def value(self, expression: Expression) -> Value:
        """Where a value that is there as it is, is to be had."""
        match expression:
            case Parameter(name):
                form = self.form(expression)
                return Value(f"workflow.parameters['{name}']", "text" if form == "str" else "json", form)
            case Input(name) if name in self.inputs:
                return self.inputs[name]._replace(path=f"inputs.{_kind(self.inputs[name])}['{name}']", unless=None)
            case Output(name, port):
                return self._output(self.nodes[name], port)
            case Item(name):
                return self._item(name)
            case Choose(options):
                return self._chosen(options)
            case _:
                raise self.refuse("", f"takes {expression!r}", "Pass what it needs as the result of a task.")

    _current: Node | None = None
    _items: Mapping[str, Value] | None = None

    def _item(self, name: str) -> Value:
        assert self._items is not None
        return self._items[name]

    def _output(self, node: Node, port: str | None) -> Value:
        if node.id in self.pauses:
            return ended(self, node.id)
        name = self.names[node.id]
        form = self.form(Output(node.id, port))
        if node.each is not None:
            if form in FILES:
                raise self.refuse(
                    node.id, "is fanned out, and its results are no plain values", "Let it return JSON-able values."
                )
            path = f"tasks['{name}'].outputs.parameters['{port or 'result'}']"
            empty = (f"tasks['{name}'].status == 'Skipped'", "[]") if self._may_be_empty(node.id) else None
            found = Value(path, "each", "list", self._keys(node))
            return found if empty is None else found._replace(unless=(f"tasks['{name}'].status == 'Succeeded'", "[]"))
        if form in FILES:
            self._check_paths(node, port, form)
            output = "result" if port is None or self.task_of(node).record is None else port
            return Value(f"tasks['{name}'].outputs.artifacts['{output}']", "file", form)
        mode = "text" if is_text(self.task_of(node), port or "result") else "json"
        found = Value(f"tasks['{name}'].outputs.parameters['{port or 'result'}']", mode, form)
        if node.fallback is None and self._current is not None and self._may_be_missing(node):
            return found._replace(unless=(f"tasks['{name}'].status == 'Succeeded'", "null"))
        return found

    def _check_paths(self, node: Node, port: str | None, form: Form) -> None:
        types = [each.type for each in self.task_of(node).outputs if port in (None, each.name)]
        if form == "pickle" and any(re.search(r"\bPath\b", each) for each in types):
            raise self.refuse(
                node.id,
                "returns a path along with other values, and the file itself would stay behind",
                "Return the path alone, or take each of several outputs by itself.",
            )

    def _keys(self, node: Node) -> tuple[str, ...]:
        assert node.each is not None
        over = list(node.each.over.values())
        mapped = next((each for each in over if isinstance(each, Mapped)), None)
        if mapped is not None:
            return tuple(mapped.items)
        given = [each.value for each in over if isinstance(each, Constant)]
        keyed = next((cast("dict[str, Any]", each) for each in given if isinstance(each, dict)), None)
        return () if keyed is None else tuple(keyed)

    def _may_be_missing(self, node: Node) -> bool:
        """Whether the node that is being written may run though an output that it takes is not there."""
        assert self._current is not None
        join = self._current.join
        return join not in ("all_success", "none_skipped") and node.id in self._current.upstream()

    def _may_be_empty(self, node: str) -> bool:
        """Whether a fan-out may have no items at all; Argo then says that it was skipped."""
        each = self.nodes[node].each
        if each is None or self.nodes[node].guard is not None or self._is_enclosed(self.nodes[node]):
            return False
        return not all(isinstance(over, Constant) and over.value for over in each.over.values())

    def _is_enclosed(self, node: Node) -> bool:
        limited = node.each is not None and node.each.max_parallel is not None
        return limited or node.id in self.tolerance.enclosed

    def may_be_skipped(self, name: str) -> bool:
        """Whether a node may not run, though nothing that decides failed."""
        node = self.nodes[name]
        if node.guard is not None or not node.decides:
            return True
        return node.join not in ("all_done", "always") and any(map(self.may_be_skipped, node.upstream()))

    def _chosen(self, options: tuple[Expression, ...]) -> Value:
        if not all(is_simple(each) for each in options):
            raise self.refuse(
                "", "chooses between values that have to be computed", "Let tasks of the branches compute them."
            )
        *others, last = options
        found = self._option(last)
        modes = {found.mode}
        path = found.path if found.unless is None else f"({found.unless[0]} ? {found.path} : {text(found.unless[1])})"
        for option in reversed(others):
            names = list(references(option))
            value = self._option(option)
            modes.add(value.mode)
            tests = " && ".join(f"{self.status(name)} == 'Succeeded'" for name in names) or "true"
            path = f"({tests} ? {value.path} : {path})"
        if len(modes) > 1 or modes & {"file"}:
            raise self.refuse(
                "", "chooses between values of different kinds", "Let the branches return JSON-able values."
            )
        return Value(path[1:-1] if path.startswith("(") else path, found.mode, "json", computed=True)

    def _option(self, option: Expression) -> Value:
        if isinstance(option, Constant):
            return Value(text(json.dumps(option.value)), "json")
        found = self.value(option)
        return found._replace(unless=None) if isinstance(option, Output) else found

    def refuse(self, node: str, what: str, remedy: str) -> DefinitionError:
        name = node or ("" if self._current is None else self._current.id)
        where = self.nodes[name].location if name in self.nodes else None
        return self.manifest.writing.refuse(f"{self.prefix}{name}", what, remedy, None if where is None else str(where))

    def given(self, operands: tuple[Operand, ...]) -> dict[str, Value]:
        return {name: self.value(source) for name, source in operands}

    # Tasks.

    def add(self, node: Node) -> None:
        self._current, self._items = node, None
        try:
            self._add(node)
        except Unsaid as problem:
            raise self.refuse(node.id, f"is under a condition that takes {problem}", "Let a task decide.") from None

    def _add(self, node: Node) -> None:
        task: dict[str, Any] = {"name": self.names[node.id]}
        loop: dict[str, Any] = {}
        waits = self.waiting.of(node)
        condition, decider = self._condition(node)
        apart = self._is_enclosed(node)
        if decider:
            waits = " && ".join(each for each in (waits, f"{decider}.Succeeded") if each)
        if node.each is not None:
            loop, extra = self._fan(node, condition, folded=not apart)
            waits = " && ".join(each for each in (waits, f"{extra}.Succeeded" if extra else "") if each)
        template, arguments, waited = self._call(node)
        waits = " && ".join(each for each in (waits, *(f"{name}.Succeeded" for name in waited)) if each)
        task |= {"template": template, **arguments}
        if apart:
            task, loop = enclosed(self, node, task, loop), {}
        if waits:
            task["depends"] = bare(waits)
        if condition is not None and (node.each is None or apart):
            task["when"] = f"{{{{={bare(condition)}}}}}"
        self.tasks.append({**task, **loop})

    def _condition(self, node: Node) -> tuple[str | None, str]:
        """The condition of a node, and the task that decides it where Argo's expressions cannot say it."""
        tests = [self._succeeded(name) for name in node.upstream() if self._is_awaited(node, name)]
        decider = ""
        if node.guard is not None:
            try:
                tests.append(self.conditions.truth(node.guard))
            except Unsaid:
                whole = Apply("not", (Apply("not", (node.guard,)),))
                program = self.manifest.writing.computation(node.id, whole, self.nodes, node)
                decider = self.helper(f"{node.id} check", node, program)
                tests.append(f"tasks['{decider}'].outputs.parameters['result'] == 'true'")
        return " && ".join(tests) or None, decider

    def _is_awaited(self, node: Node, name: str) -> bool:
        """Whether a node does not run where another one failed whose failure decides nothing."""
        return name in self.tolerance.enclosed and node.join == "all_success"

    def _succeeded(self, name: str) -> str:
        return f"{self.status(name)} in ['Succeeded', 'Skipped']"

    def _call(self, node: Node) -> tuple[str, dict[str, Any], list[str]]:
        """The template of a node, the arguments that it is called with, and the tasks that compute some of them."""
        noun = self.task_of(node)
        if isinstance(noun.action, PipelineAction):
            return self._body(node, noun, noun.action)
        if node.id in self.pauses:
            return self._pause(node)
        if isinstance(noun.action, ContainerAction):
            made = container(self, node, noun.action)
            template, given = made
        else:
            asked = replace(node, wait=None) if asks_again(node) else node
            program = self.manifest.writing.program(asked, self._bindings(node, noun), self.nodes)
            given = self.given(program.operands)
            form, ports = self._left(node, noun)
            template = script(noun.name, program, given, form, ports, noun, node)
        self._account(node, noun, template)
        kind = "script" if "script" in template else "container"
        fields = container_fields(node.policy)
        env = template[kind].get("env", []) + fields.pop("env", [])
        template[kind] = {**template[kind], **fields, **({"env": env} if env else {})}
        template |= policy_fields(node, template)
        return self.manifest.add(template), arguments_of(given), []

    def _pause(self, node: Node) -> tuple[str, dict[str, Any], list[str]]:
        template, given = suspended(self, node)
        lost = unlimited(node, self.pauses[node.id])
        how = "it waits as long as it takes" if lost else "a suspend template"
        for name in (self.pauses[node.id].begin, node.id):
            self.manifest.accounts.append(Account(f"{self.prefix}{name}", "changed" if lost else "exact", how))
        return self.manifest.add(template), arguments_of(given), []

    def _left(self, node: Node, noun: Task) -> tuple[Form | Literal["unread"], dict[str, Form]]:
        """The form in which the script of a node leaves its value, and those of the parts that it leaves by themselves."""
        form = self.form(Output(node.id))
        if noun.record is None:
            return "unread" if form == "none" and node.id not in self.read else form, {}
        read = {each.port for each in self.outputs if each.node == node.id}
        ports: dict[str, Form] = {each.name: form_of(each.type) for each in noun.outputs}
        ports = {name: each for name, each in ports.items() if each not in FILES or name in read}
        # what holds a path is of no use in another container
        return "unread" if form in FILES and None not in read else form, ports

    def _bindings(self, node: Node, noun: Task) -> dict[str, Expression]:
        """What a node's inputs are bound to, those that the rows of a fan-out give included."""
        if node.each is None or node.each.spread is None or self._items is None:
            return node.bindings
        given = {port.name: Item(port.name) for port in noun.inputs if port.name in self._items}
        return {**given, **{name: each for name, each in node.bindings.items() if name != node.each.spread}}

    def _account(self, node: Node, noun: Task, template: dict[str, Any]) -> None:
        attached = functions_lost(self.manifest.definition, node)
        told = [*changes(node, template), *attached, skip_lost(noun), self._decision_lost(node)]
        changed = [each for each in told if each]
        kind = "container" if isinstance(noun.action, ContainerAction) else "script"
        how = f"a {kind} template" if not changed else "; ".join(changed)
        self.manifest.accounts.append(Account(f"{self.prefix}{node.id}", "changed" if changed else "equivalent", how))

    def _decision_lost(self, node: Node) -> str:
        return "its failure is a failure of the workflow" if node.id in self.tolerance.lost else ""

    # Fan-outs.

    def _fan(self, node: Node, guard: str | None, *, folded: bool) -> tuple[dict[str, Any], str]:
        """What a task says of its items, and the task that lists them, if there is one. `folded`: there are none where the
        guard does not hold."""
        condition = guard if folded else None
        each = node.each
        assert each is not None
        if each.failure_threshold:
            raise self.refuse(
                node.id, "may go on where some of its items fail", "Let the task itself return what failed."
            )
        over = {
            name: Sequence(tuple(source.items.values())) if isinstance(source, Mapped) else source
            for name, source in each.over.items()
        }
        each = replace(each, over=over)
        if any(self._is_dict(source) for source in over.values()):
            raise self.refuse(
                node.id, "is fanned out over a dict that is not known before", "Map over a list of pairs."
            )
        if each.key is not None:
            self.manifest.accounts.append(Account(f"{self.prefix}{node.id}", "changed", "items are called by number"))
        known = rows(self.manifest.writing, node, each)
        if known is not None:
            try:
                listed, self._items = _listed(each.over, known)
            except TypeError as problem:
                raise self.refuse(
                    node.id, f"is fanned out over values that are not plain: {problem}", "Map over JSON-able values."
                ) from None
            if condition is None:
                return {"withItems": listed}, ""
            told = json.dumps(listed)
            return {"withParam": f"{{{{={condition} ? {text(told)} : '[]'}}}}"}, ""
        (name, source), *others = each.over.items()
        if not others and each.spread is None and isinstance(source, (Output, Parameter, Input)):
            value = self.value(source)
            element = form_of(element_of(self._type(source)))
            if value.mode == "each" or (value.mode == "json" and element in (*_SCALAR, "str", "dict", "list")):
                mode = "text" if element == "str" and value.mode == "json" else "json"
                self._items = {name: Value("item", mode, "json" if value.mode == "each" else element)}
                path = f"({value.unless[0]} ? {value.path} : {text(value.unless[1])})" if value.unless else value.path
                if condition is None:
                    return {"withParam": value.argument}, ""
                return {"withParam": f"{{{{={condition} ? {path} : '[]'}}}}"}, ""
        return self._computed(node, each, guard)

    def _is_dict(self, source: Expression) -> bool:
        if not isinstance(source, (Output, Parameter, Input)):
            return False
        fanned = isinstance(source, Output) and self.nodes[source.node].each is not None
        return self.form(source) == "dict" and not fanned

    def _computed(self, node: Node, each: Each, condition: str | None) -> tuple[dict[str, Any], str]:
        """Items that a task of their own lists, each a dict of JSON texts."""
        if each.spread is not None:
            names = [name for name in (port.name for port in self.task_of(node).inputs) if name not in node.bindings]
        else:
            names = list(each.over)
        program = rows_program(self.manifest.writing, node, each, self.nodes)
        name = self.helper(f"{node.id} items", node, program, guarded=condition)
        self._items = {key: Value(f"item['{key}']", "json") for key in names}
        self._items |= {key: Value(f"item['{key}']", "json") for key in each.over}
        return {"withParam": f"{{{{tasks.{name}.outputs.parameters.result}}}}"}, name

    def helper(
        self, wanted: str, node: Node | None, program: Program, guarded: str | None = None, *, lenient: bool = False
    ) -> str:
        """Add a task that computes something for another, or for the result. Returns its name. `lenient`: of what was
        skipped it takes null."""
        if node is not None and guarded is None and any(isinstance(each.source, Item) for each in program.operands):
            raise self.refuse(node.id, "takes what is computed of each item", "Let the task that it calls compute it.")
        name = self._name(wanted)
        given = self.given(program.operands)
        skipped: set[str] = set()
        if lenient:
            for operand in program.operands:
                names = [each for each in references(operand.source) if self.may_be_skipped(each)]
                value = given[operand.name]
                if names and isinstance(operand.source, Output) and value.mode != "file":
                    skipped.update(names)
                    given[operand.name] = value._replace(unless=(f"{self.status(names[0])} == 'Succeeded'", "null"))
        template = self.manifest.add(script(wanted, program, given, "json", {}))
        task: dict[str, Any] = {"name": name, "template": template, **arguments_of(given)}
        if node is None:
            bindings = {operand.name: operand.source for operand in program.operands}
            node = Node(wanted, "", bindings, Location("", 0))
        waits = self.waiting.of(node, skipped)
        if waits:
            task["depends"] = waits
        if guarded is not None:
            task["when"] = f"{{{{={guarded}}}}}"
        self.tasks.append(task)
        return name

    def _type(self, source: Expression) -> str:
        match source:
            case Output(name, port):
                node = self.nodes[name]
                found = next((each.type for each in self.task_of(node).outputs if port in (None, each.name)), "Any")
                return f"list[{found}]" if node.each is not None else found
            case Parameter(name):
                ports = self.manifest.definition.graph.parameters
                return next((each.type for each in ports if each.name == name), "Any")
            case _:
                return "Any"

    # Bodies.

    def _body(self, node: Node, noun: Task, action: PipelineAction) -> tuple[str, dict[str, Any], list[str]]:
        if action.dynamic:
            raise self.refuse(
                node.id,
                f"has a body that uses the value of a result, at {action.location}",
                "Keep it in the graph: when(...), map(...), and tasks for the rest.",
            )
        if node.fallback is not None or node.wait is not None or node.policy.retries.count:
            raise self.refuse(node.id, "is a body with retries or a fallback", "Give them to the tasks in it.")
        given: dict[str, Value] = {}
        waited: list[str] = []
        for name, expression in node.bindings.items():
            if isinstance(expression, Outcome):
                raise self.refuse(node.id, "takes how other tasks ended, as a value", "Decide by join= or when(...).")
            if is_simple(expression) and not isinstance(expression, Constant):
                given[name] = self.value(expression)
                continue
            program = self.manifest.writing.computation(node.id, expression, self.nodes, node)
            made = self.helper(f"{node.id} {name}", node, program)
            waited.append(made)
            given[name] = Value(f"tasks['{made}'].outputs.parameters['result']", "json")
        template = body_template(self.manifest, node.task, action, given, f"{self.prefix}{node.id}/")
        attached = functions_lost(self.manifest.definition, node)
        changed = [each for each in (*changes(node, {}), *attached, self._decision_lost(node)) if each]
        if (node.policy.timeouts.attempt, node.policy.timeouts.total) != (None, None):
            changed.append("there is no limit of time for a DAG template")
        how = "; ".join(changed) or "a DAG template"
        self.manifest.accounts.append(Account(f"{self.prefix}{node.id}", "changed" if changed else "equivalent", how))
        if node.loop is not None:
            from penstock.dialects.argo.loops import looped

            template = looped(self, node, template, given)
            arguments = arguments_of(given)
            arguments.setdefault("arguments", {}).setdefault("parameters", []).append({"name": "turn", "value": "1"})
            return template, arguments, waited
        return template, arguments_of(given), waited


def body_template(
    manifest: Manifest, body: str, action: PipelineAction, given: Mapping[str, Value], prefix: str
) -> str:
    """The DAG template of a body, which is that of a task with this key. Returns its name."""
    dag = Dag(manifest, action.nodes, given, prefix, action.result)
    template = dag.template(manifest.writing.tasks[body].name, stop=False)
    template["outputs"] = results(dag)
    return manifest.add(template)


def _listed(over: Mapping[str, Expression], known: list[dict[str, Any]]) -> tuple[list[Any], dict[str, Value]]:
    """Items that are known, and where their parts are to be had."""
    if len(over) == 1 and all(len(row) == 1 for row in known):
        (name,) = {key for row in known for key in row} or over
        values = [row[name] for row in known]
        if all(isinstance(each, str) for each in values):
            return values, {name: Value("item", "text", "str")}
        if all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in values):
            return values, {name: Value("item", "json", "float")}
    names = dict.fromkeys([*over, *(key for row in known for key in row)])
    items = [{key: json.dumps(value) for key, value in row.items()} for row in known]
    return items, {name: Value(f"item['{name}']", "json") for name in names}


def _kind(value: Value) -> str:
    return "artifacts" if value.mode == "file" else "parameters"


__all__ = ["Dag", "Manifest", "body_template"]
