"""What no name leads to: files that are read, modules that are imported by name, what modules do to others."""

from __future__ import annotations

import decimal
import importlib
import logging
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from penstock.fingerprint.code import CodeReader
from penstock.fingerprint.framing import digest_of
from penstock.model.identity import TaskIdentity

Identify = Callable[..., TaskIdentity]
Files = dict[str, str]


@pytest.fixture
def identify(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Identify]:
    """The identity of `f` in the module `main` of a project of these files, when the module `loaded` is loaded too;
    `reads` are files that it declares."""
    before = set(sys.modules)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def forget() -> None:
        for name in set(sys.modules) - before:
            if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
                del sys.modules[name]

    def identify(files: Files, *reads: str, loaded: str = "main") -> TaskIdentity:
        forget()
        folder = tmp_path / f"version{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        for name, text in files.items():
            (folder / f"{name}.py").write_text(text)
        with monkeypatch.context() as patch:
            patch.syspath_prepend(folder)
            function = importlib.import_module("main").f
            importlib.import_module(loaded)
            reader = CodeReader(digest_of, folder=str(folder))
            limits = reader.limits(function, [str(folder / read) for read in reads])
            return msgspec.structs.replace(reader.identify(function), limits=limits)

    yield identify
    forget()


PREAMBLE = """\
import json, gzip, os, shutil, functools, importlib.resources
from pathlib import Path
NAME = "k.txt"
HERE = Path(__file__).parent
K = HERE / "k.txt"
@functools.lru_cache
def loaded(): return json.load(open("k.txt"))
def read(name: str): return open(name)
"""


def in_function(text: str) -> Files:
    return {"main": f"{PREAMBLE}def f(text: str, path: Path):\n  {text}\n"}


@pytest.mark.parametrize(
    "text",
    [
        "open('k.txt')",
        "open(NAME)",
        "open(file='k.txt', mode='r+')",
        "open(os.path.join(HERE, 'k.txt'))",
        "open(f'{HERE}/k.txt')",
        "with gzip.open('k.txt') as stream: ...",
        "Path('k.txt').read_text()",
        "Path('k.txt').open()",
        "(HERE / 'k.txt').read_bytes()",
        "(Path(__file__).parent / 'k.txt').read_bytes()",
        "K.read_text()",
        "K.open('rb')",
        "importlib.resources.files(__package__).joinpath('k.txt').read_text()",
    ],
)
def test_a_file_that_is_read_by_a_path_in_the_code_is_a_limit_unless_it_is_declared(
    text: str, identify: Identify
) -> None:
    files = in_function(text)
    (limit,) = identify(files).limits
    assert limit.startswith("main.py:10: ")
    assert "reads a file that does not count: declare it, reads=[" in limit
    assert identify(files, "k.txt").limits == identify(files, ".").limits == ()
    assert identify(files, "other.txt").limits != ()


def test_where_a_file_is_read_is_told(identify: Identify) -> None:
    (limit,) = identify(in_function("return loaded()")).limits
    assert limit == (
        "main.py:7: open('k.txt') reads a file that does not count: declare it, reads=['k.txt'], or pass it as a Path"
    )
    (limit,) = identify(in_function("return read(text)")).limits
    assert limit == "main.py:8: open(name) reads a file, of which only the name counts: declare name as a Path"


@pytest.mark.parametrize("module", ["pandas", "polars"])
def test_tables_that_are_read_are_files(module: str, identify: Identify) -> None:
    files = in_function(f"import {module} as p; p.read_csv(NAME); p.read_csv(path)")
    (limit,) = identify(files).limits
    assert "main.py:10: p.read_csv(NAME) reads a file" in limit


def test_files_of_what_is_imported_late_are_seen_as_well(identify: Identify) -> None:
    late = "import numpy as np\nAT = 'k.npy'\ndef g(): return np.load(AT)\n"
    files = {"main": "def f():\n  from late import g\n  return g()\n", "late": late}
    (limit,) = identify(files).limits
    assert limit.startswith("late.py:3: np.load(AT) reads a file")
    assert identify(files, "k.npy").limits == ()


@pytest.mark.parametrize(
    "text",
    [
        "open('k.txt', 'w')",
        "open('k.txt', mode='a')",
        "Path('k.txt').open('w')",
        "K.open('w')",
        "open(path)",
        "path.read_text()",
        "K.exists()",
        "shutil.which('k.txt')",
        "json.loads('{}')",
        "open = print; open('k.txt')",
        f"open({' + '.join(['NAME'] * 900)})",
        "stream = open(path); json.load(stream)",
    ],
)
def test_what_is_written_or_comes_in_is_no_limit(text: str, identify: Identify) -> None:
    assert identify(in_function(text)).limits == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import subprocess; subprocess.run(['ls'])", "subprocess.run() starts a program; what that reads is not seen"),
        ("from subprocess import Popen; Popen(['ls'])", "subprocess.Popen() starts a program"),
        ("os.system('ls')", "os.system() starts a program"),
        ("import runpy; runpy.run_path('x.py')", "runpy.run_path() runs a file"),
        ("import sys; return sys.modules['x']", "sys.modules can give any module"),
        ("return importlib.import_module(text)", "imports a module by a name that is computed"),
        ("return __import__(text)", "imports a module by a name that is computed"),
    ],
)
def test_what_leads_anywhere_is_a_limit(text: str, words: str, identify: Identify) -> None:
    (limit,) = identify(in_function(text)).limits
    assert limit.startswith("main.py:10: ") and words in limit


# modules by name


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("return importlib.import_module('lib').g()", {"lib:g"}),
        ("m = importlib.import_module('lib')\n  return m.g()", {"lib:*"}),
        ("from importlib import import_module as get\n  return get", set[str]()),
        ("return __import__('lib').h()", {"lib:h"}),
    ],
)
def test_a_module_that_is_imported_by_its_name_is_followed(text: str, names: set[str], identify: Identify) -> None:
    files = in_function(text) | {"lib": "def g(): return 1\ndef h(): return 2\n"}
    identity = identify(files)
    assert {part.name for part in identity.parts if part.name.startswith("lib:")} == names
    assert bool(identity.limits) is not bool(names)
    edited = files | {"lib": "def g(): return 3\ndef h(): return 4\n"}
    assert (identify(edited).digest != identity.digest) is bool(names)


# what modules do to others


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("import math\nmath.tau2 = VALUE", True),
        ("import math\nsetattr(math, 'tau2', VALUE)", True),
        ("import math\nmath.tau2 = lambda: helper()\ndef helper(): return VALUE", True),
        ("import decimal\nN = VALUE\ndecimal.getcontext().Emax = 9000 + N", True),
        ("import random\nif random: random.seed(VALUE)", True),
        ("import pytest\n@pytest.hookimpl(tryfirst=True)\ndef hook(): return VALUE", True),
        ("import pytest\n@pytest.mark.slow\ndef hook(): return VALUE", False),
        ("import logging\nlogging.raiseExceptions = VALUE", False),
        ("import math\nmath.floor(VALUE)", False),
        ("import math\nif __name__ == '__main__': math.tau2 = VALUE", False),
        ("import math\ndef never(): math.tau2 = VALUE", False),
    ],
)
def test_what_modules_in_reach_do_to_libraries_counts(
    text: str, counts: bool, identify: Identify, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(math, "tau2", 0, raising=False)
    monkeypatch.setattr(logging, "raiseExceptions", True)
    main = {"main": "import near\nfrom math import floor\ndef f(x): return floor(x)\n", "near": "import far\n"}
    with decimal.localcontext():
        first, second = (identify(main | {"far": text.replace("VALUE", value)}) for value in "12")
    assert (first.digest != second.digest) is counts
    assert any(part.name == "far:<import>" and part.file == "far.py" for part in first.parts) is counts


def test_what_does_not_import_it_does_not_depend_on_what_it_does(identify: Identify) -> None:
    files = {"main": "def f(x): return x\n", "far": "import math\nmath.tau = math.tau\n"}
    assert identify(files, loaded="far").digest == identify({"main": files["main"]}).digest


@pytest.mark.parametrize("statement", ["m.Cfg.lr = 5", "m.h = lambda: 5", "m.TABLE['a'] = 5", "m.TABLE.update(a=5)"])
def test_what_is_read_by_its_source_counts_with_what_loaded_modules_do_to_it(
    statement: str, identify: Identify
) -> None:
    files = {
        "main": "def f():\n  from m import Cfg, h, TABLE\n  return Cfg.lr, h(), TABLE\n",
        "m": "class Cfg:\n  lr = 1\ndef h(): return 1\nTABLE = {}\nSPARE = 1\n",
        "far": f"import m\n{statement}\n",
    }
    first = identify(files, loaded="far")
    assert first.digest != identify(files | {"far": files["far"].replace("5", "6")}, loaded="far").digest
    spare = files | {"far": "import m\nm.SPARE = 5\n"}
    assert identify(spare, loaded="far").digest == identify(files | {"far": "import m\n"}, loaded="far").digest


# where limits are, and how many


def test_containers_are_told_in_one_limit_with_the_lines_that_they_are_at(identify: Identify) -> None:
    text = "A = {}\nB = []\nclass K:\n  rates = {}\ndef f(): return A, B, K\n"
    assert identify({"main": text}).limits == (
        "main.py:5: A, B, K.rates can change; they count as they are when the graph is made",
    )
    (limit,) = identify({"main": "class K:\n  rates = {}\ndef f(): return K\n"}).limits
    assert limit.startswith("main.py:1: K.rates is a dict, which can change")


def test_subclasses_are_told_where_they_are_asked_for(identify: Identify) -> None:
    text = "import functools\nclass K: ...\n@functools.cache\ndef f():\n  x = 1\n  return K.__subclasses__()\n"
    (limit,) = identify({"main": text}).limits
    assert limit.startswith("main.py:6: __subclasses__()")
