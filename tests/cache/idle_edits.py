"""Edits that change nothing that tasks do: they re-run nothing."""

from __future__ import annotations

from typing import Final

from edits import Edit, edit
from sample_project import FILES

WRITING: Final[dict[str, Edit]] = {
    "nothing": edit(""),
    "a comment": edit("", ("pipeline.py", "# the best first", "# best first, worst last")),
    "a comment at the top": edit("", ("bikes/features/steps.py", "", "# Steps.\n# Many of them.\n\n")),
    "a type comment": edit(
        "", ("bikes/loading/units.py", "def hours(minutes):\n", "def hours(minutes):\n    # type: (float) -> float\n")
    ),
    "a docstring of a task": edit("", ("pipeline.py", '"""Says it all."""', '"""Says what there is to say."""')),
    "a docstring of a helper": edit(
        "", ("bikes/loading/plain.py", "def split(line):\n", 'def split(line):\n    """Splits.\n\n    A line."""\n')
    ),
    "a docstring of a module": edit("", ("bikes/models/loss.py", "", '"""How much is lost."""\n\n')),
    "blank lines": edit("", ("bikes/features/clean.py", "    for name", "\n\n    for name")),
    "a line broken into several": edit(
        "",
        (
            "bikes/loading/parsing.py",
            "units.hours(float(minutes))",
            "units.hours(\n        float(\n            minutes,\n        ),\n    )",
        ),
    ),
    "single quotes": edit("", ("bikes/loading/plain.py", '","', "','")),
    "parentheses": edit("", ("bikes/loading/units.py", "return minutes / MINUTES", "return (minutes) / (MINUTES)")),
    "an annotation out of its quotes": edit(
        "", ("bikes/models/scoring.py", 'row: "Row", model: "Model"', "row: Row, model: Model")
    ),
    "an annotation into quotes": edit("", ("bikes/audit.py", "rows: list[Row]", 'rows: list["Row"]')),
}

MORE_WRITING: Final[dict[str, Edit]] = {
    "a comment in a helper": edit(
        "", ("bikes/loading/units.py", "def hours(minutes):\n", "def hours(minutes):\n    # of an hour\n")
    ),
    "a comment about types": edit(
        "", ("bikes/loading/units.py", "return minutes / MINUTES", "return minutes / MINUTES  # type: ignore")
    ),
    "no docstring of a task": edit("", ("pipeline.py", '    """Says it all."""\n', "")),
    "a docstring of a class": edit("", ("bikes/names.py", '"""A line."""', '"""A line of the file."""')),
    "a docstring of a method": edit(
        "", ("bikes/features/build.py", "def vectors(self):\n", 'def vectors(self):\n        """All."""\n')
    ),
    "indentation": edit("", ("bikes/loading/units.py", "    return minutes / MINUTES", "  return minutes / MINUTES")),
    "a joined text": edit("", ("bikes/audit.py", 'f"{value} rides"', 'f"{value}" " rides"')),
    "no spaces around operators": edit("", ("bikes/models/loss.py", "x**POWER, ", "x ** POWER,")),
    "digits in groups": edit("", ("bikes/loading/units.py", "MINUTES = 60\n", "MINUTES = 6_0\n")),
    "a trailing comma": edit("", ("bikes/settings.py", '("-", "+")', '("-", "+",)')),
    "a semicolon": edit("", ("bikes/models/training.py", "    slope = max(", "    pass; slope = max(")),
    "annotations as texts": edit("", ("bikes/loading/units.py", "", "from __future__ import annotations\n\n")),
    "a constant as a sum": edit("", ("pipeline.py", "WIDTH = 12", "WIDTH = 6 + 6")),
    "a constant over several lines": edit(
        "", ("bikes/settings.py", '{"day": [1, 2], "night": (3,)}', '{\n    "day": [1, 2],\n    "night": (3,),\n}')
    ),
    "line ends of another system": edit(
        "", ("bikes/loading/units.py", "def hours(minutes):\n", "def hours(minutes):\r\n")
    ),
}

MOVING: Final[dict[str, Edit]] = {
    "a function further down": edit(
        "",
        (
            "bikes/loading/plain.py",
            "def split(line):\n    return [part.strip() for part in line.split(SEPARATOR)]\n\n\n",
            "",
        ),
        (
            "bikes/loading/plain.py",
            "return SEPARATOR.join(parts)\n",
            "return SEPARATOR.join(parts)\n\n\ndef split(line):\n    return [part.strip() for part in line.split(SEPARATOR)]\n",
        ),
    ),
    "a helper to another module": edit(
        "",
        (
            "bikes/loading/parsing.py",
            "def parse(line):\n    station, rides, minutes = split(line)\n    return Row(station, int(rides), units.hours(float(minutes)))\n",
            "from bikes.loading.lines import parse\n",
        ),
        (
            "bikes/loading/lines.py",
            "",
            "from bikes.loading import units\nfrom bikes.loading.plain import split\nfrom bikes.names import Row\n\n\n"
            "def parse(line):\n    station, rides, minutes = split(line)\n    return Row(station, int(rides), units.hours(float(minutes)))\n",
        ),
    ),
    "a module to another folder": edit(
        "",
        ("bikes/models/training.py", "from bikes.models.config import", "from bikes.configuration import"),
        ("bikes/configuration.py", "", "from bikes.models.settings import CONFIG, DEPTHS\n"),
        (
            "bikes/models/config.py",
            "from dataclasses import dataclass, field\n\nDEPTHS = (1, 2)\n\n\ndef layers():\n    return [8, 4]\n\n\n@dataclass\nclass Config:\n    rate: float = 0.5\n    rounds: int = 3\n    layers: list[int] = field(default_factory=layers)\n\n\nCONFIG = Config(rate=0.25)\n",
            "",
        ),
        (
            "bikes/models/settings.py",
            "",
            "from dataclasses import dataclass, field\n\nDEPTHS = (1, 2)\n\n\ndef layers():\n    return [8, 4]\n\n\n@dataclass\nclass Config:\n    rate: float = 0.5\n    rounds: int = 3\n    layers: list[int] = field(default_factory=layers)\n\n\nCONFIG = Config(rate=0.25)\n",
        ),
    ),
    "a task to another module": edit(
        "",
        (
            "pipeline.py",
            "from bikes.money import cost, fee\n",
            "from bikes.prices import cost\nfrom bikes.money import fee\n",
        ),
        ("bikes/money.py", "\n\n@task\ndef cost(fee: int) -> float:\n    return rates.convert(fee)\n", "\n"),
        (
            "bikes/prices.py",
            "",
            "import rates\nfrom penstock import task\n\n\n@task\ndef cost(fee: int) -> float:\n    return rates.convert(fee)\n",
        ),
    ),
    "a class to another module": edit(
        "",
        (
            "bikes/models/linear.py",
            "from bikes.models.registry import Registered, Rounding\n",
            "from bikes.models.meta import Registered\nfrom bikes.models.registry import Rounding\n",
        ),
        (
            "bikes/models/registry.py",
            "class Registered(type):\n    def __call__(cls, *args):\n        made = super().__call__(*args)\n        made.registered = True\n        return made\n\n\n",
            "",
        ),
        (
            "bikes/models/meta.py",
            "",
            "class Registered(type):\n    def __call__(cls, *args):\n        made = super().__call__(*args)\n        made.registered = True\n        return made\n",
        ),
    ),
    "the file of the pipeline": edit(
        "", ("pipeline.py", FILES["pipeline.py"], ""), ("flow.py", "", FILES["pipeline.py"]), target="flow.py"
    ),
    "a function behind an import that is passed on": edit(
        "",
        ("bikes/loading/reading.py", "from .parsing import parse", "from bikes.features import parse"),
        ("bikes/features/__init__.py", "", "from bikes.loading.parsing import parse\n"),
    ),
    "a star import spelled out": edit(
        "", ("bikes/features/__init__.py", "from .steps import *", "from .steps import ORDER, STEPS, checked")
    ),
}

MORE_MOVING: Final[dict[str, Edit]] = {
    "a constant further down": edit(
        "",
        ("bikes/loading/plain.py", 'SEPARATOR = ","\n\n\n', ""),
        (
            "bikes/loading/plain.py",
            "return SEPARATOR.join(parts)\n",
            'return SEPARATOR.join(parts)\n\n\nSEPARATOR = ","\n',
        ),
    ),
    "the name of the pipeline": edit("", ("pipeline.py", "def earnings(", "def income(")),
    "the order of classes": edit(
        "",
        ("bikes/names.py", 'class Level(Enum):\n    LOW = "low"\n    HIGH = "high"\n\n\n', ""),
        (
            "bikes/names.py",
            "    depth: int\n",
            '    depth: int\n\n\nclass Level(Enum):\n    LOW = "low"\n    HIGH = "high"\n',
        ),
    ),
    "a relative import that becomes absolute": edit(
        "", ("bikes/loading/reading.py", "from ..names import Row", "from bikes.names import Row")
    ),
}

AROUND: Final[dict[str, Edit]] = {
    "the order of imports": edit(
        "",
        (
            "bikes/models/scoring.py",
            "import bikes.settings\nfrom bikes.names import Row, Model\n",
            "from bikes.names import Model, Row\nimport bikes.settings\n",
        ),
    ),
    "an unused import": edit("", ("bikes/loading/units.py", "", "import json\n\n\n")),
    "an unused function": edit("", ("bikes/loading/units.py", "hours(minutes) / 24", "hours(minutes) / 25")),
    "an unused function less": edit(
        "", ("bikes/reporting/text.py", "\n\ndef banner(text):\n    return text.upper()\n", "")
    ),
    "an unused constant": edit("", ("pipeline.py", "UNUSED = 1", "UNUSED = 2")),
    "a constant computed from one that is read": edit("", ("bikes/loading/units.py", "MINUTES * 60", "MINUTES * 61")),
    "what a module exports": edit("", ("bikes/__init__.py", '["HEADER", "SEATS"]', '["SEATS", "HEADER"]')),
    "imports for type checkers": edit(
        "", ("bikes/loading/reading.py", "from collections.abc import Sequence", "from typing import Sequence")
    ),
    "the repeats of a task": edit("", ("pipeline.py", "@task(retries=1)", "@task(retries=5, retry_delay=2)")),
    "how long results of a task last": edit("", ("pipeline.py", "@task(retries=1)", '@task(cache_for="1h")')),
    "the tags of a task": edit("", ("pipeline.py", "@task(retries=1)", '@task(tags=["nightly"], priority=3)')),
    "a hook of a task": edit("", ("pipeline.py", "@task(retries=1)", "@task(on_success=noted)")),
    "the name of a task": edit("", ("pipeline.py", "@task(retries=1)", '@task(name="told")')),
    "the order of calls": edit(
        "",
        ("pipeline.py", '    price = cost(fee("north"))\n', ""),
        ("pipeline.py", "    rows = load(path)\n", '    price = cost(fee("north"))\n    rows = load(path)\n'),
    ),
    "a task twice": edit("", ("pipeline.py", '"lines": lines()}', '"lines": lines(), "again": audit(rows)}')),
    "the name of a file that is given to a task": edit(
        "",
        ("pipeline.py", 'Path("data/rides.csv")', 'Path("data/same.csv")'),
        ("data/same.csv", "", "station,rides,minutes\nnorth,10,30\nsouth,20,60\neast,15,90\n"),
    ),
    "the version of a package that nobody uses": edit(
        "",
        ("site-packages/other-0.1.dist-info/METADATA", "Name: other\n", ""),
        ("site-packages/other-0.2.dist-info/METADATA", "", "Name: other\n"),
    ),
    "a function of a script further up": edit(
        "",
        ("script.py", "def helper(x):\n    return hours(x) * FACTOR\n\n\n", ""),
        ("script.py", "FACTOR = 3\n", "def helper(x):\n    return hours(x) * FACTOR\n\n\nFACTOR = 3\n"),
    ),
    "a helper of a script to a module": edit(
        "",
        ("script.py", "from bikes.loading.units import hours\n", "from helping import helper\n"),
        ("script.py", "FACTOR = 3\n\n\ndef helper(x):\n    return hours(x) * FACTOR\n\n\n", ""),
        (
            "helping.py",
            "",
            "from bikes.loading.units import hours\n\nFACTOR = 3\n\n\ndef helper(x):\n    return hours(x) * FACTOR\n",
        ),
    ),
    "a comment in a cell": edit("", ("notebook.py", "# thirdly", "# third")),
    "a cell more": edit("", ("notebook.py", "RATE = 2\n", "RATE = 2\n\n# %%\n1 + 1\n")),
}

MORE_AROUND: Final[dict[str, Edit]] = {
    "an unused function of a late import": edit("", ("bikes/models/loss.py", "return abs(x)", "return -abs(x)")),
    "an unused function more": edit("", ("bikes/features/scaling.py", "", "def more():\n    return 1\n\n\n")),
    "the name of an unused function": edit("", ("bikes/loading/units.py", "def days(", "def in_days(")),
    "an unused constant elsewhere": edit("", ("bikes/settings.py", "NOWHERE = 9", "NOWHERE = 8")),
    "a constant more": edit("", ("bikes/settings.py", "", "FIRST = 1\n")),
    "what a module exports, more of it": edit(
        "", ("bikes/__init__.py", '["HEADER", "SEATS"]', '["HEADER", "SEATS", "SIGNS"]')
    ),
    "imports for type checkers, more of them": edit(
        "",
        (
            "bikes/loading/reading.py",
            "    from collections.abc import Sequence\n",
            "    from collections.abc import Sequence\n\n    from bikes.features.build import Builder\n",
        ),
    ),
    "the time limit of a task": edit("", ("pipeline.py", "@task(retries=1)", "@task(timeout=30)")),
    "the resources of a task": edit("", ("pipeline.py", "@task(retries=1)", '@task(memory="1GB", cpu=0.5)')),
    "no options of a task": edit("", ("pipeline.py", "@task(retries=1)", "@task")),
    "the options of a task where it is called": edit(
        "", ("pipeline.py", "report(scores, price)", "report.options(retries=2, name='told')(scores, price)")
    ),
    "the name of a ref": edit(
        "",
        (
            "pipeline.py",
            'price = cost(fee("north"))\n    said = report(scores, price)',
            'paid = cost(fee("north"))\n    said = report(scores, paid)',
        ),
    ),
    "a task less": edit("", ("pipeline.py", ', "lines": lines()}', "}")),
    "a task called by position": edit(
        "", ("pipeline.py", "report(scores, price)", "report(price=price, scores=scores)")
    ),
    "a default given where it is called": edit("", ("pipeline.py", 'fee("north")', 'fee(station="north")')),
    "a file that nobody reads": edit("", ("data/notes.txt", "", "nothing\n")),
    "the version of an editable install": edit(
        "",
        ("site-packages/tariffs-1.0.dist-info/METADATA", "Name: tariffs\n", ""),
        ("site-packages/tariffs-1.0.dist-info/RECORD", "tariffs.pth,,\n", ""),
        ("site-packages/tariffs-1.1.dist-info/METADATA", "", "Name: tariffs\n"),
    ),
    "a module of an editable install that nobody uses": edit("", ("tariffs-source/tariffs/rest.py", "", "REST = 1\n")),
    "a comment in a script": edit("", ("script.py", "FACTOR = 3\n", "# thrice\nFACTOR = 3\n")),
    "two cells made one": edit("", ("notebook.py", "RATE = 2\n\n# %%\n", "RATE = 2\n")),
}
