"""Rules for the columns of a pandas frame, and the check that names every column that breaks one."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

#: family of dtypes -> the function of pandas.api.types that recognises it
_FAMILIES = {
    "number": "is_numeric_dtype",
    "integer": "is_integer_dtype",
    "float": "is_float_dtype",
    "text": "is_string_dtype",
    "boolean": "is_bool_dtype",
    "datetime": "is_datetime64_any_dtype",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """What must be true of one column; what is left out is not checked."""

    #: a family (number, integer, float, text, boolean, datetime) or the exact dtype (`float32`)
    dtype: str | None = None
    #: the smallest and the largest value, both allowed themselves
    minimum: Any = None
    maximum: Any = None
    #: the only values there may be
    allowed: tuple[Any, ...] | None = None
    #: the share of rows that may have no value, from 0 to 1
    missing: float = 0.0
    #: the share of rows, from 0 to 1, that each value of `allowed` must at least make up: the balance of classes
    least_share: float = 0.0


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that a frame breaks; `column` is None where the rule is about the whole frame."""

    column: str | None
    problem: str

    def __str__(self) -> str:
        return self.problem if self.column is None else f"column {self.column!r} {self.problem}"


@dataclass(frozen=True, slots=True)
class ValidationReport:
    """What was checked and what was found."""

    rows: int
    columns: int
    #: cells without a value, in all columns
    missing: int
    #: rows for each allowed value, of the columns whose rule lists them
    counts: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    violations: tuple[Violation, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every rule holds."""
        return not self.violations


class InvalidDataError(ValueError):
    """A frame breaks its rules; the message lists every violation, `report` has them as data."""

    def __init__(self, report: ValidationReport) -> None:
        found = len(report.violations)
        lines = "".join(f"\n  - {violation}" for violation in report.violations)
        super().__init__(f"the data breaks {found} {'rule' if found == 1 else 'rules'}:{lines}")
        self.report = report

    def __reduce__(self) -> tuple[type[InvalidDataError], tuple[ValidationReport]]:
        return type(self), (self.report,)


def check_frame(
    frame: Any, rules: Mapping[str, Column], *, least_rows: int = 1, extra: bool = False
) -> ValidationReport:
    """Check a pandas frame against the rules for its columns.

    `least_rows` is the fewest rows there may be; `extra` allows columns without a rule. Returns the report when every
    rule holds; raises InvalidDataError, which lists every violation, when one does not.
    """
    present = {name: rule for name, rule in rules.items() if name in frame.columns}
    report = ValidationReport(
        rows=len(frame),
        columns=len(frame.columns),
        missing=int(frame.isna().sum().sum()),
        counts={name: _counts(frame[name], rule) for name, rule in present.items() if rule.allowed is not None},
        violations=(
            *_shape(frame, rules, least_rows, extra),
            *(Violation(name, text) for name, rule in present.items() for text in _problems(frame[name], rule)),
        ),
    )
    if not report.passed:
        raise InvalidDataError(report)
    return report


def _counts(series: Any, rule: Column) -> dict[str, int]:
    return {str(value): int((series == value).sum()) for value in rule.allowed or ()}


def _shape(frame: Any, rules: Mapping[str, Column], least_rows: int, extra: bool) -> Iterator[Violation]:
    if len(frame) < least_rows:
        yield Violation(None, f"there are {len(frame)} rows, fewer than {least_rows}")
    for name in rules:
        if name not in frame.columns:
            yield Violation(name, "is not there")
    for name in frame.columns:
        if name not in rules and not extra:
            yield Violation(str(name), "is there, but no rule mentions it")
    for name in frame.columns[frame.columns.duplicated()].unique():
        yield Violation(str(name), "is there more than once")


def _problems(series: Any, rule: Column) -> Iterator[str]:
    if series.ndim > 1:  # a duplicated name selects a frame; _shape has reported it
        return
    if rule.dtype is not None and not _has_dtype(series, rule.dtype):
        yield f"has dtype {series.dtype}, not {rule.dtype}"
        return
    share = float(series.isna().mean()) if len(series) else 0.0
    if share > rule.missing:
        yield f"has no value in {share:.1%} of its rows; at most {rule.missing:.1%} may be missing"
    values = series.dropna()
    if rule.minimum is not None:
        yield from _offenders(values, values < rule.minimum, f"are below {rule.minimum}")
    if rule.maximum is not None:
        yield from _offenders(values, values > rule.maximum, f"are above {rule.maximum}")
    if rule.allowed is not None:
        yield from _offenders(values, ~values.isin(rule.allowed), f"are none of {', '.join(map(repr, rule.allowed))}")
        yield from _imbalances(series, rule)


def _has_dtype(series: Any, dtype: str) -> bool:
    if dtype not in _FAMILIES:
        return str(series.dtype) == dtype
    types: Any = importlib.import_module("pandas.api.types")
    recognises: Callable[[Any], bool] = getattr(types, _FAMILIES[dtype])
    # pandas counts truth values among the numbers
    return recognises(series.dropna()) and not (dtype == "number" and types.is_bool_dtype(series))


def _offenders(values: Any, wrong: Any, problem: str) -> Iterator[str]:
    count = int(wrong.sum())
    if count:
        # lists hold Python's own numbers and texts, which read better than numpy's
        value, row = values[wrong].tolist()[0], values[wrong].index.tolist()[0]
        yield f"has {count} of {len(values)} values that {problem}: the first is {value!r}, in row {row!r}"


def _imbalances(series: Any, rule: Column) -> Iterator[str]:
    for value, count in _counts(series, rule).items():
        share = count / len(series) if len(series) else 0.0
        if share < rule.least_share:
            yield f"is {value!r} in only {share:.1%} of its rows; at least {rule.least_share:.1%} are needed"
