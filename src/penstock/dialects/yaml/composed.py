"""The graph of a file put into the one that is being made: as a whole, or as a part of another, with the pipelines that are
stages in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from penstock.authoring.bodies import close_body, make_body
from penstock.authoring.building import Building
from penstock.authoring.options.hooks import PIPELINE_EVENTS
from penstock.authoring.options.settings import Settings
from penstock.authoring.pipeline import Composition
from penstock.authoring.ref import Ref
from penstock.dialects.code.parts import rewritten
from penstock.model.expression import Constant, Expression, Input, Parameter, parts
from penstock.model.graph import Node, PipelineAction, Port
from penstock.model.graph import Task as Noun
from penstock.model.place import Location
from penstock.model.policy import RunPolicy

if TYPE_CHECKING:
    from penstock.dialects.yaml.document import Document


class Used(NamedTuple):
    """A stage that is a whole pipeline."""

    pipeline: Composition[..., Any]
    #: key of the task whose body it is in; empty for the pipeline of the file
    body: str
    node: str
    #: the key that stands for the pipeline among the tasks of the file
    key: str
    location: Location


def said_of_runs(settings: Settings) -> list[str]:
    """What a pipeline says of its runs, and not of what is in it."""
    policy, usual = settings.policy, RunPolicy()
    said = {
        "failure": policy.on_failure != usual.on_failure,
        "timeout": policy.timeout is not None,
        "concurrency": policy.concurrency is not None,
        "deadline": settings.deadline is not None,
        **{f"on_{event}": bool(getattr(settings.hooks, event)) for event in PIPELINE_EVENTS},
    }
    return [name for name, is_said in said.items() if is_said]


def place(document: Document, build: Building, given: Mapping[str, Any]) -> Expression:
    """Put the nodes of a file into a graph; `given` are its parameters, as values and refs. Returns what it results in."""
    parameters = {name: build.expression(value) for name, value in given.items()}
    own = all(each == Parameter(name) for name, each in parameters.items())
    moved = _Moved(document, build, {} if own else parameters)
    moved.place()
    return moved.expression(document.result)


class _Moved:
    """The nodes and tasks of a file under keys that are free, and with what is given in the place of its parameters."""

    def __init__(self, document: Document, build: Building, parameters: Mapping[str, Expression]) -> None:
        self._document = document
        self._build = build
        self._parameters = parameters
        stages = {each.key for each in document.used}
        self._keys = {
            key: self._known(key) or build.catalogue.reserve(key) for key in document.tasks if key not in stages
        }
        self._used = {(each.body, each.node): each for each in document.used}
        #: key of a body -> its inputs that stand for parameters, by the names of these
        self._inputs: dict[str, dict[str, str]] = {}

    def _known(self, key: str) -> str:
        """The key under which a task is there already; empty for one that is not."""
        task, catalogue = self._document.functions.get(key), self._build.catalogue
        same = self._document.predicates.get(key)
        for other, known in catalogue.functions.items() if task is not None else ():
            function = task is not None and known.function is task.function
            if (
                function
                and catalogue.tasks[other] == self._document.tasks[key]
                and catalogue.predicates.get(other) is same
            ):
                return other
        return ""

    def place(self) -> None:
        document, catalogue = self._document, self._build.catalogue
        for key, task in document.functions.items():
            catalogue.functions[self._keys[key]] = task
        for key, predicate in document.predicates.items():
            catalogue.predicates[self._keys[key]] = predicate
        for (body, node), attached in document.attached.items():
            catalogue.attached[self._keys[body] if body else self._build.body, node] = attached
        # bodies that others are in come after these, so that what they take for themselves is known
        for key in self._inside_out():
            catalogue.tasks[self._keys[key]] = self._task(key, document.tasks[key])
        self._build.nodes.update({each.id: self._node(each, "", self.expression) for each in document.nodes})

    def expression(self, expression: Expression) -> Expression:
        """An expression of the pipeline itself, with what is given in the place of its parameters."""
        return rewritten(expression, lambda part: _given(part, self._parameters))

    # Tasks.

    def _inside_out(self) -> Iterator[str]:
        done: set[str] = set()

        def visit(key: str) -> Iterator[str]:
            if key in done or key not in self._keys:
                return
            done.add(key)
            action = self._document.tasks[key].action
            for node in action.nodes if isinstance(action, PipelineAction) else ():
                yield from visit(node.task)
            yield key

        for key in self._document.tasks:
            yield from visit(key)

    def _task(self, key: str, noun: Noun) -> Noun:
        action = noun.action
        if not isinstance(action, PipelineAction):
            return noun
        inside = self._parameters_in(key, action, noun)

        def change(whole: Expression) -> Expression:
            return rewritten(whole, lambda part: _given(part, inside))

        nodes = tuple(self._node(each, key, change) for each in action.nodes)
        changed = msgspec.structs.replace(action, nodes=nodes, result=change(action.result))
        more = tuple(Port(name) for name in self._inputs[key].values())
        return msgspec.structs.replace(noun, action=changed, inputs=(*noun.inputs, *more))

    def _parameters_in(self, key: str, action: PipelineAction, noun: Noun) -> dict[str, Expression]:
        """What stands for parameters inside a body: what is known there, and inputs for what comes from around it."""
        open_ones = {name: each for name, each in self._parameters.items() if not _is_fixed(each)}
        taken = {port.name for port in noun.inputs}
        names: dict[str, str] = {}
        for name in open_ones:
            if name in self._read_in(action):
                own = name
                while own in taken:
                    own += "'"
                names[name] = own
        self._inputs[key] = names
        fixed = {name: each for name, each in self._parameters.items() if name not in open_ones}
        return fixed | {name: Input(own) for name, own in names.items()}

    def _read_in(self, action: PipelineAction) -> set[str]:
        """The parameters that a body reads, or one inside it."""
        found: set[str] = set()
        for node in action.nodes:
            found.update(name for each in _expressions(node) for name in _parameters_of(each))
            found.update(self._inputs.get(node.task, ()))
        return found | set(_parameters_of(action.result))

    # Nodes.

    def _node(self, node: Node, body: str, change: Callable[[Expression], Expression]) -> Node:
        used = self._used.get((body, node.id))
        key = node.task if used is not None else self._keys[node.task]
        bindings = {name: change(each) for name, each in node.bindings.items()}
        for name, own in self._inputs.get(node.task, {}).items():
            bindings[own] = change(Parameter(name))
        changed = msgspec.structs.replace(node, task=key, bindings=bindings)
        if node.guard is not None:
            changed = msgspec.structs.replace(changed, guard=change(node.guard))
        if not isinstance(node.join, str):
            changed = msgspec.structs.replace(changed, join=change(node.join))
        if node.each is not None:
            over = {name: change(each) for name, each in node.each.over.items()}
            each_key = None if node.each.key is None else change(node.each.key)
            changed = msgspec.structs.replace(changed, each=msgspec.structs.replace(node.each, over=over, key=each_key))
        if node.loop is not None and node.loop.until is not None:
            loop = msgspec.structs.replace(node.loop, until=change(node.loop.until))
            changed = msgspec.structs.replace(changed, loop=loop)
        if node.fallback is not None:
            task = None if node.fallback.task is None else self._keys[node.fallback.task]
            fallback = msgspec.structs.replace(node.fallback, task=task, value=change(node.fallback.value))
            changed = msgspec.structs.replace(changed, fallback=fallback)
        return changed if used is None else self._stage(used.pipeline, changed)

    def _stage(self, pipeline: Composition[..., Any], node: Node) -> Node:
        """A node that runs a whole pipeline."""
        carried = set[str]() if node.loop is None else set(node.loop.carry)
        known: dict[str, Any] = {}
        fixed: dict[str, Ref] = {}
        inputs: dict[str, Expression] = {}
        for name, each in node.bindings.items():
            if name not in carried and isinstance(each, Constant):
                known[name] = each.value
            elif name not in carried and _is_fixed(each):
                fixed[name] = Ref(each, self._build)
            else:
                inputs[name] = each
        varying = set[str]() if node.each is None or node.each.spread is None else set(pipeline.signature.kinds)
        known = pipeline.signature.resolve_part(known, (*fixed, *inputs, *varying), str(node.location))
        open_ones = (*inputs, *(name for name in varying if name not in {*known, *fixed, *inputs}))

        def arguments(inside: Building) -> dict[str, Any]:
            inside.inputs.update(open_ones)
            return {**known, **fixed, **{name: Ref(Input(name), inside) for name in open_ones}}

        made = make_body(self._build, pipeline.name, pipeline.body, arguments)
        bindings = close_body(self._build, made, pipeline.function, inputs)
        return msgspec.structs.replace(node, task=made.key, bindings=bindings)


def _given(part: Expression, parameters: Mapping[str, Expression]) -> Expression | None:
    return parameters.get(part.name) if isinstance(part, Parameter) else None


def _is_fixed(expression: Expression) -> bool:
    """Whether an expression only depends on parameters of the run and on constants."""
    inside = parts(expression)
    return isinstance(expression, (Constant, Parameter)) if not inside else all(map(_is_fixed, inside))


def _expressions(node: Node) -> Iterable[Expression]:
    """All expressions of a node."""
    yield from node.expressions()
    if node.each is not None and node.each.key is not None:
        yield node.each.key
    if node.loop is not None and node.loop.until is not None:
        yield node.loop.until
    if node.fallback is not None:
        yield node.fallback.value


def _parameters_of(expression: Expression) -> Iterator[str]:
    if isinstance(expression, Parameter):
        yield expression.name
    for part in parts(expression):
        yield from _parameters_of(part)


__all__ = ["Used", "place", "said_of_runs"]
