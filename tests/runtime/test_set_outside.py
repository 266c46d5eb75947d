"""Variables of modules that a script sets from outside: workers, which import the modules anew, do not have them so."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from sample_runs import states

from penstock import Run, pipeline, task
from penstock.fingerprint.code import CodeReader
from penstock.fingerprint.framing import digest_of
from penstock.fingerprint.sources import Sources
from penstock.services import Services

pytestmark = pytest.mark.slow

CONF = """
import os
from pathlib import Path

LR = 0.5
WEEK = 7 * 24
D = {"lr": 0.5, "rest": [1, (2, 3)]}
BASE = 2
TWICE = BASE * 2
HERE = Path(__file__).parent
TABLE = {name: len(name) for name in ("a", "bb")}
RATE = float(os.environ.get("NO_SUCH_RATE", "0.5"))
HANDLERS = {}
_made = None
CHOSEN = 1
if os.sep == "?":
    CHOSEN = 2

class Cfg:
    lr = 0.5
    def scaled(self): return self.lr

class Other:
    lr = 7

class Point:
    def __init__(self): self.x = 1

POINT = Point()

def made():
    global _made
    if _made is None:
        _made = object()
    return _made

def register(function):
    HANDLERS[function.__name__] = function
    return function

def helper(): return 0.5
def another(): return 9.0
"""
TASKS = """
import set_conf
from set_conf import LR as RATE_NOW, Cfg, register

set_conf.D["further"] = 1

@register
def handler(): return 1

set_conf.made()

def level(): return set_conf.LR
def week(): return set_conf.WEEK
def own(): return RATE_NOW
def entry(): return set_conf.D["lr"]
def computed(): return [set_conf.TWICE, set_conf.HERE, set_conf.TABLE, set_conf.CHOSEN]
def rate(): return set_conf.RATE
def attribute(): return Cfg.lr
def method(): return Cfg().scaled()
def replaced(): return set_conf.helper()
def kind(): return set_conf.Other.lr
def handled(): return set_conf.HANDLERS["handler"]()
def remembered(): return set_conf.made()
def point(): return set_conf.POINT.x
"""
NAMES = [node.name for node in ast.parse(TASKS).body if isinstance(node, ast.FunctionDef) and not node.decorator_list]


@pytest.fixture
def modules(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[ModuleType, ModuleType]]:
    monkeypatch.syspath_prepend(str(tmp_path))
    tmp_path.joinpath("set_conf.py").write_text(CONF)
    tmp_path.joinpath("set_tasks.py").write_text(TASKS)
    importlib.invalidate_caches()
    yield importlib.import_module("set_conf"), importlib.import_module("set_tasks")
    for name in [name for name in sys.modules if name.startswith("set_")]:
        del sys.modules[name]


def altered(function: Any) -> tuple[str, ...]:
    return CodeReader(digest_of, Sources()).altered(function)


def ran(function: Any, executor: str = "processes") -> Run:
    @pipeline(name="given")
    def given() -> Any:
        return task(function)()

    return given.options(executor=executor, workers=1, progress=False).run()


def notices(run: Run) -> list[str]:
    with Services().existing_store() as store:
        return [each.line.text for _, each in store.lines(run.run_id) if "set from outside" in each.line.text]


@pytest.mark.parametrize("name", NAMES)
def test_what_modules_do_themselves_is_no_alarm(modules: tuple[ModuleType, ModuleType], name: str) -> None:
    assert altered(getattr(modules[1], name)) == ()


@pytest.mark.parametrize(
    ("name", "statement", "expected"),
    [
        ("level", "set_conf.LR = 9.0", "set_conf.LR"),
        ("level", "set_conf.LR = None", "set_conf.LR"),
        ("week", "set_conf.WEEK = 1", "set_conf.WEEK"),
        ("own", "set_tasks.RATE_NOW = 9.0", "set_tasks.RATE_NOW"),
        ("attribute", "set_conf.Cfg.lr = 9.0", "set_conf.Cfg.lr"),
        ("method", "set_conf.Cfg.scaled = lambda self: 9.0", "set_conf.Cfg.scaled"),
        ("replaced", "set_conf.helper = lambda: 9.0", "set_conf.helper"),
        ("replaced", "set_conf.helper = set_conf.another", "set_conf.helper"),
        ("kind", "set_conf.Other = set_conf.Cfg", "set_conf.Other"),
    ],
)
def test_what_is_set_from_outside_is_told(
    modules: tuple[ModuleType, ModuleType], name: str, statement: str, expected: str
) -> None:
    exec(statement, {"__name__": "__main__", "set_conf": modules[0], "set_tasks": modules[1]})
    assert altered(getattr(modules[1], name)) == (expected,)


@pytest.mark.parametrize(
    ("name", "statement", "expected"),
    [
        ("entry", "set_conf.D['lr'] = 9.0", "set_conf.D"),
        ("rate", "set_conf.RATE = 9.0", "set_conf.RATE"),
        ("rate", "for name in ['RATE']: setattr(set_conf, name, 9.0)", "set_conf.RATE"),
        ("point", "set_conf.POINT.x = 9.0", "set_conf.POINT"),
    ],
)
def test_of_what_the_source_does_not_tell_statements_elsewhere_do(
    modules: tuple[ModuleType, ModuleType], tmp_path: Path, name: str, statement: str, expected: str
) -> None:
    tmp_path.joinpath("set_driver.py").write_text(f"import set_conf\n\ndef begin():\n    {statement}\n")
    importlib.invalidate_caches()
    importlib.import_module("set_driver").begin()
    assert altered(getattr(modules[1], name)) == (expected,)
    assert altered(modules[1].week) == ()


def test_what_is_set_from_outside_makes_what_workers_run_uncached(
    modules: tuple[ModuleType, ModuleType], tmp_path: Path
) -> None:
    conf, tasks = modules
    vars(conf)["LR"] = 9.0
    for _ in range(2):
        run = ran(tasks.level)
        assert (run.result, states(run)) == (0.5, {"level": "succeeded"})
        (text,) = notices(run)
        assert text.startswith("set_conf.LR was set from outside of its module in this process")
        assert "level runs uncached" in text and 'executor="inline"' in text
    # in this process it is as it was set
    inline = ran(tasks.level, "inline")
    assert (inline.result, notices(inline)) == (9.0, [])
    assert states(ran(tasks.level, "inline")) == {"level": "cached"}

    tmp_path.joinpath("set_conf.py").write_text(CONF.replace("LR = 0.5", "LR = 9.0"))
    importlib.reload(conf)
    edited = ran(tasks.level)
    assert (edited.result, notices(edited)) == (9.0, [])


def test_a_plan_tells_what_was_set_from_outside(modules: tuple[ModuleType, ModuleType]) -> None:
    @pipeline(name="given")
    def given() -> Any:
        return task(modules[1].attribute)()

    modules[0].Cfg.lr = 9.0
    (told,) = given.options(executor="processes").plan().tasks[0].reasons
    assert told.reason.cause == "edited" and told.reason.text.startswith("set_conf.Cfg.lr was set from outside")
    (told,) = given.options(executor="inline").plan().tasks[0].reasons
    assert told.reason.cause == "first"


SCRIPT = """
from penstock import pipeline, task
import set_conf
@task
def mod(x: int) -> float: return set_conf.LR + set_conf.D["lr"] + set_conf.RATE
@pipeline
def main() -> float: return mod(1)
if __name__ == "__main__":
    set_conf.LR = 9.0
    set_conf.D["lr"] = 9.0
    set_conf.RATE = 9.0
    print(main.run().result)
"""


def test_a_script_that_sets_variables_of_a_module(home: Path, tmp_path: Path) -> None:
    conf, script = tmp_path / "set_conf.py", tmp_path / "set_script.py"
    conf.write_text(CONF)
    script.write_text(SCRIPT)

    def printed() -> tuple[str, str]:
        done = subprocess.run(
            [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
        )
        return done.stdout.strip(), done.stderr

    result, told = printed()
    assert result == "1.5"
    assert "set_conf.D and set_conf.LR and set_conf.RATE were set from outside" in " ".join(told.split())
    conf.write_text(CONF.replace("0.5", "9.0"))
    assert printed()[0] == "27.0"
