"""What a pipeline is, as data: tasks, nodes and where each input comes from.

`Graph` is also a file format: it has a `version`, `to_json` writes it and `schema` publishes its JSON Schema.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite
from typing import Any, Literal, cast

import msgspec

from penstock.errors import DefinitionError
from penstock.model.action import Action, Environment
from penstock.model.asset import AssetSpec
from penstock.model.expression import (
    Constant,
    Expression,
    Get,
    Input,
    Output,
    Parameter,
    Sequence,
    add_references,
    add_requirements,
    references,
)
from penstock.model.place import Location
from penstock.model.policy import Policy, RunPolicy
from penstock.model.upgrade import upgraded
from penstock.model.value import Artifact

#: types that JSON holds as they are
_PLAIN = frozenset({int, bool, type(None)})
#: characters
_LONGEST_REPR = 1000


class Port(msgspec.Struct, frozen=True):
    """A named input or output of a task. `type` is the annotation as text, for people."""

    name: str
    type: str = "Any"
    #: of an input: it has no default and must be bound; of an output: it may not be None
    required: bool = True
    #: how the function takes it: by keyword, by position only, as `*args`, as `**kwargs`, or not at all: then it only counts
    kind: Literal["keyword", "positional", "args", "kwargs", "unseen"] = "keyword"


class PipelineAction(msgspec.Struct, frozen=True, tag="pipeline"):
    """Other nodes, which run together: once, for every item of a fan-out, or turn by turn.

    Inside, `Input(name)` is the value that the outer node binds to `name`, and an `Output` is of a node of the same
    body. While it runs, the inner node `fit` is called `outer/fit`, `outer[key]/fit` in a fan-out and `outer[2]/fit` in
    a loop. A body that is `dynamic` is a function: its nodes appear while it runs.
    """

    nodes: tuple[Node, ...]
    location: Location
    result: Expression = Constant(None)
    dynamic: bool = False


class Task(msgspec.Struct, frozen=True):
    """Something to do, with its inputs and outputs.

    `record` says how several outputs make up the one value that the function returns: "tuple", "dict", "named" (a
    named tuple) or "dataclass"; None where there is a single output, which is then called `result`.
    """

    name: str
    action: Action | PipelineAction
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    record: str | None = None
    description: str = ""
    #: the Python environment that the function runs in; None for that of the run
    environment: Environment | None = None
    #: the function is a generator: its one output is the list of what it yields, which others may map over meanwhile
    yields: bool = False
    #: what it returns is a new version of this asset
    asset: AssetSpec | None = None


class Each(msgspec.Struct, frozen=True):
    """A fan-out: the node runs once for every element of the iterables.

    `over` maps an input name to the expression of its iterable; inside the node's bindings the element at hand is
    `Item(name)`. Iterables are taken in step (zip) or all with all (product, the last one varying fastest). Of a dict,
    the elements are its values and the keys are the keys of the items; the result is then a dict.
    """

    over: dict[str, Expression]
    mode: Literal["zip", "product"] = "zip"
    #: the name in `over` whose elements are dicts of inputs, spread over the inputs by their keys; None for none
    spread: str | None = None
    #: what an item is called: an expression over `Item`; None: by its key in a dict, or by its number
    key: Expression | None = None
    #: how many items may be under way at once; None for any number
    max_parallel: int | None = None
    #: how many items may fail without failing the node: a count, or a share (float) of all items
    failure_threshold: int | float = 0


class Loop(msgspec.Struct, frozen=True):
    """A body that is repeated. In the first turn the inputs are the node's bindings; in each further turn, those in
    `carry` are what the turn before resulted in.

    `until` is evaluated after every turn; it may read the outputs of the body's nodes and its inputs, and the result
    of the turn as `Input("result")`.
    """

    maximum: int
    until: Expression | None = None
    #: input -> key of the dict that a turn results in; an empty key stands for the whole result
    carry: dict[str, str] = {}
    #: reaching the maximum without `until` having held fails the node
    strict: bool = False
    #: what is carried are the attributes of a record, and not the keys of a dict
    attributes: bool = False


class Wait(msgspec.Struct, frozen=True):
    """The task is asked again and again until it returns something true; between two times it holds no worker."""

    #: seconds between two times, each longer than the one before by `factor`, up to `longest`
    poll: float = 5.0
    factor: float = 1.0
    longest: float = 300.0
    #: seconds in all; None for as long as it takes
    timeout: float | None = None
    #: how the node ends when that is over
    on_timeout: Literal["fail", "skip"] = "fail"


class Fallback(msgspec.Struct, frozen=True):
    """What takes the place of a node, or an item, that has failed for good: another task (a key of `Graph.tasks`) with
    the same inputs, or a value."""

    task: str | None = None
    value: Expression = Constant(None)


#: when a node may start, by how its upstream ended; the trigger rules of other systems
RULES = (
    "all_success",
    "all_failed",
    "all_done",
    "all_skipped",
    "one_success",
    "one_failed",
    "one_done",
    "none_failed",
    "none_skipped",
    "none_failed_min_one_success",
    "always",
)


class Node(msgspec.Struct, frozen=True):
    """One place in a graph where a task is called.

    `task` names an entry of `Graph.tasks`; `after` lists nodes to wait for though no data flows; `guard` is a
    condition: when false, the node and what depends on it are skipped. `join` is one of `RULES`, or an expression over
    `Ended`; where it lets the node start though an input is not there, that input is None.
    """

    id: str
    task: str
    bindings: dict[str, Expression]
    location: Location
    policy: Policy = Policy()
    after: tuple[str, ...] = ()
    guard: Expression | None = None
    each: Each | None = None
    join: str | Expression = "all_success"
    loop: Loop | None = None
    wait: Wait | None = None
    fallback: Fallback | None = None
    #: whether its failure is a failure of the run, or of the body that it is in
    decides: bool = True
    #: it runs even in a run that is being cancelled, if its join allows: a teardown, an exit handler
    final: bool = False

    def expressions(self) -> list[Expression]:
        """Every expression that the node must have evaluated before it can run."""
        found = [*self.bindings.values()]
        if self.guard is not None:
            found.append(self.guard)
        if self.each is not None:
            found += self.each.over.values()
        if not isinstance(self.join, str):
            found.append(self.join)
        return found

    def upstream(self) -> tuple[str, ...]:
        """Ids of the nodes that this one waits for, without repeats."""
        names: list[str] = []
        for expression in self.expressions():
            add_references(expression, names)
        names += self.after
        return tuple(names) if len(names) < 2 else tuple(dict.fromkeys(names))

    def requirements(self) -> tuple[tuple[str, ...], ...]:
        """What must have run: of each tuple of node ids, at least one node."""
        needs: list[tuple[str, ...]] = []
        for expression in self.expressions():
            add_requirements(expression, needs)
        if self.after:
            needs += zip(self.after)
        return tuple(needs) if len(needs) < 2 else tuple(dict.fromkeys(needs))


class Ignored(msgspec.Struct, frozen=True):
    """Something that a file written for another system says, and that has no effect here."""

    #: `the task 'load': email_on_retry=True`
    what: str
    location: Location
    why: str = ""


def ignored_document(ignored: Iterable[Ignored]) -> list[dict[str, str]]:
    """The same as data, as commands with `--json` print it."""
    return [{"what": each.what, "where": str(each.location), "why": each.why} for each in ignored]


class ParameterPort(msgspec.Struct, frozen=True):
    """A parameter of a pipeline. `default` is meaningful only where `required` is false."""

    name: str
    type: str = "Any"
    required: bool = True
    default: Any = None


class Graph(msgspec.Struct, frozen=True):
    """A pipeline as data. Nodes stand in an order in which every node follows what it reads."""

    name: str
    parameters: tuple[ParameterPort, ...]
    tasks: dict[str, Task]
    nodes: tuple[Node, ...]
    #: what the pipeline returns; None when it returns nothing
    result: Expression = Constant(None)
    description: str = ""
    policy: RunPolicy = RunPolicy()
    #: where the body first uses the value of something that has yet to run: from there on, nodes appear while it runs
    dynamic_at: Location | None = None
    #: of the file format
    version: int = 2

    def task_of(self, node: Node) -> Task:
        """The task that a node calls."""
        return self.tasks[node.task]


def checked(graph: Graph) -> Graph:
    """The same graph, its nodes in an order in which every node follows what it waits for.

    Raises DefinitionError for two nodes with one id, a reference to a node that is not there, or a cycle.
    """
    nodes: dict[str, Node] = {}
    for node in graph.nodes:
        if (twin := nodes.get(node.id)) is not None:
            raise DefinitionError(
                f"two nodes are called {node.id!r}; the other is at {twin.location}",
                where=str(node.location),
                remedy="Give one of them another name: task.options(name=...).",
            )
        nodes[node.id] = node
    upstream = {node.id: node.upstream() for node in graph.nodes}
    in_order = _in_order(graph.nodes, upstream)
    # where they are in order, what each waits for is there
    for node in () if in_order else graph.nodes:
        for name in upstream[node.id]:
            if name not in nodes:
                raise DefinitionError(
                    f"{node.id!r} reads {name!r}, which is not in this pipeline", where=str(node.location)
                )
    for name in references(graph.result):
        if name not in nodes:
            raise DefinitionError(f"the result of {graph.name!r} reads {name!r}, which is not in this pipeline")
    if in_order:
        return graph
    return msgspec.structs.replace(graph, nodes=tuple(nodes[name] for name in _sorted(nodes, upstream)))


def ordered(nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    """Nodes in an order in which every node follows those of them that it waits for. Raises DefinitionError for a
    cycle."""
    known = {node.id: node for node in nodes}
    upstream = {node.id: tuple(name for name in node.upstream() if name in known) for node in nodes}
    if _in_order(nodes, upstream):
        return nodes
    return tuple(known[name] for name in _sorted(known, upstream))


def _in_order(nodes: tuple[Node, ...], upstream: dict[str, tuple[str, ...]]) -> bool:
    seen: set[str] = set()
    for node in nodes:
        if not seen.issuperset(upstream[node.id]):
            return False
        seen.add(node.id)
    return True


def _sorted(nodes: dict[str, Node], upstream: dict[str, tuple[str, ...]]) -> list[str]:
    from graphlib import CycleError, TopologicalSorter

    try:
        return list(TopologicalSorter(upstream).static_order())
    except CycleError as error:
        # graphlib lists each node before the one that waits for it; the first is repeated at the end
        cycle: list[str] = error.args[1]
        latest = max((nodes[name] for name in cycle), key=lambda node: node.location.line)
        raise DefinitionError(
            f"the nodes wait for each other in a circle: {' -> '.join(cycle)}",
            where=str(latest.location),
            remedy="Take one of these dependencies away.",
        ) from None


def to_json(graph: Graph, *, indent: int = 2) -> bytes:
    """The graph as a JSON document. Constants that JSON cannot hold as they are, are written as `{"repr": ...}`."""
    document = msgspec.json.encode(written(graph))
    return document if indent < 0 else msgspec.json.format(document, indent=indent)


def from_json(document: bytes) -> Graph:
    """The graph in a JSON document of this or an older version. Raises DefinitionError for any other document."""
    try:
        return msgspec.convert(upgraded(msgspec.json.decode(document, type=dict[str, Any])), Graph)
    except (msgspec.MsgspecError, KeyError) as error:
        raise DefinitionError(f"this is not the graph of a pipeline: {error}") from None


def written(value: Any) -> Any:
    """What stands for a part of the model, or for a constant in it, in JSON. Nodes in which msgspec's own encoder finds
    nothing to change are given back as they are.

    It is not asked to do more than that: it writes NaN as null, bytes as text and a set as a list.
    """
    kind = cast(Any, type(value))
    if kind in _PLAIN or (kind is float and isfinite(value)) or (kind is str and _is_text(value)):
        return value
    # there may be a great many nodes
    if kind is Policy or (kind is Location and _is_text(value.file)) or (kind is Node and _is_plain_node(value)):
        return value
    if kind is Artifact:
        return msgspec.to_builtins(value)
    if kind in (list, tuple):
        return [written(element) for element in value]
    if kind is dict and all(type(key) is str and _is_text(key) for key in value):
        return {key: written(element) for key, element in value.items()}
    if isinstance(value, msgspec.Struct):
        return _fields(value)
    return {"repr": _told(value)}


def _is_plain_node(node: Node) -> bool:
    """Whether a node holds nothing but what JSON and msgpack both hold as it is: results of others, and plain constants."""
    return (
        node.each is node.loop is node.wait is node.fallback is None
        and type(node.join) is str
        and _is_text("".join((node.id, node.task, node.join, node.location.file, *node.bindings, *node.after)))
        and (node.guard is None or _is_plain(node.guard))
        and all(map(_is_plain, node.bindings.values()))
    )


def _is_plain(expression: Expression) -> bool:
    if type(expression) is Output:
        return _is_text(expression.node) and (expression.port is None or _is_text(expression.port))
    if type(expression) is Constant:
        return _is_plain_value(expression.value)
    if type(expression) is Get:
        return _is_plain_value(expression.key) and _is_plain(expression.of)
    if type(expression) is Sequence:
        return all(map(_is_plain, expression.items))
    return (type(expression) is Parameter or type(expression) is Input) and _is_text(expression.name)


def _is_plain_value(value: Any) -> bool:
    kind = cast(Any, type(value))
    if kind is int:
        # msgpack has none beyond
        return -(2**63) <= value < 2**64
    return kind in _PLAIN or (kind is str and _is_text(value)) or (kind is float and isfinite(value))


def _fields(value: msgspec.Struct) -> dict[str, Any]:
    config = value.__struct_config__
    fields: dict[str, Any] = {} if config.tag_field is None else {config.tag_field: config.tag}
    for name in value.__struct_fields__:
        part = getattr(value, name)
        fields[name] = part if type(part) in _PLAIN else written(part)
    return fields


def _is_text(value: str) -> bool:
    """Whether UTF-8 can hold it; it cannot hold what stands for the odd bytes of a file name."""
    return value.isascii() or value == value.encode(errors="ignore").decode()


def _told(value: Any) -> str:
    try:
        text = repr(value)
    except Exception:
        text = object.__repr__(value)
    text = text.encode(errors="backslashreplace").decode()
    return text if len(text) <= _LONGEST_REPR else f"{text[:_LONGEST_REPR]}..."


def schema() -> dict[str, Any]:
    """The JSON Schema of `to_json`."""
    return msgspec.json.schema(Graph)
