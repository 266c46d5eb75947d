"""Python environments of tasks: made by uv, shared, and worked in by processes of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Generator
from pathlib import Path
from typing import Any

import foreign_tasks as foreign
import pytest
from test_worker_deaths import is_alive, wait_until

from penstock.app import open_values
from penstock.authoring.importable import code_of
from penstock.authoring.task import Task
from penstock.authoring.tasks.commands import CommandTask, command
from penstock.errors import CommandError
from penstock.executors.environments import NEEDS, Environments, available_uv, digest_of
from penstock.executors.inline import InlineExecutor
from penstock.executors.processes import ProcessExecutor
from penstock.model.action import Environment
from penstock.model.work import Code, Declined, Done, Erred, Job, Program, WorkerSettings
from penstock.testing.executor_bench import Bench, name_of

#: the long ring: real environments, real containers
pytestmark = pytest.mark.slow

SIX = Environment(("six==1.16.0",))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of environments in which `SIX` is made already; skips where uv cannot make it."""
    if available_uv() is None:
        pytest.skip("uv is not installed")
    home = tmp_path_factory.mktemp("environments")
    try:
        Environments(home).python(SIX)
    except CommandError as error:
        pytest.skip(f"uv cannot install packages here: {error.what[-300:]}")
    return home


def reference(task: Task[..., Any]) -> Code:
    return Program(task.action) if isinstance(task, CommandTask) else code_of(task.function, task.name)


def make_executor(kind: str, storage: dict[str, Any], home: Path) -> InlineExecutor | ProcessExecutor:
    settings = WorkerSettings(
        values="penstock.app:open_values", storage=storage, path=tuple(sys.path), environments=str(home)
    )
    if kind == "inline":
        return InlineExecutor(open_values(storage), {}, {}, settings)
    return ProcessExecutor(settings, 1)


@pytest.fixture
def storage(tmp_path: Path) -> dict[str, Any]:
    return {"blobs": str(tmp_path / "blobs"), "workspace": str(tmp_path / "workspace"), "pickle": True}


@pytest.fixture(params=["inline", "processes"])
def bench(request: pytest.FixtureRequest, storage: dict[str, Any], home: Path) -> Generator[Bench]:
    executor = make_executor(request.param, storage, home)
    yield Bench(executor, open_values(storage), reference)
    executor.close(kill=True)


def end_of(bench: Bench, task: Task[..., Any], environment: Environment = SIX, **inputs: Any) -> Any:
    return bench.end_with(task, {"environment": environment}, **inputs)


def values_of(bench: Bench, task: Task[..., Any], environment: Environment = SIX, **inputs: Any) -> list[Any]:
    end = end_of(bench, task, environment, **inputs)
    assert isinstance(end, Done), end
    return [bench.values.load(output) for output in end.outputs]


# Attempts.


def test_a_task_has_what_its_environment_has_and_nothing_else(bench: Bench) -> None:
    assert values_of(bench, foreign.version_of, package="six")[0]["version"] == "1.16.0"
    assert values_of(bench, foreign.has, package="pandas") == [False]
    assert values_of(bench, foreign.has, package="foreign_tasks") == [True]


def test_values_come_back_as_they_were(bench: Bench) -> None:
    value = {"a": (1, 2.5, None), "b": [{"c"}], "d": b"\0"}
    assert values_of(bench, foreign.echo, value=value) == [value]
    assert values_of(bench, foreign.moved, point=foreign.Point(1, "a"))[0] == foreign.Point(2, "a")
    assert values_of(bench, foreign.echo, value="x" * 100_000) == ["x" * 100_000]


def test_files_go_to_and_fro(bench: Bench, tmp_path: Path) -> None:
    assert values_of(bench, foreign.made_file)[0].read_text() == "made"
    (tmp_path / "given").write_text("given")
    assert values_of(bench, foreign.echo, value=tmp_path / "given")[0].read_text() == "given"


def test_what_is_said_there_is_told(bench: Bench, tmp_path: Path) -> None:
    assert values_of(bench, foreign.talk, folder=tmp_path) == ["talk 1"]
    assert bench.texts("stdout") == ["out"]
    assert bench.texts("stderr") == ["err"]
    assert [(metric.name, metric.value) for metric in bench.metrics()] == [("loss", 0.5)]


def test_an_exception_comes_with_the_user_s_traceback(bench: Bench) -> None:
    end = end_of(bench, foreign.broken, why="odd")
    assert isinstance(end, Erred)
    assert (end.fault.type, end.fault.message) == ("ValueError", "odd")
    assert "foreign_tasks.py" in end.fault.traceback
    assert "inner(why)" in end.fault.traceback
    assert end.fault.pickled is None
    assert "builtins.ValueError" in end.fault.kinds


def test_signals_and_generators_work_there(bench: Bench) -> None:
    end = end_of(bench, foreign.skipped)
    assert isinstance(end, Declined)
    assert end.reason == "nothing to do"
    assert bench.end_with(foreign.numbers, {"environment": SIX, "yields": True}) is not None
    assert [bench.values.load(each.output) for each in bench.yielded()] == [0, 1, 2]


def test_what_only_a_pickle_could_hold_is_refused(bench: Bench) -> None:
    from sklearn.linear_model import LogisticRegression

    end = end_of(bench, foreign.unstorable)
    assert isinstance(end, Erred)
    assert "'result' is or holds a" in end.fault.message
    assert "stored as a pickle" in end.fault.message
    end = end_of(bench, foreign.echo, value={"model": [LogisticRegression()]})
    assert isinstance(end, Erred)
    assert "the input 'value' is or holds a sklearn.linear_model.LogisticRegression" in end.fault.message


def test_a_function_that_no_other_python_can_import_is_refused(bench: Bench) -> None:
    from penstock import task

    @task
    def local() -> int:
        return 1

    end = end_of(bench, local)
    assert isinstance(end, Erred)
    assert "no other Python can import it" in end.fault.message


def test_the_process_is_kept_for_the_next_attempt_and_made_anew_after_its_death(bench: Bench) -> None:
    (first,), (second,) = values_of(bench, foreign.process_id), values_of(bench, foreign.process_id)
    assert first == second != os.getpid()
    end = end_of(bench, foreign.die)
    assert isinstance(end, Erred)
    assert "exit code 7" in end.fault.message
    assert values_of(bench, foreign.process_id) != [first]


def test_the_process_ends_with_the_executor(storage: dict[str, Any], home: Path) -> None:
    for kind in ("inline", "processes"):
        executor = make_executor(kind, storage, home)
        (pid,) = values_of(Bench(executor, open_values(storage), reference), foreign.process_id)
        executor.close()
        wait_until(lambda pid=pid: not is_alive(pid))


def test_a_timeout_ends_the_process(bench: Bench, tmp_path: Path) -> None:
    end = bench.end_with(foreign.wait_for_ever, {"environment": SIX, "timeout": 2.0}, folder=tmp_path)
    assert isinstance(end, Erred)
    assert end.fault.cause == "timeout"
    wait_until(lambda: not is_alive(int((tmp_path / "pid").read_text())))


def test_stopping_ends_the_process(storage: dict[str, Any], home: Path, tmp_path: Path) -> None:
    executor = make_executor("processes", storage, home)
    bench = Bench(executor, open_values(storage), reference)
    job = Job(bench.define(foreign.wait_for_ever, environment=SIX), -1, 1, bench.stored({"folder": tmp_path}))
    bench.submit(job)
    bench.wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    executor.stop(job)
    assert isinstance(bench.finish()[name_of(job)], Erred)
    wait_until(lambda: not is_alive(int((tmp_path / "pid").read_text())))
    executor.close(kill=True)


def test_a_command_finds_the_programs_of_its_environment(bench: Bench) -> None:
    show = command(["python", "-c", "import six; print(six.__version__)"])
    assert values_of(bench, show) == ["1.16.0"]


def test_another_version_of_python(storage: dict[str, Any], home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = next((minor for minor in (12, 13, 14, 11) if minor != sys.version_info.minor and python_of(minor)), None)
    if other is None:
        pytest.skip("there is no other version of Python here")
    monkeypatch.setenv("PATH", os.pathsep.join([str(python_of(other)), os.environ["PATH"]]))
    executor = make_executor("inline", storage, home)
    bench = Bench(executor, open_values(storage), reference)
    point, minor = values_of(bench, foreign.moved, Environment(python=f"3.{other}"), point=foreign.Point(1, "a"))
    assert (point, minor) == (foreign.Point(2, "a"), other)
    executor.close()


def python_of(minor: int) -> Path | None:
    """The folder of an interpreter, on the search path or among those that pyenv has installed."""
    found = next(Path.home().glob(f".pyenv/versions/3.{minor}.*/bin"), None)
    if found is None and (path := shutil.which(f"python3.{minor}")):
        found = Path(path).parent
    return found


# Environments.


def test_an_environment_is_made_once_though_several_want_it(tmp_path: Path, home: Path) -> None:
    script = (
        "import sys\nfrom pathlib import Path\n"
        "from penstock.executors.environments import Environments\nfrom penstock.model.action import Environment\n"
        f"print(Environments(Path({str(tmp_path)!r})).python(Environment(('six==1.16.0',))))\n"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    said = [process.communicate(timeout=100) for process in processes]
    assert len({out for out, _ in said}) == 1
    assert sum("Installed" in err for _, err in said) == 1


def test_a_failed_build_leaves_nothing_and_shows_what_uv_said(
    tmp_path: Path, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    wrong = Environment(("six==0.0.0.1",))
    with pytest.raises(CommandError, match=r"(?s)six==0.0.0.1.*cannot be made.*there is no version of six==0.0.0.1"):
        Environments(tmp_path).python(wrong)
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]
    assert "no version of six" in capfd.readouterr().err


def test_an_environment_that_was_not_finished_is_made_again(tmp_path: Path, home: Path) -> None:
    environments = Environments(tmp_path)
    folder = tmp_path / digest_of(SIX)
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "left").touch()
    assert environments.python(SIX).exists()
    assert not (folder / "bin" / "left").exists()


def test_a_machine_without_uv_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(CommandError, match=r"(?s)uv, which makes it, is not installed.*pip install uv"):
        Environments(tmp_path / "home").python(SIX)


def test_a_lock_is_followed_to_the_letter(tmp_path: Path, home: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "pyproject.toml").write_text(
        '[project]\nname = "p"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["six<1.17"]\n'
    )
    uv = available_uv()
    assert uv is not None
    locked = subprocess.run([uv, "lock", "--project", str(project)], capture_output=True, check=False)
    if locked.returncode != 0:
        pytest.skip(f"uv cannot lock here: {locked.stderr.decode()[-200:]}")
    files = {name: (project / name).read_text() for name in ("uv.lock", "pyproject.toml")}
    python = Environments(tmp_path / "home").python(Environment(files=files))
    told = subprocess.run(
        [python, "-c", "import six, msgspec; print(six.__version__)"], capture_output=True, check=True
    )
    assert told.stdout == b"1.16.0\n"


def test_files_that_include_others(tmp_path: Path, home: Path) -> None:
    files = {"requirements.txt": "-r more/base.txt\n", "more/base.txt": "six==1.16.0\n"}
    python = Environments(tmp_path).python(Environment(files=files))
    assert subprocess.run([python, "-c", "import six"], check=True).returncode == 0


def test_what_is_filed_apart() -> None:
    environments = [
        SIX,
        Environment(("six",)),
        Environment(("six==1.16.0",), python="3.12"),
        Environment(files={"a": "b"}),
    ]
    assert len({digest_of(environment) for environment in environments}) == 4


def test_what_penstock_needs_there_is_what_it_needs_here() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert set(NEEDS) <= set(project["dependencies"])


@pytest.mark.parametrize("executor", ["inline", "processes"])
def test_a_pipeline_with_an_environment_runs(
    executor: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from penstock import pipeline

    monkeypatch.chdir(tmp_path)
    (tmp_path / "penstock.toml").touch()
    # what others have made already is used
    (tmp_path / ".penstock").mkdir()
    (tmp_path / ".penstock" / "environments").symlink_to(home)

    @pipeline
    def flow() -> Any:
        inside = foreign.version_of.options(environment=["six==1.16.0"])("six")
        return foreign.echo(inside["version"])

    run = flow.options(executor=executor).run()
    assert run.result == "1.16.0"
    assert {node.state for node in flow.options(executor=executor).run().tasks} == {"cached"}
