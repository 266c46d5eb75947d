"""What is wrong before anything runs: exit code 2, one clear message, one JSON document, nothing left behind."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path
from typing import NamedTuple

import pytest
from command_line import Project, penstock

STEP = """\
from penstock import pipeline, task

@task
def step(x: int) -> int:
    return x

"""
MAIN = f"""{STEP}
@pipeline
def main(depth: int, rate: float = 0.5):
    step(depth)
"""


def check_refused(arguments: list[str], message: str, cwd: Path) -> None:
    """Assert that a command tells every line of a message in this order on stderr, the first of them as an error, also
    as one JSON document on stdout, and leaves the folder as it was. `...` stands for any words."""
    before = sorted(cwd.rglob("*"))
    answer = penstock(*arguments, "--json", cwd=cwd)
    assert answer.code == 2
    pattern = re.escape(message).replace(re.escape("..."), ".*")
    assert re.fullmatch(pattern, answer.err), answer.err
    assert set(answer.document) == {"error"}
    error = answer.document["error"]
    assert set(error) == {"type", "message", "where", "remedy"}
    assert answer.err.startswith(f"error: {error['message'].splitlines()[0]}")
    caches = {*cwd.rglob("__pycache__"), *cwd.rglob("*.pyc")}
    assert [path for path in sorted(cwd.rglob("*")) if path not in caches] == before


class Case(NamedTuple):
    """A file `case.py`, what follows `penstock run`, and what it answers."""

    name: str
    source: str
    arguments: str
    message: str


FILES = [
    Case("no such file", MAIN, "cas.py", "error: there is no file cas.py\n  Did you mean case.py?\n"),
    Case(
        "no such folder",
        MAIN,
        "away/case.py",
        "error: there is no file away/case.py\n  The folder away does not exist either.\n",
    ),
    Case(
        "neither file nor module",
        MAIN,
        "nothing:main",
        "error: there is no file or module 'nothing'\n"
        "  Name a file (pipeline.py), or a module that can be imported (package.module:name).\n",
    ),
    Case("a folder", MAIN, ".", "error: . is a folder\n  Name a file in it, such as case.py.\n"),
    Case(
        "a syntax error",
        STEP + "@pipeline\ndef main(:\n    pass\n",
        "case.py",
        "error: invalid syntax: def main(:\n  at case.py:8\n",
    ),
    Case(
        "bytes that are no text",
        "x = '\0'\n",
        "case.py",
        "error: source code string cannot contain null bytes\n  at case.py\n",
    ),
    Case(
        "a script that leaves",
        "import sys\nsys.exit(3)\n",
        "case.py",
        "error: case.py ends Python while it is loaded: sys.exit(3)\n"
        "  at case.py:2\n"
        '  Put what it does as a script under `if __name__ == "__main__":`.\n',
    ),
    Case(
        "no pipeline",
        STEP,
        "case.py",
        "error: there is no pipeline in case.py\n"
        "  Decorate a function with @pipeline (from penstock import pipeline).\n",
    ),
    Case(
        "several pipelines",
        STEP + "@pipeline\ndef train(): ...\n@pipeline\ndef evaluate(): ...\n",
        "case.py",
        "error: there are several pipelines in case.py: train, evaluate\n  Choose one: case.py:train\n",
    ),
    Case(
        "an unknown name, nearly right",
        STEP + "@pipeline\ndef train(): ...\n@pipeline\ndef evaluate(): ...\n",
        "case.py:trian",
        "error: there is no pipeline 'trian' in case.py\n  Did you mean case.py:train?\n",
    ),
    Case(
        "an unknown name",
        MAIN,
        "case.py:zzz",
        "error: there is no pipeline 'zzz' in case.py\n  It has: main.\n",
    ),
    Case(
        "a name of something else",
        MAIN,
        "case.py:step",
        "error: 'step' in case.py is not a pipeline\n  Decorate the function with @pipeline.\n",
    ),
]


@pytest.mark.parametrize("case", FILES, ids=[case.name for case in FILES])
def test_a_target_that_is_no_pipeline(case: Case, tmp_path: Path) -> None:
    (tmp_path / "case.py").write_text(case.source)
    check_refused(["run", *case.arguments.split()], case.message, tmp_path)


def test_an_exception_while_a_file_is_loaded_shows_the_frames_of_the_user(tmp_path: Path) -> None:
    (tmp_path / "case.py").write_text("import beside_it\n")
    (tmp_path / "beside_it.py").write_text('def load():\n    return {}["missing"]\n\nload()\n')
    for target in ("case.py", "case:main"):
        answer = penstock("run", target, cwd=tmp_path)
        assert answer.code == 2
        lines = [line for line in answer.err.splitlines() if "~" not in line]
        assert lines == [
            f"error: {target.removesuffix(':main')} does not load",
            "  Traceback (most recent call last):",
            f'    File "{tmp_path}/case.py", line 1, in <module>',
            "      import beside_it",
            f'    File "{tmp_path}/beside_it.py", line 4, in <module>',
            "      load()",
            f'    File "{tmp_path}/beside_it.py", line 2, in load',
            '      return {}["missing"]',
            "  KeyError: 'missing'",
        ]


def test_a_file_that_is_not_python(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello\n")
    message = (
        "error: notes.txt is neither a Python file nor in a dialect that penstock reads\n"
        "  Pipelines are read in these: penstock, airflow, kfp, prefect, yaml.\n"
    )
    check_refused(["run", "notes.txt"], message, tmp_path)


WIRING = [
    Case(
        "an argument that does not exist",
        STEP + "@pipeline\ndef main():\n    step(1, y=2)\n",
        "",
        "error: ...step()...'y'...\n  at case.py:9\n  ...case.py:3 as step(x: int) -> int.\n",
    ),
    Case(
        "a missing argument",
        STEP + "@pipeline\ndef main():\n    step()\n",
        "",
        "error: ...step()...missing...'x'...\n  at case.py:9\n  ...case.py:3 as step(x: int) -> int.\n",
    ),
    Case(
        "a ref from another pipeline",
        STEP + "kept = []\n"
        "@pipeline\ndef other():\n    kept.append(step(1))\n"
        "@pipeline\ndef main():\n    other.graph()\n    step(kept[0])\n",
        ":main",
        "error: ...step...belongs to...'other'...'main'\n  at case.py:14\n  Pass the value as a parameter...\n",
    ),
    Case(
        "two nodes with one id",
        STEP + "@pipeline\ndef main():\n    step.options(name='a')(1)\n    step.options(name='a')(2)\n",
        "",
        "error: two nodes are called 'a'...case.py:9\n  at case.py:10\n  Give one of them another name...\n",
    ),
    Case(
        "a body that raises",
        STEP + "@pipeline\ndef main():\n    step(1)\n    raise ValueError('no')\n",
        "",
        "error: the body of the pipeline main failed\n"
        "  Traceback (most recent call last):\n"
        '    File "{folder}/case.py", line 10, in main\n'
        "      raise ValueError('no')\n"
        "  ValueError: no\n",
    ),
]


@pytest.mark.parametrize("case", WIRING, ids=[case.name for case in WIRING])
def test_a_pipeline_that_is_wrong_as_written(case: Case, tmp_path: Path) -> None:
    (tmp_path / "case.py").write_text(case.source)
    message = case.message.replace("{folder}", str(tmp_path))
    check_refused(["run", f"case.py{case.arguments}"], message, tmp_path)
    check_refused(["graph", f"case.py{case.arguments}"], message, tmp_path)


def test_a_cycle_names_the_nodes_and_the_line(tmp_path: Path) -> None:
    body = "    a = step.options(name='a')(1)\n    b = step.options(name='b')(a)\n    a.after(b)\n"
    (tmp_path / "case.py").write_text(f"{STEP}@pipeline\ndef main():\n{body}")
    answer = penstock("run", "case.py", cwd=tmp_path)
    assert answer.code == 2
    first, *rest = answer.err.splitlines()
    assert first.startswith("error: the nodes wait for each other in a circle: ")
    assert rest == ["  at case.py:10", "  Take one of these dependencies away."]
    assert not (tmp_path / ".penstock").exists()


def test_a_task_that_workers_cannot_reach(tmp_path: Path) -> None:
    source = (
        "import threading\n"
        "from penstock import pipeline, task\n"
        "def made():\n"
        "    lock = threading.Lock()\n"
        "    @task\n"
        "    def step(x: int) -> int:\n"
        "        with lock:\n"
        "            return x\n"
        "    return step\n"
        "step = made()\n"
        "@pipeline\n"
        "def main() -> int:\n"
        "    return step(1)\n"
    )
    (tmp_path / "case.py").write_text(source)
    answer = penstock("run", "case.py", cwd=tmp_path)
    assert answer.code == 2
    what, where, remedy = answer.err.splitlines()
    assert what.startswith("error: the task 'step' cannot be sent to a worker")
    assert "'lock'" in what
    assert where == "  at case.py:5"
    assert "inline" in remedy
    assert not (tmp_path / ".penstock").exists()
    assert penstock("run", "case.py", "--executor", "inline", cwd=tmp_path).code == 0


PARAMETERS = [
    Case(
        "a missing one",
        "",
        "",
        "error: 1 problem with the parameters of main...\n"
        "  depth: missing...whole number...\n"
        "  at case.py:8\n"
        "  ...-p name=value...--config...\n",
    ),
    Case(
        "an unknown one and one of the wrong type",
        "",
        "-p depth=x -p rat=3",
        "error: 2 problems with the parameters of main...\n"
        "  depth: ...a whole number...'x'...-p depth=x...\n"
        "  rat: ...did you mean 'rate'?...-p rat=3...\n"
        "  at case.py:8\n"
        "  main takes depth: int, rate: float...\n",
    ),
    Case(
        "no equals sign",
        "",
        "-p depth",
        "error: ...-p depth\n  ...-p name=value...-p depth=3...\n",
    ),
    Case(
        "values in a file",
        "depth: x\n",
        "--config case.yaml",
        "error: 1 problem with the parameters of main...\n"
        "  depth: ...a whole number...'x'...case.yaml: depth...\n"
        "  at case.py:8\n",
    ),
    Case(
        "no such file",
        "",
        "--config no.yaml",
        "error: ...No such file or directory\n  at no.yaml\n",
    ),
    Case(
        "no YAML",
        "depth: 1\n rate: : 2\n",
        "--config case.yaml",
        "error: ...YAML...\n  at case.yaml:2:6\n",
    ),
    Case(
        "no mapping",
        "[1, 2]\n",
        "--config case.yaml",
        "error: ...mapping...[1, 2]\n  at case.yaml\n  ...depth: 3...\n",
    ),
]


@pytest.mark.parametrize("case", PARAMETERS, ids=[case.name for case in PARAMETERS])
def test_parameters_that_are_wrong(case: Case, tmp_path: Path) -> None:
    (tmp_path / "case.py").write_text(MAIN)
    (tmp_path / "case.yaml").write_text(case.source)
    check_refused(["run", "case.py", *case.arguments.split()], case.message, tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("runn case.py", "No such command 'runn'."),
        ("run", "Missing argument 'TARGET'."),
        ("run case.py --wrokers 2", "Did you mean one of: '--refresh', '--workers'?"),
        ("run case.py --workers 0", "0 is not in the range x>=1."),
        ("run case.py --config .", "'.' is a directory."),
        ("graph case.py -f picture", "'picture' is not one of 'text', 'mermaid', 'json', 'svg', 'html'."),
    ],
)
def test_usage_that_is_wrong(arguments: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "case.py").write_text(MAIN)
    answer = penstock(*arguments.split(), "--json", cwd=tmp_path)
    assert answer.code == 2
    assert message in answer.err
    assert answer.document["error"]["type"] == "UsageError"
    assert message in answer.document["error"]["message"]
    assert not (tmp_path / ".penstock").exists()


SETTINGS = [
    ("executor = \n", "error: the settings cannot be read: Invalid value (at line 1, column 12)\n  at {file}\n"),
    ("exeutor = 'inline'\n", "error: there is no setting 'exeutor'\n  at {file}\n  Did you mean 'executor'?\n"),
    ("workers = 'two'\n", "error: the setting 'workers' takes a whole number, not 'two'\n  at {file}\n"),
    ("executor = 'proces'\n", "error: there is no executor 'proces'...\n  at {file}\n  ...processes...inline...\n"),
    ("workers = 0\n", "error: workers must be...0\n  at {file}\n"),
]


@pytest.mark.parametrize(("content", "message"), SETTINGS)
def test_settings_that_are_wrong(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "case.py").write_text(MAIN)
    file = tmp_path / "penstock.toml"
    file.write_text(content)
    check_refused(["run", "case.py", "-p", "depth=1"], message.replace("{file}", str(file)), tmp_path)


def test_an_executor_that_does_not_exist(tmp_path: Path) -> None:
    (tmp_path / "case.py").write_text(MAIN)
    message = "error: there is no executor 'proces'...\n  ...processes...inline...\n"
    check_refused(["run", "case.py", "-p", "depth=1", "--executor", "proces"], message, tmp_path)


def test_a_home_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "case.py").write_text(MAIN)
    (tmp_path / "taken").write_text("a file\n")
    answer = penstock("run", "case.py", "-p", "depth=1", cwd=tmp_path, PENSTOCK_HOME=str(tmp_path / "taken" / "home"))
    assert answer.code == 2
    what, remedy = answer.err.splitlines()
    assert what.startswith("error: ")
    assert str(tmp_path / "taken" / "home") in what
    assert "PENSTOCK_HOME" in remedy


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / ".penstock"
    home.mkdir()
    (tmp_path / "case.py").write_text(MAIN)
    return home


def test_a_store_that_is_garbage(home: Path) -> None:
    database = home / "penstock.db"
    database.write_bytes(b"garbage " * 100)
    message = f"error: ...{database}: file is not a database\n  Put a backup back: penstock restore FILE --force. If there is none, move the file away...\n"
    for command in (["run", "case.py", "-p", "depth=1"], ["runs"], ["show", "latest"]):
        check_refused(command, message, home.parent)
    doctor = penstock("doctor", "--json", cwd=home.parent)
    assert doctor.code == 1
    assert "file is not a database" in doctor.document["problems"][0]
    assert database.read_bytes() == b"garbage " * 100


def test_a_store_of_a_newer_penstock_is_left_alone(home: Path) -> None:
    penstock("run", "case.py", "-p", "depth=1", cwd=home.parent)
    with sqlite3.connect(home / "penstock.db") as connection:
        connection.execute("PRAGMA user_version = 9999")
    connection.close()
    before = (home / "penstock.db").read_bytes()
    answer = penstock("run", "case.py", "-p", "depth=2", "--json", cwd=home.parent)
    assert answer.code == 2
    assert answer.document["error"]["type"] == "SchemaError"
    assert "newer" in answer.err
    assert (home / "penstock.db").read_bytes() == before


@pytest.mark.parametrize("command", ["show", "logs", "artifacts list", "graph --run latest"])
def test_nothing_has_run_yet(command: str, tmp_path: Path) -> None:
    message = (
        f"error: nothing has run in {tmp_path} yet\n"
        "  Run a pipeline first (penstock run pipeline.py), or go to the folder it ran in.\n"
    )
    check_refused(command.split(), message, tmp_path)


def test_no_runs_are_no_error(tmp_path: Path) -> None:
    assert penstock("runs", cwd=tmp_path) == (0, "no runs yet\n", "")
    assert penstock("runs", "--json", cwd=tmp_path).document == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("show zzz", "there is no run 'zzz'"),
        ("logs latest fragil", "It has: fragile, after_fragile."),
        ("logs latest scaled[9]", "It has: scaled[0], scaled[1], scaled[2]."),
        ("artifacts show latest scald", "It has: scaled[0], scaled[1], scaled[2]."),
        ("artifacts export latest zzz", "See all: penstock artifacts list"),
        ("graph --run zzz", "there is no run 'zzz'"),
        ("graph", "graph needs a TARGET or --run, and only one of them"),
        ("graph steps.py -o nowhere/graph.svg", "cannot write nowhere/graph.svg: No such file or directory"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(command: str, message: str, project: Project) -> None:
    answer = penstock(*command.split(), "--json", cwd=project.folder)
    assert answer.code == 2
    assert message in answer.err
    assert set(answer.document["error"]) == {"type", "message", "where", "remedy"}


def test_what_a_task_returns_must_be_what_it_declares(tmp_path: Path) -> None:
    (tmp_path / "case.py").write_text(
        "from penstock import pipeline, task\n"
        "@task\n"
        "def pair() -> tuple[int, int]:\n"
        "    return (1, 2, 3)\n"
        "@pipeline\n"
        "def main():\n"
        "    pair()\n"
    )
    answer = penstock("run", "case.py", cwd=tmp_path)
    assert answer.code == 1
    said = "OutputError: case.py:2: pair() returned a tuple of 3 values, but declares a tuple of 2 values"
    assert f"✗ pair failed: {said}" in answer.err.splitlines()
    assert f"  {said}" in answer.out.splitlines()


@pytest.mark.parametrize("command", [["runs"], ["show"], ["logs"], ["artifacts", "list"], ["gc", "--yes"]])
def test_a_file_in_the_place_of_the_state_is_told_by_who_reads(command: list[str], tmp_path: Path) -> None:
    (tmp_path / ".penstock").write_text("mine")
    message = (
        f"error: the project's state cannot be kept in {tmp_path}/.penstock: that is a file\n"
        "  Move it away, or name a folder with PENSTOCK_HOME.\n"
    )
    check_refused(command, message, tmp_path)
