"""Edits of what code reads, where tasks come from and what they are given: each with the tasks that it reaches."""

from __future__ import annotations

from typing import Final

from edits import SCORES, Edit, edit

_MODEL: Final = f"train {SCORES}"

CONSTANTS: Final[dict[str, Edit]] = {
    "a number of the module": edit("report", ("pipeline.py", "WIDTH = 12", "WIDTH = 14")),
    "a text in another module": edit("report", ("bikes/settings.py", '"+"', '"plus "')),
    "a constant by a star import": edit("load train", ("bikes/settings.py", "HEADER = 1\n", "HEADER = True\n")),
    "a constant computed from another": edit(
        "train", ("bikes/settings.py", "SHIFT = HEADER + 4", "SHIFT = HEADER + 5")
    ),
    "a number deep in a constant": edit("build", ("bikes/settings.py", '"day": [1, 2]', '"day": [1, 3]')),
    "the order of a tuple": edit("report", ("bikes/settings.py", '("-", "+")', '("+", "-")')),
    "the order of a dict": edit(
        "clean", ("bikes/features/steps.py", '"named": True, "positive": True', '"positive": True, "named": True')
    ),
    "an attribute of a module": edit(f"{SCORES}", ("bikes/settings.py", "LOWEST = 1", "LOWEST = 0.5")),
    "a constant written by another module": edit(
        "build",
        (
            "bikes/features/steps.py",
            "from functools import wraps\n",
            "from functools import wraps\n\nfrom bikes.settings import WEIGHTS\n\nWEIGHTS['more'] = 1\n",
        ),
    ),
    "a name that hides a built-in": edit(
        "report", ("pipeline.py", "UNUSED = 1", "def sorted(xs, reverse):\n    return xs[::-1]")
    ),
}

MORE_CONSTANTS: Final[dict[str, Edit]] = {
    "a number that becomes a float": edit("load", ("bikes/loading/units.py", "MINUTES = 60", "MINUTES = 60.0")),
    "a number deep in a constant, which gives something else": edit(
        "build train", ("bikes/settings.py", "(3,)", "(4,)")
    ),
    "a tuple that becomes a list": edit("report", ("bikes/settings.py", '("-", "+")', '["-", "+"]')),
}

SURROUNDINGS: Final[dict[str, Edit]] = {
    "the version of an installed package": edit(
        "cost",
        ("site-packages/rates-1.2.dist-info/METADATA", "Name: rates\n", ""),
        ("site-packages/rates-1.2.dist-info/RECORD", "rates/__init__.py,,\n", ""),
        ("site-packages/rates-1.3.dist-info/METADATA", "", "Name: rates\n"),
        ("site-packages/rates-1.3.dist-info/RECORD", "", "rates/__init__.py,,\n"),
    ),
    "a function of an editable install": edit("fee", ("tariffs-source/tariffs/base.py", "station, 1)", "station, 0)")),
    "a script that a command runs": edit("lines", ("count.sh", "wc -l", "wc -w")),
    "a file that a command reads": edit("lines", ("data/extra.txt", "one", "eleven")),
    "the text of a command": edit("lines", ("pipeline.py", '"sh count.sh"', '"sh count.sh && true"')),
    "a file that is given to a task": edit(
        f"load clean build train {SCORES} report stations audit", ("data/rides.csv", "east,15,90", "west,16,60")
    ),
    "one line of a file": edit(
        f"load stations clean build train {SCORES} report audit", ("data/rides.csv", "east,15,90", "east,16,90")
    ),
    "what a task is given in the pipeline": edit(f"{_MODEL}", ("pipeline.py", "depth=2", "depth=1")),
    "the version that a task says it has": edit("report", ("pipeline.py", "@task(retries=1)", '@task(version="2")')),
    "a file that a task says it reads": edit(
        "report", ("pipeline.py", "@task(retries=1)", '@task(reads=["data/extra.txt"])')
    ),
    "an input that does not count any more": edit(
        "report", ("pipeline.py", "@task(retries=1)", '@task(cache_ignore=["price"])')
    ),
    "a task that is not to be cached": edit("report", ("pipeline.py", "@task(retries=1)", "@task(cache=False)")),
    "a task more": edit(
        "extra",
        ("pipeline.py", "@pipeline\n", "@task\ndef extra() -> int:\n    return 1\n\n\n@pipeline\n"),
        ("pipeline.py", '"lines": lines()}', '"lines": lines(), "extra": extra()}'),
    ),
    "a task between two others": edit(
        "halved report",
        ("pipeline.py", "@pipeline\n", "@task\ndef halved(x: float) -> float:\n    return x / 2\n\n\n@pipeline\n"),
        ("pipeline.py", "report(scores, price)", "report(scores, halved(price))"),
    ),
}

MORE_SURROUNDINGS: Final[dict[str, Edit]] = {
    "a constant of an editable install": edit(
        "fee cost report", ("tariffs-source/tariffs/base.py", '"north": 2', '"north": 3')
    ),
    "a comment in a script that a command runs": edit("lines", ("count.sh", "# counts lines", "# counts")),
    "how the output of a command is read": edit("lines", ("pipeline.py", 'stdout("int")', 'stdout("float")')),
    "a file that is given to a task, read as the same": edit("load", ("data/rides.csv", "east,15,90", "east, 15, 90")),
    "what an async task is given": edit("fee cost report", ("pipeline.py", 'fee("north")', 'fee("south")')),
    "another default of the pipeline": edit(
        "load",
        ("pipeline.py", 'Path("data/rides.csv")', 'Path("data/others.csv")'),
        ("data/others.csv", "", "station,rides,minutes\nnorth,10,30\nsouth,20,60\neast,15,90.0\n"),
    ),
}

SCRIPTS: Final[dict[str, Edit]] = {
    "a helper in a script": edit("first", ("script.py", "hours(x) * FACTOR", "FACTOR * hours(x)")),
    "a constant in a script": edit("first second", ("script.py", "FACTOR = 3", "FACTOR = 4")),
    "a module that a script imports": edit(
        "first second", ("bikes/loading/units.py", "MINUTES = 60", "MINUTES = 30"), target="script.py"
    ),
    "a task of a script": edit("second", ("script.py", "return x + 1", "return x + 2")),
    "a helper in another cell": edit("third", ("notebook.py", "x * RATE", "RATE * x")),
    "a constant in another cell": edit("third fourth", ("notebook.py", "RATE = 2", "RATE = 3")),
    "a task in a cell": edit("fourth", ("notebook.py", "return x - 1", "return x - 2")),
}
