"""The command that makes one task of a past run again."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from command_line import Answer, penstock
from test_terminal import Terminal

STEPS = """
    import logging

    from helpers import scaled
    from penstock import approval, pipeline, task

    class BadRateError(Exception):
        pass

    @task
    def load(rows: int) -> list[int]:
        return list(range(rows))

    @task
    def fit(numbers: list[int], rate: float) -> float:
        print("fitting", len(numbers))
        logging.getLogger("steps").info("rate %s", rate)
        return sum(map(scaled, numbers)) * rate

    @task
    def check(score: float) -> float:
        raise BadRateError(f"score {score}")

    @pipeline
    def steps(rate: float = 0.5) -> float:
        scores = fit.partial(numbers=load(4)).map(rate={"low": rate, "high": 2 * rate})
        return check(scores["low"])
"""


@pytest.fixture(scope="module")
def stepped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run; only for reading."""
    folder = tmp_path_factory.mktemp("stepped")
    (folder / "penstock.toml").touch()
    (folder / "helpers.py").write_text("def scaled(x):\n    return 3 * x\n")
    (folder / "steps.py").write_text(textwrap.dedent(STEPS))
    assert penstock("run", "steps.py", "--executor", "inline", "-q", cwd=folder).code == 1
    return folder


def replay(*arguments: str, cwd: Path) -> Answer:
    return penstock("replay", *arguments, cwd=cwd)


def test_it_tells_what_the_task_did(stepped: Path) -> None:
    answer = replay("latest", "fit[low]", cwd=stepped)
    assert answer.code == 0, answer.err
    first, *lines = answer.out.splitlines()
    assert first == "fitting 4"
    assert "fit[low] of run" in lines[0] and "succeeded in" in lines[0] and "with the present code" in lines[0]
    assert lines[1:] == ["  result  float  9.0  same as in the run"]
    assert answer.err == "INFO steps: rate 0.5\n"


def test_the_document(stepped: Path) -> None:
    answer = replay("latest", "fit[high]", "--json", "--compare", cwd=stepped)
    assert answer.code == 0
    document = answer.document
    assert (document["id"], document["task"], document["code"], document["state"]) == (
        *("fit[high]", "fit", "today", "succeeded"),
    )
    assert document["same"] is True and document["recorded"]["state"] == "succeeded"
    [output] = document["outputs"]
    assert output["made"]["value"] == 18.0
    assert output["recorded"] == output["made"]["digest"]
    # what the task prints is not in its way
    assert "fitting 4" in answer.err


def test_a_task_that_raises(stepped: Path) -> None:
    answer = replay("latest", "check", cwd=stepped)
    assert answer.code == 1
    assert "check of run" in answer.out and "failed in" in answer.out
    assert "steps.py" in answer.out and 'raise BadRateError(f"score {score}")' in answer.out
    assert "it failed so in the run, too" in answer.out
    assert "attempt.py" not in answer.out
    assert "(in the run it failed)" in answer.out
    # it did what is recorded
    assert replay("latest", "check", "--compare", "--json", cwd=stepped).code == 0


def test_code_that_has_changed(stepped: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(stepped, tmp_path / "copy")
    (folder / "helpers.py").write_text("def scaled(x):\n    return 4 * x\n")
    answer = replay("latest", "fit[low]", cwd=folder)
    assert answer.code == 0
    assert "with the code of the run" in answer.out
    assert "the code has changed since the run: helpers:scaled (helpers.py:2)" in answer.out
    assert "9.0  same as in the run" in answer.out
    for arguments, code in ((("--code", "today"), 0), (("--code", "today", "--compare"), 1)):
        answer = replay("latest", "fit[low]", *arguments, cwd=folder)
        assert answer.code == code
        assert "12.0  differs from the run\n    in the run: 9.0\n    now:        12.0" in answer.out
    answer = replay("latest", "fit[low]", "--code", "today", "--no-compare", cwd=folder)
    assert answer.code == 0 and "differs" not in answer.out


def test_a_pipeline_that_has_moved(stepped: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(stepped, tmp_path / "copy")
    (folder / "moved").mkdir()
    for name in ("steps.py", "helpers.py"):
        (folder / name).rename(folder / "moved" / name)
    answer = replay("latest", "fit[low]", "--target", "moved/steps.py", cwd=folder)
    assert answer.code == 0, answer.err
    assert "with the present code" in answer.out and "same as in the run" in answer.out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("latest", "fitt[low]"), "Did you mean fit[low]"),
        (("latest", "fit"), "fit[low], fit[high]"),
        (("nosuch", "fit[low]"), "nosuch"),
        (("latest",), "Missing argument 'NODE'"),
        (("latest", "fit[low]", "--code", "then"), "'then' is not one of"),
        (("latest", "fit[low]", "--pdb=middle"), "'middle' is not one of"),
    ],
)
def test_wrong_usage(stepped: Path, arguments: tuple[str, ...], told: str) -> None:
    answer = replay(*arguments, cwd=stepped)
    assert (answer.code, answer.out) == (2, "")
    assert told in answer.err


def test_the_debugger_on_a_terminal(stepped: Path) -> None:
    terminal = Terminal("replay", "--pdb", "latest", "fit[low]", cwd=stepped)
    terminal.read_until("(Pdb) ")
    assert '-> print("fitting", len(numbers))' in terminal.shown
    terminal.press(b"p len(numbers) + 100\n")
    terminal.read_until("104")
    terminal.press(b"c\n")
    assert terminal.finish() == 0
    assert "same as in the run" in terminal.shown


def test_the_debugger_where_a_task_failed(stepped: Path) -> None:
    terminal = Terminal("replay", "latest", "check", "--pdb", cwd=stepped)
    terminal.read_until("(Pdb) ")
    assert "BadRateError: score 9.0" in terminal.shown
    terminal.press(b"p score * 100\n")
    terminal.read_until("900.0")
    terminal.press(b"q\n")
    assert terminal.finish() == 1


def test_a_script_is_replayed_from_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "penstock.toml").touch()
    (tmp_path / "my-script.py").write_text(
        textwrap.dedent(
            """
            from dataclasses import dataclass

            from penstock import pipeline, task

            @dataclass
            class Model:
                weight: int

            @task
            def fit(x: int) -> Model:
                return Model(x)

            @task
            def use(model: Model) -> Model:
                return Model(model.weight + 1)

            @pipeline
            def scripted() -> Model:
                return use(fit(1))

            if __name__ == "__main__":
                scripted.options(executor="inline", progress=False)()
            """
        )
    )
    subprocess.run([sys.executable, "my-script.py"], cwd=tmp_path, check=True, timeout=60)
    for code in ("today", "stored"):
        answer = replay("latest", "use", "--code", code, cwd=tmp_path)
        assert answer.code == 0, answer.err
        assert "Model  {'weight': 2}  same as in the run" in answer.out
