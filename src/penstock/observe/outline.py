"""What every drawing of a graph shows, whatever its form: groups, edges, and how a node is captioned."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from penstock.model.expression import Constant, Expression, Item, describe, references
from penstock.model.graph import Graph, Node, ParameterPort, Policy


class Group(NamedTuple):
    """Nodes whose ids start with `path/`. Members stand in the order in which the graph first names them."""

    #: empty for the graph as a whole
    path: str
    members: list[Member]

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


Member = Group | Node


class Edge(NamedTuple):
    """Why one node waits for another; `label` is a condition or empty."""

    source: str
    target: str
    kind: Literal["data", "guard", "after"]
    label: str = ""


class Reading(NamedTuple):
    """One input of a node and where it comes from, as text."""

    input: str
    source: str
    constant: bool


def outline(graph: Graph) -> Group:
    """The nodes of a graph as a tree of groups, taken from the slashes in their ids."""
    groups = {"": Group("", [])}
    for node in graph.nodes:
        _group(groups, parent_of(node.id)).members.append(node)
    return groups[""]


def _group(groups: dict[str, Group], path: str) -> Group:
    found = groups.get(path)
    if found is None:
        found = groups[path] = Group(path, [])
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
    """One edge for every pair of nodes of which the second waits for the first; a condition outranks data, and data
    an `after`."""
    return [edge for node in graph.nodes for edge in _edges_into(node)]


def _edges_into(node: Node) -> Iterator[Edge]:
    guards = set(references(node.guard)) if node.guard is not None else set[str]()
    for name in node.upstream():
        if name in guards:
            yield Edge(name, node.id, "guard", condition(node))
        else:
            yield Edge(name, node.id, "after" if name in node.after and name not in _read(node) else "data")


def _read(node: Node) -> set[str]:
    return {name for expression in node.expressions() for name in references(expression)}


def short_name(node: Node) -> str:
    """The id of a node inside its group; `[*]` says that it is mapped."""
    return node.id.rpartition("/")[2] + ("[*]" if node.each is not None else "")


def full_name(node: Node) -> str:
    """The id of a node; `[*]` says that it is mapped."""
    return node.id + ("[*]" if node.each is not None else "")


def mapped_over(node: Node) -> str:
    """What a node is mapped over, `candidates`; empty if it is not mapped."""
    return "" if node.each is None else ", ".join(describe(over) for over in node.each.over.values())


def condition(node: Node) -> str:
    """The condition of a node, `when evaluate.accuracy >= threshold`; empty if it has none."""
    return "" if node.guard is None else f"when {describe(node.guard)}"


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
    if policy.retries:
        delay = f", {policy.retry_delay:g} s apart" if policy.retry_delay else ""
        words.append(f"{policy.retries} {'retry' if policy.retries == 1 else 'retries'}{delay}")
    if not policy.cache:
        words.append("never cached")
    if policy.tags:
        words.append(f"tags: {', '.join(policy.tags)}")
    return words


def clip(text: str, width: int) -> str:
    """The text on one line, cut to at most `width` characters."""
    line = " ".join(text.split())
    return line if len(line) <= width else f"{line[: width - 3]}..."
