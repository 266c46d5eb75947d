"""The assets of a project, when one of its files is broken or gone."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock import DefinitionError, NotFoundError
from penstock.app import Services
from penstock.errors import PenstockError
from penstock.registering.assets import project_assets
from penstock.registering.registration import register, targets_of

ONE = "from penstock import asset\n\n@asset\ndef whole() -> int:\n    return 1\n\n@asset\ndef after(broken) -> int:\n    return 1\n"
TWO = "from penstock import asset\n\n@asset\ndef broken() -> int:\n    return 1\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "state"))
    path, modules = list(sys.path), dict(sys.modules)
    (tmp_path / "first_things.py").write_text(ONE)
    (tmp_path / "other_things.py").write_text(TWO)
    (tmp_path / "pyproject.toml").write_text('[tool.penstock]\nregister = ["first_things.py", "other_things.py"]\n')
    again()
    yield tmp_path
    sys.path[:] = path
    for name in sys.modules.keys() - modules.keys():
        del sys.modules[name]


def again() -> dict[str, str]:
    services = Services()
    return {each.name: each.change for each in register(services, targets_of(services, ())).entries}


@pytest.mark.parametrize("text", ["1 / 0\n", "from nowhere_at_all import x\n", "def (\n"])
def test_a_file_that_does_not_load_takes_only_its_own_assets_down(folder: Path, text: str) -> None:
    (folder / "other_things.py").write_text(text)
    assets = project_assets(Services())
    assert list(assets.graph) == ["whole"]
    assert sorted(assets.broken) == ["after", "broken"]
    # the file, and what is made from what was in it
    assert len(assets.faults) == 2
    with pytest.raises(NotFoundError, match="its code does not load"):
        _ = assets.graph["broken"]
    # named, it is an error
    with pytest.raises(PenstockError):
        project_assets(Services(), ["other_things.py"])


def test_definitions_of_a_file_that_is_gone_retire(folder: Path) -> None:
    (folder / "other_things.py").unlink()
    fault = next(iter(project_assets(Services()).faults))
    assert "other_things.py is registered, and is no longer there" in fault.what
    assert "penstock register other_things.py" in str(fault.remedy)
    (folder / "first_things.py").write_text(ONE.replace("broken", "whole"))
    assert again() == {"whole": "unchanged", "after": "changed", "broken": "retired"}
    assets = project_assets(Services())
    assert not assets.faults
    with pytest.raises(NotFoundError, match="broken is retired"):
        _ = assets.graph["broken"]


def test_a_circle_is_told_of_once(folder: Path) -> None:
    circle = "\n\n@asset\ndef left(right):\n    return 1\n\n@asset\ndef right(left):\n    return 1\n"
    (folder / "other_things.py").write_text(TWO + circle)
    services = Services()
    faults = register(services, targets_of(services, ())).faults
    assert len(faults) == 1
    assert "in a circle" in faults[0].what
    assets = project_assets(Services())
    assert (sorted(assets.graph), len(assets.faults)) == (["after", "broken", "whole"], 1)


def test_a_script_without_assets_makes_those_that_are_registered(folder: Path) -> None:
    script = "from penstock import materialize\nended = materialize('+after', executor='inline')\n"
    space = {"__name__": "a_script_without_assets"}
    exec(compile(script, "script.py", "exec"), space)
    ended: Any = space["ended"]
    assert (ended.state, sorted(task.id for task in ended.tasks)) == ("succeeded", ["after", "broken"])
    with pytest.raises(DefinitionError, match="there is no asset 'afterwards'"):
        exec(compile(script.replace("after", "afterwards"), "script.py", "exec"), dict(space))


def test_a_script_without_assets_in_a_project_without_any_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "state"))
    with pytest.raises(DefinitionError, match="no assets in the module that calls") as caught:
        exec(
            compile("from penstock import materialize\nmaterialize('+x')\n", "script.py", "exec"), {"__name__": "bare"}
        )
    assert "penstock register FILE" in str(caught.value.remedy)
