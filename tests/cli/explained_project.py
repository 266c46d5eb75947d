"""A training pipeline that is run again after each of several changes, to be explained."""

from __future__ import annotations

from contextlib import chdir
from pathlib import Path

from click.testing import CliRunner
from command_line import Answer, penstock

from penstock.cli.commands import penstock as commands

FILES = {
    "penstock.toml": "",
    "lib/__init__.py": "",
    "lib/scaling.py": '''
"""How numbers are scaled."""


def scale(values):
    """Scale them."""
    # so that the largest is one
    top = max(values)
    return [value / top for value in values]
''',
    "lib/features.py": """
from lib import scaling


def build(values):
    return scaling.scale(values)
""",
    "pipeline.py": """
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from guesses import guess
from lib.features import build

from penstock import current, pipeline, task


class Parts(NamedTuple):
    train: pd.DataFrame
    test: pd.DataFrame


@task
def load(path: Path) -> pd.DataFrame:
    return pd.read_csv(path)


@task
def split(data: pd.DataFrame) -> Parts:
    return Parts(data[::2].reset_index(drop=True), data[1::2].reset_index(drop=True))


@task
def prepare(data: pd.DataFrame) -> pd.DataFrame:
    return data.assign(x=build(list(data.x)))


@task
def train(data: pd.DataFrame, threshold: float) -> dict[str, float]:
    return {"threshold": threshold, "rows": float(len(data))}


@task
def evaluate(model: dict[str, float], test: pd.DataFrame) -> float:
    hits = guess(test.x, model["threshold"]) == (test.kind == "large")
    current().log_metric("accuracy", hits.mean())
    return float(hits.mean())


@task
def greet(name: str) -> str:
    return f"<b>{name}</b>"


@pipeline
def training(path: Path = Path("data.csv"), threshold: float = 0.5):
    parts = split(load(path))
    model = train(prepare(parts.train), threshold)
    accuracy = evaluate(model, prepare.options(name="prepare_test")(parts.test))
    return {"accuracy": accuracy, "greeting": greet("ada & ben")}
""",
    "site-packages/guesses/__init__.py": "def guess(numbers, threshold):\n    return numbers > threshold\n",
    "site-packages/guesses-1.0.dist-info/METADATA": "Name: guesses\nVersion: 1.0\n",
}

ROWS = [f"{number % 20 + 1},{'large' if number % 20 + 1 > 10 else 'small'}" for number in range(80)]


class Explained:
    """The project, and the ids of its runs by what was changed before each of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs: dict[str, str] = {}
        for name, text in FILES.items():
            self.write(name, text.lstrip("\n"))
        self.write("data.csv", "\n".join(["x,kind", *ROWS]))
        self._run("nothing")
        self._edit("lib/scaling.py", "max(values)", "sum(values)")
        self._edit("lib/scaling.py", "so that the largest is one", "so that they are small")
        self._run("helper")
        self._edit("lib/scaling.py", "sum(values)", "max(values)")
        self._edit("lib/scaling.py", "so that they are small", "so that the largest is one")
        self._run("parameter", "-p", "threshold=0.9")
        self.write("data.csv", "\n".join(["x,kind,day", *(f"{row},monday" for row in ROWS[:60]), "500,large,friday"]))
        self._run("data")
        self.write("data.csv", "\n".join(["x,kind", *ROWS]))
        site = folder / "site-packages"
        (site / "guesses-1.0.dist-info").rename(site / "guesses-2.0.dist-info")
        self._edit("site-packages/guesses/__init__.py", "numbers > threshold", "numbers < threshold")
        self._run("package")

    def write(self, name: str, text: str) -> None:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def _edit(self, name: str, old: str, new: str) -> None:
        text = (self.folder / name).read_text()
        assert text.count(old) == 1
        self.write(name, text.replace(old, new))

    def _run(self, change: str, *arguments: str) -> None:
        answer = self.penstock("run", "pipeline.py", "--executor", "inline", "-q", "--json", *arguments)
        assert answer.code == 0, answer.err
        self.runs[change] = answer.document["run_id"]

    def penstock(self, *arguments: str) -> Answer:
        return penstock(*arguments, cwd=self.folder, PYTHONPATH="site-packages", PYTHONDONTWRITEBYTECODE="1")

    def answer(self, *arguments: str) -> Answer:
        """What a command says that only looks, in this process."""
        with chdir(self.folder):
            ended = CliRunner().invoke(commands, arguments, prog_name="penstock")
        return Answer(ended.exit_code, ended.stdout, ended.stderr)

    def diff(self, change: str, *arguments: str) -> Answer:
        """What `diff` says of the run before any change, and that after one."""
        answer = self.answer("diff", self.runs["nothing"], self.runs[change], *arguments)
        assert answer.code == 0, answer.err
        return answer
