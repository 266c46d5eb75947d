"""A graph of penstock's as the steps of a pipeline of Kubeflow's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any, NamedTuple, cast

import msgspec

from penstock.dialects import Account
from penstock.dialects.code.parts import changed, rewritten
from penstock.dialects.kfp import structures as kfp
from penstock.dialects.kfp.writing_containers import container
from penstock.dialects.kfp.writing_programs import METRICS, Given, component, function_name
from penstock.dialects.kfp.writing_settings import changes, settings_of
from penstock.dialects.kfp.writing_shapes import (
    OPERATORS,
    SCALARS,
    as_it_is,
    base,
    constant,
    flat,
    form_of_expression,
    form_of_type,
    is_truth,
    parameter_form,
    prefix,
    text_or,
    whole,
)
from penstock.dialects.kfp.writing_shared import Shared
from penstock.dialects.portable.attached import functions_lost
from penstock.dialects.portable.forms import FILES, Form, element_of, form_of
from penstock.dialects.portable.programs import Operand, Program, is_simple, skip_lost
from penstock.dialects.portable.rows import rows, rows_program
from penstock.errors import DefinitionError
from penstock.model.action import ContainerAction
from penstock.model.expression import (
    Apply,
    Choose,
    Constant,
    Expression,
    Get,
    Input,
    Item,
    Outcome,
    Output,
    Parameter,
    describe,
    references,
)
from penstock.model.expression import Mapping as MappingExpression
from penstock.model.graph import Each, Node, PipelineAction, Task
from penstock.model.place import Location


class Rest(NamedTuple):
    """A node, and the conditions that it is under still."""

    node: Node
    conditions: tuple[Expression, ...]


class Steps:
    """One graph. `inputs` are what a body is given, by name; `prefix` is before the ids of its nodes in messages."""

    def __init__(
        self,
        shared: Shared,
        nodes: Iterable[Node],
        inputs: Mapping[str, Given] | None = None,
        prefix: str = "",
        result: Expression | None = None,
    ) -> None:
        self.shared, self.prefix = shared, prefix
        self.inputs: Mapping[str, Given] = {} if inputs is None else inputs
        #: nodes with several outputs that are taken as a whole somewhere, and of which others take parts then
        self.wholes: set[str] = set()
        self.part: Callable[[Expression], Expression | None] = as_it_is
        self.nodes = {node.id: node for node in self._unified(list(nodes), result or Constant(None))}
        #: node -> where its value is to be had
        self.results: dict[tuple[str, str | None], Given] = {}
        self.items: dict[str, Given] = {}
        self.names: dict[str, str] = {}
        self._current: Node | None = None

    def _unified(self, nodes: list[Node], result: Expression) -> list[Node]:
        """The nodes, with parts taken of what is taken as a whole as well."""
        records = {node.id: self.noun(node) for node in nodes if self.noun(node).record is not None}
        expressions = [result, *(each for node in nodes for each in node.expressions())]
        self.wholes = {name for each in expressions for name in whole(each) if name in records}
        if not self.wholes:
            return nodes

        def part(expression: Expression) -> Expression | None:
            if not isinstance(expression, Output) or expression.port is None or expression.node not in self.wholes:
                return None
            noun = records[expression.node]
            if noun.record == "tuple":
                number = [port.name for port in noun.outputs].index(expression.port)
                return Get(Output(expression.node), number)
            return Get(Output(expression.node), expression.port, noun.record != "dict")

        self.part = part
        return [changed(node, part) for node in nodes]

    # The order of things.

    def all(self) -> tuple[kfp.Step, ...]:
        """The steps of all nodes."""
        for node in self.nodes.values():
            self._check(node)
        rest = [Rest(node, self._conditions(node)) for node in self.nodes.values()]
        for each in rest:
            self._check_branches(each)
        return tuple(self._arranged(rest))

    def _check(self, node: Node) -> None:
        if node.final:
            raise self.refuse(
                node, "runs at the end of a scope", "Only handlers at the end of all tasks can be written."
            )
        if node.join not in ("all_success", "all_done", "always"):
            raise self.refuse(
                node,
                f"starts by the rule {node.join if isinstance(node.join, str) else describe(node.join)!r}",
                "There are all_success, and all_done for tasks that take no result.",
            )

    def _check_branches(self, rest: Rest) -> None:
        for names in rest.node.requirements():
            inside = self._conditions(self.nodes[names[0]])
            if len(names) == 1 and rest.conditions[: len(inside)] != inside:
                raise self.refuse(rest.node, "takes results of several branches that stand apart", "Nest the branches.")

    def is_conditional(self, expression: Expression) -> bool:
        """Whether a value is only there if some condition holds."""
        return bool(self._conditions(Node("", "", {"value": expression}, Location("", 0))))

    def _conditions(self, node: Node) -> tuple[Expression, ...]:
        """The conditions that a node is under, those of what it takes results of included."""
        found: dict[str, Expression] = {}
        for names in node.requirements():
            inherited = [self._conditions(self.nodes[name]) for name in names]
            common = inherited[0] if len(inherited) == 1 else prefix(inherited)
            found.update((repr(each), each) for each in common)
        if node.guard is not None:
            for each in flat(node.guard):
                found.setdefault(repr(each), each)
        return tuple(found.values())

    def _arranged(self, rest: Sequence[Rest]) -> list[kfp.Step]:
        """The steps of some nodes, those under one condition together, each after what it waits for."""
        units: dict[str, list[Rest]] = {}
        homes: dict[str, str] = {}
        for each in rest:
            unit = f"={each.node.id}" if not each.conditions else repr(base(each.conditions[0]))
            units.setdefault(unit, []).append(each)
            homes[each.node.id] = unit
        order: dict[str, set[str]] = {unit: set() for unit in units}
        for each in rest:
            ups = set(each.node.upstream())
            for condition in each.conditions:
                ups |= set(references(condition))
            order[homes[each.node.id]] |= {homes[name] for name in ups if name in homes} - {homes[each.node.id]}
        try:
            ordered = list(TopologicalSorter(order).static_order())
        except CycleError:
            raise self.refuse(
                rest[0].node, "is in a branch that is left and entered again", "Split the branch."
            ) from None
        steps: list[kfp.Step] = []
        for unit in ordered:
            members = units[unit]
            if members[0].conditions:
                steps += self._chain(members)
            else:
                steps += self.node(members[0].node)
        return steps

    def _chain(self, members: list[Rest]) -> list[kfp.Step]:
        """The branches of one condition."""
        before, branches = self._branches(members)
        name = "" if len(branches) == 1 else self.shared.group("condition-branches")
        return [*before, kfp.Branches(name, tuple(branches))]

    def _branches(self, members: list[Rest]) -> tuple[list[kfp.Step], list[kfp.Branch]]:
        first = base(members[0].conditions[0])
        holds = [each._replace(conditions=each.conditions[1:]) for each in members if each.conditions[0] == first]
        fails = [each._replace(conditions=each.conditions[1:]) for each in members if each.conditions[0] != first]
        before, condition = self._condition(first, members[0].node)
        if not holds:
            inverse = kfp.Logic("not", (condition,))
            return before, [kfp.Branch(self.shared.group("condition"), inverse, tuple(self._arranged(fails)))]
        branches = [kfp.Branch(self.shared.group("condition"), condition, tuple(self._arranged(holds)))]
        if not fails:
            return before, branches
        further = {repr(base(each.conditions[0])) for each in fails if each.conditions}
        if len(further) == 1 and all(each.conditions for each in fails):
            more, others = self._branches(fails)
            if isinstance(others[0].condition, kfp.Comparison):
                return before + more, branches + others
            inner: list[kfp.Step] = [
                *more,
                kfp.Branches("" if len(others) == 1 else self.shared.group("condition-branches"), tuple(others)),
            ]
            return before, [*branches, kfp.Branch(self.shared.group("condition"), None, tuple(inner))]
        return before, [*branches, kfp.Branch(self.shared.group("condition"), None, tuple(self._arranged(fails)))]

    def _condition(self, expression: Expression, node: Node) -> tuple[list[kfp.Step], kfp.Condition]:
        """A condition, and the steps that compute what Kubeflow cannot."""
        self._current = node
        if isinstance(expression, Apply) and expression.operator in OPERATORS:
            left, right = (self._compared(each) for each in expression.arguments)
            if left is not None and right is not None and not (constant(left) and constant(right)):
                operator = cast(Any, OPERATORS[expression.operator])
                return [], kfp.Comparison(operator, left, right)
        if isinstance(expression, (Output, Parameter, Input, Item)) and self.given(expression).form == "bool":
            return [], kfp.Comparison("==", self.given(expression).source, kfp.Constant(True))
        whole = expression if is_truth(expression) else Apply("not", (Apply("not", (expression,)),))
        program = self.shared.writing.computation(node.id, whole, self.nodes, node)
        made, result = self.computed("check", program, "bool")
        return made, kfp.Comparison("==", result.source, kfp.Constant(True))

    def _compared(self, expression: Expression) -> kfp.Source | None:
        if isinstance(expression, Constant):
            plain = isinstance(expression.value, (str, int, float)) and "'" not in str(expression.value)
            return kfp.Constant(expression.value) if plain else None
        if not is_simple(expression):
            return None
        given = self.given(expression)
        return given.source if given.form in SCALARS and not given.collected else None

    # Values.

    def given(self, expression: Expression) -> Given:
        """Where a value that is there as it is, is to be had."""
        match expression:
            case Parameter(name):
                port = next(each for each in self.shared.definition.graph.parameters if each.name == name)
                return Given(kfp.Given(name), parameter_form(port.type), port.type)
            case Input(name) if name in self.inputs:
                return self.inputs[name]
            case Item(name) if name in self.items:
                return self.items[name]
            case Output(name, port):
                found = self.results.get((name, port))
                if found is None:
                    raise self.refuse(
                        self._current,
                        f"takes the whole of what {name!r} returns, which has several outputs",
                        "Take its outputs one by one.",
                    )
                return found
            case Choose(options):
                return self._chosen(options)
            case _:
                raise self.refuse(
                    self._current, f"takes {type(expression).__name__.lower()}", "Pass it as a task's result."
                )

    def _chosen(self, options: tuple[Expression, ...]) -> Given:
        given = [self.given(each) for each in options if isinstance(each, Output)]
        if len(given) != len(options) or any(not isinstance(each.source, kfp.Produced) for each in given):
            raise self.refuse(
                self._current,
                "chooses between values that are not all results of branches",
                "Let each branch return it.",
            )
        if len({each.form for each in given}) > 1:
            raise self.refuse(
                self._current, "chooses between values of several types", "Let the branches return one type."
            )
        sources = tuple(cast(kfp.Produced, each.source) for each in given)
        return given[0]._replace(source=kfp.OneOf(sources))

    def refuse(self, node: Node | None, what: str, remedy: str) -> DefinitionError:
        name = "" if node is None else node.id
        where = None if node is None else str(node.location)
        return self.shared.writing.refuse(f"{self.prefix}{name}", what, remedy, where)

    def arguments(self, operands: tuple[Operand, ...]) -> dict[str, Given]:
        return {name: self.given(source) for name, source in operands}

    def computed(self, wanted: str, program: Program, form: Form) -> tuple[list[kfp.Step], Given]:
        """A task that computes something for others."""
        given = self.arguments(program.operands)
        made = self.shared.component(component(function_name(wanted), program, given, form, {}, None))
        name = self.shared.name(wanted)
        task = kfp.Task(name, made, {key: each.source for key, each in given.items()})
        return [task], Given(kfp.Produced(name), form, form)

    # Nodes.

    def node(self, node: Node) -> list[kfp.Step]:
        """The steps of one node."""
        self._current = node
        if node.each is not None:
            return self._loop(node, node.each)
        task = self._task(node)
        self._record(node, task)
        return self._with_bindings(node, task)

    _before: tuple[kfp.Step, ...] = ()

    def _with_bindings(self, node: Node, task: kfp.Task) -> list[kfp.Step]:
        before, self._before = self._before, ()
        return [*before, task]

    def noun(self, node: Node) -> Task:
        return self.shared.writing.tasks[node.task]

    def _task(self, node: Node, bindings: Mapping[str, Expression] | None = None) -> kfp.Task:
        noun = self.noun(node)
        bound = node.bindings if bindings is None else bindings
        name = self.names[node.id] = self.shared.name(node.id.rpartition("/")[2])
        after = self._after(node)
        if node.loop is not None:
            program = self.shared.writing.loop(node, bound)
            given = self.arguments(program.operands)
            made = component(function_name(noun.name), program, given, self._loop_form(node), {}, None)
            arguments = {key: each.source for key, each in given.items()}
        elif isinstance(noun.action, PipelineAction):
            made, arguments = self._body(node, noun, noun.action, bound)
        elif isinstance(noun.action, ContainerAction):
            made, given = container(self.shared.writing, node, noun.action, self.given)
            arguments = {key: each.source for key, each in given.items()}
        else:
            program = self.shared.writing.program(node, bound, self.nodes)
            given = self.arguments(program.operands)
            form, ports = self._outputs(node)
            if "metrics" in (*given, *ports) and any(f"{METRICS}(" in each for each in program.definitions):
                raise self.refuse(node, "logs metrics, and has a value called metrics", "Give that another name.")
            made = component(function_name(noun.name), program, given, form, ports, noun)
            arguments = {key: each.source for key, each in given.items()}
        settings = settings_of(node)
        if node.join != "all_success":
            if arguments:
                raise self.refuse(node, "may run though what it takes is not there", "Let it take no results.")
            settings = msgspec.structs.replace(settings, ignore_upstream_failure=True)
        self._account(node, noun)
        return kfp.Task(name, self.shared.component(made), arguments, after, settings, node.location)

    def _account(self, node: Node, noun: Task) -> None:
        told = [*changes(node), *functions_lost(self.shared.writing.definition, node), skip_lost(noun)]
        changed = [each for each in told if each]
        kind = "a pipeline" if isinstance(noun.action, PipelineAction) else "a component"
        how = "; ".join(changed) or kind
        self.shared.accounts.append(Account(f"{self.prefix}{node.id}", "changed" if changed else "equivalent", how))

    def _after(self, node: Node) -> tuple[str, ...]:
        found: list[str] = []
        for name in node.after:
            if self.nodes[name].each is not None:
                raise self.refuse(
                    node, f"waits for {name!r}, which is fanned out, and takes nothing of it", "Take its result."
                )
            found.append(self.names[name])
        return tuple(found)

    def _loop_form(self, node: Node) -> Form:
        """The form of what the turns of a loop result in."""
        action = self.noun(node).action
        assert isinstance(action, PipelineAction)
        inner = {each.id: self.noun(each) for each in action.nodes}
        if isinstance(action.result, Output) and action.result.port is None:
            noun = inner[action.result.node]
            found = form_of(noun.outputs[0].type) if noun.record is None and noun.outputs else "pickle"
            return "dict" if noun.record == "dict" else found
        return form_of_expression(action.result)

    def _outputs(self, node: Node) -> tuple[Form, dict[str, Form]]:
        """The form of a node's value, or of each of its outputs."""
        noun = self.noun(node)
        if noun.record is None:
            return (form_of(noun.outputs[0].type) if noun.outputs else "none"), {}
        ports: dict[str, Form] = {
            f"output_{each.name}" if each.name[:1].isdigit() else each.name: form_of(each.type) for each in noun.outputs
        }
        if node.id in self.wholes:
            if "path" in ports.values():
                raise self.refuse(
                    node, "hands on several outputs as a whole, and one is a file", "Hand them on singly."
                )
            return ("dict" if noun.record == "dict" and not FILES & {*ports.values()} else "pickle"), {}
        taken = next((name for name, each in ports.items() if each in FILES and name in node.bindings), None)
        if taken is not None:
            raise self.refuse(node, f"has an input and an output {taken!r}", "Give one of them another name.")
        return "json", ports

    def _record(self, node: Node, task: kfp.Task, *, collected: bool = False) -> None:
        """Note where the results of a node are to be had."""
        noun = self.noun(node)
        if node.loop is not None:
            form = self._loop_form(node)
            self._note(node.id, None, kfp.Produced(task.name), form, form, collected)
            return
        if isinstance(noun.action, PipelineAction):
            outputs = task.component.outputs
            if outputs:
                form = form_of_type(outputs[0].type)
                self._note(node.id, None, kfp.Produced(task.name, outputs[0].name), form, form, collected)
            return
        if isinstance(noun.action, ContainerAction):
            for port in noun.outputs:
                form = form_of(port.type)
                key = None if noun.record is None else port.name
                self._note(node.id, key, kfp.Produced(task.name, port.name), form, port.type, collected)
            return
        form, ports = self._outputs(node)
        if not ports:
            name = "result" if form in FILES else "Output"
            if form == "none":
                return
            self._note(node.id, None, kfp.Produced(task.name, name), form, noun.outputs[0].type, collected)
            if noun.record is None:
                self.results[node.id, noun.outputs[0].name] = self.results[node.id, None]
            return
        for port, (name, each) in zip(noun.outputs, ports.items(), strict=True):
            self._note(node.id, port.name, kfp.Produced(task.name, name), each, port.type, collected)

    def _note(self, node: str, port: str | None, source: kfp.Produced, form: Form, type: str, collected: bool) -> None:
        made: kfp.Source = kfp.Collected(source) if collected else source
        self.results[node, port] = Given(made, form, type, collected)

    # Fan-outs.

    def _loop(self, node: Node, each: Each) -> list[kfp.Step]:
        if each.failure_threshold:
            raise self.refuse(node, "may go on where some of its items fail", "Let the task itself return what failed.")
        if any(self._is_dict(over) for over in each.over.values()):
            raise self.refuse(node, "is fanned out over a dict", "Map over a list; results come as a list.")
        name = self.shared.group("for-loop")
        before, items = self._items(node, each, name)
        bindings = node.bindings
        if each.spread is not None:
            more = {port.name: Item(port.name) for port in self.noun(node).inputs if port.name in self.items}
            bindings = {**more, **{key: value for key, value in bindings.items() if key != each.spread}}
        plain = msgspec.structs.replace(node, after=())
        if node.after:
            raise self.refuse(
                node, "is fanned out, and waits for tasks that it takes nothing of", "Take their results."
            )
        action = self.noun(node).action
        if isinstance(action, PipelineAction):
            inner, result = self._inlined(plain, action, bindings)
            if result is not None:
                source = result.source
                if not isinstance(source, kfp.Produced):
                    raise self.refuse(node, "is a body that returns what it is given", "Let a task return it.")
                self._note(node.id, None, source, result.form, result.type, True)
            self._account(node, self.noun(node))
        else:
            task = self._task(plain, bindings)
            self._record(node, task, collected=True)
            inner = [task]
        return [*before, kfp.Loop(name, items, tuple(inner), each.max_parallel or 0, None, node.location)]

    def _is_dict(self, over: Expression) -> bool:
        if isinstance(over, Constant):
            return isinstance(over.value, dict)
        if isinstance(over, (Output, Parameter, Input)):
            given = self.given(over)
            return given.form == "dict" and not given.collected
        return isinstance(over, MappingExpression)

    def _items(self, node: Node, each: Each, loop: str) -> tuple[list[kfp.Step], kfp.Source]:
        """What a loop runs over, and the steps that list it where Kubeflow cannot."""
        self.items = {}
        known = rows(self.shared.writing, node, each)
        if known is not None:
            return [], self._known(node, each, known, loop)
        (name, source), *others = each.over.items()
        if not others and each.spread is None and is_simple(source):
            given = self.given(source)
            element = given.form if given.collected else form_of(element_of(given.type))
            if (given.collected or given.form == "list") and element in SCALARS:
                self.items[name] = Given(kfp.Item(loop), element, element)
                return [], given.source
        program = rows_program(self.shared.writing, node, each, self.nodes)
        steps, result = self.computed(f"{node.id.rpartition('/')[2]}-items", program, "list")
        names = list(each.over)
        if each.spread is not None:
            names = [port.name for port in self.noun(node).inputs if port.name not in node.bindings]
        self.items = {key: Given(kfp.Item(loop, (key,)), "json", "Any") for key in names}
        return steps, result.source

    def _known(self, node: Node, each: Each, known: list[dict[str, Any]], loop: str) -> kfp.Source:
        import json

        columns = {key for row in known for key in row}
        if each.spread is None:
            columns |= {*each.over}
        kinds: dict[str, set[Any]] = {key: {type(row[key]) for row in known if key in row} for key in columns}
        forms: dict[str, Form] = {}
        for key, found in kinds.items():
            (kind,) = found if len(found) == 1 else (None,)
            forms[key] = cast(Form, kind.__name__) if kind in (int, float, bool, str) else "json"
        if len({text_or(form) for form in forms.values()}) > 1:
            # the fields of an item are all of one type
            forms = {key: form if form == "str" else "json" for key, form in forms.items()}
        try:
            listed = [
                {key: json.dumps(value) if forms[key] == "json" else value for key, value in row.items()}
                for row in known
            ]
        except TypeError as problem:
            raise self.refuse(
                node, f"is fanned out over values that are not plain: {problem}", "Map over plain values."
            ) from None
        if len(columns) == 1 and each.spread is None:
            (key,) = columns
            self.items[key] = Given(kfp.Item(loop), forms[key], forms[key])
            return kfp.Constant([row[key] for row in listed])
        self.items = {key: Given(kfp.Item(loop, (key,)), forms[key], forms[key]) for key in columns}
        return kfp.Constant(listed)

    # Bodies.

    def _bound(self, node: Node, bindings: Mapping[str, Expression]) -> dict[str, Given]:
        """What the inputs of a body are given."""
        found: dict[str, Given] = {}
        for name, expression in bindings.items():
            if isinstance(expression, Outcome):
                raise self.refuse(node, "takes how other tasks ended", "Decide by join= or when(...).")
            if is_simple(expression) and not isinstance(expression, Constant):
                found[name] = self.given(expression)
                continue
            program = self.shared.writing.computation(node.id, expression, self.nodes, node)
            steps, found[name] = self.computed(
                f"{node.id.rpartition('/')[2]}-{name}", program, form_of_expression(expression)
            )
            self._before = (*self._before, *steps)
        return found

    def _inlined(
        self, node: Node, action: PipelineAction, bindings: Mapping[str, Expression]
    ) -> tuple[list[kfp.Step], Given | None]:
        """The steps of a body in a loop, and its result."""
        self._check_body(node, action)
        inner = Steps(self.shared, action.nodes, self._bound(node, bindings), f"{self.prefix}{node.id}/", action.result)
        before, self._before = self._before, ()
        steps = list(inner.all())
        more, result = inner.result(action.result, node.id)
        return [*before, *steps, *more], result

    def _check_body(self, node: Node, action: PipelineAction) -> None:
        if action.dynamic:
            raise self.refuse(
                node, f"has a body that uses the value of a result, at {action.location}", "Keep it in the graph."
            )
        if node.fallback is not None or node.policy.retries.count:
            raise self.refuse(node, "is a body with retries or a fallback", "Give them to the tasks in it.")

    def _body(
        self, node: Node, noun: Task, action: PipelineAction, bindings: Mapping[str, Expression]
    ) -> tuple[kfp.Component, dict[str, kfp.Source]]:
        """A body as a pipeline of its own."""
        self._check_body(node, action)
        bound = self._bound(node, bindings)
        inside = {name: given._replace(source=kfp.Given(name)) for name, given in bound.items()}
        inner = Steps(self.shared, action.nodes, inside, f"{self.prefix}{node.id}/", action.result)
        steps = inner.all()
        more, result = inner.result(action.result, node.id)
        outputs = {} if result is None else {"Output": result.source}
        made = kfp.Component(
            function_name(noun.name).replace("_", "-"),
            kfp.Graph((*steps, *more), outputs),
            tuple(kfp.Input(name, given.kind) for name, given in inside.items()),
            () if result is None else (kfp.Output("Output", result.kind),),
            location=action.location,
        )
        return made, {name: given.source for name, given in bound.items()}

    def result(self, expression: Expression, node: str) -> tuple[list[kfp.Step], Given | None]:
        """Where the result of the graph is to be had, and the steps that compute it."""
        self._current = None
        expression = rewritten(expression, self.part)
        if expression == Constant(None):
            return [], None
        if isinstance(expression, (Output, Choose)):
            found = self.given(expression)
            if found.form == "none":
                return [], None
            if not found.collected and found.form != "json":
                return [], found
        program = self.shared.writing.computation(node or "the result", expression, self.nodes)
        return self.computed(f"{node.rpartition('/')[2]}-result" if node else "result", program, self.form(expression))

    def form(self, expression: Expression) -> Form:
        """The form of what an expression results in, as far as it can be told."""
        if isinstance(expression, Output) and self.given(expression).collected:
            return "list"
        return form_of_expression(expression)


__all__ = ["Steps"]
