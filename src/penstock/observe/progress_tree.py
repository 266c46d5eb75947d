"""A run under way as lines of a tree, made to fit the height there is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from penstock.model.graph import Node
from penstock.model.run import NodeState
from penstock.observe import outline
from penstock.observe.marks import HANDLED, Mark, fitting, mark, speaks_unicode
from penstock.observe.measures import counted, duration
from penstock.observe.outline import Group
from penstock.observe.tally import NodeTally, Tally

if TYPE_CHECKING:
    from rich.text import Text

_BAR = 14
_NAME = 40


class Row(NamedTuple):
    """One line: the branches of the tree, a mark, a name, and what there is to say."""

    branch: str
    mark: Mark
    name: str
    detail: str


class Glyphs(NamedTuple):
    """What trees and bars are drawn with."""

    fork: str
    last: str
    down: str
    full: str
    empty: str
    dot: str


UNICODE = Glyphs("├─ ", "└─ ", "│  ", "━", "─", " · ")
ASCII = Glyphs("|- ", "`- ", "|  ", "#", "-", ", ")


class ProgressTree:
    """The tree of one run. Asked for its lines, it looks at the tally as it is then."""

    def __init__(self, tally: Tally, *, encoding: str = "utf-8") -> None:
        self._tally = tally
        self._drawn = 0
        self._root = Group("", [])
        self._encoding = encoding
        self._ascii = not speaks_unicode(encoding)
        self._glyphs = ASCII if self._ascii else UNICODE

    def text(self, height: int) -> Text:
        """The tree in at most `height` lines: whole if it fits; else idle groups, then all groups, become one line
        each; else what runs or failed remains, and a count of the rest."""
        from rich.text import Text

        rows = self.rows(height)
        column = max((len(row.branch) + 2 + len(row.name) for row in rows), default=0) + 2
        lines = [self._line(row, min(column, _NAME)) for row in rows]
        # the ellipsis is no ASCII
        return Text("\n", no_wrap=True, overflow="crop" if self._ascii else "ellipsis").join(lines)

    def rows(self, height: int) -> list[Row]:
        # nodes may have appeared
        if self._drawn != len(self._tally.nodes):
            self._drawn = len(self._tally.nodes)
            self._root = outline.outline(self._tally.graph)
        for is_open in (_always, self._has_active, _never):
            rows: list[Row] = []
            for row in self._branch(self._root, "", is_open):
                rows.append(row)
                if len(rows) > height:
                    break
            else:
                return rows
        return self._busiest(height)

    def totals(self) -> str:
        """The run in a few words: `5/11 tasks · 2 cached · 1 running`."""
        return self._counts(self._tally.states, sum(self._tally.states.values()), "tasks")

    def _line(self, row: Row, column: int) -> Text:
        from rich.text import Text

        symbol = row.mark.ascii if self._ascii else row.mark.symbol
        name = f"{row.name:<{max(column - len(row.branch) - 2, 0)}}"
        detail_style = row.mark.style if row.mark.word in ("failed", "not run", "cached") else "default"
        parts = [
            (row.branch, "dim"),
            (f"{symbol} ", row.mark.style),
            (name, "default"),
            (f" {row.detail}", detail_style),
        ]
        return Text.assemble(*((fitting(text, self._encoding), style) for text, style in parts))

    def _branch(self, group: Group, stem: str, is_open: Callable[[Group], bool]) -> Iterator[Row]:
        glyphs = self._glyphs
        for member in group.members:
            last = member is group.members[-1]
            branch = stem + (glyphs.last if last else glyphs.fork)
            if isinstance(member, Node):
                yield self._row(self._tally.nodes[member.id], branch, outline.short_name(member))
            else:
                owner = member.owner
                if owner is None:
                    yield self._group_row(member, branch)
                else:
                    yield self._row(self._tally.nodes[owner.id], branch, outline.short_name(owner))
                if is_open(member):
                    yield from self._branch(member, stem + ("   " if last else glyphs.down), is_open)

    def _busiest(self, height: int) -> list[Row]:
        active = [tally for tally in self._tally.nodes.values() if tally.active and not tally.inner]
        # what failed was printed when it failed, so that what runs comes first
        active.sort(key=lambda tally: tally.state is not NodeState.RUNNING)
        shown = active[: max(height - 1, 0)]
        rows = [self._row(tally, self._glyphs.fork, outline.full_name(tally.node)) for tally in shown]
        others = Counter(self._tally.states)
        others.subtract(tally.state for tally in shown)
        rest = counted(others.total(), "more task" if shown else "task", "more tasks" if shown else "tasks")
        return [*rows, Row(self._glyphs.last, _BLANK, rest, self._counts(others, others.total(), ""))]

    def _group_row(self, group: Group, branch: str) -> Row:
        tallies = list(self._inside(group))
        states = Counter(tally.state for tally in tallies)
        return Row(branch, mark(_state_of_group(states)), f"{group.name}/", self._counts(states, len(tallies), ""))

    def _inside(self, group: Group) -> Iterator[NodeTally]:
        for member in group.members:
            if isinstance(member, Node):
                yield self._tally.nodes[member.id]
            elif member.owner is not None:
                # what is in its body is a part of it
                yield self._tally.nodes[member.owner.id]
            else:
                yield from self._inside(member)

    def _has_active(self, group: Group) -> bool:
        owner = None if group.owner is None else self._tally.nodes[group.owner.id]
        return any(tally.active for tally in self._inside(group)) or (owner is not None and owner.active)

    def _row(self, tally: NodeTally, branch: str, name: str) -> Row:
        state = HANDLED if tally.node.id in self._tally.handled else tally.state
        return Row(branch, mark(state), name, self.detail(tally))

    def detail(self, tally: NodeTally) -> str:
        """What a line says of a node, right of its name."""
        if tally.inner and tally.done + len(tally.running) > 0:
            return self._in_bodies(tally)
        if tally.count and tally.done + len(tally.running) > 0:
            return self._items(tally)
        if tally.turns or (tally.node.loop is not None and tally.state is NodeState.RUNNING):
            return self._turns(tally)
        match tally.state:
            case NodeState.SUCCEEDED:
                return tally.reason or duration(tally.duration)
            case NodeState.CACHED | NodeState.CANCELLED:
                return mark(tally.state).word
            case NodeState.FAILED if tally.node.id in self._tally.handled:
                return mark(HANDLED).word
            case NodeState.FAILED:
                return f"failed after {duration(tally.duration)}" if tally.duration else "failed"
            case NodeState.SKIPPED | NodeState.UPSTREAM_FAILED:
                word = mark(tally.state).word
                return f"{word}: {tally.reason}" if tally.reason else word
            case NodeState.RUNNING:
                return self._running(tally)
            case NodeState.WAITING:
                return tally.waits or "waits to be repeated"
            case _:
                return ""

    def _in_bodies(self, tally: NodeTally) -> str:
        """A node of a body, of which there may be many executions."""
        words = [f"{tally.done:,} done", *self._told(tally.ended)]
        if tally.running:
            words.append(f"{len(tally.running):,} running")
        return self._glyphs.dot.join([*words, tally.waits] if tally.waits else words)

    def _turns(self, tally: NodeTally) -> str:
        loop = tally.node.loop
        if tally.finished:
            return self._glyphs.dot.join([counted(tally.turns, "turn"), duration(tally.duration)])
        most = f" of at most {loop.maximum:,}" if loop is not None else ""
        return self._glyphs.dot.join([f"turn {tally.turns + 1:,}{most}", duration(self._tally.now - tally.started_at)])

    def _running(self, tally: NodeTally) -> str:
        cell = tally.node.id, -1
        since = tally.running.get(cell, tally.started_at or None)
        elapsed = duration(self._tally.now - (self._tally.now if since is None else since))
        done, total = tally.progress.get(cell, (0.0, 0.0))
        return f"{self._bar(done, total)} {done:g}/{total:g}{self._glyphs.dot}{elapsed}" if total > 0 else elapsed

    def _items(self, tally: NodeTally) -> str:
        count = tally.count or 0
        words = [f"{tally.done:,}/{count:,}{'+' if tally.more else ''}", *self._told(tally.ended)]
        if tally.finished:
            if tally.state is not NodeState.CACHED:
                words.append(duration(tally.duration))
            return self._glyphs.dot.join(words)
        # what the running items told of themselves moves the bar too
        parts = sum(done / total for done, total in tally.progress.values() if total > 0)
        words.append(duration(self._tally.now - tally.started_at))
        return f"{self._bar(tally.done + parts, count)} {self._glyphs.dot.join(words)}"

    def _counts(self, states: Counter[NodeState], total: int, noun: str) -> str:
        done = sum(count for state, count in states.items() if mark(state) not in _OPEN)
        running = [f"{states[NodeState.RUNNING]:,} running"] if states[NodeState.RUNNING] else []
        return self._glyphs.dot.join([f"{done:,}/{total:,} {noun}".rstrip(), *self._told(states), *running])

    def _told(self, states: Counter[NodeState]) -> list[str]:
        """Counts of the states worth a word."""
        return [f"{states[state]:,} {mark(state).word}" for state in _NOTABLE if states[state]]

    def _bar(self, done: float, total: float) -> str:
        full = min(_BAR, max(0, int(_BAR * done / total)))
        return self._glyphs.full * full + self._glyphs.empty * (_BAR - full)


_BLANK = Mark(" ", " ", "", "")
_NOTABLE = (
    NodeState.CACHED,
    NodeState.FAILED,
    NodeState.UPSTREAM_FAILED,
    NodeState.SKIPPED,
    NodeState.CANCELLED,
)
_OPEN = (mark(NodeState.PENDING), mark(NodeState.WAITING), mark(NodeState.RUNNING))


def _always(group: Group) -> bool:
    return True


def _never(group: Group) -> bool:
    return False


def _state_of_group(states: Counter[NodeState]) -> NodeState:
    """The state that says most about a group: what is wrong, then what runs, then how far it is."""
    for state in (NodeState.FAILED, NodeState.RUNNING, NodeState.UPSTREAM_FAILED, NodeState.CANCELLED):
        if states[state]:
            return state
    if states[NodeState.PENDING] or states[NodeState.WAITING]:
        return NodeState.PENDING
    for state in (NodeState.SUCCEEDED, NodeState.CACHED):
        if states[state]:
            return state
    return NodeState.SKIPPED
