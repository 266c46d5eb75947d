from __future__ import annotations

from pathlib import Path

import pytest
from command_line import penstock

ONE = '''
from penstock import pipeline, task

DEPTH = 3

@task
def train(depth: int) -> int:
    return depth + 1

@pipeline
def training(depth: int = 2):
    """Train a model."""
    return train(depth)
'''
OTHER = """
from penstock import pipeline, task

@task
def say(word: str) -> str:
    return word

@pipeline
def greeting(words: list[str]):
    for word in words:
        say(word)
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder with two pipelines in a folder below."""
    folder = tmp_path / "pipelines"
    folder.mkdir()
    (folder / "one.py").write_text(ONE)
    (folder / "other.py").write_text(OTHER)
    return tmp_path


def entries(answer: object) -> dict[str, str]:
    return {entry["name"]: entry["change"] for entry in answer.document["entries"]}  # type: ignore[attr-defined]


def test_a_folder_is_registered_and_its_pipelines_run_by_name(shop: Path) -> None:
    registered = penstock("register", "pipelines", cwd=shop)
    assert registered.code == 0, registered.err
    assert "+ pipeline training  new, version 1" in registered.out
    ran = penstock("run", "training", "-p", "depth=5", "--executor", "inline", "--json", cwd=shop)
    assert ran.code == 0, ran.err
    assert ran.document["outputs"]["result"]["value"] == 6
    assert ran.document["version"] == 1
    assert ran.document["target"] == f"{shop}/pipelines/one.py:training"
    assert penstock("graph", "training", "--json", cwd=shop).document["name"] == "training"
    assert penstock("plan", "training", "--json", cwd=shop).document["pipeline"] == "training"


def test_what_changed_is_told_down_to_the_line(shop: Path) -> None:
    penstock("register", "pipelines", cwd=shop)
    file = shop / "pipelines" / "one.py"
    file.write_text("# a comment\n" + ONE.replace("depth + 1", "depth + DEPTH").replace("int = 2", "int = 4"))
    told = penstock("register", "pipelines", cwd=shop)
    assert "~ pipeline training  changed, version 2" in told.out
    assert "parameter depth: int = 2 -> int = 4" in told.out
    assert "task train changed, at pipelines/one.py:9" in told.out
    assert "-    return depth + 1" in told.out
    assert "greeting" not in told.out
    again = penstock("register", "pipelines", "--json", cwd=shop)
    assert entries(again) == {"training": "unchanged", "greeting": "unchanged"}


@pytest.mark.slow
def test_comments_and_places_make_no_version(shop: Path) -> None:
    penstock("register", "pipelines", cwd=shop)
    file = shop / "pipelines" / "one.py"
    file.write_text("# a comment\n\n" + ONE.replace("Train a model.", "Train."))
    assert entries(penstock("register", "pipelines", "--json", cwd=shop))["training"] == "unchanged"
    file.rename(shop / "pipelines" / "moved.py")
    moved = penstock("register", "pipelines", "--json", cwd=shop)
    assert entries(moved)["training"] == "unchanged"
    assert penstock("run", "training", "--executor", "inline", cwd=shop).code == 0


@pytest.mark.slow
def test_what_is_gone_is_retired(shop: Path) -> None:
    penstock("register", "pipelines", cwd=shop)
    (shop / "pipelines" / "other.py").unlink()
    told = penstock("register", "pipelines", cwd=shop)
    assert "- pipeline greeting  retired" in told.out
    refused = penstock("run", "greeting", cwd=shop)
    assert refused.code == 2
    assert "retired" in refused.err
    (shop / "pipelines" / "other.py").write_text(OTHER)
    assert entries(penstock("register", "pipelines", "--json", cwd=shop))["greeting"] == "returned"


def test_a_broken_file_among_good_ones(shop: Path) -> None:
    (shop / "pipelines" / "broken.py").write_text("import nothing_of_this_name\n")
    (shop / "pipelines" / "ends.py").write_text("import os\nos._exit(3)\n")
    refused = penstock("register", "pipelines", "--strict", "--json", cwd=shop)
    assert refused.code == 2
    assert not refused.document["recorded"]
    assert penstock("run", "training", cwd=shop).code == 2
    told = penstock("register", "pipelines", cwd=shop)
    assert told.code == 2
    assert "No module named 'nothing_of_this_name'" in told.err
    assert "ends.py has ended without a word" in told.err
    assert "registered: 2 new; 2 faults" in told.out
    assert penstock("run", "training", "--executor", "inline", cwd=shop).code == 0


@pytest.mark.slow
def test_a_file_that_does_not_load_retires_nothing(shop: Path) -> None:
    penstock("register", "pipelines", cwd=shop)
    (shop / "pipelines" / "one.py").write_text("def broken(:\n")
    told = penstock("register", "pipelines", "--json", cwd=shop)
    assert entries(told) == {"greeting": "unchanged"}
    assert told.document["faults"][0]["where"].endswith("one.py:1")


@pytest.mark.slow
def test_two_things_of_one_name_are_refused_with_both_places(shop: Path) -> None:
    (shop / "pipelines" / "twin.py").write_text(ONE)
    told = penstock("register", "pipelines", cwd=shop)
    assert told.code == 2
    assert told.err.count("there are two pipelines called 'training'; the other is at pipelines/one.py:10") == 1
    assert "at pipelines/twin.py:10" in told.err
    assert "the other is at pipelines/one.py:10" in told.err
    assert "+ pipeline greeting" in told.out


@pytest.mark.slow
def test_a_name_of_another_place_is_only_taken_over_on_request(shop: Path) -> None:
    penstock("register", "pipelines", cwd=shop)
    (shop / "copy.py").write_text(ONE)
    refused = penstock("register", "copy.py", cwd=shop)
    assert refused.code == 2
    assert "is registered from pipelines/one.py already" in refused.err
    assert penstock("register", "copy.py", "--move", cwd=shop).code == 0
    ran = penstock("run", "training", "--executor", "inline", "--json", cwd=shop)
    assert ran.document["target"] == f"{shop}/copy.py:training"


def test_a_dry_run_records_nothing(shop: Path) -> None:
    tried = penstock("register", "pipelines", "--dry-run", cwd=shop)
    assert "nothing was registered (--dry-run): 2 new" in tried.out
    assert not (shop / ".penstock").exists()


@pytest.mark.slow
def test_the_settings_say_what_is_registered(shop: Path) -> None:
    nothing = penstock("register", cwd=shop)
    assert nothing.code == 2
    assert 'set register = ["pipelines/"]' in nothing.err
    (shop / "penstock.toml").write_text('register = ["pipelines/one.py", "pipelines/other.py:greeting"]\n')
    assert entries(penstock("register", "--json", cwd=shop)) == {"training": "new", "greeting": "new"}
    (shop / "penstock.toml").write_text("register = [3]\n")
    assert "takes a list of files, folders and modules" in penstock("register", cwd=shop).err


@pytest.mark.slow
def test_files_of_one_name_do_not_meet(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "pipeline.py").write_text(
            f"from penstock import pipeline, task\nfrom helper import answer\n\n@task\ndef {name}() -> str:\n"
            f"    return answer\n\n@pipeline\ndef of_{name}():\n    return {name}()\n"
        )
        (tmp_path / name / "helper.py").write_text(f"answer = {name!r}\n")
    assert penstock("register", ".", cwd=tmp_path).code == 0
    for name in ("a", "b"):
        ran = penstock("run", f"of_{name}", "--executor", "inline", "--json", cwd=tmp_path)
        assert ran.document["outputs"]["result"]["value"] == name


@pytest.mark.slow
def test_a_package_and_its_relative_imports(tmp_path: Path) -> None:
    package = tmp_path / "shop"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "words.py").write_text("WORD = 'hello'\n")
    (package / "flows.py").write_text(
        "from penstock import pipeline, task\nfrom .words import WORD\n\n@task\ndef say() -> str:\n    return WORD\n\n"
        "@pipeline\ndef saying():\n    return say()\n"
    )
    registered = penstock("register", "shop", cwd=tmp_path)
    assert registered.code == 0, registered.err
    ran = penstock("run", "saying", "--json", cwd=tmp_path)
    assert ran.document["outputs"]["result"]["value"] == "hello"


@pytest.mark.slow
def test_near_names_are_named(shop: Path) -> None:
    penstock("register", "pipelines", cwd=shop)
    refused = penstock("run", "trainin", cwd=shop)
    assert refused.code == 2
    assert "there is no file, module or registered pipeline 'trainin'" in refused.err
    assert "training" in refused.err.partition("\n")[2]


def test_a_run_about_a_time_and_a_partition(tmp_path: Path) -> None:
    (tmp_path / "daily.py").write_text(
        "from datetime import datetime\nfrom penstock import pipeline, task\n"
        "from penstock.authoring.kinds.causes import logical_time, partition\n\n"
        "@task\ndef told(day: datetime, key: str) -> str:\n    return f'{day:%Y-%m-%d %H:%M} {key}'\n\n"
        "@pipeline\ndef daily(day: datetime = logical_time(), key: str = partition()):\n    return told(day, key)\n"
    )
    options = ("--logical-time", "2026-11-21T02:00+01:00", "--partition", "eu", "--executor", "inline")
    ran = penstock("run", "daily.py", *options, "--json", cwd=tmp_path)
    assert ran.code == 0, ran.err
    assert ran.document["outputs"]["result"]["value"] == "2026-11-21 01:00 eu"
    assert ran.document["cause"]["logical_time"] == "2026-11-21T01:00:00.000Z"
    assert ran.document["cause"]["partitions"] == ["eu"]
    assert "cause    a person, about 2026-11-21 01:00 UTC, partition eu" in penstock("show", cwd=tmp_path).out
    assert "--logical-time takes a time" in penstock("run", "daily.py", "--logical-time", "noon", cwd=tmp_path).err
