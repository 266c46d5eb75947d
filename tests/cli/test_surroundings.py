"""The commands around running: the demo, the doctor, completion in a real shell."""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
from pathlib import Path

import pytest
from command_line import PROGRAM, environment, penstock
from contract import check_run, states


@pytest.mark.slow
def test_the_demo_writes_the_example_and_runs_it(tmp_path: Path) -> None:
    answer = penstock("demo", "try it", "--json", cwd=tmp_path)
    assert answer.code == 0, answer.err
    check_run(answer.document)
    assert answer.document["state"] == "succeeded"
    assert 0.5 < answer.document["metrics"]["accuracy"] <= 1
    folder = tmp_path / "try it"
    assert {"pipeline.py", "README.md"} <= {file.name for file in folder.iterdir()}
    (folder / "README.md").write_text("mine now\n")
    again = penstock("demo", "try it", cwd=tmp_path)
    assert again.code == 0, again.err
    assert (folder / "README.md").read_text() == "mine now\n", "what is there is left as it is"
    assert "wrote" not in again.err
    assert "the demo\n  cd 'try it'  " in again.out
    assert "penstock run pipeline.py -p threshold=0.999" in again.out
    closed = penstock("run", "pipeline.py", "-p", "threshold=0.999", "--json", cwd=folder)
    assert closed.code == 0
    assert states(closed.document)["register"] == "skipped"
    assert states(closed.document)["train"] == "cached"


def test_the_demo_does_not_take_the_place_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file\n")
    answer = penstock("demo", "taken", cwd=tmp_path)
    assert answer.code == 2
    assert "is a file" in answer.err
    assert (tmp_path / "taken").read_text() == "a file\n"


def test_the_doctor_finds_all_well(tmp_path: Path) -> None:
    answer = penstock("doctor", "--json", cwd=tmp_path)
    report = answer.document
    assert answer.code == 0, report["problems"]
    assert report["problems"] == []
    assert report["executors"] == {"inline": "ready", "processes": "ready"}
    assert report["optional"]["numpy"] == importlib.metadata.version("numpy")
    assert report["store"]["home"] == str(tmp_path / ".penstock")
    assert list(tmp_path.iterdir()) == [], "looking changes nothing"
    shown = penstock("doctor", cwd=tmp_path)
    assert shown.out.endswith("verdict\n  ✓ all is well\n")


def test_the_doctor_tells_where_the_settings_are(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.penstock]\nhome = "state"\n')
    (tmp_path / "inner").mkdir()
    report = penstock("doctor", "--json", cwd=tmp_path / "inner").document
    assert report["project"] == str(tmp_path)
    assert report["settings"] == str(tmp_path / "pyproject.toml")
    assert report["store"]["home"] == str(tmp_path / "state")


COMPLETE = """
eval "$(penstock completion bash)"
COMP_WORDS=({words}) COMP_CWORD={position}
$(complete -p penstock | sed 's/.*-F \\([^ ]*\\).*/\\1/') penstock
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("words", "expected"),
    [("penstock ru", {"run", "runs"}), ("penstock artifacts ex", {"export"}), ("penstock run --ex", {"--executor"})],
)
def test_bash_completes_commands_and_options(words: str, expected: set[str], tmp_path: Path) -> None:
    script = COMPLETE.format(words=words, position=len(words.split()) - 1)
    path = f"{PROGRAM.parent}:{environment()['PATH']}"
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        check=True,
        env=environment(PATH=path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    assert set(done.stdout.split()) == expected


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_have_completions_too(shell: str, tmp_path: Path) -> None:
    answer = penstock("completion", shell, cwd=tmp_path)
    assert answer.code == 0
    assert "_PENSTOCK_COMPLETE" in answer.out
