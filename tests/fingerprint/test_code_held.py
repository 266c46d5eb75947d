"""What things hold besides what their definitions say: put on them from outside, filled in later, found by their class."""

from __future__ import annotations

import importlib
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from penstock.fingerprint.code import CodeReader
from penstock.fingerprint.framing import digest_of
from penstock.model.identity import TaskIdentity

Files = dict[str, str]


class Identify(Protocol):
    """Writes modules, imports `main` and identifies its function `f`."""

    def __call__(self, files: Files) -> TaskIdentity: ...


@pytest.fixture
def identify(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Identify]:
    before = set(sys.modules)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def forget() -> None:
        for name in set(sys.modules) - before:
            if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
                del sys.modules[name]

    def identify(files: Files) -> TaskIdentity:
        forget()
        folder = tmp_path / f"version{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        for name, text in files.items():
            (folder / f"{name}.py").write_text(textwrap.dedent(text))
        with monkeypatch.context() as patch:
            patch.syspath_prepend(folder)
            return CodeReader(digest_of).identify(importlib.import_module("main").f)

    yield identify
    forget()


ATTRIBUTES = """
    def h(x): return x
    h.n = 1
    g, T = h, {"h": h}
    def f(): return REST
"""

ADDED = """
    def get(self): return 1
    def put(self, value): self.value = 7
    class C:
        table = {}
        __private = {"a": 3}
        def go(self): return self.__private
    C.size = property(get, put)
    C.rate = 5
    C.make = staticmethod(lambda: 9)
    C.table["get"] = get
    def f(): return C().size
"""

SUBCLASSES = """
    class B:
        def go(self): return 0
        @classmethod
        def all(cls): return REST
    class C(B):
        def go(self): return 2
    class D(C):
        def go(self): return 3
    def f(): return B.all()
"""

MADE = """
    import dataclasses, types
    P = dataclasses.make_dataclass("P", [("x", int, dataclasses.field(default=1))])
    Q = types.new_class("Q", (), {}, lambda names: names.update(y=2))
    def f(): return P(), Q
"""

TYPES = """
    from typing import Annotated, Callable, Literal, NamedTuple
    class Row(NamedTuple):
        x: int = 1
        def go(self): return 2
    Rows = list[Row]
    def f(rows: "Callable[['Rows'], Annotated[Row, 'doc']]", kind: Literal["a b"]) -> None: return None
"""

LATE = {
    "main": "def f():\n    from late import TABLE, LIST, K, limit\n    return TABLE, LIST, K().go(), limit.most",
    "late": """
        TABLE = {}
        LIST = []
        def entry(name):
            def register(function):
                TABLE[name] = function
                return function
            return register
        @entry("one")
        def one(): return 1
        LIST.append(2)
        class K:
            rate = 3
            def go(self): return self.rate
        K.rate = 4
        def limit(): return 5
        limit.most = 6
        if limit.most > 7:
            K.rate = 8
    """,
}


@pytest.mark.parametrize(
    ("files", "old", "new"),
    [
        ({"main": ATTRIBUTES.replace("REST", "h.n")}, "h.n = 1", "h.n = 2"),
        ({"main": ATTRIBUTES.replace("REST", "g.n")}, "h.n = 1", "h.n = 2"),
        ({"main": ATTRIBUTES.replace("REST", "[x.n for x in T.values()]")}, "h.n = 1", "h.n = 2"),
        ({"main": ADDED}, "return 1", "return 2"),
        ({"main": ADDED}, "self.value = 7", "self.value = 8"),
        ({"main": ADDED}, '"a": 3', '"a": 4'),
        ({"main": ADDED}, "C.rate = 5", "C.rate = 6"),
        ({"main": ADDED}, "lambda: 9", "lambda: 10"),
        ({"main": ADDED}, 'table["get"]', 'table["put"]'),
        ({"main": SUBCLASSES.replace("REST", "cls.__subclasses__()")}, "return 2", "return 4"),
        ({"main": SUBCLASSES.replace("REST", "B.__subclasses__()")}, "return 3", "return 4"),
        ({"main": MADE}, "default=1", "default=2"),
        ({"main": MADE}, "y=2", "y=3"),
        ({"main": TYPES}, "x: int = 1", "x: int = 3"),
        ({"main": TYPES}, "return 2", "return 3"),
        ({"main": TYPES}, "'doc'", "'note'"),
        ({"main": TYPES}, '"a b"', '"a  b"'),
        ({"main": "D = {'a': 1, 'b': 2}\ndef f(): return list(D)"}, "'a': 1, 'b': 2", "'b': 2, 'a': 1"),
        ({"main": "D = [{'a': ({'b': 1, 'c': 1},)}]\ndef f(): return D"}, "'b': 1, 'c': 1", "'c': 1, 'b': 1"),
        (LATE, "return 1", "return 0"),
        (LATE, "LIST.append(2)", "LIST.append(0)"),
        (LATE, "K.rate = 4", "K.rate = 0"),
        (LATE, "most = 6", "most = 0"),
        (LATE, "K.rate = 8", "K.rate = 0"),
    ],
)
def test_it_counts(files: Files, old: str, new: str, identify: Identify) -> None:
    edited = {name: text.replace(old, new) for name, text in files.items()}
    assert edited != files
    assert identify(files).digest != identify(edited).digest


@pytest.mark.parametrize(
    ("files", "old", "new"),
    [
        ({"main": TYPES}, "'Rows'", "Rows"),
        ({"main": "def f(x: 'int | None' = None): return x"}, "'int | None'", "int | None"),
        ({"main": "def f(x: list['int']): return x"}, "'int'", "( int )"),
        ({"main": "def f():\n    x: 'int' = 1\n    return x"}, "'int'", "int"),
        ({"main": "S = {3, 1, 2}\ndef f(): return S"}, "3, 1, 2", "1, 2, 3"),
        ({"main": "class C:\n    x = 4\nC.y = 1\nC.z = 2\ndef f(): return C"}, "C.y = 1\nC.z = 2", "C.z = 2\nC.y = 1"),
    ],
)
def test_it_does_not_count(files: Files, old: str, new: str, identify: Identify) -> None:
    edited = {name: text.replace(old, new) for name, text in files.items()}
    assert edited != files
    assert identify(files).digest == identify(edited).digest


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (
            {"main": SUBCLASSES.replace("REST", "B.__subclasses__()")},
            "__subclasses__() finds classes wherever they are",
        ),
        ({"main": "def f():\n    f.n += 1\nf.n = 0"}, "f sets its own n"),
        ({"main": "class C:\n    seen = []\ndef f(): return C"}, "C.seen is a list, which can change"),
        (LATE, "LIST, TABLE can change; they count as they are when the graph is made"),
    ],
)
def test_what_may_be_different_later_is_a_limit(files: Files, words: str, identify: Identify) -> None:
    assert any(words in limit for limit in identify(files).limits)
