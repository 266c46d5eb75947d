"""The code that values name, as it is today."""

from __future__ import annotations

import importlib
import os
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.fingerprint.code import CodeReader
from penstock.fingerprint.framing import digest_of
from penstock.model.identity import TaskIdentity

SHAPES = """
    import os
    from dataclasses import dataclass
    from sides import SIDES, Base

    class Square(Base):
        class Corner:
            pass

        def area(self):
            return SIDES ** 2

    def made():
        class Local:
            pass
        return Local

    Round = made()
    globals()["Hidden"] = type("Hidden", (), {"__module__": __name__, "area": lambda self: 5})
"""

Write = Callable[..., None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Puts modules where they can be imported; what is loaded of them is forgotten."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write(**texts: str) -> None:
        for name, text in texts.items():
            (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
            monkeypatch.delitem(sys.modules, name, raising=False)
        importlib.invalidate_caches()

    write(shapes=SHAPES, sides="SIDES = 4\nclass Base:\n    def told(self):\n        return 1\n")
    return write


def found(name: str) -> TaskIdentity:
    identity = CodeReader(digest_of).find(name)
    assert identity is not None
    return identity


def test_the_source_tells_without_importing_anything(write: Write) -> None:
    identity = found("shapes:Square")
    assert [part.name for part in identity.parts] == [
        "shapes:Square",
        "constant:sides:SIDES",
        f"package:python=={sys.version_info.major}.{sys.version_info.minor}",
        "sides:Base",
    ]
    assert identity.parts[0].first == 6
    assert not sys.modules.keys() & {"shapes", "sides"}


@pytest.mark.parametrize("name", ["shapes:Square", "shapes:Square.Corner", "shapes:made", "shapes:Round", "shapes:*"])
def test_it_is_the_same_whether_the_module_is_loaded_or_not(name: str, write: Write) -> None:
    before = found(name)
    importlib.import_module("shapes")
    assert found(name) == before


@pytest.mark.parametrize(
    ("old", "new", "other"),
    [
        ("SIDES ** 2", "SIDES ** 3", True),
        ("class Square(Base)", "class Square", True),
        ("return Local", "return Local()", False),
        ("SIDES ** 2", "SIDES ** 2  # squared", False),
    ],
)
def test_another_code_is_another_identity(old: str, new: str, other: bool, write: Write) -> None:
    before = found("shapes:Square")
    assert old in SHAPES
    write(shapes=SHAPES.replace(old, new))
    assert (found("shapes:Square").digest != before.digest) is other


def test_what_a_base_and_a_constant_of_another_module_say_counts(write: Write) -> None:
    before = found("shapes:Square").digest
    write(sides="SIDES = 5\nclass Base:\n    def told(self):\n        return 1\n")
    constant = found("shapes:Square").digest
    write(sides="SIDES = 4\nclass Base:\n    def told(self):\n        return 2\n")
    assert len({before, constant, found("shapes:Square").digest}) == 3


def test_a_class_that_has_moved_is_the_same_by_its_old_name(write: Write) -> None:
    before = found("shapes:Square")
    write(shapes="from forms import Square\n", forms=SHAPES)
    assert found("shapes:Square").digest == before.digest
    assert found("forms:Square").digest == before.digest


def test_what_the_source_does_not_tell_is_imported(write: Write) -> None:
    assert "shapes:Hidden" in [part.name for part in found("shapes:Hidden").parts]
    assert "shapes" in sys.modules


@pytest.mark.parametrize("name", ["shapes:Nothing", "shapes:Square.Nothing", "nowhere:Square", "__main__:Nothing"])
def test_what_is_not_there_is_not_found(name: str, write: Write) -> None:
    assert CodeReader(digest_of).find(name) is None


def test_a_module_that_cannot_be_imported_has_what_its_source_says(write: Write) -> None:
    write(shapes=SHAPES + "\n    raise SystemExit(3)\n")
    assert found("shapes:Square")
    assert CodeReader(digest_of).find("shapes:Hidden") is None


def test_a_file_that_was_edited_since_it_was_loaded_counts_with_both_versions(write: Write, tmp_path: Path) -> None:
    before = found("shapes:Square").digest
    loaded = importlib.import_module("shapes")
    write(shapes=SHAPES.replace("SIDES ** 2", "SIDES ** 3"))
    after = found("shapes:Square").digest
    sys.modules["shapes"] = loaded
    assert len({before, after, found("shapes:Square").digest}) == 3


@pytest.mark.parametrize(
    "reads", ["os.environ['X']", "os.environ.get('X')", "os.getenv('X')", "environ['X']", "getenv('X')"]
)
def test_environment_variables_are_seen_to_be_read_and_do_not_count(
    reads: str, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(variables=f"import os\nfrom os import environ, getenv\n\n\ndef read():\n    return {reads}\n")
    function = importlib.import_module("variables").read
    identity = CodeReader(digest_of).identify(function)
    (limit,) = identity.limits
    assert limit.endswith(" reads environment variables, which do not count")
    assert limit.startswith(f"{function.__code__.co_filename}:6: os.")
    monkeypatch.setitem(os.environ, "X", "another")
    assert CodeReader(digest_of).identify(function) == identity
