"""Edits to a small project: which of them make its task another one."""

from __future__ import annotations

import importlib
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from penstock.fingerprint.code import CodeReader
from penstock.fingerprint.framing import digest_of
from penstock.model.identity import TaskIdentity

PROJECT = {
    "train.py": '''
        """The pipeline."""
        import collections
        import functools
        import json as codec
        from dataclasses import dataclass
        from math import floor as rounded

        import features
        from features import clean
        from shop import prices
        from shop.prices import total as add_up
        from settings import LIMIT, NAMES

        from penstock import task

        UNUSED = 1
        WEIGHT = 0.5
        TABLE = {"low": features.low, "high": features.high}
        TWICE = functools.partial(features.power, by=2)
        shorten = lambda text: text[:10]; lengthen = lambda text: text * 2

        # how it is decorated
        def logged(function):
            @functools.wraps(function)
            def wrapper(*args):
                print("calls", function.__name__)
                return function(*args)
            return wrapper

        def scaler(factor):
            def apply(value):
                return value * factor
            return apply

        half = scaler(2)

        @dataclass
        class Base:
            rate: float = 0.1

            def step(self):
                return self.rate * LIMIT

        class Model(Base):
            """A model."""

            def fit(self, rows):
                return [self.step() for row in rows]

            @property
            def size(self):
                return features.size_of(self)

            @staticmethod
            def name():
                return "model"

        @logged
        def helper(x, offset=3):
            """Helps."""
            return x + offset

        def unused(x):
            return x

        @task(retries=1)
        def train(rows: list, depth: int = 4) -> float:
            """Trains."""
            import late
            from late import later as after

            # begin
            model = Model(rate=WEIGHT)
            model.fit([clean(row) for row in rows])
            values = [TABLE["low"](1), TWICE(3), shorten("abc"), half(8), prices.tax(1), add_up([1])]
            def inner(y):
                return helper(y) * depth
            return rounded(inner(sum(values)) + features.nested.deep(1) + late.early() + after(2) + len(NAMES))
    ''',
    "features/__init__.py": """
        from . import nested

        def clean(row):
            return strip(row)

        def strip(row):
            return row.strip() if isinstance(row, str) else row

        def low(x): return x - 1
        def high(x): return x + 1
        def power(x, by): return x ** by
        def size_of(model): return RATIO
        def stranger(x): return x

        RATIO = 3
    """,
    "features/nested.py": """
        from .more import deeper

        def deep(x):
            return deeper(x)
    """,
    "features/more.py": """
        def deeper(x):
            return x * 7
    """,
    "shop/__init__.py": "",
    "shop/prices.py": """
        RATE = 0.2

        def tax(x):
            return x * RATE if x > 0 else again(x)

        def again(x):
            return tax(-x)

        def total(xs):
            return sum(xs)
    """,
    "settings.py": """
        LIMIT = 10
        NAMES = ("a", "b")
        OTHER = 5
    """,
    "late.py": """
        from shop.prices import total

        FACTOR = 3

        def early():
            return FACTOR

        def later(x):
            return total([x])

        def never():
            return 0
    """,
}

Edit = tuple[str, str, str]

BEHAVIOUR: dict[str, Edit] = {
    "a number in the task": ("train.py", "TWICE(3)", "TWICE(4)"),
    "a number's type": ("train.py", "prices.tax(1)", "prices.tax(1.0)"),
    "the order of operands": ("train.py", "helper(y) * depth", "depth * helper(y)"),
    "a default of the task": ("train.py", "depth: int = 4", "depth: int = 5"),
    "a nested function": ("train.py", "helper(y) * depth", "helper(y) + depth"),
    "a module constant read": ("train.py", "WEIGHT = 0.5", "WEIGHT = 0.6"),
    "the type of a constant": ("train.py", "WEIGHT = 0.5", 'WEIGHT = "0.5"'),
    "a constant imported by name": ("settings.py", "LIMIT = 10", "LIMIT = 11"),
    "an imported tuple": ("settings.py", '("a", "b")', '("b", "a")'),
    "a tuple that becomes a list": ("settings.py", '("a", "b")', '["a", "b"]'),
    "a constant computed from another": ("train.py", "WEIGHT = 0.5", "WEIGHT = UNUSED / 4"),
    "a helper": ("train.py", "return x + offset", "return x - offset"),
    "a default of a helper": ("train.py", "offset=3", "offset=4"),
    "the decorator of a helper": ("train.py", "return function(*args)", "return function(*args) or 0"),
    "a helper without its decorator": ("train.py", "@logged\n", ""),
    "what a helper in another module calls": ("features/__init__.py", "row.strip()", "row.rstrip()"),
    "a helper reached through a module": ("shop/prices.py", "x * RATE if", "x + RATE if"),
    "a constant of another module": ("shop/prices.py", "RATE = 0.2", "RATE = 0.25"),
    "one of two that call each other": ("shop/prices.py", "tax(-x)", "tax(-x) + 1"),
    "a helper imported under another name": ("shop/prices.py", "return sum(xs)", "return sum(xs) + 1"),
    "a helper through two modules": ("features/more.py", "x * 7", "x * 8"),
    "a function in a table": ("features/__init__.py", "return x - 1", "return x - 2"),
    "another function in a table": ("features/__init__.py", "def high(x): return x + 1", "def high(x): return x"),
    "a key of a table": ("train.py", '"high": features.high', '"top": features.high'),
    "the function of a partial": ("features/__init__.py", "return x ** by", "return x * by"),
    "an argument of a partial": ("train.py", "by=2", "by=3"),
    "a lambda": ("train.py", "text[:10]", "text[:11]"),
    "a closure's value": ("train.py", "scaler(2)", "scaler(3)"),
    "a closure's function": ("train.py", "value * factor", "value / factor"),
    "a method": ("train.py", "self.step() for row", "self.step() + 1 for row"),
    "a static method": ("train.py", 'return "model"', 'return "other"'),
    "a base class": ("train.py", "self.rate * LIMIT", "self.rate + LIMIT"),
    "a field's default": ("train.py", "rate: float = 0.1", "rate: float = 0.2"),
    "a field's type": ("train.py", "rate: float = 0.1", "rate: int = 0.1"),
    "what a property reads": ("features/__init__.py", "RATIO = 3", "RATIO = 4"),
    "the class's decorator": ("train.py", "@dataclass\n", "@dataclass(frozen=True)\n"),
    "the bases": ("train.py", "class Model(Base)", "class Model(collections.UserDict, Base)"),
    "a function of the standard library": ("train.py", "import floor as rounded", "import ceil as rounded"),
    "a late import's function": ("late.py", "return FACTOR", "return FACTOR + 1"),
    "a late import's constant": ("late.py", "FACTOR = 3", "FACTOR = 4"),
    "what a late import imports": ("late.py", "return total([x])", "return total([x, x])"),
    "another late import": ("train.py", "from late import later as after", "from late import never as after"),
    "an annotation": ("train.py", "-> float", "-> int"),
    "a branch more": ("train.py", "# begin", "if not rows: return 0.0"),
    "a global that shadows a built-in": ("train.py", "UNUSED = 1", "def sum(xs): return 0"),
    "an extra method of a base": (
        "train.py",
        "    def step(self)",
        "    def __bool__(self): return False\n    def step(self)",
    ),
}

COSMETIC: dict[str, Edit] = {
    "nothing": ("train.py", "# begin", "# begin"),
    "a comment": ("train.py", "# begin", "# let us start"),
    "a comment less": ("train.py", "    # begin\n", ""),
    "the docstring of the task": ("train.py", '"""Trains."""', '"""Trains a model."""'),
    "no docstring": ("train.py", '"""Trains."""', ""),
    "a docstring of several lines": ("train.py", '"""Helps."""', '"""Helps.\n\n            A lot.\n            """'),
    "the docstring of a class": ("train.py", '"""A model."""', '"""The model."""'),
    "the docstring of the module": ("train.py", '"""The pipeline."""', '"""Pipelines."""\n# and\n# more'),
    "blank lines": ("train.py", "    # begin\n", "\n\n\n"),
    "a broken line": ("train.py", "model = Model(rate=WEIGHT)", "model = Model(\n    rate=WEIGHT,\n)"),
    "brackets": ("train.py", "helper(y) * depth", "(helper(y)) * depth"),
    "quotes": ("train.py", 'shorten("abc")', "shorten('abc')"),
    "a joined string": ("train.py", 'shorten("abc")', 'shorten("a" "bc")'),
    "digits in groups": ("settings.py", "LIMIT = 10", "LIMIT = 1_0"),
    "the notation of a number": ("features/more.py", "x * 7", "x * 0x7"),
    "a pass": ("train.py", "    # begin\n", "    pass\n"),
    "another policy": ("train.py", "@task(retries=1)", "@task(retries=5, cache=False)"),
    "no policy": ("train.py", "@task(retries=1)", "@task"),
    "an unused constant": ("train.py", "UNUSED = 1", "UNUSED = 2"),
    "an unused constant elsewhere": ("settings.py", "OTHER = 5", "OTHER = 6"),
    "an unused function": ("train.py", "def unused(x):\n    return x", "def unused(x):\n    return -x"),
    "an unused function elsewhere": ("features/__init__.py", "def stranger(x): return x", "def stranger(x): return 0"),
    "an unused function of a late import": ("late.py", "return 0", "return 1"),
    "a function that goes": ("features/__init__.py", "def stranger(x): return x", ""),
    "a constant as a sum": ("settings.py", "LIMIT = 10", "LIMIT = 4 + 6"),
    "another lambda of the line": ("train.py", "text * 2", "text * 3"),
    "the order of functions": (
        "features/__init__.py",
        "def low(x): return x - 1\ndef high(x): return x + 1",
        "def high(x): return x + 1\ndef low(x): return x - 1",
    ),
    "the place of a constant": ("shop/prices.py", "RATE = 0.2\n", "import os\n\n\nRATE = 0.2\n"),
    "the order of imports": (
        "train.py",
        "import collections\nimport functools\n",
        "import functools\nimport collections\n",
    ),
    "a helper that moves to another module": (
        "features/nested.py",
        "from .more import deeper",
        "def deeper(x):\n    return x * 7\n",
    ),
    "a statement without effect": ("shop/prices.py", "    return sum(xs)", '    "adds up"\n    return sum(xs)'),
    "a semicolon": ("train.py", "model = Model(rate=WEIGHT)", "model = Model(rate=WEIGHT);"),
    "getattr for an attribute": ("train.py", "prices.tax(1)", 'getattr(prices, "tax")(1)'),
}

Identify = Callable[..., TaskIdentity]


@pytest.fixture
def identify(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Identify]:
    """Writes the project, with an edit, into a folder of its own, imports it and identifies its task."""
    before = set(sys.modules)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def forget() -> None:
        for name in set(sys.modules) - before:
            if not (getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
                continue
            del sys.modules[name]

    def identify(*edits: Edit) -> TaskIdentity:
        forget()
        folder = tmp_path / f"version{len(list(tmp_path.iterdir()))}"
        write(folder, *edits)
        with monkeypatch.context() as patch:
            patch.syspath_prepend(folder)
            task = importlib.import_module("train").train
            return CodeReader(digest_of).identify(task)

    yield identify
    forget()


def write(folder: Path, *edits: Edit) -> None:
    files = {name: textwrap.dedent(text).lstrip() for name, text in PROJECT.items()}
    for name, old, new in edits:
        assert files[name].count(old) == 1, f"{old!r} is {files[name].count(old)} times in {name}"
        files[name] = files[name].replace(old, new)
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.parametrize("name", BEHAVIOUR)
def test_an_edit_of_what_the_task_does_changes_its_identity(name: str, identify: Identify) -> None:
    assert identify().digest != identify(BEHAVIOUR[name]).digest


@pytest.mark.parametrize("name", COSMETIC)
def test_an_edit_of_how_it_is_written_or_of_what_it_does_not_reach_does_not(name: str, identify: Identify) -> None:
    assert identify().digest == identify(COSMETIC[name]).digest


def test_the_parts_name_what_went_in(identify: Identify) -> None:
    parts = [part.name for part in identify().parts]
    assert parts[0] == "train:train"
    assert parts[1:] == sorted(parts[1:])
    assert {
        "train:train",
        "train:Model",
        "train:Base",
        "train:helper",
        "features:strip",
        "features.more:deeper",
    } <= set(parts)
    assert {"constant:train:WEIGHT", "constant:shop.prices:RATE", "late:early", "constant:late:FACTOR"} <= set(parts)
    assert not {"train:unused", "features:stranger", "constant:settings:OTHER", "late:never"} & set(parts)
    assert [key for key in parts if key.startswith("package:")] == [f"package:python==3.{sys.version_info.minor}"]


def test_the_parts_say_where_the_change_is(identify: Identify) -> None:
    edited = identify(BEHAVIOUR["a helper through two modules"])
    before, after = ({part.name: part.digest for part in each.parts} for each in (identify(), edited))
    assert {key for key in before | after if before.get(key) != after.get(key)} == {"features.more:deeper"}


def test_a_project_that_can_be_seen_through_has_no_limits_but_its_table(identify: Identify) -> None:
    (limit,) = identify().limits
    place, _, words = limit.partition(": ")
    file, _, line = place.rpartition(":")
    assert "TABLE is a dict, which can change" in words
    assert "TABLE[" in Path(file).read_text().splitlines()[int(line) - 1]


def test_late_imports_are_not_executed(identify: Identify) -> None:
    identify()
    assert "late" not in sys.modules


def test_what_is_imported_already_does_not_matter(identify: Identify) -> None:
    alone = identify()
    assert identify(("settings.py", "OTHER = 5", "OTHER = 5\nimport late")).digest == alone.digest
    assert "late" in sys.modules
