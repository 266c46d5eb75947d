"""Types that a parameter can have, and ways to read values of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, IntFlag, StrEnum
from pathlib import Path, PurePosixPath
from typing import (
    Annotated,
    Any,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    Optional,
    TypedDict,
    Union,
)
from uuid import UUID

import pydantic
import pytest

from penstock.authoring.kinds.parameters import Signature
from penstock.errors import ParameterError


class Mode(Enum):
    FAST = "fast"
    SLOW = "slow"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Colour(StrEnum):
    RED = "red"
    #: its value is the name of another member
    ODD = "RED"


class Shape(Enum):
    SQUARE = (1, 1)
    WIDE = (2, 1)


class Access(IntFlag):
    READ = 1
    WRITE = 2


@dataclass
class Candidate:
    depth: int
    rate: float = 0.1

    def __post_init__(self) -> None:
        if self.depth < 0:
            raise ValueError("depth must not be negative")


@dataclass
class Search:
    candidates: list[Candidate]
    mode: Mode = Mode.FAST
    until: date | None = None
    tags: set[str] = field(default_factory=set)
    fallback: Search | None = None


class Span(NamedTuple):
    start: date
    end: date
    step: timedelta = timedelta(days=1)


class Limits(TypedDict):
    low: int
    high: NotRequired[float]


class Settings(pydantic.BaseModel):
    rate: float
    folder: Path = Path("here")
    when: date | None = None


class Plain:
    def __repr__(self) -> str:
        return "Plain()"


Seed = NewType("Seed", int)


def read(annotation: Any, **sources: Any) -> Any:
    """The value of a parameter `x` of the given type."""

    def pipe(x): ...

    pipe.__annotations__["x"] = annotation
    return Signature.of(pipe).resolve(**{"given": {}, **sources})["x"]


def from_text(annotation: Any, text: str) -> Any:
    return read(annotation, texts={"x": text})


def from_config(annotation: Any, data: Any) -> Any:
    return read(annotation, config={"x": data}, config_source="conf.yaml")


def from_python(annotation: Any, value: Any) -> Any:
    return read(annotation, given={"x": value})


def complaint(reader: Callable[[Any, Any], Any], annotation: Any, value: Any) -> str:
    """The line of the message about `x`, without its place in the message."""
    with pytest.raises(ParameterError) as caught:
        reader(annotation, value)
    lines = str(caught.value).splitlines()
    assert "1 problem with the parameters of pipe" in lines[0]
    return lines[1].strip()


def same(left: Any, right: Any) -> bool:
    return type(left) is type(right) and left == right


TEXTS: list[tuple[Any, str, Any]] = [
    (int, "3", 3),
    (int, "-3", -3),
    (int, "1_000", 1000),
    (float, "1e-3", 0.001),
    (float, "3", 3.0),
    (float, "-inf", float("-inf")),
    (str, "3", "3"),
    (str, "", ""),
    (str, " padded ", " padded "),
    (str, "none", "none"),
    (Path, "data/in.csv", Path("data/in.csv")),
    (PurePosixPath, "/a", PurePosixPath("/a")),
    (date, "2026-11-21", date(2026, 11, 21)),
    (datetime, "2026-11-21T09:30:00", datetime(2026, 11, 21, 9, 30)),
    (datetime, "2026-11-21T09:30:00Z", datetime(2026, 11, 21, 9, 30, tzinfo=UTC)),
    (datetime, "2026-11-21T11:30:00+02:00", datetime(2026, 11, 21, 9, 30, tzinfo=UTC)),
    (datetime, "2026-11-21", datetime(2026, 11, 21)),
    (time, "09:30", time(9, 30)),
    (timedelta, "PT1H30M", timedelta(hours=1, minutes=30)),
    (timedelta, "90s", timedelta(seconds=90)),
    (timedelta, "1h30m", timedelta(minutes=90)),
    (timedelta, "1h 30min", timedelta(minutes=90)),
    (timedelta, "2d", timedelta(days=2)),
    (timedelta, "1w", timedelta(days=7)),
    (timedelta, "500ms", timedelta(milliseconds=500)),
    (timedelta, "1.5h", timedelta(minutes=90)),
    (timedelta, "-90s", timedelta(seconds=-90)),
    (UUID, "12345678-1234-5678-1234-567812345678", UUID("12345678-1234-5678-1234-567812345678")),
    (Decimal, "0.10", Decimal("0.10")),
    (Mode, "FAST", Mode.FAST),
    (Mode, "slow", Mode.SLOW),
    (Level, "2", Level.HIGH),
    (Colour, "RED", Colour.RED),
    (Literal["fast", "slow"], "slow", "slow"),
    (Literal["a", 1, True, None], "1", 1),
    (Literal["a", 1, True, None], "true", True),
    (Literal["a", 1, True, None], "none", None),
    (Literal[Mode.FAST, "other"], "fast", Mode.FAST),
    (int | None, "3", 3),
    (int | None, "none", None),
    (int | None, "null", None),
    (int | None, "", None),
    (Path | None, "", None),
    (Path | None, "none", None),
    (str | None, "none", None),
    (str | None, "", ""),
    (Literal["none", "all"] | None, "none", "none"),
    (date | None, "2026-11-21", date(2026, 11, 21)),
    (str | int, "3", 3),
    (str | int, "x", "x"),
    (float | int, "3", 3),
    (float | int, "3.0", 3.0),
    (int | bool, "1", 1),
    (int | bool, "yes", True),
    (str | date, "2026-11-21", date(2026, 11, 21)),
    (str | datetime | date, "2026-11-21", date(2026, 11, 21)),
    (str | list[int], "[1, 2]", [1, 2]),
    (str | list[str], "a,b", "a,b"),
    (int | list[int], "1,2", [1, 2]),
    (list[int], "1,2,3", [1, 2, 3]),
    (list[int], "[1, 2]", [1, 2]),
    (list[int], "4", [4]),
    (list[int], "", []),
    (list[str], "a, b", ["a", "b"]),
    (list[str], "[a, b]", ["a", "b"]),
    (list[Path], "a,b/c", [Path("a"), Path("b/c")]),
    (list[date | None], "[2026-11-21, none]", [date(2026, 11, 21), None]),
    (list[list[int]], "[[1], [2, 3]]", [[1], [2, 3]]),
    (list, "1,a,null", [1, "a", None]),
    (list[Any], "[1, [x, 2]]", [1, ["x", 2]]),
    (tuple[int, ...], "1,2", (1, 2)),
    (tuple[int, str], "1,a", (1, "a")),
    (set[int], "1,2,1", {1, 2}),
    (frozenset[str], '["a"]', frozenset({"a"})),
    (Sequence[float], "1,2.5", [1.0, 2.5]),
    (dict[str, int], '{"a": 1}', {"a": 1}),
    (dict[str, int], "{a: 1, b: 2}", {"a": 1, "b": 2}),
    (dict[int, date], '{"1": "2026-11-21"}', {1: date(2026, 11, 21)}),
    (Mapping[str, list[float]], '{"a": [1, 2.5]}', {"a": [1.0, 2.5]}),
    (Candidate, '{"depth": 3}', Candidate(3)),
    (Candidate, "{depth: 3, rate: 1e-3}", Candidate(3, 0.001)),
    (Span, '["2026-11-20", "2026-11-21"]', Span(date(2026, 11, 20), date(2026, 11, 21))),
    (Limits, '{"low": 1}', {"low": 1}),
    (Settings, '{"rate": 0.5, "when": "2026-11-21"}', Settings(rate=0.5, when=date(2026, 11, 21))),
    (Any, "3", 3),
    (Any, "hello", "hello"),
    (Any, "true", True),
    (Any, '{"a": [1]}', {"a": [1]}),
    (Seed, "7", 7),
    (Annotated[int, "of the forest"], "7", 7),
    (None, "none", None),
    (Optional[int], "none", None),  # noqa: UP045
    (Union[str, int], "3", 3),  # noqa: UP007
]
