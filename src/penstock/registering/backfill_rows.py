"""Sets of parameters for a backfill: read from a file, and made of texts."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from penstock.errors import ParameterError

if TYPE_CHECKING:
    from penstock.authoring.kinds.parameters import Signature


def rows_in(file: Path) -> list[dict[str, Any]]:
    """The sets of parameters in a file: texts from CSV, values from JSON and YAML. Raises ParameterError."""
    try:
        text = file.read_text("utf-8-sig")
        found = _csv(file, text) if file.suffix.lower() == ".csv" else _listed(file, text)
    except (OSError, UnicodeError, csv.Error) as error:
        raise ParameterError(f"{file} cannot be read: {error}") from None
    if not found:
        raise ParameterError(f"{file} has no sets of parameters", remedy="Write one for each run.")
    return found


def _csv(file: Path, text: str) -> list[dict[str, Any]]:
    lines = (line for line in csv.reader(io.StringIO(text, newline="")) if line)
    names: list[str] = next(lines, None) or []
    twice = next((name for place, name in enumerate(names) if not name or name in names[:place]), None)
    if twice is not None:
        raise ParameterError(
            f"{file}: the column {twice!r} is there twice" if twice else f"{file}: a column has no name",
            remedy="The first line has the names of the parameters, joined by commas.",
        )
    found: list[dict[str, Any]] = []
    for number, values in enumerate(lines, 1):
        if len(values) != len(names):
            raise ParameterError(
                f"{file}, row {number} below the names: {len(values)} values for {len(names)} parameters ({', '.join(names)})",
                remedy='Write a value for each of them; one with a comma in it in quotes: "a,b".',
            )
        found.append(dict(zip(names, values, strict=True)))
    return found


def _listed(file: Path, text: str) -> list[dict[str, Any]]:
    import yaml

    try:
        # JSON is YAML as well
        found: Any = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        raise ParameterError(f"{file} is neither JSON nor YAML: {error}") from None
    if found is None:
        return []
    rows = cast(list[Any], found)
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in rows):
        raise ParameterError(
            f"{file} has no list of parameters",
            remedy='Write a list with an object for each run: [{"depth": 3}, {"depth": 5}]; or a CSV file with their names.',
        )
    return rows


def values_of(signature: Signature, rows: Iterable[Mapping[str, str]], source: str) -> Iterator[dict[str, Any]]:
    """Sets of parameters from texts; `source` is the file that they are from, or an option. Raises ParameterError."""
    from penstock.authoring.kinds.parameters import to_json

    for number, row in enumerate(rows, 1):
        try:
            values = signature.resolve(given={}, texts=row, partial=True)
        except ParameterError as error:
            raise _placed(error, source, number) from None
        yield {name: to_json(values[name]) for name in row}


def _placed(error: ParameterError, source: str, number: int) -> ParameterError:
    """The error with the place that a value is from: it was not given by -p."""
    if source.startswith("--"):
        return ParameterError(error.what.replace("(-p ", f"({source} "), where=error.where, remedy=error.remedy)
    where = f"{source}, row {number}" + (" below the names" if source.lower().endswith(".csv") else "")
    return ParameterError(error.what.replace("(-p ", "("), where=where, remedy=error.remedy)


__all__ = ["rows_in", "values_of"]
