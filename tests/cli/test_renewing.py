"""Going on after a failure, and running tasks again, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import penstock

PIPELINE = """
from pathlib import Path
from penstock import pipeline, task


def called(name):
    with Path("calls").open("a") as file:
        file.write(name + " ")


@task(cache=False)
def load(n: int) -> list[int]:
    called("load")
    return list(range(n))


@task(effects=True)
def clean(rows: list[int]) -> list[int]:
    called("clean")
    return [2 * row for row in rows]


@task
def train(rows: list[int]) -> int:
    called("train")
    raise ValueError("no")


@pipeline
def training(n: int = 3) -> int:
    return train(clean(load(n)))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "penstock.toml").write_text('executor = "inline"\n')
    (tmp_path / "training.py").write_text(PIPELINE)
    return tmp_path


def mend(folder: Path, old: str = 'raise ValueError("no")', new: str = "return sum(rows)") -> None:
    file = folder / "training.py"
    file.write_text(file.read_text().replace(old, new))


def calls(folder: Path) -> list[str]:
    found = (folder / "calls").read_text().split()
    (folder / "calls").unlink()
    return found


def failed(folder: Path) -> str:
    """The id of a run that failed."""
    answer = penstock("run", "training.py", "-p", "n=4", "-q", "--json", cwd=folder)
    assert answer.code == 1
    calls(folder)
    return str(answer.document["run_id"])


def test_a_run_goes_on_once_its_file_is_mended(folder: Path) -> None:
    answer = penstock("run", "training.py", "-p", "n=4", "-q", cwd=folder)
    assert answer.code == 1
    run_id = next(word for word in answer.out.split() if word.count("-") == 2)
    assert f"penstock resume {run_id}" in answer.out
    calls(folder)
    mend(folder)
    mend(folder, "2 * row", "3 * row")
    answer = penstock("resume", run_id, "-q", cwd=folder)
    assert (answer.code, calls(folder)) == (0, ["clean", "train"])
    first, *lines = answer.err.splitlines()
    assert first == f"run {run_id}, generation 2: 1 result kept"
    assert lines[0] == "  kept: load"
    assert lines[1].startswith("  invalidated: clean: training:clean (training.py:20) changed since generation 1")
    assert "    +    return [3 * row for row in rows]" in lines
    shown = penstock("show", run_id, cwd=folder).out
    assert f"2 of 2, see also {run_id}.1" in shown
    assert "kept from generation 1" in shown
    assert "1 of 2" in penstock("show", f"{run_id}.1", cwd=folder).out
    assert len(json.loads(penstock("runs", "--json", cwd=folder).out)) == 1
    assert penstock("show", "latest.2", cwd=folder).out == shown
    assert f"{run_id} has generations 1 to 2" in penstock("show", f"{run_id}.9", cwd=folder).err
    assert penstock("diff", f"{run_id}.1", run_id, cwd=folder).code == 0
    why = penstock("why", run_id, "clean", cwd=folder).out
    assert "it ran because training:clean (training.py:20) changed since generation 1" in why
    assert f"penstock logs {run_id}.1 load" in penstock("logs", run_id, "load", cwd=folder).err


def test_keep_and_plan_and_json(folder: Path) -> None:
    run_id = failed(folder)
    mend(folder)
    mend(folder, "2 * row", "3 * row")
    plan = penstock("resume", run_id, "--plan", "--json", cwd=folder).document
    assert (plan["generation"], plan["kept"]) == (2, ["load"])
    [invalidated] = plan["invalidated"]
    assert (invalidated["id"], invalidated["reason"]["cause"]) == ("clean", "invalidated")
    assert invalidated["reason"]["differences"][0]["where"] == "training.py:20"
    assert "kept from an earlier generation" in penstock("resume", run_id, "--plan", cwd=folder).out
    assert not (folder / "calls").exists()
    document = penstock("resume", run_id, "--keep", "clean", "-q", "--json", cwd=folder).document
    assert document["outputs"]["result"]["value"] == 12
    assert document["resumed"] == {
        "generation": 2,
        "kept": ["load", "clean"],
        "invalidated": [],
        "dropped": [],
        "new": [],
    }
    assert calls(folder) == ["train"]


def test_what_is_no_longer_in_the_pipeline_is_told(folder: Path) -> None:
    mend(folder, "clean(rows: list[int]) -> list[int]", "clean(rows: int) -> int")
    mend(folder, "[2 * row for row in rows]", "2 * rows")
    mend(folder, "train(clean(load(n)))", "train(clean.map(load(n)))")
    run_id = failed(folder)
    mend(folder)
    mend(folder, "clean", "scrub")
    plan = penstock("resume", run_id, "--plan", "--json", cwd=folder).document
    assert (plan["dropped"], plan["new"]) == ([f"clean[{item}]" for item in range(4)], ["scrub"])
    line = "  dropped: clean[0..3], no longer in the pipeline\n  new: scrub"
    assert line in penstock("resume", run_id, "--plan", cwd=folder).out
    for option in ("--keep", "--invalidate"):
        answer = penstock("resume", run_id, option, "clean[2]", cwd=folder)
        assert (answer.code, "'clean[2]': it is no longer in the pipeline" in answer.err) == (2, True)
        answer = penstock("resume", run_id, option, "clan", cwd=folder)
        assert (answer.code, "Did you mean clean" in answer.err) == (2, True)
    answer = penstock("resume", run_id, "-q", cwd=folder)
    assert (answer.code, line in answer.err) == (0, True)


def test_a_pipeline_that_has_moved_is_asked_for(folder: Path) -> None:
    run_id = failed(folder)
    (folder / "training.py").rename(folder / "elsewhere.py")
    answer = penstock("retry", run_id, cwd=folder)
    assert (answer.code, "say where: --target FILE" in answer.err) == (2, True)


@pytest.mark.slow
def test_tasks_are_run_again(folder: Path) -> None:
    run_id = failed(folder)
    mend(folder)
    assert penstock("retry", run_id, "-q", cwd=folder).code == 0
    assert calls(folder) == ["train"]
    document = penstock("retry", "latest", "cl*", "-q", "--json", cwd=folder).document
    assert (document["state"], document["generation"], calls(folder)) == ("succeeded", 3, ["clean", "train"])
    assert document["earlier"] == [f"{run_id}.1", f"{run_id}.2"]


@pytest.mark.slow
def test_what_cannot_be_retried_is_not_begun(folder: Path) -> None:
    run_id = failed(folder)
    answer = penstock("retry", run_id, "trian", cwd=folder)
    assert (answer.code, "Did you mean train?" in answer.err) == (2, True)
    answer = penstock("resume", run_id, "--keep", "claen", cwd=folder)
    assert (answer.code, "Did you mean clean?" in answer.err) == (2, True)
    mend(folder)
    penstock("resume", run_id, "-q", cwd=folder)
    answer = penstock("retry", f"{run_id}.1", cwd=folder)
    assert (answer.code, f"Name the run itself: {run_id}" in answer.err) == (2, True)
    answer = penstock("resume", run_id, cwd=folder)
    assert (answer.code, f"penstock retry {run_id} TASK" in answer.err) == (2, True)
    answer = penstock("resume", "--due", "--keep", "load", cwd=folder)
    assert answer.code == 2
    assert json.loads(penstock("show", run_id, "--json", cwd=folder).out)["generation"] == 2


def test_the_example_of_the_guide(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "guide" / "durability.md").read_text("utf-8")
    page = page[page.index("## Going on after a failure") :]
    (tmp_path / "penstock.toml").write_text('executor = "inline"\n')
    (tmp_path / "training.py").write_text(page.split("```python\n")[1].split("```")[0])
    assert penstock("run", "training.py", "-q", cwd=tmp_path).code == 1
    last, mended = "return sum(rows) / 0", "return sum(rows) / len(rows)"
    assert f"`{mended}`" in page
    mend(tmp_path, last, mended)
    answer = penstock("resume", "latest", "-q", cwd=tmp_path)
    assert answer.code == 0
    told = page.split("$ penstock resume latest\n")[1].split("```")[0].splitlines()
    assert [line.split(", ", 1)[-1] for line in answer.err.splitlines()] == [line.split(", ", 1)[-1] for line in told]
    assert "result  4.5" in answer.out
