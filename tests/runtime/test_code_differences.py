"""In which lines versions of code differ."""

from __future__ import annotations

from hashlib import sha256

import pytest

from penstock.model.identity import CodePart, TaskIdentity
from penstock.runtime.explaining.code import Version, code_differences
from penstock.runtime.explaining.significance import significant
from penstock.runtime.explaining.told import headline

TEXT = '''import os


def scale(values):
    """Scale them."""
    return [value * 2 for value in values]


double = [lambda x: x * 2, lambda x: x * 3]
'''


def part(name: str, does: str, first: int = 0, last: int = 0, text: str = "", shown: str = "") -> CodePart:
    file = "lib.py" if first else ""
    return CodePart(name, sha256(does.encode()).digest(), file, first, last, text.encode(), shown)


def version(*parts: CodePart, **texts: str) -> Version:
    known = {name.encode(): text for name, text in texts.items()}
    digest = sha256(repr(parts).encode()).digest()
    return Version(TaskIdentity(digest=digest, parts=parts), known.get)


def test_the_lines_of_a_definition_are_those_of_its_file() -> None:
    other = TEXT.replace("import os\n", "").replace("value * 2", "value * 3").replace("Scale them", "Scales")
    before = version(part("lib:scale", "a", 4, 6, "old"), old=TEXT)
    after = version(part("lib:scale", "b", 3, 5, "new"), new=other)
    [found] = code_differences(before, after)
    assert (found.kind, found.name, found.where) == ("code", "lib:scale", "lib.py:5")
    assert found.diff[0] == "@@ -4,3 +3,3 @@"
    assert [line for line in found.diff if line.startswith("+")] == [
        '+    """Scales."""',
        "+    return [value * 3 for value in values]",
    ]
    assert code_differences(before, before) == []


def test_what_moved_or_was_only_counted_anew_is_no_difference() -> None:
    before = version(part("a:f", "same", 1, 2), part("lib:<lambda>", "two"), part("lib:g", "g"))
    after = version(part("b:f", "same", 9, 10), part("lib:<lambda>", "three"), part("lib:<lambda> (2)", "two"))
    found = code_differences(before, after)
    assert [(each.name, each.change) for each in found] == [("lib:<lambda>", "added"), ("lib:g", "removed")] or [
        (each.name, each.change) for each in found
    ] == [("lib:<lambda>", "changed"), ("lib:g", "removed")]


def test_packages_python_and_values() -> None:
    before = version(
        part("package:numpy==1.0", "1"), part("package:python==3.11", "2"), part("constant:lib:N", "3", shown="1")
    )
    after = version(
        part("package:numpy==2.0", "4"), part("package:python==3.12", "5"), part("constant:lib:N", "6", shown="2")
    )
    found = {each.kind: (each.name, each.before, each.after) for each in code_differences(before, after)}
    assert found == {
        "package": ("numpy", "1.0", "2.0"),
        "python": ("python", "3.11", "3.12"),
        "constant": ("lib:N", "1", "2"),
    }


def test_a_program_is_told_by_its_text() -> None:
    before = version(part("command:fetch", "a", 12, 12, shown="curl -s x\nsuccess: [0]"))
    after = version(part("command:fetch", "b", 14, 14, shown="curl -s y\nsuccess: [0]"))
    [found] = code_differences(before, after)
    assert (found.name, found.where, found.diff[1:]) == (
        "command fetch",
        "lib.py:14",
        ("-curl -s x", "+curl -s y", " success: [0]"),
    )


def test_what_is_new_is_gone_or_has_no_text() -> None:
    before = version(part("lib:scale", "a", 4, 6, "old"), part("lib:gone", "b", 1, 1), old=TEXT)
    after = version(part("lib:scale", "c", 4, 6, "lost"), part("lib:new", "d", 4, 6, "new"), new=TEXT)
    found = {each.name: each for each in code_differences(before, after)}
    assert {
        name: headline({"kind": each.kind, "name": name, "change": each.change, "where": each.where})
        for name, each in found.items()
    } == {
        "lib:scale": "lib.py:4  lib:scale is another one",
        "lib:new": "lib.py:4  lib:new is new",
        "lib:gone": "lib.py:1  lib:gone is gone",
    }
    assert len(found["lib:new"].diff) == 4


def test_code_that_differs_in_nothing_that_is_told_is_another_one_all_the_same() -> None:
    whole = part("lib:f", "a")
    before, after = version(whole), Version(TaskIdentity(digest=b"x" * 32, parts=(whole,)), {}.get)
    assert [(each.kind, each.name) for each in code_differences(before, after)] == [("code", "lib:f")]


@pytest.mark.parametrize(
    ("lines", "kept"),
    [
        (["def f():", '    """A', '    docstring."""', "    # a comment", "", "    return 1  # one"], [0, 5]),
        (["    def f(self):", "        return '# no comment'"], [0, 1]),
        (["double = [lambda x: x,"], [0]),
    ],
)
def test_comments_and_docstrings_say_nothing(lines: list[str], kept: list[int]) -> None:
    assert [place for place, _ in significant(lines)] == kept
