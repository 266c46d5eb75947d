"""What every drawing of a graph shows, whatever its form: groups, edges, and how a node is captioned."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from penstock.model.action import ApprovalAction, CommandAction, ContainerAction, OpaqueAction
from penstock.model.amounts import span
from penstock.model.expression import Apply, Constant, Ended, Expression, Item, describe, parts, references
from penstock.model.graph import Graph, Node, ParameterPort, PipelineAction
from penstock.model.policy import Policy, Resources, Retries
from penstock.observe.bodies import body_of, exits


class Group(NamedTuple):
    """Nodes whose ids start with `path/`. Members stand in the order in which the graph first names them."""

    #: empty for the graph as a whole
    path: str
    members: list[Member]
    #: the node whose body this is; None for nodes that only have the start of their ids in common
    owner: Node | None = None

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


Member = Group | Node


class Edge(NamedTuple):
    """Why one node waits for another; `label` is a condition or empty."""

    source: str
    target: str
    kind: Literal["data", "guard", "after", "join", "body"]
    label: str = ""


class Reading(NamedTuple):
    """One input of a node and where it comes from, as text."""

    input: str
    source: str
    constant: bool


def outline(graph: Graph) -> Group:
    """The nodes of a graph, laid open, as a tree of groups, taken from the slashes in their ids."""
    groups = {"": Group("", [])}
    inner = {parent_of(node.id) for node in graph.nodes}
    for node in graph.nodes:
        if node.id in inner and body_of(graph.tasks, node) is not None:
            _group(groups, node.id, node)
        else:
            _group(groups, parent_of(node.id)).members.append(node)
    return groups[""]


def _group(groups: dict[str, Group], path: str, owner: Node | None = None) -> Group:
    found = groups.get(path)
    if found is None:
        found = groups[path] = Group(path, [], owner)
        _group(groups, parent_of(path)).members.append(found)
    return found


def parent_of(path: str) -> str:
    """The group that a node or a group is in, empty at the top."""
    return path.rpartition("/")[0]


def subgroups(group: Group) -> Iterator[Group]:
    """Every group inside a group, outer ones first."""
    for member in group.members:
        if isinstance(member, Group):
            yield member
            yield from subgroups(member)


def edges(graph: Graph) -> list[Edge]:
    """One edge for every pair of nodes of which the second waits for the first; a condition outranks a join rule, that
    data, and data an `after`.

    In a graph laid open, what reads the result of a body waits for the nodes that it comes from, and what begins a body
    for the node whose body it is.
    """
    owners = {node.id for node in graph.nodes if body_of(graph.tasks, node) is not None}
    found: list[Edge] = []
    for node in graph.nodes:
        into = [
            edge._replace(source=source)
            for edge in _edges_into(node)
            for source in (exits(graph, edge.source) if edge.source in owners else (edge.source,))
        ]
        owner = parent_of(node.id)
        found += into or ([Edge(owner, node.id, "body")] if owner in owners else [])
    return found


def _edges_into(node: Node) -> Iterator[Edge]:
    guards = set(references(node.guard)) if node.guard is not None else set[str]()
    states = {} if isinstance(node.join, str) else _states(node.join)
    for name in node.upstream():
        if name in guards:
            yield Edge(name, node.id, "guard", condition(node))
        elif name in states:
            yield Edge(name, node.id, "join", states[name])
        else:
            kind = "after" if name in node.after and name not in _read(node) else "data"
            yield Edge(name, node.id, kind, "" if node.join == "all_success" else join_rule(node))


def _states(join: Expression) -> dict[str, str]:
    """Node -> how it is to have ended, for a join that is an expression: `failed`, `not skipped`."""
    found: dict[str, str] = {}
    for part in _endings(join, ""):
        found.setdefault(*part)
    return found


def _endings(expression: Expression, before: str) -> Iterator[tuple[str, str]]:
    if isinstance(expression, Ended):
        yield expression.node, before + " or ".join(state.replace("_", " ") for state in expression.states)
    elif isinstance(expression, Apply) and expression.operator == "not":
        yield from _endings(expression.arguments[0], "" if before else "not ")
    else:
        for part in parts(expression):
            yield from _endings(part, before)


def _read(node: Node) -> set[str]:
    return {name for expression in node.expressions() for name in references(expression)}


def short_name(node: Node) -> str:
    """The id of a node inside its group; `[*]` says that it is mapped or repeated."""
    return node.id.rpartition("/")[2] + _stars(node)


def full_name(node: Node) -> str:
    """The id of a node; `[*]` says that it is mapped or repeated."""
    return node.id + _stars(node)


def _stars(node: Node) -> str:
    return "[*]" if node.each is not None or node.loop is not None else ""


def mapped_over(node: Node) -> str:
    """What a node is mapped over, `candidates`; empty if it is not mapped."""
    if node.each is None:
        return ""
    joint = " x " if node.each.mode == "product" else ", "
    return joint.join(describe(over) for over in node.each.over.values())


def condition(node: Node) -> str:
    """The condition of a node, `when evaluate.accuracy >= threshold`; empty if it has none."""
    return "" if node.guard is None else f"when {describe(node.guard)}"


def join_rule(node: Node) -> str:
    """When a node may start, `if one failed`, `if fit failed`; empty for the usual rule."""
    if node.join == "all_success":
        return ""
    return f"if {node.join.replace('_', ' ') if isinstance(node.join, str) else describe(node.join)}"


def repetition(node: Node) -> str:
    """How often a body is repeated, `until loss < 0.1, at most 20 times`; empty if it is not."""
    loop = node.loop
    if loop is None:
        return ""
    most = f"at most {loop.maximum:,} times"
    return most if loop.until is None else f"until {describe(loop.until)}, {most}"


def turning(graph: Graph) -> str:
    """Where a graph turns dynamic, `dynamic from pipeline.py:12 on`; empty if it does not."""
    return "" if graph.dynamic_at is None else f"dynamic from {graph.dynamic_at} on"


def kind_of(graph: Graph, node: Node) -> str:
    """What a node is besides a function: `command`, `container`, `approval`, `dynamic`, `wait`, `opaque KIND`; empty for a function."""
    task = graph.tasks.get(node.task)
    if node.wait is not None:
        return "wait"
    match task.action if task is not None else None:
        case CommandAction():
            return "command"
        case ContainerAction():
            return "container"
        case ApprovalAction():
            return "approval"
        case OpaqueAction(kind=kind):
            return f"opaque {kind}"
        case PipelineAction(dynamic=True):
            return "dynamic"
        case _:
            return ""


def notes(graph: Graph, node: Node) -> list[str]:
    """What a drawing says of a node below its name, but for its condition: join, repetition, kind, limits."""
    words = [join_rule(node), repetition(node), kind_of(graph, node)]
    each = node.each
    if each is not None and each.max_parallel is not None:
        words.append(f"{each.max_parallel:,} at a time")
    if not node.decides:
        words.append("decides nothing")
    return [word for word in words if word]


def readings(node: Node) -> list[Reading]:
    """The inputs of a node but for the elements it is mapped over, which `mapped_over` tells."""
    return [
        Reading(name, describe(source), isinstance(source, Constant))
        for name, source in node.bindings.items()
        if source != Item(name)
    ]


def signature(port: ParameterPort) -> str:
    """A parameter as in a function's signature: `threshold: float = 0.95`."""
    default = "" if port.required else f" = {port.default!r}"
    return f"{port.name}: {port.type}{default}"


def result_of(graph: Graph) -> str:
    """What the pipeline returns; empty if nothing."""
    nothing: Expression = Constant(None)
    return "" if graph.result == nothing else describe(graph.result)


def policy_words(policy: Policy) -> list[str]:
    """What a policy says, for people; empty for one that says nothing unusual."""
    words: list[str] = []
    if policy.retries.count:
        words.append(_retry_words(policy.retries))
    if policy.timeouts.attempt is not None:
        words.append(f"at most {policy.timeouts.attempt:g} s")
    words += _caching_words(policy)
    words += _resource_words(policy.resources)
    if policy.tags:
        words.append(f"tags: {', '.join(policy.tags)}")
    return words


def _caching_words(policy: Policy) -> list[str]:
    if policy.caching.effects:
        return ["has side effects"]
    if not policy.cache:
        return ["never cached"]
    return [] if policy.caching.lifetime is None else [f"cached for {span(policy.caching.lifetime)}"]


def _retry_words(retries: Retries) -> str:
    first = retries.delay(1)
    grows = retries.factor != 1 or len(set(retries.delays)) > 1
    delay = f", {'from ' if grows else ''}{first:g} s apart" if first or grows else ""
    return f"{retries.count} {'retry' if retries.count == 1 else 'retries'}{delay}"


def _resource_words(resources: Resources) -> list[str]:
    words: list[str] = []
    if resources.cpu != 1:
        words.append(f"{resources.cpu:g} cpu")
    if resources.memory:
        words.append(f"{resources.memory / 2**20:.0f} MiB")
    if resources.gpu:
        words.append(f"{resources.gpu} gpu")
    return words + [f"{amount} of {pool}" for pool, amount in resources.pools.items()]


def clip(text: str, width: int) -> str:
    """The text on one line, cut to at most `width` characters."""
    line = " ".join(text.split())
    return line if len(line) <= width else f"{line[: width - 3]}..."
