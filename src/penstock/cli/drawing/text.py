"""A graph as plain text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.model.graph import Graph, Node
from penstock.observe import outline
from penstock.observe.bodies import opened
from penstock.observe.outline import Group


def as_text(graph: Graph, *, width: int = 80, ascii_only: bool = False) -> str:
    """The graph as text: its parameters, every node in order with what it reads, and its result.

    Lines are at most `width` characters where words allow it; `ascii_only` avoids arrows for plain terminals.
    """
    writer = _Writer(width, "<-" if ascii_only else "←")
    return "\n".join(line.rstrip() for line in writer.graph(opened(graph))) + "\n"


class _Writer:
    def __init__(self, width: int, arrow: str) -> None:
        self.width = width
        self.arrow = arrow

    def graph(self, graph: Graph) -> Iterator[str]:
        summary = graph.description.strip().partition("\n")[0]
        yield graph.name + (f": {summary}" if summary else "")
        if graph.parameters:
            yield ""
            yield "parameters"
            for port in graph.parameters:
                yield f"  {outline.clip(outline.signature(port), self.width - 13)}{'  (required)' if port.required else ''}"
        tree = outline.outline(graph)
        yield ""
        yield "tasks" if graph.nodes else "no tasks"
        yield from self.group(graph, tree, 1, _column(tree, 1, self.width // 2))
        if turning := outline.turning(graph):
            yield f"  {turning}: more tasks appear while it runs"
        if result := outline.result_of(graph):
            yield ""
            yield from self.hanging("returns  ", [result])

    def group(self, graph: Graph, group: Group, depth: int, column: int) -> Iterator[str]:
        for member in group.members:
            if isinstance(member, Node):
                yield from self.node(graph, member, depth, column)
                continue
            if member.owner is None:
                yield f"{'  ' * depth}{member.name}/"
            else:
                yield from self.node(graph, member.owner, depth, column)
            yield from self.group(graph, member, depth + 1, column)

    def node(self, graph: Graph, node: Node, depth: int, column: int) -> Iterator[str]:
        details = [
            line
            for parts in (
                self.inputs(node),
                [outline.condition(node)],
                outline.notes(graph, node),
                [self.waits(node)],
            )
            for line in self.wrapped(parts, self.width - column)
            if line
        ]
        head = "  " * depth + _head(node)
        if len(head) + 2 > column or not details:
            yield head
            head = ""
        for line in details:
            yield f"{head:<{column}}{line}"
            head = ""

    def inputs(self, node: Node) -> list[str]:
        words: list[str] = []
        for reading in outline.readings(node):
            if reading.source == reading.input:
                words.append(reading.input)
            else:
                joint = "=" if reading.constant else self.arrow
                words.append(f"{reading.input} {joint} {outline.clip(reading.source, self.width // 2)}")
        return words

    def waits(self, node: Node) -> str:
        return f"after {', '.join(node.after)}" if node.after else ""

    def wrapped(self, parts: list[str], width: int) -> Iterator[str]:
        """The parts with commas between, on as many lines as it takes; a part too long for a line is broken."""
        import textwrap

        line = ""
        for part in parts:
            longer = f"{line}, {part}" if line else part
            if len(longer) > width and line:
                yield f"{line},"
                longer = part
            *full, line = textwrap.wrap(longer, max(width, 20), subsequent_indent="  ") or [""]
            yield from full
        yield line

    def hanging(self, head: str, parts: list[str]) -> Iterator[str]:
        for line in self.wrapped(parts, self.width - len(head)):
            yield head + line
            head = " " * len(head)


def _head(node: Node) -> str:
    over = outline.mapped_over(node)
    return outline.short_name(node) + (f" over {outline.clip(over, 40)}" if over else "")


def _column(group: Group, depth: int, limit: int) -> int:
    """Where the details start: right of the longest head that is not too long."""
    lengths: list[int] = []
    for member in group.members:
        node = member.owner if isinstance(member, Group) else member
        if node is not None:
            lengths.append(2 * depth + len(_head(node)) + 2)
        if isinstance(member, Group):
            lengths.append(_column(member, depth + 1, limit))
    return max((length for length in lengths if length <= limit), default=16)
