from __future__ import annotations

from pathlib import Path

import pytest
from command_line import penstock
from contract import check_run

ONE = """
from penstock import pipeline, task
@task
def one() -> int:
    return {value}
@pipeline
def {name}() -> int:
    return one()
"""


def result(target: str, cwd: Path, *options: str) -> object:
    answer = penstock("run", target, "--json", *options, cwd=cwd)
    assert answer.code == 0, answer.err
    check_run(answer.document)
    assert answer.document["target"] == target
    return answer.document["outputs"]["result"]["value"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pipeline.py", "my-pipeline.py", "random.py", "two words.py", "pipeline"])
def test_a_file_may_have_any_name(name: str, tmp_path: Path) -> None:
    """Names of modules that others need are no trouble, in this process or in workers."""
    file = name if name.endswith(".py") else f"{name}.py"
    (tmp_path / file).write_text("import random, json\n" + ONE.format(value=11, name="main"))
    assert result(name, tmp_path) == 11


def test_a_file_in_another_folder_finds_what_sits_beside_it(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "er"
    folder.mkdir(parents=True)
    (folder / "beside_it.py").write_text("def doubled(x):\n    return 2 * x\n")
    (folder / "main.py").write_text(
        "from penstock import pipeline, task\n"
        "@task\n"
        "def two(x: int) -> int:\n"
        "    import beside_it\n"
        "    return beside_it.doubled(x)\n"
        "@pipeline\n"
        "def main() -> int:\n"
        "    import beside_it\n"
        "    return two(beside_it.doubled(1))\n"
    )
    assert result("deep/er/main.py", tmp_path) == 4
    assert result(str(folder / "main.py"), tmp_path) == 4
    assert (tmp_path / ".penstock").is_dir(), "the project is that of the working folder"


def test_a_name_chooses_among_several_pipelines(tmp_path: Path) -> None:
    second = ONE.format(value=2, name="second").replace("one()", "two()")
    (tmp_path / "several.py").write_text(ONE.format(value=1, name="first") + second)
    assert result("several.py:first", tmp_path) == 1
    assert result("several.py:second", tmp_path) == 2


@pytest.mark.slow
def test_a_pipeline_can_be_named_by_its_variable_and_by_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "named.py").write_text(ONE.format(value=1, name="main").replace("@pipeline", '@pipeline(name="other")'))
    assert result("named.py:main", tmp_path) == 1
    assert result("named.py:other", tmp_path) == 1


@pytest.mark.slow
def test_imported_pipelines_and_second_names_are_not_counted(tmp_path: Path) -> None:
    (tmp_path / "parts.py").write_text(ONE.format(value=1, name="part"))
    (tmp_path / "whole.py").write_text(
        "from parts import part\n" + ONE.format(value=2, name="whole") + "again = whole\n"
    )
    (tmp_path / "imports.py").write_text("from parts import part\n")
    assert result("whole.py", tmp_path) == 2
    assert result("whole.py:part", tmp_path) == 1
    assert result("imports.py", tmp_path) == 1


@pytest.mark.slow
def test_a_module_is_imported_from_the_working_folder(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text(ONE.format(value=5, name="whole"))
    (package / "value.py").write_text("VALUE = 6\n")
    (package / "module.py").write_text("from .value import VALUE\n" + ONE.format(value="VALUE", name="main"))
    assert result("package.module:main", tmp_path) == 6
    assert result("package.module", tmp_path) == 6
    assert result("package:whole", tmp_path) == 5


@pytest.mark.slow
def test_the_same_tasks_are_cached_whichever_way_they_are_named(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(ONE.format(value=5, name="main"))
    penstock("run", "main.py", cwd=tmp_path)
    for target in ("main", "main:main", str(tmp_path / "main.py")):
        document = penstock("run", target, "--json", cwd=tmp_path).document
        assert [task["state"] for task in document["tasks"]] == ["cached"], target
