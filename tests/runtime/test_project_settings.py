"""Settings of a project for pools, limits, the machine and hooks."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.errors import DefinitionError
from penstock.runtime.surroundings.project import Project, find_project


def project(folder: Path, settings: str) -> Project:
    (folder / "penstock.toml").write_text(settings)
    return find_project(folder, {})


def test_sizes_of_pools_and_limits_are_read(tmp_path: Path) -> None:
    text = "[pools]\ndb = 4\n[limits]\ntags.gpu = 2\npipelines.train = 1\n[limits.tasks]\nfit = 3\n"
    limits = project(tmp_path, text).sizes
    assert (limits.pools, limits.tasks) == ({"db": 4}, {"fit": 3})
    assert (limits.tags, limits.pipelines) == ({"gpu": 2}, {"train": 1})


def test_they_may_stand_in_pyproject(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.penstock.pools]\ndb = 4\n[tool.penstock.machine]\ncpu = 3\n")
    found = find_project(tmp_path, {})
    assert found.sizes.pools == {"db": 4}
    assert found.machine().cores == 3


def test_the_machine_is_what_the_settings_say(tmp_path: Path) -> None:
    machine = project(tmp_path, '[machine]\ncpu = 6\nmemory = "16GB"\ngpus = [1, 3]\n').machine()
    assert (machine.cores, machine.memory, machine.gpus) == (6, 16 * 10**9, (1, 3))


def test_without_settings_the_machine_is_what_it_is(tmp_path: Path) -> None:
    found = project(tmp_path, "")
    assert found.machine().cores >= 1
    assert found.machine().memory > 10**8
    assert found.sizes.pools == {}
    assert found.hook_limits == (30.0, 30.0)
    assert project(tmp_path, "[hooks]\nlimit = 1.5\nwait = 0\n").hook_limits == (1.5, 0)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("pools = 3", "'pools' takes a table of sizes, not 3"),
        ("[pools]\ndb = 0", "'pools.db' takes a whole number from 1 up, not 0"),
        ('[pools]\ndb = "4"', "'pools.db' takes a whole number from 1 up, not '4'"),
        ("[limits]\ntask.fit = 3", "there is no setting 'limits.task'"),
        ("[limits]\ntasks = 3", "'limits.tasks' takes a table of numbers, not 3"),
        ("[limits]\ntasks.fit = true", "'limits.tasks.fit' takes a whole number from 1 up, not True"),
        ("[machine]\nram = 3", "there is no setting 'machine.ram'"),
        ('[machine]\nmemory = "much"', "'machine.memory' takes a size such as"),
        ("[machine]\ngpus = [1, -2]", "'machine.gpus' takes a number of devices, or a list"),
        ("[machine]\ncpu = 0", "'machine.cpu' takes a whole number from 1 up, not 0"),
        ('[hooks]\nlimit = "1s"', "'hooks.limit' takes a number of seconds from 0 up, not '1s'"),
    ],
)
def test_a_setting_that_cannot_be_is_named_with_its_file(tmp_path: Path, settings: str, told: str) -> None:
    with pytest.raises(DefinitionError) as raised:
        project(tmp_path, settings)
    assert told in str(raised.value)
    assert str(tmp_path / "penstock.toml") in str(raised.value)


def test_a_heading_of_another_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError) as caught:
        project(tmp_path, "[tool.penstock.pools]\ndb = 4\n")
    assert "leave out the heading [tool.penstock]" in (caught.value.remedy or "")


def test_a_name_that_is_nearly_right_is_put_right(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match=r"Did you mean 'limits\.tags'"):
        project(tmp_path, "[limits]\ntag.gpu = 2")
    with pytest.raises(DefinitionError, match="Did you mean 'pools'"):
        project(tmp_path, "[pool]\ndb = 2")
