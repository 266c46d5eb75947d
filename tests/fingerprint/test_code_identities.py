"""What an identity tells of code: where each part is, what a constant is, and all that it takes to load it again."""

from __future__ import annotations

import importlib
import importlib.machinery
import linecache
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock.fingerprint.code import CodeReader
from penstock.fingerprint.framing import digest_of
from penstock.fingerprint.sources import Sources
from penstock.model.identity import CodePart, TaskIdentity

PROJECT = {
    "job.py": """
        import functools

        import plots
        import shop.tools as tools
        from settings import LIMIT

        API_KEY = "do not show"
        OPTIONS = {"rate": 0.5, "password": "nor this"}

        def logged(function):
            @functools.wraps(function)
            def wrapper(*args):
                return function(*args)
            return wrapper

        @logged
        @functools.cache
        def prepare(x):
            # begin
            return tools.clean(x), LIMIT

        def task(x):
            from late import finish
            return finish(prepare(x), API_KEY, OPTIONS)
    """,
    "plots.py": "import colours\n",
    "colours.py": "RED = 1\n",
    "settings.py": "LIMIT = 3\n",
    "late.py": "from later import END\ndef finish(*values):\n    return values, END\n",
    "later.py": "END = 'end'\n",
    "shop/__init__.py": "from . import base\n",
    "shop/base.py": "",
    "shop/tools.py": "from .deep.more import strip\nclass Row:\n    n = 1\ndef clean(x):\n    return strip(x), Row()\n",
    "shop/deep/more.py": "def strip(x): return x\n",
    "unused.py": "",
}

Import = Callable[[dict[str, str]], Any]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Import]:
    """Writes files into a folder of their own, and imports `job` from there."""
    before = set(sys.modules)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(tmp_path)

    def project(files: dict[str, str]) -> Any:
        write(tmp_path, files)
        importlib.invalidate_caches()
        return importlib.import_module("job")

    yield project
    for name in set(sys.modules) - before:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip())


def parts(identity: TaskIdentity) -> dict[str, CodePart]:
    found = {part.name: part for part in identity.parts}
    assert len(found) == len(identity.parts)
    return found


def read(function: Any, folder: Path, sources: Sources | None = None) -> tuple[TaskIdentity, CodeReader]:
    reader = CodeReader(digest_of, sources, str(folder))
    return reader.identify(function), reader


# parts


def test_a_part_says_where_it_is_in_the_text_that_was_loaded(project: Import, tmp_path: Path) -> None:
    identity, reader = read(project(PROJECT).task, tmp_path)
    assert identity.parts[0].name == "job:task"
    found = parts(identity)
    shown = {
        name: "\n".join(reader.texts[part.text].splitlines()[part.first - 1 : part.last])
        for name, part in found.items()
        if part.text
    }
    assert shown["job:prepare"].startswith("@logged\n@functools.cache\ndef prepare(x):\n    # begin\n")
    assert shown["job:prepare"].endswith(", LIMIT")
    assert shown["job:logged.<locals>.wrapper"].strip().startswith("@functools.wraps")
    assert shown["shop.tools:Row"] == "class Row:\n    n = 1"
    assert shown["late:finish"] == "def finish(*values):\n    return values, END"
    assert found["job:task"].file == "job.py"
    assert found["shop.deep.more:strip"].file == str(Path("shop/deep/more.py"))
    assert reader.texts[found["late:finish"].text] == PROJECT["late.py"]


def test_a_file_outside_of_the_project_is_told_in_full(project: Import, tmp_path: Path) -> None:
    identity, _ = read(project(PROJECT).task, tmp_path / "shop")
    found = parts(identity)
    assert found["job:task"].file == str(tmp_path / "job.py")
    assert found["shop.tools:clean"].file == "tools.py"


def test_the_places_of_limits_are_told_from_the_project(project: Import, tmp_path: Path) -> None:
    job = project({"job.py": "def f(): return eval('1')\n"})
    (limit,) = read(job.f, tmp_path)[0].limits
    assert limit.startswith("job.py:1: eval()")


def test_constants_are_shown_but_for_what_looks_like_a_secret(project: Import, tmp_path: Path) -> None:
    found = parts(read(project(PROJECT).task, tmp_path)[0])
    assert found["constant:job:LIMIT"].shown == "3"
    assert found["constant:later:END"].shown == "'end'"
    assert found["constant:job:API_KEY"].shown == "(hidden)"
    assert found["constant:job:OPTIONS"].shown == "{'rate': 0.5, 'password': (hidden)}"
    assert "do not show" not in repr(found)
    assert "nor this" not in repr(found)


def test_secrets_in_modules_that_are_not_imported_are_not_shown(project: Import, tmp_path: Path) -> None:
    job = project({
        "keys.py": "TOKEN = 'hush'\nLOGIN = dict(password='hush')\nNAME = 'x'\n",
        "job.py": "def f():\n    from keys import TOKEN, LOGIN, NAME\n    return TOKEN, LOGIN, NAME\n",
    })  # fmt: skip
    found = parts(read(job.f, tmp_path)[0])
    assert found["constant:keys:TOKEN"].shown == "(hidden)"
    assert found["constant:keys:LOGIN"].shown == ""
    assert found["constant:keys:NAME"].shown == "'x'"


def test_equal_constants_each_have_their_name(project: Import, tmp_path: Path) -> None:
    job = project({"job.py": "A = 1\nB = 1\nPASSWORD = 1\ndef f(): return A, B, PASSWORD\n"})
    found = parts(read(job.f, tmp_path)[0])
    assert [found[f"constant:job:{name}"].shown for name in ("A", "B", "PASSWORD")] == ["1", "1", "(hidden)"]


def test_things_that_share_a_name_are_numbered(project: Import, tmp_path: Path) -> None:
    job = project({"job.py": "a = lambda: 1\nb = lambda: 2\ndef f(): return b(), a()\n"})
    found = parts(read(job.f, tmp_path)[0])
    assert (found["job:<lambda>"].first, found["job:<lambda> (2)"].first) == (1, 2)


def test_packages_have_a_name_and_a_version(project: Import, tmp_path: Path) -> None:
    job = project({"job.py": "import msgspec\ndef f(x): return msgspec.json.encode(x)\n"})
    import msgspec

    found = parts(read(job.f, tmp_path)[0])
    assert found[f"package:msgspec=={msgspec.__version__}"].file == ""


def test_whole_modules_and_compiled_ones(project: Import, tmp_path: Path) -> None:
    (tmp_path / "fast.cpython-311-x86_64-linux-gnu.so").write_bytes(b"machine code")
    suffix = next(iter(importlib.machinery.EXTENSION_SUFFIXES))
    (tmp_path / f"quick{suffix}").write_bytes(b"machine code")
    job = project({
        "settings.py": "A = 1\nB = 2\n",
        "job.py": "import settings\ndef f():\n    import quick\n    return settings, quick.run()\n",
    })  # fmt: skip
    identity, reader = read(job.f, tmp_path)
    found = parts(identity)
    whole, compiled = found["settings:*"], found["quick:*"]
    assert (whole.file, whole.first, reader.texts[whole.text]) == ("settings.py", 1, "A = 1\nB = 2\n")
    assert (compiled.file, compiled.text) == (f"quick{suffix}", b"")
    assert "quick is compiled code" in identity.limits[0]
    assert [(module.file, bool(module.text)) for module in identity.modules if module.module == "quick"] == [
        (f"quick{suffix}", False)
    ]


def test_functions_of_notebooks_are_in_their_cells(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, text in enumerate(["def helper(x):\n    return x\n", "# cell\ndef f(x):\n    return helper(x)\n"]):
        file = f"<ipython-input-{number}-abc>"
        monkeypatch.setitem(linecache.cache, file, (len(text), None, text.splitlines(keepends=True), file))
        exec(compile(text, file, "exec"), names)
    identity, reader = read(names["f"], tmp_path)
    part = identity.parts[0]
    assert (part.name, part.file, part.first, part.last) == ("__main__:f", "<ipython-input-1-abc>", 2, 3)
    assert reader.texts[part.text].startswith("# cell")
    assert identity.modules == ()


def test_functions_without_source_have_no_place(tmp_path: Path) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    exec("def f(x): return x", names)
    (part, _) = read(names["f"], tmp_path)[0].parts
    assert (part.file, part.first, part.last, part.text) == ("", 0, 0, b"")


# modules


def test_the_modules_are_all_that_importing_the_function_takes(project: Import, tmp_path: Path) -> None:
    identity, reader = read(project(PROJECT).task, tmp_path)
    assert {module.module: module.file for module in identity.modules} == {
        "colours": "colours.py",
        "job": "job.py",
        "late": "late.py",
        "later": "later.py",
        "plots": "plots.py",
        "settings": "settings.py",
        "shop": "shop/__init__.py",
        "shop.base": "shop/base.py",
        "shop.deep.more": "shop/deep/more.py",
        "shop.tools": "shop/tools.py",
    }
    assert all(module.text in reader.texts for module in identity.modules)


def test_the_kept_texts_make_the_same_function_in_an_empty_folder(project: Import, tmp_path: Path) -> None:
    identity, reader = read(project(PROJECT).task, tmp_path)
    folder = tmp_path / "elsewhere"
    write(folder, {module.file: reader.texts[module.text] for module in identity.modules})
    report = """
        import job
        from penstock.fingerprint.code import CodeReader
        from penstock.fingerprint.framing import digest_of
        print(CodeReader(digest_of).identify(job.task).digest.hex(), job.task(1)[1])
    """
    command = [sys.executable, "-c", textwrap.dedent(report)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [identity.digest.hex(), "end"]


@pytest.mark.parametrize(
    "text",
    [
        "import a, b.c\nx = a.X, b.c.X",
        "if True: import a; import b.c",
        "try:\n    import nowhere\nexcept ImportError:\n    import a\nfrom b import c",
        "from a import (  # of (these)\n    X,\n)\nfrom b import (\n    c,\n)",
        "from a import \\\n    X\nimport b \\\n    .c",
        "'''\nimport nothing of this kind\n'''\nimport a\nfrom b.c import X as Y",
        "import a as first, b.c as second",
    ],
)
def test_every_way_to_write_an_import_is_found(text: str, project: Import, tmp_path: Path) -> None:
    files = {"a.py": "X = 1\n", "b/__init__.py": "", "b/c.py": "X = 2\n"}
    identity, _ = read(project({**files, "job.py": f"{text}\ndef f(): return 1\n"}).f, tmp_path)
    assert [module.module for module in identity.modules] == ["a", "b", "b.c", "job"]


def test_scripts_are_known_by_the_name_of_their_file(tmp_path: Path) -> None:
    write(tmp_path, {
        "train.py": """
            import helpers
            LIMIT = 1
            def f(): return helpers.g(LIMIT)
            from penstock.fingerprint.code import CodeReader
            from penstock.fingerprint.framing import digest_of
            identity = CodeReader(digest_of).identify(f)
            print([part.name for part in identity.parts], [module.file for module in identity.modules])
        """,
        "helpers.py": "def g(x): return x\n",
    })  # fmt: skip
    done = subprocess.run([sys.executable, "train.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
    version = f"package:python==3.{sys.version_info.minor}"
    names = ["train:f", "constant:train:LIMIT", "helpers:g", version]
    assert done.stdout.strip() == f"{names} {['helpers.py', 'train.py']}"


# what was edited since it was loaded


def test_of_a_file_that_was_edited_the_text_is_only_kept_where_it_is_known(project: Import, tmp_path: Path) -> None:
    text = "X = 1\ndef g(): return 1\ndef f(): return g(), X\n"
    job = project({"job.py": text})
    (tmp_path / "job.py").write_text(text.replace("g(): return 1", "g(): return 2"))
    identity, reader = read(job.f, tmp_path)
    found = parts(identity)
    assert (found["job:g"].text, found["job:g"].file) == (b"", "job.py")
    # this one is there as it was loaded, on these very lines
    assert (found["job:f"].first, reader.texts[found["job:f"].text].splitlines()[2]) == (3, "def f(): return g(), X")
    assert [(module.file, module.text) for module in identity.modules] == [("job.py", b"")]
    assert "is not in its file as it was loaded" in identity.limits[0]


def test_the_text_that_was_loaded_is_known_to_who_has_seen_it(project: Import, tmp_path: Path) -> None:
    sources, text = Sources(), "def f(): return 1\n"
    job = project({"job.py": text})
    before, _ = read(job.f, tmp_path, sources)
    (tmp_path / "job.py").write_text("# more\ndef f(): return 22\n")
    after, reader = read(job.f, tmp_path, sources)
    assert (after.digest, after.parts) == (before.digest, before.parts)
    assert [reader.texts[module.text] for module in after.modules] == [text]


def test_the_text_that_was_loaded_is_known_from_tracebacks(project: Import, tmp_path: Path) -> None:
    text = "def f(): return 1\n"
    job = project({"job.py": text})
    assert linecache.getlines(job.__file__) == [text]
    (tmp_path / "job.py").write_text("def f(): return 22\n")
    identity, reader = read(job.f, tmp_path)
    assert reader.texts[identity.parts[0].text] == text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("LIMIT = 3", "LIMIT = 4"),
        ("LIMIT = 1", "LIMIT = True"),
        ("class A:\n    n: int = 1", "class A:\n    n: int = 2"),
        ("class A:\n    n: int", "class A:\n    n: int\n    m: int"),
        ("class A:\n    def f(self): return 1", "class A:\n    def f(self): return 2"),
        (
            "import functools\n@functools.cache\ndef g(): return 1",
            "import functools\n@functools.cache\ndef g(): return 2",
        ),
    ],
)
def test_a_module_is_only_kept_as_it_was_loaded(before: str, after: str, project: Import, tmp_path: Path) -> None:
    job = project({"other.py": f"{before}\n", "job.py": "import other\ndef f(): return 1\n"})
    assert all(module.text for module in read(job.f, tmp_path)[0].modules)
    (tmp_path / "other.py").write_text(f"{after}\n")
    assert {module.module: bool(module.text) for module in read(job.f, tmp_path)[0].modules} == {
        "job": True,
        "other": False,
    }


def test_a_class_without_methods_counts_as_it_was_loaded(project: Import, tmp_path: Path) -> None:
    job = project(
        {"job.py": "import dataclasses\n@dataclasses.dataclass\nclass A:\n    n: int = 1\ndef f(): return A()\n"}
    )
    first = parts(read(job.f, tmp_path)[0])["job:A"]
    (tmp_path / "job.py").write_text((tmp_path / "job.py").read_text().replace("= 1", "= 2"))
    second = parts(read(job.f, tmp_path)[0])["job:A"]
    assert first.text and not second.text


def test_a_module_edited_since_it_was_loaded_is_a_limit_of_who_imports_it_late(project: Import, tmp_path: Path) -> None:
    job = project(
        {
            "other.py": "def g(): return 1\n",
            "job.py": "import other\ndef f():\n    from other import g\n    return g()\n",
        }
    )
    assert read(job.f, tmp_path)[0].limits == ()
    (tmp_path / "other.py").write_text("def g(): return 2\n")
    assert read(job.f, tmp_path)[0].limits == (
        "other.py:1: other is not as it was loaded; it counts as it is in its file",
    )


def test_what_was_edited_before_penstock_was_imported_is_not_taken_for_what_was_loaded(tmp_path: Path) -> None:
    write(tmp_path, {
        "job.py": "def f(): return 1\n",
        "main.py": """
            import pathlib
            import job
            pathlib.Path("job.py").write_text("def f(): return 2\\n")
            from penstock.fingerprint.code import CodeReader
            from penstock.fingerprint.framing import digest_of
            print(CodeReader(digest_of).identify(job.f).limits)
        """,
    })  # fmt: skip
    done = subprocess.run([sys.executable, "main.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "is not in its file as it was loaded" in done.stdout


# closures and constants


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        (
            "def by(k):\n  def to(x): return x * k\n  return to\na, b = by(2), by(3)\ndef f(x): return a(x), b(x)",
            "3",
            "4",
        ),
        ("a, b = [lambda x, n=n: x * n for n in (2, 3)]\ndef f(x): return a(x), b(x)", "3", "4"),
        ("def f():\n  try: from first import g\n  except ImportError: from second import g\n  return g()", "", ""),
    ],
)
def test_things_of_one_name_count_each(text: str, old: str, new: str, project: Import, tmp_path: Path) -> None:
    job = project({"second.py": "def g(): return 1\n", "job.py": text})
    before = read(job.f, tmp_path)[0]
    del sys.modules["job"]
    job = project({"second.py": "def g(): return 2\n", "job.py": text.replace(old, new) if old else text})
    assert read(job.f, tmp_path)[0].digest != before.digest


def test_constants_of_the_module_of_a_decorator_are_not_taken_for_those_of_the_decorated(
    project: Import, tmp_path: Path
) -> None:
    wrapping = (
        "import functools\nLIMIT = {}\ndef wrap(g):\n  @functools.wraps(g)\n  def w(): return g(), LIMIT\n  return w\n"
    )
    job = project(
        {"wraps.py": wrapping.format(1), "job.py": "from wraps import wrap\nLIMIT = 5\n@wrap\ndef f(): return LIMIT\n"}
    )
    found = parts(read(job.f, tmp_path)[0])
    assert (found["constant:wraps:LIMIT"].shown, found["constant:job:LIMIT"].shown) == ("1", "5")


def test_a_helper_that_moves_with_its_constant_changes_nothing(project: Import, tmp_path: Path) -> None:
    job = project({
        "settings.py": "LIMIT = 3\n",
        "helpers.py": "from settings import LIMIT\ndef helper(): return LIMIT\n",
        "job.py": "from helpers import helper\nfrom settings import LIMIT\ndef f(): return helper(), LIMIT\n",
    })  # fmt: skip
    before = read(job.f, tmp_path)[0]
    del sys.modules["job"]
    job = project(
        {"job.py": "from settings import LIMIT\ndef helper(): return LIMIT\ndef f(): return helper(), LIMIT\n"}
    )
    assert read(job.f, tmp_path)[0].digest == before.digest


def test_an_editable_install_counts_as_the_users_own(tmp_path: Path) -> None:
    """A folder that a `.pth` file of a site-packages folder leads to, with the record of an editable install."""
    site = tmp_path / "site-packages"
    write(site, {"gauges.pth": str(tmp_path / "src"), "gauges-1.0.dist-info/RECORD": "gauges.pth,,\n"})
    report = """
        import site
        site.addsitedir("site-packages")
        import gauges
        from penstock.fingerprint.code import CodeReader
        from penstock.fingerprint.framing import digest_of
        identity = CodeReader(digest_of).identify(gauges.measure)
        print(identity.digest.hex(), [part.name for part in identity.parts])
    """

    def found(value: int) -> list[str]:
        write(tmp_path, {"src/gauges.py": f"def measure(): return {value}\n"})
        command = [sys.executable, "-B", "-c", textwrap.dedent(report)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout.split(maxsplit=1)

    first, second = found(1), found(2)
    assert first[0] != second[0]
    assert "'gauges:measure'" in first[1]
