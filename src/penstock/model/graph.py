"""What a pipeline is, as data: tasks, nodes and where each input comes from.

`Graph` is also a file format: it has a `version`, `to_json` writes it and `schema` publishes its JSON Schema.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite
from typing import Any, Literal, cast

import msgspec

from penstock.errors import DefinitionError
from penstock.model.expression import Constant, Expression, references, requirements

#: types that JSON holds as they are
_PLAIN = frozenset({int, bool, type(None)})
#: characters
_LONGEST_REPR = 1000


class Location(msgspec.Struct, frozen=True):
    """A place in the user's code."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class Port(msgspec.Struct, frozen=True):
    """A named input or output of a task. `type` is the annotation as text, for people."""

    name: str
    type: str = "Any"
    #: of an input: it has no default and must be bound; of an output: it may not be None
    required: bool = True
    #: how the function takes it: by keyword, by position only, as `*args` or as `**kwargs`
    kind: Literal["keyword", "positional", "args", "kwargs"] = "keyword"


class Policy(msgspec.Struct, frozen=True):
    """How a task is to be run, apart from what it computes."""

    #: how many times a failed attempt is repeated
    retries: int = 0
    #: seconds to wait before a repeated attempt
    retry_delay: float = 0.0
    #: whether a recorded result may be used in place of running
    cache: bool = True
    tags: tuple[str, ...] = ()


class PythonAction(msgspec.Struct, frozen=True, tag="python"):
    """A call of a Python function."""

    module: str
    qualname: str
    location: Location


class Task(msgspec.Struct, frozen=True):
    """Something to do, with its inputs and outputs.

    `record` says how several outputs make up the one value that the function returns: "tuple", "dict", "named" (a
    named tuple) or "dataclass"; None where there is a single output, which is then called `result`.
    """

    name: str
    action: PythonAction
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    record: str | None = None
    description: str = ""


class Each(msgspec.Struct, frozen=True):
    """A fan-out: the node runs once for every element of the iterables, taken in step (zipped).

    `over` maps an input name to the expression of its iterable; inside the node's bindings the element at hand is
    `Item(name)`.
    """

    over: dict[str, Expression]


class Node(msgspec.Struct, frozen=True):
    """One place in a graph where a task is called.

    `task` names an entry of `Graph.tasks`; `after` lists nodes that must succeed first though no data flows; `guard`
    is a condition: when false, the node and what depends on it are skipped.
    """

    id: str
    task: str
    bindings: dict[str, Expression]
    location: Location
    policy: Policy = Policy()
    after: tuple[str, ...] = ()
    guard: Expression | None = None
    each: Each | None = None

    def expressions(self) -> Iterable[Expression]:
        """Every expression that the node must have evaluated before it can run."""
        yield from self.bindings.values()
        if self.guard is not None:
            yield self.guard
        if self.each is not None:
            yield from self.each.over.values()

    def upstream(self) -> tuple[str, ...]:
        """Ids of the nodes that this one waits for, without repeats."""
        names = dict.fromkeys(name for expression in self.expressions() for name in references(expression))
        names.update(dict.fromkeys(self.after))
        return tuple(names)

    def requirements(self) -> tuple[tuple[str, ...], ...]:
        """What must have run: of each tuple of node ids, at least one node."""
        found = dict.fromkeys(need for expression in self.expressions() for need in requirements(expression))
        found.update(dict.fromkeys((name,) for name in self.after))
        return tuple(found)


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
    #: of the file format
    version: int = 1

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
    for node in graph.nodes:
        for name in upstream[node.id]:
            if name not in nodes:
                raise DefinitionError(
                    f"{node.id!r} reads {name!r}, which is not in this pipeline", where=str(node.location)
                )
    for name in references(graph.result):
        if name not in nodes:
            raise DefinitionError(f"the result of {graph.name!r} reads {name!r}, which is not in this pipeline")
    if _in_order(graph.nodes, upstream):
        return graph
    return msgspec.structs.replace(graph, nodes=tuple(nodes[name] for name in _sorted(nodes, upstream)))


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
    return msgspec.json.format(msgspec.json.encode(_written(graph)), indent=indent)


def _written(value: Any) -> Any:
    """What stands for a part of the model, or for a constant in it, in JSON.

    msgspec's own encoder is not asked to do this: it writes NaN as null, bytes as text and a set as a list.
    """
    kind = cast(Any, type(value))
    if kind in _PLAIN or (kind is float and isfinite(value)) or (kind is str and _is_text(value)):
        return value
    # of each node of a large graph, the parts that hold no constant are left to msgspec
    if kind is Policy or (kind is Location and _is_text(value.file)):
        return value
    if kind in (list, tuple):
        return [_written(element) for element in value]
    if kind is dict and all(type(key) is str and _is_text(key) for key in value):
        return {key: _written(element) for key, element in value.items()}
    if isinstance(value, msgspec.Struct):
        return _fields(value)
    return {"repr": _told(value)}


def _fields(value: msgspec.Struct) -> dict[str, Any]:
    config = value.__struct_config__
    written: dict[str, Any] = {} if config.tag_field is None else {config.tag_field: config.tag}
    for name in value.__struct_fields__:
        written[name] = _written(getattr(value, name))
    return written


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
