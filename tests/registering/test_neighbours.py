"""Files that are loaded in one process, and what they import from their folders."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.errors import TargetError
from penstock.registering.loading import load_module


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    path, modules = list(sys.path), dict(sys.modules)
    yield
    sys.path[:] = path
    for name in sys.modules.keys() - modules.keys():
        del sys.modules[name]


def written(file: Path, text: str) -> str:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return str(file)


def test_two_folders_with_a_module_of_one_name_are_refused(tmp_path: Path) -> None:
    files = [written(tmp_path / name / "parts.py", "from neighbour import who\n") for name in "ab"]
    for name in "ab":
        written(tmp_path / name / "neighbour.py", f"who = {name!r}\n")
    assert load_module(files[0]).who == "a"
    with pytest.raises(TargetError, match="there are two modules 'neighbour'") as raised:
        load_module(files[1])
    assert all(str(Path(name, "neighbour.py")) in raised.value.what for name in "ab")


def test_they_are_refused_where_the_import_is_far_or_late(tmp_path: Path) -> None:
    first = written(tmp_path / "a" / "parts.py", "def late():\n    import between\n    return between.who\n")
    written(tmp_path / "a" / "between.py", "from neighbour import who\n")
    written(tmp_path / "a" / "neighbour.py", "who = 'a'\n")
    # a worker would find this one, although nothing here imports it
    second = written(tmp_path / "b" / "parts.py", "")
    written(tmp_path / "b" / "neighbour.py", "who = 'b'\n")
    load_module(first)
    with pytest.raises(TargetError, match="'neighbour'"):
        load_module(second)


def test_files_of_one_name_stay_apart(tmp_path: Path) -> None:
    modules = [load_module(written(tmp_path / name / "parts.py", f"who = {name!r}\n")) for name in "abc"]
    assert [each.who for each in modules] == ["a", "b", "c"]
    assert all(sys.modules[each.__name__] is each for each in modules)
    assert load_module(str(tmp_path / "c" / "parts.py")) is modules[2]


def test_a_file_imports_from_its_own_package_by_its_name(tmp_path: Path) -> None:
    for name in "ab":
        written(tmp_path / name / "shoppe" / "__init__.py", "")
        written(tmp_path / name / "shoppe" / "prices.py", f"gross = {name!r}\n")
    files = [written(tmp_path / name / "shoppe" / "parts.py", "from shoppe.prices import gross\n") for name in "ab"]
    assert load_module(files[0]).gross == "a"
    assert load_module(files[0]).__name__ == "shoppe.parts"
    with pytest.raises(TargetError, match="two modules 'shoppe'"):
        load_module(files[1])
