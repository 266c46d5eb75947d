"""What the driver prepares of a node: once for all of its instances and items, and for each of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from typing import Any, NamedTuple, cast

from penstock.authoring.options.caching import CacheKey
from penstock.authoring.options.hooks import Attached
from penstock.errors import OutputError
from penstock.kernel.state import Frame, NodeProgress, Phase, RunProgress
from penstock.model.action import ApprovalAction
from penstock.model.graph import PipelineAction, Port
from penstock.model.graph import Task as TaskNoun
from penstock.model.value import Argument, Collection, Record
from penstock.model.work import Code, Work
from penstock.runtime.driving.contents import CodeOf, no_code
from penstock.runtime.driving.fingerprints import Fingerprints, Recipe
from penstock.runtime.driving.ledger import Ledger
from penstock.runtime.inputs.fanout import Fan, fan_of
from penstock.runtime.inputs.outcomes import outcome_of
from penstock.runtime.inputs.resolve import Elements, Place, Resolver, varies
from penstock.values import Values

#: a node, or an item of one (-1 for a node that is not mapped)
Cell = tuple[str, int]


def is_at(progress: NodeProgress, item: int, phase: Phase) -> bool:
    """Whether a node, or an item of it, is in a phase."""
    items = progress.items
    return (progress.phase if items is None or item < 0 else items.phases[item]) == phase


class TaskCode(NamedTuple):
    """What the driver knows of a task's function: how a worker gets it, and its identity."""

    code: Code
    identity: bytes
    #: the class that several outputs make up, as `module:qualname`; empty where there is none
    record: str
    #: asks an exception whether to repeat the attempt
    retry_if: Code | None = None
    #: workers run other code than that of the identity: files were edited after this process had loaded them, or
    #: variables of modules were set here from outside
    stale: bool = False


class Prepared(NamedTuple):
    """One attempt to come: its inputs that vary, and what it would be found under in the cache."""

    inputs: dict[str, Argument]
    fingerprint: bytes | None


class Template:
    """What all instances and items of a node have in common; where it is `shared`, all nodes that are alike. Approvals and
    bodies have no work."""

    __slots__ = ("fallback", "fixed", "question", "recipe", "refresh", "shared", "task", "varying", "work")

    def __init__(self, task: TaskNoun, fixed: dict[str, Argument], varying: Sequence[str], *, shared: bool) -> None:
        self.task = task
        self.shared = shared
        #: inputs that are the same everywhere
        self.fixed = fixed
        #: names of the other inputs
        self.varying = tuple(varying)
        self.work: Work | None = None
        #: what is done instead once the node has failed for good
        self.fallback: Work | None = None
        #: how fingerprints are made; None where the node may not be cached
        self.recipe: Recipe | None = None
        #: whether it is made anew, whatever is recorded
        self.refresh = False
        self.question = task.action if isinstance(task.action, ApprovalAction) else None


class Nodes:
    """Prepares nodes, items of them and the inputs of their bodies; each thing once.

    `number` in works counts on from the nodes of the graph, which go by their place in it. `attached` has the functions
    of nodes as a definition has them; without it, attempts are prepared without fingerprints. `code_of` tells the code
    of classes in values.
    """

    def __init__(
        self,
        run_id: str,
        run: RunProgress,
        tasks: Mapping[str, TaskCode],
        parameters: Mapping[str, Any],
        values: Values,
        ledger: Ledger,
        attached: Mapping[tuple[str, str], Attached] | None = None,
        code_of: CodeOf = no_code,
    ) -> None:
        self.resolver = Resolver(
            run,
            parameters,
            values,
            _Records(tasks),
            given=self.given,
            named=self._named,
            outcome=lambda frame, nodes: outcome_of(run, frame, nodes, ledger.faults, run_id),
        )
        self._run_id = run_id
        self.run = run
        self._tasks = tasks
        self._values = values
        self._ledger = ledger
        self._attached = attached
        self.code_of = code_of
        self.fingerprints = Fingerprints(values, self.resolver, self._key_of, code_of)
        self._numbers = {id(node): number for number, node in enumerate(run.graph.nodes)}
        self._further = count(len(run.graph.nodes))
        #: by the identity of the node, which the frames of a body share
        self._templates: dict[int, Template] = {}
        #: by what makes nodes alike
        self._shared: dict[tuple[Any, ...], Template] = {}
        self._fans: dict[str, Fan] = {}
        #: inputs of bodies that are under way, by the cell that they belong to
        self._given: dict[Cell, tuple[Frame, dict[str, Argument]]] = {}

    def name_of(self, number: int) -> str | None:
        """The node of the graph that a work is for, where it is for no others; None for other works."""
        nodes = self.run.graph.nodes
        return nodes[number].id if number < len(nodes) else None

    def template(self, progress: NodeProgress) -> Template:
        """What all instances of a node have in common. Raises what resolving its inputs raises."""
        known = self._templates.get(id(progress.node))
        if known is None:
            known = self._templates[id(progress.node)] = self._found(progress)
        return known

    def _found(self, progress: NodeProgress) -> Template:
        """The template of a node, which may have been made for another one."""
        alike = self._alike(progress)
        if alike is None:
            return self._made(progress)
        known = self._shared.get(alike)
        if known is None:
            known = self._shared[alike] = self._made(progress, shared=True)
        return known

    def _alike(self, progress: NodeProgress) -> tuple[Any, ...] | None:
        """What nodes of the graph that share a template agree in; None for a node that has its own. A loop of calls makes
        many that do."""
        node = progress.node
        if id(node) not in self._numbers or not (node.each is node.loop is node.wait is node.fallback is None):
            return None
        if isinstance(self.run.tasks[node.task].action, (PipelineAction, ApprovalAction)):
            return None
        # the calls in a loop have the very same policy
        return node.task, id(node.policy), node.join, *node.bindings

    def fan(self, progress: NodeProgress) -> Fan:
        """The iterables of a mapped node. Raises what resolving them raises."""
        known = self._fans.get(progress.id)
        if known is None:
            known = self._fans[progress.id] = fan_of(progress, self.resolver, self._values, self._ledger.yields)
        return known

    def place(self, progress: NodeProgress, item: int) -> Place:
        """Where the inputs of a node or an item are evaluated."""
        elements: Elements = {} if progress.node.each is None else self.fan(progress).elements(item)
        return Place(progress.frame, elements, progress.node.join != "all_success")

    def prepared(self, progress: NodeProgress, template: Template, item: int) -> Prepared:
        """The inputs and the fingerprint of a node or an item. Raises what resolving them raises."""
        inputs = self._inputs(progress, template, item)
        recipe = template.recipe
        if recipe is None:
            return Prepared(inputs, None)
        if recipe.plain and not self._values.unhashed:
            return Prepared(inputs, recipe.fingerprint(inputs))
        return Prepared(inputs, self.fingerprints.of(progress, recipe, template.fixed, inputs))

    def _inputs(self, progress: NodeProgress, template: Template, item: int) -> dict[str, Argument]:
        each = progress.node.each
        if not template.varying and (each is None or each.spread is None):
            return {}
        place = self.place(progress, item)
        inputs = self._resolved(progress, template.varying, place)
        if each is not None and each.spread is not None:
            inputs |= self._spread(progress, template.task, each.spread, place)
        return inputs

    def _resolved(self, progress: NodeProgress, names: Iterable[str], place: Place) -> dict[str, Argument]:
        bindings = progress.node.bindings
        resolve = self.resolver.optional if place.lax else self.resolver.argument
        inputs: dict[str, Argument] = {}
        name = ""
        try:
            for name in names:
                inputs[name] = resolve(bindings[name], place)
        except OutputError as error:
            raise OutputError(
                f"the input {name!r} of {progress.id} cannot be stored: {error.what}",
                where=str(progress.node.location),
                remedy="Make it inside the task, or pass what it is made from.",
            ) from None
        return inputs

    def _spread(self, progress: NodeProgress, task: TaskNoun, name: str, place: Place) -> dict[str, Argument]:
        """The inputs that an element consists of. Raises TypeError for one that does not fit the task."""
        element = self.resolver.element(place.elements[name])
        if isinstance(element, Collection) and element.kind == "dict":
            inputs = dict(zip(element.keys, element.items, strict=True))
        elif isinstance(element, Record):
            inputs = dict(zip(element.names, element.items, strict=True))
        else:
            value = self.resolver.load(element)
            if not isinstance(value, dict):
                raise TypeError(f"{progress.id} takes dicts of inputs, not {type(value).__name__}: {value!r:.80}")
            parts = cast("dict[Any, Any]", value)
            inputs = {str(key): self.resolver.element(part) for key, part in parts.items()}
        taken = {bound for bound in progress.node.bindings if bound != name}
        return _fitting(progress, task.inputs, taken, inputs)

    # Bodies.

    def given(self, frame: Frame, name: str) -> Argument:
        """What a body is given under a name: the binding of its node; in a later turn of a loop, what the turn before
        has carried on."""
        owner = frame.owner
        assert owner is not None
        cell = owner.id, frame.item
        known = self._given.get(cell)
        if known is None or known[0] is not frame:
            known = self._given[cell] = (frame, {})
        inputs = known[1]
        if name not in inputs:
            inputs[name] = self._given_now(owner, frame, name)
        return inputs[name]

    def _given_now(self, owner: NodeProgress, frame: Frame, name: str) -> Argument:
        loop = owner.node.loop
        if loop is not None and frame.previous is not None and name in loop.carry:
            key = loop.carry[name]
            return self.resolver.part(frame.previous[0], key, loop.attributes) if key else frame.previous[0]
        template = self.template(owner)
        if name in template.fixed:
            return template.fixed[name]
        place = self.place(owner, frame.item)
        each = owner.node.each
        if name in owner.node.bindings:
            return self._resolved(owner, (name,), place)[name]
        if each is not None and each.spread is not None:
            inputs = self._spread(owner, template.task, each.spread, place)
            if name in inputs:
                return inputs[name]
        raise LookupError(f"{owner.id} gives its body no input {name!r}")

    def forget(self, cell: Cell) -> None:
        """A body has ended, or a turn of it."""
        self._given.pop(cell, None)

    def _named(self, progress: NodeProgress) -> bool:
        each = progress.node.each
        if each is not None and each.key is None and progress.items is not None:
            return progress.items.keys is not None
        return self.fan(progress).named

    # Works.

    def _made(self, progress: NodeProgress, *, shared: bool = False) -> Template:
        node = progress.node
        task = self.run.tasks[node.task]
        in_body = progress.frame.owner is not None
        mapped = node.each is not None
        varying = [
            name
            for name, value in node.bindings.items()
            if shared or ((mapped or in_body) and varies(value, in_body=in_body))
        ]
        place = Place(progress.frame, lax=node.join != "all_success")
        fixed = self._resolved(progress, [name for name in node.bindings if name not in varying], place)
        made = Template(task, fixed, varying, shared=shared)
        if isinstance(task.action, (PipelineAction, ApprovalAction)):
            return made
        number = self._numbers.get(id(node))
        made.work = self._work(progress, node.task, fixed, next(self._further) if number is None else number)
        if node.fallback is not None and node.fallback.task is not None:
            made.fallback = self._work(progress, node.fallback.task, fixed, next(self._further))
        if self._attached is not None and node.policy.cache and node.wait is None and not self.is_stale(progress):
            identity = self._tasks[node.task].identity
            made.refresh = node.policy.caching.refresh
            made.recipe = self.fingerprints.recipe(node, identity, task.environment, fixed, varying)
        return made

    def is_stale(self, progress: NodeProgress) -> bool:
        """Whether workers run other code than that which is known here, so that no fingerprint would hold."""
        return self._tasks[progress.node.task].stale

    def identity(self, progress: NodeProgress) -> bytes | None:
        """The digest of the code of a node's task; None where there is none."""
        known = self._tasks.get(progress.node.task)
        return None if known is None else known.identity

    def _key_of(self, progress: NodeProgress) -> CacheKey:
        owner = progress.frame.owner
        assert self._attached is not None
        key = self._attached["" if owner is None else owner.node.task, progress.node.id].cache_key
        assert key is not None
        return key

    def _work(self, progress: NodeProgress, key: str, inputs: dict[str, Argument], number: int) -> Work:
        node, task, code = progress.node, self.run.tasks[key], self._tasks[key]
        return Work(
            number=number,
            run_id=self._run_id,
            node=node.id,
            task=task.name,
            code=code.code,
            ports=task.inputs,
            outputs=task.outputs,
            record=task.record,
            inputs=inputs,
            run_in=node.policy.run_in,
            timeout=node.policy.timeouts.attempt,
            retry_if=code.retry_if,
            waits=node.wait is not None,
            yields=task.yields,
            environment=task.environment,
            cpu=node.policy.resources.cpu,
            secrets=node.policy.secrets,
            allow_secrets=node.policy.allow_secrets,
        )


class _Records(Mapping[str, str]):
    """Task -> the class that its outputs make up; there may be more tasks as the run goes on."""

    def __init__(self, tasks: Mapping[str, TaskCode]) -> None:
        self._tasks = tasks

    def __getitem__(self, key: str) -> str:
        return self._tasks[key].record

    def __iter__(self) -> Any:
        return iter(self._tasks)

    def __len__(self) -> int:
        return len(self._tasks)


def _fitting(
    progress: NodeProgress, ports: Sequence[Port], taken: set[str], inputs: dict[str, Argument]
) -> dict[str, Argument]:
    """The same inputs, those that no port is for in the one that takes all others."""
    others = next((port.name for port in ports if port.kind == "kwargs" and port.name not in taken), None)
    names = {port.name for port in ports if port.kind not in ("args", "kwargs")}
    twice = sorted(taken & inputs.keys())
    unknown = [name for name in inputs if name not in names]
    missing = [
        port.name
        for port in ports
        if port.required and port.name in names and port.name not in taken and port.name not in inputs
    ]
    told = [
        *([f"{', '.join(twice)} given twice"] if twice else []),
        *([f"{', '.join(unknown)} unknown"] if unknown and others is None else []),
        *([f"{', '.join(missing)} missing"] if missing else []),
    ]
    if told:
        takes = ", ".join(sorted(names - taken))
        raise TypeError(f"{progress.id} takes {takes}, and of an item's inputs {'; '.join(told)}")
    if not unknown or others is None:
        return inputs
    rest = Collection("dict", tuple(inputs[name] for name in unknown), tuple(unknown))
    return {name: argument for name, argument in inputs.items() if name in names} | {others: rest}
