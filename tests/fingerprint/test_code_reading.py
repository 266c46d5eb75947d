"""Functions that are not plain ones in plain files, and what cannot be seen of a function."""

from __future__ import annotations

import functools
import importlib.util
import linecache
import logging
import os
import re
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from penstock.fingerprint.code import CodeReader
from penstock.fingerprint.framing import digest_of
from penstock.fingerprint.sources import Sources
from penstock.model.identity import TaskIdentity
from penstock.runtime.replaying.choosing import packages_of

Load = Callable[..., ModuleType]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Writes a module of its own and imports it from its file."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def load(text: str, name: str | None = None) -> ModuleType:
        name = name or f"module{len(list(tmp_path.iterdir()))}"
        file = tmp_path / f"{name}.py"
        file.write_text(textwrap.dedent(text))
        spec = importlib.util.spec_from_file_location(name, file)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    return load


def identify(function: Any, sources: Sources | None = None) -> TaskIdentity:
    return CodeReader(digest_of, sources).identify(function)


def names(identity: TaskIdentity) -> list[str]:
    return [part.name for part in identity.parts]


def same(first: Any, second: Any) -> bool:
    return identify(first).digest == identify(second).digest


# forms of functions


def test_an_identity_is_computed_once(load: Load) -> None:
    reader = CodeReader(digest_of)
    function = load("def f(): return 1").f
    assert reader.identify(function) is reader.identify(function)
    assert len(reader.identify(function).digest) == 32


def test_the_module_does_not_count(load: Load) -> None:
    text = """
        import dataclasses
        LIMIT = 3
        @dataclasses.dataclass
        class Row:
            x: int = LIMIT
        def helper(): return Row()
        def f(): return helper()
    """
    assert same(load(text, "one").f, load("# elsewhere\n" + textwrap.dedent(text), "two").f)


@pytest.mark.parametrize(
    ("first", "second", "equal"),
    [
        ("f = lambda x: x + 1", "f = lambda x: x + 1  # one more", True),
        ("f = lambda x: x + 1", "f = lambda x: x + 2", False),
        ("f, g = lambda x: x + 1, lambda x: x + 2", "f, g = lambda x: x + 1, lambda x: x * 2", True),
        ("f, g = lambda x: x + 1, lambda x: x + 2", "g, f = lambda x: x + 1, lambda x: x + 2", False),
        ("f = functools.partial(pow, 2)", "f = functools.partial(pow, 3)", False),
        ("f = functools.partial(helper, 2)", "f = functools.partial(helper, 2)  # two", True),
        ("f = functools.partial(helper, 2)", "f = functools.partial(helper, x=2)", False),
        ("f = Tool(1)", "f = Tool(1)", True),
        ("f = Tool(1)", "f = Tool(2)", False),
        ("f = Tool(1).use", "f = Tool(1).use", True),
        ("f = Tool(1).use", "f = Tool(2).use", False),
        ("f = Tool.make", "f = Tool.use", False),
        ("f = functools.lru_cache(helper)", "f = functools.lru_cache(lambda x: -x)", False),
        ("f = functools.lru_cache(helper)", "f = functools.lru_cache(helper) or 1", True),
        ("f = math.floor", "f = math.ceil", False),
        ("f = 'a'.join", "f = 'b'.join", False),
        ("def f(): return Color.RED", "def f(): return Color.RED ", True),
        ("C = Color.RED\ndef f(): return C", "C = Color.BLUE\ndef f(): return C", False),
        ("C = Tool(1)\ndef f(): return C.use()", "C = Tool(2)\ndef f(): return C.use()", False),
        ("C = {1, 2}\ndef f(): return C", "C = {2, 1}\ndef f(): return C", True),
        ("C = {helper, math.floor}\ndef f(): return C", "C = {math.floor, helper}\ndef f(): return C", True),
        ("C = {helper, math.floor}\ndef f(): return C", "C = {math.ceil, helper}\ndef f(): return C", False),
        ("C = {int: helper}\ndef f(): return C", "C = {str: helper}\ndef f(): return C", False),
        ("C = re.compile('a')\ndef f(): return C", "C = re.compile('b')\ndef f(): return C", False),
        ("C = list[Tool]\ndef f(): return C", "C = list[Color]\ndef f(): return C", False),
        ("C = Tool | None\ndef f(): return C", "C = Tool | int\ndef f(): return C", False),
        ("C = TypeVar('C', bound=int)\ndef f(x: C): ...", "C = TypeVar('C', bound=str)\ndef f(x: C): ...", False),
        ("C = Box(v=1)\ndef f(): return C", "C = Box(v=2)\ndef f(): return C", False),
        ("C = Box(v=helper)\ndef f(): return C", "C = Box(v=lambda x: x)\ndef f(): return C", False),
        ("C = Pair(1, 2)\ndef f(): return C", "C = Pair(1, 3)\ndef f(): return C", False),
        ("def f(x, *, y=1): ...", "def f(x, *, y=2): ...", False),
        ("async def f(): return helper(1)", "def f(): return helper(1)", False),
        ("def f(): return [helper for helper in ()]", "def f(): return [helper for helper in ((),)]", False),
        ("def f():\n  if (n := 1): return n", "def f():\n  if (n := 2): return n", False),
        ("def f(x):\n  match x:\n    case [a, *b]: return a", "def f(x):\n  match x:\n    case [a, b]: return a", False),
    ],
)  # fmt: skip
def test_forms_of_functions_and_constants(first: str, second: str, equal: bool, load: Load) -> None:
    preamble = """
import collections, enum, functools, math, re
from types import SimpleNamespace as Box
from typing import TypeVar
Pair = collections.namedtuple("Pair", "a b")
class Color(enum.Enum):
    RED = 1
    BLUE = 2
class Tool:
    def __init__(self, n): self.n = n
    def __call__(self, x): return x * self.n
    def use(self): return self.n
    @classmethod
    def make(cls): return cls(0)
def helper(x): return x
"""
    # patterns have no digest as plain data; the values of a run have one for whatever can be pickled
    digest_value = lambda value: digest_of(value.pattern if isinstance(value, re.Pattern) else value)  # noqa: E731
    digests = [CodeReader(digest_value).identify(load(preamble + text).f).digest for text in (first, second)]
    assert (digests[0] == digests[1]) is equal


def test_names_that_are_local_are_not_looked_up_outside(load: Load) -> None:
    text = """
        {outside}
        def f(rows, scale=2):
            total = 0
            for key, value in rows:
                total += scale * value
            with open(key) as stream: pass
            try: pass
            except ValueError as error: print(error)
            return [name for name in rows], lambda item: item + total
    """
    names = ["total", "key", "value", "scale", "stream", "error", "name", "item", "rows"]
    shadowed = text.format(outside="; ".join(f"{name} = 1" for name in names))
    assert same(load(text.format(outside="")).f, load(shadowed).f)


def test_wrapped_functions_are_seen_through_foreign_wrappers(load: Load) -> None:
    text = """
        import contextlib, functools
        @contextlib.contextmanager
        def opened(): yield {value}
        @functools.singledispatch
        def shown(x): return x
        @shown.register
        def _(x: int): return {value}
        @functools.cache
        def f():
            with opened() as x: return x, shown(x)
    """
    assert same(load(text.format(value=1)).f, load(text.format(value="1  # one")).f)
    assert not same(load(text.format(value=1)).f, load(text.format(value=2)).f)


def test_code_inside_values_of_other_peoples_types_is_seen(load: Load) -> None:
    text = """
        import collections
        def missing(): return {value}
        TABLE = collections.deque([missing])
        def f(): return TABLE[0]()
    """

    def digest_by_name(value: Any) -> bytes:
        return digest_of([item.__qualname__ for item in value])

    first, second = (CodeReader(digest_by_name).identify(load(text.format(value=n)).f) for n in (1, 2))
    assert first.digest != second.digest


def test_cycles_end(load: Load) -> None:
    module = load("""
        def even(n): return n == 0 or odd(n - 1)
        def odd(n): return n != 0 and even(n - 1)
        class Tree:
            def grow(self): return grown(self)
            @staticmethod
            def own(): return Tree()
        def grown(tree): return Tree().own()
        LOOP = [even]
        LOOP.append(LOOP)
        ROOT = Tree()
        ROOT.parent = ROOT
        def f(): return even(3), Tree().grow(), f, LOOP, ROOT
    """)
    parts = names(identify(module.f))
    assert {name.partition(":")[2] for name in parts if name.startswith(module.__name__)} == {
        *("even", "odd", "Tree", "grown", "f")
    }
    assert identify(module.even).digest != identify(module.odd).digest


@pytest.mark.slow
def test_long_expressions_and_deep_chains_of_helpers_are_read(load: Load) -> None:
    chain = "\n".join(f"def f{n}(): return f{n + 1}()" for n in range(2000))
    long = " + ".join(["1"] * 900)
    first = load(f"{chain}\ndef f2000(): return {long}")
    second = load(f"{chain}\ndef f2000(): return {long} + 1")
    assert len(identify(first.f0).parts) == 2002
    assert not same(first.f0, second.f0)


def test_big_numbers_are_read(load: Load) -> None:
    number = "0x" + "f" * 9000
    assert not same(load(f"def f(): return {number}").f, load(f"def f(): return {number}0").f)


def test_tasks_in_reach_are_seen_through(load: Load) -> None:
    text = """
        import penstock
        @penstock.task(retries={retries})
        def prepare(x): return x + {value}
        def f(x): return prepare(x)
    """
    first = load(text.format(retries=1, value=1))
    assert f"{first.__name__}:prepare" in names(identify(first.f))
    assert same(first.f, load(text.format(retries=2, value=1)).f)
    assert not same(first.f, load(text.format(retries=1, value=2)).f)


# packages


def site(tmp_path: Path, version: str) -> Path:
    folder = tmp_path / version / "site-packages"
    (folder / "gauges_impl").mkdir(parents=True)
    (folder / "gauges_impl" / "__init__.py").write_text("def measure(x):\n    return x\n\nPI = 3.5\n")
    record = folder / f"Gauges.Kit-{version}.dist-info"
    record.mkdir()
    (record / "RECORD").write_text("gauges_impl/__init__.py,sha256=x,10\n")
    return folder


@pytest.mark.parametrize("statement", ["import gauges_impl as g", "from gauges_impl import measure"])
@pytest.mark.parametrize("late", [True, False])
def test_installed_packages_count_by_name_and_version(
    statement: str, late: bool, tmp_path: Path, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = "g.measure(1)" if " as " in statement else "measure(1)"
    text = f"def f():\n  {statement}\n  return {call}" if late else f"{statement}\ndef f(): return {call}"
    found: list[TaskIdentity] = []
    for version in ("1.0", "1.0", "1.1"):
        folder = tmp_path / str(len(found))
        folder.mkdir()
        with monkeypatch.context() as patch:
            patch.syspath_prepend(site(folder, version))
            patch.delitem(sys.modules, "gauges_impl", raising=False)
            found.append(identify(load(text).f))
            sys.modules.pop("gauges_impl", None)
    assert "package:gauges-kit==1.0" in names(found[0])
    assert "package:gauges-kit==1.1" in names(found[2])
    assert found[0].digest == found[1].digest != found[2].digest


@pytest.mark.parametrize(
    ("origin", "counts"),
    [
        ('{"url": "file:///src/gauges", "dir_info": {}}', True),
        ('{"url": "ssh://elsewhere/gauges", "vcs_info": {"vcs": "git", "commit_id": "1f"}}', True),
        ('{"url": "file:///src/gauges", "dir_info": {"editable": true}}', False),
        ("", False),
    ],
)
def test_what_is_not_from_an_index_counts_by_its_content(
    origin: str, counts: bool, tmp_path: Path, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = site(tmp_path, "1.0")
    record = folder / "Gauges.Kit-1.0.dist-info"
    if origin:
        (record / "direct_url.json").write_text(origin)
    monkeypatch.syspath_prepend(folder)
    found: list[TaskIdentity] = []
    for content, place in (("x", "here"), ("x", "there"), ("y", "there")):
        beside = f"gauges_impl/__pycache__/a.pyc,,\n../bin/gauge,sha256={place},1\n{record.name}/direct_url.json,,\n"
        (record / "RECORD").write_text(f"{beside}gauges_impl/__init__.py,sha256={content},10\n")
        found.append(identify(load("import gauges_impl\ndef f(): return gauges_impl.measure(1)").f))
        sys.modules.pop("gauges_impl")
    assert found[0].digest == found[1].digest
    assert (found[1].digest != found[2].digest) is counts
    [name] = [name for name in names(found[0]) if name.startswith("package:gauges")]
    assert ("(content " in name) is counts
    assert packages_of(found[0]) == {"gauges-kit": "1.0"}


def test_a_package_without_a_record_of_its_version_is_a_limit(
    tmp_path: Path, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = site(tmp_path, "2.0")
    (folder / "Gauges.Kit-2.0.dist-info" / "RECORD").unlink()
    monkeypatch.syspath_prepend(folder)
    (limit,) = identify(load("def f():\n  import gauges_impl\n  return gauges_impl.PI").f).limits
    assert "gauges_impl is installed without a record of its version" in limit


# limits


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def f(): return eval('x')", "eval()"),
        ("def f(): exec('x')", "exec()"),
        ("def f(): return globals()['x']", "globals()"),
        ("import importlib\ndef f(n): return importlib.import_module(n)", "import_module()"),
        ("def f(n):\n  from importlib import import_module\n  import_module(n)", "import_module()"),
        ("import subject\ndef f(n): return getattr(subject, n)", "getattr() reads an attribute of subject"),
        ("def f(n):\n  import subject\n  return getattr(subject, n)", "getattr() reads an attribute of subject"),
        ("class A: ...\nA0 = A()\ndef f(n): return getattr(A0, n)", "getattr() reads an attribute of A0"),
        ("X = []\ndef f(): X.append(1)", "X is a list, which can change"),
        ("X = {}\ndef f(): return X", "X is a dict, which can change"),
        ("X = set()\ndef f(): return X", "X is a set, which can change"),
        ("def f(x=[]): return x", "f.x is a list, which can change"),
        ("X = 1\ndef f():\n  global X\n  X += 1", "the module variable X is written"),
        ("import threading\nX = threading.Lock()\ndef f(): return X", "X is a _thread.lock, which has no digest"),
        ("def g():\n  return eval('1')\ndef f(): return g()", "eval()"),
    ],
)
def test_what_cannot_be_seen_is_a_limit(text: str, words: str, load: Load, tmp_path: Path) -> None:
    load("def anything(): ...", "subject")
    module = load(text)
    limits = identify(module.f).limits
    assert any(limit.startswith(f"{module.__file__}:") and words in limit for limit in limits), limits


@pytest.mark.parametrize(
    "text",
    [
        "import logging\nlog = logging.getLogger(__name__)\ndef f(): log.info('x')",
        "def f(x): return getattr(x, 'name')",
        "def f(x, n): return getattr(x, n)",
        "import os\ndef f(n): return getattr(os, n)",
        "X = (1, 'a', None, 2.5)\ndef f(): return X",
        "def f(): return not_defined_anywhere",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING: import x\ndef f() -> 'x.Y': ...",
        "import penstock\ndef f(): return penstock.current()",
    ],
)
def test_what_can_be_seen_is_none(text: str, load: Load) -> None:
    assert identify(load(text).f).limits == ()


def test_a_mutable_constant_counts_as_it_is(load: Load) -> None:
    module = load("X = [1]\ndef f(): return X")
    before = identify(module.f)
    module.X.append(2)
    assert identify(module.f).digest != before.digest


def test_a_name_bound_again_counts_for_the_next_reader(load: Load) -> None:
    module, sources = load("X = 1\ndef f(): return X"), Sources()
    before = identify(module.f, sources)
    vars(module)["X"] = 2
    assert identify(module.f, sources).digest != before.digest


def test_objects_that_cannot_be_looked_into_are_limits(load: Load) -> None:
    module = load("""
        class Proxy:
            @property
            def __dict__(self): raise RuntimeError("not set up")
        PROXY = Proxy()
        def f(): return PROXY.x
    """)
    (limit,) = identify(module.f).limits
    assert limit == f"{module.__file__}:6: PROXY cannot be looked into: RuntimeError: not set up"


# where source comes from


def test_notebook_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    def cell(number: int, text: str, names: dict[str, Any]) -> None:
        file = f"<ipython-input-{number}-abc>"
        monkeypatch.setitem(linecache.cache, file, (len(text), None, text.splitlines(keepends=True), file))
        exec(compile(text, file, "exec"), names)

    def notebook(limit: str, helper: str) -> TaskIdentity:
        names: dict[str, Any] = {"__name__": "__main__"}
        cell(1, f"LIMIT = {limit}\n", names)
        cell(2, f"class Row:\n    def cut(self): return LIMIT\n\n{helper}\n", names)
        cell(3, "# the task\ndef f(x):\n    'cuts'\n    return helper(x), Row().cut()\n", names)
        return identify(names["f"])

    first = notebook("1", "def helper(x): return x + 1")
    assert first.limits == ()
    assert notebook("1", "# adds\ndef helper(x):\n    return (x + 1)").digest == first.digest
    assert notebook("2", "def helper(x): return x + 1").digest != first.digest
    assert notebook("1", "def helper(x): return x + 2").digest != first.digest


def on_command_line(text: str, folder: Path) -> list[str]:
    """Runs `python -c` with a text that defines f; returns the digest of f, the parts and the limits."""
    report = textwrap.dedent("""
        from penstock.fingerprint.code import CodeReader
        from penstock.fingerprint.framing import digest_of
        identity = CodeReader(digest_of).identify(f)
        print(identity.digest.hex(), sorted(part.name for part in identity.parts), identity.limits, sep="\\n")
    """)
    command = [sys.executable, "-c", textwrap.dedent(text) + report]
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONHASHSEED": "random"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_functions_given_on_the_command_line_count_by_their_code(tmp_path: Path) -> None:
    (tmp_path / "tools.py").write_text("def tool(): return 1\n")
    text = """
        import tools, dataclasses
        LIMIT = {limit}
        @dataclasses.dataclass
        class Row:
            x: int = 3
            def cut(self): return self.x{cut}
        def helper(x):
            return x in {{"a", "b", "c"}} or LIMIT
        def f(x):
            from tools import tool
            return helper(x), [tools.tool() for _ in x], Row(), tool()
    """
    first = on_command_line(text.format(limit=1, cut=""), tmp_path)
    assert "__main__:helper" in first[1]
    assert "tools:tool" in first[1]
    assert first[2] == "()"
    assert on_command_line("\n\n# again\n" + textwrap.dedent(text.format(limit=1, cut="")), tmp_path) == first
    assert on_command_line(text.format(limit=2, cut=""), tmp_path)[0] != first[0]
    assert on_command_line(text.format(limit=1, cut=" + 1"), tmp_path)[0] != first[0]


def test_functions_made_by_exec_count_by_their_code() -> None:
    def made(text: str) -> Any:
        names: dict[str, Any] = {"__name__": "__main__"}
        exec(text, names)
        return names["f"]

    assert same(made("def f(x): return x + 1"), made("\ndef f(x):\n  'adds'\n  return x + 1"))
    assert not same(made("def f(x): return x + 1"), made("def f(x): return x + 2"))
    assert not same(made("Y = 1\ndef f(x): return Y"), made("Y = 2\ndef f(x): return Y"))


def test_a_file_that_changed_after_it_was_loaded_is_not_taken_for_what_was_loaded(load: Load) -> None:
    module = load("def g(): return 1\ndef f(): return 2\n")
    before = identify(module.f)
    Path(str(module.__file__)).write_text("def g(): return 1\ndef f(): return 3\n")
    after = identify(module.f)
    assert after.digest != before.digest
    assert "counts as it was loaded" in after.limits[0]
    assert identify(module.g).limits == ()


def test_sources_see_the_new_version_of_a_file(load: Load) -> None:
    sources = Sources()
    first = identify(load("def f(): return 1", "again").f, sources)
    second = identify(load("def f(): return 22", "again").f, sources)
    third = identify(load("def f():  return 1", "again").f, sources)
    assert first.digest == third.digest != second.digest
    assert second.limits == ()


def test_the_same_in_every_process(tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text(
        "import functools\nclass A: ...\nT = {'a': A, 'b': {1, 'x', None}}\nS = frozenset({A, int, functools.partial})\n"
        "def f(): return T, S, {'p', 'q', 'r'}\n"
    )
    text = "from job import f"
    assert on_command_line(text, tmp_path) == on_command_line(text, tmp_path)


def test_a_script_and_a_module_are_the_same(tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text(
        textwrap.dedent("""
            import dataclasses
            @dataclasses.dataclass
            class Row:
                x: int = 1
            def helper(): return Row()
            def f() -> Row: return helper()
            if __name__ == "__main__":
                from penstock.fingerprint.code import CodeReader
                from penstock.fingerprint.framing import digest_of
                print(CodeReader(digest_of).identify(f).digest.hex())
        """)
    )
    script = subprocess.run([sys.executable, "job.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert script.stdout.strip() == on_command_line("from job import f", tmp_path)[0]


def test_foreign_functions_can_be_identified() -> None:
    assert names(identify(functools.reduce)) == [f"package:python==3.{sys.version_info.minor}"]
    assert not same(logging.getLogger, logging.getLevelName)
    assert not same(threading.Lock, threading.RLock)
