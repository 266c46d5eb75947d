"""What is shown of a run while it runs: a tree that is redrawn on a terminal, lines anywhere else.

Both are `penstock.ports.Observer`s and have no thread of their own: they draw from `turn`, which the runtime also
calls, with an empty turn, while nothing happens.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TextIO

from penstock.model.graph import Graph
from penstock.model.run import AttemptRecord, NodeState, RunRecord, item_id
from penstock.model.work import NOTICE, AnyReport
from penstock.observe import outline
from penstock.observe.faults import headline
from penstock.observe.marks import HANDLED, fitting, mark, speaks_unicode
from penstock.observe.measures import counted, duration
from penstock.observe.notices import Notices
from penstock.observe.progress_tree import ProgressTree
from penstock.observe.repeats import Sequel
from penstock.observe.tally import NodeTally, Tally
from penstock.ports import Observer, Said, Turn

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live

#: failures of one mapped node that are printed as they happen; the rest are counted
_FAILURES_SHOWN = 10
_UNFINISHED = (NodeState.PENDING, NodeState.WAITING, NodeState.RUNNING)
#: seconds between two drawings
_INTERVAL = 0.1
#: a drawing that took long is not repeated before this many times as long has passed, so that drawing takes at most
#: a twentieth of the time however large the graph is
_PATIENCE = 20


def display(stream: TextIO | None = None, *, logs: bool = False) -> Observer:
    """The progress display that suits a stream (stderr): live on a terminal, lines elsewhere."""
    stream = stream or sys.stderr
    from rich.console import Console

    console = Console(file=stream)
    if console.is_terminal and not console.is_dumb_terminal:
        return LiveProgress(console, logs=logs)
    return PlainProgress(stream, logs=logs)


class PlainProgress:
    """One line for every node that ended and every attempt that failed; for pipes and build servers.

    `logs` adds what the tasks write, a line at a time, with the task's name in front.
    """

    def __init__(self, stream: TextIO | None = None, *, logs: bool = False) -> None:
        self._stream = stream or sys.stderr
        self._encoding = getattr(self._stream, "encoding", None) or "utf-8"
        self._ascii = not speaks_unicode(self._encoding)
        self._failures = _Failures()
        self._speech = _Speech(logs=logs)
        self._tally: Tally | None = None
        self._broken = False

    def watch(self, run: RunRecord, graph: Graph) -> None:
        self._tally = Tally(graph)
        self._write([f"{run.pipeline}  run {run.run_id}"])

    def catch_up(self, before: Turn) -> None:
        if self._tally is not None:
            self._tally.take(before, ())
            self._write([_going_on(self._tally)])

    def turn(self, turn: Turn, reports: Sequence[AnyReport]) -> None:
        if self._tally is None:
            return
        self._tally.take(turn, reports)
        lines = self._speech.lines(turn.said)
        lines += (self._symbol(state) + text for state, text in self._failures.lines(self._tally))
        lines += _stopping(self._tally)
        lines += (f"{self._symbol(NodeState.WAITING)}{text}" for text in _asking(self._tally))
        lines += (self._finished(tally) for tally in self._tally.finished if not _was_told(tally))
        if lines:
            self._write(lines)

    def close(self) -> None:
        self._tally = None

    def _finished(self, tally: NodeTally) -> str:
        return f"{self._symbol(tally.state)}{outline.full_name(tally.node)}  {_outcome(tally)}"

    def _symbol(self, state: str) -> str:
        look = mark(state)
        return f"{look.ascii if self._ascii else look.symbol} "

    def _write(self, lines: Iterable[str]) -> None:
        if self._broken:
            return
        try:
            self._stream.write("".join(fitting(f"{line}\n", self._encoding) for line in lines))
            self._stream.flush()
        except OSError:
            # whoever read this is gone; the run is worth more than its display
            self._broken = True


class LiveProgress:
    """A tree of the run, redrawn in place at most ten times a second; failures, and with `logs` what the tasks
    write, are printed above it as they come."""

    def __init__(self, console: Console | None = None, *, logs: bool = False) -> None:
        from rich.console import Console

        self._console = console or Console(stderr=True)
        self._ascii = not speaks_unicode(self._console.encoding)
        self._failures = _Failures()
        self._speech = _Speech(logs=logs)
        self._tally: Tally | None = None
        self._tree: ProgressTree | None = None
        self._live: Live | None = None
        self._title = ""
        self._started_at = 0.0
        self._due = 0.0

    def watch(self, run: RunRecord, graph: Graph) -> None:
        from rich.live import Live

        self._tally = Tally(graph)
        self._tree = ProgressTree(self._tally, encoding=self._console.encoding)
        self._tally.now = self._started_at = run.started_at
        self._title = fitting(f"{run.pipeline}  run {run.run_id}", self._console.encoding)
        # stdout is only taken over where it is the same screen; what goes to a file must stay as it was written
        self._live = Live(
            console=self._console, auto_refresh=False, redirect_stdout=sys.stdout.isatty(), vertical_overflow="crop"
        )
        self._live.start()

    def catch_up(self, before: Turn) -> None:
        from rich.text import Text

        if self._tally is None or self._live is None:
            return
        self._tally.take(before, ())
        try:
            self._console.print(Text(_going_on(self._tally), style="dim"), soft_wrap=True)
        except OSError:
            self._live = None

    def turn(self, turn: Turn, reports: Sequence[AnyReport]) -> None:
        if self._tally is None or self._live is None:
            return
        self._tally.take(turn, reports)
        try:
            self._print_said(turn.said)
            if self._tally.failures or self._tally.caught:
                self._print_failures()
            self._print_stopping()
            now = time.monotonic()
            if now >= self._due:
                self._draw(ended=False)
                self._due = now + max(_INTERVAL, _PATIENCE * (time.monotonic() - now))
        except OSError:
            # the terminal is gone; the run is worth more than its display
            self._live = None

    def close(self) -> None:
        """Draw how it ended and leave that on the screen."""
        live = self._live
        try:
            if live is not None:
                self._draw(ended=True)
                live.stop()
        except OSError:
            pass
        self._live = self._tally = self._tree = None

    def _draw(self, *, ended: bool) -> None:
        from rich.console import Group
        from rich.text import Text

        if self._live is None or self._tally is None or self._tree is None:
            return
        lines = [
            Text(self._title, style="bold", no_wrap=True, overflow="crop"),
            self._tree.text(max(self._console.height - 4, 3)),
        ]
        if not ended:
            elapsed = duration(self._tally.now - self._started_at)
            lines.append(
                Text(
                    f"{self._tree.totals()}{', ' if self._ascii else ' · '}{elapsed}",
                    style="dim",
                    no_wrap=True,
                    overflow="crop",
                )
            )
        self._live.update(Group(*lines), refresh=True)

    def _print_said(self, said: Sequence[Said]) -> None:
        if not said:
            return
        from rich.text import Text

        for line in self._speech.lines(said):
            name, bar, text = line.partition(" | ")
            shown = Text.from_ansi(fitting(text, self._console.encoding))
            self._console.print(Text.assemble((name + bar, "dim")).append_text(shown), soft_wrap=True)

    def _print_stopping(self) -> None:
        from rich.text import Text

        for line in [*_stopping(self._tally), *_asking(self._tally)] if self._tally is not None else ():
            self._console.print(Text(fitting(line, self._console.encoding), style="bold magenta"), soft_wrap=True)

    def _print_failures(self) -> None:
        from rich.text import Text

        if self._tally is None:
            return
        for state, text in self._failures.lines(self._tally):
            look = mark(state)
            line = f"{look.ascii if self._ascii else look.symbol} {text}"
            self._console.print(Text(fitting(line, self._console.encoding), style=look.style), soft_wrap=True)


class _Speech:
    """What is shown of what tasks wrote: with `logs` all of it, and in any case each of penstock's own notices once."""

    def __init__(self, *, logs: bool) -> None:
        self._logs = logs
        self._notices = Notices()

    def lines(self, said: Sequence[Said]) -> list[str]:
        """The lines to show: `train[2] | loss 0.31`, `note | fit: values of type ...`."""
        return [line for each in said for line in self._lines_of(each)]

    def _lines_of(self, said: Said) -> Iterable[str]:
        for line in said.lines:
            if line.stream != NOTICE:
                if self._logs:
                    yield f"{item_id(said.node, said.item)} | {line.text}"
            elif (notice := self._notices.new(said, line)) is not None:
                yield notice


def _going_on(tally: Tally) -> str:
    """How far a run was when another driver left it."""
    total = sum(tally.states.values())
    done = total - sum(tally.states[state] for state in _UNFINISHED)
    return f"goes on: {done:,} of {counted(total, 'task')} {'is' if total == 1 else 'are'} done"


def _stopping(tally: Tally) -> list[str]:
    """What happens to the run when somebody asks for its end."""
    if tally.cancellation is None:
        return []
    if not tally.interrupted:
        return ["stopping: nothing is running"]
    if tally.cancellation.stop:
        return [f"stopping: {counted(tally.interrupted, 'task')} killed"]
    if not tally.running:
        # where one thread does everything, the request is seen when the task has ended
        return [f"stopping: {counted(tally.interrupted, 'task')} finished, and nothing more starts"]
    if tally.running == 1:
        return ["stopping: 1 task is finishing; Ctrl-C again kills it"]
    return [f"stopping: {tally.running:,} tasks are finishing; Ctrl-C again kills them"]


def _asking(tally: Tally) -> list[str]:
    """What is asked of people since the last turn."""
    return [f"{tally.name(cell)} waits for an answer" for _, cell in tally.asked]


class _Failures:
    """The lines about failed attempts, up to a limit for each node."""

    def __init__(self) -> None:
        self._printed: Counter[str] = Counter()

    def lines(self, tally: Tally) -> Iterable[tuple[str, str]]:
        """A line, with the state it speaks of, for each attempt that failed in the last turn, and each failure that
        was caught in it."""
        failed = {record.node for _, record, _ in tally.failures}
        for name in tally.caught:
            if name not in failed:
                yield HANDLED, f"{name} failed, which the body of the pipeline caught"
        for node, record, sequel in tally.failures:
            self._printed[record.node] += 1
            if self._printed[record.node] <= _FAILURES_SHOWN:
                yield _failure(node, record, sequel, caught=record.node in tally.handled)
            elif self._printed[record.node] == _FAILURES_SHOWN + 1:
                yield NodeState.FAILED, f"{record.node}: further failures are counted, not printed"


def _failure(node: NodeTally, record: AttemptRecord, sequel: Sequel, *, caught: bool) -> tuple[str, str]:
    name = item_id(record.node, record.item, record.key)
    fault = record.fault
    cause = f": {headline(f'{fault.type}: {fault.message}')}" if fault is not None else ""
    if not sequel and caught:
        return HANDLED, f"{name} failed, which the body of the pipeline caught{cause}"
    if not sequel:
        return NodeState.FAILED, f"{name} failed{cause}"
    if sequel == "fallback":
        return NodeState.WAITING, f"{name} failed, and its fallback follows{cause}"
    if sequel == "with more memory":
        return NodeState.WAITING, f"{name} failed, and is repeated with more memory{cause}"
    if fault is not None and fault.infrastructure:
        return NodeState.WAITING, f"{name} was lost, and is repeated{cause}"
    attempts = node.node.policy.retries.count + 1
    if record.attempt > attempts or attempts == 1:
        return NodeState.WAITING, f"{name} failed, and is repeated{cause}"
    return NodeState.WAITING, f"{name} failed (attempt {record.attempt} of {attempts}){cause}"


def _was_told(tally: NodeTally) -> bool:
    """Whether the line about its failure says all there is to say of a node."""
    return tally.state is NodeState.FAILED and tally.count is None


def _outcome(tally: NodeTally) -> str:
    """How a node ended, in a few words."""
    if tally.turns:
        return f"{counted(tally.turns, 'turn')}, {duration(tally.duration)}"
    if tally.count and tally.state is NodeState.CACHED:
        return f"{counted(tally.count, 'item')}, cached"
    if tally.count:
        words = [counted(tally.count, "item")]
        words += [
            f"{count:,} {mark(state).word}" for state, count in tally.ended.items() if state != NodeState.SUCCEEDED
        ]
        return ", ".join([*words, duration(tally.duration)])
    if tally.state is NodeState.SUCCEEDED:
        return tally.reason or duration(tally.duration)
    word = mark(tally.state).word
    return f"{word}: {tally.reason}" if tally.reason else word
