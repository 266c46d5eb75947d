"""A graph as a Mermaid flowchart."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.model.graph import Graph, Node
from penstock.observe import outline
from penstock.observe.bodies import opened
from penstock.observe.outline import Edge, Group

_ARROWS = {"data": "-->", "guard": "-.->", "after": "-.->", "join": "-.->", "body": "-->"}


def as_mermaid(graph: Graph) -> str:
    """The graph as a Mermaid flowchart: groups as subgraphs, conditions as labels of dashed edges.

    Nodes are numbered (`n0`, `n1`, ...) because an id of ours may be a word of Mermaid's; their labels are the ids.
    """
    graph = opened(graph)
    tree = outline.outline(graph)
    numbers = {node.id: f"n{number}" for number, node in enumerate(graph.nodes)}
    names = {group.path: f"g{number}" for number, group in enumerate(outline.subgroups(tree))}
    edges = outline.edges(graph)
    labelled = {edge.target for edge in edges if edge.label}
    lines = ["flowchart TD"]
    if turning := outline.turning(graph):
        lines.append(f"  %% {turning}")
    lines += _members(graph, tree, numbers, names, labelled, "  ")
    lines += [_edge(edge, numbers) for edge in edges]
    return "\n".join(lines) + "\n"


def _members(
    graph: Graph, group: Group, numbers: dict[str, str], names: dict[str, str], labelled: set[str], indent: str
) -> Iterator[str]:
    for member in group.members:
        if isinstance(member, Group):
            yield f"{indent}subgraph {names[member.path]}[{_quoted(member.name)}]"
            if member.owner is not None:
                yield f"{indent}  {numbers[member.owner.id]}{_shape(graph, member.owner, member.owner.id in labelled)}"
            yield from _members(graph, member, numbers, names, labelled, indent + "  ")
            yield f"{indent}end"
        else:
            yield f"{indent}{numbers[member.id]}{_shape(graph, member, member.id in labelled)}"


def _shape(graph: Graph, node: Node, labelled: bool) -> str:
    """The brackets and the label of a node. A condition that reads no node has no edge to label, so it goes here."""
    lines = [outline.short_name(node)]
    if over := outline.mapped_over(node):
        lines.append(f"over {outline.clip(over, 60)}")
    if node.guard is not None and not labelled:
        lines.append(outline.clip(outline.condition(node), 60))
    lines += [outline.clip(note, 60) for note in outline.notes(graph, node)]
    label = _quoted(*lines)
    return f"[[{label}]]" if node.each is not None else f"[{label}]"


def _edge(edge: Edge, numbers: dict[str, str]) -> str:
    text = edge.label or ("after" if edge.kind == "after" else "")
    label = f"|{_quoted(outline.clip(text, 80))}|" if text else ""
    return f"  {numbers[edge.source]} {_ARROWS[edge.kind]}{label} {numbers[edge.target]}"


def _quoted(*lines: str) -> str:
    """A label in quotes. Everything but plain characters is written as its code, so that nothing in it is markup."""
    return '"' + "<br/>".join("".join(_safe(character) for character in line) for line in lines) + '"'


def _safe(character: str) -> str:
    return character if character.isalnum() or character in " .,:=+_/()[]*-'" else f"#{ord(character)};"
