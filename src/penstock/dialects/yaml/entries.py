"""The nodes of a graph as the stages of a file."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import msgspec

from penstock.authoring.options.hooks import EVENTS, Attached, attached
from penstock.authoring.options.policy import policy_of
from penstock.authoring.pipeline import Definition
from penstock.authoring.source import nearby
from penstock.authoring.task import Task
from penstock.dialects.yaml.code import identifier, variables_of, without_variables
from penstock.dialects.yaml.dumping import Block, dumped
from penstock.dialects.yaml.inputs import write_expression, write_value
from penstock.dialects.yaml.literals import Unwritable
from penstock.dialects.yaml.names import Known, Names
from penstock.dialects.yaml.policies import Options, policy_from, write_policy
from penstock.dialects.yaml.programs import write_program
from penstock.dialects.yaml.references import found_again, reference_of
from penstock.dialects.yaml.source import read_source
from penstock.dialects.yaml.structs import write_length, write_struct
from penstock.dialects.yaml.tasks import known_of
from penstock.dialects.yaml.types import annotation
from penstock.errors import DefinitionError
from penstock.model.action import ApprovalAction, CommandAction, ContainerAction, PythonAction
from penstock.model.expression import Constant, Item
from penstock.model.graph import Each, Loop, Node, ParameterPort, PipelineAction, Port
from penstock.model.graph import Task as Noun
from penstock.model.policy import Policy

_NOUN = ("name", "inputs", "outputs", "record", "description", "yields", "asset")


def names_of(
    nodes: Iterable[Node],
    tasks: Mapping[str, Noun],
    parameters: Iterable[ParameterPort],
    functions: Mapping[str, Task[..., Any]] = {},
    inputs: Iterable[str] = (),
) -> Names:
    """What names the expressions of some nodes may use, as a reader would know them."""
    stages = {
        node.id: known_of(tasks[node.task], functions.get(node.task))._replace(mapped=node.each is not None)
        for node in nodes
        if node.task in tasks
    }
    return Names(stages, {port.name: _annotation(port.type) for port in parameters}, frozenset(inputs))


@functools.lru_cache(maxsize=256)
def _annotation(text: str) -> Any:
    try:
        return annotation(text, lambda name: Any)
    except (ValueError, TypeError):
        return Any


class Entries:
    """Writes the nodes of a definition."""

    def __init__(self, definition: Definition, stem: str) -> None:
        self._definition = definition
        self._tasks = definition.graph.tasks
        self._stem = stem
        self._parameters: tuple[ParameterPort, ...] = ()
        #: default key -> the key that has it
        self._keys: dict[str, str] = {}
        #: what is not as it was, by node
        self.changes: list[tuple[str, str]] = []

    def stages(self, nodes: Iterable[Node], parameters: tuple[ParameterPort, ...]) -> list[dict[str, Any]]:
        """The stages of the pipeline. Raises DefinitionError, naming the node, for what no file can say."""
        self._parameters = parameters
        nodes = tuple(nodes)
        names = names_of(nodes, self._tasks, parameters, self._definition.functions)
        return [self._stage(node, names, "") for node in nodes]

    def _stage(self, node: Node, names: Names, body: str) -> dict[str, Any]:
        try:
            return self._written(node, names, body)
        except Unwritable as unwritable:
            raise DefinitionError(
                f"{node.id} is given {unwritable}, which no file can hold",
                where=str(node.location),
                remedy="Make it in a task, or give it as a parameter.",
            ) from None

    def _written(self, node: Node, names: Names, body: str) -> dict[str, Any]:
        noun = self._tasks.get(node.task)
        if noun is None:
            raise DefinitionError(
                f"{node.id} calls the task {node.task!r}, which is not there", where=str(node.location)
            )
        inside = names if node.each is None else names.with_items(frozenset(node.each.over))
        entry: dict[str, Any] = {"name": node.id}
        entry.update(self._work(node.task, noun, node.id, node, inside))
        entry.update(self._order(node))
        entry.update(self._inputs(node, noun, names, inside))
        if node.guard is not None:
            entry["condition"] = write_expression(node.guard, names)
        if node.join != "all_success":
            entry["join"] = node.join if isinstance(node.join, str) else write_expression(node.join, names)
        if node.loop is not None:
            entry["repeat"] = self._repeat(node.loop, node, noun, names)
        task = self._found(node.task)
        if node.wait is not None and (task is None or task.wait != node.wait):
            entry["wait"] = write_struct(node.wait) or True
        entry.update(self._fallback(node, names))
        entry.update(self._policy(node, task, body))
        entry.update(self._attached(node, task, body))
        entry.update(self._cache_key(node, task, body, entry))
        if not node.decides:
            entry["decides"] = False
        if node.final:
            entry["final"] = True
        return entry

    def _order(self, node: Node) -> dict[str, Any]:
        bare = msgspec.structs.replace(node, after=())
        needed = {need[0] for need in bare.requirements() if len(need) == 1}
        if not node.after:
            return {}
        return {"after" if needed.intersection(node.after) else "depends_on": list(node.after)}

    # What it takes.

    def _inputs(self, node: Node, noun: Noun, names: Names, inside: Names) -> dict[str, Any]:
        found: dict[str, Any] = {}
        bindings = dict(node.bindings)
        each = node.each
        if each is not None:
            found["map"] = {name: write_value(value, names) for name, value in each.over.items()}
            options = self._each_options(each, inside)
            implied = each.spread is None and all(name in bindings for name in each.over)
            if implied:
                bindings = {
                    name: value for name, value in bindings.items() if name not in each.over or value != Item(name)
                }
            elif each.spread is None:
                options["bindings"] = "given"
            if options:
                found["map_options"] = options
        if bindings or (isinstance(noun.action, PythonAction) and noun.inputs):
            found["inputs"] = {name: write_value(value, inside) for name, value in bindings.items()}
        return found

    def _each_options(self, each: Each, names: Names) -> dict[str, Any]:
        found = write_struct(each, ("over", "key"))
        if each.key is not None:
            found["key"] = write_expression(each.key, names)
        return found

    def _repeat(self, loop: Loop, node: Node, noun: Noun, names: Names) -> dict[str, Any]:
        found = write_struct(loop, ("until",))
        if loop.until is not None and isinstance(noun.action, PipelineAction):
            inner = {each.id: Known(self._tasks[each.task]) for each in noun.action.nodes}
            inside = Names(inner, names.parameters, frozenset((*node.bindings, "result")))
            found["until"] = write_expression(loop.until, inside)
        return found

    def _fallback(self, node: Node, names: Names) -> dict[str, Any]:
        task = self._found(node.task)
        given = None if task is None else task.given.get("fallback", _NONE)
        if node.fallback is None:
            return {"fallback": None} if given is not _NONE and task is not None else {}
        if node.fallback.task is None:
            return {"fallback": {"value": write_value(node.fallback.value, names)}}
        key = node.fallback.task
        noun = self._tasks.get(key)
        if noun is None:
            raise DefinitionError(f"the fallback of {node.id} is {key!r}, which is not there", where=str(node.location))
        entry = self._work(key, noun, key, None, names)
        return {"fallback": entry["uses"] if list(entry) == ["uses"] else entry}

    # What it does.

    def _work(self, key: str, noun: Noun, name: str, node: Node | None, names: Names) -> dict[str, Any]:
        action = noun.action
        bindings = () if node is None else _in_order(node)
        tail = name.rpartition("/")[2]
        if isinstance(action, PythonAction):
            found, inferred = self._function(key, noun, name, node)
        elif isinstance(action, PipelineAction):
            found, inferred = self._body(action, noun, name, key, bindings)
        elif isinstance(action, (CommandAction, ContainerAction)):
            found = write_program(action)
            found.update(_near(found))
            ports = tuple(Port(each) for each in (*bindings,))
            inferred = Noun(tail, action, ports, noun.outputs, noun.record)
        elif isinstance(action, ApprovalAction):
            found = {"approve": _approval(action)}
            ports = tuple(Port(each) for each in bindings)
            inferred = Noun(tail, action, ports, (Port("result", "penstock.Approval"),), description=action.question)
        else:
            found = {"opaque": write_struct(action, ("location",))}
            inferred = Noun(tail, action, tuple(Port(each) for each in bindings), (Port("result", required=False),))
        return {**found, **self._noun(key, noun, inferred)}

    def _noun(self, key: str, noun: Noun, inferred: Noun) -> dict[str, Any]:
        changes = {
            field: msgspec.to_builtins(getattr(noun, field))
            for field in _NOUN
            if getattr(noun, field) != getattr(inferred, field)
        }
        if noun.asset is not None and "asset" in changes:
            changes["asset"] = write_struct(noun.asset, ("location",))
        own = isinstance(noun.action, PythonAction)
        if key != noun.name or (self._keys.setdefault(noun.name, key) != key) or (not own and self._is_shared(key)):
            changes = {"key": key, **changes}
        if not changes:
            return {}
        return {"task": key if list(changes) == ["key"] else changes}

    def _is_shared(self, key: str) -> bool:
        return sum(1 for node in self._all_nodes() if node.task == key) > 1

    def _all_nodes(self) -> Iterable[Node]:
        yield from self._definition.graph.nodes
        for noun in self._tasks.values():
            if isinstance(noun.action, PipelineAction):
                yield from noun.action.nodes

    def _function(self, key: str, noun: Noun, name: str, node: Node | None) -> tuple[dict[str, Any], Noun]:
        task = self._definition.functions.get(key)
        where = None if node is None else str(node.location)
        if task is None:
            raise DefinitionError(f"the function of {name} is not known, so that no file can name it", where=where)
        variables = variables_of(task.function)
        plain: Any = without_variables(task.function) if variables else task
        reference = reference_of(plain)
        action = cast(PythonAction, noun.action)
        if reference is None:
            raise DefinitionError(
                f"the function of {name}, {action.qualname} at {action.location}, is not at the top level of a module, and no "
                "file can name it",
                where=where,
                remedy="Move it to the top level of a module that can be imported.",
            )
        found: dict[str, Any] = {}
        if reference != f"{self._stem}:{identifier(name)}" or node is None:
            found["uses"] = reference
        known = self._found(key)
        inferred = (known or task).noun
        if noun.environment is not None and (known is None or known.given.get("environment") != noun.environment):
            found["environment"] = write_struct(noun.environment)
            if variables:
                found["environment"]["variables"] = dict(variables)
        elif variables:
            found["environment"] = dict(variables)
        return found, inferred

    def _found(self, key: str) -> Task[..., Any] | None:
        """The task that a reader would find for the function of one."""
        task = self._definition.functions.get(key)
        if task is None:
            return None
        plain: Any = without_variables(task.function) if variables_of(task.function) else task
        found = found_again(plain)
        if isinstance(found, Task):
            return cast("Task[..., Any]", found)
        return task if found is None else Task(found, found.__name__)

    def _body(
        self, action: PipelineAction, noun: Noun, name: str, key: str, bindings: tuple[str, ...]
    ) -> tuple[dict[str, Any], Noun]:
        if action.dynamic:
            raise DefinitionError(
                f"what {name} consists of appears while it runs, and a file has none of it",
                where=str(action.location),
                remedy="Keep branches and loops in the graph: when(...), task.map(...), repeat(...).",
            )
        names = names_of(action.nodes, self._tasks, self._parameters, self._definition.functions, bindings)
        found: dict[str, Any] = {"stages": [Block(self._stage(node, names, key)) for node in action.nodes]}
        if action.result != Constant(None):
            found["result"] = write_value(action.result, names)
        ports = tuple(Port(each) for each in bindings)
        return found, Noun(name, action, ports, (Port("result", required=False),))

    # How it is run.

    def _policy(self, node: Node, task: Task[..., Any] | None, body: str) -> dict[str, Any]:
        given: dict[str, Any] = {} if task is None else dict(task.given)
        noun = self._tasks[node.task]
        if isinstance(noun.action, ApprovalAction) or (
            node.wait is not None and (task is None or task.wait != node.wait)
        ):
            given["cache"] = False
        key = self._definition.attached.get((body, node.id), Attached()).cache_key
        if key is not None or "cache_key" in given:
            # see `_cache_key`
            given["cache_key"] = None if key is None else key.function
        asynchronous = task is not None and task.asynchronous
        given = {name: value for name, value in given.items() if name != "secrets"} if asynchronous else given

        def read(keys: Mapping[str, Any]) -> Policy | None:
            part = read_source(dumped(dict(keys)), "policy")
            options = Options(lambda name: name, lambda each: [str(Path(path).absolute()) for path in each.texts()])
            policy = policy_from(part, options.of(part.fields(), given), asynchronous=asynchronous)
            return None if part.problems.found else policy

        base = policy_of(given, asynchronous=asynchronous)
        found = write_policy(node.policy, base, read)
        cache = found.get("cache")
        if isinstance(cache, dict) and "reads" in cache:
            cast("dict[str, Any]", cache)["reads"] = [nearby(path) for path in node.policy.caching.reads]
        return found

    def _attached(self, node: Node, task: Task[..., Any] | None, body: str) -> dict[str, Any]:
        known = self._definition.attached.get((body, node.id), Attached())
        base = attached({} if task is None else task.given)
        found: dict[str, Any] = {}
        for event in EVENTS:
            hooks = getattr(known.hooks, event)
            if hooks and hooks != getattr(base.hooks, event):
                references = [reference_of(hook) for hook in hooks]
                if None in references:
                    self.changes.append((node.id, f"a hook on_{event} has no name that a file could have"))
                elif references:
                    found[f"on_{event}"] = references[0] if len(references) == 1 else references
        if known.retry_if is not None and known.retry_if is not base.retry_if:
            reference = reference_of(known.retry_if)
            if reference is None:
                self.changes.append((node.id, "what retry_if asks has no name that a file could have"))
            else:
                found["retry_if"] = reference
        return found

    def _cache_key(
        self, node: Node, task: Task[..., Any] | None, body: str, entry: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What the file says of a cache_key that the task's own function does not bring with it."""
        known = self._definition.attached.get((body, node.id), Attached()).cache_key
        base = None if task is None else task.given.get("cache_key")
        key = None if known is None else known.function
        if key is base:
            return {}
        reference = None if key is None else reference_of(key)
        if key is not None and reference is None:
            self.changes.append((node.id, "the function of its cache_key has no name that a file could have"))
            return {}
        cache = entry.get("cache")
        return {"cache": {**(cast("dict[str, Any]", cache) if isinstance(cache, dict) else {}), "key": reference}}


def _in_order(node: Node) -> tuple[str, ...]:
    """The inputs of a node as they are read: what is mapped over comes first."""
    each = node.each
    implied = each is not None and each.spread is None and all(name in node.bindings for name in each.over)
    mapped = list(each.over) if each is not None and implied else []
    return tuple(dict.fromkeys((*mapped, *node.bindings)))


def _approval(action: ApprovalAction) -> Any:
    found = write_struct(action, ("location",))
    if "deadline" in found:
        found["deadline"] = write_length(action.deadline)
    return found["question"] if list(found) == ["question"] else found


def _near(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The paths of a program as people write them."""
    found: dict[str, Any] = {}
    if "folder" in fields and "container" not in fields:
        found["folder"] = nearby(fields["folder"])
    if "reads" in fields:
        found["reads"] = {name: nearby(path) for name, path in fields["reads"].items()}
    return found


class _None:
    pass


_NONE = _None()

__all__ = ["Entries", "names_of"]
