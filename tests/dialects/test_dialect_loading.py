"""Files of other systems, loaded: whose imports are answered, whose are not, and how a file's dialect is known."""

from __future__ import annotations

import sys
from pathlib import Path
from textwrap import dedent

import pytest

from penstock.dialects.foreign import imported_roots
from penstock.dialects.recognition import dialects, in_dialect, named, split_dialect
from penstock.errors import DefinitionError, NotCoveredError, TargetError
from penstock.registering.loading import load_module, load_pipeline

FLOW = """
    from toyflow import flow, step

    @step
    def double(number: int) -> int:
        return 2 * number

    @flow(owner="ann")
    def doubling(number: int = 2):
        return double(number)
    """


def written(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(dedent(text).lstrip())
    return file


def ran(target: str) -> object:
    return load_pipeline(target).options(executor="inline", progress=False).run().result


@pytest.mark.parametrize(
    ("source", "roots"),
    [
        ("import a.b as c, d\nfrom e.f import g", {"a", "d", "e"}),
        ("def late():\n    from a import b", {"a"}),
        ("if True:\n    import a; import b", {"a", "b"}),
        ('"""\nimport a\n"""\nfrom .a import b', set()),
        ("from . import a", set()),
        ("import a\nthis does not parse", {"a"}),
    ],
)
def test_the_top_level_modules_that_a_source_imports(source: str, roots: set[str]) -> None:
    assert imported_roots(source) == roots


def test_a_dialect_of_another_package_is_found(toyflow: Path) -> None:
    assert {"airflow", "argo", "kfp", "penstock", "prefect", "toyflow", "yaml"} <= set(dialects())
    assert named("toyflow").title == "Toyflow"


def test_an_unknown_dialect_is_refused_with_those_that_there_are(toyflow: Path) -> None:
    with pytest.raises(DefinitionError, match=r"no dialect 'toyflw'.*toyflow") as raised:
        named("toyflw")
    assert "penstock" in (raised.value.remedy or "")
    assert (raised.value.remedy or "").count("penstock,") == 1


def test_a_dialect_that_does_not_load_is_named(toyflow: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = toyflow / "lib" / "broken-1.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text("[penstock.dialects]\nbroken = no_such_module:DIALECT\n")
    monkeypatch.syspath_prepend(str(folder.parent))
    with pytest.raises(DefinitionError, match=r"the dialect 'broken'.*does not load: ModuleNotFoundError"):
        dialects()


def test_a_file_runs_as_it_stands(toyflow: Path) -> None:
    written(toyflow / "doubling.py", FLOW)
    assert ran("doubling.py") == 4
    assert "toyflow" not in sys.modules


def test_imports_in_functions_are_answered_when_they_are_called(toyflow: Path) -> None:
    written(
        toyflow / "late.py",
        """
        from toyflow import flow, step

        @step
        def hello() -> str:
            import toyflow.text.extras as extras
            from toyflow.text.extras import shout
            return extras.shout("a") + shout("b")

        @flow()
        def greeting():
            return hello()
        """,
    )
    assert ran("late.py") == "A!B!"
    run = load_pipeline("late.py").options(executor="processes", workers=1, progress=False, cache=False).run()
    assert run.result == "A!B!"


def test_the_real_module_is_not_disturbed(toyflow: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(toyflow / "lib" / "toyflow" / "__init__.py", "REAL = True\n")
    monkeypatch.syspath_prepend(str(toyflow / "lib"))
    import toyflow as real  # pyright: ignore[reportMissingImports]

    written(toyflow / "beside_toys.py", "def is_real():\n    import toyflow\n    return toyflow.REAL\n")
    written(
        toyflow / "doubling.py",
        dedent(FLOW) + "\nimport toyflow\nimport beside_toys\nHERE = hasattr(toyflow, 'REAL')\n",
    )
    module = load_module("doubling.py")
    assert module.HERE is False
    assert sys.modules["toyflow"] is real
    import toyflow as again  # pyright: ignore[reportMissingImports]

    assert again is real
    assert again.REAL


def test_what_may_be_missing_is_caught_by_the_file_itself(toyflow: Path) -> None:
    written(
        toyflow / "careful.py",
        """
        try:
            from toyflow.newer import thing
        except ModuleNotFoundError:
            thing = "no module"
        try:
            from toyflow import other
        except ImportError:
            other = "no name"
        """,
    )
    module = load_module("careful.py")
    assert (module.thing, module.other) == ("no module", "no name")


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("from toyflow import beam", "toyflow.beam"),
        ("from toyflow.cloud import Batch", "the module toyflow.cloud"),
        ("from toyflow.text import extras, rotate", "toyflow.text.rotate"),
    ],
)
def test_unknown_names_are_refused_with_the_line_of_the_user(toyflow: Path, line: str, what: str) -> None:
    written(toyflow / "unknown.py", f"import toyflow\n\n{line}\n")
    with pytest.raises(NotCoveredError) as raised:
        load_module("unknown.py")
    assert raised.value.what == f"{what} is not covered by penstock's reader of Toyflow"
    assert raised.value.where == "unknown.py:3"


def test_attributes_that_are_not_there(toyflow: Path) -> None:
    written(toyflow / "asking.py", "import toyflow\n\nHAS = hasattr(toyflow, 'beam')\ntoyflow.beam\n")
    with pytest.raises(DefinitionError, match=r"toyflow\.beam is not covered") as raised:
        load_module("asking.py")
    assert raised.value.where == "asking.py:4"


def test_own_modules_that_import_the_system_are_loaded_so_too(toyflow: Path) -> None:
    written(toyflow / "shared_steps.py", "from toyflow import step\n\n@step\ndef one() -> int:\n    return 1\n")
    written(toyflow / "plain_steps.py", "def add(number):\n    import json\n    return json.loads('1') + number\n")
    written(
        toyflow / "using.py",
        """
        from plain_steps import add
        from shared_steps import one
        from toyflow import flow, step

        @step
        def more(number: int) -> int:
            return add(number)

        @flow()
        def using():
            return more(one())
        """,
    )
    assert ran("using.py") == 2
    assert sys.modules["shared_steps"].__penstock_dialect__ == "toyflow"  # type: ignore[attr-defined]
    assert not hasattr(sys.modules["plain_steps"], "__penstock_dialect__")


def test_a_package_with_relative_imports(toyflow: Path) -> None:
    written(toyflow / "flows" / "__init__.py", "")
    written(toyflow / "flows" / "steps.py", "from toyflow import step\n\n@step\ndef three() -> int:\n    return 3\n")
    text = "from toyflow import flow\n\nfrom .steps import three\n\n@flow()\ndef threes():\n    return three()\n"
    written(toyflow / "flows" / "main.py", text)
    assert ran("flows/main.py") == 3
    assert ran("flows.main:threes") == 3
    assert ran("flows.main") == 3


def test_a_module_by_its_dotted_name_in_a_dialect_that_is_asked_for(toyflow: Path) -> None:
    written(toyflow / "pack" / "__init__.py", "")
    written(toyflow / "pack" / "vocabulary.py", "from toyflow import flow, step\n")
    written(
        toyflow / "pack" / "indirect.py",
        "from pack.vocabulary import flow, step\n\n@flow()\ndef five():\n    return step(lambda: 5)()\n",
    )
    with pytest.raises(TargetError, match=r"pack\.indirect does not load"):
        load_pipeline("pack.indirect")
    assert ran("toyflow+pack.indirect:five") == 5
    assert ran("toyflow+pack/indirect.py") == 5


def test_a_file_that_may_be_in_several_dialects_says_so(toyflow: Path) -> None:
    written(toyflow / "both.py", dedent(FLOW) + "\ndef later():\n    import prefect\n")
    with pytest.raises(TargetError, match="several dialects: prefect, toyflow") as raised:
        load_pipeline("both.py")
    assert raised.value.remedy == "Choose one: --dialect prefect"
    assert ran("toyflow+both.py") == 4


def test_penstock_in_a_file_makes_it_penstock_s_own(toyflow: Path) -> None:
    written(
        toyflow / "native.py",
        """
        from penstock import pipeline, task

        @task
        def try_it() -> str:
            try:
                import toyflow
            except ImportError:
                return "not here"

        @pipeline
        def trying():
            return try_it()
        """,
    )
    assert ran("native.py") == "not here"


def test_files_of_data_are_recognised_by_their_text(toyflow: Path) -> None:
    written(toyflow / "numbers.toy", "# toyflow\nconstant 7\nconstant 8\n")
    assert ran("numbers.toy") == 8
    written(toyflow / "other.toy", "nothing of the kind\n")
    with pytest.raises(TargetError, match="neither a Python file nor in a dialect"):
        load_pipeline("other.toy")


def test_a_file_without_a_pipeline_says_how_it_was_read(toyflow: Path) -> None:
    written(toyflow / "empty.py", "import toyflow\n")
    with pytest.raises(TargetError, match=r"no pipeline in empty.py, which is read as Toyflow") as raised:
        load_pipeline("empty.py")
    assert "--dialect penstock" in (raised.value.remedy or "")


def test_targets_that_name_a_dialect(toyflow: Path) -> None:
    assert in_dialect("a.py:name", "toyflow") == "toyflow+a.py:name"
    assert in_dialect("toyflow+a.py", "toyflow") == "toyflow+a.py"
    assert in_dialect("a.py", None) == "a.py"
    assert split_dialect("toyflow+a.py") == ("toyflow", "a.py")
    assert split_dialect("c++/a.py") == (None, "c++/a.py")
    with pytest.raises(DefinitionError, match="says toyflow, and --dialect says penstock"):
        in_dialect("toyflow+a.py", "penstock")


def test_tasks_that_a_reader_makes_are_found_by_workers(toyflow: Path) -> None:
    written(
        toyflow / "operators.py",
        "from toyflow import constant, flow\n\n@flow()\ndef seven():\n    return constant(7)\n",
    )
    run = load_pipeline("operators.py").options(executor="processes", workers=1, progress=False).run()
    assert run.result == 7
    graph = load_pipeline("operators.py").graph()
    assert next(iter(graph.tasks.values())).action.qualname == "constant/7"  # type: ignore[union-attr]


def test_functions_that_are_sent_with_what_they_use(toyflow: Path) -> None:
    written(
        toyflow / "sent.py",
        """
        import toyflow.text.extras
        from toyflow import flow, step

        @flow()
        def sending(word: str = "a"):
            def inner() -> str:
                return toyflow.text.extras.shout("sent")
            return step(inner)()
        """,
    )
    run = load_pipeline("sent.py").options(executor="processes", workers=1, progress=False).run()
    assert run.result == "SENT!"


def test_a_library_that_comes_with_an_extra_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "pendulum", None)
    file = written(tmp_path / "late_dag.py", "import pendulum\nfrom airflow import DAG\n")
    with pytest.raises(TargetError, match=r"No module named|pendulum") as raised:
        load_module(str(file))
    assert "penstock[airflow]" in (raised.value.remedy or "")


def test_a_file_of_data_that_is_not_there() -> None:
    with pytest.raises(TargetError, match=r"there is no file nowhere.yaml"):
        load_pipeline("nowhere.yaml")
