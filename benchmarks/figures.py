"""Figures, how they are taken from several rounds, and the table of them."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Literal, NamedTuple


class Budget(NamedTuple):
    """At most so many times the floor (`times`), or at most so much in the figure's own unit (`unit`)."""

    limit: float
    kind: Literal["times", "unit"]

    def __str__(self) -> str:
        return f"{self.limit:g}x" if self.kind == "times" else f"{self.limit:g}"


class Figure(NamedTuple):
    """What one workload costs. `net` is the same less an empty run, where that is measured."""

    workload: str
    unit: str
    #: what the floor is
    floor: str
    floor_value: float
    penstock: float
    net: float | None
    ratio: float
    net_ratio: float | None
    budget: Budget | None

    @property
    def met(self) -> bool | None:
        """Whether the whole figure is within the budget; None where there is none."""
        return self._within(self.penstock, self.ratio)

    @property
    def net_met(self) -> bool | None:
        """The same of what is left without an empty run."""
        return self._within(self.net, self.net_ratio)

    @property
    def missed(self) -> bool:
        """Whether the budget is missed: by what is left without an empty run, where that is known. The sketch that set
        the budgets had warm workers, as the floor has."""
        return (self.met if self.net_met is None else self.net_met) is False

    def _within(self, value: float | None, ratio: float | None) -> bool | None:
        if self.budget is None:
            return None
        measured = ratio if self.budget.kind == "times" else value
        return None if measured is None else measured <= self.budget.limit

    def document(self) -> dict[str, object]:
        """The figure as JSON-able data."""
        budget = None if self.budget is None else self.budget._asdict()
        return {**self._asdict(), "budget": budget, "met": self.met, "net_met": self.net_met, "missed": self.missed}


class Round(NamedTuple):
    """One round's measurements in the unit of the figure, taken right after each other."""

    floor: float
    whole: float
    #: an empty run, where that is measured
    empty: float | None = None

    @property
    def net(self) -> float | None:
        return None if self.empty is None else self.whole - self.empty


def figure(
    workload: str, unit: str, floor: str, rounds: Sequence[Round], budget: Budget | None, *, spikes: bool = False
) -> Figure:
    """The figure of several rounds.

    It is the median of the rounds, and so is a ratio of the ratios within each, where the load of the machine is about
    the same. What has a budget in a unit of its own has no such support: it is the best of the rounds, because noise
    only adds. So is what `spikes`, such as the disk, whose worst moments hit one side and not the other.
    """
    absolute = budget is not None and budget.kind == "unit"
    if absolute or spikes:
        rounds = [_best(rounds)]
    return Figure(
        workload=workload,
        unit=unit,
        floor=floor,
        floor_value=median([each.floor for each in rounds]),
        penstock=median([each.whole for each in rounds]),
        net=_median([each.net for each in rounds]),
        ratio=median([each.whole / each.floor for each in rounds]),
        net_ratio=_median([None if each.net is None else each.net / each.floor for each in rounds]),
        budget=budget,
    )


def _best(rounds: Sequence[Round]) -> Round:
    """The best of each measurement."""
    empties = [each.empty for each in rounds if each.empty is not None]
    floor, whole = min(each.floor for each in rounds), min(each.whole for each in rounds)
    return Round(floor, whole, min(empties) if empties else None)


def _median(values: Sequence[float | None]) -> float | None:
    """The median; None if there is nothing to take it of."""
    known = [value for value in values if value is not None]
    return median(known) if known else None


_HEADINGS = (
    "workload",
    "unit",
    "floor",
    "penstock",
    "net",
    "ratio",
    "net ratio",
    "budget",
    "met",
    "net met",
    "floor is",
)
#: columns that start at the left
_TEXTS = ("workload", "unit", "floor is")


def table(figures: Sequence[Figure]) -> str:
    """The figures as lines of text, one for each."""
    lines = [_HEADINGS, *[_cells(each) for each in figures]]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADINGS))]
    return "\n".join(_aligned(line, widths) for line in lines)


def _cells(figure: Figure) -> tuple[str, ...]:
    return (
        figure.workload,
        figure.unit,
        _number(figure.floor_value),
        _number(figure.penstock),
        _number(figure.net),
        _number(figure.ratio, "x"),
        _number(figure.net_ratio, "x"),
        "" if figure.budget is None else str(figure.budget),
        _answer(figure.met),
        _answer(figure.net_met),
        figure.floor,
    )


def _number(value: float | None, suffix: str = "") -> str:
    if value is None:
        return ""
    digits = 0 if value >= 1000 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}{suffix}"


def _answer(met: bool | None) -> str:
    return "" if met is None else "yes" if met else "NO"


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cell.ljust(width) if heading in _TEXTS else cell.rjust(width)
        for heading, cell, width in zip(_HEADINGS, cells, widths, strict=True)
    ]
    return "  ".join(padded).rstrip()
