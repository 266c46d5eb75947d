"""A graph as a self-contained SVG."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape

from penstock.cli.drawing import layout
from penstock.cli.drawing.layout import Box, Placement, Point
from penstock.model.graph import Graph, Node
from penstock.observe import outline
from penstock.observe.bodies import opened
from penstock.observe.outline import Edge

_MARGIN = 20
_HEAD, _LINE = 7.6, 6.1  # widths of a character of a name and of a caption
_LINE_HEIGHT = 15

#: state -> the drawing of its badge, in a square of 12; every state has a shape and a word besides its colour
_BADGES = {
    "succeeded": "M2.5 6.5 5 9 9.5 3.5",
    "cached": "M9.5 6A3.5 3.5 0 1 1 8 3.2M8.2 1v2.4H5.8",
    "failed": "M3 3 9 9M9 3 3 9",
    "upstream_failed": "M6 2.2v4.6M6 9.2v.4",
    "skipped": "M2.8 6h6.4",
    "cancelled": "M3.5 3.5h5v5h-5z",
    "running": "M4.5 3 9 6 4.5 9z",
    "waiting": "M6 2a4 4 0 1 0 .01 0M6 4v2.2l1.5.9",
    "pending": "M3 6h.1M6 6h.1M9 6h.1",
}

_STYLE = """
.penstock-graph{--paper:#fff;--ink:#1f2328;--soft:#59636e;--fill:#f6f8fa;--edge:#8c959f;--group:#57606a14;
 --good:#116329;--reused:#0550ae;--bad:#b3261e;--stuck:#953800;--idle:#6e7781;--busy:#7d4e00}
@media (prefers-color-scheme:dark){.penstock-graph{--paper:#0d1117;--ink:#e6edf3;--soft:#9198a1;--fill:#161b22;
 --edge:#6e7681;--group:#b1bac41a;--good:#56d364;--reused:#79c0ff;--bad:#ff7b72;--stuck:#ffa657;--idle:#8b949e;
 --busy:#e3b341}}
.penstock-graph{background:var(--paper);font:11px system-ui,-apple-system,"Segoe UI",sans-serif}
.penstock-graph .group rect{fill:var(--group);stroke:var(--edge);stroke-opacity:.5}
.penstock-graph .title{fill:var(--soft);font-weight:600;stroke:var(--paper);stroke-width:3;paint-order:stroke}
.penstock-graph .edge{fill:none;stroke:var(--edge);stroke-width:1.5}
.penstock-graph :is(.guard,.join){stroke-dasharray:6 4}
.penstock-graph .after{stroke-dasharray:1.5 4;stroke-linecap:round}
.penstock-graph .tip{fill:var(--edge)}
.penstock-graph .node{--tone:var(--edge)}
.penstock-graph .node rect{fill:var(--fill);stroke:var(--tone);stroke-width:1.25}
.penstock-graph .node text{fill:var(--soft);text-anchor:middle}
.penstock-graph .node .name{fill:var(--ink);font:600 12.5px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
.penstock-graph .node .state{fill:var(--tone);font-weight:600}
.penstock-graph .badge{fill:none;stroke:var(--tone);stroke-width:1.75;stroke-linecap:round;stroke-linejoin:round}
.penstock-graph .succeeded{--tone:var(--good)}.penstock-graph .cached{--tone:var(--reused)}
.penstock-graph .failed{--tone:var(--bad)}.penstock-graph .upstream_failed{--tone:var(--stuck)}
.penstock-graph .running{--tone:var(--busy)}
.penstock-graph :is(.skipped,.cancelled,.waiting,.pending){--tone:var(--idle)}
.penstock-graph :is(.skipped,.upstream_failed,.pending) rect{stroke-dasharray:4 3}
.penstock-graph .failed rect{stroke-width:2.25}
"""


def as_svg(graph: Graph, states: Mapping[str, str] | None = None) -> str:
    """The graph as an SVG that needs nothing else, in light or dark as the viewer prefers.

    `states` (node id -> a state of the run document) adds to each node a badge and the word. Dashed lines are
    conditions, dotted ones an `after`. Hovering over a node tells its place in the code and its inputs.
    """
    states = states or {}
    graph = opened(graph)
    labels = {node.id: _captions(graph, node, states.get(node.id)) for node in graph.nodes}
    tree = list(outline.subgroups(outline.outline(graph)))
    groups = [group.path for group in tree]
    owners = {group.path for group in tree if group.owner is not None}
    edges = outline.edges(graph)
    placement = layout.placed(
        {node.id: _size(node, labels[node.id], node.id in states) for node in graph.nodes},
        groups,
        {name: name if name in owners else outline.parent_of(name) for name in labels}
        | {f"{path}/": outline.parent_of(path) for path in groups},
        [(edge.source, edge.target) for edge in edges],
    )
    turning = outline.turning(graph)
    parts = [
        *([f"<desc>{escape(turning)}</desc>"] if turning else []),
        *(_group(box) for box in placement.groups.values()),
        *(_edge(edge, line) for edge, line in zip(edges, placement.lines, strict=True)),
        *(_title(path, box) for path, box in placement.groups.items()),
        *(_node(graph, node, placement.nodes[node.id], labels[node.id], states.get(node.id)) for node in graph.nodes),
    ]
    return "\n".join([*_opening(graph, placement), *parts, "</svg>\n"])


def _opening(graph: Graph, placement: Placement) -> Iterator[str]:
    bounds = placement.bounds
    left, top = bounds.x - _MARGIN, bounds.y - _MARGIN
    width, height = bounds.width + 2 * _MARGIN, bounds.height + 2 * _MARGIN
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="penstock-graph" role="img" aria-label="{escape(graph.name)}" width="{width:g}" '
        f'height="{height:g}" viewBox="{left:g} {top:g} {width:g} {height:g}">'
    )
    yield f"<style>{_STYLE}</style>"
    yield (
        '<defs><marker id="penstock-tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto-start-reverse" markerUnits="userSpaceOnUse"><path class="tip" d="M0 0.5 8 4 0 7.5z"/></marker></defs>'
    )


def _captions(graph: Graph, node: Node, state: str | None) -> list[tuple[str, str]]:
    """The lines of a node as (class, text)."""
    lines = [("name", outline.clip(outline.short_name(node), 40))]
    if state is not None:
        lines.append(("state", state.replace("_", " ")))
    if over := outline.mapped_over(node):
        lines.append(("over", outline.clip(f"over {over}", 44)))
    if guard := outline.condition(node):
        lines.append(("when", outline.clip(guard, 44)))
    lines += [("note", outline.clip(note, 44)) for note in outline.notes(graph, node)]
    return lines


def _size(node: Node, lines: list[tuple[str, str]], badge: bool) -> tuple[float, float]:
    widths = [len(text) * (_HEAD if kind == "name" else _LINE) for kind, text in lines]
    # the badge stands left of the name, and the centred name needs the same room on its right
    widths[0] += 36 if badge else 0
    return max(96, round(max(widths)) + 28), 22 + _LINE_HEIGHT * len(lines)


def _group(box: Box) -> str:
    return f'<g class="group"><rect x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" height="{box.height:g}" rx="10"/></g>'


def _title(path: str, box: Box) -> str:
    """The name of a group, drawn after the edges so that none crosses it out."""
    return f'<text class="title" x="{box.x + 12:g}" y="{box.y + 18:g}">{escape(path.rpartition("/")[2])}</text>'


def _edge(edge: Edge, points: list[Point]) -> str:
    title = f"{edge.source} to {edge.target}" + (f", {edge.label}" if edge.label else "")
    return (
        f'<path class="edge {edge.kind}" marker-end="url(#penstock-tip)" data-source="{escape(edge.source)}" '
        f'data-target="{escape(edge.target)}" d="{_rounded(points)}"><title>{escape(title)}</title></path>'
    )


def _rounded(points: list[Point], radius: float = 7) -> str:
    """The path through the points, its corners rounded."""
    path = f"M{points[0][0]:g} {points[0][1]:g}"
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        start, end = _towards(corner, before, radius), _towards(corner, after, radius)
        path += f"L{start[0]:g} {start[1]:g}Q{corner[0]:g} {corner[1]:g} {end[0]:g} {end[1]:g}"
    return path + f"L{points[-1][0]:g} {points[-1][1]:g}"


def _towards(corner: Point, other: Point, distance: float) -> Point:
    """The point at a distance from a corner towards another, at most half of the way."""
    dx, dy = other[0] - corner[0], other[1] - corner[1]
    length = (dx * dx + dy * dy) ** 0.5 or 1.0
    share = min(distance, length / 2) / length
    return round(corner[0] + dx * share, 2), round(corner[1] + dy * share, 2)


def _node(graph: Graph, node: Node, box: Box, lines: list[tuple[str, str]], state: str | None) -> str:
    middle = box.x + box.width / 2
    top = box.y + (box.height - _LINE_HEIGHT * len(lines)) / 2 + 11.5
    texts = [
        f'<text class="{kind}" x="{middle:g}" y="{top + _LINE_HEIGHT * number:g}">{escape(text)}</text>'
        for number, (kind, text) in enumerate(lines)
    ]
    attributes = f'class="node {escape(state or "")}" data-node="{escape(node.id)}"'
    behind = _rect(box, 4) if node.each is not None else ""
    parts = [
        f"<title>{escape(_tooltip(graph, node, state))}</title>",
        behind,
        _rect(box, 0),
        _badge(box, state),
        *texts,
    ]
    return f"<g {attributes}>{''.join(parts)}</g>"


def _rect(box: Box, offset: float) -> str:
    """The outline of a node; a mapped one has a second outline behind, set off a little."""
    return f'<rect x="{box.x + offset:g}" y="{box.y + offset:g}" width="{box.width:g}" height="{box.height:g}" rx="7"/>'


def _badge(box: Box, state: str | None) -> str:
    shape = _BADGES.get(state or "")
    return f'<path class="badge" transform="translate({box.x + 10:g} {box.y + 9:g})" d="{shape}"/>' if shape else ""


def _tooltip(graph: Graph, node: Node, state: str | None) -> str:
    task = graph.task_of(node)
    lines = [f"{node.id} ({state})" if state else node.id, f"{task.name} at {node.location}"]
    if over := outline.mapped_over(node):
        lines.append(f"over {over}")
    lines += [f"{reading.input} = {outline.clip(reading.source, 80)}" for reading in outline.readings(node)]
    if guard := outline.condition(node):
        lines.append(guard)
    lines += outline.notes(graph, node)
    if node.after:
        lines.append(f"after {', '.join(node.after)}")
    return "\n".join(lines)
