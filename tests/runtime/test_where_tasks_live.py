"""Tasks wherever Python lets one write them, run by worker processes and in the calling process."""

from __future__ import annotations

import ast
import json
from typing import TYPE_CHECKING, Any

import pytest

#: the long ring: scripts in processes of their own
pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from running import Project

EXECUTORS = ["processes", "inline"]

SCRIPT = """
    from __future__ import annotations

    from dataclasses import dataclass
    from typing import NamedTuple

    from penstock import pipeline, task

    OFFSET = 10

    def helper(number: int) -> int:
        return number + OFFSET

    @dataclass
    class Model:
        weight: float
        name: str

    class Pair(NamedTuple):
        left: int
        right: Model

    class Plain:
        def __init__(self, number):
            self.number = number

    @task
    def load() -> list[int]:
        print("loading")
        return [1, 2, 3]

    @task
    def train(numbers: list[int]) -> Model:
        return Model(sum(helper(number) for number in numbers), "linear")

    @task
    def pair(model: Model) -> Pair:
        assert isinstance(model, Model)
        return Pair(int(model.weight), model)

    @task
    def plain(pair: Pair) -> Plain:
        assert isinstance(pair, Pair), pair
        assert isinstance(pair.right, Model), pair
        return Plain(pair.left)

    @task
    def take(plain: Plain) -> int:
        assert isinstance(plain, Plain)
        return plain.number

    @pipeline
    def training():
        model = train(load())
        both = pair(model)
        other = plain(both)
        return {
            "model": model, "pair": both, "plain": other, "taken": take(other),
            "left": both.left, "weight": model.weight,
        }
"""

CHECKS = """
        assert isinstance(result["model"], Model), result
        assert result["model"] == Model(36, "linear")
        assert isinstance(result["pair"], Pair), result
        assert isinstance(result["pair"].right, Model), result
        assert isinstance(result["plain"], Plain), result
        assert (result["taken"], result["left"], result["weight"]) == (36, 36, 36)
        print("all is well")
"""

RECORDS = """
    if __name__ == "__main__":
        import sys
        result = training.options(executor=sys.argv[1])()
        assert isinstance(result["model"], Model), result
        assert isinstance(result["pair"], Pair), result
        assert isinstance(result["pair"].right, Model), result
"""

MAIN = f"""
    if __name__ == "__main__":
        import sys
        result = training.options(executor=sys.argv[1])()
{CHECKS}
"""


@pytest.mark.parametrize("executor", EXECUTORS)
def test_in_a_script_classes_included(project: Project, executor: str) -> None:
    project.write("train.py", SCRIPT + MAIN)
    assert project.python("train.py", executor).stdout.splitlines()[-1] == "all is well"


@pytest.mark.parametrize("executor", EXECUTORS)
def test_records_of_a_script_keep_their_class_when_they_come_from_the_cache(project: Project, executor: str) -> None:
    project.write("train.py", SCRIPT + RECORDS)
    project.python("train.py", executor)
    project.python("train.py", executor)
    document = json.loads(project.penstock("show", "latest", "--json").stdout)
    assert {task["state"] for task in document["tasks"]} == {"cached"}


@pytest.mark.parametrize("executor", EXECUTORS)
def test_in_a_script_from_standard_input(project: Project, executor: str) -> None:
    script = project.write("train.py", SCRIPT + MAIN).read_text()
    assert project.python("-", executor, given=script).stdout.splitlines()[-1] == "all is well"


@pytest.mark.parametrize("executor", EXECUTORS)
def test_in_python_c(project: Project, executor: str) -> None:
    script = project.write("train.py", SCRIPT + MAIN).read_text()
    (project.folder / "train.py").unlink()
    assert project.python("-c", script, executor).stdout.splitlines()[-1] == "all is well"


@pytest.mark.parametrize("executor", EXECUTORS)
def test_in_a_module_of_a_package(project: Project, executor: str) -> None:
    project.write("package/__init__.py", "")
    project.write("package/training.py", SCRIPT)
    caller = "from package.training import *\nimport sys\nresult = training.options(executor=sys.argv[1])()\n"
    checks = "\n".join(line.strip() for line in CHECKS.splitlines())
    project.write("main.py", caller + checks)
    assert project.python("main.py", executor).stdout.splitlines()[-1] == "all is well"


@pytest.mark.parametrize("executor", EXECUTORS)
def test_in_a_file_given_to_the_command_line(project: Project, executor: str) -> None:
    project.write("train.py", SCRIPT)
    done = project.penstock("run", "train.py", "--executor", executor, "--json", "-q")
    document = json.loads(done.stdout)
    assert document["state"] == "succeeded"
    assert document["outputs"]["taken"]["value"] == 36


SINGLE = """
    import sys
    from dataclasses import dataclass
    from penstock import pipeline, task

    @dataclass
    class Single:
        value: int

    @task
    def single() -> Single:
        return Single(36)

    @task
    def take(one: Single) -> int:
        return one.value

    @pipeline
    def singles():
        one = single()
        return {"one": one, "taken": take(one), "value": one.value}

    result = singles.options(executor=sys.argv[1])()
    assert result == {"one": Single(36), "taken": 36, "value": 36}, result
"""


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_record_of_one_field_in_a_script(project: Project, executor: str) -> None:
    project.write("single.py", SINGLE)
    project.python("single.py", executor)


LOCAL = """
    from penstock import pipeline, task

    def make(factor):
        @task
        def scale(number: int) -> int:
            return factor * number

        double = task(name="double")(lambda number: 2 * number)

        @task
        def with_lambda(numbers: list[int]) -> list[int]:
            return sorted(numbers, key=lambda number: -number)

        @pipeline
        def scaling():
            return with_lambda([scale(1), double(scale(2)), scale(3)])

        return scaling

    import sys
    print(make(10).options(executor=sys.argv[1])())
    print(make(100).options(executor=sys.argv[1])())
"""


@pytest.mark.parametrize("executor", EXECUTORS)
def test_in_closures_and_lambdas(project: Project, executor: str) -> None:
    project.write("local.py", LOCAL)
    assert project.python("local.py", executor).stdout.splitlines() == ["[40, 30, 10]", "[400, 300, 100]"]


COUNTED = """
    from pathlib import Path
    from penstock import pipeline, task

    with (Path(__file__).parent / "imports.txt").open("a") as file:
        print("imported", file=file)

    @task
    def square(number: int) -> int:
        return number * number

    @pipeline
    def squares():
        return square.map(list(range(200)))
"""


def test_user_modules_are_imported_by_the_driver_and_once_for_all_workers(project: Project) -> None:
    project.write("counted.py", COUNTED)
    project.penstock("run", "counted.py", "-q", "--workers", "4")
    assert len((project.folder / "imports.txt").read_text().splitlines()) == 2


def test_a_module_that_fails_only_in_workers_fails_the_task_with_its_own_error(project: Project) -> None:
    project.write(
        "fragile.py",
        """
        import os
        from pathlib import Path
        from penstock import pipeline, task

        flag = Path(__file__).parent / "imported"
        if flag.exists():
            raise RuntimeError("only one process may import this")
        flag.touch()

        @task
        def one() -> int:
            return 1

        @pipeline
        def fragile():
            return one()
        """,
    )
    done = project.penstock("run", "fragile.py", "--json", "-q", code=1)
    (task,) = json.loads(done.stdout)["tasks"]
    assert task["error"] == "RuntimeError: only one process may import this"


RANDOM = """
    import random, time
    from pathlib import Path
    import numpy.random
    from penstock import pipeline, task

    @task
    def draw(item: int) -> tuple[float, float]:
        # so that each is drawn by another worker
        Path(f"here-{item}").touch()
        while len(list(Path().glob("here-*"))) < 3:
            time.sleep(0.01)
        return random.random(), float(numpy.random.random())

    @pipeline
    def drawing():
        return draw.map([0, 1, 2])
"""


def test_workers_draw_random_numbers_of_their_own(project: Project) -> None:
    pytest.importorskip("numpy")
    project.write("drawing.py", RANDOM)
    project.write("main.py", "import drawing\nprint(drawing.drawing.options(workers=3)())\n")
    drawn = ast.literal_eval(project.python("main.py").stdout)
    assert len({number for pair in drawn for number in pair}) == 6


NOISE = """
    import os, subprocess, sys
    from penstock import pipeline, task

    @task(cache=False)
    def shout() -> int:
        print("by print")
        os.write(1, b"by descriptor\\n")
        subprocess.run(["echo", "by child"], check=True)
        subprocess.run(["echo", "by child of stdout"], check=True, stdout=sys.stdout)
        os.system("echo by shell")
        return 1

    @pipeline
    def noise():
        return shout()

    if __name__ == "__main__":
        print(noise())
"""


def test_what_workers_and_their_children_print_stays_off_stdout(project: Project) -> None:
    project.write("noise.py", NOISE)
    done = project.python("noise.py")
    assert done.stdout == "1\n"
    for way in ("descriptor", "child", "child of stdout", "shell"):
        assert f"by {way}\n" in done.stderr


def test_what_an_inline_task_prints_goes_where_it_would_go(project: Project) -> None:
    project.write("noise.py", NOISE.replace("noise())", "noise.options(executor='inline')())"))
    done = project.python("noise.py")
    assert sorted(done.stdout.splitlines()) == [
        "1",
        "by child",
        "by child of stdout",
        "by descriptor",
        "by print",
        "by shell",
    ]
    logged = project.penstock("logs", "latest", "--json")
    assert "by print" in logged.stdout


@pytest.mark.parametrize("executor", EXECUTORS)
def test_json_on_stdout_survives_noise(project: Project, executor: str) -> None:
    project.write("noise.py", NOISE)
    arguments: list[Any] = ["run", "noise.py", "--json", "-q", "--executor", executor]
    done = project.penstock(*arguments)
    assert json.loads(done.stdout)["state"] == "succeeded"
