from __future__ import annotations

from pathlib import Path

import pytest

from penstock.errors import TargetError
from penstock.registering.places import Place, is_below, places_of


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (
        "flows/one.py",
        "flows/deep/two.py",
        "flows/test_one.py",
        "flows/conftest.py",
        "flows/notes.txt",
        "flows/.hidden/three.py",
        "flows/tests/four.py",
        "flows/__pycache__/five.py",
        "flows/own/lib/six.py",
        "flows/own/pyvenv.cfg",
    ):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_folder_stands_for_the_files_below_it(folder: Path) -> None:
    found = [Path(place.origin).relative_to(folder).as_posix() for place in places_of("flows")]
    assert found == ["flows/deep/two.py", "flows/one.py"]


def test_one_thing_of_a_file(folder: Path) -> None:
    assert places_of("flows/one.py:nightly") == [Place(str(folder / "flows/one.py"), "nightly")]


def test_a_package_stands_for_its_modules(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("__init__.py", "flows.py", "test_flows.py", "deep/__init__.py", "deep/more.py"):
        file = folder / "package_of_places" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("")
    monkeypatch.syspath_prepend(str(folder))
    names = [place.origin for place in places_of("package_of_places")]
    assert names == [
        "package_of_places",
        "package_of_places.deep",
        "package_of_places.deep.more",
        "package_of_places.flows",
    ]


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("flows/on.py", "Did you mean flows/one.py"),
        ("flows/notes.txt", "is neither a Python file nor in a dialect"),
        ("flows:nightly", "is a folder"),
        ("no_such_module", "there is no file, folder or module"),
    ],
)
def test_what_does_not_exist_is_refused(folder: Path, target: str, said: str) -> None:
    with pytest.raises(TargetError) as caught:
        places_of(target)
    assert said in str(caught.value)


def test_what_was_below_a_target(folder: Path) -> None:
    assert is_below(str(folder / "flows/gone.py"), "flows")
    assert is_below(str(folder / "flows/one.py"), "flows/one.py")
    assert not is_below(str(folder / "flows/one.py"), "flows/one.py:nightly")
    assert not is_below(str(folder / "other/one.py"), "flows")
    assert is_below("package.flows.daily", "package.flows")
    assert not is_below("package.flowers", "package.flows")
