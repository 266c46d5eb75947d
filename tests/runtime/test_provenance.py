"""What is noted of a run besides its parameters."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from penstock.model.run import Provenance
from penstock.runtime.surroundings.provenance import Status, capture


def captured(folder: Path, **options: Any) -> Provenance:
    defaults: dict[str, Any] = {"command": (), "source_files": (), "parameters": {}, "configuration": {}}
    return capture(folder=folder, **(defaults | options))


@pytest.fixture(autouse=True)
def isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home of its own, and no repository above the temporary folder."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init", "--quiet")
    (folder / "train.py").write_text("x = 1\n")
    git(folder, "add", "train.py")
    git(folder, "commit", "--quiet", "-m", "first")
    return folder


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


# git


def test_a_clean_repository(repository: Path) -> None:
    provenance = captured(repository)
    assert provenance.git_commit == git(repository, "rev-parse", "HEAD")
    assert provenance.git_dirty is False


def test_a_folder_inside_a_repository(repository: Path) -> None:
    folder = repository / "deep" / "er"
    folder.mkdir(parents=True)
    (repository / "train.py").write_text("x = 2\n")
    provenance = captured(folder)
    assert provenance.git_commit == git(repository, "rev-parse", "HEAD")
    assert provenance.git_dirty is True


@pytest.mark.parametrize("change", ["edited", "staged", "untracked", "deleted"])
def test_what_makes_a_repository_dirty(change: str, repository: Path) -> None:
    if change == "deleted":
        (repository / "train.py").unlink()
    elif change == "untracked":
        (repository / "new.py").write_text("")
    else:
        (repository / "train.py").write_text("x = 2\n")
        if change == "staged":
            git(repository, "add", "train.py")
    assert captured(repository).git_dirty is True


def test_untracked_files_count_whatever_the_configuration(repository: Path) -> None:
    git(repository, "config", "status.showUntrackedFiles", "no")
    (repository / "new.py").write_text("")
    assert captured(repository).git_dirty is True


@pytest.mark.parametrize("place", [".penstock/state.db", "deep/.penstock/blobs/x"])
def test_the_state_of_penstock_does_not_make_a_repository_dirty(place: str, repository: Path) -> None:
    (repository / place).parent.mkdir(parents=True)
    (repository / place).write_text("x")
    assert captured(repository).git_dirty is False


def test_a_repository_without_commits(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    provenance = captured(tmp_path)
    assert provenance.git_commit is None
    assert provenance.git_dirty is False


def test_no_repository(tmp_path: Path) -> None:
    provenance = captured(tmp_path)
    assert (provenance.git_commit, provenance.git_dirty) == (None, None)


def test_no_folder(tmp_path: Path) -> None:
    assert captured(tmp_path / "gone").git_commit is None


def test_no_git(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(repository))
    assert captured(repository).git_commit is None


def test_variables_of_git_do_not_lead_elsewhere(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    assert captured(repository).git_commit == commit


# versions


def test_versions_and_machine(tmp_path: Path) -> None:
    provenance = captured(tmp_path)
    assert provenance.python == f"CPython {platform.python_version()}"
    assert provenance.penstock == provenance.packages["penstock"] != ""
    assert provenance.platform.startswith(f"{platform.system()}-{platform.release()}-{platform.machine()}")
    assert provenance.machine["cores"] == os.cpu_count()
    assert provenance.machine["memory"] > 2**20
    assert provenance.machine["host"]
    assert provenance.machine["cpu"]


def test_packages_are_those_that_the_metadata_tells(tmp_path: Path) -> None:
    from importlib.metadata import version

    packages = captured(tmp_path).packages
    assert list(packages) == sorted(packages)
    assert {name: packages[name] for name in ("pyyaml", "msgspec", "pytest")} == {
        name: version(name) for name in ("pyyaml", "msgspec", "pytest")
    }


def test_packages_in_every_way_of_recording_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (
        first / "Some_Thing.more-1.2.dist-info",
        first / "egg-3.1-py3.11.egg-info",
        first / "plain.egg-info",
        first / "not_a_package-1.0",
        second / "some.thing_more-9.9.dist-info",
        second / "other-0.1+local.dist-info",
    ):
        folder.mkdir(parents=True)
    (first / "plain.egg-info" / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: plain\nVersion: 7\n")
    (first / "debian-2.0.egg-info").write_text("")
    monkeypatch.setattr(sys, "path", [str(first), str(tmp_path / "gone"), str(second)])
    assert captured(tmp_path).packages == {
        "debian": "2.0",
        "egg": "3.1",
        "other": "0.1+local",
        "plain": "7",
        "some-thing-more": "1.2",
    }


# what the run was given


def test_what_was_given_is_kept(tmp_path: Path) -> None:
    provenance = captured(tmp_path, command=["penstock", "run", "train.py"], configuration={"executor": "inline"})
    assert provenance.command == ("penstock", "run", "train.py")
    assert provenance.configuration == {"executor": "inline"}


def test_the_source_as_it_ran(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("# héllo\nx = 1\n", encoding="utf-8")
    (tmp_path / "old.py").write_bytes("# coding: latin-1\n# h\xe9\n".encode("latin-1"))
    (tmp_path / "broken.py").write_bytes(b"# \xff\n")
    names = ["train.py", "old.py", "broken.py", "gone.py"]
    source = captured(tmp_path, source_files=[tmp_path / name for name in names]).source
    assert source == {
        str(tmp_path / "train.py"): "# héllo\nx = 1\n",
        str(tmp_path / "old.py"): "# coding: latin-1\n# hé\n",
        str(tmp_path / "broken.py"): "# \ufffd\n",
    }


def test_seeds_are_found_by_name(tmp_path: Path) -> None:
    parameters = {
        "seed": 1,
        "random_state": 2,
        "random_seed": 3,
        "split_seed": 4,
        "seeds": 5,
        "seedling": 6,
        "depth": 7,
    }
    seeds = captured(tmp_path, parameters=parameters).seeds
    assert seeds == {"seed": 1, "random_state": 2, "random_seed": 3, "split_seed": 4}


def test_of_the_environment_only_what_can_change_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name not in ("PATH", "HOME"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("TZ", "Europe/Zurich")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary")
    monkeypatch.setenv("OMP_TOKEN", "canary")
    provenance = captured(tmp_path)
    assert provenance.environment == {"OMP_NUM_THREADS": "3", "TZ": "Europe/Zurich"}
    assert b"canary" not in msgspec.json.encode(provenance)


def test_it_can_be_stored(tmp_path: Path) -> None:
    provenance = captured(tmp_path, parameters={"seed": 1}, configuration={"cache": True})
    assert msgspec.json.decode(msgspec.json.encode(provenance), type=Provenance) == provenance


# git is asked ahead


def test_git_is_asked_before_it_is_waited_for(repository: Path, tmp_path: Path) -> None:
    status = Status(repository)
    assert captured(tmp_path, status=status).git_commit == git(repository, "rev-parse", "HEAD")
    assert status.read() is None


def test_git_that_is_not_waited_for_is_gone(repository: Path) -> None:
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    others = children.read_text()
    status = Status(repository)
    assert children.read_text() != others
    status.close()
    assert children.read_text() == others
    assert status.read() is None
