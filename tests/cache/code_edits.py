"""Edits that change what tasks do, each with exactly the tasks that it reaches."""

from __future__ import annotations

from typing import Final

from edits import SCORES, Edit, edit

_ROW: Final = f"load stations clean build {SCORES} audit"
_MODEL: Final = f"train {SCORES}"

FUNCTIONS: Final[dict[str, Edit]] = {
    "the body of a task": edit("report", ("pipeline.py", "ordered[0] > 10", "ordered[0] > 11")),
    "a log message": edit("report", ("pipeline.py", "reports on", "writes about")),
    "a default of a task": edit("train", ("bikes/models/training.py", "depth: int = 1", "depth: int = 2")),
    "an annotation of a task": edit(
        "train", ("bikes/models/training.py", "vectors: list[list[float]]", "vectors: list[list[int | float]]")
    ),
    "the body of a generator": edit(
        "stations", ("bikes/loading/reading.py", "yield row.station", "yield row.station.title()")
    ),
    "a mapped task": edit(f"{SCORES}", ("bikes/models/scoring.py", "row.rides, ", "row.rides + 0, ")),
    "a helper two modules away, which gives something else": edit(
        "load clean build train score[0] score[2] stations audit",
        ("bikes/loading/units.py", "minutes / MINUTES", "minutes // MINUTES"),
    ),
    "a helper two modules away, which gives the same": edit(
        "load", ("bikes/loading/units.py", "minutes / MINUTES", "minutes * 1 / MINUTES")
    ),
    "what a conditional import finds": edit(
        "load", ("fastcsv.py", "", 'def split(line):\n    return line.split(",")\n')
    ),
    "a lambda as a default": edit(
        "stations", ("bikes/loading/reading.py", "key=lambda row: row.station", "key=lambda row: row.rides")
    ),
    "the import of a function inside a function": edit(
        "train", ("bikes/models/training.py", "losses.squared(slope)", "losses.absolute(slope)")
    ),
    "a constant of a function imported inside a function": edit(
        "train", ("bikes/models/loss.py", "POWER = 2", "POWER = 3")
    ),
    "an attribute of a function imported inside a function": edit(
        "train", ("bikes/models/loss.py", "squared.less = 0", "squared.less = 1")
    ),
    "an entry of a dict imported inside a function": edit(
        "train", ("bikes/models/loss.py", 'BOUNDS["high"] = 100', 'BOUNDS["high"] = 90')
    ),
    "a function in a registry imported inside a function": edit(
        "train", ("bikes/models/penalties.py", "return 0.0", "return -0.0")
    ),
    "a function more in a registry imported inside a function": edit(
        "train",
        (
            "bikes/models/penalties.py",
            '@penalty("large")',
            '@penalty("small")\ndef small(slope):\n    return -slope\n\n\n@penalty("large")',
        ),
    ),
    "a helper through a module under another name": edit(
        "report", ("bikes/reporting/text.py", "{price:.2f}", "{price:.3f}")
    ),
    "one of the implementations of a generic function": edit("audit", ("bikes/audit.py", "} rides", "} trips")),
    "a function behind functools.cache": edit("audit", ("bikes/audit.py", "return count + 1", "return count + 2")),
    "an attribute of a function": edit("audit", ("bikes/audit.py", "limit.most = 18", "limit.most = 12")),
}

MORE_FUNCTIONS: Final[dict[str, Edit]] = {
    "what a task returns, by its annotation": edit(
        "stations", ("bikes/loading/reading.py", "-> Iterator[str]", "-> Iterator[object]")
    ),
    "the body of an async task": edit(
        "fee", ("bikes/money.py", "return base.fee(station)", "return base.fee(station) + 0")
    ),
    "an async task that becomes a plain one": edit("fee", ("bikes/money.py", "async def fee", "def fee")),
    "a helper, which gives something else": edit(
        f"load stations clean build {_MODEL} report audit",
        ("bikes/loading/parsing.py", "int(rides)", "int(rides) + 1"),
    ),
    "a constant of a helper two modules away": edit(
        f"load clean build {_MODEL} stations audit", ("bikes/loading/units.py", "MINUTES = 60", "MINUTES = 30")
    ),
    "a helper that a conditional import binds": edit(
        "load", ("bikes/loading/plain.py", "part.strip()", "part.rstrip()")
    ),
    "another import of the same name": edit(
        "report",
        ("pipeline.py", "import bikes.reporting.text as wording", "import bikes.reporting.brief as wording"),
        ("bikes/reporting/brief.py", "", 'def line(level, price):\n    return "brief"\n'),
    ),
    "a default of a helper": edit("stations", ("bikes/loading/reading.py", "backwards=False", "backwards=True")),
    "a function imported inside a function": edit("train", ("bikes/models/loss.py", "x**POWER, ", "x**POWER + 1, ")),
    "an implementation more": edit(
        "audit",
        (
            "bikes/audit.py",
            "def limit(row)",
            "@described.register\ndef _(value: bool):\n    return 'yes'\n\n\ndef limit(row)",
        ),
    ),
}

DECORATED: Final[dict[str, Edit]] = {
    "a decorator of a task": edit("clean", ("bikes/features/steps.py", "nothing is left", "all is gone")),
    "a task without its decorator": edit("clean", ("bikes/features/clean.py", "@task\n@checked", "@task")),
    "an argument of a decorator": edit("clean", ("bikes/features/steps.py", "@at_least(1)", "@at_least(2)")),
    "an argument of a decorator, which gives something else": edit(
        f"clean build train {SCORES.rsplit(' ', 1)[0]} report",
        ("bikes/features/steps.py", "@at_least(1)", "@at_least(12)"),
    ),
    "a function in a registry": edit(
        "clean", ("bikes/features/steps.py", "row if row.station else None", "row if row.station != '' else None")
    ),
    "an entry of a registry from another module": edit(
        "clean",
        ("bikes/features/__init__.py", "", "from . import more\n"),
        ("bikes/features/more.py", "", "from .steps import step\n\n\n@step('more')\ndef more(row):\n    return row\n"),
    ),
    "what a closure holds": edit(f"build {_MODEL} report", ("bikes/features/scaling.py", "scaler(2)", "scaler(4)")),
    "a partial's argument": edit("build train", ("bikes/features/scaling.py", "by=2", "by=3")),
    "a lambda in a dict": edit(
        "build", ("bikes/features/scaling.py", '"flat": lambda value: value,', '"flat": lambda value: +value,')
    ),
}

MORE_DECORATED: Final[dict[str, Edit]] = {
    "a decorator with arguments": edit("clean", ("bikes/features/steps.py", "row.rides >= low", "row.rides > low")),
    "a decorator more": edit(
        "clean", ("bikes/features/steps.py", '@step("named")\n', '@step("named")\n@at_least(0)\n')
    ),
    "a function in a registry that is not used now": edit(
        "clean", ("bikes/features/steps.py", "round(row.hours)", "round(row.hours, 1)")
    ),
    "the name of a function in a registry": edit(
        "clean", ("bikes/features/steps.py", '@step("rounded")', '@step("round")')
    ),
    "what a factory makes": edit(
        "build", ("bikes/features/scaling.py", "value * factor + offset", "offset + value * factor")
    ),
    "a default of a factory, in a closure": edit(
        "build train", ("bikes/features/scaling.py", "offset=0", "offset=0.0")
    ),
    "a partial's function": edit("build", ("bikes/features/scaling.py", "return value**by", "return pow(value, by)")),
    "another lambda in a dict": edit("build", ("bikes/features/scaling.py", "value * 3", "value * 4")),
    "a key of a dict of functions": edit("build", ("bikes/features/scaling.py", '"steep"', '"steeper"')),
}

CLASSES: Final[dict[str, Edit]] = {
    "a method": edit(
        "build", ("bikes/features/build.py", "[self.width, *self.vector(row)]", "[*[self.width], *self.vector(row)]")
    ),
    "an argument of a class": edit("build train", ("bikes/features/build.py", "scale=3", "scale=4")),
    "a property": edit(
        "build train", ("bikes/features/build.py", "return len(self.rows)", "return len(self.rows) + 1")
    ),
    "a class method": edit(
        "build", ("bikes/features/build.py", "row for row in rows if", "each for row in rows for each in [row] if")
    ),
    "the order of methods": edit(
        "build",
        ("bikes/features/build.py", "    @property\n    def width(self):\n        return len(self.rows)\n\n", ""),
        (
            "bikes/features/build.py",
            "    def vectors(self)",
            "    @property\n    def width(self):\n        return len(self.rows)\n\n    def vectors(self)",
        ),
    ),
    "a metaclass": edit("train", ("bikes/models/registry.py", "made.registered = True", "made.registered = False")),
    "a subclass in a registry of its base": edit(
        f"{_MODEL} report", ("bikes/models/linear.py", "super().step(vector) * 2", "super().step(vector) * 3")
    ),
    "a method put on a class from outside": edit(
        f"{_MODEL} report", ("bikes/models/linear.py", "self.slope * 0.5", "self.slope * 0.25")
    ),
    "an attribute put on a class from outside": edit(
        "train", ("bikes/models/linear.py", "Linear.floor = 0.0", "Linear.floor = -1.0")
    ),
    "a field of a configuration": edit(f"{_MODEL} report", ("bikes/models/config.py", "rate=0.25", "rate=0.75")),
    "a default that the configuration takes": edit(
        f"{_MODEL} report", ("bikes/models/config.py", "rounds: int = 3", "rounds: int = 4")
    ),
    "the factory of a field": edit("train", ("bikes/models/config.py", "[8, 4]", "[8, 5]")),
    "a value of an enum": edit("report", ("bikes/names.py", 'HIGH = "high"', 'HIGH = "top"')),
    "a default of a named tuple": edit(_ROW, ("bikes/names.py", "hours: float = 1.0", "hours: float = 2.0")),
    "a class that an annotation in quotes names": edit(
        SCORES, ("bikes/models/scoring.py", 'model: "Model"', 'model: "dict[str, float]"')
    ),
}

MORE_CLASSES: Final[dict[str, Edit]] = {
    "a method of a base class": edit(
        "build", ("bikes/features/build.py", "sum(values) * self.scale", "self.scale * sum(values)")
    ),
    "a hook for subclasses": edit("build", ("bikes/features/build.py", "cls.scale = scale", "cls.scale = int(scale)")),
    "an attribute of a class": edit("build train", ("bikes/features/build.py", "unit = 1", "unit = 2")),
    "a static method": edit("build", ("bikes/features/build.py", "(row.rides) > 0", "(row.rides) >= 0")),
    "the base of a class": edit(
        "build",
        ("bikes/features/build.py", "class Builder(Base,", "class Middle(Base):\n    pass\n\n\nclass Builder(Middle,"),
    ),
    "a method more": edit(
        "build", ("bikes/features/build.py", "    @property", "    def more(self):\n        return 1\n\n    @property")
    ),
    "a descriptor": edit("train", ("bikes/models/registry.py", "self.name), 3)", "self.name), 4)")),
    "a method put in place of another": edit(
        "train",
        (
            "bikes/models/linear.py",
            "Linear.shrink = shrink",
            "Linear.shrink = shrink\nLinear.step = lambda self, vector: vector[1] * 0.01",
        ),
    ),
    "a default of a data class": edit("train", ("bikes/models/config.py", "rate: float = 0.5", "rate: float = 0.6")),
    "the decorator of a class": edit("train", ("bikes/models/config.py", "@dataclass\n", "@dataclass(order=True)\n")),
    "an attribute of an object": edit("audit", ("bikes/audit.py", "CHECKS.strict = True", "CHECKS.strict = 1")),
    "a member of an enum": edit("report", ("bikes/names.py", 'LOW = "low"', 'LOW = "low"\n    NONE = ""')),
    "a type of a typed dict": edit(_MODEL, ("bikes/names.py", "slope: float", "slope: int")),
}
