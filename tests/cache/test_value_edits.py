"""Edits of code that tasks never name: it comes to them in the values that they are given."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from edits import edit

if TYPE_CHECKING:
    from edits import Edit, Run

FILES: Final = {
    "penstock.toml": "",
    "flow.py": '''
from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from penstock import pipeline, task

LEVEL = 1


class Base:
    def shifted(self, by):
        return by + LEVEL


class Model(Base):
    def __init__(self, slope):
        self.slope = slope

    def predict(self, x):
        return self.shifted(self.slope * x)


@dataclass
class Point:
    """Where something is."""

    x: int

    def moved(self):
        return self.x + 10


class Colour(Enum):
    RED = 1

    def value_of(self):
        return self.value + 100


@dataclass
class Settings:
    depth: int = 1

    def deep(self):
        return self.depth * 5


def doubled(x):
    return 2 * x


def made():
    class Local:
        def told(self):
            return "told"

    return Local()


@task
def train():
    return Model(3)


@task
def predict(model, x: int):
    return model.predict(x)


@task
def locate() -> Point:
    return Point(1)


@task
def move(point):
    return point.moved()


@task
def paint():
    return {"front": Colour.RED, "back": 7}


@task
def mix(colours):
    return colours["front"].value_of()


@task
def steps():
    return [1, doubled, lambda x: [doubled(each) for each in x]]


@task
def walk(steps):
    return steps[1](steps[0]), steps[2]([1])


@task
def late():
    from shapes import Square

    return Square(2)


@task
def measure(shape):
    return shape.area()


@task
def local():
    return made()


@task
def tell(thing):
    return thing.told()


@task
def configure(settings):
    return settings.deep()


@pipeline
def values(settings: Settings = Settings()):
    model = train()
    return [
        predict(model, 2),
        move(locate()),
        mix(paint()),
        walk(steps()),
        measure(late()),
        tell(local()),
        configure(settings),
    ]
''',
    "shapes.py": """
SIDES = 4


class Square:
    def __init__(self, side):
        self.side = side

    def area(self):
        return self.side**2 + SIDES
""",
}

EVERY: Final = frozenset(
    [
        "train",
        "predict",
        "locate",
        "move",
        "paint",
        "mix",
        "steps",
        "walk",
        "late",
        "measure",
        "local",
        "tell",
        "configure",
    ]
)

#: what does not depend on the name of the file
LATE: Final = {"late", "measure"}

TELLING: Final[dict[str, Edit]] = {
    "a method": edit("train predict", ("flow.py", "self.slope * x", "self.slope * x + 1")),
    "a method of a base": edit("train predict", ("flow.py", "by + LEVEL", "by - LEVEL")),
    "a constant that a method reads": edit("train predict", ("flow.py", "LEVEL = 1\n", "LEVEL = 2\n")),
    "a method of a dataclass": edit("locate move", ("flow.py", "self.x + 10", "self.x + 11")),
    "a method of an enum": edit("paint mix", ("flow.py", "self.value + 100", "self.value + 200")),
    "a function in a list": edit("steps walk", ("flow.py", "2 * x\n", "3 * x\n")),
    "a class that is imported late": edit("late measure", ("shapes.py", "self.side**2", "self.side**3")),
    "what a class that is imported late reads": edit("late measure", ("shapes.py", "SIDES = 4", "SIDES = 5")),
    "a class inside of a function": edit("local tell", ("flow.py", '"told"', '"said"')),
    "the class of a parameter": edit("configure", ("flow.py", "self.depth * 5", "self.depth * 6")),
}

IDLE: Final[dict[str, Edit]] = {
    "a docstring of a class": edit("", ("flow.py", "Where something is.", "Where it is.")),
    "a class that has moved": edit(
        "",
        (
            "flow.py",
            "class Colour(Enum):\n    RED = 1\n\n    def value_of(self):\n        return self.value + 100\n",
            "from colours import Colour\n",
        ),
        (
            "colours.py",
            "",
            "from enum import Enum\n\n\nclass Colour(Enum):\n    RED = 1\n\n"
            "    def value_of(self):\n        return self.value + 100\n",
        ),
    ),
}


def states(document: dict[str, Any]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for task in document["tasks"]:
        found.setdefault(task["state"], set()).add(task["id"])
    return found


@pytest.fixture(scope="module")
def before(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project as it was when all of it ran."""
    folder = tmp_path_factory.mktemp("values")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    assert states(run(folder, "flow.py")) == {"succeeded": EVERY}
    assert states(run(folder, "flow.py")) == {"cached": EVERY}
    return folder


@pytest.fixture
def folder(before: Path, tmp_path: Path) -> Path:
    """A copy of the project and of its state."""
    return shutil.copytree(before, tmp_path / "project")


@pytest.mark.parametrize("change", [pytest.param(each, id=name) for name, each in {**TELLING, **IDLE}.items()])
def test_code_counts_for_those_that_are_given_values_which_hold_it(change: Edit, run: Run, folder: Path) -> None:
    change.apply(folder)
    document = run(folder, "flow.py")
    assert states(document).get("succeeded", set()) == change.runs
    assert states(document).get("cached", set()) == EVERY - change.runs
    assert document["outputs"] == run(folder, "flow.py", "--no-cache")["outputs"]


def test_values_whose_classes_are_gone_are_made_anew(run: Run, folder: Path) -> None:
    (folder / "flow.py").rename(folder / "other.py")
    document = run(folder, "other.py")
    assert states(document) == {"succeeded": EVERY - LATE, "cached": LATE}
    assert states(run(folder, "other.py")) == {"cached": EVERY}


def test_a_value_whose_class_alone_is_gone_is_made_anew(run: Run, folder: Path) -> None:
    text = (folder / "flow.py").read_text().replace("from shapes import", "from forms import")
    (folder / "flow.py").write_text(text.replace("return shape.area()", "return shape.area() + 0"))
    (folder / "shapes.py").rename(folder / "forms.py")
    assert states(run(folder, "flow.py"))["succeeded"] == {"late", "measure"}


def test_a_value_stored_by_a_script_counts_with_its_code(run: Run, folder: Path) -> None:
    script = (folder / "flow.py").rename(folder / "script.py")
    text = script.read_text() + '\nvalues.options(executor="inline", progress=False).run()\n'
    script.write_text(text)
    assert states(run(folder, "script.py")) == {"succeeded": EVERY - LATE, "cached": LATE}
    assert states(run(folder, "script.py")) == {"cached": EVERY}
    script.write_text(text.replace("self.slope * x", "self.slope * x + 1"))
    assert states(run(folder, "script.py"))["succeeded"] == {"train", "predict"}


def test_a_notebook_stores_a_value_with_its_code_of_then(run: Run, folder: Path) -> None:
    text = (
        (folder / "flow.py").read_text().replace("self.slope = slope", "self.slope, self.much = slope, 'x' * 9000")
        + '\n# %%\nquick = values.options(executor="inline", progress=False)\nquick.run()\n'
        + "# %%\nModel.predict = lambda self, x: 77\nended = quick.run()\n"
        + "assert ended.result[0] == 77, ended.result\n"
        + 'assert {task.id for task in ended.tasks if task.state == "succeeded"} == {"train", "predict"}\n'
    )
    (folder / "notebook.py").write_text(text)
    assert run(folder, "notebook.py")["state"] == "succeeded"
