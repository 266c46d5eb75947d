"""Small parts that the views are put together from. Only views import this, so that rich loads when something is
about to be shown."""

from __future__ import annotations

import io
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import TextIO, cast

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from penstock.observe.marks import mark

#: columns of what is not shown on a terminal
_UNLIMITED = 1000


def console(stream: TextIO) -> Console:
    """A console on a stream that shows what the stream's encoding cannot hold as question marks."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")
    return Console(file=cast("TextIO", stream), highlight=False)


def rendered(renderable: RenderableType, *, width: int = 80) -> str:
    """What would be shown, as plain text."""
    return _plain(renderable, Console(file=io.StringIO(), width=width, color_system=None, force_terminal=False))


def unfolded(renderable: RenderableType, target: Console) -> str:
    """What would be shown on a console, as plain text with lines as long as they need to be."""
    target.width = _UNLIMITED
    return _plain(renderable, target)


def _plain(renderable: RenderableType, target: Console) -> str:
    with target.capture() as capture:
        target.print(renderable)
    return "\n".join(line.rstrip() for line in capture.get().split("\n"))


class Marked:
    """A text behind the symbol of a state, which depends on what the console can show."""

    def __init__(self, state: str, text: str, *, plain: str = "") -> None:
        self._look = mark(state)
        self._text = text
        #: what stands after the text in no colour
        self._plain = plain

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        yield self._assembled(options)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement.get(console, options, self._assembled(options))

    def _assembled(self, options: ConsoleOptions) -> Text:
        symbol = self._look.ascii if options.ascii_only else self._look.symbol
        return Text.assemble((f"{symbol} {self._text}", self._look.style), self._plain)


class ByWidth:
    """One thing or another, depending on how many columns there are."""

    def __init__(self, narrow: RenderableType, wide: RenderableType, limit: int) -> None:
        self._narrow = narrow
        self._wide = wide
        self._limit = limit

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        yield self._wide if options.max_width >= self._limit else self._narrow


def pairs(rows: Iterable[tuple[str, str]]) -> Table:
    """Names and values in two columns, without lines."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in rows:
        grid.add_row(Text(name), Text(value))
    return grid


def titled(title: str, body: RenderableType) -> list[RenderableType]:
    """A title with what belongs to it indented below, and an empty line before."""
    return [Text(), Text(title, style="bold"), Padding(body, (0, 0, 0, 2))]


Cell = str | Marked


def columns(rows: Sequence[Mapping[str, Cell]], *, right: Container[str] = (), wrap: Container[str] = ()) -> Table:
    """A table of rows by column; a column in which every row is empty is left out. `right` and `wrap` as for
    `table`."""
    names = [name for name in rows[0] if any(row[name] for row in rows)]
    return table(names, ([row[name] for name in names] for row in rows), right=right, wrap=wrap)


def table(
    names: Sequence[str], rows: Iterable[Iterable[Cell]], *, right: Container[str] = (), wrap: Container[str] = ()
) -> Table:
    """A table. Columns in `right` are set right, and only those in `wrap` give way on a narrow terminal."""
    made = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False, header_style="bold")
    for name in names:
        made.add_column(
            Text(name),
            justify="right" if name in right else "left",
            overflow="fold",
            no_wrap=name not in wrap,
            min_width=min(16, len(name)) if name in wrap else None,
        )
    for row in rows:
        made.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    return made
