"""Tasks of past runs made again, with the code of today and that of the run."""

from __future__ import annotations

import linecache
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from replayed import Workshop

import penstock
from penstock import DefinitionError, NotFoundError, Replay, Run, find_run, pipeline, task
from penstock.app import Services
from penstock.cli.targets import load_target
from penstock.executors.environments import available_uv
from penstock.runtime.replaying.stored import StoredCode

TRAINING = """
    from features.cleaning import cleaned
    from penstock import current, pipeline, task

    @task
    def load(rows: int) -> list[int]:
        return list(range(rows))

    @task
    def fit(numbers: list[int], depth: int = 2) -> float:
        current().log_metric("loss", 0.25)
        return sum(cleaned(numbers)) / depth

    @pipeline
    def pipe(rows: int = 4) -> float:
        return fit(load(rows))
"""


@pytest.fixture
def workshop(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workshop]:
    # folders of other tests may have modules of the same names
    elsewhere = home.parent.parent
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if not Path(entry).is_relative_to(elsewhere)])
    monkeypatch.syspath_prepend(str(home.parent))
    workshop = Workshop(home.parent)
    yield workshop
    workshop.forget()


@pytest.fixture
def trained(workshop: Workshop) -> Run:
    """A run of a package with imports from beside and above."""
    workshop.write("features/__init__.py", "FACTOR = 3\n")
    workshop.write("features/units.py", "def scaled(x):\n    return 2 * x\n")
    workshop.write(
        "features/cleaning.py",
        """
        from pathlib import Path

        from . import FACTOR
        from .units import scaled

        WORDS = (Path(__file__).parent / "words.txt").read_text()

        def cleaned(numbers):
            assert WORDS == "words"
            return [scaled(number) * FACTOR for number in numbers]
        """,
    )
    (workshop.folder / "features" / "words.txt").write_text("words")
    workshop.write("training.py", TRAINING)
    return workshop.run("training")


def surroundings() -> tuple[object, ...]:
    """What a replay has to leave as it was."""
    return (list(sys.path), list(sys.meta_path), dict(sys.modules), set(linecache.cache), sys.gettrace())


def test_the_same_code_does_the_same(trained: Run) -> None:
    made = trained.task("fit").replay()
    assert isinstance(made, Replay)
    assert (made.state, made.code, made.same, made.error, made.notes) == ("succeeded", "today", True, None, [])
    assert made.output == 18.0
    assert made.outputs == {"result": 18.0}
    assert made.metrics == {"loss": 0.25}
    assert made.duration > 0
    assert repr(made) == f"<replay of fit in run {trained.run_id}: succeeded>"


def test_the_inputs_of_a_task(trained: Run) -> None:
    assert trained.task("fit").inputs == {"numbers": [0, 1, 2, 3]}
    assert trained.task("load").inputs == {"rows": 4}
    assert trained.task("load").output == [0, 1, 2, 3]


def test_what_does_not_count_does_not_change_the_code(workshop: Workshop, trained: Run) -> None:
    workshop.edit("features/units.py", "return 2 * x", "# twice\n    return 2 * x")
    assert trained.task("fit").replay().code == "today"


def test_the_code_of_the_run_is_taken_where_it_has_changed(workshop: Workshop, trained: Run) -> None:
    workshop.edit("features/units.py", "2 * x", "5 * x")
    before = surroundings()
    made = trained.task("fit").replay()
    assert (made.code, made.same, made.output) == ("stored", True, 18.0)
    assert made.notes == [
        "the code has changed since the run: features.units:scaled (features/units.py:2); this is the code of the run "
        "(--code today takes the present one)"
    ]
    after = surroundings()
    assert after[:2] == before[:2]
    assert after[3:] == before[3:]


def test_the_present_code_on_demand(workshop: Workshop, trained: Run) -> None:
    workshop.edit("features/__init__.py", "3", "5")
    made = trained.task("fit").replay("today")
    assert (made.code, made.same, made.output) == ("today", False, 30.0)
    assert made.notes == ["the code has changed since the run: features.cleaning:FACTOR"]
    [output] = made.document["outputs"]
    assert (output["verdict"], output["before"], output["after"]) == ("different", "18.0", "30.0")


def test_the_modules_of_the_caller_stay_as_they_are(workshop: Workshop, trained: Run) -> None:
    workshop.edit("features/units.py", "2 * x", "5 * x")
    import training  # pyright: ignore[reportMissingImports]

    before = surroundings()
    assert trained.task("fit").replay("stored").output == 18.0
    assert surroundings() == before
    assert training.cleaned([1]) == [15]
    assert sys.modules["features"].units.scaled(1) == 5


def test_the_code_of_the_run_does_not_need_its_files(workshop: Workshop, trained: Run) -> None:
    workshop.remove("training.py")
    (workshop.folder / "features" / "cleaning.py").unlink()
    made = trained.task("fit").replay()
    assert (made.code, made.same) == ("stored", True)
    assert made.notes == [
        f"the present code cannot be had: there is no module 'training' today, and no {workshop.folder / 'training.py'}"
    ]
    with pytest.raises(DefinitionError, match=r"fit cannot be had as it is today: .*\n.*--code stored"):
        trained.task("fit").replay("today")


def test_present_code_that_does_not_load_says_so(workshop: Workshop, trained: Run) -> None:
    workshop.edit("features/units.py", "2 * x", "2 *")
    assert trained.task("fit").replay().same is True
    with pytest.raises(DefinitionError, match=r"(?s)cannot be had as it is today.*units\.py.*SyntaxError"):
        trained.task("fit").replay("today")


def test_nothing_is_recorded(home: Path, trained: Run) -> None:
    def rows() -> dict[str, list[object]]:
        with sqlite3.connect(home / "penstock.db") as database:
            tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            found = {name: database.execute(f"SELECT * FROM {name}").fetchall() for name in tables}
        database.close()
        return found

    def files() -> set[Path]:
        return {file for file in home.rglob("*") if not file.name.startswith("penstock.db")}

    before = rows(), files()
    trained.task("fit").replay()
    trained.task("load").replay("stored")
    assert (rows(), files()) == before


def test_a_task_that_was_cached_is_compared_with_what_it_was_given(workshop: Workshop, trained: Run) -> None:
    again = workshop.run("training")
    assert again.task("fit").state == "cached"
    made = again.task("fit").replay("stored")
    assert (made.same, made.document["recorded"]["state"]) == (True, "cached")


def test_a_module_of_a_namespace_package(workshop: Workshop) -> None:
    workshop.write("lab/measures.py", "def measure(x):\n    return x + 1\n")
    workshop.write(
        "benchwork.py",
        """
        from lab import measures
        from penstock import pipeline, task

        @task
        def take(x: int) -> int:
            return measures.measure(x)

        @pipeline
        def pipe() -> int:
            return take(1)
        """,
    )
    run = workshop.run("benchwork")
    workshop.edit("lab/measures.py", "x + 1", "x + 7")
    made = run.task("take").replay()
    assert (made.code, made.output) == ("stored", 2)
    import lab.measures  # pyright: ignore[reportMissingImports]

    assert run.task("take").replay().output == 2
    assert lab.measures.measure(1) == 8


def test_a_module_that_is_only_found_while_running_is_taken_as_it_is(workshop: Workshop) -> None:
    workshop.write("plugins/__init__.py", "")
    workshop.write("plugins/linear.py", "def make():\n    return 1\n")
    workshop.write(
        "chosen.py",
        """
        import importlib

        import plugins
        from penstock import pipeline, task

        @task
        def build(kind: str) -> int:
            return importlib.import_module(f"{plugins.__name__}.{kind}").make()

        @pipeline
        def pipe() -> int:
            return build("linear")
        """,
    )
    run = workshop.run("chosen")
    workshop.edit("plugins/linear.py", "1", "2")
    made = run.task("build").replay("stored")
    assert (made.output, made.same) == (2, False)
    assert made.notes == ["plugins.linear is not kept with the run, and was taken as it is today"]


# Failures.


def test_a_task_that_failed_fails_again(workshop: Workshop) -> None:
    workshop.write(
        "failing.py",
        """
        from penstock import pipeline, task

        class BadDepthError(Exception):
            pass

        @task
        def fit(depth: int) -> int:
            raise BadDepthError(f"depth {depth}")

        @pipeline
        def pipe(depth: int = 7) -> int:
            return fit(depth)
        """,
    )
    run = workshop.run("failing")
    # the lines move, so that the traceback must not be shown from the file that is there now
    mended = (
        (workshop.folder / "failing.py").read_text().replace('raise BadDepthError(f"depth {depth}")', "return depth")
    )
    workshop.write("failing.py", f"\n\n{mended}")
    made = run.task("fit").replay()
    assert (made.state, made.code, made.same) == ("failed", "stored", True)
    assert str(made.error) == "depth 7"
    assert type(made.error).__name__ == "BadDepthError"
    [note] = made.error.__notes__ if made.error is not None else []
    assert f'{workshop.folder / "failing.py"}", line 9, in fit' in note
    assert 'raise BadDepthError(f"depth {depth}")' in note
    assert "penstock" not in note.replace(str(workshop.folder), "")
    with pytest.raises(Exception, match="depth 7"):
        _ = made.output
    after = run.task("fit").replay("today")
    assert (after.state, after.output, after.same) == ("succeeded", 7, False)


def test_a_result_that_was_not_declared(workshop: Workshop) -> None:
    @task
    def pair() -> tuple[int, str]:
        return 1  # pyright: ignore[reportReturnType]

    @pipeline
    def pipe() -> None:
        pair()

    run = pipe.options(executor="inline").run()
    made = run.task("pair").replay()
    assert (made.state, made.same) == ("failed", True)
    assert "declares a tuple of 2 values" in str(made.error)


# Functions without a name to import them by.


def test_tasks_made_by_a_function(workshop: Workshop) -> None:
    workshop.write(
        "made.py",
        """
        from penstock import pipeline, task

        def adding(number):
            @task(name=f"add{number}")
            def add(x: int) -> int:
                return x + number
            return add

        add1, add2 = adding(1), adding(2)
        twice = task(name="twice")(lambda x: 2 * x)

        @pipeline
        def pipe() -> int:
            return twice(add2(add1(0)))
        """,
    )
    run = workshop.run("made")
    assert [run.task(name).replay().code for name in ("add1", "add2", "twice")] == ["today"] * 3
    workshop.edit("made.py", "x + number", "x - number")
    workshop.edit("made.py", "2 * x", "3 * x")
    made = [run.task(name).replay() for name in ("add1", "add2", "twice")]
    assert [(each.code, each.output, each.same) for each in made] == [
        ("stored", 1, True),
        ("stored", 3, True),
        ("stored", 6, True),
    ]


def test_a_task_made_in_the_pipeline_can_be_had_of_its_own_run(home: Path) -> None:
    offset = 3

    @pipeline
    def pipe(x: int = 1) -> int:
        @task
        def inner(x: int) -> int:
            return x + offset

        return inner(x)

    run = pipe.options(executor="inline").run()
    assert run.task("inner").replay().output == 4
    for code in ("stored", None):
        with pytest.raises(DefinitionError, match=r"inner is made while the pipeline is composed"):
            find_run(run.run_id).task("inner").replay(code)


# What cannot be replayed.


def test_unknown_runs_tasks_and_codes_are_refused(trained: Run) -> None:
    with pytest.raises(NotFoundError, match=r"has no task 'fitt'\n.*Did you mean fit\?"):
        trained.replay("fitt")
    with pytest.raises(NotFoundError, match="has no task 'fitt'"):
        trained.task("fitt")
    with pytest.raises(NotFoundError, match="'nosuch'"):
        find_run("nosuch")
    with pytest.raises(DefinitionError, match="a replay has no code='then'"):
        trained.task("fit").replay("then")  # pyright: ignore[reportArgumentType]
    with pytest.raises(DefinitionError, match="a replay has no pdb='first'"):
        trained.task("fit").replay(pdb="first")  # pyright: ignore[reportArgumentType]


def test_the_latest_run_is_found(trained: Run, home: Path) -> None:
    assert find_run().run_id == find_run("latest").run_id == trained.run_id
    assert find_run(trained.run_id[:-2], home=home).outputs == {"result": 18.0}
    assert penstock.find_run is find_run


def test_code_that_needs_a_package_that_is_gone(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    site = workshop.folder / "site-packages"
    workshop.write("site-packages/oddlib/__init__.py", "def odd(x):\n    return x % 2\n")
    (site / "odd_lib-1.2.dist-info").mkdir()
    (site / "odd_lib-1.2.dist-info" / "RECORD").write_text("oddlib/__init__.py,,\n")
    with monkeypatch.context() as installed:
        installed.syspath_prepend(str(site))
        workshop.write(
            "uses.py",
            """
            from oddlib import odd
            from penstock import pipeline, task

            @task
            def check(x: int) -> int:
                return odd(x)

            @pipeline
            def pipe() -> int:
                return check(3)
            """,
        )
        run = workshop.run("uses")
        assert run.task("check").replay("stored").output == 1
        workshop.forget()
    with pytest.raises(
        DefinitionError,
        match=r"check, as it was in the run, cannot be loaded: No module named 'oddlib'\n.*odd-lib 1\.2",
    ):
        run.task("check").replay()


@pytest.mark.slow
def test_a_task_with_an_environment_of_its_own(workshop: Workshop, capsys: pytest.CaptureFixture[str]) -> None:
    if available_uv() is None:
        pytest.skip("uv is not installed")
    workshop.write("entry/beside.py", "OFFSET = 2\n")
    workshop.write(
        "entry/away.py",
        """
        import beside
        from penstock import Environment, pipeline, task

        @task(environment=Environment())
        def add(x: int) -> int:
            print("adding")
            return x + beside.OFFSET

        @pipeline
        def pipe() -> int:
            return add(1)
        """,
    )
    sys.path.append(str(workshop.folder / "entry"))
    try:
        run = workshop.run("away")
        if run.task("add").error is not None:
            pytest.skip("uv cannot install packages here")
        workshop.edit("entry/beside.py", "2", "7")
        capsys.readouterr()
        stored, today = run.task("add").replay(), run.task("add").replay("today")
    finally:
        sys.path.remove(str(workshop.folder / "entry"))
    assert (stored.code, stored.output, stored.same) == ("stored", 3, True)
    assert (today.code, today.output, today.same) == ("today", 8, False)
    assert capsys.readouterr().out == "adding\nadding\n"
    with pytest.raises(DefinitionError, match="a Python environment of its own, which the debugger does not reach"):
        run.task("add").replay(pdb=True)


MODELS = """
    from trees import grown
    from penstock import pipeline, task

    class Forest:
        def __init__(self, depth):
            self.depth = depth

    @task
    def fit(depth: int):
        return Forest(depth)

    @task
    def use(model) -> int:
        return grown(model.depth)

    @pipeline
    def pipe(depth: int = 2) -> int:
        return use(fit(depth))
"""


@pytest.fixture
def planted(workshop: Workshop) -> Run:
    """A run in which a value of the user's own class is passed on."""
    workshop.write("trees/__init__.py", "def grown(depth):\n    return depth + 1\n")
    workshop.write("models.py", MODELS)
    return workshop.run("models")


def test_a_class_that_was_renamed_is_there_in_the_code_of_the_run(planted: Run, workshop: Workshop) -> None:
    workshop.edit("models.py", "Forest", "Woods")
    with pytest.raises(DefinitionError, match="--code stored") as refused:
        planted.task("use").replay()
    assert "Make it again" in str(refused.value)
    assert planted.task("use").replay("stored").output == 3


def test_what_is_not_there_today_is_told_once(planted: Run, workshop: Workshop) -> None:
    workshop.remove("trees")
    file = str(workshop.folder / "models.py")
    services = Services()
    with services.existing_store() as store:
        record = store.find(planted.run_id)
    replay = services.replayer(lambda: load_target(file).begin({"depth": 2})).replay(record, "use")
    assert replay.output == 3
    [note] = replay.notes
    assert "does not load\nTraceback" in note
    assert note.count("No module named 'trees'") == 1
    assert "importlib" not in note


def test_the_main_module_of_processes_is_no_module_of_the_user(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    main = ModuleType("__main__")
    main.__file__ = str(workshop.write("main.py", ""))
    monkeypatch.delitem(sys.modules, "__mp_main__", raising=False)
    with StoredCode({}) as stored:
        # as `import multiprocessing` does
        monkeypatch.setitem(sys.modules, "__mp_main__", main)
        assert stored.borrowed == []
