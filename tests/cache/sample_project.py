"""A small project with a bit of everything that code can reach, as text: name of a file -> what is in it."""

from __future__ import annotations

import os
import shutil
import textwrap
from pathlib import Path
from typing import Final

from sample_modules import INSTALLED, MODELS, SCRIPTS

_PIPELINE: Final = {
    "penstock.toml": "",
    "pipeline.py": '''
        """What bikes earn at each station."""

        from __future__ import annotations

        import logging
        from pathlib import Path
        from typing import Any

        import bikes.reporting.text as wording
        from bikes.audit import audit
        from bikes.features.build import build
        from bikes.features.clean import clean
        from bikes.loading.reading import load, stations
        from bikes.models.scoring import score
        from bikes.models.training import train
        from bikes.money import cost, fee
        from bikes.names import Level
        from penstock import command, pipeline, stdout, task, unmapped

        logger = logging.getLogger(__name__)
        WIDTH = 12
        UNUSED = 1


        def unused(x):
            return x


        def noted(context):
            print("ended", context)


        lines = command("sh count.sh", name="lines", outputs=stdout("int"), reads=["data/extra.txt"])


        @task(retries=1)
        def report(scores: list[float], price: float) -> str:
            """Says it all."""
            # the best first
            ordered = sorted(scores, reverse=True)
            logger.info("reports on %d stations", len(ordered))
            best = Level.HIGH if ordered[0] > 10 else Level.LOW
            return wording.line(best.value, price).ljust(WIDTH)


        @pipeline
        def earnings(path: Path = Path("data/rides.csv")) -> dict[str, Any]:
            rows = load(path)
            tidy = clean(rows)
            trained = train(build(tidy), depth=2)
            scores = score.map(tidy, model=unmapped(trained.model))
            price = cost(fee("north"))
            said = report(scores, price)
            return {"said": said, "audit": audit(rows), "names": stations(rows), "lines": lines()}
    ''',
    "count.sh": """
        # counts lines
        wc -l < data/extra.txt
    """,
    "data/extra.txt": "one\ntwo\n",
    "data/rides.csv": """
        station,rides,minutes
        north,10,30
        south,20,60
        east,15,90
    """,
}

_BIKES: Final = {
    "bikes/__init__.py": '''
        """Bikes."""

        from .settings import *

        __all__ = ["HEADER", "SEATS"]
    ''',
    "bikes/settings.py": """
        HEADER = 1
        SEATS = 1
        SIGNS = ("-", "+")
        WEIGHTS = {"rides": 2, "hours": {"day": [1, 2], "night": (3,)}}
        SHIFT = HEADER + 4
        LOWEST = 1
        NOWHERE = 9
    """,
    "bikes/names.py": '''
        from enum import Enum
        from typing import NamedTuple, TypedDict


        class Row(NamedTuple):
            """A line."""

            station: str
            rides: int
            hours: float = 1.0


        class Level(Enum):
            LOW = "low"
            HIGH = "high"


        class Model(TypedDict):
            slope: float
            depth: int
    ''',
    "bikes/loading/__init__.py": "",
    "bikes/loading/reading.py": """
        from __future__ import annotations

        from collections.abc import Iterator
        from pathlib import Path
        from typing import TYPE_CHECKING

        from bikes import HEADER
        from penstock import task

        from ..names import Row
        from .parsing import parse

        if TYPE_CHECKING:
            from collections.abc import Sequence


        def ordered(rows: Sequence[Row], key=lambda row: row.station, *, backwards=False) -> list[Row]:
            return sorted(rows, key=key, reverse=backwards)


        @task
        def load(path: Path) -> list[Row]:
            return [parse(line) for line in path.read_text().splitlines()[HEADER:]]


        @task
        def stations(rows: list[Row]) -> Iterator[str]:
            for row in ordered(rows):
                yield row.station
    """,
    "bikes/loading/parsing.py": """
        from bikes.names import Row

        from . import units

        try:
            from fastcsv import split
        except ImportError:
            from bikes.loading.plain import split


        def parse(line):
            station, rides, minutes = split(line)
            return Row(station, int(rides), units.hours(float(minutes)))
    """,
    "bikes/loading/plain.py": """
        SEPARATOR = ","


        def split(line):
            return [part.strip() for part in line.split(SEPARATOR)]


        def join(parts):
            return SEPARATOR.join(parts)
    """,
    "bikes/loading/units.py": """
        MINUTES = 60
        SECONDS = MINUTES * 60


        def hours(minutes):
            return minutes / MINUTES


        def days(minutes):
            return hours(minutes) / 24
    """,
    "bikes/features/__init__.py": """
        from .steps import *
    """,
    "bikes/features/steps.py": """
        from functools import wraps

        STEPS = {}
        ORDER = {"named": True, "positive": True, "rounded": False}


        def step(name):
            def register(function):
                STEPS[name] = function
                return function

            return register


        def checked(function):
            @wraps(function)
            def wrapper(rows):
                result = function(rows)
                if not result:
                    raise ValueError("nothing is left")
                return result

            return wrapper


        def at_least(low):
            def decorate(function):
                @wraps(function)
                def wrapper(row):
                    return function(row) if row.rides >= low else None

                return wrapper

            return decorate


        @step("named")
        def named(row):
            return row if row.station else None


        @step("positive")
        @at_least(1)
        def positive(row):
            return row


        @step("rounded")
        def rounded(row):
            return row._replace(hours=round(row.hours))
    """,
    "bikes/features/clean.py": """
        from bikes.features import ORDER, STEPS, checked
        from bikes.names import Row
        from penstock import task


        @task
        @checked
        def clean(rows: list[Row]) -> list[Row]:
            for name, wanted in ORDER.items():
                if wanted:
                    rows = [row for row in map(STEPS[name], rows) if row is not None]
            return rows
    """,
    "bikes/features/scaling.py": """
        from functools import partial


        def scaler(factor, offset=0):
            def apply(value):
                return value * factor + offset

            return apply


        def power(value, by):
            return value**by


        double = scaler(2)
        square = partial(power, by=2)
        SHAPES = {"flat": lambda value: value, "steep": lambda value: value * 3}
    """,
    "bikes/features/build.py": """
        from bikes.features import scaling
        from bikes.names import Row
        from bikes.settings import WEIGHTS
        from penstock import task


        class Base:
            unit = 1

            def __init_subclass__(cls, scale=1):
                cls.scale = scale

            def total(self, values):
                return sum(values) * self.scale


        class Builder(Base, scale=3):
            def __init__(self, rows):
                self.rows = rows

            def vectors(self):
                return [[self.width, *self.vector(row)] for row in self.rows]

            def vector(self, row):
                night = WEIGHTS["hours"]["night"][0]
                return [scaling.double(row.rides), scaling.square(row.hours) * night, self.total([self.unit])]

            @property
            def width(self):
                return len(self.rows)

            @classmethod
            def of(cls, rows):
                return cls([row for row in rows if cls.fits(row)])

            @staticmethod
            def fits(row):
                return scaling.SHAPES["flat"](row.rides) > 0


        @task
        def build(rows: list[Row]) -> list[list[float]]:
            return Builder.of(rows).vectors()
    """,
}

FILES: Final = {
    name: textwrap.dedent(text).lstrip("\n")
    for name, text in {**_PIPELINE, **_BIKES, **MODELS, **INSTALLED, **SCRIPTS}.items()
}


def write(folder: Path, files: dict[str, str]) -> None:
    """Put files into a folder."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def copy(source: Path, target: Path) -> None:
    """A copy of a project with its state; its files are the very same ones, and must be replaced to be changed."""
    shutil.copytree(source, target, copy_function=os.link, ignore=shutil.ignore_patterns(".penstock"))
    shutil.copytree(source / ".penstock", target / ".penstock")
